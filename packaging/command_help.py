"""What a program of ours says of itself: its commands, flags and examples, read from --help.

Man pages and completions are made of it, and the documents' command lines are checked against it, so none
of them can name a flag that is not there.
"""

import dataclasses
import re
import subprocess

TEXT_COLUMN = 30  # CLI11's: where the description of an entry begins
HELP_S = 30


@dataclasses.dataclass
class Entry:
    """A flag, a positional argument or a subcommand: a line of one of help's tables."""
    names: list  # "-n", "--page-size"; a positional or a subcommand has one, without dashes
    value: str  # what stands behind the name: a type, a default, a range; empty for a switch
    text: str

    @property
    def takes_value(self):
        return bool(self.value)

    @property
    def choices(self):
        found = re.search(r"\{([^}]*)\}", self.value)
        return found.group(1).split(",") if found else []


@dataclasses.dataclass
class Command:
    path: list  # without the program: [] is the program itself, ["rules", "get"]
    about: str
    usage: str
    groups: dict  # title -> [Entry], of flags and positionals
    examples: list
    subcommands: list  # of Command

    def flags(self):
        return [entry for entries in self.groups.values() for entry in entries if entry.names[0].startswith("-")]

    def walk(self):
        yield self
        for sub in self.subcommands:
            yield from sub.walk()


def _entry(head, text):
    names, _, value = head.partition(" ")
    value = re.split(r" ?\b(?:Needs|Excludes):", " " + value)[0].strip()
    return Entry(names.split(","), value, text)


def _entries(lines):
    """The entries of a table. A long name has its description in the next line."""
    at = 0
    while at < len(lines):
        line = lines[at]
        following = lines[at + 1] if at + 1 < len(lines) else ""
        if following.startswith(" " * TEXT_COLUMN):
            yield _entry(line.strip(), following.strip())
            at += 1
        else:
            yield _entry(line[:TEXT_COLUMN].strip(), line[TEXT_COLUMN:].strip())
        at += 1


def parse_help(path, output):
    """A Command of one help text, and the names of its subcommands."""
    about, _, rest = output.partition("\nUsage: ")
    usage, _, rest = rest.partition("\n")
    command = Command(path, about.strip(), usage.strip(), {}, [], [])
    subcommands = []
    tables = re.split(r"^([A-Z][A-Za-z]+):\n", rest, flags=re.MULTILINE)
    for title, body in zip(tables[1::2], tables[2::2]):
        lines = [line for line in body.splitlines() if line.strip()]
        if title.startswith("Example"):
            command.examples = [line.strip() for line in lines]
        elif title == "Subcommands":
            subcommands = [entry.names[0] for entry in _entries(lines)]
        else:
            command.groups[title] = list(_entries(lines))
    return command, subcommands


def read_command(program, path=()):
    """The Command of a program, its subcommands within it."""
    output = subprocess.run([program, *path, "--help"], check=True, capture_output=True, text=True,
                            timeout=HELP_S).stdout
    command, names = parse_help(list(path), output)
    command.subcommands = [read_command(program, (*path, name)) for name in names]
    return command
