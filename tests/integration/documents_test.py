"""The command lines of README.md, of docs/ and of the programs' own examples: each names programs, commands and flags that are there, and
those that can be run on the sample are run, in the order of the documents.

    documents_test.py SERVER_PROGRAM CLIENT_PROGRAM
"""

import functools
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import textwrap
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "packaging"))
from command_help import read_command  # pylint: disable=wrong-import-position

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PROGRAMS = re.compile(r"^(groundswell|groundswell-server|(build|scripts|bench)/\S+|make|curl|openssl|head|(/usr/bin/)?python3|"
                      r"apt|systemctl|docker|cmake|pip|npm|cd|[A-Z_]+=\S+)(\s|$)")
TRAINER = re.compile(r"(/usr/bin/)?python3 -m trainer ([a-z-]+)")
# The beginnings of command lines that are not run here, and why.
NOT_RUN = (
    (r"make ", "installs, builds or trains everything; the tests are started by it"),
    (r"scripts/build|GROUNDSWELL_FAISS_DIR=", "compiles for minutes"),
    (r"docker ", "needs Docker; scripts/check-image runs the image without it"),
    (r"apt |systemctl ", "changes the system; package_test.py has what is installed, and the unit's command"),
    (r"cmake --install", "client_package_test.py does it"),
    (r"(/usr/bin/)?python3 -m trainer ", "trains, or takes its measures, for minutes; tests/trainer has the trainer's tests"),
    (r"python3 -m venv|build/venv/bin/pip |npm |cd console|scripts/install-client-tools",
     "takes packages of PyPI or of npm; the clients' and the console's tests do it"),
    (r"python3 tests/", "is a test of its own"),
    (r"bench/", "reads a data set that is not here"),
    (r"groundswell evaluate ", "takes minutes; evaluate_test.cc"),
    (r"groundswell-server (repair|restore) ", "wants a damaged database, or a backup; durability_test.cc and api_test.cc"),
    (r"groundswell-server replay ", "reads a snapshot that the trainer makes; replay_test.cc"),
    (r"groundswell --server other:", "another machine stands there"),
    (r"groundswell quickstart clicks", "wants a log with other columns; quickstart_test.cc"),
    (r"groundswell load ", "loads the server for ten seconds; cli_test.cc"),
    (r"groundswell (activate|rollback)\b", "wants another snapshot; snapshots_test.cc"),
    (r"groundswell backup ", "writes outside of this test's directory; durability_test.cc"),
    (r"groundswell (forget USER|remove-item ITEM|upsert-item ITEM)", "the words in capitals stand for ids; api_test.cc"),
    (r"curl -s --cacert", "wants certificates; connect_tls_test.py"),
)
RUN = {"groundswell", "groundswell-server", "curl", "openssl", "head", "echo"}
LIMIT_S = 60  # of one command, on a machine with much else to do
BATCH = ('{"interactions": [{"eventId": "documents-1", "userId": "17850", "itemId": "22423", "eventType": "purchase",'
         ' "eventTime": "2011-12-09T12:00:00Z"}]}\n')


def blocks(text):
    """Blocks of indented lines behind an empty one, which are code."""
    block, after_empty = [], True
    for line in [*text.splitlines(), "end"]:
        if line.startswith("    ") and (block or after_empty):
            block.append(line[4:])
        elif line.strip():
            yield textwrap.dedent("\n".join(block))
            block = []
        elif block:
            block.append("")
        after_empty = not line.strip()


def simple_commands(line):
    """The commands of a line, each as its words; without what they read and write, and comments."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words = []
    for token in [*lexer, ";"]:
        if token in (";", "&", "&&", "|", "||"):
            if words:
                yield words
            words = []
        else:
            words.append(token)


@functools.cache
def programs():
    return {"groundswell-server": read_command(SERVER), "groundswell": read_command(CLIENT)}


def command_lines():
    """(document, line) of each command of the documents, without a prefix of where the build is, and then of
    the examples that --help shows."""
    for document in DOCUMENTS:
        for block in blocks(document.read_text(encoding="utf-8")):
            for line in block.replace("\\\n", " ").splitlines():
                if PROGRAMS.match(line):
                    yield document.name, re.sub(r"\s+", " ", line).replace("build/release/bin/", "").strip()
    for program in programs().values():
        for command in program.walk():
            # A text in quotes may have several lines.
            for line in re.findall(r"(?:'[^']*'|[^'\n])+", "\n".join(command.examples)):
                yield " ".join(["the help of", program.usage.split()[0], *command.path]), line


def reason_not_to_run(line):
    return next((why for pattern, why in NOT_RUN if re.match(pattern, line)), None)


class FlagsTest(unittest.TestCase):
    """Every flag that a document names is one that the program knows."""

    def check(self, words, command, where):
        """The words behind a program, against it."""
        flags = {name: entry for entry in command.flags() for name in entry.names}
        words = iter(words)
        for word in words:
            if word in (">", "<"):
                next(words)
                continue
            sub = next((sub for sub in command.subcommands if sub.path[-1] == word), None)
            name, _, value = word.partition("=")
            if sub is not None:
                command = sub
                flags.update({name: entry for entry in command.flags() for name in entry.names})
            elif name.startswith("-") and len(name) > 1:
                self.assertIn(name, flags, where)
                if flags[name].takes_value and not value:
                    self.assertIsNotNone(next(words, None), f"{where}: {name} takes a value")
            else:
                self.assertFalse(command.subcommands, f"{where}: {word} is no command")

    def test_of_our_programs(self):
        seen = 0
        for document, line in command_lines():
            for words in simple_commands(line):
                if words[0] in programs():
                    self.check(words[1:], programs()[words[0]], f"{document}: {line}")
                    seen += 1
        self.assertGreater(seen, 30)

    def test_of_the_trainer(self):
        told = {}
        for document, line in command_lines():
            found = TRAINER.match(line)
            if not found:
                continue
            name = found.group(2)
            if name not in told:
                told[name] = subprocess.run(["/usr/bin/python3", "-m", "trainer", name, "--help"], check=True, text=True,
                                            capture_output=True, cwd=ROOT, timeout=LIMIT_S).stdout
            for word in shlex.split(line, comments=True)[4:]:
                if word.startswith("--"):
                    self.assertRegex(told[name], rf"(?m)(^|[\s\[]){re.escape(word)}\b", f"{document}: {line}")
        self.assertIn("compare", told)

    def test_of_scripts_and_targets(self):
        targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
        for document, line in command_lines():
            for words in simple_commands(line):
                words = [word for word in words if not re.match(r"[A-Z_]+=", word)]
                if words[0] == "make":
                    self.assertIn(words[1], targets, f"{document}: {line}")
                elif words[0].startswith(("scripts/", "bench/")):
                    script = (ROOT / words[0]).read_text(encoding="utf-8")
                    for word in words[1:]:
                        if word.startswith("--"):
                            self.assertIn(word, script, f"{document}: {line}")


class RunTest(unittest.TestCase):
    """One directory with what the documents name, and one server at a time."""

    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory(prefix="groundswell-test-")
        cls.addClassCleanup(cls.directory.cleanup)
        cls.place = pathlib.Path(cls.directory.name)
        programs = cls.place / "programs"
        programs.mkdir()
        (programs / "groundswell").symlink_to(CLIENT)
        (programs / "groundswell-server").symlink_to(SERVER)
        for name in ("sample", "data"):
            (cls.place / name).symlink_to(ROOT / name)
        (cls.place / "tmp").mkdir()
        (cls.place / "events.csv").write_text("timestamp,user,item\n1323432000,17850,22423\n", encoding="utf-8")
        rows = [f"{user},{item},2011-12-0{1 + item % 9}T10:00:00\n"
                for user in range(13_113, 13_133) for item in range(1, 9) if (user + item) % 3]
        (cls.place / "orders.csv").write_text("customer_id,sku,ts\n" + "".join(rows), encoding="utf-8")
        (cls.place / "batches.ndjson").write_text(BATCH, encoding="utf-8")
        # Ports of the tests' own: documents have those that are taken by default.
        cls.environment = {name: value for name, value in os.environ.items() if not name.startswith("GROUNDSWELL_")}
        cls.environment["PATH"] = f"{programs}:{cls.environment['PATH']}"
        for name in ("GRPC", "HTTP"):
            cls.environment[f"GROUNDSWELL_SERVER_{name}_ADDRESS"] = "127.0.0.1:0"
        cls.server, cls.ports, cls.log = None, {}, cls.place / "server.log"
        cls.addClassCleanup(cls.stop)

    @classmethod
    def stop(cls):
        if cls.server is None:
            return
        cls.server.send_signal(signal.SIGINT)
        status = cls.server.wait(LIMIT_S)
        cls.server.stdout.close()
        cls.server = None
        if status != 0:
            raise AssertionError(f"a server ended with {status}:\n{cls.log.read_text(encoding='utf-8')}")

    def start(self, line):
        """A command that serves until it is stopped, and the ports that it says."""
        self.stop()
        with open(self.log, "w", encoding="utf-8") as log:
            type(self).server = subprocess.Popen(["bash", "-c", f"exec {line}"], cwd=self.place, env=self.environment,
                                                 text=True, stdout=subprocess.PIPE, stderr=log)
        said = ""
        while not re.search(r"^ready .*\n|Ctrl-C", said, re.M):
            more = self.server.stdout.readline()
            self.assertTrue(more, f"{line}:\n{said}\n{self.log.read_text(encoding='utf-8')}")
            said += more
        type(self).ports = dict(re.findall(r"(\w+)_port=(\d+)", said))
        if found := re.search(r"listens on 127.0.0.1:(\d+) \(gRPC\)", said):
            type(self).ports = {"grpc": found.group(1),
                                "connect": re.search(r"http://127.0.0.1:(\d+)/groundswell.v1", said).group(1)}
        self.environment["GROUNDSWELL_SERVER"] = f"127.0.0.1:{self.ports['grpc']}"

    def run_line(self, line):
        line = re.sub(r"\bDIR\b", "data-dir", re.sub(r"(?<![\w/])/tmp/", "tmp/", line))
        words = next(simple_commands(line))
        if words[0] == "groundswell" and "quickstart" in words:
            data = f"quickstart-{len(list(self.place.glob('quickstart-*.toml')))}"
            return self.start(f"{line} --data {data} " + " ".join(
                f"--{name}-address 127.0.0.1:0" for name in ("grpc", "http", "connect")))
        if words[:2] == ["groundswell-server", "serve"]:
            return self.start(re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:0", re.sub(r" &( #.*)?$", "", line)))
        if words[0] == "groundswell-server":  # which has the database for itself
            self.stop()
        elif self.server is None:
            self.start("groundswell-server serve --server.data_dir=data-dir")
        line = re.sub(r"127\.0\.0\.1:7102", f"127.0.0.1:{self.ports.get('connect')}", line)
        done = subprocess.run(["bash", "-o", "pipefail", "-c", line], cwd=self.place, env=self.environment, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=LIMIT_S, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertTrue(words[0] != "curl" or '"code"' not in done.stdout, done.stdout)
        return None

    def test_what_can_run_runs(self):
        seen = set()
        for document, line in command_lines():
            # The same again would say the same; but a server is served from where the document says.
            if reason_not_to_run(line) or (line in seen and " serve " not in line and "quickstart" not in line):
                continue
            seen.add(line)
            with self.subTest(document=document, line=line):
                self.assertIn(line.split()[0], RUN, "NOT_RUN is to say why this is not run here")
                self.run_line(line)
            if document.endswith(" quickstart"):
                self.stop()  # what follows is of the sample
        self.assertGreater(len(seen), 15)

    def test_no_reason_is_left_over(self):
        lines = [line for _, line in command_lines()]
        for pattern, why in NOT_RUN:
            self.assertTrue(any(re.match(pattern, line) for line in lines), f"nothing begins so any more: {pattern} ({why})")


if __name__ == "__main__":
    SERVER, CLIENT = (str(pathlib.Path(path).resolve()) for path in sys.argv[1:3])
    unittest.main(argv=sys.argv[:1])
