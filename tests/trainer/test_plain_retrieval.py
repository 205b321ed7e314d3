"""The plain scripts of bench/ against sorting everything anew, and their metrics against the trainer's."""

import pathlib
import sys
import unittest

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent.parent / "bench"))
import plain_retrieval
from trainer import metrics


class OrderTest(unittest.TestCase):
    def test_a_top_list_is_the_head_of_all_sorted(self):
        random = np.random.default_rng(3)
        top, reached = plain_retrieval.TopList(), {}
        for step, item in enumerate((random.random(3_000) ** 2 * 250).astype(int).tolist()):
            top.add(item)
            reached[item] = (reached.get(item, (0, 0))[0] - 1, step)  # sorts by count, then by age
            if step % 97 == 0:
                best = sorted(reached, key=reached.get)[:plain_retrieval.LENGTH]
                self.assertEqual(top.top, best)

    def test_ties_count_against_an_item(self):
        counts = plain_retrieval.Counts(5)
        counts.events[:] = [3, 7, 3, 0, 9]
        self.assertEqual([counts.rank(item, ()) for item in range(5)], [4, 2, 4, 0, 1])
        self.assertEqual(counts.rank(0, {4, 2}), 2)
        self.assertEqual(counts.rank(0, {0}), 0)


class ScriptsTest(unittest.TestCase):
    # Items 0, 1, 2; the test begins with the event at 200.
    EVENTS = [(100, 0, 0), (101, 0, 1), (102, 1, 0), (200, 1, 1), (201, 2, 2), (202, 2, 2)]

    def ranks(self, **options):
        settings = {"window_s": 50, "past": 20, "exclude_seen": False, **options}
        scripts = plain_retrieval.PlainScripts(3, *settings.values())
        for event in self.EVENTS:
            if event[0] == 200:
                scripts.freeze(200)
            if event[0] >= 200:
                scripts.ask(*event)
            scripts.take(*event)
        return {name: score.ranks for name, score in scripts.scores.items()}

    def test_every_script_by_hand(self):
        self.assertEqual(self.ranks(), {
            ("popular", "frozen"): [2, 0, 0],  # counts 2, 1, 0
            ("popular", "live"): [2, 0, 3],  # 2, 2, 1 at the last
            ("trending", "frozen"): [0, 0, 0],  # nothing in the 50 s before 200
            ("trending", "live"): [0, 0, 2],  # items 1 and 2, once each
            ("co-clicks", "frozen"): [1, 0, 0],  # 1 followed 0
            ("co-clicks", "live"): [1, 0, 0]})

    def test_seen_items_are_left_out_when_wanted(self):
        self.assertEqual(self.ranks(exclude_seen=True)[("popular", "live")], [1, 0, 0])


class ScoreTest(unittest.TestCase):
    def test_means_are_those_of_the_trainers_metrics(self):
        score = plain_retrieval.Score()
        score.ranks = [0, 1, 2, 10, 11, 20, 21, 57, 100, 101]
        lists = [[n for n in range(1, 200)] for _ in score.ranks]
        summary = score.summary()
        for cutoff in plain_retrieval.CUTOFFS:
            recalls = [metrics.recall_at(ranked, {rank}, cutoff)
                       for ranked, rank in zip(lists, score.ranks)]
            ndcgs = [metrics.ndcg_at(ranked, {rank}, cutoff)
                     for ranked, rank in zip(lists, score.ranks)]
            self.assertAlmostEqual(summary["hit_rate"][str(cutoff)], np.mean(recalls))
            self.assertAlmostEqual(summary["ndcg"][str(cutoff)], np.mean(ndcgs))
        self.assertAlmostEqual(summary["mrr"], np.mean(
            [1 / rank if 0 < rank <= 100 else 0 for rank in score.ranks]))


if __name__ == "__main__":
    unittest.main()
