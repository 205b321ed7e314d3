"""Metrics against hand-made values, and against scikit-learn where it is installed."""

import math
import unittest

import numpy as np

from trainer import metrics


class AucTest(unittest.TestCase):
    def test_rows_of_one_label_have_no_auc(self):
        self.assertTrue(math.isnan(metrics.auc([1, 1], [0.1, 0.2])))
        self.assertTrue(math.isnan(metrics.auc([], [])))

    def test_ties_count_half(self):
        self.assertEqual(metrics.auc([1, 0], [3.0, 3.0]), 0.5)
        self.assertEqual(metrics.auc([1, 0, 0], [3.0, 3.0, 1.0]), 0.75)

    def test_order_decides(self):
        self.assertEqual(metrics.auc([0, 1, 0, 1], [0.1, 0.4, 0.35, 0.8]), 1.0)
        self.assertEqual(metrics.auc([1, 0], [0.0, 1.0]), 0.0)

    def test_agrees_with_scikit_learn(self):
        try:
            from sklearn.metrics import roc_auc_score
        except ImportError:
            self.skipTest("scikit-learn is not installed")
        random = np.random.default_rng(7)
        labels = random.integers(0, 2, 500)
        scores = random.integers(0, 40, 500) / 10.0
        self.assertAlmostEqual(metrics.auc(labels, scores), roc_auc_score(labels, scores), places=12)


class GaucTest(unittest.TestCase):
    def test_groups_of_one_label_are_left_out(self):
        self.assertEqual(metrics.gauc([1, 1, 2], [1, 0, 1], [0.9, 0.1, 0.5]), 1.0)
        self.assertTrue(math.isnan(metrics.gauc([1, 2], [1, 0], [0.9, 0.1])))

    def test_groups_weigh_by_their_rows(self):
        groups = [2, 1, 1, 2, 2, 2]  # group 1: AUC 1 over 2 rows; group 2: AUC 0 over 4
        labels = [1, 1, 0, 0, 0, 0]
        scores = [0.0, 0.9, 0.1, 0.5, 0.6, 0.7]
        self.assertAlmostEqual(metrics.gauc(groups, labels, scores), 2 / 6)


class OfGroupsTest(unittest.TestCase):
    def setUp(self):
        random = np.random.default_rng(11)
        self.groups = random.integers(0, 60, 700)
        self.labels = (random.random(700) < 0.2).astype(int)
        self.labels[self.groups < 5] = 0  # groups without a positive
        self.labels[self.groups == 7] = 1  # and one without a negative
        self.scores = random.integers(0, 12, 700) / 3.0  # many ties

    def _lists(self):
        """(labels, scores) of each group with a positive."""
        for group in np.unique(self.groups):
            rows = self.groups == group
            if self.labels[rows].any():
                yield self.labels[rows], self.scores[rows]

    def test_gauc_equals_a_plain_loop(self):
        total = weight = 0.0
        for labels, scores in self._lists():
            pairs = [(a > b) + 0.5 * (a == b) for a in scores[labels == 1] for b in scores[labels == 0]]
            if pairs:
                total, weight = total + np.mean(pairs) * len(labels), weight + len(labels)
        self.assertAlmostEqual(metrics.gauc(self.groups, self.labels, self.scores), total / weight)

    def test_mrr_equals_a_plain_loop(self):
        found = []
        for labels, scores in self._lists():
            best = max(score for label, score in zip(labels, scores) if label)
            rank = 1.0
            for label, score in zip(labels, scores):
                rank += 1.0 if score > best else 0.5 if score == best and not label else 0.0
            found.append(1 / rank)
        self.assertAlmostEqual(metrics.mrr(self.groups, self.labels, self.scores), np.mean(found))

    def test_ndcg_agrees_with_scikit_learn(self):
        try:
            from sklearn.metrics import ndcg_score
        except ImportError:
            self.skipTest("scikit-learn is not installed")
        for k in (1, 3, 50):
            expected = [ndcg_score([labels], [scores], k=k) for labels, scores in self._lists()
                        if len(labels) > 1]
            self.assertAlmostEqual(metrics.group_ndcg(self.groups, self.labels, self.scores, k),
                                   np.mean(expected), places=12)

    def test_recall_agrees_with_scikit_learn_where_nothing_is_tied(self):
        try:
            from sklearn.metrics import recall_score
        except ImportError:
            self.skipTest("scikit-learn is not installed")
        self.scores = self.scores + np.random.default_rng(1).random(700) * 0.1
        for k in (1, 4):
            expected = []
            for labels, scores in self._lists():
                taken = np.zeros(len(labels), int)
                taken[np.argsort(-scores)[:k]] = 1
                expected.append(recall_score(labels, taken))
            self.assertAlmostEqual(metrics.group_recall(self.groups, self.labels, self.scores, k),
                                   np.mean(expected), places=12)

    def test_tied_rows_share_their_places(self):
        self.assertEqual(metrics.group_recall([1] * 4, [1, 0, 0, 0], [2.0] * 4, 1), 0.25)
        self.assertAlmostEqual(metrics.mrr([1] * 3, [1, 0, 0], [2.0] * 3), 0.5)

    def test_without_a_positive_there_is_nothing_to_find(self):
        for metric in (metrics.mrr, lambda *rows: metrics.group_ndcg(*rows, 5),
                       lambda *rows: metrics.group_recall(*rows, 5)):
            self.assertTrue(math.isnan(metric([1, 1], [0, 0], [0.1, 0.2])))
            self.assertTrue(math.isnan(metric([], [], [])))


class LogLossTest(unittest.TestCase):
    def test_agrees_with_scikit_learn(self):
        try:
            from sklearn.metrics import log_loss
        except ImportError:
            self.skipTest("scikit-learn is not installed")
        random = np.random.default_rng(3)
        labels, logits = random.integers(0, 2, 400), random.normal(size=400) * 3
        self.assertAlmostEqual(metrics.log_loss(labels, logits), log_loss(labels, 1 / (1 + np.exp(-logits))),
                               places=12)

    def test_a_large_logit_is_no_infinity(self):
        self.assertEqual(metrics.log_loss([0], [1000.0]), 1000.0)
        self.assertEqual(metrics.log_loss([1], [1000.0]), 0.0)


class ListTest(unittest.TestCase):
    def test_a_user_without_a_list_scores_zero(self):
        recall, ndcg = metrics.mean_recall_ndcg({1: [5]}, {1: {5}, 2: {6}}, 20)
        self.assertEqual((recall, ndcg), (0.5, 0.5))

    def test_recall_is_the_share_of_the_relevant(self):
        self.assertEqual(metrics.recall_at([1, 2, 3], {2, 9}, 2), 0.5)
        self.assertEqual(metrics.recall_at([1, 2, 3], {3}, 2), 0.0)

    def test_ndcg_discounts_by_rank(self):
        self.assertEqual(metrics.ndcg_at([4, 5], {4, 5}, 20), 1.0)
        self.assertAlmostEqual(metrics.ndcg_at([9, 4], {4}, 20), 1 / math.log2(3))
        best = 1 + 1 / math.log2(3)
        self.assertAlmostEqual(metrics.ndcg_at([4, 9, 5], {4, 5}, 20), 1.5 / best)


if __name__ == "__main__":
    unittest.main()
