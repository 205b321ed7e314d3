"""The interaction log and the catalogue: reading, splitting by time, and dense indices."""

import csv
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from time import time_ns

import numpy as np

from trainer import catalogue, log_files, tables

DAY_S = 86_400
NEVER_S = np.iinfo(np.int64).max
_ID_BYTES_MAX = 256
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_AHEAD_MAX_US = DAY_S * 1_000_000  # the most that a server's ingest.event_ahead_max_s may be


@dataclass
class Log:
    """Interactions in time order."""

    time_s: np.ndarray  # int64, Unix seconds
    user: list  # ids
    item: list  # ids
    weight: np.ndarray = None  # int64, not 0; negative takes back. None: 1 each
    offset: np.ndarray = None  # int64, in a server's log; 0 where that is not known. None: 0 each
    # How many records of the files are not among them, by the reason.
    left_out: Counter = field(default_factory=Counter)
    moved: int = 0  # that stood behind later ones, and were put where they belong
    perhaps_twice: int = 0  # that have no event id, and look like one of another file

    def __post_init__(self):
        if self.weight is None:
            self.weight = np.ones(len(self.user), np.int64)
        if self.offset is None:
            self.offset = np.zeros(len(self.user), np.int64)

    def __len__(self):
        return len(self.user)

    def at(self, rows):
        """The interactions at these positions, which ascend."""
        return Log(self.time_s[rows], [self.user[row] for row in rows], [self.item[row] for row in rows],
                   self.weight[rows], self.offset[rows])


@dataclass
class Split:
    """The moments that divide a log. Everything from `cut_s` on is held out."""

    validation_s: int
    cut_s: int
    end_s: int  # of the last interaction


@dataclass
class Interactions:
    """A log over the dense indices of a snapshot; ids outside it are -1, -2, ... by appearance."""

    time_s: np.ndarray
    user: np.ndarray  # int32
    item: np.ndarray  # int32
    user_ids: list
    item_ids: list
    account: "Account"
    weight: np.ndarray  # int64, as in the log

    def taken(self, begin_s, end_s):
        """Which interactions in [begin_s, end_s) add to the graph and are not taken back in that time."""
        return ((self.time_s >= begin_s) & (self.time_s < end_s) & self.account.adds
                & (self.account.taken_back_s >= end_s))

    def between(self, begin_s, end_s):
        """(user, item) of those of `taken` whose ids are both known."""
        keep = self.taken(begin_s, end_s) & (self.user >= 0) & (self.item >= 0)
        return self.user[keep], self.item[keep]

    def weights(self, cut_s):
        """(user, item, weight) of what makes the graph just before `cut_s`, where both ids are known: the sums by
        pair are its counts."""
        keep = (self.time_s < cut_s) & ~self.account.refused & (self.user >= 0) & (self.item >= 0)
        return self.user[keep], self.item[keep], self.weight[keep]


@dataclass
class Account:
    """What became of each interaction of a log, by the rules of the server's fold."""

    adds: np.ndarray  # it is applied, with a weight above 0
    is_first: np.ndarray  # it adds, and the user did not have the item just before
    refused: np.ndarray  # it would have taken back more than there was, and is not applied
    taken_back_s: np.ndarray  # int64, when nothing of it was left; NEVER_S


def account_of(time_s, user, item, weight):
    """The Account of interactions in order; users and items are integers that tell them apart.

    What is taken back are the newest interactions of the user with the item first.
    """
    adds = weight > 0
    if adds.all():
        return Account(adds, _first_of_each(user, item), ~adds, np.full(len(time_s), NEVER_S))
    is_first = np.zeros(len(time_s), bool)
    refused = np.zeros(len(time_s), bool)
    taken_back_s = np.full(len(time_s), NEVER_S)
    standing = {}  # (user, item) -> [[interaction, what is left of its weight], ...]
    for at, (pair, change) in enumerate(zip(zip(user.tolist(), item.tolist()), weight.tolist())):
        stack = standing.setdefault(pair, [])
        if change > 0:
            is_first[at] = not stack
            stack.append([at, change])
        elif sum(left for _, left in stack) + change < 0:
            refused[at] = True
        else:
            for gone in _take_back(stack, -change):
                taken_back_s[gone] = time_s[at]
    return Account(adds, is_first, refused, taken_back_s)


def _first_of_each(user, item):
    """Whether each is the first of its pair."""
    items = item - item.min(initial=0)
    first = np.zeros(len(user), bool)
    pairs = user.astype(np.int64) * (items.max(initial=0) + 1) + items
    first[np.unique(pairs, return_index=True)[1]] = True
    return first


def _take_back(stack, weight):
    """Takes `weight` off the newest of the stack; the interactions of which nothing is left."""
    gone = []
    while weight > 0:
        taken = min(weight, stack[-1][1])
        stack[-1][1] -= taken
        weight -= taken
        if stack[-1][1] == 0:
            gone.append(stack.pop()[0])
    return gone


class EmptyLog(ValueError):
    """A log without an interaction."""


def read_log(paths, weights=log_files.EventWeights(), how=log_files.ReadBy()):
    """Reads the log of one file, or of several that are parts of one (log_files has their forms).

    The parts are merged by time. An interaction that is in two of them, by its event id, counts once, and
    one that weighs nothing is left out, as a server refuses it. EmptyLog where nothing is left.
    """
    paths = [paths] if isinstance(paths, (str, Path)) else list(paths)
    for path in paths:
        if paths.count(path) > 1:
            raise ValueError(f"{path} is there twice: name each file of the log once")
    left_out, records_of, moved, ids = Counter(), {}, 0, {}
    for path in paths:
        of_file = _servable(log_files.read(path, weights, how), left_out)
        moved += _late(of_file)
        records_of[path] = _not_there_yet(path, of_file, ids, left_out)
    records = [record for path in paths for record in records_of[path]]
    left_out["of weight 0"] = sum(record.weight == 0 for record in records)
    records = sorted((record for record in records if record.weight), key=lambda record: record.time_us)
    if not records:
        raise EmptyLog(f"{', '.join(map(str, paths))}: there is no interaction in it")
    numbers = lambda values: np.array(list(values), dtype=np.int64)
    return Log(numbers(record.time_us // 1_000_000 for record in records),
               [record.user for record in records], [record.item for record in records],
               numbers(record.weight for record in records), numbers(record.offset for record in records),
               +left_out, moved, _seen_twice(paths, records_of))


def _servable(records, left_out):
    """Without those that no server takes."""
    latest_us = (time_ns() // 1_000) + _AHEAD_MAX_US
    kept = []
    for record in records:
        if not all(_is_id(text) for text in (record.user, record.item)):
            left_out["with an id that no server takes (256 bytes of UTF-8 without control characters at most)"] += 1
        elif record.time_us > latest_us:
            left_out["with a time more than a day after this machine's clock"] += 1
        else:
            kept.append(record)
    return kept


def _is_id(text):
    return len(text.encode()) <= _ID_BYTES_MAX and not _CONTROL.search(text)


def _late(records):
    """How many records are earlier than one before them."""
    newest_us, late = 0, 0
    for record in records:
        late += record.time_us < newest_us
        newest_us = max(newest_us, record.time_us)
    return late


def _not_there_yet(path, records, ids, left_out):
    """The records whose event ids are not in `ids`, id -> (path, record), which gets them."""
    kept = []
    for record in records:
        there = ids.setdefault(record.event_id, (path, record))
        if there[1] is record:
            kept.append(record)
        elif _is_same(there[1], record):
            left_out["with an event id that was there before"] += 1
            there[1].offset = there[1].offset or record.offset
        else:
            raise ValueError(f'{path}:{record.line}: event_id is "{record.event_id}", which '
                             f"{there[0]}:{there[1].line} has for another interaction; each must have its own")
    return kept


def _is_same(one, other):
    """A server keeps microseconds; a file may have whole seconds."""
    return _what(one) == _what(other)


def graph_offset(log, cut_s):
    """(offset, warnings): the place in a server's log up to which a snapshot of everything before the cut
    holds it; and lines for people where it does not hold just that."""
    past = log.time_s < cut_s
    interactions, last = int(past.sum()), int(log.offset[past].max(initial=0))
    warnings = []
    if 0 < last < interactions:
        warnings.append(f"warning: there are {interactions} interactions before the cut, but the server's "
                        f"offsets end at {last} there: its log does not continue this snapshot, import it "
                        "into a new directory")
    behind = int((~past & (log.offset > 0) & (log.offset < last)).sum())
    if behind:
        warnings.append(f"warning: {behind} interactions of the held-out time came to the server before "
                        "others of the time before: a server that takes this snapshot over its own log will "
                        "not have them")
    return max(interactions, last), warnings


def _seen_twice(paths, records_of):
    """How many records without an event id are the same user, item and second as one of another file."""
    found = 0
    for path in paths:
        others = Counter(_what(record) for other in paths if other != path for record in records_of[other])
        found += sum(not record.has_own_id and _what(record) in others for record in records_of[path])
    return found


def _what(record):
    return record.user, record.item, record.time_us // 1_000_000


def described(log):
    """Lines for people: what reading the log left out or moved."""
    lines = [f"data: {count} records {reason} left out" for reason, count in log.left_out.items()]
    if log.moved:
        lines.append(f"data: {log.moved} records came after later ones: put in order of time")
    if log.perhaps_twice:
        lines.append(f"warning: {log.perhaps_twice} records without an event id are of the same user, item "
                     "and second as one of another file: where that is the same interaction it counts twice. "
                     "Give the files event ids, or cut one where the other begins")
    return lines


def write_log(path, log, keep=None):
    """Writes the interactions, or those at which `keep` is true, as read_log reads them."""
    with open(path, "w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")  # quotes ids with a comma
        writer.writerow(["timestamp", "user", "item", "weight"])
        for at in range(len(log)) if keep is None else np.flatnonzero(keep):
            writer.writerow([log.time_s[at], log.user[at], log.item[at], log.weight[at]])


# How an items file is read: as it is, or by the rules of the sample (catalogue.py), whose titles are in capitals and
# whose categories are read off them.
AS_THEY_ARE, OF_THE_SAMPLE = "as-they-are", "online-retail"
ITEMS_RULES = (AS_THEY_ARE, OF_THE_SAMPLE)
# The names in use for the columns of an items file, without case and separators, the best first.
_ITEM_COLUMNS = {
    "item": ("item", "itemid", "iid", "sku", "product", "productid", "movie", "movieid", "article", "articleid",
             "newsid", "asin", "isbn", "bookid", "stockcode", "trackid", "songid", "contentid", "gameid", "videoid", "id"),
    "title": ("title", "description", "name", "itemname", "productname", "itemtitle", "headline"),
    "category": ("category", "categoryname", "maincategory", "categories", "genre", "genres", "department",
                 "categoryid"),
}


def read_items(path, rule=AS_THEY_ARE):
    """Item id -> (title, category) of CSV or JSON lines; "" where it has none. ValueError, naming file and line, at
    the first record that is none, and at another title or category of an item that has one."""
    found, lines = {}, {}
    with log_files.open_text(path) as stream:
        for line, values in _items_of(path, stream):
            item, title, category = values
            if rule == OF_THE_SAMPLE:
                title = catalogue.clean_title(title)
                category = catalogue.category(title)
            if not item:
                raise ValueError(f'{path}:{line}: item is ""; it must not be empty')
            if found.setdefault(item, (title, category)) != (title, category):
                what = "title" if found[item][0] != title else "category"
                raise ValueError(f'{path}:{line}: item is "{item}", to which line {lines[item]} gives another '
                                 f"{what}; keep one of them")
            lines.setdefault(item, line)
    return found


def title_and_category(items, id_):
    """Of an item, by what read_items found; its id in the place of a title that it does not have."""
    title, category = items.get(id_, ("", ""))
    return title or id_, category


def _items_of(path, stream):
    """(line, [item, title, category]) of each record."""
    if log_files.is_json(path):
        for line, text in enumerate(stream, start=1):
            record, twice = log_files.json_record(text)
            if record is None:
                raise ValueError(f"{path}:{line}: it must be one JSON object")
            names = list(record)
            columns = _item_columns(path, names)
            for at in columns:
                if at is not None and names[at] in twice:
                    raise ValueError(f'{path}:{line}: the key "{names[at]}" is there more than once')
            yield line, [_item_text(record[names[at]]) if at is not None else "" for at in columns]
        return
    yield from tables.rows(path, stream, lambda header: _item_columns(path, header))


def _item_text(value):
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)


def _item_columns(path, header):
    """Positions of item, title and category; None for one that is not there."""
    plain = ["".join(c for c in name.split(":")[0].lower() if c.isalnum()) for name in header]
    found = [next((plain.index(name) for name in names if name in plain), None) for names in _ITEM_COLUMNS.values()]
    if found[0] is None:
        raise ValueError(f"{path}: no column is known to hold the item; the columns are {', '.join(header) or 'none'}: "
                         "call it item")
    if found[1] is None and found[2] is None:
        raise ValueError(f"{path}: no column is known to hold a title or a category; the columns are "
                         f"{', '.join(header)}: call them title and category")
    return found


def split(log, of_data):
    """Split of the log by the table [data] of a configuration."""
    if "heldout_from" not in of_data:
        return split_by_time(log, of_data["heldout_days"], of_data["validation_days"])
    time_us = log_files.parse_time_us(str(of_data["heldout_from"]))
    if time_us is None:
        raise ValueError(f"[data]: heldout_from is {of_data['heldout_from']!r}; it must be a date such as 2011-11-11, or "
                         "RFC 3339")
    return split_at(log, time_us // 1_000_000, of_data["validation_days"])


def split_by_time(log, heldout_days, validation_days):
    """The last `heldout_days` of the log are held out; the `validation_days` before are for choices."""
    begin_s, end_s = int(log.time_s[0]), int(log.time_s[-1])
    cut_s = int(end_s - heldout_days * DAY_S)
    validation_s = int(cut_s - validation_days * DAY_S)
    if validation_s <= begin_s:
        raise ValueError(
            f"nothing to train on is before the validation period: the log spans {(end_s - begin_s) / DAY_S:.1f} days; "
            f"data.heldout_days ({heldout_days}) and data.validation_days ({validation_days}) must be less together")
    return Split(validation_s=validation_s, cut_s=cut_s, end_s=end_s)


def split_at(log, cut_s, validation_days):
    """Everything from `cut_s` on is held out."""
    begin_s, end_s = int(log.time_s[0]), int(log.time_s[-1])
    validation_s = int(cut_s - validation_days * DAY_S)
    if not begin_s < validation_s < cut_s <= end_s:
        raise ValueError(
            f"the log goes from {_utc(begin_s)} to {_utc(end_s)}: data.heldout_from ({_utc(cut_s)}) must be within, and "
            f"data.validation_days ({validation_days}) before it behind the log's beginning")
    return Split(validation_s=validation_s, cut_s=cut_s, end_s=end_s)


def _utc(time_s):
    return datetime.fromtimestamp(time_s, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def index_interactions(log, cut_s):
    """Indices for the users and items with an interaction before `cut_s`, in order of appearance."""
    known = int(np.searchsorted(log.time_s, cut_s, side="left"))
    user_ids = list(dict.fromkeys(log.user[:known]))
    item_ids = list(dict.fromkeys(log.item[:known]))
    user, item = _indices(log.user, user_ids), _indices(log.item, item_ids)
    return Interactions(log.time_s, user, item, user_ids, item_ids,
                        account_of(log.time_s, user, item, log.weight), log.weight)


def _indices(ids, known):
    index = {id_: position for position, id_ in enumerate(known)}
    outside = {}
    return np.array([index[id_] if id_ in index else outside.setdefault(id_, -1 - len(outside))
                     for id_ in ids], dtype=np.int32)
