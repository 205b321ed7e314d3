"""Three brokers and three servers under clients with ledgers, of which some are killed or stand still again and again.

    cluster_faults_test.py SERVER_PROGRAM CLI_PROGRAM SNAPSHOT_DIRECTORY KAFKA_SCRIPT [--rounds 100] [--seed N] [--keep]

A round is a kill -9 of a broker, a server or a client, a SIGSTOP of a broker (for longer than its session with the controller) or a
server, a server that the network cuts off from the brokers or whose disk is full (where this has the rights of root), or one
whose database is lost, and made anew of another one's backup. They come back while the next rounds go on; one broker at a time is away, and
at least one server is there. At the end:

    what was acknowledged is in the log once, at the offset that was acknowledged, and nothing is there twice
    all servers have the same log, the same digests, and no counter that differs from its edges
    at every offset at which two servers were seen, they had the same digest of the graph
    no call for a list by HAProxy failed that was not under way when a server was killed
    what the clients say themselves: an answer that must not be

--keep leaves the directory. Status 77: no broker or no balancer can run here.
"""

import argparse
import collections
import concurrent.futures
import contextlib
import itertools
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

from cluster import ADMIN, Balancer, Cluster, SmallDisk, becomes, post
from cluster_client import event_of, lines_of
from cluster_lists import Lists

SKIPPED = 77
CLIENTS = {"events-1": "events", "events-2": "events", "producer-1": "producer", "producer-2": "producer",
           "changes-1": "changes"}
FAULTS = collections.OrderedDict((("kill broker", 3), ("stop broker", 3), ("kill server", 4), ("stop server", 3),
                                  ("kill client", 3), ("lose server", 1), ("cut server", 3), ("fill server", 2)))


class Digests:
    """What the servers said that they have at an offset, asked all the while."""

    def __init__(self, servers):
        self._servers, self._ends = servers, threading.Event()
        self.seen = collections.defaultdict(dict)  # by offset and server
        self._threads = [threading.Thread(target=self._watch, args=(name,)) for name in servers]
        for thread in self._threads:
            thread.start()

    def _watch(self, name):
        while not self._ends.wait(0.02):
            with contextlib.suppress(OSError, ValueError):
                graph = self._servers[name].graph(1)
                self.seen[int(graph["appliedOffset"])][name] = graph["digest"]  # blendDigest is of a moment later

    def stop(self):
        self._ends.set()
        for thread in self._threads:
            thread.join()

    def common(self):
        """(offsets at which two servers and more were seen, those at which they differed)"""
        common = {offset: by for offset, by in self.seen.items() if len(by) > 1}
        return len(common), {offset: by for offset, by in common.items() if len(set(by.values())) > 1}


class Faults:
    def __init__(self, cluster, balancer, directory, seed):
        self._cluster, self._balancer, self._directory = cluster, balancer, directory
        self._random = random.Random(seed)
        self._free = {"broker": {1, 2, 3}, "server": set(cluster.servers), "client": set(CLIENTS)}
        self._changed = threading.Condition()
        self._pool = concurrent.futures.ThreadPoolExecutor(8)
        self._recoveries = []
        self.clients, self.kills, self.count = {}, [], collections.Counter()
        for name in CLIENTS:
            self._start_client(name)

    def _start_client(self, name):
        ports = [str(server.connect) for server in self._cluster.servers.values()]
        self.clients[name] = subprocess.Popen(
            [sys.executable, "-B", pathlib.Path(__file__).parent / "cluster_client.py", CLIENTS[name], name,
             self._directory / f"{name}.ledger", *ports], stderr=(self._directory / f"{name}.stderr").open("a"))

    def _take(self, kind):
        """One that nothing is wrong with, so that enough others are left."""
        left = {"broker": 2, "server": 1, "client": 0}[kind]
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._free[kind]) > left, 900):
                raise RuntimeError(f"no {kind} has come back for a quarter of an hour; well are {self._free}")
            victim = self._random.choice(sorted(self._free[kind]))
            self._free[kind].remove(victim)
        if kind == "server" and not becomes(lambda: self._balancer.up() & self._free["server"]):
            raise RuntimeError(f"the balancer has none of the servers {self._free['server']}")
        return victim

    def one(self, faults):
        fault = self._random.choices(list(faults), faults.values())[0]
        kind = fault.split()[1]
        victim = self._take(kind)
        self.count[fault] += 1
        print(f"{time.monotonic():.1f} {fault} {victim}", flush=True)
        recovery = getattr(self, "_" + fault.replace(" ", "_"))(victim, self._random.uniform(0, 3))
        self._recoveries.append(self._pool.submit(self._recover, kind, victim, recovery))

    def _recover(self, kind, victim, recovery):
        try:
            recovery()
        except BaseException as error:
            print(f"{time.monotonic():.1f} {kind} {victim} does not come back: {error}", flush=True)
            raise
        with self._changed:
            self._free[kind].add(victim)
            self._changed.notify_all()

    def _kill_broker(self, node, pause):
        self._cluster.brokers.signal(node, signal.SIGKILL)
        return lambda: (time.sleep(pause), self._cluster.brokers.start(node))

    def _stop_broker(self, node, pause):
        self._cluster.brokers.signal(node, signal.SIGSTOP)
        return lambda: (time.sleep(4 + pause), self._cluster.brokers.signal(node, signal.SIGCONT))

    def _kill_server(self, name, pause):
        server = self._cluster.servers[name]
        begin = time.monotonic()
        server.kill()
        self.kills.append((begin, time.monotonic()))
        return lambda: (time.sleep(pause), server.start(), server.await_ready())

    def _stop_server(self, name, pause):
        server = self._cluster.servers[name]
        server.signal(signal.SIGSTOP)
        return lambda: (time.sleep(2 + 2 * pause), server.signal(signal.SIGCONT), server.await_ready())

    def _cut_server(self, name, pause):
        relay, server = self._cluster.relays[name], self._cluster.servers[name]
        relay.process.send_signal(signal.SIGSTOP)
        return lambda: (time.sleep(4 + 2 * pause), relay.process.send_signal(signal.SIGCONT), server.await_ready())

    def _fill_server(self, name, pause):
        disk, server = self._cluster.disks[name], self._cluster.servers[name]
        disk.fill()
        return lambda: (time.sleep(2 + pause), disk.free(), server.await_ready())

    def _lose_server(self, name, pause):
        recovery = self._kill_server(name, pause)

        def made_anew():
            backup = self._directory / f"backup-of-{name}"
            shutil.rmtree(backup, ignore_errors=True)
            while True:
                with self._changed:
                    source = sorted(self._free["server"])[0]
                try:
                    post(self._cluster.servers[source].connect, ADMIN + "CreateBackup", {"directory": str(backup)})
                    break
                except OSError:  # It was the next one that was killed.
                    shutil.rmtree(backup, ignore_errors=True)
            self._cluster.servers[name].restore(backup)
            recovery()
        return made_anew

    def _kill_client(self, name, pause):
        self.clients[name].kill()
        self.clients[name].wait()
        return lambda: (time.sleep(pause), self._start_client(name))

    def pause(self):
        time.sleep(self._random.uniform(0, 1.5))

    def end(self):
        """Ends the clients, since a server that comes back has to apply what they send too, and waits for all that was
        hurt. The exit statuses of the clients."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._free["client"] == set(CLIENTS), 300):
                raise RuntimeError("a client has not come back")
        for process in self.clients.values():
            process.terminate()
        statuses = {name: process.wait(600) for name, process in self.clients.items()}
        for recovery in self._recoveries:
            recovery.result(900)
        return statuses


class Verdict:
    """What is wrong at the end, in words."""

    def __init__(self, cluster, cli, directory):
        self._servers, self._cli, self._directory = cluster.servers, cli, directory
        self.wrong, self.figures = [], {}

    def expect(self, true, what):
        if not true:
            self.wrong.append(what)

    def states(self):
        def graphs():
            return [server.graph() for server in self._servers.values()]

        def settled():
            at = [(int(graph["logEndOffset"]), int(graph["appliedOffset"])) for graph in graphs()]
            return len({offset for both in at for offset in both}) == 1
        self.expect(becomes(settled), f"the servers do not reach one offset: {graphs()}")
        at_end = {name: (graph["logEndOffset"], graph["digest"], graph["blendDigest"])
                  for name, graph in zip(self._servers, graphs(), strict=True)}
        self.expect(len(set(at_end.values())) == 1, f"the servers differ: {at_end}")
        self.figures["end"] = at_end
        for name, server in self._servers.items():
            verified = post(server.connect, ADMIN + "VerifyGraph", {}, 300)
            self.expect(int(verified.get("differenceCount", 0)) == 0, f"{name}: {verified}")

    def _log(self, name):
        """Every interaction of its log but those that were taken out, which each server redacts in its own time."""
        printed = subprocess.run([self._cli, "--server", f"127.0.0.1:{self._servers[name].grpc}", "--timeout-ms", "300000",
                                  "log"], capture_output=True, text=True, check=True).stdout
        events = [json.loads(line) for line in printed.splitlines()]
        return [event for event in events if not event["user"].startswith("changes-")]

    def ledgers(self):
        logs = {name: self._log(name) for name in self._servers}
        first = max(log[0]["offset"] for log in logs.values() if log)  # One made of a backup may begin later.
        logs = {name: [event for event in log if event["offset"] >= first] for name, log in logs.items()}
        names = list(logs)
        for name in names[1:]:
            differ = next((pair for pair in itertools.zip_longest(logs[names[0]], logs[name]) if pair[0] != pair[1]), None)
            self.expect(differ is None, f"the logs of {names[0]} and {name} differ first in {differ}")
        log = logs[names[0]]
        places = {event["event_id"]: event for event in log}
        self.expect(len(places) == len(log), f"{len(log) - len(places)} event ids are in the log twice")
        self.figures["interactions in the log"] = len(log)
        for name, kind in CLIENTS.items():
            lines = lines_of(self._directory / f"{name}.ledger")
            for line in lines:
                self.expect(line[0] != "wrong", f"{name}: {line[1:]}")
            self.figures[name] = len(lines)
            if kind == "events":
                self._of_events(name, lines, places)
            elif kind == "producer":
                self._of_producer(name, lines, places)

    def _of_events(self, name, lines, places):
        acknowledged = {line[1]: line[2] for line in lines if line[0] == "event"}
        for number, offset in acknowledged.items():
            self._expect_at(name, number, places, offset)
        there = sum(event_id.startswith(name + "-") for event_id in places)
        self.expect(there == len(acknowledged), f"{name}: {there} are there, {len(acknowledged)} acknowledged")

    def _of_producer(self, name, lines, places):
        last = max((line[1] for line in lines if line[0] == "sequence"), default=0)
        for number in range(1, last + 1):
            self._expect_at(name, number, places)
        for _, number, offset in (line for line in lines if line[0] == "sequence"):
            self._expect_at(name, number, places, offset)
        offsets = [places[f"{name}-{number}"]["offset"] for number in range(1, last + 1) if f"{name}-{number}" in places]
        self.expect(offsets == sorted(offsets), f"{name}: not in the order of its numbers")

    def _expect_at(self, name, number, places, offset=None):
        sent, event = event_of(name, number), places.get(f"{name}-{number}")
        self.expect(event is not None, f"{name}: {number} was acknowledged and is lost")
        if event is not None:
            self.expect(offset in (None, event["offset"]), f"{name}: {number} acknowledged at {offset}: {event}")
            self.expect((event["user"], event["item"]) == (sent["userId"], sent["itemId"]), f"{name}: {sent} is {event}")

    def lists(self, lists, kills):
        self.figures["lists answered"] = lists.answered()
        self.figures["lists failed"] = collections.Counter(f"{code} {details}" for _, _, code, details in lists.failed)
        for begin, end, code, details in lists.failed_beside_no(kills):
            self.wrong.append(f"a list failed beside no kill, from {begin:.2f} to {end:.2f}: {code} {details}")


def run(arguments, directory, small_disks):
    cluster = Cluster(arguments.server, arguments.snapshot, arguments.kafka, directory, small_disks=small_disks)
    balancer = lists = digests = faults = None
    possible = {fault: weight for fault, weight in FAULTS.items() if small_disks or fault != "fill server"}
    try:
        balancer = Balancer(directory, cluster.servers)
        if not becomes(lambda: balancer.has_ended() or len(balancer.up()) == len(cluster.servers)) or balancer.has_ended():
            raise RuntimeError("the balancer does not see the servers: " + (directory / "haproxy.log").read_text())
        faults = Faults(cluster, balancer, directory, arguments.seed)
        lists, digests = Lists(balancer.port), Digests(cluster.servers)
        for _ in range(arguments.rounds):
            faults.one(possible)
            faults.pause()
        ended = faults.end()
        verdict = Verdict(cluster, arguments.cli, directory)
        verdict.expect(set(ended.values()) == {0}, f"clients ended with {ended}")
        lists.stop()
        digests.stop()
        verdict.states()
        verdict.ledgers()
        verdict.lists(lists, faults.kills)
        common, differ = digests.common()
        verdict.expect(not differ, f"digests differ at the same offset: {differ}")
        verdict.figures["offsets at which servers were compared"] = common
        verdict.figures["faults"] = dict(faults.count)
        return verdict
    finally:
        for one in (lists, digests):
            if one is not None:
                one.stop()
        for process in faults.clients.values() if faults else ():
            process.kill()
            process.wait()
        if balancer is not None:
            balancer.stop()
        cluster.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("server", "cli", "snapshot", "kafka"):
        parser.add_argument(name)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--keep", action="store_true", help="leave the directory")
    arguments = parser.parse_args()
    fetched = subprocess.run([arguments.kafka, "fetch"], capture_output=True, text=True, check=False)
    if fetched.returncode != 0 or shutil.which("haproxy") is None:
        print(fetched.stderr or "haproxy is missing (Debian's haproxy)")
        sys.exit(SKIPPED)
    directory = pathlib.Path(tempfile.mkdtemp(prefix="groundswell-cluster-"))
    small_disks = SmallDisk.can_be_had()
    if not small_disks:
        print("no disk is filled: this cannot mount one of its own")
    print(f"--seed {arguments.seed} --rounds {arguments.rounds}, in {directory}", flush=True)
    verdict = None
    try:
        verdict = run(arguments, directory, small_disks)
        for name, figure in verdict.figures.items():
            print(f"{name}: {figure}")
        for wrong in verdict.wrong[:50]:
            print(f"WRONG: {wrong}")
        print(f"{len(verdict.wrong)} wrong")
    finally:
        if not arguments.keep and verdict is not None and not verdict.wrong:
            shutil.rmtree(directory)
    sys.exit(1 if verdict.wrong else 0)


if __name__ == "__main__":
    main()
