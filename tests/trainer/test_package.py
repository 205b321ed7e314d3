"""The trainer as a package: a wheel, installed into an environment of its own, away from the checkout.

Skipped, with a word, where what builds wheels or makes environments is not here (scripts/install-packages --test).
"""

import importlib.util
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
_SERVER = Path(os.environ.get("GROUNDSWELL_SERVER", _ROOT / "build/release/bin/groundswell-server")).resolve()
_NEEDED = ("ensurepip", "pip", "setuptools", "wheel")
# Users by items, of two tastes.
_TASTES = "import numpy as np; np.save('{0}.npy', np.repeat(np.eye(2, dtype=np.float32), 8, axis=0))"


def _run(*command, expected=0, **options):
    done = subprocess.run([str(part) for part in command], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          check=False, timeout=300, **options)
    if done.returncode != expected:
        raise AssertionError(f"{command} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


@unittest.skipUnless(all(importlib.util.find_spec(name) for name in _NEEDED), f"one of {', '.join(_NEEDED)} is not here")
class PackageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.work = Path(cls.enterClassContext(tempfile.TemporaryDirectory(prefix="groundswell-test-")))
        _run(_ROOT / "scripts/build-trainer", cls.work / "wheel")
        cls.environment = {name: value for name, value in os.environ.items()
                           if name != "PYTHONPATH" and not name.startswith("GROUNDSWELL_")}
        _run(sys.executable, "-m", "venv", "--system-site-packages", cls.work / "venv")
        cls.bin = cls.work / "venv/bin"
        # Its dependencies are those of Debian, and no registry is asked.
        _run(cls.bin / "pip", "install", "--no-index", *(cls.work / "wheel").glob("*.whl"), env=cls.environment)

    def run_there(self, *command, path="/usr/bin:/bin", **options):
        """Where no checkout is."""
        return _run(*command, cwd=self.work, env={**self.environment, "PATH": path, **options.pop("more", {})}, **options)

    def test_has_its_commands(self):
        self.assertIn("import-vectors", self.run_there(self.bin / "groundswell-train", "--help"))
        self.assertIn("--checkpoints", self.run_there(self.bin / "python", "-m", "trainer", "train", "--help"))

    def test_has_the_messages_of_the_api(self):
        # Without protoc.
        self.assertEqual(self.run_there(self.bin / "python", "-c", "from trainer import api; a = api.Api()\n"
                                        "print(a.RecommendRequest(user_id='17850', page_size=3).page_size)",
                                        path=str(self.work)), "3\n")

    def import_vectors(self, name, **options):
        for side in ("users", "items"):
            self.run_there(self.bin / "python", "-c", _TASTES.format(side))
            (self.work / f"{side}.txt").write_text("".join(f"{side}-{at}\n" for at in range(16)), encoding="utf-8")
        rows = "".join(f"{1300000000 + 60 * at},users-{at % 16},items-{(at % 16) // 8 * 8 + at % 7}\n" for at in range(96))
        (self.work / "events.csv").write_text("timestamp,user,item\n" + rows, encoding="utf-8")
        return self.run_there(self.bin / "groundswell-train", "import-vectors", "--users", "users.npy", "--items", "items.npy",
                              "--user-ids", "users.txt", "--item-ids", "items.txt", "--events", "events.csv", "--user-clusters", 2,
                              "--item-clusters", 2, "--name", name, "--output", name, **options)

    def test_finds_the_server(self):
        self.import_vectors("by-path", path=f"{_SERVER.parent}:/usr/bin:/bin")
        self.import_vectors("by-variable", more={"GROUNDSWELL_TRAINER_SERVER": str(_SERVER)})
        for name in ("by-path", "by-variable"):
            _run(_SERVER, "import", "--snapshot", self.work / name, "--data-dir", self.work / f"{name}-data")

    def test_names_the_mend_where_there_is_no_server(self):
        said = self.import_vectors("nowhere", expected=1)
        self.assertIn("there is no groundswell-server on PATH", said)
        self.assertIn("GROUNDSWELL_TRAINER_SERVER", said)
        said = self.import_vectors("nowhere", expected=1, more={"GROUNDSWELL_TRAINER_SERVER": "no/server"})
        self.assertIn("no/server is not there", said)


if __name__ == "__main__":
    unittest.main()
