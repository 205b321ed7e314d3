"""Training rows and the micro graph, made by the server's own code (`groundswell-server replay`)."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainer import safetensors

FEATURES = ("user", "item", "u1", "u2", "i1", "i2", "urec", "irec")
_OF_USER = ("u1", "u2", "urec")


@dataclass
class Rows:
    """Rows of positives and their negatives, with the features as they were just before the event."""

    columns: dict  # of FEATURES; every row that replay wrote
    index: np.ndarray  # the rows to use, positions in `columns`
    basket_index: np.ndarray  # for each of them, the first row of its basket: same user, same time
    label: np.ndarray  # of the rows to use, 1 for a positive
    user: np.ndarray  # whose row it is, also where the snapshot does not know the user

    def __len__(self):
        return len(self.index)

    def batch(self, chosen, from_basket_start=None):
        """Features of the rows at the positions `chosen`.

        Where `from_basket_start` is true the row shows the user as before the first line of the
        basket, as a request between two visits does, and not as in the middle of it.
        """
        rows = self.index[chosen]
        user_rows = rows
        if from_basket_start is not None:
            user_rows = np.where(from_basket_start, self.basket_index[chosen], rows)
        return {name: self.columns[name][user_rows if name in _OF_USER else rows]
                for name in FEATURES}


class Replay:
    """One log (only items of the snapshot) and one draft snapshot, replayed several times."""

    def __init__(self, server, snapshot_directory, events, work):
        self.command = [str(server), "replay", "--snapshot", str(snapshot_directory)]
        self.events, self.work = events, Path(work)

    def graph(self, cut_s, path):
        """Writes the micro graph of everything before `cut_s`."""
        self._run("events-before-cut.csv", self.events.time_s < cut_s, ["--graph-out", str(path)])

    def rows(self, from_s, until_s, negatives, popular_share, recent_len, seed):
        """First purchases in [from_s, until_s): repeats are not what the server is asked for."""
        path = self.work / "rows.safetensors"
        self._run("events.csv", np.ones(len(self.events), bool), [
            "--rows-out", str(path), "--rows-from", str(from_s), "--rows-until", str(until_s),
            "--negatives", str(negatives), "--popular-negatives", str(popular_share),
            "--recent-len", str(recent_len), "--seed", str(seed)])
        columns, _ = safetensors.read(path)
        path.unlink()  # the mapping keeps the data until the rows are dropped
        return self._select(columns)

    def _run(self, name, keep, arguments):
        path = self.work / name
        with open(path, "w", encoding="utf-8") as stream:
            stream.write("timestamp,user,item\n")
            for position in np.flatnonzero(keep):
                stream.write(f"{self.events.time_s[position]},{self.events.user[position]},"
                             f"{self.events.item[position]}\n")
        subprocess.run([*self.command, "--events", str(path), *arguments], check=True)

    def _select(self, columns):
        offset = columns["event"] - 1  # position in the log
        user, item = _codes(self.events.user), _codes(self.events.item)
        first_time = np.zeros(len(user), bool)
        first_time[np.unique(user * (item.max() + 1) + item, return_index=True)[1]] = True
        # An invoice is one decision: its lines share user and time.
        basket = user * (self.events.time_s.max() + 1) + self.events.time_s
        _, basket_row = np.unique(basket[offset], return_index=True)
        basket_start = basket_row[np.unique(basket[offset], return_inverse=True)[1]]
        keep = np.flatnonzero(first_time[offset])
        return Rows({name: columns[name] for name in FEATURES}, keep, basket_start[keep],
                    columns["label"][keep], user[offset[keep]])


def _codes(ids):
    order = {id_: code for code, id_ in enumerate(dict.fromkeys(ids))}
    return np.array([order[id_] for id_ in ids], dtype=np.int64)
