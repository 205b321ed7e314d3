"""Ranking metrics. AUC and GAUC judge scored rows; Recall and NDCG judge lists."""

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


def gauc(groups, labels, scores):
    """The AUC of each group (user), averaged with the group's rows as weights.

    Groups of one label only say nothing about order and are left out. NaN when no group is left.
    """
    groups, labels, scores = np.asarray(groups), np.asarray(labels), np.asarray(scores)
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(groups[order]) != 0])
    total, weight = 0.0, 0
    for rows in np.split(order, starts[1:]):
        value = auc(labels[rows], scores[rows])
        if not np.isnan(value):
            total += value * len(rows)
            weight += len(rows)
    return total / weight if weight else float("nan")


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
