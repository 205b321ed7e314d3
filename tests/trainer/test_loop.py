"""Train, serve, ingest, export, and train the next snapshot on both, with events of several types.

GROUNDSWELL_SERVER names the program; `groundswell` stands beside it. Needs PyTorch.
"""

import contextlib
import csv
import io
import json
import os
import subprocess
import tempfile
import unittest
from collections import Counter
from pathlib import Path

import numpy as np

from trainer import data, log_files, safetensors, serving_quality, snapshot, training

_ROOT = Path(__file__).parents[2]
_SERVER = os.environ["GROUNDSWELL_SERVER"]
_TRAINED, _EVENTS = 4000, 6000  # of the first days; the rest is ingested
_TYPES = {"purchase": 2, "view": 1, "return": -2}

_CONFIG = """
[snapshot]
name = "shop"
output = "{work}/{output}"
server = "{server}"

[data]
events = {events}
heldout_days = {heldout}
validation_days = 0.2

[lightgcn]
dim = 4
layers = 1
epochs_max = 1
patience = 1

[clusters]
users = 2
items = 3
seed = 1

[serving.event_types]
purchase = 2
view = 1
return = -2

[[ranker]]
name = "macgnn"
kind = "macgnn"
dim = 4
recent_len = 5
epochs = 1
"""


class LoopTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.work = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.records = _records()
        _write(cls.work / "first.csv", cls.records[:_TRAINED])
        cls.printed = [cls._train("one", [cls.work / "first.csv"])]
        cls.cut_s = _cut_s(cls.work / "one")
        cls._serve_and_export()
        cls.printed.append(cls._train("two", [cls.work / "first.csv", cls.work / "log.jsonl"]))

    @classmethod
    def _train(cls, output, events, heldout=0.1):
        path = cls.work / f"{output}.toml"
        path.write_text(_CONFIG.format(work=cls.work, output=output, server=_SERVER, heldout=heldout,
                                       events=json.dumps([str(name) for name in events])), encoding="utf-8")
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            training.train(path)
        return printed.getvalue()

    @classmethod
    def _serve_and_export(cls):
        """A server of the first snapshot is told all that came after its cut, and gives its log."""
        later = [record for record in cls.records if record[0] >= cls.cut_s]
        _write(cls.work / "live.csv", later)
        client = Path(_SERVER).with_name("groundswell")
        types = ",".join(f"{name}={weight}" for name, weight in _TYPES.items())
        with serving_quality.serving(_SERVER, cls.work / "one", {"event_types": types, "request.consistency_wait_ms": 60_000}) as address:
            told = subprocess.run([client, "--server", address, "--json", "ingest", "--visible-within-s", "600",
                                   cls.work / "live.csv"], stdout=subprocess.PIPE, text=True)
            cls.told = json.loads(told.stdout)
            assert cls.told["visible"], cls.told
            exported = subprocess.run([client, "--server", address, "log"], check=True, stdout=subprocess.PIPE).stdout
            cls.graph = {user: json.loads(subprocess.run(
                [client, "--server", address, "--timeout-ms", "60000", "--json", "user", user, "--consistency-token",
                 cls.told["consistency_token"]], check=True, stdout=subprocess.PIPE).stdout)
                for user in _some_users(exported)}
        (cls.work / "log.jsonl").write_bytes(exported)

    def test_the_exported_log_is_read_as_it_is(self):
        lines = (self.work / "log.jsonl").read_text().splitlines()
        self.assertEqual(len(lines), self.told["accepted"])
        exported = data.read_log(self.work / "log.jsonl", log_files.EventWeights({"purchase": 2}))
        self.assertEqual(len(exported), len(lines))
        self.assertEqual({*exported.weight.tolist()}, {2, 1, -2, 3, -1})

    def test_what_is_in_both_parts_counts_once(self):
        exported = data.read_log(self.work / "log.jsonl", log_files.EventWeights(dict(_TYPES)))
        told = Counter(zip(exported.time_s.tolist(), exported.user, exported.item, exported.weight.tolist()))
        known = Counter((time_s, user, item, int(weight or _TYPES[type_]))
                        for time_s, user, item, type_, weight, _ in self.records[:_TRAINED])
        again = (told & known).total()
        self.assertGreater(again, 20)
        self.assertIn(f"data: {again} records with an event id that was there before left out", self.printed[1])

    def test_the_next_snapshot_has_the_graph_that_the_server_had(self):
        log = data.read_log([self.work / "first.csv", self.work / "log.jsonl"], log_files.EventWeights(dict(_TYPES)))
        # All that the server was told, against what it made of it while it ran. It refused what was on
        # items that the first snapshot does not have.
        graph = _counts(log.at(np.flatnonzero((log.time_s < self.cut_s) | (log.offset > 0))))
        for user, state in self.graph.items():
            taken = {item: count for item, count in graph[user].items() if count}
            self.assertEqual(int(state.get("total_count", 0)), sum(taken.values()), user)
            self.assertEqual(int(state.get("distinct_items", 0)), len(taken), user)
        self._check_graph(log)

    def _check_graph(self, log):
        """graph.safetensors is that of everything before the cut, and the manifest says where that ends."""
        past = log.at(np.flatnonzero(log.time_s < _cut_s(self.work / "two")))
        expected = _counts(past)
        found, _ = safetensors.read(self.work / "two/graph.safetensors")
        items = snapshot.read_item_ids(self.work / "two")
        with open(self.work / "two/users.jsonl", encoding="utf-8") as stream:
            users = [json.loads(line)["id"] for line in stream]
        for at, user in enumerate(users):
            edges = slice(found["user_begin"][at], found["user_begin"][at + 1])
            counts = Counter()  # an item has an edge for each of its newest interactions
            for item, count in zip(found["item"][edges], found["count"][edges]):
                counts[items[item]] += int(count)
            self.assertEqual(counts, {item: count for item, count in expected[user].items() if count}, user)
        refused = int(((past.time_s >= self.cut_s) & (past.offset == 0)).sum())
        self.assertGreater(refused, 0)
        self.assertEqual(int(past.offset.max()), len(past) - refused, "offsets go on where the first snapshot ends")
        self.assertEqual(snapshot.read_manifest(self.work / "two")["graph_offset"], len(past))
        self.assertIn("its log does not continue this snapshot", self.printed[1])

    def test_the_server_takes_the_next_snapshot(self):
        imported = subprocess.run([_SERVER, "import", "--snapshot", self.work / "two", "--data-dir", self.work / "db"],
                                  capture_output=True, text=True)
        self.assertEqual(imported.returncode, 0, imported.stderr)
        self.assertEqual(snapshot.read_manifest(self.work / "two")["data"]["events_sha256"], ",".join(
            snapshot.sha256(self.work / name) for name in ("first.csv", "log.jsonl")))


def _records():
    """(time, user, item, type, weight, id) of the sample's beginning: views, returns, weights, and records
    without an id and that say the same among them."""
    log = data.read_log(_ROOT / "data/online-retail/events.csv.zst")
    random = np.random.default_rng(1)
    records = []
    for at in range(_EVENTS):
        time_s, user, item = int(log.time_s[at]), log.user[at], log.item[at]
        type_, weight = ("view", "") if random.random() < 0.2 else ("purchase", "3" if random.random() < 0.1 else "")
        records.append((time_s, user, item, type_, weight, f"e{len(records)}" if at % 3 == 0 else ""))
        if at % 51 == 1:  # has no id
            records.append(records[-1])
        if random.random() < 0.1:
            _, user, item, *_ = records[random.integers(0, len(records))]
            records.append((time_s, user, item, "return", "-1" if random.random() < 0.5 else "",
                            f"e{len(records)}" if at % 3 == 0 else ""))
    return records


def _write(path, records):
    with open(path, "w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("timestamp", "user", "item", "type", "weight", "event_id"), *records])


def _cut_s(directory):
    trained_until = snapshot.read_manifest(directory)["data"]["trained_until"]
    return int(np.datetime64(trained_until.removesuffix("Z"), "s").astype(int))


def _some_users(exported):
    return list(dict.fromkeys(json.loads(line)["user"] for line in exported.splitlines()))[:30]


def _counts(log):
    """user -> item -> A[u,i], by definition."""
    counts = {user: {} for user in log.user}
    for user, item, weight in zip(log.user, log.item, log.weight.tolist()):
        if counts[user].get(item, 0) + weight >= 0:
            counts[user][item] = counts[user].get(item, 0) + weight
    return counts


if __name__ == "__main__":
    unittest.main()
