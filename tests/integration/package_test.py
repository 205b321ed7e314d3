"""The Debian package, made of what the build directory holds: what is in it, and that it works.

    package_test.py BUILD_DIRECTORY

Its scripts for installing are not run: they change the system.
"""

import gzip
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
import unittest
import urllib.request

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "packaging"))
from command_help import read_command  # pylint: disable=wrong-import-position

START_S = 60
# Of 10: what `systemd-analyze security` says of a unit; those that it finds exposed begin at 4.
EXPOSURE_MAX = 2.0
PROGRAMS = {"groundswell": 1, "groundswell-server": 8}
# What a unit needs of the system that the package is installed to.
SYSTEM_UNITS = ("sysinit.target", "basic.target", "shutdown.target", "network-online.target",
                "network.target", "multi-user.target", "-.mount", "system.slice", "tmp.mount")


def environment():
    return {name: value for name, value in os.environ.items() if not name.startswith("GROUNDSWELL_")}


def run(*command, more=None, **options):
    """What a command prints; its output is shown when it fails. `more`: variables besides."""
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False, env={**environment(), **(more or {})}, **options)
    if done.returncode != 0:
        raise AssertionError(f"{command} returned {done.returncode}:\n{done.stdout}")
    return done.stdout


class PackageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.directory.cleanup)
        work = pathlib.Path(cls.directory.name)
        run("cpack", "-G", "DEB", "-B", work, "-D", "CPACK_DEBIAN_COMPRESSION_TYPE=gzip", cwd=BUILD)
        found = list(work.glob("*.deb"))
        if len(found) != 1:
            raise AssertionError(f"one package was to be made, there are {found}")
        cls.package = found[0]
        cls.root = work / "root"
        run("dpkg-deb", "-x", cls.package, cls.root)
        run("dpkg-deb", "-e", cls.package, work / "control")
        cls.control = work / "control"

    def usr(self, name):
        return self.root / "usr" / name

    # What is in it.

    def test_has_a_name_by_debians_rules_and_says_what_it_needs(self):
        fields = dict(re.findall(r"^([A-Z][\w-]*): (.*)$", (self.control / "control").read_text("utf-8"), re.M))
        version = run(self.usr("bin/groundswell"), "--version").strip()
        self.assertEqual(self.package.name, f"groundswell_{version}_{fields['Architecture']}.deb")
        self.assertEqual((fields["Package"], fields["Version"]), ("groundswell", version))
        needed = {part.split()[0] for part in fields["Depends"].split(",")}
        self.assertIn("adduser", needed)  # postinst's
        # Found by dpkg-shlibdeps, of the programs themselves.
        self.assertTrue(any(name.startswith("libgrpc++") for name in needed), needed)
        self.assertTrue(any(name.startswith("librocksdb") for name in needed), needed)

    def test_belongs_to_root_and_lies_where_packages_may(self):
        for line in run("dpkg-deb", "-c", self.package).splitlines():
            mode, owner, _, _, _, path = line.split(None, 5)
            self.assertEqual(owner, "root/root", line)
            if path.startswith("./usr/bin/") and path != "./usr/bin/":
                self.assertEqual(mode, "-rwxr-xr-x", line)
            else:
                self.assertIn(mode, ("drwxr-xr-x", "-rw-r--r--"), line)
            self.assertRegex(path, r"^\./(etc/(groundswell/.*)?|usr/((bin|lib|share)/.*)?)$")

    def test_has_the_files_of_a_package_of_debian(self):
        for name in ("copyright", "changelog.gz", "README.md", "docs/operations.md", "config.toml.example"):
            self.assertTrue(self.usr(f"share/doc/groundswell/{name}").is_file(), name)
        with gzip.open(self.usr("share/doc/groundswell/changelog.gz"), "rt", encoding="utf-8") as changelog:
            self.assertEqual(changelog.readline(), "# Changelog\n")
        files = {str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file()}
        sums = {line.split("  ", 1)[1] for line in (self.control / "md5sums").read_text("utf-8").splitlines()}
        # Settings are not checked against a sum: they are the administrator's.
        self.assertEqual(files - sums, {"etc/groundswell/config.toml", "etc/groundswell/train.toml"} - sums)
        conffiles = (self.control / "conffiles").read_text("utf-8").splitlines()
        self.assertEqual(conffiles, [f"/{name}" for name in sorted(files) if name.startswith("etc/")])

    def test_documents_lead_to_files_of_the_package(self):
        directory = self.usr("share/doc/groundswell")
        seen = 0
        for document in [directory / "README.md", *(directory / "docs").rglob("*.md")]:
            for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text("utf-8")):
                path = link.split("#")[0]
                if "://" not in link and path:
                    seen += 1
                    self.assertTrue((document.parent / path).is_file(), f"{document.relative_to(directory)}: {link}")
        self.assertGreater(seen, 100)

    def test_scripts_of_the_package_are_sound(self):
        for name in ("postinst", "prerm", "postrm"):
            script = self.control / name
            self.assertEqual(script.stat().st_mode & 0o777, 0o755, name)
            self.assertIn("\nset -e\n", script.read_text("utf-8"), name)
            run("sh", "-n", script)
        for name in ("prerm", "postrm"):  # the database is the administrator's
            self.assertNotRegex((self.control / name).read_text("utf-8"), r"\brm\b|deluser")

    def test_programs_are_stripped(self):
        for name in PROGRAMS:
            self.assertNotIn(".debug_info", run("readelf", "-SW", self.usr(f"bin/{name}")))

    # What is made of --help.

    def test_man_pages_tell_every_command_and_flag(self):
        for name, section in PROGRAMS.items():
            page = self.usr(f"share/man/man{section}/{name}.{section}.gz")
            done = subprocess.run(["man", "--warnings", "-E", "ascii", "-l", page], text=True, check=True,
                                  capture_output=True, env={**environment(), "MANWIDTH": "400"})
            self.assertEqual(done.stderr, "")
            told = set(re.findall(r"--[\w.-]+|[\w-]+", re.sub(r".\x08", "", done.stdout)))
            for command in read_command(str(self.usr(f"bin/{name}"))).walk():
                self.assertLessEqual(set(command.path), told)
                for entry in command.flags():
                    self.assertLessEqual({flag for flag in entry.names if flag.startswith("--")}, told)

    def completed(self, *words):
        """What bash proposes for the last word of a line."""
        script = self.usr(f"share/bash-completion/completions/{words[0]}")
        text = (f"source {shlex.quote(str(script))}\nCOMP_WORDS=({shlex.join(words)})\nCOMP_CWORD={len(words) - 1}\n"
                f"_{words[0].replace('-', '_')}\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n")
        return run("bash", "--norc", "-c", text).split()

    def test_bash_completes(self):
        self.assertEqual(self.completed("groundswell", "reco"), ["recommend"])
        self.assertEqual(self.completed("groundswell", "ingest", "--form"), ["--format"])
        self.assertEqual(self.completed("groundswell", "ingest", "--format", ""), ["auto", "csv", "jsonl"])
        self.assertEqual(self.completed("groundswell", "rules", "s"), ["set"])
        # The program's own flags are taken behind a command too; and a value is no command.
        self.assertEqual(self.completed("groundswell", "recommend", "--jso"), ["--json"])
        self.assertEqual(self.completed("groundswell", "--server", "rules", "stat"), ["status"])
        self.assertEqual(self.completed("groundswell-server", "serve", "--tls.cert"), ["--tls.certificate_file"])
        self.assertEqual(self.completed("groundswell-server", "serve", "--config", ""), [])  # files

    def test_zsh_completes(self):
        # The functions that zsh brings stand here for what they are told.
        functions = ('_arguments() { print -rl -- "$@"; state=argument; line=(ingest) }\n'
                     '_describe() { print -rl -- "$2" }\n')
        for name, flag in (("groundswell", "--format[How to read the file]:value:(auto csv jsonl)"),
                           ("groundswell-server", "--version[Display program version information and exit]")):
            script = self.usr(f"share/zsh/vendor-completions/_{name}")
            self.assertEqual(script.read_text("utf-8").splitlines()[0], f"#compdef {name}")
            self.assertIn(flag, run("zsh", "-f", "-c", functions + f". {shlex.quote(str(script))}").splitlines())

    # Settings.

    def settings(self, *arguments):
        return run(self.usr("bin/groundswell-server"), "serve", "--print-config", *arguments)

    def test_the_example_has_every_setting_at_its_default(self):
        example = self.usr("share/doc/groundswell/config.toml.example")
        defaults = self.settings()
        self.assertEqual(self.settings("--config", example), defaults)
        uncommented = re.sub(r"^#(?=[a-z_]+ = |\[)", "", example.read_text("utf-8"), flags=re.M)
        changed = uncommented.replace("queue_max = 256", "queue_max = 257")
        for text, expected in ((uncommented, defaults), (changed, defaults.replace("= 256\n# Requests that wait",
                                                                                   "= 257\n# Requests that wait"))):
            path = pathlib.Path(self.directory.name, "uncommented.toml")
            path.write_text(text, encoding="utf-8")
            self.assertEqual(self.settings("--config", path), expected)
        self.assertEqual(uncommented.count(" = "), example.read_text("utf-8").count(" = "))

    # The service.

    def test_systemd_finds_nothing_wrong_with_the_unit(self):
        root = pathlib.Path(self.directory.name) / "system"
        shutil.copytree(self.root, root)
        units = root / "usr/lib/systemd/system"
        for name in SYSTEM_UNITS:
            kind = "Mount" if name.endswith(".mount") else "Unit"
            where = {"-.mount": "/", "tmp.mount": "/tmp"}.get(name)
            text = f"[Mount]\nWhat=tmpfs\nWhere={where}\n" if kind == "Mount" else "[Unit]\nDescription=A part\n"
            (units / name).write_text(text, encoding="utf-8")
        said = run("systemd-analyze", "verify", "--man=no", f"--root={root}", "groundswell.service", "groundswell-train.service",
                   "groundswell-train.timer")
        self.assertEqual(said, "")
        for unit in ("groundswell.service", "groundswell-train.service"):
            said = run("systemd-analyze", "security", "--offline=true", "--no-pager", f"--root={root}", unit)
            exposure = float(re.search(rf"Overall exposure level for {unit}: ([\d.]+)", said).group(1))
            self.assertLessEqual(exposure, EXPOSURE_MAX, said)

    def test_the_unit_that_trains_calls_what_is_there(self):
        unit = self.usr("lib/systemd/system/groundswell-train.service").read_text("utf-8")
        command = re.search(r"^ExecStart=/usr/bin/groundswell (.*)$", unit, re.M).group(1).split()
        self.assertTrue((self.root / "etc/groundswell/train.toml").is_file())
        self.assertEqual(command[command.index("--config") + 1], "/etc/groundswell/train.toml")
        # Settings that are comments are none.
        tomllib.loads((self.root / "etc/groundswell/train.toml").read_text("utf-8"))
        said = run(self.usr("bin/groundswell-train"), "refresh", "--help", cwd="/")
        for flag in (word for word in command if word.startswith("--")):
            self.assertIn(flag, said)
        # The messages of the API, without the compiler of their files.
        said = run("/usr/bin/python3", "-B", "-P", "-c", "from trainer import api; print(api.Api().RecommendRequest(page_size=3).page_size)",
                   cwd="/", more={"PYTHONPATH": str(self.usr("share/groundswell")), "PATH": "/nowhere"})
        self.assertEqual(said, "3\n")

    def start_as_the_unit_does(self, data):
        unit = self.usr("lib/systemd/system/groundswell.service").read_text("utf-8")
        command = re.search(r"^ExecStart=(.*)$", unit, re.M).group(1).split()
        self.assertEqual(command[0], "/usr/bin/groundswell-server")
        config = command[command.index("--config") + 1]
        self.assertTrue((self.root / config.lstrip("/")).is_file(), config)
        # The packages' files where they were unpacked; a directory and ports of the test's own.
        command = [str(self.root / part.lstrip("/")) if part.startswith("/") else part for part in command]
        server = subprocess.Popen(
            [*command, f"--server.data_dir={data}", "--logging.level=warn",
             f"--request.consistency_wait_ms={1000 * START_S}",
             *(f"--server.{name}_address=127.0.0.1:0" for name in ("grpc", "http", "connect"))],
            stdout=subprocess.PIPE, text=True, env=environment())
        self.addCleanup(server.stdout.close)
        self.addCleanup(server.wait, START_S)
        self.addCleanup(server.terminate)
        line = server.stdout.readline()
        self.assertTrue(line.startswith("ready "), line)
        return dict(part.split("=") for part in line.split()[1:])

    def test_a_log_becomes_recommendations_over_http(self):
        work = pathlib.Path(self.directory.name)
        log = work / "orders.csv"
        now = int(time.time())
        rows = [f"{user},{item},{now - 1000 + 10 * user + item}\n"
                for user in range(1, 20) for item in range(1, 12) if (user + item) % 3]
        log.write_text("customer_id,sku,ts\n" + "".join(rows), encoding="utf-8")
        database = work / "database"
        database.mkdir()
        ports = self.start_as_the_unit_does(database)
        printed = run(self.usr("bin/groundswell"), "--json", "--server", f"127.0.0.1:{ports['grpc_port']}", "ingest",
                      "--sort", log)
        summary = json.loads(printed.splitlines()[-1])
        self.assertEqual(summary["accepted"], len(rows), printed)
        request = urllib.request.Request(
            f"http://127.0.0.1:{ports['connect_port']}/groundswell.v1.RecommendationService/Recommend",
            data=json.dumps({"userId": "4", "consistencyToken": summary["consistency_token"]}).encode(),
            headers={"Content-Type": "application/json", "Connect-Timeout-Ms": str(1000 * START_S)})
        with urllib.request.urlopen(request, timeout=START_S) as answer:
            items = json.load(answer)["items"]
        # What the customer did not buy.
        self.assertEqual({item["itemId"] for item in items}, {"2", "5", "8", "11"})


if __name__ == "__main__":
    BUILD = sys.argv.pop(1)
    unittest.main()
