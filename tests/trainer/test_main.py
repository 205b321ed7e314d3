"""The trainer's command line, where it cannot do its work."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]


class MainTest(unittest.TestCase):
    def test_a_package_that_is_not_there_is_named_with_the_mend(self):
        with tempfile.TemporaryDirectory() as directory:
            for package in ("torch", "numpy"):
                pathlib.Path(directory, f"{package}.py").write_text(
                    f"raise ModuleNotFoundError(\"No module named '{package}'\", name='{package}')\n",
                    encoding="utf-8")
            ended = subprocess.run(
                [sys.executable, "-m", "trainer", "train", "--config", "trainer/online-retail.toml"],
                cwd=ROOT, env={**os.environ, "PYTHONPATH": directory}, capture_output=True, text=True,
                check=False)
        self.assertEqual(ended.returncode, 1)
        self.assertIn("No module named", ended.stderr)
        self.assertIn("scripts/install-packages --trainer", ended.stderr)
        self.assertNotIn("Traceback", ended.stderr)


if __name__ == "__main__":
    unittest.main()
