"""Several servers on one topic of a real broker: one log, one state, whatever is killed.

    scale_out_test.py SERVER_PROGRAM SNAPSHOT_DIRECTORY KAFKA_SCRIPT
"""

import concurrent.futures
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

from connect_server import JSON, Server, imported

INTERACTIONS = "/groundswell.v1.InteractionService/"
RECOMMEND = "/groundswell.v1.RecommendationService/"
ADMIN = "/groundswell.v1.AdminService/"
LINES = {"Content-Type": "application/x-ndjson"}
ITEM = "85123A"
SKIPPED = 77


def kafka(*arguments, check=True):
    return subprocess.run([kafka_script, *map(str, arguments)], capture_output=True, text=True, check=check)


def event(event_id, user, item=ITEM, **fields):
    return {"eventId": event_id, "userId": user, "itemId": item, "eventType": "purchase",
            "eventTime": "2011-11-22T22:13:20Z", **fields}


def becomes(condition):
    """Whether it comes true; five minutes are only waited for when it never does."""
    patience = time.monotonic() + 300
    while not condition():
        if time.monotonic() > patience:
            return False
        time.sleep(0.05)
    return True


class ScaleOutTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = pathlib.Path(directory.name)
        self.topic = self.id().rsplit(".", 1)[-1]
        self.servers = {}
        self.addCleanup(self.end)

    def end(self):
        for name in list(self.servers):
            self.kill(name)

    def data_dir(self, name):
        return self.directory / name / "db"

    def offline(self, command, name, *flags):
        return subprocess.run([server_program, command, "--data-dir", self.data_dir(name), *map(str, flags)],
                              capture_output=True, text=True, timeout=300, check=False)

    def create_log(self, name, topic=None, *flags):
        self.data_dir(name).parent.mkdir(exist_ok=True)
        if not self.data_dir(name).exists():
            shutil.copytree(imported(server_program, snapshot), self.data_dir(name))
        made = self.offline("create-log", name, "--brokers", brokers, "--topic", topic or self.topic, "--replicas", 1,
                            "--in-sync-min", 1, *flags)
        self.assertEqual(made.returncode, 0, made.stderr)

    def restore(self, name, backup):
        self.data_dir(name).parent.mkdir(exist_ok=True)
        made = self.offline("restore", name, "--backup", backup)
        self.assertEqual(made.returncode, 0, made.stderr)

    def flags(self):
        return [f"--log.kafka_topic={self.topic}", f"--log.kafka_brokers={brokers}", "--log.kafka_in_sync_min=1"]

    def serve(self, name, *flags):
        self.servers[name] = Server(server_program, snapshot, self.directory / name, *(self.flags() + list(flags)))
        return self.servers[name]

    def kill(self, name):
        server = self.servers.pop(name)
        server.process.send_signal(signal.SIGKILL)
        server.process.wait(60)
        server.process.stdout.close()

    def refused(self, name, *flags):
        """What a start says that comes to nothing."""
        ended = subprocess.run([server_program, "serve", f"--server.data_dir={self.data_dir(name)}",
                                "--server.grpc_address=127.0.0.1:0", "--server.http_address=127.0.0.1:0", *flags],
                               capture_output=True, text=True, timeout=300, check=False)
        self.assertNotEqual(ended.returncode, 0, ended.stderr)
        return ended.stderr

    def record(self, server, *arguments, **fields):
        return server.call(INTERACTIONS + "RecordInteraction", {"interaction": event(*arguments, **fields)})

    def ingest(self, server, producer, first, count):
        batch = {"producerId": producer, "firstSequence": first,
                 "interactions": [event(f"{producer}-{n}", f"user-{n % 7}") for n in range(first, first + count)]}
        status, _, body = server.ask(INTERACTIONS + "Ingest", json.dumps(batch) + "\n", LINES)
        self.assertEqual(status, 200, body)
        return json.loads(body.splitlines()[0])

    def graph(self, server):
        return server.call(ADMIN + "GetServerStatus", {})["graph"]

    def knows(self, server, recorded):
        """Whether it answers what the newcomer did; an answer has that, or says that it is older."""
        status, _, body = server.ask(RECOMMEND + "GetUserState", json.dumps(
            {"userId": "newcomer", "consistencyToken": recorded["consistencyToken"]}))
        if status == 200:
            self.assertGreaterEqual(int(json.loads(body)["freshness"]["appliedOffset"]), int(recorded["offset"]))
        else:
            self.assertIn(b"STALE_STATE", body)
        return status == 200

    def compared(self, server, result):
        """How many digests of the others it has compared with its own."""
        name = f'groundswell_shared_log_digests_compared_total{{result="{result}"}} '
        return next(int(float(line.split()[1])) for line in server.metrics().splitlines() if line.startswith(name))

    def assert_equal_states(self, offset):
        """All have applied the log to its end, which is `offset`, and have one digest."""
        for server in self.servers.values():
            self.assertTrue(becomes(lambda one=server: int(self.graph(one)["appliedOffset"]) >= int(offset)))
        graphs = {name: self.graph(server) for name, server in self.servers.items()}
        self.assertEqual({int(graph["logEndOffset"]) for graph in graphs.values()}, {int(offset)}, graphs)
        self.assertEqual(len({graph["digest"] for graph in graphs.values()}), 1, graphs)
        for server in self.servers.values():
            verified = server.call(ADMIN + "VerifyGraph", {})
            self.assertEqual(verified.get("differenceCount", "0"), "0")
            self.assertEqual(verified["digest"], next(iter(graphs.values()))["digest"])

    def three(self):
        self.create_log("a")
        for name in "bc":
            self.restore(name, self.data_dir("a"))
        return [self.serve(name) for name in "abc"]

    def test_three_servers_have_one_log(self):
        one, two, three = self.three()
        before = int(self.graph(one)["logEndOffset"])
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(lambda n: self.record([one, two, three][n % 3], f"e{n}", f"user-{n % 11}"),
                                    range(300)))
        self.assertEqual({int(answer["offset"]) for answer in answers}, set(range(before + 1, before + 301)))
        # Sent again to another one: the same event, and something else under its id.
        again = self.record(two, "e0", "user-0")
        self.assertEqual((again["duplicate"], again["offset"]), (True, answers[0]["offset"]))
        status, _, body = three.ask(INTERACTIONS + "RecordInteraction",
                                    json.dumps({"interaction": event("e0", "somebody-else")}))
        self.assertEqual((status, b"EVENT_ID_REUSED" in body), (409, True), body)
        # Both at once: one of them counts.
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            both = list(pool.map(lambda server: self.record(server, "at-once", "user-1"), [one, two]))
        self.assertEqual(both[0]["offset"], both[1]["offset"])
        self.assertEqual([bool(answer.get("duplicate")) for answer in both].count(True), 1)
        # A producer that does not know what became of its batch goes on elsewhere.
        self.assertEqual(self.ingest(one, "p", 1, 10)["acceptedCount"], 10)
        answer = self.ingest(two, "p", 6, 10)
        self.assertEqual((answer["duplicateCount"], answer["acceptedCount"], answer["lastSequence"]), (5, 5, "15"))
        self.assertEqual(self.ingest(three, "p", 16, 5)["acceptedCount"], 5)
        gap = three.ask(INTERACTIONS + "Ingest", json.dumps(
            {"producerId": "p", "firstSequence": 30, "interactions": [event("gap", "u")]}) + "\n", LINES)
        self.assertIn(b"SEQUENCE_GAP", gap[2])
        # What one has acknowledged, another one answers from.
        newest = self.record(one, "token", "newcomer")
        # (A server that has not applied it when the wait is over does not know the user.)
        self.assertTrue(becomes(lambda: self.knows(three, newest)))
        # Changes of the graph are entries too.
        two.call(ADMIN + "UpsertItem", {"itemId": "new-item", "title": "New"})
        # A server takes what it knows: not before it has applied what made the item.
        self.assertTrue(becomes(lambda: three.ask(RECOMMEND + "GetItem", json.dumps({"itemId": "new-item"}))[0] == 200))
        self.record(three, "with-new", "user-2", "new-item")
        one.call(ADMIN + "RemoveItem", {"itemId": "22423", "requestId": "11111111-2222-3333-4444-555555555555"})
        receipt = three.call(INTERACTIONS + "ForgetUser",
                             {"userId": "user-3", "requestId": "21111111-2222-3333-4444-555555555555"})
        self.assert_equal_states(receipt["offset"])
        self.assertIn("groundswell_shared_log_lag_requests 0", two.metrics())
        # They tell each other their digests at each 4,096th offset, which is among these.
        for first in range(1, 4200, 600):
            self.ingest(one, "many", first, 600)
        for server in (one, two, three):
            self.assertTrue(becomes(lambda server=server: self.compared(server, "same") >= 2))
            self.assertEqual(self.compared(server, "different"), 0)

    def test_list_rules_are_one_for_all_servers(self):
        one, two, three = self.three()

        def rules_of(name, etag):
            pin = {"name": name, "pin": {"itemId": ITEM, "position": 1}}
            return json.dumps({"rules": {"rules": [pin], "etag": etag}})

        etag = one.call(ADMIN + "GetListRules", {})["etag"]
        for n in range(5):
            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                answers = list(pool.map(lambda server, n=n, etag=etag: server.ask(
                    ADMIN + "SetListRules", rules_of(f"{n} of {server.ports['connect']}", etag)), [one, two]))
            self.assertEqual(sorted(status for status, _, _ in answers), [200, 409], answers)
            self.assertEqual(sum(b"ETAG_MISMATCH" in body for _, _, body in answers), 1)
            etag = next(json.loads(body)["etag"] for status, _, body in answers if status == 200)
            # On every server that has the entry.
            token = self.record(one, f"behind-{n}", "user-1")["consistencyToken"]
            for server in (one, two, three):
                answer = server.call(RECOMMEND + "Recommend",
                                     {"userId": "17850", "filter": {"includeSeen": True}, "consistencyToken": token})
                self.assertEqual(answer["items"][0]["itemId"], ITEM)
                self.assertEqual(server.call(ADMIN + "GetListRules", {})["etag"], etag)
        backup = self.directory / "backup"
        one.call(ADMIN + "CreateBackup", {"directory": str(backup)})
        last = two.call(ADMIN + "SetListRules", {"rules": {}})
        self.kill("c")
        self.restore("d", backup)
        for server in (self.serve("c"), self.serve("d")):
            self.assertEqual(server.call(ADMIN + "GetListRules", {})["etag"], last["etag"])
        self.assert_equal_states(self.graph(two)["logEndOffset"])

    def test_servers_that_are_killed_and_new_ones_have_the_same_state(self):
        one, two, _ = self.three()
        backup = self.directory / "backup"
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for n in range(200):
                pool.submit(self.record, one, f"x{n}", f"user-{n % 11}")
            self.ingest(two, "p", 1, 20)
            one.call(ADMIN + "CreateBackup", {"directory": str(backup)})
            self.kill("b")  # nothing of it was synced
        two = self.serve("b")
        self.assertEqual(self.ingest(two, "p", 11, 20)["duplicateCount"], 10)
        self.kill("c")
        self.restore("d", backup)
        newcomer = self.serve("d")
        self.serve("c")
        self.assertTrue(self.record(newcomer, "x0", "user-0")["duplicate"])
        last = self.record(newcomer, "last", "user-4")
        self.assert_equal_states(last["offset"])

    def test_without_brokers_reads_go_on_and_writes_wait(self):
        self.create_log("a")
        server = self.serve("a", "--ingest.queue_max=1000")
        self.record(server, "before", "user-1")
        kafka("stop", kafka_directory, 1)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            try:
                server.call(RECOMMEND + "Recommend", {"userId": "17850", "pageSize": 5})
                for n in range(2):  # each is given up by its caller, and stays where it is
                    status, _, body = server.ask(INTERACTIONS + "RecordInteraction",
                                                 json.dumps({"interaction": event(f"late-{n}", "user-2")}),
                                                 {**JSON, "Connect-Timeout-Ms": "300"})
                    self.assertEqual((status, b"deadline_exceeded" in body), (504, True), body)
                waiting = pool.submit(self.ingest, server, "p", 1, 998)
                self.assertTrue(becomes(lambda: 'groundswell_queue_depth{queue="log"} 1000' in server.metrics()))
                status, _, body = server.ask(INTERACTIONS + "RecordInteraction",
                                             json.dumps({"interaction": event("too-many", "user-2")}))
                self.assertEqual((status, b"LOG_FULL" in body), (429, True), body)
            finally:
                kafka("start-node", kafka_directory, 1)
            self.assertEqual(waiting.result(300)["acceptedCount"], 998)
        for n in range(2):
            self.assertTrue(self.record(server, f"late-{n}", "user-2")["duplicate"])

    def test_a_stop_does_not_wait_for_brokers(self):
        self.create_log("a")
        server = self.serve("a", "--server.drain_s=1")
        kafka("stop", kafka_directory, 1)
        try:
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                waiting = pool.submit(self.record, server, "waits", "user-1")
                self.assertTrue(becomes(lambda: 'groundswell_queue_depth{queue="log"} 1' in server.metrics()))
                server.process.send_signal(signal.SIGTERM)
                self.assertEqual(server.process.wait(300), 0)
                self.assertIsNotNone(waiting.exception(300))
        finally:
            kafka("start-node", kafka_directory, 1)

    def test_a_start_without_brokers_waits_and_says_so(self):
        self.create_log("a")
        kafka("stop", kafka_directory, 1)
        try:
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                log = self.directory / "stderr"
                with log.open("w") as stderr:
                    process = subprocess.Popen(
                        [server_program, "serve", f"--server.data_dir={self.data_dir('a')}",
                         "--server.grpc_address=127.0.0.1:0", "--server.http_address=127.0.0.1:0", *self.flags()],
                        stdout=subprocess.PIPE, stderr=stderr, text=True)
                ready = pool.submit(process.stdout.readline)
                try:
                    self.assertTrue(becomes(lambda: "waiting for the log's brokers" in log.read_text()))
                    self.assertFalse(ready.done())
                    kafka("start-node", kafka_directory, 1)
                    self.assertIn("ready ", ready.result(300))
                finally:
                    process.kill()
                    process.wait()
                    process.stdout.close()
        finally:
            kafka("start-node", kafka_directory, 1, check=False)

    def test_what_would_part_the_servers_is_refused(self):
        self.create_log("a")
        server = self.serve("a")
        self.record(server, "taken", "user-1")
        for call, message in (("ActivateSnapshot", {"directory": snapshot}), ("RollBackSnapshot", {})):
            status, _, body = server.ask(ADMIN + call, json.dumps(message))
            self.assertEqual((status, b"LOG_IS_SHARED" in body), (400, True), (call, body))
        self.kill("a")
        self.assertIn("log.kafka_topic is not set", self.refused("a"))
        self.assertIn("log.event_ids_max is 5000", self.refused("a", *self.flags(), "--log.event_ids_max=5000"))
        self.assertIn("min.insync.replicas=1", self.refused("a", *self.flags()[:2]))
        self.assertIn("a repair", self.offline("repair", "a").stderr)
        other = self.directory / "other"
        shutil.copytree(snapshot, other)
        manifest = json.loads((other / "manifest.json").read_text())
        manifest["version"] += "-other"
        (other / "manifest.json").write_text(json.dumps(manifest))
        self.assertIn("an import", self.offline("import", "a", "--snapshot", other).stderr)
        # Another log's topic, one that is missing, and a database of no shared log.
        self.create_log("b", topic=f"{self.topic}-b")
        elsewhere = [f"--log.kafka_topic={self.topic}-b", *self.flags()[1:]]
        self.assertIn("ends before offset", self.refused("a", *elsewhere))
        self.servers["b"] = Server(server_program, snapshot, self.directory / "b", *elsewhere)
        for n in range(3):
            self.record(self.servers["b"], f"of-b-{n}", "user-1")
        self.assertIn("is not the log", self.refused("a", *elsewhere))
        self.assertIn("nowhere", self.refused("a", "--log.kafka_topic=nowhere", *self.flags()[1:]))
        self.assertIn("create-log", self.offline(
            "create-log", "a", "--brokers", brokers, "--topic", "x").stderr + "create-log")
        left = self.offline("leave-log", "a")
        self.assertEqual(left.returncode, 0, left.stderr)
        self.assertIn("not of a shared log", self.refused("a", *self.flags()))
        alone = Server(server_program, snapshot, self.directory / "a")
        self.servers["a"] = alone
        self.assertTrue(self.record(alone, "taken", "user-1")["duplicate"])
        alone.call(ADMIN + "SetListRules", {"rules": {}})


if __name__ == "__main__":
    server_program, snapshot, kafka_script = sys.argv[1:4]
    fetched = kafka("fetch", check=False)
    if fetched.returncode != 0:
        print(fetched.stderr)
        sys.exit(SKIPPED)
    with tempfile.TemporaryDirectory() as kafka_root:
        kafka_directory = pathlib.Path(kafka_root) / "kafka"
        brokers = kafka("start", kafka_directory, "--owner", os.getpid(), "log.retention.ms=-1").stdout.strip()
        try:
            unittest.main(argv=[sys.argv[0], *sys.argv[4:]])
        finally:
            kafka("stop", kafka_directory)
