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
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = ROOT / os.environ.get("BUILD_DIR", "build/release") / "bin"
SAMPLE = ROOT / "sample" / "online-retail"
DEADLINE_MS = 100
LADDER = 1.15  # from one rate to the next
RUNS, RUN_S = 3, 5
TIMES = (0.5, 1, 1.5, 2, 3)


def output(*command):
    return subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True).stdout


class Server:
    def __init__(self, directory, flags):
        database = f"{directory}/database"
        output(BIN / "groundswell-server", "import", "--snapshot", SAMPLE, "--data-dir", database)
        self.process = subprocess.Popen(
            [str(BIN / "groundswell-server"), "serve", f"--server.data_dir={database}",
             "--server.grpc_address=127.0.0.1:0", "--server.http_address=127.0.0.1:0",
             "--logging.level=warn", *flags], stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line.startswith("ready "):
            sys.exit("overload: the server did not start; its message stands above")
        ports = dict(part.split("=") for part in line.split()[1:])
        self.address = f"127.0.0.1:{ports['grpc_port']}"
        self.metrics_url = f"http://127.0.0.1:{ports['http_port']}/metrics"

    def resident_mib(self):
        with urllib.request.urlopen(self.metrics_url, timeout=10) as response:
            for line in response.read().decode().splitlines():
                if line.startswith("process_resident_memory_bytes"):
                    return float(line.split()[-1]) / 2**20
        return float("nan")

    def load(self, users, rate):
        report = json.loads(output(
            BIN / "groundswell", "--server", self.address, "--timeout-ms", DEADLINE_MS, "--json", "load",
            "recommend", "--rate", rate, "--duration-s", RUN_S, "--concurrency", 100_000, "--users-file",
            users))
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
        run = server.load(users, rate * LADDER)
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
        users = pathlib.Path(directory) / "users"
        known = [json.loads(line)["id"] for line in (SAMPLE / "users.jsonl").read_text().splitlines()]
        users.write_text("\n".join(known[::8]))
        server = Server(directory, arguments.server_flag)
        rows = []
        try:
            server.load(users, 200)
            rate = arguments.rate or sustainable(server, users)
            for times in TIMES:
                runs = [server.load(users, rate * times) for _ in range(RUNS)]
                rows.append({"times": times, "rate": rate * times, "resident_mib": server.resident_mib()}
                            | {name: statistics.median(run[name] for run in runs) for name in runs[0]})
        finally:
            server.process.terminate()
            server.process.wait(timeout=60)
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
