"""The rows of `groundswell-server replay` against a slow, obvious replay, exactly.

GROUNDSWELL_SERVER names the program.
"""

import os
import subprocess
import tempfile
import unittest
from collections import Counter
from pathlib import Path

import numpy as np

from tests.trainer.replay_oracle import MacroGraphOracle
from trainer import data, replay, safetensors

_ROOT = Path(__file__).parents[2]
_SAMPLE = _ROOT / "sample/online-retail"
_SERVER = os.environ["GROUNDSWELL_SERVER"]
_EVENTS, _FROM_EVENT, _RECENT_LEN = 6000, 4000, 20
_VECTOR_NEIGHBOURS = 50  # LiveVectors::kNeighborsMax
_VISIT_US = 30 * 60 * 10**6  # kVisitUs
_DEPTH = 100  # of --retrieval-depth
_SESSION_S = 3600
_TRENDING, _HALF_LIFE_S = 100, 21_600  # items that trend, and how fast it fades, by the server's default


class ReplayTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        log = data.read_log(_ROOT / "data/online-retail/events.csv.zst")
        cls.log = data.Log(log.time_s[:_EVENTS], log.user[:_EVENTS], log.item[:_EVENTS])
        # Indices of the sample are in order of appearance, so those of its beginning are the same.
        cls.interactions = data.index_interactions(cls.log, int(log.time_s[_EVENTS - 1]) + 1)
        cls.from_s, cls.until_s = int(log.time_s[_FROM_EVENT]), int(log.time_s[_EVENTS - 1]) + 1
        clusters, _ = safetensors.read(_SAMPLE / "clusters.safetensors")
        cls.shape = len(clusters["user_centroids"]), len(clusters["item_centroids"])
        cls.clusters = clusters

    def _replay(self):
        work = self.enterContext(tempfile.TemporaryDirectory())
        return replay.Replay(_SERVER, _SAMPLE, self.log, work)

    def _graph(self):
        return MacroGraphOracle(self.clusters["user"], self.clusters["item"], *self.shape, _RECENT_LEN)

    def test_rows_equal_the_definitions(self):
        rows = self._replay().rows(self.from_s, self.until_s, {"uniform": 1, "popular": 1}, _RECENT_LEN,
                                   _RECENT_LEN, 1)
        batch = rows.batch(np.arange(len(rows)))
        graph, row = self._graph(), 0
        for time_s, user, item in zip(self.log.time_s, self.interactions.user, self.interactions.item):
            if time_s >= self.from_s and item not in graph.taken[user]:
                for _ in range(3):
                    candidate = batch["item"][row] - 1
                    self.assertEqual(rows.label[row], candidate == item)
                    self.assertEqual(rows.time_s[row], time_s)
                    for name, expected in (
                            ("user", user + 1), ("u1", graph.h1_u[user]),
                            ("u2", graph.user_two_hop(user)), ("i1", graph.h1_i[candidate]),
                            ("i2", graph.h2_i[candidate]), ("urec", graph.recent_items(user)),
                            ("irec", graph.recent_users(candidate))):
                        np.testing.assert_array_equal(batch[name][row], expected, f"{name}, row {row}")
                    row += 1
            graph.apply(int(user), int(item))
        self.assertEqual(row, len(rows))
        self.assertGreater(row, 1000)

    def test_rows_and_graph_of_weighted_events_equal_the_definitions(self):
        log, users, items = self._weighted()
        past = replay.Replay(_SERVER, _SAMPLE, log, self.enterContext(tempfile.TemporaryDirectory()))
        rows = past.rows(self.from_s, self.until_s, {"uniform": 1, "popular": 1}, _RECENT_LEN, _RECENT_LEN, 1)
        batch = rows.batch(np.arange(len(rows)))
        graph, row, refused = self._graph(), 0, 0
        for time_s, user, item, weight in zip(log.time_s, users, items, log.weight.tolist()):
            if time_s >= self.from_s and weight > 0 and item not in graph.taken[user]:
                for _ in range(3):
                    candidate = batch["item"][row] - 1
                    self.assertEqual(rows.label[row], candidate == item)
                    for name, expected in (
                            ("u1", graph.h1_u[user]), ("u2", graph.user_two_hop(user)),
                            ("i1", graph.h1_i[candidate]), ("i2", graph.h2_i[candidate]),
                            ("urec", graph.recent_items(user)), ("irec", graph.recent_users(candidate))):
                        np.testing.assert_array_equal(batch[name][row], expected, f"{name}, row {row}")
                    row += 1
            refused += not graph.apply(int(user), int(item), weight)
        self.assertEqual(row, len(rows))
        self.assertGreater(min(row, refused, (log.weight < 0).sum() - refused), 100)
        self._check_judgement(rows, log, refused)
        path = Path(self.enterContext(tempfile.TemporaryDirectory())) / "graph.safetensors"
        past.graph(self.until_s, path)
        found, _ = safetensors.read(path)
        begins = found["user_begin"]
        for user, taken in enumerate(graph.taken):
            edges = slice(begins[user], begins[user + 1])
            counts = Counter()  # an item has an edge for each of its newest interactions
            for item, count in zip(found["item"][edges].tolist(), found["count"][edges].tolist()):
                counts[item] += count
            self.assertEqual(counts, taken)

    def _weighted(self):
        """The log with weights of -3 to 3, and behind each twentieth event a return of an earlier one."""
        random = np.random.default_rng(1)
        order = np.sort(np.r_[np.arange(_EVENTS), np.arange(20, _EVENTS, 20)])
        weight = random.choice([1, 2, 3, -1, -3], len(order), p=[0.6, 0.2, 0.1, 0.05, 0.05])
        back = np.flatnonzero(np.diff(order) == 0) + 1
        users, items = self.interactions.user[order], self.interactions.item[order]
        for at in back:
            other = random.integers(0, at)
            users[at], items[at], weight[at] = users[other], items[other], -1
        ids = self.interactions
        return data.Log(self.log.time_s[order], [ids.user_ids[user] for user in users],
                        [ids.item_ids[item] for item in items], weight), users, items

    def _check_judgement(self, rows, log, refused):
        judgement, period = rows.judgement, (log.time_s >= self.from_s) & (log.time_s < self.until_s)
        self.assertEqual(judgement.events, period.sum())
        self.assertEqual(judgement.judged, rows.label.sum())
        self.assertEqual(judgement.left_out["take_back"] + judgement.left_out["below_zero"],
                         (period & (log.weight < 0)).sum())
        standing = rows.standing(self.until_s)
        gone = int(rows.label.sum() - standing.label.sum())
        self.assertGreater(gone, 10)
        self.assertEqual(standing.judgement.left_out["taken_back"], gone)
        self.assertEqual(standing.judgement.judged, standing.label.sum())

    def test_the_server_reads_types_and_weights_itself(self):
        work = Path(self.enterContext(tempfile.TemporaryDirectory()))
        lines = [f"{time_s},{user},{item}" for time_s, user, item in zip(self.log.time_s, self.log.user, self.log.item)]
        (work / "events.csv").write_text(
            "timestamp,user,item,type,weight\n" + f"{lines[0]},look,\n{lines[1]},,\n{lines[2]},look,7\n"
            + f"{lines[2]},back,\n{lines[1]},back,\n", encoding="utf-8")
        replayed = lambda *more: subprocess.run(
            [_SERVER, "replay", "--snapshot", _SAMPLE, "--events", work / "events.csv", "--graph-out", work / "graph",
             *more], capture_output=True, text=True)
        done = replayed("--event_types", "look=4,buy=2,back=-3", "--type", "buy")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("does not fold 1 events that take back more than there was", done.stderr)
        self.assertEqual(sorted(safetensors.read(work / "graph")[0]["count"].tolist()), [2, 4, 4])
        refused = replayed()
        self.assertEqual(refused.returncode, 1)
        self.assertIn('events.csv: record 1: type "look" must be one of the configured types, cart, hide', refused.stderr)

    def test_negatives_come_from_where_they_say(self):
        counts = {"uniform": 1, "popular": 2, "session": 3, "retrieval": 4}
        rows = self._replay().rows(self.from_s, self.until_s, counts, 3, 2, 1)
        sources, items = rows.sources(), rows.batch(np.arange(len(rows)))["item"] - 1
        per_event = 1 + sum(counts.values())
        expected = np.repeat([0, 1, 2, 3, 4], [1, *counts.values()])
        as_asked = (sources.reshape(-1, per_event) == expected)
        self.assertGreater(as_asked.mean(), 0.99)
        self.assertTrue((sources.reshape(-1, per_event)[~as_asked] == 1).all())  # uniform instead
        graph, nearest, row = self._graph(), _Nearest(), 0
        for at, (time_s, user, item) in enumerate(zip(
                self.log.time_s, self.interactions.user, self.interactions.item)):
            if time_s >= self.from_s and item not in graph.taken[user]:
                drawn, of = items[row : row + per_event], sources[row : row + per_event]
                self.assertFalse(set(drawn[1:]) & (set(graph.taken[user]) | {item}))
                self.assertTrue(set(drawn[of == 2]) <= set(self.interactions.item[:at]))
                session = np.searchsorted(self.log.time_s, time_s - _SESSION_S)
                self.assertTrue(set(drawn[of == 3]) <= set(self.interactions.item[session:at]))
                self.assertTrue(set(drawn[of == 4]) <= nearest.of(graph, user, int(time_s) * 10**6))
                row += per_event
            graph.apply(int(user), int(item), time_us=int(time_s) * 10**6)
        self.assertEqual(row, len(rows))

    def test_candidates_are_what_the_server_would_have_proposed(self):
        of_trending = replay.Candidates(("trending",), "uniform")
        rows = self._replay().rows(self.from_s, self.until_s, {"candidates": 5}, 3, 2, 1, candidates=of_trending)
        sources, items = (of.reshape(-1, 6) for of in (rows.sources(), rows.items() - 1))
        self.assertGreater((sources == [0, 5, 5, 5, 5, 5]).mean(), 0.9)
        graph, newest, at = self._graph(), {}, 0
        basket = {}
        for time_s, user, item in zip(self.log.time_s, self.interactions.user, self.interactions.item):
            basket.setdefault((time_s, user), set()).add(item)
        for time_s, user, item in zip(self.log.time_s, self.interactions.user, self.interactions.item):
            if time_s >= self.from_s and item not in graph.taken[user]:
                drawn = items[at][sources[at] == 5]
                self.assertEqual(len(set(drawn)), len(drawn))
                left_out = {*graph.taken[user], *basket[time_s, user]}
                self.assertFalse(left_out & set(drawn))
                if at % 20 == 0:
                    self.assertTrue(set(drawn) <= _trending(newest, time_s, left_out))
                at += 1
            graph.apply(int(user), int(item))
            newest.setdefault(item, {})[user] = time_s
        self.assertEqual(at, len(items))

    def test_candidates_of_every_source_are_the_same_in_every_replay(self):
        past = self._replay()
        draw = lambda **how: past.rows(self.from_s, self.until_s, {"uniform": 1, "candidates": 4}, 2, 2, 1,
                                       **how).columns
        first, again = draw(), draw()
        for name, values in first.items():
            np.testing.assert_array_equal(values, again[name], name)
        self.assertGreater((first["source"] == 5).mean(), 0.3)
        with self.assertRaises(subprocess.CalledProcessError):
            draw(candidates=replay.Candidates(("trending", "history")))

    def test_rows_of_another_version_are_refused(self):
        path = Path(self.enterContext(tempfile.TemporaryDirectory())) / "rows"
        for metadata in ({}, {"format": "groundswell-rows", "version": "2"}):
            safetensors.write(path, {"event": np.zeros(1)}, metadata)
            with self.assertRaisesRegex(ValueError, f"version {metadata.get('version')}; this trainer reads .* 1"):
                replay.read_columns(path)

    def test_the_seed_decides(self):
        past = self._replay()
        draw = lambda seed: past.rows(self.from_s, self.until_s, {"popular": 2, "retrieval": 1}, 2, 2,
                                      seed).columns["item"]
        first = draw(1)
        np.testing.assert_array_equal(first, draw(1))
        self.assertFalse(np.array_equal(first, draw(2)))

    def test_a_share_of_the_events_is_the_same_for_every_way_to_draw_negatives(self):
        past = self._replay()
        draw = lambda share, counts: past.rows(self.from_s, self.until_s, counts, 2, 2, 1, share=share)
        positives = lambda rows: list(zip(rows.user[rows.label == 1], rows.batch(
            np.flatnonzero(rows.label))["item"], rows.time_s[rows.label == 1]))
        some = draw(0.3, {"uniform": 3})
        self.assertEqual(positives(some), positives(draw(0.3, {"popular": 1, "retrieval": 1})))
        whole = positives(draw(1.0, {"uniform": 3}))
        self.assertTrue(set(positives(some)) < set(whole))
        self.assertTrue(0.25 * len(whole) < len(positives(some)) < 0.35 * len(whole))
        self.assertEqual(len(some), 4 * len(positives(some)))  # with all their negatives

    def test_new_items_are_met_where_they_come_first(self):
        new = [f"new-{at}" if at % 10 == 0 else id_ for at, id_ in enumerate(self.log.item)]
        log = data.Log(self.log.time_s, self.log.user, new)
        work = self.enterContext(tempfile.TemporaryDirectory())
        past = replay.Replay(_SERVER, _SAMPLE, log, work)
        counts = {"popular": 1}
        rows = past.rows(self.from_s, self.until_s, counts, 20, 20, 1, creates_items=True)
        batch = rows.batch(np.arange(len(rows)))
        created = (batch["item"] == 0) & (rows.label == 1)
        self.assertGreater(created.sum(), 100)
        self.assertEqual(batch["i1"][created].sum(), 0)  # nobody took it before
        self.assertGreater(batch["i1"][(batch["item"] == 0) & (rows.label == 0)].sum(), 0)
        self.assertFalse((past.rows(self.from_s, self.until_s, counts, 20, 20, 1).batch(
            slice(None))["item"] == 0).any())

    def test_features_of_one_moment(self):
        at_s = int(self.log.time_s[5000])
        rows = self._replay().rows(self.from_s, self.until_s, {"uniform": 1}, _RECENT_LEN, _RECENT_LEN, 1,
                                   features_at_s=at_s)
        batch = rows.batch(np.arange(len(rows)))
        graph = self._graph()
        for time_s, user, item in zip(self.log.time_s, self.interactions.user, self.interactions.item):
            if time_s < at_s:
                graph.apply(int(user), int(item))
        self.assertGreater((rows.time_s < at_s).sum(), 500)
        self.assertGreater((rows.time_s >= at_s).sum(), 500)
        for row in range(0, len(rows), 7):
            user, item = batch["user"][row] - 1, batch["item"][row] - 1
            for name, expected in (
                    ("u1", graph.h1_u[user]), ("u2", graph.user_two_hop(user)), ("i1", graph.h1_i[item]),
                    ("i2", graph.h2_i[item]), ("urec", graph.recent_items(user)),
                    ("irec", graph.recent_users(item))):
                np.testing.assert_array_equal(batch[name][row], expected, f"{name}, row {row}")

    def test_a_source_that_there_is_not_is_refused(self):
        with self.assertRaisesRegex(ValueError, "source hard; there are uniform, popular"):
            self._replay().rows(0, 1, {"hard": 1}, 1, 1, 1)


def _trending(newest, now_s, left_out):
    """The items that trend, but for some: of `newest`, item -> user -> when they took it last."""
    scores = {item: sum(2.0 ** ((time_s - now_s) / _HALF_LIFE_S) for time_s in of_users.values())
              for item, of_users in newest.items() if item not in left_out}
    least = sorted(scores.values())[-_TRENDING] if len(scores) > _TRENDING else 0.0
    return {item for item, score in scores.items() if score >= least * (1 - 1e-4)}


class _Nearest:
    """What the embedding search finds for a user, by the definition of LiveVectors."""

    def __init__(self):
        tensors, _ = safetensors.read(_SAMPLE / "embeddings.safetensors")
        self.user, self.item = (tensors[side].astype(np.float64) for side in ("user", "item"))

    def of(self, graph, user, now_us):
        taken = list(graph.taken[user])
        newest = taken[::-1][:_VECTOR_NEIGHBOURS]
        if taken and now_us - graph.recent_times_us(user)[0] < _VISIT_US:
            vector = np.sum([self.item[item] * 2 ** (-k / 3) for k, item in enumerate(newest)], axis=0)
        else:
            vector = self.user[user].copy()
            for item in newest:
                vector += self.item[item] / np.sqrt(len(taken) * len(graph.takers[item]))
        scores = self.item @ vector
        scores[taken] = -np.inf
        last = np.sort(scores)[-_DEPTH]
        return set(np.flatnonzero(scores >= last - 1e-5 * np.abs(last)))


if __name__ == "__main__":
    unittest.main()
