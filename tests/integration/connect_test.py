"""The services over HTTP, asked by a client that knows nothing of gRPC; and by one that means ill.

    connect_test.py SERVER_PROGRAM SNAPSHOT_DIRECTORY
"""

import base64
import json
import pathlib
import random
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from connect_server import JSON, Server

RECOMMEND = "/groundswell.v1.RecommendationService/Recommend"
RANK = "/groundswell.v1.RecommendationService/Rank"
SIMILAR = "/groundswell.v1.RecommendationService/SimilarItems"
RECORD = "/groundswell.v1.InteractionService/RecordInteraction"
INGEST = "/groundswell.v1.InteractionService/Ingest"
STATUS = "/groundswell.v1.AdminService/GetServerStatus"
USER, ITEM = "17850", "85123A"
# The SHA-256 of "secret-of-the-shop".
CLIENTS = """[[client]]
name = "shop"
token_sha256 = "{digest}"
rights = ["read"]
"""


class ConnectTest(unittest.TestCase):
    program = snapshot = None

    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory(prefix="groundswell-test-")
        cls.server = Server(cls.program, cls.snapshot, cls.directory.name,
                            "--server.connect_origins=https://shop.example,https://other.example")

    @classmethod
    def tearDownClass(cls):
        assert cls.server.stop() == 0
        cls.directory.cleanup()

    def error(self, path, body, headers=None, method="POST"):
        status, fields, content = self.server.ask(path, body, headers, method)
        self.assertEqual(fields["Content-Type"], "application/json")
        return status, json.loads(content)

    def test_recommends_and_sees_an_interaction_at_once(self):
        before = self.server.call(RECOMMEND, {"userId": USER, "pageSize": 5})
        self.assertEqual(len(before["items"]), 5)
        self.assertTrue(before["items"][0]["itemId"])
        recorded = self.server.call(RECORD, {"interaction": {
            "eventId": "connect-1", "userId": USER, "itemId": ITEM, "eventType": "purchase",
            "eventTime": "2011-12-09T12:00:00Z"}})
        self.assertGreater(int(recorded["offset"]), 0)
        after = self.server.call(RECOMMEND, {"userId": USER, "pageSize": 5,
                                             "consistencyToken": recorded["consistencyToken"]})
        self.assertNotEqual([i["itemId"] for i in before["items"]], [i["itemId"] for i in after["items"]])

    def test_the_snake_case_names_of_the_proto_are_taken_too(self):
        self.assertEqual(len(self.server.call(RECOMMEND, {"user_id": USER, "page_size": 3})["items"]), 3)

    def test_protobuf_in_protobuf_out(self):
        # user_id is field 1 or what the message says: made by hand from what JSON gives is not possible, so
        # an empty message is sent, whose error is JSON, and a status, which needs nothing.
        status, headers, body = self.server.ask(STATUS, b"", {"Content-Type": "application/proto"})
        self.assertEqual((status, headers["Content-Type"]), (200, "application/proto"))
        self.assertIn(b"online-retail", body)
        status, error = self.error(STATUS, b"\xff\xff\xff", {"Content-Type": "application/proto"})
        self.assertEqual((status, error["code"]), (400, "invalid_argument"))

    def test_many_calls_on_one_connection(self):
        connection = self.server.connection()
        for _ in range(20):
            status, _, body = self.server.ask(RECOMMEND, json.dumps({"userId": USER, "pageSize": 2}),
                                              connection=connection)
            self.assertEqual((status, len(json.loads(body)["items"])), (200, 2))
        connection.close()

    def test_errors_are_those_of_grpc_with_their_details(self):
        status, error = self.error(RECOMMEND, json.dumps({"userId": USER, "pageSize": -1}))
        self.assertEqual((status, error["code"]), (400, "invalid_argument"))
        self.assertIn("page_size", error["message"])
        kinds = {detail["type"]: detail for detail in error["details"]}
        self.assertEqual(kinds["google.rpc.ErrorInfo"]["debug"]["reason"], "INVALID_FIELD")
        value = kinds["google.rpc.ErrorInfo"]["value"]
        self.assertIn(b"INVALID_FIELD", base64.b64decode(value + "=" * (-len(value) % 4)))
        status, error = self.error(SIMILAR, json.dumps({"itemId": "no such item"}))
        self.assertEqual((status, error["code"]), (404, "not_found"))

    def test_what_is_no_message_says_what_is_wrong(self):
        for body, about in [("{", "JSON"), ('{"userIdd": "x"}', "userIdd"), ('{"userId": 5}', "user_id"), ("[1]", "JSON"),
                            ('{"a":' * 5000, "JSON"), ('{"userId": "x", "user_id": "y"}', '"user_id"'),
                            ('{"userId": "x", "userId": "y"}', '"userId"'), ("{userId: 'x'}", "no JSON from byte 2"),
                            ('{"filter": {"categories": [null]}}', "null within a list")]:
            status, error = self.error(RECOMMEND, body)
            self.assertEqual((status, error["code"]), (400, "invalid_argument"), body[:20])
            self.assertIn(about, error["message"])

    def test_what_is_asked_the_wrong_way_is_told_the_right_one(self):
        status, fields, _ = self.server.ask(RECOMMEND, None, {}, "GET")
        self.assertEqual((status, fields["Allow"]), (405, "POST"))
        status, fields, _ = self.server.ask(RECOMMEND, "x", {"Content-Type": "text/plain"})
        self.assertEqual((status, fields["Accept-Post"]), (415, "application/json, application/proto"))
        self.assertEqual(self.error("/nothing", "{}")[0], 404)
        self.assertEqual(self.error("/groundswell.v1.RecommendationService/Nothing", "{}")[0], 404)
        self.assertEqual(self.error("/grpc.health.v1.Health/Check", "{}")[0], 404)
        self.assertEqual(self.error(RECOMMEND, "x", {**JSON, "Content-Encoding": "gzip"})[0], 501)
        self.assertEqual(self.error(RECOMMEND, "{}", {**JSON, "Connect-Protocol-Version": "2"})[0], 400)
        self.assertEqual(self.error(RECOMMEND, "{}", {**JSON, "Connect-Timeout-Ms": "soon"})[0], 400)
        self.assertEqual(self.error(RECOMMEND, "{}", {**JSON, "Authorization": "Bearer \xe9"})[0], 400)
        self.assertEqual(self.error("/groundswell.v1.AdminService/ReadLog", "{}")[0], 501)

    def test_a_deadline_that_has_passed_is_one(self):
        status, error = self.error(RECOMMEND, json.dumps({"userId": USER}), {**JSON, "Connect-Timeout-Ms": "0"})
        self.assertEqual((status, error["code"]), (504, "deadline_exceeded"))

    def test_lines_in_and_lines_out(self):
        def batch(number, item=ITEM):
            return json.dumps({"interactions": [
                {"eventId": f"line-{number}", "userId": "by-lines", "itemId": item, "eventType": "purchase",
                 "eventTime": f"2011-12-09T12:00:0{number}Z"}]})
        lines = {"Content-Type": "application/x-ndjson"}
        body = batch(1) + "\n\n" + batch(2) + "\r\n" + batch(3, "no such item") + "\n" + batch(1)
        status, headers, content = self.server.ask(INGEST, body, lines)
        self.assertEqual((status, headers["Content-Type"]), (200, "application/x-ndjson"))
        answers = [json.loads(line) for line in content.splitlines()]
        self.assertEqual([int(a.get("batchIndex", 0)) for a in answers], [0, 1, 2, 3])
        self.assertEqual([a.get("acceptedCount", 0) for a in answers], [1, 1, 0, 0])
        self.assertEqual(answers[3]["duplicateCount"], 1)
        self.assertIn("no such item", answers[2]["refusals"][0]["status"]["message"])
        # Nothing of a body of which a line cannot be read.
        status, error = self.error(INGEST, batch(4) + "\n{\n", lines)
        self.assertEqual(status, 400)
        self.assertIn("line 2: ", error["message"])
        again = self.server.ask(INGEST, batch(4), lines)[2]
        self.assertEqual(json.loads(again)["acceptedCount"], 1)
        self.assertEqual(self.server.ask(INGEST, "{}", JSON)[0], 415)

    def test_openapi_has_every_unary_call(self):
        status, _, body = self.server.ask("/openapi.json", None, {}, "GET")
        document = json.loads(body)
        self.assertEqual((status, document["openapi"]), (200, "3.1.0"))
        self.assertIn(RECOMMEND, document["paths"])
        self.assertIn(STATUS, document["paths"])
        self.assertNotIn(INGEST, document["paths"])
        schemas = document["components"]["schemas"]
        for reference in re.findall(r'"#/components/schemas/([^"]+)"', body.decode()):
            self.assertIn(reference, schemas)
        self.assertEqual(schemas["groundswell.v1.RecommendRequest"]["properties"]["userId"], {"type": "string"})

    def test_browsers_of_the_configured_origins_are_let_in(self):
        ours = {"Origin": "https://shop.example"}
        status, fields, _ = self.server.ask(RECOMMEND, None, {**ours, "Access-Control-Request-Method": "POST"}, "OPTIONS")
        self.assertEqual((status, fields["Access-Control-Allow-Origin"]), (204, "https://shop.example"))
        for name in ("content-type", "groundswell-answer-bytes-max"):
            self.assertIn(name, fields["Access-Control-Allow-Headers"])
        status, fields, _ = self.server.ask(RECOMMEND, json.dumps({"userId": USER}), {**JSON, **ours})
        self.assertEqual((status, fields["Access-Control-Allow-Origin"]), (200, "https://shop.example"))
        status, fields, _ = self.server.ask(RECOMMEND, None, {"Origin": "https://evil.example"}, "OPTIONS")
        self.assertEqual((status, fields["Access-Control-Allow-Origin"]), (403, None))

    def test_calls_are_counted_as_those_of_grpc(self):
        def count():
            pattern = r'^groundswell_requests_total\{[^}]*method="Rank"[^}]*\} (\d+)'
            return sum(int(n) for n in re.findall(pattern, self.server.metrics(), re.MULTILINE))
        before = count()
        self.server.call(RANK, {"userId": USER, "itemIds": [ITEM]})
        self.assertEqual(count(), before + 1)

    def cut_off(self):
        return int(re.search(r"^groundswell_http_cut_off_total (\d+)", self.server.metrics(), re.MULTILINE)[1])

    def test_bodies_are_bounded_each_and_together(self):
        def promise(size):
            peer = socket.create_connection(("127.0.0.1", self.server.ports["connect"]), timeout=60)
            self.addCleanup(peer.close)
            peer.sendall(f"POST {RECOMMEND} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                         f"Content-Length: {size}\r\nExpect: 100-continue\r\n\r\n".encode())
            return peer

        self.assertTrue(promise(5 << 20).recv(100).startswith(b"HTTP/1.1 413"))
        before = self.cut_off()
        # Forty peers that promise four megabytes each and send none hold up nobody.
        silent = [promise(4 << 20) for _ in range(40)]
        for peer in silent:
            self.assertTrue(peer.recv(100).startswith(b"HTTP/1.1 100"))
        self.assertEqual(len(self.server.call(RECOMMEND, {"userId": USER, "pageSize": 1})["items"]), 1)
        # They send all but a byte: for what goes beyond what all bodies may have, the oldest give way.
        for peer in silent:
            peer.sendall(b" " * ((4 << 20) - 1))
            self.assertEqual(len(self.server.call(RECOMMEND, {"userId": USER, "pageSize": 1})["items"]), 1)
        # What sendall took is still on its way.
        deadline = time.monotonic() + 60
        while self.cut_off() < before + 24 and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertGreaterEqual(self.cut_off(), before + 24)

    def test_json_of_very_many_values_is_refused_before_it_is_read(self):
        body = '{"requests":[' + "{}," * 1_000_000 + "{}]}"
        status, error = self.error("/groundswell.v1.RecommendationService/BatchRecommend", body)
        self.assertEqual((status, error["code"]), (400, "invalid_argument"))
        self.assertEqual(error["details"][0]["debug"]["reason"], "REQUEST_TOO_LARGE")
        many = {"requests": [{"userId": USER, "pageSize": 1, "filter": {"excludedItemIds": ["x"] * 1000}}] * 100}
        self.assertEqual(len(self.server.call("/groundswell.v1.RecommendationService/BatchRecommend", many)["entries"]), 100)

    def test_the_time_of_a_call_counts_from_its_arrival(self):
        # To read it takes longer than the call may.
        body = '{"requests":[' + "{}," * 120_000 + "{}]}"
        _, error = self.error("/groundswell.v1.RecommendationService/BatchRecommend", body,
                              {**JSON, "Connect-Timeout-Ms": "5"})
        self.assertEqual(error["code"], "deadline_exceeded")

    def test_whatever_is_sent_honest_calls_go_on(self):
        seed = (f"POST {RECOMMEND} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnect-Timeout-Ms: 1000\r\n"
                'Content-Length: 18\r\n\r\n{"userId":"17850"}').encode()
        rng = random.Random(1)
        for _ in range(300):
            broken = bytearray(seed)
            for _ in range(rng.randrange(1, 8)):
                at = rng.randrange(len(broken))
                kind = rng.randrange(3)
                if kind == 0:
                    broken[at] = rng.randrange(256)
                elif kind == 1:
                    del broken[at:at + rng.randrange(1, 20)]
                else:
                    broken[at:at] = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 20)))
            with socket.create_connection(("127.0.0.1", self.server.ports["connect"]), timeout=60) as peer:
                peer.sendall(broken)
                peer.shutdown(socket.SHUT_WR)
                try:
                    while peer.recv(65536):
                        pass
                except ConnectionResetError:
                    pass
        self.assertEqual(len(self.server.call(RECOMMEND, {"userId": USER, "pageSize": 1})["items"]), 1)

    def test_a_hundred_callers_at_once(self):
        failures = []

        def calls():
            try:
                for _ in range(5):
                    self.server.call(RECOMMEND, {"userId": USER, "pageSize": 1})
            except Exception as error:  # told by the test's own thread
                failures.append(error)

        threads = [threading.Thread(target=calls) for _ in range(100)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])


class LineStream:
    """A call of Ingest whose lines are sent one by one, over a connection of its own."""

    def __init__(self, server, fields=""):
        self.peer = socket.create_connection(("127.0.0.1", server.ports["connect"]), timeout=60)
        self.answer = self.peer.makefile("rb")
        self.begin(fields)

    def begin(self, fields=""):
        self.peer.sendall(f"POST {INGEST} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\n"
                          f"Transfer-Encoding: chunked\r\n{fields}\r\n".encode())

    def send(self, text):
        self.peer.sendall(f"{len(text.encode()):x}\r\n{text}\r\n".encode())

    def end(self):
        self.peer.sendall(b"0\r\n\r\n")

    def header(self):
        """Status and fields of the answer."""
        status = int(self.answer.readline().split()[1])
        fields = {}
        while (line := self.answer.readline().strip()):
            name, value = line.decode().split(": ", 1)
            fields[name] = value
        return status, fields

    def line(self):
        """The next line of a chunked answer; None at its end."""
        size = int(self.answer.readline(), 16)
        text = self.answer.read(size)
        self.answer.readline()
        return json.loads(text) if size else None

    def close(self):
        self.answer.close()
        self.peer.close()


def line_of(number, event="stream", item=ITEM):
    return json.dumps({"interactions": [{"eventId": f"{event}-{number}", "userId": "by-stream", "itemId": item,
                                         "eventType": "purchase", "eventTime": "2011-12-09T12:00:00Z"}]}) + "\n"


class StreamTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory(prefix="groundswell-test-")
        cls.server = Server(ConnectTest.program, ConnectTest.snapshot, cls.directory.name,
                            "--server.connect_origins=https://shop.example", "--server.message_bytes_max=65536")

    @classmethod
    def tearDownClass(cls):
        assert cls.server.stop() == 0
        cls.directory.cleanup()

    def stream(self, fields=""):
        stream = LineStream(self.server, fields)
        self.addCleanup(stream.close)
        return stream

    def test_a_line_is_answered_while_the_body_goes_on(self):
        stream = self.stream("Origin: https://shop.example\r\n")
        for number in range(3):
            # In pieces, whose ends are nobody's.
            text = line_of(number, "answered")
            stream.send(text[:17])
            stream.send(text[17:] + "\n")
            if number == 0:
                status, fields = stream.header()
                self.assertEqual((status, fields["Content-Type"]), (200, "application/x-ndjson"))
                self.assertEqual(fields["Access-Control-Allow-Origin"], "https://shop.example")
            self.assertEqual(stream.line()["acceptedCount"], 1)
        stream.end()
        self.assertIsNone(stream.line())
        # The connection is kept.
        stream.begin()
        stream.send(line_of(0, "answered")[:-1])  # a last line without an end
        stream.end()
        self.assertEqual(stream.header()[0], 200)
        self.assertEqual(stream.line()["duplicateCount"], 1)
        self.assertIsNone(stream.line())

    def test_a_body_of_any_length_comes_in(self):
        lines = [line_of(number, "long") for number in range(2000)]
        body = "".join(lines).encode()
        self.assertGreater(len(body), 4 * 65536)
        status, _, content = self.server.ask(INGEST, body, {"Content-Type": "application/x-ndjson"})
        self.assertEqual(status, 200)
        answers = [json.loads(line) for line in content.splitlines()]
        self.assertEqual(sum(answer.get("acceptedCount", 0) for answer in answers), len(lines))
        self.assertEqual(len(answers), len(lines))

    def test_what_precedes_a_line_that_cannot_be_read_counts(self):
        stream = self.stream()
        stream.send(line_of(1, "wrong") + "{\n" + line_of(2, "wrong"))
        self.assertEqual(stream.header()[0], 200)
        self.assertEqual(stream.line()["acceptedCount"], 1)
        self.assertIn("line 2: ", stream.line()["error"]["message"])
        self.assertIsNone(stream.line())
        self.assertEqual(stream.peer.recv(1), b"", "it is closed: what follows belongs to nothing")
        stream = self.stream()
        stream.send("{\n")
        self.assertEqual(stream.header()[0], 400)

    def test_a_line_is_bounded(self):
        stream = self.stream()
        stream.send(line_of(1, "bounded"))
        self.assertEqual(stream.header()[0], 200)
        self.assertEqual(stream.line()["acceptedCount"], 1)
        # One byte more than it may have: with more behind it the answer could be lost to the connection's reset.
        for size in (16384, 16384, 16384, 16384, 1):
            stream.send(" " * size)
        error = stream.line()["error"]
        self.assertIn("a line has at most 65536 bytes here", error["message"])

    def test_a_silent_stream_ends_and_is_told(self):
        with tempfile.TemporaryDirectory(prefix="groundswell-test-") as directory:
            server = Server(ConnectTest.program, ConnectTest.snapshot, directory, "--server.connect_idle_s=2")
            self.addCleanup(server.process.kill)
            stream = LineStream(server)
            self.addCleanup(stream.close)
            stream.send(line_of(1, "silent"))
            self.assertEqual(stream.header()[0], 200)
            self.assertEqual(stream.line()["acceptedCount"], 1)
            self.assertEqual(stream.line()["error"]["code"], "deadline_exceeded")
            self.assertIsNone(stream.line())
            self.assertEqual(server.stop(), 0)

    def test_a_peer_that_hangs_up_leaves_nothing_behind(self):
        for number in range(20):
            stream = LineStream(self.server)
            stream.send(line_of(number, "gone") + line_of(0, "part")[:40])
            if number % 2:
                self.assertEqual(stream.header()[0], 200)
            stream.close()
        stream = self.stream()
        stream.send(line_of(1, "gone") + line_of(99, "gone"))
        stream.end()
        self.assertEqual(stream.header()[0], 200)
        stream.line()
        self.assertEqual(stream.line()["acceptedCount"], 1)

    def test_a_peer_of_an_older_version_reads_until_the_end(self):
        with socket.create_connection(("127.0.0.1", self.server.ports["connect"]), timeout=60) as peer:
            text = line_of(1, "older") + " " * 70000 + "\n"
            peer.sendall(f"POST {INGEST} HTTP/1.0\r\nContent-Type: application/x-ndjson\r\nContent-Length: {len(text)}\r\n\r\n"
                         .encode() + text[:9000].encode())
            answer = b""
            while b"\n" not in answer.partition(b"\r\n\r\n")[2]:
                answer += peer.recv(4096)
        self.assertNotIn(b"chunked", answer)
        self.assertIn(b"Connection: close", answer)

    def test_connections_of_streams_give_way(self):
        with tempfile.TemporaryDirectory(prefix="groundswell-test-") as directory:
            server = Server(ConnectTest.program, ConnectTest.snapshot, directory, "--server.connect_connections_max=2")
            self.addCleanup(server.process.kill)
            streams = []
            for number in range(3):
                streams.append(LineStream(server))
                streams[-1].send(line_of(number, "way"))
                self.assertEqual(streams[-1].header()[0], 200)
                self.assertEqual(streams[-1].line()["acceptedCount"], 1)
            self.assertEqual(streams[0].answer.read(1), b"", "it was silent for longest")
            for stream in streams:
                stream.close()
            self.assertEqual(server.stop(), 0)

    def test_a_stop_ends_streams(self):
        with tempfile.TemporaryDirectory(prefix="groundswell-test-") as directory:
            server = Server(ConnectTest.program, ConnectTest.snapshot, directory, "--server.drain_s=1")
            self.addCleanup(server.process.kill)
            streams = [LineStream(server) for _ in range(4)]
            for number, stream in enumerate(streams):
                stream.send(line_of(number, "stopped"))
                self.assertEqual(stream.header()[0], 200)
                self.assertEqual(stream.line()["acceptedCount"], 1)
            self.assertEqual(server.stop(), 0)
            for stream in streams:
                stream.close()


class StopTest(unittest.TestCase):
    def test_bodies_that_wait_to_be_read_do_not_hold_up_a_stop(self):
        body = ('{"requests":[' + "{}," * 100_000 + "{}]}").encode()
        sent = (b"POST /groundswell.v1.RecommendationService/BatchRecommend HTTP/1.1\r\nHost: x\r\n"
                b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        with tempfile.TemporaryDirectory(prefix="groundswell-test-") as directory:
            server = Server(ConnectTest.program, ConnectTest.snapshot, directory)
            peers = [socket.create_connection(("127.0.0.1", server.ports["connect"]), timeout=60) for _ in range(12)]
            for peer in peers:
                peer.sendall(sent)
            self.assertIn(b" 400 ", peers[0].recv(64))  # they are read one after the other
            self.assertEqual(server.stop(), 0)
            for peer in peers:
                peer.close()


class RightsTest(unittest.TestCase):
    def test_rights_are_those_of_the_clients_file(self):
        import hashlib
        with tempfile.TemporaryDirectory(prefix="groundswell-test-") as directory:
            clients = pathlib.Path(directory) / "clients.toml"
            clients.write_text(CLIENTS.format(digest=hashlib.sha256(b"secret-of-the-shop").hexdigest()), encoding="utf-8")
            server = Server(ConnectTest.program, ConnectTest.snapshot, directory, f"--access.clients_file={clients}")
            try:
                status, fields, body = server.ask(RECOMMEND, json.dumps({"userId": USER}))
                self.assertEqual((status, json.loads(body)["code"]), (401, "unauthenticated"))
                bearer = {**JSON, "Authorization": "Bearer secret-of-the-shop"}
                self.assertEqual(server.ask(RECOMMEND, json.dumps({"userId": USER}), bearer)[0], 200)
                # Who may not call is told so before what he sent is read.
                status, fields, body = server.ask(RECOMMEND, "this is no JSON")
                self.assertEqual((status, json.loads(body)["code"]), (401, "unauthenticated"))
                status, fields, body = server.ask(INGEST, "nor this", {**bearer, "Content-Type": "application/x-ndjson"})
                self.assertEqual((status, json.loads(body)["code"]), (403, "permission_denied"))
                self.assertRegex(server.metrics(), r'requests_total\{code="UNAUTHENTICATED",method="Recommend"\} 2')
                status, _, body = server.ask(STATUS, "{}", bearer)
                self.assertEqual((status, json.loads(body)["code"]), (403, "permission_denied"))
            finally:
                self.assertEqual(server.stop(), 0)


if __name__ == "__main__":
    ConnectTest.program, ConnectTest.snapshot = sys.argv[1:3]
    unittest.main(argv=sys.argv[:1], verbosity=2)
