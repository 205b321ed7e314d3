#!/usr/bin/python3
"""Our load generator beside one that knows nothing of us: ghz (https://ghz.sh), which reads the API by reflection.

    GOBIN=$PWD/build/ghz go install github.com/bojand/ghz/cmd/ghz@v0.120.0
    bench/independent_client.py --ghz build/ghz/ghz

A server on the bundled sample; Recommend at the same rates by both, in turn: medians of runs of five
seconds. BUILD_DIR as in scripts/bench.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

from running_server import SAMPLE, RunningServer, sample_users

RUNS, RUN_S = 3, 5
RATES = (50, 200, 500)


def by_ghz(ghz, server, requests, rate):
    """{"p50", "p99"} in ms, "rate" of what was answered, "errors"."""
    report = json.loads(subprocess.run(
        [ghz, "--insecure", "--call", "groundswell.v1.RecommendationService.Recommend", "--async", "-D",
         requests, "--rps", str(rate), "--duration", f"{RUN_S}s", "--duration-stop", "wait", "--connections",
         "2", "--concurrency", "64", "--timeout", "1s", "-O", "json", server.address],
        check=True, stdout=subprocess.PIPE).stdout)
    at = {entry["percentage"]: entry["latency"] / 1e6 for entry in report["latencyDistribution"]}
    answered = report["statusCodeDistribution"].get("OK", 0)
    return {"p50": at[50], "p99": at[99], "rate": answered / RUN_S,
            "errors": sum(report["statusCodeDistribution"].values()) - answered}


def by_ours(server, users, rate):
    report = server.call("--timeout-ms", 1000, "load", "recommend", "--rate", rate, "--duration-s", RUN_S,
                         "--users-file", users)
    answered = report["codes"].get("OK", 0)
    return {"p50": report["latency_ms"]["p50"], "p99": report["latency_ms"]["p99"],
            "rate": answered / report["seconds"], "errors": report["completed"] - answered}


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
                    of = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
                    print(f"| {rate} | {client} | {of['rate']:,.0f} | {of['p50']:.2f} ms | "
                          f"{of['p99']:.2f} ms | {sum(run['errors'] for run in runs)} |", flush=True)
        finally:
            server.stop()


if __name__ == "__main__":
    sys.exit(main())
