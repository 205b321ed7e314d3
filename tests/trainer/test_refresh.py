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

from trainer import data, programs, refresh, serving_quality, snapshot

_ROOT = Path(__file__).resolve().parents[2]
_SERVER = os.environ.get("GROUNDSWELL_SERVER", str(_ROOT / "build/release/bin/groundswell-server"))
_CLIENT = Path(_SERVER).with_name("groundswell")
_FIRST, _ALL = 5_000, 6_000  # events of the sample's beginning
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
        self.client("ingest", "--sort", "first.csv")
        first = json.loads(self.train("--items", "items.csv").stdout)
        self.check_snapshot(first, _FIRST)
        self.assertEqual(first["gate"]["served"], "the server without a snapshot")
        self.assertEqual(self.status()["snapshot"]["version"], first["version"])
        # Nothing twice, nothing lost: each counts what its type weighs.
        graph = self.status()["graph"]
        self.assertEqual(int(graph["log_end_offset"]), int(graph["applied_offset"]))
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
        self.check_removal()

    def ingest_more(self):
        """Items of later days are not in the catalogue: they are refused behind a snapshot."""
        done = self.client("ingest", "more.csv", expected=1)
        self.assertGreater(json.loads(done.stdout)["accepted"], 500)

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

    def check_removal(self):
        """The newest are kept, and what serves."""
        with mock.patch.object(refresh, "_served", self.as_if_of_yesterday(refresh._served)):
            done = self.refresh(no_gate=True, no_activate=True)
        self.assertFalse(done["activated"])
        self.assertIsNone(done["gate"])
        serving = self.status()["snapshot"]["version"]
        self.assertIn(serving, {f"{m['name']}@{m['version']}" for m in map(snapshot.read_manifest, self.kept())})
        self.assertEqual(len(self.kept()), 2)
        self.assertEqual(len(done["removed"]), 1)


class GateTest(unittest.TestCase):
    def test_loses_beyond_what_the_choice_of_users_explains(self):
        gate = lambda new, old: refresh.Gate("old", 100, new, 0.03, old, 0.04)
        self.assertFalse(gate(0.30, 0.34).loses)
        self.assertTrue(gate(0.30, 0.36).loses)
        self.assertFalse(gate(0.36, 0.30).loses)


if __name__ == "__main__":
    unittest.main()
