"""A catalogue in bulk: the stream by gRPC and by HTTP, and the command line, against a real server.

    upsert_items_test.py SERVER_PROGRAM CLI_PROGRAM SNAPSHOT_DIRECTORY
"""

import hashlib
import json
import pathlib
import queue
import signal
import subprocess
import sys
import tempfile
import unittest

import grpc

from connect_server import Server

UPSERT = "/groundswell.v1.AdminService/UpsertItems"
SIMILAR = "/groundswell.v1.RecommendationService/SimilarItems"
LINES = {"Content-Type": "application/x-ndjson"}
DIM = 64
CLIENTS = """[[client]]
name = "shop"
token_sha256 = "{digest}"
rights = ["read", "write"]
"""


def line(*requests):
    return json.dumps({"requests": requests}) + "\n"


class UpsertItemsTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = pathlib.Path(directory.name)
        self.server = None

    def start(self, *flags, empty=False):
        if empty:
            (self.directory / "db").mkdir(exist_ok=True)
        self.server = Server(server_program, snapshot, self.directory, *flags)
        self.addCleanup(self.stop)

    def stop(self):
        if self.server is not None:
            self.server.stop()
            self.server = None

    def lines(self, body, headers=None):
        status, _, content = self.server.ask(UPSERT, body, {**LINES, **(headers or {})})
        return status, [json.loads(one) for one in content.splitlines()]

    def cli(self, *arguments, server=None):
        address = f"127.0.0.1:{self.server.ports['grpc']}" if server is None else server
        return subprocess.run([cli_program, "--server", address, *map(str, arguments)], capture_output=True, text=True,
                              timeout=300, check=False)

    def file(self, name, text):
        path = self.directory / name
        path.write_text(text, encoding="utf-8")
        return path

    def stream(self):
        """A stream of bytes by gRPC: what to put requests into, and the call."""
        requests = queue.SimpleQueue()
        channel = grpc.insecure_channel(f"127.0.0.1:{self.server.ports['grpc']}")
        self.addCleanup(channel.close)
        return requests, channel.stream_stream(UPSERT)(iter(requests.get, None), timeout=300)

    def test_each_request_of_a_batch_has_its_own_outcome(self):
        self.start()
        near = {"itemId": "new-1", "title": "One", "category": "lamps", "embedding": [0.1] * DIM}
        status, answers = self.lines(
            line(near, {"itemId": "85123A", "title": "Replaced"}, {"itemId": ""},
                 {"itemId": "new-2", "embedding": [1, 2]}, {"itemId": "new-3", "namespace": "other"})
            + line({"itemId": "new-1", "title": "Again"}))
        self.assertEqual(status, 200)
        first, second = answers
        self.assertEqual((first.get("batchIndex", "0"), first["createdCount"], first["replacedCount"]), ("0", 1, 1))
        self.assertEqual([refusal.get("index", 0) for refusal in first["refusals"]], [2, 3, 4])
        self.assertIn("item_id", first["refusals"][0]["status"]["message"])
        self.assertIn(f"must have {DIM} numbers", first["refusals"][1]["status"]["message"])
        self.assertIn("other", first["refusals"][2]["status"]["message"])
        self.assertEqual((second["batchIndex"], second["replacedCount"]), ("1", 1))
        self.assertGreater(int(second["lastOffset"]), int(first["lastOffset"]))
        # Applied once it is answered: the vector is there, and "new-2" is not.
        self.assertTrue(self.server.call(SIMILAR, {"itemId": "new-1"})["items"])
        self.assertEqual(self.server.ask(SIMILAR, json.dumps({"itemId": "new-2"}))[0], 404)
        self.assertRegex(self.server.metrics(), r'groundswell_request_duration_seconds_count\{.*method="UpsertItems".*\} 1')

    def test_a_repeated_request_is_done_once(self):
        self.start(empty=True)
        request = {"itemId": "a", "requestId": "11111111-2222-3333-4444-555555555555"}
        first = self.lines(line(request))[1][0]
        again = self.lines(line(request))[1][0]
        self.assertEqual((first["createdCount"], again["duplicateCount"]), (1, 1))
        self.assertEqual(first["lastOffset"], again["lastOffset"])
        other = self.lines(line({**request, "itemId": "b"}))[1][0]
        self.assertIn("request_id", other["refusals"][0]["status"]["message"])

    def test_a_batch_that_is_none_ends_the_stream(self):
        self.start(empty=True)
        for body in ("{}\n", line(*({"itemId": f"i{i}"} for i in range(1001)))):
            status, answers = self.lines(body)
            self.assertEqual(status, 400)
            self.assertIn("must hold 1 to 1000 requests", answers[0]["message"])
        requests, call = self.stream()
        requests.put(b"\xff\xff")
        with self.assertRaises(grpc.RpcError) as ended:
            next(call)
        self.assertEqual(ended.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)
        requests.put(None)

    def test_what_was_answered_outlives_a_kill(self):
        self.start(empty=True)
        answer = self.lines(line(*({"itemId": f"i{i}", "title": f"title {i}"} for i in range(1000))))[1][0]
        self.assertEqual(answer["createdCount"], 1000)
        self.server.process.send_signal(signal.SIGKILL)
        self.server.process.wait(60)
        self.server.process.stdout.close()
        self.start(empty=True)
        answer = self.lines(line(*({"itemId": f"i{i}"} for i in range(1000))))[1][0]
        self.assertEqual(answer["replacedCount"], 1000)

    def test_an_open_stream_does_not_hold_up_the_end(self):
        self.start("--server.drain_s=250", empty=True)
        requests, call = self.stream()
        requests.put(b"\x0a\x03\x1a\x01a")  # {requests: {item_id: "a"}}
        self.assertTrue(next(call))
        server, self.server = self.server, None
        self.assertEqual(server.stop(), 0)  # within 60 s
        with self.assertRaises(grpc.RpcError) as ended:
            next(call)
        self.assertEqual(ended.exception.code(), grpc.StatusCode.UNAVAILABLE)
        self.assertIn("send what is not answered again", ended.exception.details())
        requests.put(None)

    def test_it_takes_the_right_admin(self):
        clients = self.file("clients.toml", CLIENTS.format(digest=hashlib.sha256(b"secret").hexdigest()))
        self.start(f"--access.clients_file={clients}", empty=True)
        status, answers = self.lines(line({"itemId": "a"}), {"Authorization": "Bearer secret"})
        self.assertEqual((status, answers[0]["code"]), (403, "permission_denied"))

    def test_the_command_line_tells_what_became_of_a_file(self):
        self.start("--graph.new_items_max=3", empty=True)
        good = self.file("good.csv", "sku;name;department\n1;Lamp;lamps\n2;\"Mug; blue\";mugs\n")
        finished = self.cli("upsert-items", good)
        self.assertEqual(finished.returncode, 0, finished.stderr)
        self.assertIn("2 created, 0 replaced, 0 refused", finished.stdout)
        self.assertIn("read: item from sku, title from name, category from department", finished.stdout)
        other_language = self.file("katalog.csv", "sku;Beschreibung\n1;Leuchte\n")
        finished = self.cli("upsert-items", other_language)
        self.assertEqual(finished.returncode, 1)
        self.assertIn('found are "sku", "Beschreibung"', finished.stderr)

        mixed = self.file("mixed.jsonl", "".join(json.dumps(item) + "\n" for item in (
            {"item": "1", "title": "Lamp, white"}, {"item": ""}, {"item": "3"}, {"item": "4"}, {"item": "5"})))
        finished = self.cli("--json", "upsert-items", mixed, "--skip-bad-records", "--batch-size", 2)
        self.assertEqual(finished.returncode, 1)
        told = json.loads(finished.stdout)
        self.assertEqual([told[key] for key in ("created", "replaced", "refused", "bad_records")], [1, 1, 2, 1])
        self.assertTrue(any("graph.new_items_max" in reason and "(2 times)" in reason for reason in told["reasons"]),
                        told["reasons"])

        # Without the flag the reading ends at the bad record; what precedes it counts.
        finished = self.cli("upsert-items", mixed)
        self.assertEqual(finished.returncode, 1)
        self.assertIn("1 replaced", finished.stdout)
        self.assertIn('record 2: item is ""', finished.stderr)

    def test_the_command_line_names_what_is_wrong(self):
        no_column = self.file("wrong.csv", "a,b\n1,2\n")
        finished = self.cli("upsert-items", no_column, server="127.0.0.1:9")
        self.assertEqual(finished.returncode, 1)
        self.assertIn("say which it is with --item COLUMN", finished.stderr)
        finished = self.cli("upsert-items", self.file("good.csv", "item,title\n1,Lamp\n"), "--retry-for-s", 0,
                            server="127.0.0.1:9")
        self.assertEqual(finished.returncode, 1)
        self.assertIn("UNAVAILABLE", finished.stderr)


if __name__ == "__main__":
    server_program, cli_program, snapshot = sys.argv[1:4]
    unittest.main(argv=sys.argv[:1] + sys.argv[4:])
