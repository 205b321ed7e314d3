"""What the Python client promises of rows that it sends: each is in the log once, whatever happens.

    python_ingest_test.py SERVER_PROGRAM CLI_PROGRAM SNAPSHOT_DIRECTORY PACKAGE_DIRECTORY
"""

import asyncio
import csv
import itertools
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

from case_server import TIMES, CaseServer, token_of
from cut_proxy import CutProxy

SERVER, CLI, SNAPSHOT, PACKAGE = sys.argv[1:5] if len(sys.argv) > 4 else ("", "", "", "")
sys.path.insert(0, PACKAGE)

import groundswell  # noqa: E402
from groundswell import AsyncClient, BadRow, Client, v1  # noqa: E402

ITEMS = ("85123A", "22423", "23084")


def rows_of(user, count, first=0):
    return [{"user": user, "item": ITEMS[n % 3], "time": 1_323_432_000 + n, "type": "view"}
            for n in range(first, first + count)]


class Interrupted(Exception):
    pass


def broken_after(rows):
    yield from rows
    raise Interrupted


class IngestTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = CaseServer(SERVER, SNAPSHOT)
        cls.proxy = CutProxy(cls.server.ports["grpc"])
        cls.client = Client(cls.proxy.address, token=token_of("operator"), timeout=30)
        cls.scratch = tempfile.TemporaryDirectory(prefix="groundswell-test-")

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        cls.proxy.close()
        assert cls.server.stop() == 0
        cls.scratch.cleanup()

    def log_end(self):
        return self.client.get_server_status(v1.GetServerStatusRequest()).graph.log_end_offset

    def path(self, name):
        return pathlib.Path(self.scratch.name) / name

    def crash(self):
        """Kills the server as a power cut would, and starts it again on what it left."""
        cls = type(self)
        cls.server.process.send_signal(signal.SIGKILL)
        cls.server.process.wait()
        cls.server.process.stdout.close()
        cls.server.start()
        cls.proxy.target = cls.server.ports["grpc"]

    def once(self, threshold, action):
        """A callback that acts when so many rows are dealt with."""
        def on_progress(result):
            if result.rows >= threshold and not done:
                done.append(True)
                action()
        done = []
        return on_progress, done

    def test_cut_connections_lose_and_double_nothing(self):
        for producer in (None, "cut"):
            with self.subTest(producer):
                rows = rows_of(f"cut-{producer}", 1_000)
                before = self.log_end()
                on_progress, done = self.once(400, self.proxy.cut)
                result = self.client.ingest(rows, batch_size=20, producer_id=producer, on_progress=on_progress)
                self.assertTrue(done)
                self.assertEqual((result.rows, result.refused), (1_000, 0))
                self.assertEqual(result.accepted + result.duplicates, 1_000)
                self.assertEqual(self.log_end() - before, 1_000)

    def test_so_do_cut_connections_of_tasks(self):
        async def run():
            async with AsyncClient(self.proxy.address, token=token_of("operator")) as client:
                return await client.ingest(source(), batch_size=20, producer_id="tasks", on_progress=on_progress)

        async def source():
            for row in rows_of("tasks", 1_000):
                yield row

        before = self.log_end()
        on_progress, done = self.once(400, self.proxy.cut)
        result = asyncio.run(run())
        self.assertTrue(done)
        self.assertEqual((result.rows, result.accepted + result.duplicates), (1_000, 1_000))
        self.assertEqual(self.log_end() - before, 1_000)

    def test_a_killed_server_has_what_it_acknowledged(self):
        before = self.log_end()
        on_progress, done = self.once(400, self.crash)
        result = self.client.ingest(rows_of("killed", 1_000), batch_size=50, producer_id="killed",
                                    on_progress=on_progress)
        self.assertTrue(done)
        self.assertEqual((result.rows, result.accepted + result.duplicates), (1_000, 1_000))
        self.assertEqual(self.log_end() - before, 1_000)

    def test_a_producer_goes_on_where_the_server_is(self):
        rows = rows_of("producer", 1_000)
        with self.assertRaises(Interrupted):
            self.client.ingest(broken_after(rows[:730]), producer_id="p")
        result = self.client.ingest(rows, producer_id="p")
        self.assertEqual((result.passed_over, result.accepted, result.duplicates), (730, 270, 0))
        self.assertEqual(self.client.ingest(rows, producer_id="p").passed_over, 1_000)
        with self.assertRaisesRegex(ValueError, "1000 rows of this source are dealt with, and it has 10: it was cut"):
            self.client.ingest(rows[:10], producer_id="p")
        # Another source under the name is another producer.
        self.assertEqual(self.client.ingest(rows_of("another", 5), producer_id="p").accepted, 5)

    def test_what_an_earlier_run_had_refused_is_told(self):
        rows = rows_of("refused", 3)
        rows[1]["item"] = "no-such-item"
        at = self.path("refused.at")
        for how in ({"producer_id": "refused"}, {"resume_file": at}):
            with self.subTest(how):
                self.assertEqual(self.client.ingest(rows, **how).refused, 1)
                result = self.client.ingest(rows, **how)
                self.assertEqual((result.passed_over, result.refused, result.refused_before), (3, 0, 1))
        self.assertEqual(at.read_text().split()[2:], ["1"])

        async def run():
            async with AsyncClient(self.proxy.address, token=token_of("operator")) as client:
                return await client.ingest(rows, producer_id="refused")

        self.assertEqual(asyncio.run(run()).refused_before, 1)

    def test_callers_who_count_themselves(self):
        self.assertEqual(self.client.last_sequence("counted"), 0)
        self.client.ingest(rows_of("counted", 10), producer_id="counted", first_sequence=1)
        self.assertEqual(self.client.last_sequence("counted"), 10)
        result = self.client.ingest(rows_of("counted", 6, 8), producer_id="counted", first_sequence=9)
        self.assertEqual((result.passed_over, result.accepted), (2, 4))
        with self.assertRaises(groundswell.SequenceGap):
            self.client.ingest(rows_of("counted", 1, 50), producer_id="counted", first_sequence=50, retry_for=3)

    def test_a_resume_file_remembers_rows(self):
        rows = rows_of("resumed", 1_000)
        at = self.path("resumed.at")
        with self.assertRaises(Interrupted):
            self.client.ingest(broken_after(rows[:500]), resume_file=at)
        self.assertEqual(at.read_text().split()[0], "500")
        result = self.client.ingest(rows, resume_file=at)
        self.assertEqual((result.passed_over, result.accepted, result.duplicates), (500, 500, 0))
        before = self.log_end()
        with self.assertRaisesRegex(groundswell.OtherSource, "the first 1000 rows are others"):
            self.client.ingest(rows_of("others", 1_001), resume_file=at)
        with self.assertRaisesRegex(ValueError, "it was cut"):
            self.client.ingest(rows[:10], resume_file=at)
        at.write_text("nonsense")
        with self.assertRaisesRegex(ValueError, "does not hold"):
            self.client.ingest(rows, resume_file=at)
        self.assertEqual(self.log_end(), before)

    def test_the_command_line_knows_the_same_rows(self):
        rows = [*rows_of("both", 300), *rows_of("both", 2)]  # two say the same as others
        file, at, token = self.path("both.csv"), self.path("both.at"), self.path("token")
        token.write_text(token_of("operator"))
        with open(file, "w", encoding="utf-8", newline="") as out:
            writer = csv.DictWriter(out, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        result = self.client.ingest(rows, resume_file=at)
        self.assertEqual(result.accepted, 302)
        sent = subprocess.run([CLI, "--server", self.server.address, "--token-file", token, "ingest", file],
                              check=True, capture_output=True, text=True).stdout
        self.assertIn("0 accepted, 302 duplicates", sent)
        # And it takes the resume file for that of its own file.
        sent = subprocess.run([CLI, "--server", self.server.address, "--token-file", token, "ingest", file,
                               "--resume-file", at], check=True, capture_output=True, text=True).stdout
        self.assertIn("0 accepted, 0 duplicates", sent)

    def test_the_command_line_goes_on_with_the_same_producer(self):
        rows = [*rows_of("marked", 30), *rows_of("marked", 2)]  # two say the same as others
        mended = [*rows[:7], {**rows[7], "type": "purchase"}, *rows[8:]]

        def by_command_line(rows):
            file, token = self.path("marked.csv"), self.path("token")
            token.write_text(token_of("operator"))
            with open(file, "w", encoding="utf-8", newline="") as out:
                writer = csv.DictWriter(out, list(rows[0]))
                writer.writeheader()
                writer.writerows(rows)
            done = subprocess.run([CLI, "--server", self.server.address, "--token-file", token, "ingest", file,
                                   "--producer-id", "marked"], check=False, capture_output=True, text=True)
            return done.returncode, done.stdout + done.stderr

        self.assertEqual(self.client.ingest(rows[:10], producer_id="marked", batch_size=4).accepted, 10)
        self.assertIn("10 records passed over", by_command_line(rows[:20])[1])
        result = self.client.ingest(rows, producer_id="marked", batch_size=7)
        self.assertEqual((result.passed_over, result.accepted), (20, 12))
        before = self.log_end()
        status, said = by_command_line(mended)
        self.assertEqual((status, "the first 32 interactions are others" in said), (1, True), said)
        with self.assertRaisesRegex(groundswell.OtherSource, "the first 32 rows are others"):
            self.client.ingest([*mended, *rows_of("more", 1)], producer_id="marked")
        self.assertEqual(self.log_end(), before)

    def test_callers_who_count_go_on_from_what_was_sent(self):
        rows = rows_of("parts", 12)
        for first in (1, 4, 8):  # the second overlaps the first
            self.client.ingest(rows[first - 1:first + 3], producer_id="parts", first_sequence=first)
        whole = self.client.ingest(rows, producer_id="parts", first_sequence=1)
        self.assertEqual((whole.passed_over, whole.accepted), (11, 1))
        with self.assertRaisesRegex(groundswell.OtherSource, "the first 12 rows are others"):
            self.client.ingest(rows_of("others", 12), producer_id="parts", first_sequence=1)

    def test_the_command_line_reads_the_same_times(self):
        file, token = self.path("times.jsonl"), self.path("token")
        token.write_text(token_of("operator"))
        rows = [{**rows_of("times", 1)[0], "time": text} for text in TIMES["read"]]
        self.assertEqual(self.client.ingest(rows).accepted, len(rows))
        rows += [{**row, "time": text} for row in rows[:1] for text in TIMES["refused"]]
        file.write_text("\n".join(map(json.dumps, rows)) + "\n")
        sent = subprocess.run([CLI, "--server", self.server.address, "--token-file", token, "ingest", file,
                               "--skip-bad-records"], check=True, capture_output=True, text=True).stdout
        self.assertIn(f"0 accepted, {len(TIMES['read'])} duplicates", sent)

    def test_a_producer_whose_server_comes_and_goes(self):
        async def run():
            async with AsyncClient(self.proxy.address, token=token_of("operator")) as client:
                return await client.ingest(rows_of("goes", 11), producer_id="goes")

        self.client.ingest(rows_of("goes", 4), producer_id="goes")
        self.proxy.refuse(b"", b"")
        self.assertEqual(self.client.ingest(rows_of("goes", 10), producer_id="goes").passed_over, 4)
        self.assertTrue(self.proxy.refused_all)
        self.proxy.refuse(b"", b"")
        self.assertEqual(asyncio.run(run()).passed_over, 10)
        self.assertTrue(self.proxy.refused_all)
        with Client("127.0.0.1:1") as client, self.assertRaises(groundswell.Unavailable):
            client.ingest(rows_of("goes", 1), producer_id="goes", retry_for=2)

    def test_a_last_try_that_its_own_deadline_ends_does_not_hide_the_cause(self):
        refused = groundswell.Unavailable(groundswell.Code.UNAVAILABLE, "connection refused")
        late = groundswell.DeadlineExceeded(groundswell.Code.DEADLINE_EXCEEDED, "Deadline Exceeded")
        tries = itertools.chain([refused], itertools.repeat(late))
        with mock.patch.object(Client, "_ask_producer", side_effect=tries), Client("127.0.0.1:1") as client:
            with self.assertRaises(groundswell.Unavailable):
                client.ingest(rows_of("late", 1), producer_id="late", retry_for=0.2)
        with mock.patch.object(Client, "_ask_producer", side_effect=late), Client("127.0.0.1:1") as client:
            with self.assertRaisesRegex(groundswell.DeadlineExceeded, "no acknowledgement came in 0.2 s"):
                client.ingest(rows_of("late", 1), producer_id="late", retry_for=0.2)

    def test_a_resume_file_and_its_name_are_on_disk(self):
        def fsync(file, real=os.fsync):
            synced.append(os.readlink(f"/proc/self/fd/{file}"))
            real(file)

        synced = []
        with mock.patch("os.fsync", fsync):
            self.client.ingest(rows_of("disk", 1), resume_file=self.path("disk.at"))
        at = str(self.path("disk.at").resolve())
        self.assertEqual(synced[:2], [at + ".partial", os.path.dirname(at)])

    def test_a_bad_row_is_told_behind_what_is_before_it(self):
        before = self.log_end()
        rows = [*rows_of("bad", 7), {"user": "bad", "item": 1.5, "time": 1_323_432_000, "type": "view"}]
        with self.assertRaisesRegex(BadRow, "row 8: the item is 1.5: it must be a string or an integer"):
            self.client.ingest(rows)
        self.assertEqual(self.log_end() - before, 7)
        with self.assertRaisesRegex(ValueError, "no column is known to hold the item"):
            self.client.ingest([{"user": "x", "thing": "y", "time": 0}])

    def test_refusals_are_told_by_row_and_reason(self):
        rows = rows_of("refused", 6)
        rows[1]["item"] = rows[4]["item"] = "no such item"
        result = self.client.ingest(rows, batch_size=2)
        self.assertEqual((result.accepted, result.refused, result.reasons), (4, 2, {"ITEM_UNKNOWN": 2}))
        self.assertEqual([refusal.row for refusal in result.refusals], [2, 5])
        self.assertIsInstance(result.refusals[0].error, groundswell.ItemUnknown)

    def test_a_server_that_asks_to_come_back_is_obeyed(self):
        with Client(self.proxy.address, token=token_of("trickle")) as client:
            result = client.ingest(rows_of("trickle", 60), batch_size=10)
        self.assertEqual(result.rows, result.accepted + result.duplicates)
        self.assertEqual(result.rows, 60)

    def test_a_server_that_hangs_is_given_up(self):
        self.server.process.send_signal(signal.SIGSTOP)
        os.waitpid(self.server.process.pid, os.WUNTRACED)  # until it is stopped
        try:
            with self.assertRaises(groundswell.DeadlineExceeded):
                self.client.ingest(rows_of("hangs", 1), retry_for=0.5)
        finally:
            self.server.process.send_signal(signal.SIGCONT)

    def test_a_server_that_is_not_there_is_given_up(self):
        with Client("127.0.0.1:1") as client, self.assertRaises(groundswell.Unavailable):
            client.ingest(rows_of("away", 1), retry_for=3)
        with Client("127.0.0.1:1") as client, self.assertRaises(groundswell.Unavailable):
            client.recommend(v1.RecommendRequest(user_id="x"))


    def test_the_address_for_http_is_told_apart(self):
        with Client(f"127.0.0.1:{self.server.ports['connect']}", token=token_of("operator"), timeout=30) as client:
            with self.assertRaisesRegex(groundswell.Unavailable, r"http1.x server: is this server\.grpc_address\?"):
                client.recommend(v1.RecommendRequest(user_id="x"))


class ConnectionTest(unittest.TestCase):
    def test_a_source_that_is_none_of_rows_is_refused(self):
        async def run(source):
            async with AsyncClient("127.0.0.1:1") as client:
                await client.ingest(source)

        one = ", which is one row: put it in a list"
        for source, what in (({"user": "x"}, "dict" + one), (v1.Interaction(), "Interaction" + one), ("abc", "str"),
                             (b"abc", "bytes"), (7, "int"), (None, "NoneType")):
            message = f"the source is a {what}; it must be a table"
            with Client("127.0.0.1:1") as client, self.assertRaisesRegex(TypeError, message):
                client.ingest(source)
            with self.assertRaisesRegex(TypeError, message):
                asyncio.run(run(source))

    def test_a_token_is_not_sent_in_the_clear(self):
        with self.assertRaisesRegex(ValueError, "in the clear"):
            Client("shop.example:7100", token="secret")
        with self.assertRaisesRegex(ValueError, "in the clear"):
            Client("127.example.com:7100", token="secret")
        Client("[::1]:7100", token="secret").close()

    def test_addresses(self):
        for wrong in ("http://localhost:7100", "shop.example"):
            with self.assertRaisesRegex(ValueError, "it must be HOST:PORT"):
                Client(wrong)

    def test_tls(self):
        with tempfile.TemporaryDirectory(prefix="groundswell-test-") as directory:
            subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost",
                            "-addext", "subjectAltName=DNS:localhost", "-keyout", f"{directory}/key.pem", "-out",
                            f"{directory}/cert.pem"], check=True, stderr=subprocess.DEVNULL)
            server = CaseServer(SERVER, SNAPSHOT, f"--tls.certificate_file={directory}/cert.pem",
                                f"--tls.key_file={directory}/key.pem")
            certificate = pathlib.Path(directory, "cert.pem").read_bytes()
        try:
            address = f"localhost:{server.ports['grpc']}"
            request = v1.RecommendRequest(user_id="17850", page_size=1)
            with Client(address, token=token_of("shop"), tls=groundswell.Tls(certificate), timeout=30) as client:
                self.assertEqual(len(client.recommend(request).items), 1)
            with Client(address, token=token_of("shop"), tls=groundswell.Tls()) as client:
                with self.assertRaises(groundswell.Unavailable):  # a certificate of nobody known
                    client.recommend(request)
        finally:
            self.assertEqual(server.stop(), 0)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
