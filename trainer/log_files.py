"""The forms in which a log of interactions comes.

Of this program's own form is CSV with a header, or JSON lines such as `groundswell log` exports; either
compressed by zstd. A record has `timestamp` (Unix seconds or a smaller unit, or RFC 3339), `user` and `item`,
and may have `type`, `weight`, `event_id` and `offset`, its place in a server's log. What it weighs is what it
says, or else what its type does.

Logs of any other make are read as `groundswell ingest` reads them, by that program: `groundswell convert`.
"""

import csv
import io
import json
import math
import re
import subprocess
import tempfile
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path

from tqdm import tqdm

from trainer import programs, tables
from trainer.content_ids import ContentIds

# Those of the server (docs/configuration.md, [event_types]).
DEFAULT_EVENT_TYPES = {"cart": 1, "hide": 0, "purchase": 1, "return": -1, "view": 1}
WEIGHT_MAX = 1_000_000
FIELDS = ("timestamp", "user", "item", "type", "weight", "event_id", "offset")
_REQUIRED = FIELDS[:3]
# What [data.columns] names, and the flags of `groundswell convert` for it.
COLUMNS = ("user", "item", "time", "type", "weight")
_JSON_SUFFIXES = (".jsonl", ".json", ".ndjson")
_OTHER_SUFFIXES = (".gz", ".parquet")
_WHOLE = re.compile(r"-?[0-9]{1,18}")
_SHOWN_CHARACTERS = 64
_LATEST_US = 253_402_300_799 * 1_000_000  # the end of the year 9999
_NUMBER = re.compile(r"-?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
_BASIC_FORM = re.compile(r"((?:19[7-9]|20[0-9])[0-9])"  # a year, and then twos of digits as long as there are any
                         r"(?:([0-9]{2})(?:([0-9]{2})(?:([0-9]{2})(?:([0-9]{2})(?:([0-9]{2})([0-9]{3})?)?)?)?)?)?"
                         r"(?:\.[0-9]*)?")
# What numbers below the first are, in microseconds: of seconds, milli-, micro- and nanoseconds.
_UNITS = ((1e11, 1e6), (1e14, 1e3), (1e17, 1.0), (1e20, 1e-3))


@dataclass
class EventWeights:
    """What an event weighs that does not say it, as a server of this configuration would weigh it."""

    of_type: dict = field(default_factory=lambda: dict(DEFAULT_EVENT_TYPES))
    default_type: str = "purchase"  # of records that name none, as `groundswell ingest` has it

    def any_type(self):
        """One that the server knows, for events that say what they weigh."""
        return self.default_type if self.default_type in self.of_type else next(iter(self.of_type))

    def text(self):
        """As the server's flag --event_types takes them."""
        return ",".join(f"{name}={weight}" for name, weight in self.of_type.items())


def parse_event_types(text):
    """{type: weight} of what the server's flag --event_types takes, such as "purchase=1,return=-1"."""
    found = {}
    for pair in text.split(","):
        name, _, weight = pair.partition("=")
        if not name or not _WHOLE.fullmatch(weight) or abs(int(weight)) > WEIGHT_MAX:
            raise ValueError(f'event_types: "{pair}" must be name=weight, such as return=-1, with a whole '
                             f"number, -{WEIGHT_MAX} to {WEIGHT_MAX}")
        found[name] = int(weight)
    return found


def files_of(config):
    """The files of the log."""
    events = config["data"]["events"]
    return [events] if isinstance(events, str) else events


def read_by(config):
    """How the files of the log are read."""
    return ReadBy(config["data"].get("columns", {}), config["snapshot"].get("server"))


def weights_of(config):
    """What events weigh: as on the servers of [serving.event_types], or as by default."""
    of_type = config.get("serving", {}).get("event_types", DEFAULT_EVENT_TYPES)
    for name, weight in of_type.items():
        if type(weight) is not int or abs(weight) > WEIGHT_MAX:
            raise ValueError(f"[serving.event_types]: {name} is {weight!r}; it must be a whole number, "
                             f"-{WEIGHT_MAX} to {WEIGHT_MAX}")
    return EventWeights(dict(of_type), config["data"].get("type", "purchase"))


@dataclass
class Record:
    time_us: int
    user: str
    item: str
    weight: int
    event_id: str  # made of what the record says where it has none, as `groundswell ingest` makes it
    has_own_id: bool
    offset: int  # in a server's log; 0 where the record does not say
    line: int


def is_json(path):
    return _plain(path).suffix in _JSON_SUFFIXES


def open_text(path):
    """A text stream of a file; one that ends in .zst is decompressed by the `zstd` program."""
    if not str(path).endswith(".zst"):
        return open(path, encoding="utf-8-sig", newline="")
    return io.StringIO(_decompressed(path).read().decode("utf-8-sig"), newline="")


def _decompressed(path):
    return io.BytesIO(subprocess.run(["zstd", "-dc", str(path)], check=True, stdout=subprocess.PIPE).stdout)


@dataclass
class ReadBy:
    """How logs of another make are read. What a server exported is read as it is."""

    columns: dict = field(default_factory=dict)  # of COLUMNS, where the names in use do not tell
    server: str = None  # beside whose program `groundswell` lies; None: as programs.server finds it


def read(path, weights, how=ReadBy()):
    """Yields the file's Records in its order, or in the order of time where it is of another make. ValueError,
    naming file, line, field and value, at the first record that is none. A line is one of records: the header of
    a CSV is line 1."""
    if is_of_server(path) or not how.columns and is_own_form(path):
        yield from _read_own(path, path, weights)
        return
    # As `groundswell ingest` has it: what is no column is the type of records that name none.
    weights = replace(weights, default_type=how.columns.get("type", weights.default_type))
    with tempfile.TemporaryDirectory(prefix="groundswell-log-") as work:
        converted = Path(work) / "events.csv"
        flags = [part for name, column in how.columns.items() for part in (f"--{name}", str(column))]
        with open(converted, "wb") as stream:
            subprocess.run([str(programs.client(how.server)), "convert", str(path), *flags], check=True, stdout=stream)
        yield from _read_own(converted, path, weights)


def _read_own(path, called, weights):
    ids = ContentIds()
    with open_text(path) as stream:
        lines = (_json_lines(path, stream) if is_json(path) else
                 tables.rows(path, stream, lambda header: _positions(path, header)))
        begins_in_basic_form = None  # of a log that begins with such a date no number is a time
        for line, values in tqdm(lines, desc=f"reading {Path(called).name}", unit=" records", disable=None):
            place, timestamp = _Place(called, line), values[0]
            if begins_in_basic_form is None:
                begins_in_basic_form = extended_form(timestamp) is not None
            if begins_in_basic_form and _NUMBER.fullmatch(timestamp):
                raise place.bad("timestamp", timestamp, "it is a date without separators: write it as "
                                                        f"{extended_form(timestamp) or '2011-11-22T22:13:20'}Z")
            yield _record(place, values, weights, ids)


def is_own_form(path):
    """By the suffix and the first line."""
    if is_json(path):
        found = _first_object(path)
        return found is None or set(_REQUIRED) <= set(found)
    if _plain(path).suffix in _OTHER_SUFFIXES:
        return False
    with open(path, "rb") if not str(path).endswith(".zst") else _decompressed(path) as stream:
        first = stream.readline().decode("utf-8-sig", "replace")
    header = next(csv.reader([first]), [])
    return set(_REQUIRED) <= set(header) and "event_type" not in header


def is_of_server(path):
    """Whether it is the log that `groundswell log` exported, by the suffix and the first line."""
    return is_json(path) and {*_REQUIRED, "offset"} <= set(_first_object(path) or ())


def _first_object(path):
    """What the first of the JSON lines holds, {} where there is none; None where that is no object, which reading it
    refuses."""
    with open_text(path) as stream:
        first = next(stream, "{}")
    try:
        found = json.loads(first)
    except json.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


@dataclass
class _Place:
    path: str
    line: int

    def bad(self, name, value, remedy):
        return ValueError(f'{self.path}:{self.line}: {name} is "{value[:_SHOWN_CHARACTERS]}"; {remedy}')


def _record(place, values, weights, ids):
    timestamp, user, item, type_, weight, event_id, offset = values
    for name, value in (("user", user), ("item", item)):
        if not value:
            raise place.bad(name, value, "it must not be empty")
    time_us, said, type_ = _time_us(place, timestamp), _weight(place, weight), type_ or weights.default_type
    return Record(time_us, user, item, _type_weight(place, type_, weights) if said is None else said,
                  event_id or ids.id_of(user, item, type_, said, time_us), bool(event_id), _offset(place, offset),
                  place.line)


def _time_us(place, text):
    """Microseconds since 1970."""
    time_us = _number_us(text)
    if time_us is None:
        time_us = _rfc3339_us(text)
    if time_us is None or not 0 <= time_us <= _LATEST_US:
        raise place.bad("timestamp", text, "it must be Unix seconds such as 1322000000 (or milli-, micro- or "
                                           "nanoseconds), or RFC 3339 such as 2011-11-22T22:13:20Z")
    return time_us


def _number_us(text):
    """Rounded as the server's readers round, half up; None of what is no such number."""
    number = float(text) if _NUMBER.fullmatch(text) else -1.0
    for below, us in _UNITS:
        if 0 <= number < below:
            whole = math.floor(number * us)
            return whole + (number * us - whole >= 0.5)
    return None


def parse_time_us(text):
    """Microseconds since 1970 of a time, or of a date; of UTC where it names no zone. None of what is none, and of
    dates without separators."""
    if extended_form(text) is not None:
        return None
    return _number_us(text) if _NUMBER.fullmatch(text) else _iso_us(text, timezone.utc)


def extended_form(text):
    """What to write instead of a date, with or without a time of day, without separators: 2021-02-13T10:30:00 of
    202102131030. Those that the server's readers refuse (csv/event_time.h); None of all else."""
    found = _BASIC_FORM.fullmatch(text)
    if not found:
        return None
    year, month, day, hour, minute, second, milliseconds = (int(part or least) for part, least in
                                                            zip(found.groups(), (0, 1, 1, 0, 0, 0, 0)))
    try:
        return datetime(year, month, day, hour, minute, second, milliseconds * 1_000).isoformat()
    except ValueError:
        return None


def _rfc3339_us(text):
    return _iso_us(text, None)


def _iso_us(text, zone):
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    time = time if time.tzinfo else time.replace(tzinfo=zone)
    if time.tzinfo is None:
        return None
    since = time - datetime.fromisoformat("1970-01-01T00:00:00+00:00")
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _weight(place, text):
    """What the event says that it weighs, 0 too; None where it does not say it."""
    if not text:
        return None
    if not _WHOLE.fullmatch(text) or abs(int(text)) > WEIGHT_MAX:
        raise place.bad("weight", text, f"it must be a whole number, -{WEIGHT_MAX} to {WEIGHT_MAX}")
    return int(text)


def _type_weight(place, type_, weights):
    """0 for a type that hides an item."""
    if type_ not in weights.of_type:
        raise place.bad("type", type_, f"it must be one of the configured types, {', '.join(weights.of_type)}: "
                                       "give those of your server ([serving.event_types] or --event-types)")
    return weights.of_type[type_]


def _offset(place, text):
    if not text:
        return 0
    if not _WHOLE.fullmatch(text) or int(text) < 1:
        raise place.bad("offset", text, "it must be a whole number, 1 or more, as `groundswell log` writes it")
    return int(text)


def _positions(path, header):
    missing = [name for name in _REQUIRED if name not in header]
    if missing:
        raise ValueError(f"{path}: the header lacks {', '.join(sorted(missing))}")
    return [header.index(name) if name in header else None for name in FIELDS]


def json_record(text):
    """The JSON object of a line, None where it is none, and the names that it has more than once."""
    outermost = []

    def made(pairs):  # called for the outermost object last
        outermost[:] = pairs
        return dict(pairs)

    try:
        found = json.loads(text, object_pairs_hook=made)
    except json.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        return None, []
    if len(found) == len(outermost):
        return found, []
    names = [name for name, _ in outermost]
    return found, [name for name in found if names.count(name) > 1]


def _json_lines(path, stream):
    for line, text in enumerate(stream, start=1):
        place = _Place(path, line)
        found, twice = json_record(text)
        if found is None:
            raise place.bad("the line", text.rstrip("\n"), "it must be one JSON object")
        for name in twice:
            if name in FIELDS:
                raise ValueError(f'{path}:{line}: the key "{name}" is there more than once')
        yield line, [_text(place, name, found.get(name)) for name in FIELDS]


def _text(place, name, value):
    """As a field of a CSV would hold it."""
    if value is None:
        return ""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise place.bad(name, json.dumps(value), "half a character (a lone surrogate) is no text") from None
        return value
    if isinstance(value, (bool, int, float)):
        return json.dumps(value)
    raise place.bad(name, json.dumps(value), "it must be a string, a number or a boolean")


def _plain(path):
    """The path without the suffix of a compression."""
    path = Path(path)
    return path.with_suffix("") if path.suffix == ".zst" else path
