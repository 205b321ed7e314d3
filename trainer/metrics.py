"""Ranking metrics: of scored rows (AUC, log loss), of the lists that rows fall into, and of top lists.

A tie is never broken by the order of the rows: tied scores share what their places are worth.
"""

import numpy as np


def auc(labels, scores):
    """Area under the ROC curve: how often a positive outscores a negative; a tie counts half.

    NaN when the rows are all positive or all negative.
    """
    labels = np.asarray(labels).astype(bool)
    positives = int(labels.sum())
    negatives = len(labels) - positives
    if positives == 0 or negatives == 0:
        return float("nan")
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    last_rank = np.cumsum(counts)
    mean_rank = last_rank - (counts - 1) / 2.0  # ranks from 1; tied scores share their mean
    rank_sum = mean_rank[inverse][labels].sum()
    return float((rank_sum - positives * (positives + 1) / 2.0) / (positives * negatives))


def log_loss(labels, logits):
    """The mean of -log p of each row's label, p = sigmoid(logit); finite for every finite logit."""
    logits = np.asarray(logits, np.float64)
    return float(np.mean(np.logaddexp(0.0, np.where(np.asarray(labels) > 0, -logits, logits))))


def gauc(groups, labels, scores):
    """The AUC of each group (user, or list), averaged with the group's rows as weights.

    Groups of one label only say nothing about order and are left out. NaN when no group is left.
    """
    blocks = _Blocks(groups, labels, scores)
    negatives = blocks.size - blocks.positives
    below = blocks.of_group(negatives)[blocks.group] - blocks.before(negatives) - negatives
    wins = blocks.of_group(blocks.positives * (below + negatives / 2.0))
    rows, positives = blocks.of_group(blocks.size), blocks.of_group(blocks.positives)
    pairs = positives * (rows - positives)
    keep = pairs > 0
    return float(np.average(wins[keep] / pairs[keep], weights=rows[keep])) if keep.any() else float("nan")


def mrr(groups, labels, scores):
    """The mean of 1 / the rank of each group's best positive, 1 + those above + half of the negatives
    tied with it. Groups without a positive are left out; NaN when no group is left."""
    blocks = _Blocks(groups, labels, scores)
    has = np.flatnonzero(blocks.positives)
    _, first = np.unique(blocks.group[has], return_index=True)  # the best of each group
    best = has[first]
    rank = 1 + blocks.begin[best] + (blocks.size - blocks.positives)[best] / 2.0
    return float(np.mean(1.0 / rank)) if len(best) else float("nan")


def group_ndcg(groups, labels, scores, k):
    """NDCG of the first k of each group, a mean; gain 1 for a positive, discount 1 / log2(rank + 1).

    Tied rows share the mean of their gains. Groups without a positive are left out; NaN when no group
    is left.
    """
    blocks = _Blocks(groups, labels, scores)
    longest = int(blocks.of_group(blocks.size).max(initial=0))
    discounts = np.where(np.arange(longest) < k, 1.0 / np.log2(np.arange(longest) + 2), 0.0)
    worth = np.r_[0.0, np.cumsum(discounts)]  # of the first n places
    gains = blocks.of_group(blocks.positives / blocks.size
                            * (worth[blocks.begin + blocks.size] - worth[blocks.begin]))
    positives = blocks.of_group(blocks.positives).astype(int)
    keep = positives > 0
    return float(np.mean(gains[keep] / worth[positives[keep]])) if keep.any() else float("nan")


def group_recall(groups, labels, scores, k):
    """The share of each group's positives among its first k, a mean; tied rows share their places.

    Groups without a positive are left out; NaN when no group is left.
    """
    blocks = _Blocks(groups, labels, scores)
    inside = np.clip((k - blocks.begin) / blocks.size, 0.0, 1.0)
    found, positives = blocks.of_group(blocks.positives * inside), blocks.of_group(blocks.positives)
    keep = positives > 0
    return float(np.mean(found[keep] / positives[keep])) if keep.any() else float("nan")


class _Blocks:
    """Rows of equal score in one group, the best first in each group."""

    def __init__(self, groups, labels, scores):
        groups, scores = np.asarray(groups), np.asarray(scores)
        order = np.lexsort((-scores, groups))
        new_group = np.r_[True, np.diff(groups[order]) != 0][: len(order)]
        begins = np.flatnonzero(new_group | np.r_[True, np.diff(scores[order]) != 0][: len(order)])
        self.group = (np.cumsum(new_group) - 1)[begins]
        self.size = np.diff(np.r_[begins, len(order)])
        self.begin = begins - np.flatnonzero(new_group)[self.group]  # place of the first row, from 0
        positives = np.r_[0, np.cumsum(np.asarray(labels)[order] > 0)]
        self.positives = np.diff(positives[np.r_[begins, len(order)]])

    def of_group(self, values):
        """Sums of one value per block, by group."""
        return np.bincount(self.group, weights=values)

    def before(self, values):
        """For each block, the sum over those before it in its group."""
        sums = np.cumsum(values) - values
        starts = np.flatnonzero(self.begin == 0)
        return sums - sums[starts][self.group]


def recall_at(ranked, relevant, k):
    """The share of `relevant` (a set, not empty) among the first k of `ranked`."""
    return len(relevant.intersection(ranked[:k])) / len(relevant)


def ndcg_at(ranked, relevant, k):
    """Discounted gain of the first k with gain 1 for a relevant item, over the best possible."""
    gain = sum(1.0 / np.log2(rank + 2) for rank, item in enumerate(ranked[:k]) if item in relevant)
    best = sum(1.0 / np.log2(rank + 2) for rank in range(min(len(relevant), k)))
    return float(gain / best)


def mean_recall_ndcg(lists, relevant, k):
    """Means over the users of `relevant` (user -> set of items); a user without a list scores 0."""
    recalls = [recall_at(lists.get(user, ()), items, k) for user, items in relevant.items()]
    ndcgs = [ndcg_at(lists.get(user, ()), items, k) for user, items in relevant.items()]
    return float(np.mean(recalls)), float(np.mean(ndcgs))
