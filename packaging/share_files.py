"""Makes what is installed beside the programs from what the programs say of themselves.

    share_files.py SERVER_PROGRAM CLIENT_PROGRAM VERSION SHARE_DIRECTORY

Below SHARE_DIRECTORY (/usr/share of a package): man pages, completions of bash and zsh, and
doc/groundswell/config.toml.example, which has every setting with its meaning, range and default; beside it
the changelog, compressed as Debian wants it.
"""

import gzip
import os
import pathlib
import re
import subprocess
import sys

from command_help import read_command

ROOT = pathlib.Path(__file__).resolve().parent.parent
SECTIONS = {"groundswell": 1, "groundswell-server": 8}
OTHER = {"groundswell": "groundswell-server", "groundswell-server": "groundswell"}
FILES = {
    "groundswell": [],
    "groundswell-server": [
        ("/etc/groundswell/config.toml", "Settings of the service."),
        ("/usr/share/doc/groundswell/config.toml.example", "Every setting with its meaning and default."),
        ("/var/lib/groundswell/database", "The service's database."),
    ],
}


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o644)


def write_gz(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    # Neither name nor time, so that two packages of one build are equal.
    path.write_bytes(gzip.compress(text.encode(), mtime=0))
    path.chmod(0o644)


# Man pages.

def roff(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + text if text.startswith((".", "'")) else text


def man_entries(entries):
    for entry in entries:
        names = ", ".join(f"\\fB{roff(name)}\\fR" for name in entry.names)
        value = re.sub(r":(\w+ in )?", " in ", entry.value, count=1) if "[" in entry.value else entry.value
        value = f" \\fI{roff(value)}\\fR" if value else ""
        yield f".TP\n{names}{value}\n{roff(entry.text)}\n"


def man_command(command, heading):
    groups = {title: entries for title, entries in command.groups.items() if entries}
    for title, entries in groups.items():
        # Every command has --help: told once.
        shown = [entry for entry in entries if not command.path or "--help" not in entry.names]
        if shown:
            yield f"{heading} {title.upper()}\n" if not command.path else f".PP\n{title}:\n"
            yield from man_entries(shown)
    if command.examples:
        yield f"{heading} EXAMPLES\n" if not command.path else ".PP\nExample:\n"
        yield ".PP\n.nf\n" + "".join(f"    {roff(line)}\n" for line in command.examples) + ".fi\n"


def man_page(program, version, command):
    name, section = roff(program), SECTIONS[program]
    about = command.about.rstrip(".")
    parts = [f'.TH {name.upper()} {section} "" "Groundswell {version}" ""\n',
             f".SH NAME\n{name} \\- {roff(about[0].lower() + about[1:])}\n",
             f".SH SYNOPSIS\n\\fB{name}\\fR [\\fIOPTIONS\\fR] \\fICOMMAND\\fR [\\fIOPTIONS\\fR]\n"]
    parts += man_command(command, ".SH")
    parts.append(".SH COMMANDS\n")
    for sub in command.walk():
        if sub.path:
            parts.append(f".SS {roff(' '.join(sub.path))}\n{roff(sub.about.rstrip('.'))}.\n")
            parts += man_command(sub, ".PP")
    if FILES[program]:
        parts.append(".SH FILES\n")
        parts += [f".TP\n\\fI{roff(path)}\\fR\n{roff(text)}\n" for path, text in FILES[program]]
    other = OTHER[program]
    parts.append(f".SH SEE ALSO\n\\fB{roff(other)}\\fR({SECTIONS[other]}), "
                 "the documents in \\fI/usr/share/doc/groundswell\\fR\n")
    return "".join(parts)


# Completions. Flags of the program itself are taken behind its commands too.

def flags_of(program_command, command):
    own = command.flags()
    known = {name for entry in own for name in entry.names}
    inherited = [entry for entry in program_command.flags()
                 if command.path and "--version" not in entry.names and not known.intersection(entry.names)]
    return own + inherited


def bash_values(program_command):
    for command in program_command.walk():
        path = " ".join(command.path)
        files = []
        for entry in flags_of(program_command, command):
            names = [f"'{path}:{name}'" for name in entry.names]
            if entry.choices:
                yield (f"    {'|'.join(names)})\n      COMPREPLY=($(compgen -W '{' '.join(entry.choices)}' -- "
                       '"$current"))\n      return ;;\n')
            elif entry.takes_value:
                files += names
        if files:
            yield f"    {'|'.join(files)})\n      return ;;  # a value: of files, or free\n"


def bash_completion(program, program_command):
    function = "_" + program.replace("-", "_")
    subcommands, with_value, words = [], [], []
    for command in program_command.walk():
        path = " ".join(command.path)
        flags = flags_of(program_command, command)
        subcommands += [f"      '{path}:{sub.path[-1]}') path='{' '.join(sub.path)}' ;;\n"
                        for sub in command.subcommands]
        with_value += [f"'{path}:{name}'" for entry in flags if entry.takes_value for name in entry.names]
        names = [sub.path[-1] for sub in command.subcommands]
        names += [name for entry in flags for name in entry.names if name.startswith("--")]
        words.append(f"    '{path}') words='{' '.join(names)}' ;;\n")
    return (f"# Completion of {program} for bash; made from its --help.\n"
            f"{function}() {{\n"
            "  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}\n"
            "  local path='' words='' at\n"
            "  for ((at = 1; at < COMP_CWORD; ++at)); do\n"
            "    case \"$path:${COMP_WORDS[at]}\" in\n"
            f"{''.join(subcommands)}"
            f"      {'|'.join(with_value)}) ((++at)) ;;  # and its value\n"
            "    esac\n"
            "  done\n"
            "  COMPREPLY=()\n"
            "  case \"$path:$previous\" in\n"
            f"{''.join(bash_values(program_command))}"
            "  esac\n"
            "  case \"$path\" in\n"
            f"{''.join(words)}"
            "  esac\n"
            "  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
            "}\n"
            f"complete -o default -F {function} {program}\n")


def zsh_quoted(text):
    return "'" + text.replace("'", "'\\''") + "'"


def zsh_argument(entry):
    text = re.sub(r"([\[\]:\\])", r"\\\1", entry.text)
    value = ""
    if entry.choices:
        value = f":value:({' '.join(entry.choices)})"
    elif entry.takes_value:
        value = ":value:_files"
    for name in entry.names:
        # Several times where the value says so; else once.
        yield zsh_quoted(f"{'*' if '...' in entry.value else ''}{name}[{text}]{value}")


def zsh_command(program_command, command, depth):
    indent = "  " * depth
    arguments = [argument for entry in flags_of(program_command, command) for argument in zsh_argument(entry)]
    if not command.subcommands:
        lines = [*arguments, "'*:argument:_files'"]
        return f"{indent}_arguments \\\n{indent}  " + f" \\\n{indent}  ".join(lines) + "\n"
    lines = [*arguments, "'1:command:->command'", "'*::argument:->argument'"]
    described = [zsh_quoted(f"{sub.path[-1]}:{sub.about}") for sub in command.subcommands]
    text = f"{indent}_arguments -C \\\n{indent}  " + f" \\\n{indent}  ".join(lines) + "\n"
    text += (f"{indent}case $state in\n{indent}command)\n{indent}  commands=(\n{indent}    "
             + f"\n{indent}    ".join(described) + f"\n{indent}  )\n{indent}  _describe command commands ;;\n"
             f"{indent}argument)\n{indent}  case $line[1] in\n")
    for sub in command.subcommands:
        text += f"{indent}  {sub.path[-1]})\n{zsh_command(program_command, sub, depth + 2)}{indent}    ;;\n"
    return text + f"{indent}  esac ;;\n{indent}esac\n"


def zsh_completion(program, program_command):
    function = "_" + program
    return (f"#compdef {program}\n# Made from its --help.\n"
            f"{function}() {{\n"
            "  local curcontext=$curcontext state state_descr line\n"
            "  local -a commands\n"
            "  typeset -A opt_args\n"
            f"{zsh_command(program_command, program_command, 1)}"
            "}\n"
            f'{function} "$@"\n')


# Settings.

def commented(toml):
    """The text with every setting as a comment: what is not set keeps its default, also when that changes."""
    lines = [line if not line or line.startswith(("#", "[")) else "#" + line for line in toml.splitlines()]
    return "\n".join(lines).replace("[event_types]", "#[event_types]") + "\n"


def example_config(server):
    # Of the defaults alone, whatever stands in the builder's environment.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GROUNDSWELL_")}
    toml = subprocess.run([server, "serve", "--print-config"], check=True, capture_output=True, text=True,
                          env=environment, timeout=30).stdout
    return ("# Every setting of groundswell-server, with its default. Uncomment what should be otherwise.\n"
            "# Flags (--section.key=value) and the environment (GROUNDSWELL_SECTION_KEY) go before this file.\n\n"
            + commented(toml))


def main():
    server, client, version, share = sys.argv[1:]
    share = pathlib.Path(share)
    for program, path in (("groundswell-server", server), ("groundswell", client)):
        command = read_command(path)
        section = SECTIONS[program]
        write_gz(share / f"man/man{section}/{program}.{section}.gz", man_page(program, version, command))
        write(share / "bash-completion/completions" / program, bash_completion(program, command))
        write(share / "zsh/vendor-completions" / f"_{program}", zsh_completion(program, command))
    write(share / "doc/groundswell/config.toml.example", example_config(server))
    write_gz(share / "doc/groundswell/changelog.gz", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
