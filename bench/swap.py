#!/usr/bin/python3
"""Recommend's latency while the retrieval index is built anew and swapped.

    bench/index_swap.py                        a catalogue of 200,000 items, the index that "auto" chooses
    bench/index_swap.py --factory HNSW32

A server on an invented snapshot (bench/large_snapshot.py) answers 200 calls/s. Vectors of a few items
change until it builds the index anew; calls go on until the new one serves. p99 before and during, in
runs of five seconds, and every call that was not answered OK. BUILD_DIR as in scripts/bench.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = ROOT / os.environ.get("BUILD_DIR", "build/release") / "bin"
DIM = 64
RUNS_BEFORE = 6
CHANGES = 20


def output(*command):
    return subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE,
                          text=True).stdout


def metric(url, name):
    with urllib.request.urlopen(url, timeout=10) as response:
        for line in response.read().decode().splitlines():
            if line.startswith(name):
                return float(line.split()[-1])
    return 0.0


class Server:
    def __init__(self, directory, arguments):
        output(BIN / "groundswell-server", "import", "--snapshot", directory / "snapshot",
               "--data-dir", directory / "database")
        self.process = subprocess.Popen(
            [str(BIN / "groundswell-server"), "serve", f"--server.data_dir={directory}/database",
             "--server.grpc_address=127.0.0.1:0", "--server.http_address=127.0.0.1:0",
             f"--retrieval.factory={arguments.factory}", f"--retrieval.changes_max={CHANGES}",
             "--logging.level=warn"], stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line.startswith("ready "):
            sys.exit("index_swap: the server did not start; its message stands above")
        ports = dict(part.split("=") for part in line.split()[1:])
        self.address = f"127.0.0.1:{ports['grpc_port']}"
        self.metrics_url = f"http://127.0.0.1:{ports['http_port']}/metrics"

    def builds(self):
        return metric(self.metrics_url, 'groundswell_index_builds_total{result="complete"}')

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=60)


def load(server, users):
    report = json.loads(output(BIN / "groundswell", "--server", server.address, "--json", "load",
                               "recommend", "--rate", 200, "--duration-s", 5, "--users-file", users))
    troubles = {code: count for code, count in report["codes"].items() if code != "OK"}
    if report["degraded"] or report["not_sent"]:
        troubles.update(degraded=report["degraded"], not_sent=report["not_sent"])
    return report["latency_ms"], troubles


def show(what, runs):
    p50, p99 = (statistics.median(latency[key] for latency, _ in runs) for key in ("p50", "p99"))
    worst = max(latency["p99"] for latency, _ in runs)
    troubles = [trouble for _, trouble in runs if trouble]
    print(f"{what}: {len(runs)} runs, p50 {p50:.2f} ms, p99 {p99:.2f} ms (the worst run {worst:.2f}), "
          f"troubles: {troubles or 'none'}", flush=True)
    return p99


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=200_000)
    parser.add_argument("--factory", default="auto", help="as retrieval.factory")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="groundswell-swap-") as name:
        directory = pathlib.Path(name)
        output(ROOT / "bench" / "large_snapshot.py", directory / "snapshot", "--users", 20_000, "--items",
               arguments.items, "--interactions", 1_000_000)
        users = directory / "users"
        users.write_text("".join(f"bench-user-{i}\n" for i in range(0, 20_000, 10)))
        items = [json.loads(line)["id"] for line in
                 (directory / "snapshot" / "items.jsonl").read_text().splitlines()[:CHANGES + 1]]
        server = Server(directory, arguments)
        try:
            load(server, users)
            before = show("before", [load(server, users) for _ in range(RUNS_BEFORE)])
            for item in items:
                output(BIN / "groundswell", "--server", server.address, "upsert-item", item,
                       "--embedding", ",".join(["0.1"] * DIM))
            during = []
            while server.builds() == 0:
                during.append(load(server, users))
            p99 = show("while the index is built, and swapped", during)
            print(f"p99 during / before: {p99 / before:.2f}")
        finally:
            server.stop()


if __name__ == "__main__":
    main()
