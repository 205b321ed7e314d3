"""The blocks of code of README.md and docs/, and in which language they are: for the tests that run them."""

import ast
import pathlib
import re
import textwrap
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(text):
    """(paragraph before it, block) of blocks of indented lines behind an empty one, which are code."""
    paragraph, block, after_empty = "", [], True
    for line in [*text.splitlines(), "end"]:
        if line.startswith("    ") and (block or after_empty):
            block.append(line[4:])
        elif line.strip():
            if block:
                yield paragraph, textwrap.dedent("\n".join(block))
            paragraph = line if block or after_empty else f"{paragraph}\n{line}"
            block = []
        elif block:
            block.append("")
        after_empty = not line.strip()


def read_as(read, block):
    """What `read` makes of it, or None."""
    try:
        return read(block)
    except ValueError:  # SyntaxError is none
        return None
    except SyntaxError:
        return None


def is_python(block):
    """A program, which has a call or an import: much else can be read as Python."""
    tree = None if read_as(tomllib.loads, block) or block.startswith("{") else read_as(ast.parse, block)
    return tree is not None and any(isinstance(node, (ast.Call, ast.Import, ast.ImportFrom)) for node in ast.walk(tree))


def is_typescript(block):
    """A program of the client's package, or a part of one."""
    return bool(re.search(r'^import .* from "@groundswell/|\bawait client\.', block, re.M)) and not is_python(block)


def is_cpp(block):
    return bool(re.search(r'^#include |^groundswell::', block, re.M))


def documented_blocks():
    """(document, paragraph before it, block) of all documents, in their order."""
    for document in DOCUMENTS:
        for paragraph, block in blocks(document.read_text(encoding="utf-8")):
            yield str(document.relative_to(ROOT)), paragraph, block


def programs_of(is_of_language):
    """(document, program) of each document that has blocks in this language: one after the other, they make a program."""
    programs = {}
    for document, _, block in documented_blocks():
        if is_of_language(block):
            programs.setdefault(document, []).append(block)
    return [(document, "\n".join(parts)) for document, parts in programs.items()]
