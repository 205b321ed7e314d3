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
