#!/usr/bin/python3
"""Goodput and latency of Recommend at rates beyond what the server can do.

    bench/overload.py             0.5, 1, 1.5, 2 and 3 times the sustainable rate

A server on the bundled sample. The sustainable rate is the highest of a ladder of open-loop rates at which
every call is answered OK within 100 ms and 99 of 100 with nothing left out; generator and server share the
machine's cores. At each rate,
medians of three runs of five seconds: calls answered OK per second, p99 of those, the shares refused,
late and answered with less, and the server's memory. BUILD_DIR as in scripts/bench.
"""

import argparse
import json
import pathlib
import statistics
import sys
import tempfile

from running_server import SAMPLE, RunningServer, sample_users

DEADLINE_MS = 100
LADDER = 1.15  # from one rate to the next
RUNS, RUN_S = 3, 5
TIMES = (0.5, 1, 1.5, 2, 3)


def load(server, users, rate):
    report = server.call(
        "--timeout-ms", DEADLINE_MS, "load", "recommend", "--rate", rate, "--duration-s", RUN_S,
        "--concurrency", 100_000, "--users-file", users)
    calls = report["completed"] + report["not_sent"]
    codes = report["codes"]
    return {"goodput": codes.get("OK", 0) / report["seconds"], "ok": codes.get("OK", 0) / calls,
            "p99": report["ok_latency_ms"]["p99"],
            "refused": codes.get("RESOURCE_EXHAUSTED", 0) / calls,
            "late": codes.get("DEADLINE_EXCEEDED", 0) / calls,
            "cheaper": report["degraded"] / calls}


def sustainable(server, users):
    rate = 200.0
    while True:
        run = load(server, users, rate * LADDER)
        if run["ok"] < 1 or run["cheaper"] > 0.01:
            return rate
        rate *= LADDER
        print(f"every call is answered in full at {rate:,.0f}/s", file=sys.stderr, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, help="the sustainable rate, where it is known")
    parser.add_argument("--server-flag", action="append", default=[], help="of serve; may be repeated")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="groundswell-overload-") as directory:
        users = sample_users(pathlib.Path(directory) / "users")
        server = RunningServer(SAMPLE, directory, *arguments.server_flag)
        rows = []
        try:
            load(server, users, 200)
            rate = arguments.rate or sustainable(server, users)
            for times in TIMES:
                runs = [load(server, users, rate * times) for _ in range(RUNS)]
                rows.append({"times": times, "rate": rate * times, "resident_mib": server.resident_mib()}
                            | {name: statistics.median(run[name] for run in runs) for name in runs[0]})
        finally:
            server.stop()
    if arguments.json:
        print(json.dumps(rows))
        return
    print("| times sustainable | sent /s | answered OK /s | p99 of those | refused | late | with less | memory |")
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        print(f"| {row['times']:g} | {row['rate']:,.0f} | {row['goodput']:,.0f} | {row['p99']:.1f} ms | "
              f"{row['refused']:.1%} | {row['late']:.1%} | {row['cheaper']:.1%} | "
              f"{row['resident_mib']:,.0f} MiB |")


if __name__ == "__main__":
    main()
