"""Who is asked, what would have been right, and the lists of the two baselines."""

from dataclasses import dataclass

import numpy as np


@dataclass
class NewItems:
    """Users with a past before `cut_s`, and what they took for the first time after it."""

    seen: dict  # user -> set of items before the cut
    relevant: dict  # user -> set of items after the cut and not in seen; never empty


def new_items(interactions, cut_s, end_s):
    seen, relevant = {}, {}
    for user, item in zip(*(side.tolist() for side in interactions.between(0, cut_s))):
        seen.setdefault(user, set()).add(item)
    for user, item in zip(*(side.tolist() for side in interactions.between(cut_s, end_s))):
        if user in seen and item not in seen[user]:
            relevant.setdefault(user, set()).add(item)
    return NewItems(seen, relevant)


def sample_users(truth, count, seed):
    """At most `count` of the users, drawn at random, in the order in which they stood."""
    users = list(truth.relevant)
    kept = np.sort(np.random.default_rng(seed).permutation(len(users))[:count])
    return NewItems(truth.seen, {users[at]: truth.relevant[users[at]] for at in kept})


def top_unseen(score_of_user, truth, k):
    """user -> its k best items by `score_of_user(user)` [items], those it has seen left out."""
    lists = {}
    for user in truth.relevant:
        scores = np.array(score_of_user(user), dtype=np.float64)
        scores[list(truth.seen[user])] = -np.inf
        best = np.argpartition(-scores, k)[:k]
        lists[user] = best[np.argsort(-scores[best], kind="stable")].tolist()
    return lists


def popularity(interactions, items, cut_s):
    """Interactions per item before the cut."""
    _, item = interactions.between(0, cut_s)
    return np.bincount(item, minlength=items)
