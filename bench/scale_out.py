#!/usr/bin/python3
"""What a log that several servers share costs beside a server's own: rates, latencies, and how a new server catches up.

For the embedded log, a topic of one broker, and one of three brokers, on the bundled sample, all on this machine:

    acknowledged /s     ingest_bench with four streams that send all they can
    ack p50, p99        one interaction a call, --rate of them a second from eight callers, from the intended start
    visible p50, p99    from a call's start until another server applied it (the embedded log: the same one), by its status, one
                        interaction after the other while those calls go on
    ready, catch-up     of the third server: from the command `restore` to ready, and entries of the log that it applied a second

    bench/scale_out.py                      from build/release; takes three minutes on a quiet machine
    bench/scale_out.py --rounds 3 --json    medians of more rounds

Needs Java and Maven for the brokers (scripts/kafka).
"""

import argparse
import concurrent.futures
import http.client
import json
import os
import pathlib
import shutil
import statistics
import tempfile
import time

from running_server import BIN, ROOT, SAMPLE, RunningServer, output

KAFKA = ROOT / "scripts" / "kafka"
TOPIC = "groundswell.default.requests"
CALLERS = 8
PROBES = 200


class Caller:
    """One kept connection for HTTP."""

    def __init__(self, server):
        self._connection = http.client.HTTPConnection("127.0.0.1", server.ports["connect_port"], timeout=60)

    def call(self, path, message):
        self._connection.request("POST", "/groundswell.v1." + path, json.dumps(message),
                                 {"Content-Type": "application/json", "Connect-Timeout-Ms": "60000"})
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(body.decode())
        return json.loads(body)

    def record(self, event_id):
        return self.call("InteractionService/RecordInteraction", {"interaction": {
            "eventId": event_id, "userId": f"caller-{event_id[-2:]}", "itemId": "85123A", "eventType": "purchase",
            "eventTime": "2011-12-09T12:00:00Z"}})

    def applied(self):
        return int(self.call("AdminService/GetServerStatus", {})["graph"]["appliedOffset"])


def quantiles_ms(seconds, name):
    seconds = sorted(seconds)
    return {f"{name}_p50_ms": 1e3 * statistics.median(seconds), f"{name}_p99_ms": 1e3 * seconds[int(0.99 * len(seconds))]}


def acknowledgements(server, rate, seconds, prefix):
    """How long each call took from when it was due: a late one holds up those behind it."""
    begin = time.monotonic() + 0.1

    def of_one(nth):
        caller, took = Caller(server), []
        for number in range(int(rate * seconds / CALLERS)):
            due = begin + (number + nth / CALLERS) * CALLERS / rate
            time.sleep(max(0, due - time.monotonic()))
            caller.record(f"{prefix}-{nth}-{number}")
            took.append(time.monotonic() - due)
        return took
    with concurrent.futures.ThreadPoolExecutor(CALLERS) as pool:
        return [one for took in pool.map(of_one, range(CALLERS)) for one in took]


def visible(writer, reader, prefix):
    """From a call's start until the other server has applied it."""
    writes, asks, took = Caller(writer), Caller(reader), []
    for number in range(PROBES):
        begin = time.monotonic()
        offset = int(writes.record(f"{prefix}-{number}")["offset"])
        while asks.applied() < offset:
            pass
        took.append(time.monotonic() - begin)
    return took


class Setup:
    """One server with a log of its own, or servers on a topic."""

    def __init__(self, brokers, directory):
        self._nodes, self._directory, self.servers = brokers, directory, []
        self._flags = ["--server.connect_address=127.0.0.1:0"]
        if brokers:
            addresses = output(KAFKA, "start", directory / "kafka", "--nodes", brokers, "--owner", os.getpid()).strip()
            in_sync = (brokers + 1) // 2
            self._flags += [f"--log.kafka_topic={TOPIC}", f"--log.kafka_brokers={addresses}", f"--log.kafka_in_sync_min={in_sync}"]
            output(BIN / "groundswell-server", "import", "--snapshot", SAMPLE, "--data-dir", directory / "0" / "database")
            output(BIN / "groundswell-server", "create-log", "--data-dir", directory / "0" / "database", "--brokers", addresses,
                   "--topic", TOPIC, "--replicas", brokers, "--in-sync-min", in_sync)
            self.backup = directory / "backup"
            shutil.copytree(directory / "0" / "database", self.backup)
        self.add()
        if brokers:
            self.restore()

    def add(self):
        self.servers.append(RunningServer(SAMPLE, self._directory / str(len(self.servers)), *self._flags))

    def restore(self):
        output(BIN / "groundswell-server", "restore", "--backup", self.backup, "--data-dir",
               self._directory / str(len(self.servers)) / "database")
        self.add()

    def stop(self):
        for server in self.servers:
            server.stop()
        if self._nodes:
            output(KAFKA, "stop", self._directory / "kafka")


def measure(brokers, rate, seconds, batches, directory):
    setup = Setup(brokers, directory)
    try:
        first, last = setup.servers[0], setup.servers[-1]
        ack = acknowledgements(first, rate, seconds, "ack")
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            beside = pool.submit(acknowledgements, first, rate, seconds, "beside")
            seen = visible(first, last, "seen")
            beside.result()
        bench = json.loads(output(BIN / "ingest_bench", "--server", first.address, "--items-file", SAMPLE / "items.jsonl",
                                  "--batches", batches, "--json"))
        figures = {"acknowledged_per_s": bench["events_per_second"], **quantiles_ms(ack, "ack"), **quantiles_ms(seen, "visible")}
        for server in setup.servers:
            server.settle()
        if brokers:
            begin = time.monotonic()
            setup.restore()
            figures["new_server_ready_s"] = time.monotonic() - begin
            graph = setup.servers[-1].call("status")["graph"]
            figures["caught_up_per_s"] = (int(graph["applied_offset"]) - int(graph["log_begin_offset"])) / figures["new_server_ready_s"]
        return figures
    finally:
        setup.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=200, help="calls a second for the latencies")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--batches", type=int, default=200, help="of 100 interactions, of each of the four streams")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = {}
    for name, brokers in (("embedded", 0), ("one broker", 1), ("three brokers", 3)):
        rounds = []
        for _ in range(arguments.rounds):
            with tempfile.TemporaryDirectory(prefix="groundswell-bench-") as directory:
                rounds.append(measure(brokers, arguments.rate, arguments.seconds, arguments.batches, pathlib.Path(directory)))
            print(name, json.dumps(rounds[-1]), flush=True)
        rows[name] = {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}
    if arguments.json:
        print(json.dumps(rows))
        return
    for name, row in rows.items():
        print(f"{name}: " + ", ".join(f"{key} {value:.1f}" for key, value in row.items()))


if __name__ == "__main__":
    main()
