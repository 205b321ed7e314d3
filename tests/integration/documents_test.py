"""The code of README.md, of docs/ and of the programs' own examples. Command lines name programs, commands and flags that are there;
those that can be run on the sample are run, and the blocks in Python between them, in the order of the documents. Settings and JSON are
read. Links lead to what is there.

    documents_test.py SERVER_PROGRAM CLIENT_PROGRAM PYTHON_CLIENT

PYTHON_CLIENT is a directory with the package `groundswell` and what it needs beyond Debian's (scripts/build-clients).
"""

import functools
import importlib.util
import json
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import tomllib
import unittest
import urllib.parse

sys.dont_write_bytecode = True
from document_blocks import (DOCUMENTS, ROOT, documented_blocks, is_cpp,  # pylint: disable=wrong-import-position
                             is_python, is_typescript, read_as)

sys.path.insert(0, str(ROOT / "packaging"))
from command_help import read_command  # pylint: disable=wrong-import-position

# Whose links are followed, too.
OTHER_DOCUMENTS = [ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("bench/*.md")), *sorted(ROOT.glob("clients/*/README.md")),
                   ROOT / "data/online-retail/README.md", ROOT / "sample/README.md"]
PROGRAMS = re.compile(r"^(groundswell|groundswell-server|groundswell-train|(build|scripts|bench)/\S+|make|curl|openssl|head|zstdcat|"
                      r"mkdir|(/usr/bin/)?python3|apt|systemctl|docker|cmake|pip|npm|protoc|cd|[A-Z_]+=\S+)(\s|$)")
TRAINER = re.compile(r"(?:(?:/usr/bin/)?python3 -m trainer|groundswell-train) ([a-z-]+)")
# The beginnings of command lines that are not run here, and why.
NOT_RUN = (
    (r"make ", "installs, builds or trains everything; the tests are started by it"),
    (r"scripts/build|scripts/install-packages|GROUNDSWELL_FAISS_DIR=", "installs, or compiles for minutes"),
    (r"docker ", "needs Docker; scripts/check-image runs the image without it"),
    (r"apt |systemctl ", "changes the system; package_test.py has what is installed, and the unit's command"),
    (r"cmake --install", "client_package_test.py does it"),
    (r"(/usr/bin/)?python3 -m trainer (?!train --config shop.toml)",
     "trains, or takes its measures, for minutes; tests/trainer has the trainer's tests"),
    (r"python3 -m venv|build/venv/bin/pip |npm |cd console|scripts/(install-client-tools|build-clients|build-trainer)",
     "takes packages of PyPI or of npm; the clients' and the console's tests do it"),
    (r"protoc ", "generated_test.py"),
    (r"groundswell train( |$)", "trains for minutes; trainer/test_refresh.py"),
    (r"python3 tests/", "is a test of its own"),
    (r"bench/", "reads a data set that is not here"),
    (r"groundswell evaluate ", "takes minutes; evaluate_test.cc"),
    (r"groundswell-server (repair|restore) ", "wants a damaged database, or a backup; durability_test.cc and api_test.cc"),
    (r"groundswell-server (create-log|leave-log) |groundswell-server serve .*--log\.kafka", "wants a broker; scale_out_test.py"),
    (r"groundswell-server replay ", "reads a snapshot that the trainer makes; replay_test.cc"),
    (r"groundswell --server other:", "another machine stands there"),
    (r"groundswell quickstart clicks", "wants a log with other columns; quickstart_test.cc"),
    (r"groundswell load ", "loads the server for ten seconds; cli_test.cc"),
    (r"groundswell (activate (?!\"\$PWD/shop-snapshot)|rollback\b)", "wants another snapshot; snapshots_test.cc"),
    (r"groundswell ingest-kafka |scripts/kafka ", "wants a broker; kafka_test.cc"),
    (r"groundswell backup ", "writes outside of this test's directory; durability_test.cc"),
    (r"groundswell (forget |remove-item ITEM|upsert-item ITEM)", "the words in capitals stand for ids; api_test.cc"),
    (r"groundswell-server (import|serve) .*\bmine\b", "trainer/test_foreign.py makes such a snapshot"),
    (r"groundswell-train ", "trains for minutes, or wants vectors; trainer/test_package.py"),
    (r"curl -s --cacert", "wants certificates; connect_tls_test.py"),
)
RUN = {"groundswell", "groundswell-server", "groundswell-train", "curl", "openssl", "head", "mkdir", "zstdcat", "echo",
       "/usr/bin/python3"}
# In the paragraph before the text of a file.
FILE_NAME = re.compile(r"`([\w-]+\.(?:toml|jsonl))`")
# Of a trainer's configuration.
TRAINERS_TABLES = {"snapshot", "data", "events", "lightgcn", "als", "clusters", "rows", "ranker", "serving"}
LIMIT_S = 60  # of one command, on a machine with much else to do
TRAINING_LIMIT_S = 600
# Runs the blocks of one document, one after the other, each a line of JSON; answers with what it printed and a line of JSON, which
# has what went wrong.
PYTHON = ["/usr/bin/python3", "-c", """
import ast, asyncio, inspect, json, sys, traceback
names, wrong = {"__name__": "__main__"}, ""
for line in sys.stdin:
    try:
        code = compile(json.loads(line), "block", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        done = eval(code, names)
        if inspect.iscoroutine(done):
            asyncio.run(done)
    except BaseException:
        wrong = traceback.format_exc()
    print("\\n" + json.dumps({"wrong": wrong}), flush=True)
"""]
BATCH = ('{"interactions": [{"eventId": "documents-1", "userId": "17850", "itemId": "22423", "eventType": "purchase",'
         ' "eventTime": "2011-12-09T12:00:00Z"}]}\n')


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


def steps():
    """(document, kind, text) in the order of the documents: a block in "python", a "command" line without a prefix of where the build
    is, or a "file", whose name is the first line; and then the examples that --help shows."""
    for document, paragraph, block in documented_blocks():
        if is_python(block):
            yield document, "python", block
            continue
        if FILE_NAME.search(paragraph) and (read_as(tomllib.loads, block) or read_as(json.loads, block)):
            yield document, "file", f"{FILE_NAME.search(paragraph).group(1)}\n{block}"
            continue
        for line in block.replace("\\\n", " ").splitlines():
            if PROGRAMS.match(line):
                yield document, "command", re.sub(r"\s+", " ", line).replace("build/release/bin/", "").strip()
    for program in programs().values():
        for command in program.walk():
            # A text in quotes may have several lines.
            for line in re.findall(r"(?:'[^']*'|[^'\n])+", "\n".join(command.examples)):
                yield " ".join(["the help of", program.usage.split()[0], *command.path]), "command", line


def command_lines():
    return ((document, step) for document, kind, step in steps() if kind == "command")


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
            name = found.group(1)
            if name not in told:
                told[name] = subprocess.run(["/usr/bin/python3", "-m", "trainer", name, "--help"], check=True, text=True,
                                            capture_output=True, cwd=ROOT, timeout=LIMIT_S).stdout
            for word in shlex.split(line, comments=True):
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


class BlocksTest(unittest.TestCase):
    """Settings and JSON that a document shows can be read, and are of those that there are."""

    def test_of_settings(self):
        seen = 0
        for document, _, block in documented_blocks():
            tables = None if is_python(block) else read_as(tomllib.loads, block)
            if not tables:
                continue
            seen += 1
            with self.subTest(document=document, block=block):
                is_trainers = TRAINERS_TABLES.intersection(tables) or isinstance(tables.get("encoder"), list)
                if not is_trainers and "client" not in tables:
                    self.check_servers(block)
                elif "snapshot" in tables and importlib.util.find_spec("torch"):
                    self.check_trainers(block)
        self.assertGreater(seen, 4)

    def check_trainers(self, block):
        """By the trainer itself."""
        with tempfile.NamedTemporaryFile("w", suffix=".toml", encoding="utf-8") as file:
            file.write(block)
            file.flush()
            done = subprocess.run(["/usr/bin/python3", "-c", "import sys; from trainer import configuration as c\n"
                                   "config = c.read(sys.argv[1])\n"
                                   "for read in (c.embeddings_of, c.encoders_of, c.rankers_of, c.rows, c.serving): read(config)",
                                   file.name], cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  timeout=TRAINING_LIMIT_S, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)

    def check_servers(self, block):
        """By the server itself."""
        with tempfile.NamedTemporaryFile("w", suffix=".toml", encoding="utf-8") as file:
            file.write(block)
            file.flush()
            environment = {name: value for name, value in os.environ.items() if not name.startswith("GROUNDSWELL_")}
            done = subprocess.run([SERVER, "serve", "--print-config", "--config", file.name], text=True, env=environment,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=LIMIT_S, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_of_other_languages_run_elsewhere(self):
        """Of C++ in client_package_test.py, of TypeScript in typescript_test.py: they are told apart there as here."""
        kinds = [(is_cpp(block), is_typescript(block)) for _, _, block in documented_blocks()]
        self.assertIn((True, False), kinds)
        self.assertIn((False, True), kinds)
        self.assertNotIn((True, True), kinds)

    def test_of_json(self):
        seen = 0
        for document, _, block in documented_blocks():
            if block.startswith("{") and ".." not in block:  # ..: of what is left out
                with self.subTest(document=document, block=block):
                    json.loads(block)
                    seen += 1
        self.assertGreater(seen, 2)


class MessagesTest(unittest.TestCase):
    """docs/troubleshooting.md tells of messages that the programs have: the code in the first column of its tables, in parts where it
    has "..."."""

    def test_are_in_the_sources(self):
        files = [path for folder in ("server", "client", "csv", "program", "graph", "models", "trainer", "proto")
                 for path in (ROOT / folder).rglob("*") if path.suffix in (".cc", ".h", ".py", ".proto")]
        # Texts that go on in the next line, in C++ and in Python.
        text = re.sub(r'"\s*\n\s*f?"', "", "\n".join(path.read_text(encoding="utf-8") for path in files)).replace('\\"', '"')
        seen = 0
        for line in (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8").splitlines():
            for message in re.findall(r"`([^`]+)`", line.split(" | ")[0]) if line.startswith("| ") else ():
                for part in filter(None, (part.strip(" ;:") for part in message.split("..."))):
                    with self.subTest(message=message):
                        self.assertTrue(part in text, part)
                        seen += 1
        self.assertGreater(seen, 60)


class LinksTest(unittest.TestCase):
    """A link within the repository leads to a file, and to a heading of it, that are there."""

    @staticmethod
    @functools.cache
    def anchors(path):
        text = path.read_text(encoding="utf-8")
        headings = re.findall(r"(?m)^#+ (.*)$", text)
        plain = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower() for heading in headings]
        return {re.sub(r"[^\w -]", "", heading).replace(" ", "-") for heading in plain} | set(re.findall(r'<a id="([^"]+)"', text))

    def test_of_all_documents(self):
        seen = 0
        for document in [*DOCUMENTS, *OTHER_DOCUMENTS]:
            for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8")):
                link = urllib.parse.urlsplit(target)
                if link.scheme:
                    continue
                seen += 1
                with self.subTest(document=str(document.relative_to(ROOT)), link=target):
                    path = (document.parent / link.path).resolve() if link.path else document
                    self.assertTrue(path.exists())
                    if link.fragment:
                        self.assertIn(link.fragment, self.anchors(path))
        self.assertGreater(seen, 100)


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
        (cls.place / "items.csv").write_text("item,title,category\n99001,Blue lamp,lamps\n", encoding="utf-8")
        (cls.place / "items.ndjson").write_text('{"requests": [{"itemId": "99001", "title": "Blue lamp"}]}\n', encoding="utf-8")
        # Ports of the tests' own: documents have those that are taken by default.
        cls.environment = {name: value for name, value in os.environ.items() if not name.startswith("GROUNDSWELL_")}
        cls.environment["PATH"] = f"{programs}:{cls.environment['PATH']}"
        for name in ("GRPC", "HTTP"):
            cls.environment[f"GROUNDSWELL_SERVER_{name}_ADDRESS"] = "127.0.0.1:0"
        cls.environment["PYTHONPATH"] = f"{pathlib.Path(PYTHON_CLIENT).resolve()}:{ROOT}"  # the client's, the trainer's
        cls.server, cls.ports, cls.log = None, {}, cls.place / "server.log"
        cls.data_dir = "data-dir"  # of the server that runs
        cls.interpreter = None
        cls.addClassCleanup(cls.stop)
        cls.addClassCleanup(cls.end_python)

    @classmethod
    def stop(cls):
        if cls.server is None:
            return
        cls.server.send_signal(signal.SIGINT)
        status = cls.server.wait(LIMIT_S)
        cls.server.stdout.close()
        cls.server = None
        if status != 0:
            raise AssertionError(f"a server ended with {status}:\n{cls.log.read_text(encoding='utf-8')[-2000:]}")

    def start(self, line):
        """A command that serves until it is stopped, and the ports that it says."""
        self.stop()
        with open(self.log, "w", encoding="utf-8") as log:
            type(self).server = subprocess.Popen(["bash", "-c", f"exec {line}"], cwd=self.place, env=self.environment,
                                                 text=True, stdout=subprocess.PIPE, stderr=log)
        said = ""
        while not re.search(r"^ready .*\n|Ctrl-C", said, re.M):
            more = self.server.stdout.readline()
            self.assertTrue(more, f"{line}:\n{said}\n{self.log.read_text(encoding='utf-8')[-2000:]}")
            said += more
        type(self).ports = dict(re.findall(r"(\w+)_port=(\d+)", said))
        if found := re.search(r"listens on 127.0.0.1:(\d+) \(gRPC\)", said):
            type(self).ports = {"grpc": found.group(1),
                                "connect": re.search(r"http://127.0.0.1:(\d+)/groundswell.v1", said).group(1)}
        self.environment["GROUNDSWELL_SERVER"] = f"127.0.0.1:{self.ports['grpc']}"

    @classmethod
    def end_python(cls):
        if cls.interpreter is not None:
            cls.interpreter.stdin.close()
            cls.interpreter.wait(LIMIT_S)
            cls.interpreter.stdout.close()
            cls.interpreter = None

    def run_python(self, block):
        """A block, which knows those of its document before it."""
        if self.server is None:
            self.start("groundswell-server serve --server.data_dir=data-dir")
        if self.interpreter is None:
            type(self).interpreter = subprocess.Popen(PYTHON, cwd=self.place, env=self.environment, text=True,
                                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        block = block.replace("localhost:7100", f"localhost:{self.ports['grpc']}")
        self.interpreter.stdin.write(json.dumps(block) + "\n")
        self.interpreter.stdin.flush()
        said = ""
        while not (answer := re.search(r'^(\{"wrong": .*\})\n', said, re.M)):
            more = self.interpreter.stdout.readline()
            self.assertTrue(more, said)
            said += more
        self.assertEqual(json.loads(answer.group(1))["wrong"], "", said)

    def run_line(self, line):
        if "shop-snapshot" in line and not (self.place / "shop-snapshot").exists():
            self.skipTest("was not trained")
        line = re.sub(r"\bDIR\b", "data-dir", re.sub(r"(?<![\w/])/tmp/", "tmp/", line))
        words = next(simple_commands(line))
        if words[0] == "groundswell" and "quickstart" in words:
            type(self).data_dir = f"quickstart-{len(list(self.place.glob('quickstart-*.toml')))}"
            return self.start(f"{line} --data {self.data_dir} " + " ".join(
                f"--{name}-address 127.0.0.1:0" for name in ("grpc", "http", "connect") if f"--{name}-address" not in line))
        line = line.replace("groundswell-data", self.data_dir)
        if words[:2] == ["groundswell-server", "serve"]:
            line = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:0", re.sub(r" &( #.*)?$", "", line))
            config = re.search(r"--config (\S+)", line)
            if config and "connect_address" in (self.place / config.group(1)).read_text(encoding="utf-8"):
                line += " --server.connect_address=127.0.0.1:0"
            return self.start(line)
        if words[0] == "groundswell-server":  # which has the database for itself
            self.stop()
        elif self.server is None and words[0] in ("groundswell", "curl"):
            self.start("groundswell-server serve --server.data_dir=data-dir")
        line = re.sub(r"(?<=--server )127\.0\.0\.1:7\d00", self.environment.get("GROUNDSWELL_SERVER", ""), line)
        # However busy the machine is.
        line = re.sub(r"^groundswell ", f"groundswell --timeout-ms {1000 * LIMIT_S} ", line)
        line = re.sub(r"127\.0\.0\.1:7102", f"127.0.0.1:{self.ports.get('connect')}", line)
        if words[0].endswith("python3") and importlib.util.find_spec("torch") is None:
            self.skipTest("PyTorch is not here (scripts/install-packages --trainer)")
        done = subprocess.run(["bash", "-o", "pipefail", "-c", line], cwd=self.place, env=self.environment, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                              timeout=TRAINING_LIMIT_S if words[0].endswith("python3") else LIMIT_S)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertTrue(words[0] != "curl" or '"code"' not in done.stdout, done.stdout)
        return None

    def test_what_can_run_runs(self):
        seen, last = set(), None
        for document, kind, step in steps():
            # The same again would say the same; but a server is served from where the document says, and what a file is
            # written of is the document's own server.
            is_of_document = any(part in step for part in (" serve ", "quickstart", " > "))
            if (kind == "command" and reason_not_to_run(step)) or (step in seen and not is_of_document):
                continue
            if document != last:
                self.end_python()
                if self.data_dir.startswith("quickstart"):
                    self.stop()  # what follows is of the sample
                    type(self).data_dir = "data-dir"
            seen.add(step)
            last = document
            with self.subTest(document=document, step=step):
                if kind == "python":
                    self.run_python(step)
                    continue
                if kind == "file":
                    name, text = step.split("\n", 1)
                    (self.place / name).write_text(text, encoding="utf-8")
                    continue
                self.assertIn(step.split()[0], RUN, "NOT_RUN is to say why this is not run here")
                self.run_line(step)
        self.assertGreater(len(seen), 15)

    def test_no_reason_is_left_over(self):
        lines = [line for _, line in command_lines()]
        for pattern, why in NOT_RUN:
            self.assertTrue(any(re.match(pattern, line) for line in lines), f"nothing begins so any more: {pattern} ({why})")


if __name__ == "__main__":
    SERVER, CLIENT, PYTHON_CLIENT = (str(pathlib.Path(path).resolve()) for path in sys.argv[1:4])
    unittest.main(argv=sys.argv[:1])
