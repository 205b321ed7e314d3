"""How well rankers order replayed rows: a positive and its negatives, which the user had not either."""

import numpy as np

from trainer import metrics, ranking

NEGATIVES = 4  # per positive
SAMPLED = ("uniform", "popular")  # of SAMPLINGS, those that `compare --sampled` draws from
SAMPLINGS = ("uniform", "popular", "retrieval")  # ways to draw them, of replay.SOURCES
_NDCG_AT, _RECALL_AT = 3, 1  # of lists of 1 + NEGATIVES rows
SAMPLED_NDCG_AT = 2  # as SURGE was published
_HISTORY_BEGINS = (1, 6, 11, 21, 41)  # of the groups of history lengths


def measure(rows, scores, are_logits=True, ndcg_at=_NDCG_AT):
    """{metric: value} of one score per row.

    auc is over all rows, gauc by user; mrr, ndcg and recall are of each positive among its own
    negatives; logloss is of scores that are logits.
    """
    lists = ranking.groups_of(rows)
    found = {
        "auc": metrics.auc(rows.label, scores),
        "gauc": metrics.gauc(rows.user, rows.label, scores),
        "mrr": metrics.mrr(lists, rows.label, scores),
        f"ndcg_at_{ndcg_at}": metrics.group_ndcg(lists, rows.label, scores, ndcg_at),
        f"recall_at_{_RECALL_AT}": metrics.group_recall(lists, rows.label, scores, _RECALL_AT),
    }
    if are_logits:
        found["logloss"] = metrics.log_loss(rows.label, scores)
    return {name: round(value, 4) for name, value in found.items()}


def with_misses(rows, scores):
    """The scores, those of items that the snapshot does not know below all others: to a ranker they are
    all one, so what a user took of them is a miss."""
    is_new = rows.batch(np.arange(len(rows)))["item"] == 0
    return np.where(is_new, np.min(scores, initial=0.0) - 1.0, scores)


def by_history(rows, scores):
    """{"history 1-5": AUC of each positive among its own negatives, a mean} by how many of the user's
    newest items a row has; a group without rows is left out."""
    length = (rows.batch(np.arange(len(rows)))["urec"] > 0).sum(1)
    lists, found = ranking.groups_of(rows), {}
    for begin, end in zip(_HISTORY_BEGINS, (*_HISTORY_BEGINS[1:], None)):
        keep = (length >= begin) & (length < (end or np.inf))
        if keep.any():
            name = f"history {begin}-{end - 1 if end else ''}"
            found[name] = round(metrics.gauc(lists[keep], rows.label[keep], scores[keep]), 4)
    return found


def baselines(rows, user, item):
    """{name: scores} of what needs no training: the item's live count, and the inner product of the
    embeddings, 0 for a user that the snapshot does not know."""
    batch = rows.batch(np.arange(len(rows)))
    of_users = np.concatenate([np.zeros((1, user.shape[1]), user.dtype), user])[batch["user"]]
    return {"popularity": batch["i1"].sum(1), "dot": (of_users * item[batch["item"] - 1]).sum(1)}


def table(found):
    """Lines for people: one scorer per line, of {scorer: {metric: value, or (mean, spread)}}."""
    names = list(dict.fromkeys(name for values in found.values() for name in values))
    width = max(len(scorer) for scorer in found)
    lines = [" " * width + "".join(f"  {name:>15}" for name in names)]
    for scorer, values in found.items():
        lines.append(f"{scorer:{width}}" + "".join(f"  {_text(values.get(name)):>15}" for name in names))
    return lines


def comparison(found):
    """Lines for people, of what training.compare found."""
    lines = []
    for sampling, of_scorers in found["negatives"].items():
        lines += ["", f"{found['period']} rows of {found['judgement']['text']}, negatives {sampling}; mean and "
                      f"standard deviation of {len(found['seeds'])} seeds", *table(of_scorers)]
        lines += ["AUC of each purchase among its negatives, by length of history",
                  *table(found["by_history"][sampling])]
    if found["asked"]:
        lines += ["", "recommended lists at the cut; the known users are asked", *found["asked"]]
    for order, of_scorers in found["lists"].items():
        lines += ["", f"recommended lists, {order}", *table(of_scorers)]
    return lines


def _text(value):
    if value is None:
        return "-"
    if isinstance(value, (tuple, list)):
        return f"{value[0]:.4f} ±{value[1]:.4f}"
    return f"{value:.4f}"
