#!/usr/bin/python3
"""Everything that happens to a server in production, at once, for as long as is asked.

    bench/soak.py --minutes 30
    bench/soak.py --minutes 2 --life-s 40     a quick look

Recommend calls at a fixed rate, a stream of interactions, another snapshot activated or rolled back every
few seconds, and kill -9 at the end of each life, after which the server starts again from its files. It
ends with an orderly stop. What must be so:

    errors      none but those of calls and streams that a kill cut off
    memory      resident memory at the end of a life is no more than SLACK above that after its warm-up
    the graph   every interaction that was sent is in the log exactly once, and `verify` finds no counter wrong

Prints a line per life and a report; exit code 1 where something is not so. BUILD_DIR as in scripts/bench.
"""

import argparse
import collections
import json
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from running_server import BIN, SAMPLE, RunningServer, other_version, output, sample_users

RATE, EVENT_RATE = 200, 500  # Recommend calls and interactions per second
LOAD_RUN_S = 5
ACTIVATION_EVERY_S = 15
WARM_UP_S = 300  # of a life, or half of a shorter one: until the write buffers of the database are full
SLACK = 1.10
ITEMS = 37  # that are taken: every user soon has all of them, so that the graph itself grows no more
# So that they are full when the warm-up is over: what still grows then is not them.
SMALL_CACHES = ("--storage.block_cache_mb=16", "--apply.user_cache_mb=8", "--paging.lists_max=1000")
TIMEOUT_MS = 5_000  # of a call: whether it is answered is the question here, not how fast
INGEST = ("ingest", "--format", "jsonl", "--producer-id", "soak", "--id-prefix", "soak")
BEGIN_S = 1_321_020_000  # event time, behind the sample's own


class Interactions:
    """One stream for the whole run: the command line numbers what it sends, and goes on where the
    server is whenever that comes back."""

    def __init__(self, directory, users, items):
        self._directory, self._users, self._items = directory, users, items
        self.sent, self._ends = 0, threading.Event()
        self._thread = threading.Thread(target=self._feed)
        self._file = open(directory / "events.jsonl", "w", encoding="utf-8")

    def begin(self):
        self._thread.start()

    def _feed(self):
        """Appends to the file at the fixed rate."""
        began = time.monotonic()
        while not self._ends.is_set():
            while self.sent < (time.monotonic() - began) * EVENT_RATE:
                self._file.write(json.dumps({
                    "timestamp": BEGIN_S + self.sent // 10, "user": self._users[self.sent * 7 % len(self._users)],
                    "item": self._items[self.sent * 13 % len(self._items)]}) + "\n")
                self.sent += 1
            self._file.flush()
            self._ends.wait(0.05)

    def follow(self, address):
        """The processes that read the file as it grows, and send it."""
        tail = subprocess.Popen(["tail", "-n", "+1", "-f", self._directory / "events.jsonl"],
                                stdout=subprocess.PIPE)
        ingest = subprocess.Popen(
            [str(BIN / "groundswell"), "--server", address, *INGEST, "--retry-for-s", "0", "-"],
            stdin=tail.stdout, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        tail.stdout.close()
        return ingest, tail

    def finish(self, address):
        """Ends the file, and sends what the server does not have of it."""
        self._ends.set()
        self._thread.join()
        self._file.close()
        output(BIN / "groundswell", "--server", address, *INGEST, self._directory / "events.jsonl")


class Load:
    """Recommend calls in runs, until it is told to end."""

    def __init__(self, server, users):
        self.codes, self.p99, self.answers_cheaper = collections.Counter(), [], 0
        self._server, self._users, self.ends = server, users, threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        while not self.ends.is_set():
            report = self._server.call("--timeout-ms", TIMEOUT_MS, "load", "recommend", "--rate", RATE, "--duration-s", LOAD_RUN_S,
                                       "--warmup-s", 0, "--users-file", self._users)
            self.codes.update(report["codes"])
            self.answers_cheaper += report["degraded"]
            self.p99.append(report["latency_ms"]["p99"])

    def join(self):
        self._thread.join()


class Soak:
    def __init__(self, directory, arguments):
        self.arguments, self.directory = arguments, directory
        self.users_file = sample_users(directory / "users")
        self.other = other_version(SAMPLE, directory / "other")
        items = [json.loads(line)["id"] for line in (SAMPLE / "items.jsonl").read_text().splitlines()[:ITEMS]]
        self.interactions = Interactions(directory, self.users_file.read_text().split(), items)
        self.server = RunningServer(SAMPLE, directory, "--checkpoint.interval_s=30", *SMALL_CACHES)
        self.first_offset = self.log_end()
        self.activations = self.kills = 0
        self.problems = []
        self.codes, self.p99 = collections.Counter(), []
        self.interrupted = threading.Event()

    def log_end(self):
        return int(self.server.call("status")["graph"]["log_end_offset"])

    def run(self):
        self.interactions.begin()
        ends = time.monotonic() + self.arguments.minutes * 60
        while time.monotonic() < ends and not self.problems and not self.interrupted.is_set():
            self.live(self.arguments.life_s)
        self.finish()

    def live(self, seconds):
        """One life of the server: serve, ingest, activate; then kill -9 and start again."""
        began, memory = time.monotonic(), []
        warm_up = min(WARM_UP_S, seconds / 2)
        load = Load(self.server, self.users_file)
        processes = self.interactions.follow(self.server.address)
        next_activation = ACTIVATION_EVERY_S
        while (lived := time.monotonic() - began) < seconds and not self.interrupted.is_set():
            if lived > next_activation:
                self.activate()
                next_activation += ACTIVATION_EVERY_S
            if lived > warm_up:
                memory.append(self.server.resident_mib())
            self.interrupted.wait(1)
        load.ends.set()
        load.join()  # no call is under way: each that fails is an error of the server's
        self.server.kill()
        self.kills += 1
        for process in processes:
            process.terminate()
            process.wait()
        start = time.monotonic()
        self.server.start()
        self.account(load, memory, seconds, time.monotonic() - start)

    def activate(self):
        known = len(self.server.call("snapshots")["snapshots"]) > 1
        self.server.call(*(["rollback"] if known else ["activate", self.other]))
        self.activations += 1

    def account(self, load, memory, seconds, start_s):
        self.codes.update(load.codes)
        self.p99 += load.p99
        errors = {code: count for code, count in load.codes.items() if code != "OK"}
        if errors:
            self.problems.append(f"calls failed: {errors}")
        third = len(memory) // 3
        if third == 0:  # interrupted before it was warm
            return
        first, last = statistics.median(memory[:third]), statistics.median(memory[-third:])
        if last > first * SLACK:
            self.problems.append(f"memory grew from {first:.0f} to {last:.0f} MiB")
        print(f"life {self.kills:>3}: {seconds:.0f} s, {load.codes['OK']:,} answers, p99 "
              f"{statistics.median(load.p99):.1f} ms, memory {first:.0f} -> {last:.0f} MiB, "
              f"{self.activations} activations so far, killed, back after {start_s:.1f} s", flush=True)

    def finish(self):
        self.interactions.finish(self.server.address)
        wanted = self.first_offset + self.interactions.sent + self.activations
        if (end := self.log_end()) != wanted:
            self.problems.append(f"the log ends at {end}; with every interaction once it is {wanted}")
        if self.server.stop() != 0:
            self.problems.append("the server did not stop in order")
        print(output(BIN / "groundswell-server", "verify", "--data-dir", self.directory / "database").strip())

    def report(self):
        print(f"{sum(self.codes.values()):,} Recommend calls: {dict(self.codes)}; p99 of runs of "
              f"{LOAD_RUN_S} s: median {statistics.median(self.p99):.1f} ms, worst {max(self.p99):.1f} ms")
        print(f"{self.interactions.sent:,} interactions, {self.activations} activations, "
              f"{self.kills} kills")
        print("\n".join(self.problems) or "no error, no growth, nothing lost, nothing twice, verify clean")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30, help="at least: lives are whole")
    parser.add_argument("--life-s", type=float, default=600, help="from a start to the next kill -9")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="groundswell-soak-") as name:
        soak = Soak(pathlib.Path(name), arguments)
        signal.signal(signal.SIGINT, lambda *_: soak.interrupted.set())
        soak.run()
        soak.report()
        sys.exit(1 if soak.problems else 0)


if __name__ == "__main__":
    main()
