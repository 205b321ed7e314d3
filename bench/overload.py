#!/usr/bin/python3
"""Goodput and latency of Recommend at rates beyond what the server can do.

    bench/overload.py             0.5, 1, 1.5, 2 and 3 times the sustainable rate

A server on the bundled sample. The sustainable rate is the highest of a ladder of open-loop rates at which
every call is answered OK within 100 ms and 99 of 100 with nothing left out; generator and server share the
machine's cores. At each rate,
medians of three runs of five seconds: calls answered OK per second, p99 of those, the shares refused,
late and answered with less, and the server's memory. Then whether one starves the other: interactions
acknowledged per second by four streams that send all they can, alone and beside Recommend at 3 times; and
Recommend at half of the sustainable rate, alone and beside those streams. BUILD_DIR as in scripts/bench.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

from running_server import BIN, SAMPLE, RunningServer, sample_users

DEADLINE_MS = 100
LADDER = 1.15  # from one rate to the next
RUNS, RUN_S = 3, 5
INGEST_BATCHES = 2_500  # of each stream; as many as take longer than a run
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


def ingest(server):
    """Four streams that send all they can, for some seconds; a process."""
    return subprocess.Popen(
        [str(BIN / "ingest_bench"), "--server", server.address, "--json", "--batches", str(INGEST_BATCHES),
         "--items-file", str(SAMPLE / "items.jsonl")], stdout=subprocess.PIPE, text=True)


def acknowledged_per_second(process):
    return json.loads(process.communicate()[0])["events_per_second"]


def beside_each_other(server, users, rate):
    """Medians: {"ingest": (alone, beside an overload), "recommend": (alone, beside ingest)}."""
    found = {"ingest": ([], []), "recommend": ([], [])}
    for _ in range(RUNS):
        found["recommend"][0].append(load(server, users, rate / 2))
        process = ingest(server)
        found["recommend"][1].append(load(server, users, rate / 2))
        process.communicate()
        server.settle()
        found["ingest"][0].append(acknowledged_per_second(ingest(server)))
        server.settle()
        process = ingest(server)
        load(server, users, rate * TIMES[-1])
        found["ingest"][1].append(acknowledged_per_second(process))
        server.settle()
    median = statistics.median
    return {"ingest": [median(runs) for runs in found["ingest"]],
            "recommend": [{name: median(run[name] for run in runs) for name in runs[0]}
                          for runs in found["recommend"]]}


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
            beside = beside_each_other(server, users, rate)
        finally:
            server.stop()
    if arguments.json:
        print(json.dumps({"rates": rows, "beside_each_other": beside}))
        return
    print("| times sustainable | sent /s | answered OK /s | p99 of those | refused | late | with less | memory |")
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        print(f"| {row['times']:g} | {row['rate']:,.0f} | {row['goodput']:,.0f} | {row['p99']:.1f} ms | "
              f"{row['refused']:.1%} | {row['late']:.1%} | {row['cheaper']:.1%} | "
              f"{row['resident_mib']:,.0f} MiB |")
    alone, overloaded = beside["ingest"]
    print(f"ingest: {alone:,.0f}/s acknowledged alone, {overloaded:,.0f}/s beside Recommend at "
          f"{rate * TIMES[-1]:,.0f}/s")
    for name, run in zip(("alone", "beside ingest"), beside["recommend"]):
        print(f"Recommend at {rate / 2:,.0f}/s, {name}: {run['goodput']:,.0f}/s answered OK, p99 "
              f"{run['p99']:.1f} ms, {run['cheaper']:.1%} with less, {run['refused']:.1%} refused")


if __name__ == "__main__":
    main()
