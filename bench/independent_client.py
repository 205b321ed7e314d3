#!/usr/bin/python3
"""Our load generator beside one that knows nothing of us: ghz (https://ghz.sh), which reads the API by reflection.

    GOBIN=$PWD/build/ghz go install github.com/bojand/ghz/cmd/ghz@v0.120.0
    bench/independent_client.py --ghz build/ghz/ghz

A server on the bundled sample; Recommend at the same rates by both, in turn: medians of runs of five
seconds. Then ghz alone: beside four streams that send all they can, while another snapshot is activated and
rolled back, and beyond what the server can do, with 100 ms for a call. BUILD_DIR as in scripts/bench.
"""

import argparse
import collections
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading

from running_server import BIN, SAMPLE, RunningServer, other_version, sample_users

RUNS, RUN_S = 3, 5
RATES = (50, 200, 500)
RATE_WHILE, RATE_BEYOND = 200, 4_000
TIMEOUT_MS, TIMEOUT_BEYOND_MS = 1_000, 100
INGEST_BATCHES = 3_000  # of each stream; as many as take longer than a run


def by_ghz(ghz, server, requests, rate, timeout_ms=TIMEOUT_MS):
    """{"p50", "p99"} in ms of all calls, "rate" of what was answered, and "errors" by code."""
    report = json.loads(subprocess.run(
        [ghz, "--insecure", "--call", "groundswell.v1.RecommendationService.Recommend", "--async", "-D",
         requests, "--rps", str(rate), "--duration", f"{RUN_S}s", "--duration-stop", "wait", "--connections",
         "2", "--concurrency", "64", "--timeout", f"{timeout_ms}ms", "-O", "json", server.address],
        check=True, stdout=subprocess.PIPE).stdout)
    at = {entry["percentage"]: entry["latency"] / 1e6 for entry in report["latencyDistribution"]}
    codes = collections.Counter(report["statusCodeDistribution"])
    return {"p50": at[50], "p99": at[99], "rate": codes.pop("OK", 0) / RUN_S, "errors": codes}


def by_ours(server, users, rate):
    report = server.call("--timeout-ms", TIMEOUT_MS, "load", "recommend", "--rate", rate, "--duration-s", RUN_S,
                         "--users-file", users)
    codes = collections.Counter(report["codes"])
    return {"p50": report["latency_ms"]["p50"], "p99": report["latency_ms"]["p99"],
            "rate": codes.pop("OK", 0) / report["seconds"], "errors": codes}


def show(rate, what, runs):
    of = {key: statistics.median(run[key] for run in runs) for key in ("rate", "p50", "p99")}
    errors = dict(sum((run["errors"] for run in runs), collections.Counter()))
    print(f"| {rate:,} | {what} | {of['rate']:,.0f} | {of['p50']:.2f} ms | {of['p99']:.2f} ms | "
          f"{errors or 'none'} |", flush=True)


def beside_ingest(server, call):
    streams = subprocess.Popen(
        [str(BIN / "ingest_bench"), "--server", server.address, "--batches", str(INGEST_BATCHES),
         "--items-file", str(SAMPLE / "items.jsonl")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        return call()
    finally:
        streams.terminate()
        streams.wait()
        server.settle()


def while_replaced(server, call):
    """From one of its two snapshots to the other and back, as often as there is time during the calls."""
    ends = threading.Event()

    def replace():
        while not ends.is_set():
            server.call("rollback")

    thread = threading.Thread(target=replace)
    thread.start()
    try:
        return call()
    finally:
        ends.set()
        thread.join()


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ghz", required=True, help="the program")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="groundswell-ghz-") as name:
        directory = pathlib.Path(name)
        users = sample_users(directory / "users")
        requests = directory / "requests.json"
        requests.write_text(json.dumps([{"user_id": user, "page_size": 10}
                                        for user in users.read_text().split()]))
        server = RunningServer(SAMPLE, directory)
        print("| calls/s | client | answered /s | p50 | p99 | errors |\n|---|---|---|---|---|---|")
        try:
            by_ours(server, users, RATES[0])
            for rate in RATES:
                pairs = [(by_ours(server, users, rate), by_ghz(arguments.ghz, server, requests, rate))
                         for _ in range(RUNS)]
                for client, runs in zip(("groundswell load", "ghz"), zip(*pairs)):
                    show(rate, client, runs)

            def usual():
                return by_ghz(arguments.ghz, server, requests, RATE_WHILE)

            server.call("activate", other_version(SAMPLE, directory / "other"))
            show(RATE_WHILE, "ghz, while snapshots are replaced",
                 [while_replaced(server, usual) for _ in range(RUNS)])
            show(RATE_WHILE, "ghz, beside ingest", [beside_ingest(server, usual) for _ in range(RUNS)])
            show(RATE_BEYOND, f"ghz, within {TIMEOUT_BEYOND_MS} ms",
                 [by_ghz(arguments.ghz, server, requests, RATE_BEYOND, TIMEOUT_BEYOND_MS)
                  for _ in range(RUNS)])
        finally:
            server.stop()


if __name__ == "__main__":
    sys.exit(main())
