"""`groundswell train`: the next snapshot of a running server, from its log to what it serves."""

import argparse
import contextlib
import io
import json
import os
import subprocess
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import grpc
import numpy as np

from trainer import data, programs, refresh, safetensors, serving_quality, snapshot, training

_ROOT = Path(__file__).resolve().parents[2]
_SERVER = os.environ.get("GROUNDSWELL_SERVER", str(_ROOT / "build/release/bin/groundswell-server"))
_CLIENT = Path(_SERVER).with_name("groundswell")
_FIRST, _ALL = 5_000, 6_000  # events of the sample's beginning
_OTHERS = 500  # that the server's log has not
_CONFIG = """
[snapshot]
name = "nightly"

[lightgcn]
dim = 8
epochs_max = 2
seed = 1

[[ranker]]
name = "macgnn"
kind = "macgnn"
dim = 4
recent_len = 5
"""
_ITEMS = "sku,name,genre\n{item},A lamp,lamps\n"


class RefreshTest(unittest.TestCase):
    """One server, from no snapshot to its third."""

    @classmethod
    def setUpClass(cls):
        cls.work = Path(cls.enterClassContext(tempfile.TemporaryDirectory(prefix="groundswell-test-")))
        log = data.read_log(_ROOT / "data/online-retail/events.csv.zst")
        cls.log = log.at(range(_ALL))
        # As a shop has it: another order, other names, types with weights of their own.
        rows = [f"{cls.log.user[at]};{cls.log.item[at]};{'view' if at % 5 == 0 else 'purchase'};{cls.log.time_s[at]}\n"
                for at in range(_ALL)]
        header = "customer_id;sku;event;ts\n"
        (cls.work / "first.csv").write_text(header + "".join(reversed(rows[:_FIRST])), encoding="utf-8")
        (cls.work / "more.csv").write_text(header + "".join(rows[_FIRST:]), encoding="utf-8")
        (cls.work / "items.csv").write_text(_ITEMS.format(item=cls.log.item[0]), encoding="utf-8")
        (cls.work / "train.toml").write_text(_CONFIG, encoding="utf-8")
        cls.address = cls.enterClassContext(serving_quality.serving(
            _SERVER, None, {"event_types": "purchase=2,view=1", "request.consistency_wait_ms": 60_000}))
        cls.snapshots = cls.work / "snapshots"

    @classmethod
    def client(cls, *arguments, expected=0):
        environment = {**os.environ, "GROUNDSWELL_SERVER": cls.address}
        done = subprocess.run([_CLIENT, "--timeout-ms", "60000", "--json", *map(str, arguments)], text=True, env=environment,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=cls.work, timeout=600, check=False)
        if done.returncode != expected:
            raise AssertionError(f"{arguments} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done

    def train(self, *more, expected=0):
        """By the program that people call; its trainer is that of this checkout."""
        return self.client("train", "--trainer", self.trainer(), "--config", "train.toml", "--snapshots", self.snapshots,
                           "--held-out-days", "1", "--keep", "2", "--gate-events", "300", *more, expected=expected)

    def trainer(self):
        script = self.work / "groundswell-train"
        script.write_text(f'#!/bin/sh\nPYTHONPATH={_ROOT} exec /usr/bin/python3 -B -m trainer "$@"\n', encoding="utf-8")
        script.chmod(0o755)
        return script

    def status(self):
        return json.loads(self.client("status").stdout)

    def test_the_nights_of_a_server(self):
        self.assertIn("log is empty", self.train().stderr)
        self.client("ingest", "--sort", "--visible-within-s", "600", "first.csv")
        counts = self.counts_of_users()
        self.assertGreater(min(counts.values()), 0)
        first = json.loads(self.train("--items", "items.csv").stdout)
        self.check_snapshot(first, _FIRST)
        self.assertEqual(first["gate"]["served"], "the server without a snapshot")
        self.assertEqual(self.status()["snapshot"]["version"], first["version"])
        # Nothing twice, nothing lost: each counts what its type weighs.
        self.assertEqual(self.counts_of_users(), counts)
        again = self.train()
        self.assertIn("nothing has come since", again.stderr)
        self.assertEqual(json.loads(again.stdout)["activated"], False)

        self.ingest_more()
        second = json.loads(self.train().stdout)
        self.assertEqual(second["gate"]["served"], first["version"])
        self.assertGreater(second["interactions"], first["interactions"])
        self.assertEqual(self.status()["snapshot"]["version"], second["version"])
        self.assertEqual(len(self.kept()), 2)
        self.client("rollback")
        self.assertEqual(self.status()["snapshot"]["version"], first["version"])
        self.client("rollback")

        self.check_gate()
        self.check_files_beside_the_log()

    def ingest_more(self):
        """Items of later days are not in the catalogue: they are refused behind a snapshot."""
        done = json.loads(self.client("ingest", "--visible-within-s", "600", "more.csv", expected=1).stdout)
        self.assertGreater(done["accepted"], 500)
        self.assertTrue(done["visible"])

    def counts_of_users(self):
        """{user: what the server counts} of some users."""
        return {user: self.count_of(user) for user in list(dict.fromkeys(self.log.user))[:10]}

    def count_of(self, user):
        return int(json.loads(self.client("user", user).stdout)["total_count"])

    def check_snapshot(self, done, events):
        directory = Path(done["directory"])
        self.assertEqual(directory.parent, self.snapshots)
        manifest = snapshot.read_manifest(directory)
        self.assertEqual(manifest["data"]["trained_until"], snapshot.rfc3339(int(self.log.time_s[events - 1]) + 1))
        # What was held out is in it as well.
        self.assertEqual(manifest["users"], len(set(self.log.user[:events])))
        self.assertEqual(manifest["graph_offset"], events)
        self.assertLess(manifest["data"]["measured_from"], manifest["data"]["trained_until"])
        self.assertTrue(any(name.startswith("heldout.") for name in manifest["metrics"]))
        items = [json.loads(line) for line in (directory / "items.jsonl").read_text(encoding="utf-8").splitlines()]
        self.assertEqual(items[[item["id"] for item in items].index(self.log.item[0])],
                         {"id": self.log.item[0], "title": "A lamp", "category": "lamps"})
        self.assertEqual({item["category"] for item in items}, {"", "lamps"})

    def kept(self):
        return [path for path in self.snapshots.iterdir() if path.is_dir()]

    def given(self, **more):
        flags = argparse.Namespace(
            namespace="default", file=[], items=None, config=str(self.work / "train.toml"), snapshots=str(self.snapshots),
            keep=2, held_out_days=1.0, gate_events=300, user=None, item=None, time=None, type=None, weight=None,
            partial_log=False, no_gate=False, no_activate=False, json=True)
        vars(flags).update(more)
        return flags

    def refresh(self, **more):
        with (mock.patch.dict(os.environ, {"GROUNDSWELL_SERVER": self.address, programs.SERVER_VARIABLE: _SERVER}),
              contextlib.redirect_stdout(io.StringIO())):
            return refresh.refresh(self.given(**more))

    def check_gate(self):
        """What loses is not activated, and leaves nothing behind."""
        before, there = self.status()["snapshot"]["version"], self.kept()
        with mock.patch.object(refresh, "_served", self.as_if_of_yesterday(refresh._served)):
            with mock.patch.object(refresh.Gate, "loses", True), self.assertRaisesRegex(refresh.GateClosed, "not activated"):
                self.refresh()
        self.assertEqual((self.status()["snapshot"]["version"], self.kept()), (before, there))

    def as_if_of_yesterday(self, served):
        def of_yesterday(*arguments):
            found = served(*arguments)
            found.trained_until_s = int(self.log.time_s[_FIRST - 1]) + 1
            return found
        return of_yesterday

    def check_files_beside_the_log(self):
        """Of another make, with whom the server forgot, and with more than its log; while events go on."""
        forgotten, known = list(dict.fromkeys(self.log.user))[:2]
        self.client("forget", forgotten)
        views = range(0, _FIRST, 5)
        rows = [f"{self.log.user[at]},{self.log.item[at]},{self.log.time_s[at]}\n" for at in views]
        rows += [f"another{number},{self.log.item[0]},{self.log.time_s[0]}\n" for number in range(_OTHERS)]
        (self.work / "older.csv").write_text("who,what,when\n" + "".join(rows), encoding="utf-8")
        exported = []

        def export(server, path):
            export_log(server, path)
            exported.extend(path.read_text(encoding="utf-8").splitlines())
            self.client("ingest", "--visible-within-s", "600", "meanwhile.csv")

        (self.work / "meanwhile.csv").write_text(
            f"timestamp,user,item,type\n{self.log.time_s[-1] + 1},{known},{self.log.item[0]},view\n", encoding="utf-8")
        export_log, count = refresh.RunningServer.export_log, self.count_of(known)
        with (mock.patch.object(refresh, "_served", self.as_if_of_yesterday(refresh._served)),
              mock.patch.object(refresh.RunningServer, "export_log", export)):
            done = self.refresh(no_gate=True, file=[str(self.work / "older.csv")], user="who", item="what", time="when",
                                type="view")
        self.assertIsNone(done["gate"])
        # The views are those of the log; whom it forgot stands in the file alone.
        of_forgotten = sum(self.log.user[at] == forgotten for at in views)
        self.assertGreater(of_forgotten, 0)
        self.assertEqual(done["interactions"], len(exported) + of_forgotten + _OTHERS)
        self.assertGreater(done["interactions"], int(self.status()["graph"]["log_end_offset"]))
        self.assertEqual(self.status()["snapshot"]["version"], done["version"])
        self.assertIn("NOT_FOUND", self.client("user", forgotten, expected=1).stderr)
        self.assertEqual(self.count_of(known), count + 1)
        # The next night's gate begins with it.
        with serving_quality.serving(_SERVER, done["directory"], {"blend.learning": False}):
            pass
        self.check_what_serves_is_kept(Path(done["directory"]).name)

    def check_what_serves_is_kept(self, serving):
        """Also where the directory is called by another path than the server knows."""
        server = mock.Mock(told=lambda _: json.loads(self.client("snapshots").stdout))
        place, newest = self.work / "link", "nightly-29991231T000000Z"
        place.symlink_to(self.snapshots)
        for name in (newest, "nightly-29991230T000000Z"):
            (place / name).mkdir()
        self.assertIn(str(place / "nightly-29991230T000000Z"),
                      refresh._remove_old(place, "nightly", 1, place / newest, server))
        self.assertEqual({path.name for path in self.kept()}, {serving, newest})


class SnapshotTest(unittest.TestCase):
    def setUp(self):
        self.directory = Path(self.enterContext(tempfile.TemporaryDirectory(prefix="groundswell-test-")))

    def test_of_named_files_precedes_all_removals_and_keeps_its_order(self):
        integers = lambda *values: np.array(values, np.int64)
        safetensors.write(self.directory / snapshot.GRAPH_FILE, {
            "user_begin": integers(0, 4, 5), "item": integers(0, 0, 1, 2, 0), "count": integers(1, 2, 3, 4, 5),
            "last_time_us": integers(10**6, 10**6, 10**6, 2 * 10**6, 10**6), "last_offset": integers(3, 7, 4, 9, 8)})
        snapshot.write_manifest(self.directory, {"graph_offset": 9})
        refresh._precede_removals(self.directory)
        graph, _ = safetensors.read(self.directory / snapshot.GRAPH_FILE)
        self.assertEqual(graph["last_offset"].tolist(), [1] * 5)
        self.assertEqual(graph["last_time_us"].tolist(), [10**6, 10**6 + 2, 10**6 + 1, 2 * 10**6, 10**6])
        manifest = snapshot.read_manifest(self.directory)
        self.assertEqual(manifest["graph_offset"], 1)
        self.assertEqual(manifest["files"][snapshot.GRAPH_FILE]["sha256"],
                         snapshot.sha256(self.directory / snapshot.GRAPH_FILE))

    def test_of_everything_has_metrics_and_blend_of_what_was_measured(self):
        measured, draft = self.directory / "measured", self.directory / "whole"
        measured.mkdir()
        draft.mkdir()
        (measured / snapshot.BLEND_FILE).write_text("{}", encoding="utf-8")
        snapshot.write_manifest(measured, {"metrics": {"heldout.auc": 0.5}})
        fields = {"models": [], "data": {"trained_until": "2029-12-09T12:50:01Z"}}
        run = mock.Mock(split=data.Split(0, 0, 0))
        run._ending_at.return_value._train.return_value = None, mock.Mock(), None, fields
        with mock.patch.object(training.examples, "write"):
            training.Training.whole(run, draft, self.directory, measured)
        manifest = snapshot.read_manifest(draft)
        self.assertEqual((manifest["metrics"], list(manifest["files"])), ({"heldout.auc": 0.5}, [snapshot.BLEND_FILE]))

    def test_nothing_half_copied_stays(self):
        draft, place = self.directory / "draft", self.directory / "snapshots"
        draft.mkdir()
        (place / ".shop-20290101T033000Z").mkdir(parents=True)
        with mock.patch.object(refresh.os, "rename", side_effect=OSError), self.assertRaises(OSError):
            refresh._kept(draft, place, "shop")
        self.assertEqual(list(place.iterdir()), [])
        self.assertTrue(refresh._kept(draft, place, "shop").is_dir())
        self.assertEqual(len(list(place.iterdir())), 1)


class BeforeTheTrainingTest(unittest.TestCase):
    def setUp(self):
        self.directory = Path(self.enterContext(tempfile.TemporaryDirectory(prefix="groundswell-test-")))

    def test_what_cannot_be_compared_is_told(self):
        server = mock.Mock(told=lambda _: {"snapshots": [
            {"state": "SNAPSHOT_STATE_SERVING", "directory": "/elsewhere", "version": "shop@1"}]})
        status = {"snapshot": {"digest": "0", "users": "5"}}
        with mock.patch.object(snapshot, "sha256", side_effect=PermissionError):
            served = refresh._served(server, status)
        with self.assertRaisesRegex(ValueError, "shop@1 cannot be compared"):
            refresh._check_comparable(served)
        refresh._check_comparable(refresh.Served("the server without a snapshot"))

    def test_a_server_that_would_not_take_it_is_told(self):
        log, given = self.directory / "log.jsonl", mock.Mock(file=["older.csv"], no_activate=False)
        log.touch()
        with self.assertRaisesRegex(ValueError, "neither a log nor a snapshot"):
            refresh._parts(given, {"graph": {}, "snapshot": {}}, log)
        self.assertEqual(refresh._parts(given, {"graph": {}, "snapshot": {"users": "5"}}, log), ["older.csv"])

    def test_the_replaying_servers_have_what_decides_about_lists(self):
        running = ("[blend]\nlearning = false\nquality_window = 9\n[encoder]\nuser = 'gru'\n[ranking]\ncandidates_max = 7\n"
                   "shares = 'a=100'\n[graph]\nneighbors_max = 8\n[walk]\nsteps = 5\n[retrieval]\nfactory = ''\n")
        found = refresh._settings({"configuration": running}, {"data": {}})
        for name in (*serving_quality.REPLAY_SETTINGS, "ingest.create_items"):
            del found[name]
        self.assertEqual(found, {"blend.learning": False, "encoder.user": "gru", "ranking.candidates_max": 7,
                                 "graph.neighbors_max": 8, "walk.steps": 5})

    def test_a_log_that_weighs_nothing_is_nothing_to_train_on(self):
        log = self.directory / "log.csv"
        log.write_text("timestamp,user,item,type,weight\n7,ann,mug,hide,0\n", encoding="utf-8")
        config = {"snapshot": {}, "data": {"events": [str(log)]}}
        run, reason = refresh._training(config, 1.0, refresh.Served("the server without a snapshot"))
        self.assertIsNone(run)
        self.assertIn("no interaction", reason)


class ListsTest(unittest.TestCase):
    """What a busy machine makes late."""

    class Late(grpc.RpcError):
        def code(self):
            return grpc.StatusCode.DEADLINE_EXCEEDED

        def details(self):
            return "too late"

    def ask(self, users, late):
        def recommend(request, timeout):
            if int(request.user_id) < late:
                raise self.Late
            return mock.Mock(degradations=[], fallback_reason=0, ranker="", next_page_token="", items=[
                mock.Mock(item_id="mug")])
        api = mock.Mock(unary=lambda *_: recommend, RecommendRequest=lambda **fields: mock.Mock(**fields))
        interactions = mock.Mock(user_ids=[str(user) for user in range(users)], item_ids=["mug"])
        with mock.patch.object(serving_quality.api, "Api", lambda: api), contextlib.redirect_stdout(io.StringIO()):
            return serving_quality._ask("127.0.0.1:1", interactions, mock.Mock(relevant=range(users)),
                                        [serving_quality.UNRANKED])[serving_quality.UNRANKED]

    def test_one_late_list_of_a_hundred_is_a_miss(self):
        self.assertEqual(self.ask(100, 1), {0: [], **{user: [0] for user in range(1, 100)}})

    def test_more_of_them_say_nothing(self):
        with self.assertRaisesRegex(ValueError, "2 of 100 lists .*too late"):
            self.ask(100, 2)


class GateTest(unittest.TestCase):
    def test_loses_beyond_what_the_choice_of_users_explains(self):
        gate = lambda new, old: refresh.Gate("old", 100, new, 0.03, old, 0.04)
        self.assertFalse(gate(0.30, 0.34).loses)
        self.assertTrue(gate(0.30, 0.36).loses)
        self.assertFalse(gate(0.36, 0.30).loses)


if __name__ == "__main__":
    unittest.main()
