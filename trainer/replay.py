"""Training rows and the micro graph, made by the server's own code (`groundswell-server replay`)."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainer import data, safetensors

FEATURES = ("user", "item", "u1", "u2", "i1", "i2", "urec", "irec")
_OF_USER = ("u1", "u2", "urec")
SOURCES = ("uniform", "popular", "session", "retrieval")  # of negatives, by number less 1


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

    def __len__(self):
        return len(self.index)

    def where(self, keep):
        """The rows at which `keep` is true."""
        return Rows(self.columns, self.index[keep], self.basket_event[keep], self.label[keep],
                    self.user[keep], self.time_s[keep])

    def sources(self):
        """Where each item comes from: 0 for a positive, else 1 + its position in SOURCES."""
        return self._of_items("source")[self.index]

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
        found.update({name: self.columns[name][user_events] for name in _OF_USER})
        found.update({name: self._of_items(name)[rows] for name in ("item", "i1", "i2", "irec")})
        return found

    def _of_items(self, name):
        column = self.columns[name]
        return column.reshape(-1, *column.shape[2:])


class Replay:
    """One log (only items of the snapshot) and one draft snapshot, replayed several times."""

    def __init__(self, server, snapshot_directory, events, work):
        self.command = [str(server), "replay", "--snapshot", str(snapshot_directory)]
        self.events, self.work = events, Path(work)

    def graph(self, cut_s, path):
        """Writes the micro graph of everything before `cut_s`."""
        self._run("events-before-cut.csv", self.events.time_s < cut_s, ["--graph-out", str(path)])

    def rows(self, from_s, until_s, negatives, history_len, recent_len, seed, creates_items=False,
             features_at_s=None, share=1.0):
        """First purchases in [from_s, until_s): repeats are not what the server is asked for.

        `negatives` says how many of each of SOURCES an event gets; those not named, none. With
        `features_at_s` all features are those of that moment. `share`: of the events, drawn by the seed.
        """
        unknown = set(negatives) - set(SOURCES)
        if unknown:
            raise ValueError(f"negatives of unknown source {', '.join(sorted(unknown))}; there are "
                             f"{', '.join(SOURCES)}")
        path = self.work / "rows.safetensors"
        self._run("events.csv", np.ones(len(self.events), bool), [
            "--rows-out", str(path), "--rows-from", str(from_s), "--rows-until", str(until_s),
            *(part for source in SOURCES
              for part in (f"--{source}-negatives", str(negatives.get(source, 0)))),
            "--history-len", str(history_len), "--recent-len", str(recent_len),
            *(["--create-items"] if creates_items else []),
            *(["--features-at", str(features_at_s)] if features_at_s is not None else []),
            "--sample-rate", str(share), "--seed", str(seed)])
        columns, _ = safetensors.read(path)
        path.unlink()  # the mapping keeps the data until the rows are dropped
        return self._select(columns)

    def _run(self, name, keep, arguments):
        path = self.work / name
        data.write_log(path, self.events, keep)
        subprocess.run([*self.command, "--events", str(path), *arguments], check=True)

    def _select(self, columns):
        position = columns["event"] - 1  # in the log
        user, item = _codes(self.events.user), _codes(self.events.item)
        first_time = np.zeros(len(user), bool)
        first_time[np.unique(user * (item.max() + 1) + item, return_index=True)[1]] = True
        # An invoice is one decision: its lines share user and time.
        basket = (user * (self.events.time_s.max() + 1) + self.events.time_s)[position]
        _, first_of_basket, which = np.unique(basket, return_index=True, return_inverse=True)
        basket_event = first_of_basket[which]
        sources = columns["source"]
        # -1: nothing was left that the user has not.
        keep = np.flatnonzero((first_time[position][:, None] & (sources >= 0)).ravel())
        events = keep // sources.shape[1]
        return Rows(columns, keep, basket_event[events], (sources.ravel()[keep] == 0).astype(np.int32),
                    user[position[events]], self.events.time_s[position[events]])


def _codes(ids):
    order = {id_: code for code, id_ in enumerate(dict.fromkeys(ids))}
    return np.array([order[id_] for id_ in ids], dtype=np.int64)
