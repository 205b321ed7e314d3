"""The interaction log and the catalogue: reading, splitting by time, and dense indices."""

import csv
import io
import subprocess
from dataclasses import dataclass

import numpy as np

from trainer import catalogue

DAY_S = 86_400


@dataclass
class Log:
    """Interactions in time order, as they stand in the file."""

    time_s: np.ndarray  # int64, Unix seconds
    user: list  # ids
    item: list  # ids

    def __len__(self):
        return len(self.user)


@dataclass
class Split:
    """The moments that divide a log. Everything from `cut_s` on is held out."""

    validation_s: int
    cut_s: int
    end_s: int  # of the last interaction


@dataclass
class Interactions:
    """A log over the dense indices of a snapshot; -1 stands for an id outside it."""

    time_s: np.ndarray
    user: np.ndarray  # int32
    item: np.ndarray  # int32
    user_ids: list
    item_ids: list

    def known_items(self, log):
        """The log without interactions on items outside the snapshot, which the server refuses."""
        keep = np.flatnonzero(self.item >= 0)
        return Log(log.time_s[keep], [log.user[i] for i in keep], [log.item[i] for i in keep])

    def between(self, begin_s, end_s):
        """(user, item) of the interactions in [begin_s, end_s) whose ids are both known."""
        keep = (self.time_s >= begin_s) & (self.time_s < end_s) & (self.user >= 0) & (self.item >= 0)
        return self.user[keep], self.item[keep]


def open_text(path):
    """A text stream of a file; one that ends in .zst is decompressed by the `zstd` program."""
    if not str(path).endswith(".zst"):
        return open(path, encoding="utf-8-sig", newline="")
    bytes_ = subprocess.run(["zstd", "-dc", str(path)], check=True, stdout=subprocess.PIPE).stdout
    return io.StringIO(bytes_.decode("utf-8-sig"), newline="")


def read_log(path):
    """Reads a CSV with the columns timestamp (Unix seconds), user and item, in time order; parts of a
    second are left out."""
    with open_text(path) as stream:
        rows = csv.DictReader(stream)
        missing = {"timestamp", "user", "item"} - set(rows.fieldnames or ())
        if missing:
            raise ValueError(f"{path}: the header lacks {', '.join(sorted(missing))}")
        events = [(int(row["timestamp"].partition(".")[0]), row["user"], row["item"]) for row in rows]
    time_s = np.array([event[0] for event in events], dtype=np.int64)
    backward = np.flatnonzero(np.diff(time_s) < 0)
    if len(backward):
        raise ValueError(f"{path}: row {backward[0] + 3} is earlier than the row before; sort by time")
    return Log(time_s, [event[1] for event in events], [event[2] for event in events])


def write_log(path, log, keep=None):
    """Writes the interactions, or those at which `keep` is true, as read_log reads them."""
    with open(path, "w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")  # quotes ids with a comma
        writer.writerow(["timestamp", "user", "item"])
        for at in range(len(log)) if keep is None else np.flatnonzero(keep):
            writer.writerow([log.time_s[at], log.user[at], log.item[at]])


def read_titles(path):
    """Item id -> cleaned title, from a CSV with the columns item and description."""
    with open_text(path) as stream:
        return {row["item"]: catalogue.clean_title(row["description"]) for row in csv.DictReader(stream)}


def split_by_time(log, heldout_days, validation_days):
    """The last `heldout_days` of the log are held out; the `validation_days` before are for choices."""
    end_s = int(log.time_s[-1])
    cut_s = int(end_s - heldout_days * DAY_S)
    return Split(validation_s=int(cut_s - validation_days * DAY_S), cut_s=cut_s, end_s=end_s)


def index_interactions(log, cut_s):
    """Indices for the users and items with an interaction before `cut_s`, in order of appearance."""
    known = int(np.searchsorted(log.time_s, cut_s, side="left"))
    user_ids = list(dict.fromkeys(log.user[:known]))
    item_ids = list(dict.fromkeys(log.item[:known]))
    user_index = {id_: index for index, id_ in enumerate(user_ids)}
    item_index = {id_: index for index, id_ in enumerate(item_ids)}
    return Interactions(
        time_s=log.time_s,
        user=np.array([user_index.get(id_, -1) for id_ in log.user], dtype=np.int32),
        item=np.array([item_index.get(id_, -1) for id_ in log.item], dtype=np.int32),
        user_ids=user_ids,
        item_ids=item_ids,
    )
