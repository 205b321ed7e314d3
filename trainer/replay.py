"""Training rows and the micro graph, made by the server's own code (`groundswell-server replay`)."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainer import data, safetensors, snapshot
from trainer.evaluation import Judgement

FEATURES = ("user", "item", "u1", "u2", "i1", "i2", "urec", "irec")
TIMES = ("urec_time_us", "ufirst_time_us", "unow_us")  # of the user, besides; int64
_OF_USER = ("u1", "u2", "urec", *TIMES)
# Of negatives, by number less 1.
SOURCES = ("uniform", "popular", "session", "retrieval", "candidates")
CANDIDATE_SOURCES = ("embedding", "next_items", "random_walk", "trending", "macro_node", "similar_items")
CANDIDATE_DRAWS = ("stratified", "uniform")
_FORMAT = {"format": "groundswell-rows", "version": "1"}


@dataclass
class Candidates:
    """How negatives are drawn from what a server's sources would have proposed."""

    sources: tuple = CANDIDATE_SOURCES[:-1]  # that are asked: those that a server asks by default
    draw: str = "stratified"  # as many from each source, in turn; or "uniform", from all of them

    def arguments(self):
        return ["--candidate-sources", ",".join(self.sources), "--candidate-draw", self.draw]


@dataclass
class Rows:
    """Rows of positives and their negatives, with the features as they were just before the event.

    A row is an item of an event: row r is item r % C of event r // C, item 0 the positive.
    """

    columns: dict  # as replay wrote them: user features by event, item features by event and item
    index: np.ndarray  # the rows to use
    basket_event: np.ndarray  # for each of them, the first event of its basket: same user, same time
    label: np.ndarray  # of the rows to use, 1 for a positive
    user: np.ndarray  # whose row it is, also where the snapshot does not know the user
    time_s: np.ndarray  # of the event
    taken_back_s: np.ndarray = None  # when nothing was left of the event; data.NEVER_S. None: all never
    judgement: Judgement = None

    def __post_init__(self):
        if self.taken_back_s is None:
            self.taken_back_s = np.full(len(self.index), data.NEVER_S)

    def __len__(self):
        return len(self.index)

    def where(self, keep):
        """The rows at which `keep` is true."""
        return Rows(self.columns, self.index[keep], self.basket_event[keep], self.label[keep],
                    self.user[keep], self.time_s[keep], self.taken_back_s[keep], self.judgement)

    def standing(self, moment_s):
        """The rows of events of which something is left at that moment: what was taken back by then is
        no positive, and counted."""
        gone = self.taken_back_s < moment_s
        rows = self.where(~gone)
        rows.judgement = self.judgement.without("taken_back", int(self.label[gone].sum()))
        return rows

    def sources(self):
        """Where each item comes from: 0 for a positive, else 1 + its position in SOURCES."""
        return self._of_items("source")[self.index]

    def items(self):
        """Their rows of the table of items."""
        return self._of_items("item")[self.index]

    def batch(self, chosen, from_basket_start=None):
        """Features of the rows at the positions `chosen`.

        Where `from_basket_start` is true the row shows the user as before the first line of the
        basket, as a request between two visits does, and not as in the middle of it.
        """
        rows = self.index[chosen]
        events = rows // self.columns["item"].shape[1]
        user_events = events
        if from_basket_start is not None:
            user_events = np.where(from_basket_start, self.basket_event[chosen], events)
        found = {"user": self.columns["user"][events]}
        found.update({name: self.columns[name][user_events] for name in _OF_USER if name in self.columns})
        found.update({name: self._of_items(name)[rows] for name in ("item", "i1", "i2", "irec")})
        return found

    def _of_items(self, name):
        column = self.columns[name]
        return column.reshape(-1, *column.shape[2:])


def read_columns(path):
    """The columns of a file of rows, as replay wrote it; refuses one of another version."""
    columns, metadata = safetensors.read(path)
    found = {name: metadata.get(name) for name in _FORMAT}
    if found != _FORMAT:
        raise ValueError(f"{path} is of the format {found['format']}, version {found['version']}; this trainer "
                         f"reads {_FORMAT['format']}, version {_FORMAT['version']}: write it with "
                         "groundswell-server replay --rows-out of the same release")
    return columns


class Replay:
    """One log and one draft snapshot, replayed several times."""

    def __init__(self, server, snapshot_directory, events, work):
        self.command = [str(server), "replay", "--snapshot", str(snapshot_directory)]
        self.events, self.work = events, Path(work)
        known = set(snapshot.read_item_ids(snapshot_directory))
        self._is_known = np.array([id_ in known for id_ in events.item])
        self._account = data.account_of(events.time_s, _codes(events.user), _codes(events.item),
                                        events.weight)

    def graph(self, cut_s, path):
        """Writes the micro graph of everything before `cut_s`."""
        self._run("events-before-cut.csv", self._is_known & (self.events.time_s < cut_s),
                  ["--graph-out", str(path)])

    def rows(self, from_s, until_s, negatives, history_len, recent_len, seed, creates_items=False,
             features_at_s=None, share=1.0, candidates=Candidates()):
        """What users take in [from_s, until_s) and do not have: repeats are not what the server is asked
        for. With `creates_items` also items that the snapshot does not know, else there are no rows of
        these.

        `negatives` says how many of each of SOURCES an event gets; those not named, none. With
        `features_at_s` all features are those of that moment. `share`: of the events, drawn by the seed.
        `candidates`: how those of the source "candidates" are drawn.
        """
        unknown = set(negatives) - set(SOURCES)
        if unknown:
            raise ValueError(f"negatives of unknown source {', '.join(sorted(unknown))}; there are "
                             f"{', '.join(SOURCES)}")
        path = self.work / "rows.safetensors"
        replayed = self._is_known | creates_items
        self._run("events.csv", replayed, [
            "--rows-out", str(path), "--rows-from", str(from_s), "--rows-until", str(until_s),
            *(part for source in SOURCES
              for part in (f"--{source}-negatives", str(negatives.get(source, 0)))),
            *(candidates.arguments() if negatives.get("candidates") else []),
            "--history-len", str(history_len), "--recent-len", str(recent_len),
            *(["--create-items"] if creates_items else []),
            *(["--features-at", str(features_at_s)] if features_at_s is not None else []),
            "--sample-rate", str(share), "--seed", str(seed)])
        columns = read_columns(path)
        path.unlink()  # the mapping keeps the data until the rows are dropped
        return self._select(columns, np.flatnonzero(replayed), self._period(from_s, until_s))

    def _run(self, name, keep, arguments):
        path = self.work / name
        data.write_log(path, self.events, keep)
        subprocess.run([*self.command, "--events", str(path), *arguments], check=True)

    def _period(self, from_s, until_s):
        return (self.events.time_s >= from_s) & (self.events.time_s < until_s)

    def _select(self, columns, replayed, period):
        position = replayed[columns["event"] - 1]  # in the log
        user = _codes(self.events.user)
        # An invoice is one decision: its lines share user and time.
        basket = (user * (self.events.time_s.max() + 1) + self.events.time_s)[position]
        _, first_of_basket, which = np.unique(basket, return_index=True, return_inverse=True)
        basket_event = first_of_basket[which]
        sources = columns["source"]
        # -1: nothing was left that the user has not.
        keep = np.flatnonzero((self._account.is_first[position][:, None] & (sources >= 0)).ravel())
        events = keep // sources.shape[1]
        return Rows(columns, keep, basket_event[events], (sources.ravel()[keep] == 0).astype(np.int32),
                    user[position[events]], self.events.time_s[position[events]],
                    self._account.taken_back_s[position[events]], self._judgement(period, replayed, position))

    def _judgement(self, period, replayed, position):
        """Of `period`, which of the events have rows: `position` are those that the server made rows of."""
        was_replayed, has_rows = np.zeros(len(period), bool), np.zeros(len(period), bool)
        was_replayed[replayed], has_rows[position] = True, True
        account, found = self._account, Judgement(int(period.sum()), {})
        for reason, of_events in (
                ("below_zero", account.refused),
                ("take_back", ~account.adds & ~account.refused),
                ("new_item", account.adds & ~was_replayed),
                ("repeat", account.adds & was_replayed & ~account.is_first),
                ("not_drawn", account.is_first & was_replayed & ~has_rows)):
            found = found.without(reason, int((period & of_events).sum()))
        return found


def _codes(ids):
    order = {id_: code for code, id_ in enumerate(dict.fromkeys(ids))}
    return np.array([order[id_] for id_ in ids], dtype=np.int64)
