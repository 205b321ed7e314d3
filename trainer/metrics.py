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
    total, weight = 0.0, 0
    for label, score in _lists(groups, labels, scores):
        value = auc(label, score)
        if not np.isnan(value):
            total += value * len(label)
            weight += len(label)
    return total / weight if weight else float("nan")


def mrr(groups, labels, scores):
    """The mean of 1 / the rank of each group's best positive, 1 + those above + half of those tied
    with it. Groups without a positive are left out; NaN when no group is left."""
    found = []
    for label, score in _lists(groups, labels, scores):
        if label.any():
            best = score[label].max()
            # Tied positives are not in each other's way.
            found.append(1.0 / (1 + (score > best).sum() + ((score == best) & ~label).sum() / 2.0))
    return float(np.mean(found)) if found else float("nan")


def group_ndcg(groups, labels, scores, k):
    """NDCG of the first k of each group, a mean; gain 1 for a positive, discount 1 / log2(rank + 1).

    Tied rows share the mean of their gains. Groups without a positive are left out; NaN when no group
    is left.
    """
    found = []
    for label, score in _lists(groups, labels, scores):
        if label.any():
            discounts = np.where(np.arange(len(label)) < k, 1.0 / np.log2(np.arange(len(label)) + 2), 0.0)
            _, block, counts = np.unique(-score, return_inverse=True, return_counts=True)
            mean_gain = np.bincount(block, weights=label) / counts
            ends = np.cumsum(counts)
            worth = np.add.reduceat(discounts, ends - counts)
            found.append((mean_gain * worth).sum() / discounts[: label.sum()].sum())
    return float(np.mean(found)) if found else float("nan")


def group_recall(groups, labels, scores, k):
    """The share of each group's positives among its first k, a mean; tied rows share their places.

    Groups without a positive are left out; NaN when no group is left.
    """
    found = []
    for label, score in _lists(groups, labels, scores):
        if label.any():
            _, block, counts = np.unique(-score, return_inverse=True, return_counts=True)
            before = np.cumsum(counts) - counts
            inside = np.clip((k - before) / counts, 0.0, 1.0)  # of each block of ties
            found.append(inside[block][label].sum() / label.sum())
    return float(np.mean(found)) if found else float("nan")


def _lists(groups, labels, scores):
    """(labels as booleans, scores) of each group."""
    groups, labels, scores = np.asarray(groups), np.asarray(labels).astype(bool), np.asarray(scores)
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order]) != 0) + 1
    for rows in np.split(order, starts):
        if len(rows):
            yield labels[rows], scores[rows]


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
