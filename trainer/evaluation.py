"""Who is asked, what would have been right, and the lists of the two baselines."""

import dataclasses
from dataclasses import dataclass

import numpy as np


# Why an event is not judged.
REASONS = {"below_zero": "take back more than there was", "take_back": "take back",
           "new_item": "on items outside the snapshot", "repeat": "on items that the user had",
           "not_drawn": "not drawn (measured_share)", "taken_back": "taken back later"}


@dataclass
class Judgement:
    """How many events of a period are judged, and why the others are not."""

    events: int  # of the period
    left_out: dict  # key of REASONS -> events; a reason without events is not there

    @property
    def judged(self):
        return self.events - sum(self.left_out.values())

    def without(self, reason, events):
        """Likewise, when so many more are not judged."""
        both = {**self.left_out, reason: self.left_out.get(reason, 0) + events}
        return Judgement(self.events, {name: count for name, count in both.items() if count})

    def metrics(self, prefix):
        """For the metrics of a manifest."""
        return {f"{prefix}.events": self.events, f"{prefix}.judged": self.judged,
                **{f"{prefix}.left_out.{reason}": count for reason, count in self.left_out.items()}}

    def fields(self):
        """For programs."""
        return {"judged": self.judged, "events": self.events, "left_out": self.left_out, "text": str(self)}

    def __str__(self):
        reasons = ", ".join(f"{count} {REASONS[reason]}" for reason, count in self.left_out.items())
        return f"{self.judged} of {self.events} events" + (f" (left out: {reasons})" if reasons else "")


@dataclass
class NewItems:
    """Users with a past before `cut_s`, and what they took for the first time after it."""

    seen: dict  # user -> set of items before the cut
    relevant: dict  # user -> set of items after the cut and not in seen; never empty
    everything: dict  # likewise, of all users and items: those outside the snapshot below 0
    judgement: Judgement  # of the interactions after the cut; those that are judged ask for something new

    @property
    def misses(self):
        """Pairs of a user and an item of which one was not there at the cut, or had no past."""
        return sum(map(len, self.everything.values())) - sum(map(len, self.relevant.values()))


def new_items(interactions, cut_s, end_s):
    seen, relevant, everything = {}, {}, {}
    for user, item in zip(*(side.tolist() for side in interactions.between(0, cut_s))):
        seen.setdefault(user, set()).add(item)
    taken = interactions.taken(cut_s, end_s)
    repeats = 0
    for user, item in zip(interactions.user[taken].tolist(), interactions.item[taken].tolist()):
        if item in seen.get(user, ()) or item in everything.get(user, ()):
            repeats += 1
            continue
        everything.setdefault(user, set()).add(item)
        if user in seen and item >= 0:
            relevant.setdefault(user, set()).add(item)
    period = (interactions.time_s >= cut_s) & (interactions.time_s < end_s)
    adds = interactions.account.adds
    judgement = (Judgement(int(period.sum()), {}).without("repeat", repeats)
                 .without("take_back", int((period & ~adds).sum()))
                 .without("taken_back", int((period & adds & ~taken).sum())))
    return NewItems(seen, relevant, everything, judgement)


def sample_users(truth, count, seed):
    """At most `count` of the users, drawn at random, in the order in which they stood."""
    users = list(truth.relevant)
    kept = np.sort(np.random.default_rng(seed).permutation(len(users))[:count])
    return dataclasses.replace(truth, relevant={users[at]: truth.relevant[users[at]] for at in kept})


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
