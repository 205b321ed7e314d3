#!/usr/bin/python3
"""Recommend from end to end, beside the same service put together the usual way.

    bench/end_to_end.py build/e2e                    a million users and items; 40 minutes
    bench/end_to_end.py build/e2e-small --users 10000 --items 10000 --run-s 3
    bench/end_to_end.py build/e2e --write            also writes bench/END_TO_END.md

DIR keeps the invented snapshot (bench/large_snapshot.py), our database and what the baseline serves
(bench/baseline/prepare.py), all made at the first run. The baseline is bench/baseline/baseline_server: gRPC,
FAISS, TorchScript and Redis. Both answer the same calls of `groundswell load` with 500 candidates, the items
nearest to the user's vector, in the order of the ranker alone, on this machine, one after the other.
First, both must give the same scores.

Of every model: the time of a call when there is one at a time; calls per second of 16 callers; the highest
rate, of a falling ladder, at which the p99 stays within 10 ms and every call is answered OK with nothing left
out; at half of that rate the latency, the processor time of a call, and where it goes. Medians of three runs.
BUILD_DIR as in scripts/bench, built with GROUNDSWELL_BUILD_BASELINE=ON.
"""

import argparse
import bisect
import collections
import datetime
import json
import math
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile

from running_server import BIN, ROOT, RunningServer, output

sys.path.insert(0, str(ROOT / "bench" / "baseline"))

from prepare import Redis

MODELS = {"MacGNN": "macgnn-none", "SURGE": "surge-authors-50"}
CANDIDATES = 500
ACTIVE_ONE_IN = 10  # of the users: those who call, with histories as long as SURGE reads
USERS_OF_A_RUN = 20_000
P99_MAX_MS = 10
CALLERS = 16
STEP = 0.95  # from one rate of the ladder to the next
STEPS_MAX = 40
CALLS_MIN = 500  # of a run, so that its p99 is not that of two calls
RUNS = 3
SCORE_TOLERANCE = 1e-4
# SURGE keeps the positions above a threshold: where one is nearer to it than rounding reaches, two exact
# implementations may choose differently (docs/models.md, Exactness).
ROUNDED_OTHERWISE_MAX = 0.002
CHECKED_USERS, CHECKED_ITEMS = 10, 100
# Candidates are the items nearest to the user, and the ranker alone orders them: what the baseline does.
PLAIN = (f"--retrieval.candidates={CANDIDATES}", f"--retrieval.embedding={CANDIDATES}",
         *(f"--retrieval.{source}=0" for source in
           ("random_walk", "next_items", "trending", "macro_node", "popular")),
         "--ranking.retrieval_weight=0")
ALL_SOURCES = (f"--retrieval.candidates={CANDIDATES}",)


def progress(what):
    print(f"end_to_end: {what}", file=sys.stderr, flush=True)


def of_processor(what):
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        return next((line.split(":")[1].strip() for line in file if line.startswith(what)), "?")


# --- The two services.


def cpu_s_by_thread(pid):
    """Processor time of a process by the names of its threads."""
    sums = collections.Counter()
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            before, after = (task / "stat").read_text().rsplit(")", 1)
        except OSError:  # it ended
            continue
        fields = after.split()
        sums[before.split("(", 1)[1].rstrip("0123456789-_ ")] += int(fields[11]) + int(fields[12])
    return {name: ticks / os.sysconf("SC_CLK_TCK") for name, ticks in sums.items()}


def cpu_s(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return math.nan


class Groundswell(RunningServer):
    name = "Groundswell"

    def __init__(self, directory, flags):
        super().__init__(directory / "snapshot", directory, *flags)
        self.pids = {"server": self.process.pid}

    def stages(self):
        """Of each stage the requests and the seconds that they took, by the clock."""
        family, sums = "groundswell_stage_duration_seconds_", {}
        for line in self.metrics():
            for part in ("sum", "count"):
                if line.startswith(f'{family}{part}{{stage="'):
                    stage = line.split('"')[1].replace("_", " ")
                    sums.setdefault(stage, {})[part] = float(line.split()[-1])
        return {stage: (of["count"], of["sum"]) for stage, of in sums.items()}


class Baseline:
    name = "usual way"

    def __init__(self, directory, form):
        prepared = directory.resolve() / "prepared"
        environment = dict(os.environ)
        if "avx512f" in of_processor("flags").split():
            # OpenBLAS takes AVX2 on processors newer than itself; SURGE then takes 1.3 times as long.
            environment.setdefault("OPENBLAS_CORETYPE", "SKYLAKEX")
        self.redis = Redis(prepared)
        try:
            self.process = subprocess.Popen(
                [str(BIN / "baseline_server"), "--prepared", str(prepared), "--redis", self.redis.socket,
                 "--candidates", str(CANDIDATES), "--form", form], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, text=True, env=environment)
            line = self.process.stdout.readline()
            if not line.startswith("ready grpc_port="):
                sys.exit("end_to_end: the baseline did not start; its message stands above")
            self.address = f"127.0.0.1:{line.split('=')[1].strip()}"
        except BaseException:
            self.redis.stop()
            raise
        self.pids = {"server": self.process.pid, "Redis": self.redis.process.pid}

    def stages(self):
        """Likewise, but in seconds of processor time."""
        self.process.stdin.write("stages\n")
        self.process.stdin.flush()
        sums = json.loads(self.process.stdout.readline().removeprefix("stages "))
        return {stage: (of["count"], of["cpu_us"] / 1e6) for stage, of in sums.items()}

    def stop(self):
        self.process.stdin.close()
        self.process.wait(timeout=60)
        self.redis.stop()


# --- Load.


class Caller:
    def __init__(self, service, ranker, users, directory, timeout_ms):
        self.service, self.ranker, self.users, self.timeout_ms = service, ranker, users, timeout_ms
        self.users_file = pathlib.Path(directory) / "users"
        self.random = random.Random(1)

    def load(self, rate, seconds, callers=100_000, warmup_s=1):
        # Other users in every run, so that what a run finds warm is what load in general keeps warm.
        sample = self.random.sample(self.users, min(USERS_OF_A_RUN, len(self.users)))
        self.users_file.write_text("\n".join(sample), encoding="utf-8")
        return json.loads(output(
            BIN / "groundswell", "--server", self.service.address, "--timeout-ms", self.timeout_ms, "--json",
            "load", "recommend", "--ranker", self.ranker, "--rate", rate, "--duration-s", seconds,
            "--warmup-s", warmup_s, "--concurrency", callers, "--users-file", self.users_file))


def is_whole(report):
    """Every call was sent and answered OK, with nothing left out."""
    return set(report["codes"]) == {"OK"} and report["not_sent"] == 0 and report["degraded"] == 0


def holds(report):
    return is_whole(report) and report["latency_ms"]["p99"] <= P99_MAX_MS


def sustained(caller, capacity, seconds):
    """The highest rate of the ladder that the median of three runs holds; None: none does."""
    rates = [capacity * STEP**step for step in range(1, STEPS_MAX + 1)]

    def load(rate):
        return caller.load(rate, max(seconds, CALLS_MIN / rate))

    # Where one run holds the rate, by bisection; from there on down, what three runs say.
    first = bisect.bisect(rates, False, key=lambda rate: holds(load(rate)))
    for rate in rates[first:]:
        runs = [load(rate)]
        if holds(runs[0]):
            runs += [load(rate) for _ in range(RUNS - 1)]
            p99 = statistics.median(run["latency_ms"]["p99"] for run in runs)
            progress(f"{caller.service.name}, {caller.ranker}: p99 {p99:.1f} ms at {rate:,.0f}/s")
            if sum(map(holds, runs)) > RUNS / 2:
                return rate
    return None


def difference(after, before):
    return {key: after[key] - before.get(key, 0) for key in after}


def at_half(caller, rate, seconds):
    """Medians of runs at a rate: latency, processor time by process, by thread and by stage."""
    rows, split, threads = [], collections.Counter(), collections.Counter()
    calls = 0
    for _ in range(RUNS):
        pids = caller.service.pids
        before = {name: cpu_s(pid) for name, pid in pids.items()}
        threads_before, stages_before = cpu_s_by_thread(pids["server"]), caller.service.stages()
        report = caller.load(rate, seconds, warmup_s=0)
        cpu = difference({name: cpu_s(pid) for name, pid in pids.items()}, before)
        threads.update(difference(cpu_s_by_thread(pids["server"]), threads_before))
        for stage, (count, total) in caller.service.stages().items():
            if count > stages_before.get(stage, (0, 0))[0]:
                split[stage] += total - stages_before.get(stage, (0, 0))[1]
        calls += report["completed"]
        rows.append({**{name: 1e3 * s / report["completed"] for name, s in cpu.items()},
                     **{key: report["latency_ms"][key] for key in ("p50", "p99", "p99.9")},
                     "troubles": 0 if is_whole(report) else 1})
    result = {key: statistics.median(row[key] for row in rows) for key in rows[0]}
    result["calls"] = calls
    result["stages_ms"] = {stage: 1e3 * total / calls for stage, total in split.items()}
    result["threads_ms"] = {name: 1e3 * total / calls for name, total in threads.items() if total > 0}
    return result


def measure(service, users, arguments, directory):
    rows = {}
    for title, ranker in MODELS.items():
        caller = Caller(service, ranker, users, directory, arguments.timeout_ms)
        progress(f"{service.name}, {title}: warming up")
        caller.load(0, arguments.warmup_s, callers=CALLERS, warmup_s=0)
        alone = caller.load(0, arguments.run_s, callers=1)
        runs = [caller.load(0, arguments.run_s, callers=CALLERS) for _ in range(RUNS)]
        capacity = statistics.median(run["per_second"] for run in runs)
        progress(f"{service.name}, {title}: one caller p50 {alone['latency_ms']['p50']:.2f} ms, {CALLERS} "
                 f"callers {capacity:,.1f}/s")
        within = alone["latency_ms"]["p50"] <= P99_MAX_MS
        rate = sustained(caller, capacity, arguments.run_s) if within else None
        rows[title] = {"alone_ms": alone["latency_ms"], "capacity": capacity,
                       "whole_at_capacity": all(map(is_whole, runs)), "sustained": rate,
                       "half_rate": (rate or capacity) / 2,
                       "half": at_half(caller, (rate or capacity) / 2, 4 * arguments.run_s)}
        progress(f"{service.name}, {title}: {json.dumps(rows[title]['half'])}")
    rows["resident_mib"] = {name: resident_mib(pid) for name, pid in service.pids.items()}
    return rows


# --- Both must compute the same.


def check_scores(ours, baseline, users):
    """The baseline's lists, scored by our Rank; and how many of their items our lists have."""
    lines = []
    for title, ranker in MODELS.items():
        differences, shared = [], 0
        for user in users:
            lists = [json.loads(output(BIN / "groundswell", "--server", service.address, "--timeout-ms", 10_000,
                                       "--json", "recommend", user, "-n", CHECKED_ITEMS, "--ranker", ranker))
                     for service in (baseline, ours)]
            theirs, mine = ({item["item_id"]: item["score"] for item in one["items"]} for one in lists)
            ranked = json.loads(output(BIN / "groundswell", "--server", ours.address, "--timeout-ms", 10_000,
                                       "--json", "rank", user, *theirs, "--ranker", ranker))
            scores = {item["item_id"]: item["score"] for item in ranked["items"]}
            differences += [abs(scores[item] - score) for item, score in theirs.items()]
            shared += len(set(theirs) & set(mine))
        listed = len(differences)
        beyond = sum(not one <= SCORE_TOLERANCE for one in differences)
        lines.append(f"{title}: of {listed:,} scores of {len(users)} users {beyond} differ by more than "
                     f"{SCORE_TOLERANCE:g}, the median by {statistics.median(differences):.0e}, the largest by "
                     f"{max(differences):.0e}; {shared / listed:.1%} of the items are in both services' lists")
        progress(lines[-1])
        if beyond > ROUNDED_OTHERWISE_MAX * listed:
            sys.exit(f"end_to_end: {title}: the baseline's scores are not ours, so it proves nothing")
    return lines


# --- Making what is measured.


def make(arguments):
    directory, active = arguments.directory, arguments.users // ACTIVE_ONE_IN
    snapshot = directory / "snapshot"
    if not (snapshot / "manifest.json").exists():
        progress("making the snapshot")
        subprocess.run([sys.executable, ROOT / "bench" / "large_snapshot.py", snapshot, "--users",
                        str(arguments.users), "--items", str(arguments.items), "--interactions",
                        str(arguments.users * 20), "--active-users", str(active), "--models",
                        *MODELS.values()], check=True)
    if not (directory / "prepared" / "service.json").exists():
        progress("preparing the baseline")
        subprocess.run([sys.executable, ROOT / "bench" / "baseline" / "prepare.py", snapshot,
                        directory / "prepared"], check=True)
    with open(snapshot / "users.jsonl", encoding="utf-8") as file:
        return [json.loads(line)["id"] for _, line in zip(range(active), file)]


def run(arguments, directory):
    users = make(arguments)

    def measured(name, service):
        result[name] = measure(service, users, arguments, directory)
        # An hour's work, should something go wrong later.
        (arguments.directory / "result.json").write_text(json.dumps(result), encoding="utf-8")

    result = {"machine": f"{of_processor('model name')}, {os.cpu_count()} cores", "load_average": os.getloadavg()[0],
              "date": str(datetime.date.today()), "users": arguments.users, "items": arguments.items,
              "commit": output("git", "-C", ROOT, "describe", "--always", "--dirty").strip()}
    progress("starting both services; at the first run, importing the snapshot")
    services = [Groundswell(arguments.directory, PLAIN)]
    try:
        services.append(Baseline(arguments.directory, arguments.form))
        result["check"] = check_scores(*services, users[:: len(users) // CHECKED_USERS][:CHECKED_USERS])
        services.pop().stop()  # so that it takes no memory and no time from the other
        measured("ours", services[0])
        services.pop().stop()
        services.append(Baseline(arguments.directory, arguments.form))
        measured("usual way", services[0])
        services.pop().stop()
        if arguments.all_sources:
            services.append(Groundswell(arguments.directory, ALL_SOURCES))
            measured("ours, all sources", services[0])
    finally:
        for service in services:
            service.stop()
    return result


# --- The table.


def cpu_ms(row):
    return sum(row["half"][name] for name in ("server", "Redis") if name in row["half"])


def table(result):
    lines = [f"| | | one caller: p50, p99 | {CALLERS} callers | p99 <= {P99_MAX_MS} ms up to | "
             "at half of that: p50, p99, p99.9 | CPU per call | calls per core and second | memory |",
             "|---|---|---|---|---|---|---|---|---|"]
    for title in MODELS:
        for name in ("ours", "ours, all sources", "usual way"):
            if name not in result:
                continue
            row, memory = result[name][title], result[name]["resident_mib"]
            half, cpu = row["half"], cpu_ms(row)
            limit = "no rate" if row["sustained"] is None else f"{row['sustained']:,.0f}/s"
            redis = f" ({half['server']:.2f} + Redis {half['Redis']:.2f})" if "Redis" in half else ""
            lines.append(
                f"| {title} | {name} | {row['alone_ms']['p50']:.2f}, {row['alone_ms']['p99']:.2f} ms | "
                f"{row['capacity']:,.0f}/s | {limit} | "
                f"{row['half_rate']:,.0f}/s: {half['p50']:.2f}, {half['p99']:.2f}, {half['p99.9']:.2f} ms | "
                f"{cpu:.2f} ms{redis} | {1e3 / cpu:,.0f} | "
                + " + ".join(f"{mib / 1024:.1f}" for mib in memory.values()) + " GiB |")
    return lines


def ratios(result):
    for title in MODELS:
        ours, other = (result[name][title] for name in ("ours", "usual way"))
        line = f"{title}: {cpu_ms(other) / cpu_ms(ours):.1f} times the calls per core of the usual way"
        if ours["sustained"] and other["sustained"]:
            line += f", {ours['sustained'] / other['sustained']:.1f} times the rate within {P99_MAX_MS} ms"
        yield line + "."


def splits(result):
    lines = ["| | | stages of a call, ms | CPU of the server by threads, ms |", "|---|---|---|---|"]
    for title in MODELS:
        for name in ("ours", "ours, all sources", "usual way"):
            if name in result:
                half = result[name][title]["half"]
                parts = [", ".join(f"{key} {value:.3f}" for key, value in
                                   sorted(half[what].items(), key=lambda item: -item[1]) if value >= 0.0005)
                         for what in ("stages_ms", "threads_ms")]
                lines.append(f"| {title} | {name} | {parts[0]} | {parts[1]} |")
    return lines


def text(result):
    # One blank line between two paragraphs.
    return "\n".join([
        f"{result['machine']}, load average {result['load_average']:.1f} before; {result['users']:,} users, "
        f"{result['items']:,} items, {CANDIDATES} candidates; {result['date']}, commit {result['commit']}.",
        "", *table(result), "", *ratios(result), "", *splits(result), "",
        "The usual way: bench/baseline, described in bench/README.md. Load generator and services share the "
        "cores. Stages: of ours by the clock, of the usual way in processor time; what is in neither is gRPC. "
        f"No rate: none down to {STEP**STEPS_MAX:.0%} of that of {CALLERS} callers, and half is of that then. "
        "Memory: of ours with the live graph, of the usual way server + Redis.", "",
        "Checked before: " + ". ".join(result["check"]) + ".", ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--run-s", type=float, default=5, help="of one run; at half the rate four times that")
    parser.add_argument("--warmup-s", type=float, default=20, help="of each model in each service")
    parser.add_argument("--timeout-ms", type=int, default=1_000, help="of a call")
    parser.add_argument("--form", default="frozen", help="of the TorchScript modules; see baseline_server")
    parser.add_argument("--all-sources", action="store_true", help="ours also with all sources as configured")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--write", action="store_true", help="write bench/END_TO_END.md")
    arguments = parser.parse_args()
    for program in ("groundswell-server", "groundswell", "baseline_server"):
        if not (BIN / program).exists():
            sys.exit(f"end_to_end: {BIN / program} is missing; bench/README.md says how to build it")
    arguments.directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="groundswell-end-to-end-") as directory:
        result = run(arguments, directory)
    print(json.dumps(result) if arguments.json else text(result), end="\n" if arguments.json else "")
    if arguments.write:
        (ROOT / "bench" / "END_TO_END.md").write_text(f"# From end to end\n\n{text(result)}", encoding="utf-8")


if __name__ == "__main__":
    main()
