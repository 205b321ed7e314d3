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

    def start(self, body):
        """The command line with `body` in the place of a training."""
        return subprocess.Popen(
            [sys.executable, "-c", "import signal, sys, tempfile\nfrom trainer import __main__\n"
             f"def train(_):\n{body}\n__main__._train = train\nsys.argv = ['trainer', 'train', '--config', '-']\n"
             "__main__.main()"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def test_what_is_stopped_leaves_nothing_behind(self):
        with self.start("  with tempfile.TemporaryDirectory() as work:\n    print(work, flush=True)\n    signal.pause()") as process:
            work = process.stdout.readline().strip()
            self.assertTrue(pathlib.Path(work).is_dir())
            process.terminate()
            self.assertEqual(process.wait(60), 143)
        self.assertFalse(pathlib.Path(work).exists())

    def test_a_server_that_fails_is_told_in_a_line(self):
        with self.start("  import grpc\n  with grpc.insecure_channel('127.0.0.1:1') as channel:\n"
                        "    channel.unary_unary('/x/y')(b'', timeout=60)") as process:
            _, told = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 1)
        self.assertRegex(told, r"trainer: a server answered UNAVAILABLE: ")
        self.assertNotIn("Traceback", told)


if __name__ == "__main__":
    unittest.main()
