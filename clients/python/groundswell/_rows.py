"""Interactions out of what people have: tables of pandas, polars and Arrow, mappings, messages.

None of these libraries is imported: a table is known by its methods.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime, timezone
from typing import Any

from groundswell import v1

_CHUNK_ROWS = 4_096
_IDS_KEPT = 1_000_000
# Below which number a time is in which unit, and how many microseconds that has.
_UNITS = ((1e11, 1e6), (1e14, 1e3), (1e17, 1.0), (1e20, 1e-3))
_LATEST_US = 253_402_300_799 * 10**6  # the end of the year 9999
_NUMBER = re.compile(r"(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_ISO = re.compile(
    r"(\d{4})([-/])(\d\d)\2(\d\d)"
    r"(?:[Tt ](\d\d):(\d\d)(?::(\d\d))?(?:[.,](\d+))?(?: ?(?:UTC|GMT|[Zz]|([+-])(\d\d)(?::?(\d\d))?))?)?", re.ASCII)

# A year, and then twos of digits as long as there are any.
_BASIC_FORM = re.compile(
    r"((?:19[7-9]|20\d)\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(\d{3})?)?)?)?)?)?(?:\.\d*)?", re.ASCII)


class BadRow(ValueError):
    """A row that is no interaction; `row` counts from 1."""

    def __init__(self, row: int, what: str) -> None:
        super().__init__(f"row {row}: {what}")
        self.row = row


@dataclass(frozen=True)
class Columns:
    """Which column holds what. What is not named is looked for under the names in use for it, such as
    `user_id`, `customer_id`, `sku`, `timestamp`, `event`; case, blanks and underscores do not matter."""

    user: str | None = None
    item: str | None = None
    time: str | None = None
    type: str | None = None
    weight: str | None = None
    event_id: str | None = None


# As the command line knows them, the best first.
_NAMES: Mapping[str, tuple[str, ...]] = {
    "user": ("user", "userid", "uid", "customer", "customerid", "visitor", "visitorid", "reviewerid", "client",
             "clientid", "accountid", "memberid", "buyerid", "sessionid", "session", "anonymousid"),
    "item": ("item", "itemid", "iid", "sku", "product", "productid", "movie", "movieid", "article", "articleid",
             "newsid", "asin", "isbn", "bookid", "stockcode", "trackid", "songid", "contentid", "videoid"),
    "time": ("timestamp", "ts", "time", "eventtime", "datetime", "unixtimestamp", "eventtimestamp", "createdat",
             "created", "occurredat", "date", "invoicedate", "orderdate", "purchasedate"),
    "type": ("type", "event", "eventtype", "eventname", "action", "actiontype", "behavior", "behaviortype",
             "behaviour", "interactiontype", "interaction"),
    "weight": ("weight",),
    "event_id": ("eventid",),
}


def _plain(column: str) -> str:
    return re.sub("[^a-z0-9]", "", column.partition(":")[0].lower())


def _found(columns: Sequence[str], named: Columns, default_type: str | None) -> dict[str, str]:
    """By field the name of its column; ValueError when one is not to be found."""
    found: dict[str, str] = {}
    taken = {getattr(named, field.name) for field in fields(named)}
    for field, names in _NAMES.items():
        name: str | None = getattr(named, field)
        if name is not None:
            if name not in columns:
                raise ValueError(f'there is no column "{name}" for the {field}; the columns are {list(columns)}')
            found[field] = name
            continue
        ranked = {_plain(column): column for column in reversed(columns) if column not in taken}
        at = next((known for known in names if known in ranked), None)
        if at is not None:
            found[field] = ranked[at]
        elif field in ("user", "item", "time") or (field == "type" and default_type is None):
            hint = ", or give event_type" if field == "type" else ""
            raise ValueError(f"no column is known to hold the {field}; the columns are {list(columns)}: name it "
                             f'with Columns({field}="..."){hint}')
    return found


def _missing(value: Any) -> bool:
    """None, and what tables write for nothing: NaN, NaT, pandas' NA."""
    return value is None or type(value).__name__ == "NAType" or bool(value != value)


def _id(value: Any, field: str, row: int) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if hasattr(value, "item") and isinstance(value.item(), int):  # a scalar of numpy
        return str(value.item())
    hint = ("; pandas reads integers so in a column with gaps: read_csv(dtype=str) keeps them, and so does "
            'astype("Int64")') if isinstance(value, float) else ""
    raise BadRow(row, f"the {field} is {value!r}: it must be a string or an integer{hint}")


def _days(day: date) -> int:
    return day.toordinal() - date(1970, 1, 1).toordinal()


def _of_number(value: float) -> int | None:
    """Microseconds of seconds, milli-, micro- or nanoseconds by their size; None where it is no time."""
    unit_us = next((us for below, us in _UNITS if 0 <= value < below), None)
    if unit_us is None:
        return None
    exact = value * unit_us
    whole = math.floor(exact)
    return whole + (exact - whole >= 0.5)


def _of_text(text: str) -> int | None:
    """As the command line reads it; None where that does not."""
    if _NUMBER.fullmatch(text):
        us = _of_number(float(text))
    else:
        us = _of_iso(text)
    return us if us is not None and 0 <= us <= _LATEST_US else None


def _of_iso(text: str) -> int | None:
    parts = _ISO.fullmatch(text)
    if parts is None:
        return None
    year, _, month, day, *clock = parts.groups()
    hour, minute, second = (int(part or 0) for part in clock[:3])
    decimals, sign = clock[3] or "", clock[4]
    zone_hour, zone_minute = (int(part or 0) for part in clock[5:])
    if hour > 23 or minute > 59 or second > 60 or zone_hour > 23 or zone_minute > 59:  # 60: a leap second
        return None
    try:
        days = _days(date(int(year), int(month), int(day)))
    except ValueError:
        return None
    zone = (zone_hour * 60 + zone_minute) * (-1 if sign == "-" else 1)
    seconds = (days * 1_440 + hour * 60 + minute - zone) * 60 + second
    return seconds * 1_000_000 + int(decimals[:6].ljust(6, "0"))


def _extended_form(value: Any) -> str | None:
    """2021-02-13T10:30:00 of 202102131030: what to write instead of a date without separators, which would be taken
    for a number of another time."""
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    parts = _BASIC_FORM.fullmatch(str(value).strip()) if isinstance(value, (int, str)) else None
    if parts is None:
        return None
    year, month, day, hour, minute, second, thousandths = (
        int(part or least) for part, least in zip(parts.groups(), (0, 1, 1, 0, 0, 0, 0)))
    try:
        return datetime(year, month, day, hour, minute, second, thousandths * 1_000).isoformat()
    except ValueError:
        return None


def _microseconds(value: Any, row: int) -> int:
    """Since 1970. Numbers and text are read as the command line does, so that an interaction has the same id
    by both; times without a zone are UTC."""
    value = value.item() if hasattr(value, "item") else value  # a scalar of numpy
    us = None
    if isinstance(value, str):
        us = _of_text(value.strip())
    elif isinstance(value, datetime):
        if value.tzinfo is not None:
            value = value.astimezone(timezone.utc)
        seconds = (value.hour * 60 + value.minute) * 60 + value.second
        us = _days(value) * 86_400_000_000 + int(seconds * 1_000_000 + value.microsecond)
    elif isinstance(value, date):
        us = _days(value) * 86_400_000_000
    elif isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 10**20:
        us = _of_number(float(value))
    if us is None:
        raise BadRow(row, f"the time is {value!r}: it must be a number since 1970, such as 1322000000, ISO 8601, "
                          "such as 2011-11-22T22:13:20Z or 2011-11-22, or a datetime")
    return us


def _arrow_columns(batch: Any) -> dict[str, list[Any]]:
    """A RecordBatch as lists. Times of nanoseconds become numbers, since Python has none of them."""
    columns = {}
    for name, column in zip(batch.schema.names, batch.columns):
        if str(column.type).startswith("timestamp[ns"):
            column = column.cast("int64").to_pylist()
            columns[name] = [None if ns is None else datetime.fromtimestamp(ns // 10**9, timezone.utc).replace(
                microsecond=ns % 10**9 // 1_000) for ns in column]
        elif str(column.type).startswith("dictionary"):
            columns[name] = column.dictionary_decode().to_pylist()
        else:
            columns[name] = column.to_pylist()
    return columns


def _chunks(source: Any) -> Iterator[Mapping[str, Sequence[Any]]] | None:
    """The table's columns, some rows at a time; None where `source` is no table."""
    if hasattr(source, "collect") and hasattr(source, "collect_schema"):  # polars' LazyFrame
        return _chunks(source.collect())
    if hasattr(source, "iter_slices"):  # polars
        return ({name: part.get_column(name).to_list() for name in part.columns}
                for part in source.iter_slices(_CHUNK_ROWS))
    if hasattr(source, "iloc") and hasattr(source, "columns"):  # pandas
        return ({str(name): part[name].tolist() for name in part.columns}
                for part in (source.iloc[at:at + _CHUNK_ROWS] for at in range(0, len(source), _CHUNK_ROWS)))
    if hasattr(source, "read_next_batch"):  # Arrow's RecordBatchReader
        return (_arrow_columns(batch) for batch in source)
    if hasattr(source, "to_batches"):  # Arrow's Table, Dataset
        return (_arrow_columns(batch) for batch in source.to_batches())
    if hasattr(source, "schema") and hasattr(source, "to_pylist"):  # Arrow's RecordBatch
        return iter([_arrow_columns(source)])
    return None


def records(source: Iterable[Any]) -> Iterator[Any]:
    """The rows of a table, as mappings, or what `source` gives. TypeError where it is no source of rows."""
    chunks = _chunks(source)
    if chunks is not None:
        return _rows_of(chunks)
    try:
        if not isinstance(source, (str, bytes, Mapping)):
            return iter(source)
    except TypeError:
        pass
    hint = ", which is one row: put it in a list" if isinstance(source, (Mapping, v1.Interaction)) else ""
    raise TypeError(f"the source is a {type(source).__name__}{hint}; it must be a table of pandas, polars or Arrow, or "
                    "give mappings or Interactions, such as a list of dicts")


def _rows_of(chunks: Iterator[Mapping[str, Sequence[Any]]]) -> Iterator[Any]:
    for chunk in chunks:
        names = list(chunk)
        for values in zip(*chunk.values()):
            yield dict(zip(names, values))


class ToInteractions:
    """Makes an Interaction of each record, in order; the n-th record is row n."""

    def __init__(self, columns: Columns, event_type: str | None) -> None:
        self._columns = columns
        self._event_type = event_type
        self._keys: tuple[str, ...] | None = None
        self._found: dict[str, str] = {}
        self._ids = ContentIds()
        self._first_time: str | None = None  # as it is to be written, where the first is of the basic form
        self.row = 0

    def of(self, record: Any) -> v1.Interaction:
        self.row += 1
        if isinstance(record, v1.Interaction):
            made = v1.Interaction()
            made.CopyFrom(record)
        elif isinstance(record, Mapping):
            made = self._of_mapping(record)
        else:
            raise BadRow(self.row, f"it is a {type(record).__name__}: it must be an Interaction or a mapping "
                                   "from names of columns")
        made.event_id = made.event_id or self._ids.id_of(made)
        return made

    def _of_mapping(self, record: Mapping[str, Any]) -> v1.Interaction:
        keys = tuple(record)
        if keys != self._keys:
            self._found = _found(keys, self._columns, self._event_type)
            self._keys = keys
        values = {field: record[name] for field, name in self._found.items()}
        for field in ("user", "item", "time"):
            if _missing(values[field]):
                raise BadRow(self.row, f"the {field} is missing")
        made = v1.Interaction(user_id=_id(values["user"], "user", self.row),
                              item_id=_id(values["item"], "item", self.row))
        self._check_no_basic_form(values["time"])
        made.event_time.FromMicroseconds(_microseconds(values["time"], self.row))
        kind = values.get("type")
        if _missing(kind) and self._event_type is None:
            raise BadRow(self.row, "the type is missing")
        made.event_type = self._event_type or "" if _missing(kind) else str(kind)
        if not _missing(values.get("weight")):
            made.weight = self._weight(values["weight"])
        if not _missing(values.get("event_id")):
            made.event_id = _id(values["event_id"], "event_id", self.row)
        return made

    def _check_no_basic_form(self, value: Any) -> None:
        """Rows that begin with such a date are of dates. Within others they are numbers as any."""
        extended = _extended_form(value) if self.row == 1 or self._first_time else None
        if self.row == 1:
            self._first_time = extended
        if extended is not None:
            raise BadRow(self.row, f"the time is {value!r}: write it as {extended}; as a number it is of another time")

    def _weight(self, value: Any) -> int:
        try:
            if int(value) == float(value):
                return int(value)
        except (TypeError, ValueError, OverflowError):
            pass
        raise BadRow(self.row, f"the weight is {value!r}: it must be an integer")


def content_hash(interaction: v1.Interaction) -> str:
    """32 hexadecimal digits of what it says, as the command line has them: an interaction counts once,
    by whichever of the two it is sent."""
    return _hash_of(b"".join([*(b"%d:%s" % (len(field), field) for field in (
        interaction.user_id.encode(), interaction.item_id.encode(), interaction.event_type.encode(),
        str(interaction.weight).encode() if interaction.HasField("weight") else b"")),
        b"%d.%09d" % (interaction.event_time.seconds, interaction.event_time.nanos)]))


def chain_hash(before: str, row: int, of_row: str) -> str:
    """Of everything up to a row: of what `before` stands for, and of that row."""
    return _hash_of(f"{before} {row} {of_row}".encode())


def _hash_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]


class ContentIds:
    """Event ids for rows that bring none. Rows that say the same count as often as they are there: the
    second has ":2" behind its id, and so on, as long as no more than a million rows lie between two."""

    def __init__(self) -> None:
        self._last: OrderedDict[str, tuple[int, int]] = OrderedDict()  # by hash: position, count
        self._position = 0

    def id_of(self, interaction: v1.Interaction) -> str:
        of_content = content_hash(interaction)
        self._position += 1
        while self._last:
            position, _ = next(iter(self._last.values()))
            if position + _IDS_KEPT >= self._position:
                break
            self._last.popitem(last=False)
        count = self._last.get(of_content, (0, 0))[1] + 1
        self._last[of_content] = (self._position, count)
        self._last.move_to_end(of_content)
        return of_content if count == 1 else f"{of_content}:{count}"
