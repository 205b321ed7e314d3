#!/usr/bin/python3
"""Recommend's latency while the retrieval index, or the snapshot, is replaced.

    bench/swap.py index                        a catalogue of 200,000 items, the index that "auto" chooses
    bench/swap.py index --factory HNSW32
    bench/swap.py snapshot --activations 6

A server on an invented snapshot (bench/large_snapshot.py) answers 200 calls/s. `index`: vectors of a few
items change until it builds the index anew, and calls go on until the new one serves. `snapshot`: another
version is activated and rolled back in turn. p99 before and during, in runs of five seconds, and every call
that was not answered OK. BUILD_DIR as in scripts/bench.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import tempfile

from running_server import BIN, ROOT, RunningServer, other_version, output

DIM = 64
RUNS_BEFORE = 6
CHANGES = 20
RUN_S = 5
USERS = 20_000


def load(server, users):
    report = server.call("load", "recommend", "--rate", 200, "--duration-s", RUN_S, "--users-file", users)
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


def replace_index(server, directory, users):
    """Runs until the server has built an index of which some items changed."""
    items = [json.loads(line)["id"] for line in
             (directory / "snapshot" / "items.jsonl").read_text().splitlines()[:CHANGES + 1]]
    for item in items:
        server.call("upsert-item", item, "--embedding", ",".join(["0.1"] * DIM))
    during = []
    while server.metric("groundswell_index_builds_total", 'result="complete"') == 0:
        during.append(load(server, users))
    return during


def replace_snapshot(server, directory, users, activations):
    """Runs, each with an activation under way when it begins, and until so many are over."""
    other = other_version(directory / "snapshot", directory / "other")
    during = []
    for number in range(activations):
        command = ["activate", str(other)] if number == 0 else ["rollback"]
        process = subprocess.Popen([str(BIN / "groundswell"), "--server", server.address, *command],
                                   stdout=subprocess.DEVNULL)
        while process.poll() is None:
            during.append(load(server, users))
        if process.returncode != 0:
            raise SystemExit(f"swap: {' '.join(command)} failed; its message stands above")
    return during


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("index", "snapshot"))
    parser.add_argument("--items", type=int, default=200_000)
    parser.add_argument("--factory", default="auto", help="as retrieval.factory")
    parser.add_argument("--activations", type=int, default=6, help="of snapshot")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="groundswell-swap-") as name:
        directory = pathlib.Path(name)
        output(ROOT / "bench" / "large_snapshot.py", directory / "snapshot", "--users", USERS, "--items",
               arguments.items, "--interactions", 1_000_000)
        users = directory / "users"
        users.write_text("".join(f"bench-user-{i}\n" for i in range(0, USERS, 10)))
        server = RunningServer(directory / "snapshot", directory,
                               f"--retrieval.factory={arguments.factory}",
                               f"--retrieval.changes_max={CHANGES}")
        try:
            load(server, users)
            before = show("before", [load(server, users) for _ in range(RUNS_BEFORE)])
            during = (replace_index(server, directory, users) if arguments.what == "index" else
                      replace_snapshot(server, directory, users, arguments.activations))
            p99 = show(f"while the {arguments.what} is replaced", during)
            print(f"p99 during / before: {p99 / before:.2f}")
        finally:
            server.stop()


if __name__ == "__main__":
    main()
