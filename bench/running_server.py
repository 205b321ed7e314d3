"""A groundswell-server that a benchmark starts, asks, and ends."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = ROOT / os.environ.get("BUILD_DIR", "build/release") / "bin"
SAMPLE = ROOT / "sample" / "online-retail"


def output(*command):
    """What a command prints; the benchmark ends where the command fails."""
    result = subprocess.run([str(part) for part in command], check=False, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)
    if result.returncode != 0:
        sys.exit(f"bench: {' '.join(map(str, command))} failed: {result.stderr.strip()}")
    return result.stdout


def sample_users(path, every=8):
    """Writes every so many-th user of the sample, one on a line."""
    lines = (SAMPLE / "users.jsonl").read_text().splitlines()
    path.write_text("".join(json.loads(line)["id"] + "\n" for line in lines[::every]))
    return path


def other_version(snapshot, directory):
    """A copy of a snapshot in `directory`, under another version, for a server to take in its place."""
    shutil.copytree(snapshot, directory)
    manifest = json.loads((directory / "manifest.json").read_text())
    (directory / "manifest.json").write_text(json.dumps(manifest | {"version": "other"}))
    return directory


class RunningServer:
    """Serves a snapshot on free ports, from a database that is made in `directory` where none is."""

    def __init__(self, snapshot, directory, *flags):
        self._database, self._flags = pathlib.Path(directory) / "database", flags
        if not self._database.exists():
            output(BIN / "groundswell-server", "import", "--snapshot", snapshot, "--data-dir",
                   self._database)
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [str(BIN / "groundswell-server"), "serve", f"--server.data_dir={self._database}",
             "--server.grpc_address=127.0.0.1:0", "--server.http_address=127.0.0.1:0",
             "--logging.level=warn", *self._flags], stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line.startswith("ready "):
            self.stop()
            sys.exit("bench: the server did not start; its message stands above")
        self.ports = {name: int(port) for name, port in (part.split("=") for part in line.split()[1:])}
        self.address = f"127.0.0.1:{self.ports['grpc_port']}"
        self._metrics_url = f"http://127.0.0.1:{self.ports['http_port']}/metrics"

    def stop(self):
        self.process.terminate()
        return self._wait()

    def kill(self):
        self.process.kill()
        return self._wait()

    def _wait(self):
        status = self.process.wait(timeout=120)
        self.process.stdout.close()
        return status

    def metrics(self):
        """The lines of its metrics."""
        with urllib.request.urlopen(self._metrics_url, timeout=10) as response:
            return response.read().decode().splitlines()

    def metric(self, name, having=""):
        """The sum of the samples whose line begins with `name` and has `having` in it."""
        return sum(float(line.split()[-1]) for line in self.metrics()
                   if line.startswith(name) and having in line)

    def resident_mib(self):
        return self.metric("process_resident_memory_bytes") / 2**20

    def call(self, *arguments):
        """What `groundswell --json` prints of one of its commands."""
        return json.loads(output(BIN / "groundswell", "--server", self.address, "--json", *arguments))

    def settle(self):
        """Waits until what was acknowledged is in the graph."""
        graph = {"log_end_offset": 1, "applied_offset": 0}
        while int(graph["applied_offset"]) < int(graph["log_end_offset"]):
            time.sleep(0.2)
            graph = self.call("status")["graph"]
