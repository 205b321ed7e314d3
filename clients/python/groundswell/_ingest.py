"""How rows get into the log, each counted once, through full queues, broken streams and restarts of the
server. What both kinds of client do alike; they do the sending and the waiting.

What was sent and not acknowledged is kept (a bounded window) and sent again when the stream breaks or the
server has no room. Event ids, or the sequence of a producer, make that harmless.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from groundswell import v1
from groundswell._rows import Columns, ToInteractions, chain_hash, content_hash
from groundswell.errors import Aborted, Code, DeadlineExceeded, GroundswellError, of_status

_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 5.0
_RESUME_INTERVAL_S = 0.05
_REFUSALS_KEPT = 100
_FOR_NOW = (Code.RESOURCE_EXHAUSTED, Code.UNAVAILABLE)
_WORTH_A_RETRY = (*_FOR_NOW, Code.ABORTED, Code.CANCELLED, Code.DEADLINE_EXCEEDED, Code.UNKNOWN)


@dataclass(frozen=True)
class Refusal:
    """A row, from 1, that the server refused for good, and why."""

    row: int
    error: GroundswellError


@dataclass
class IngestResult:
    """What became of the rows. Every row up to `rows` is dealt with, durably."""

    rows: int = 0
    # Rows that an earlier run had brought to the end already; not sent.
    passed_over: int = 0
    # Of these, how many the server had refused then. They are sent again without the producer or resume file.
    refused_before: int = 0
    accepted: int = 0
    duplicates: int = 0
    refused: int = 0
    # How many were refused for which reason, and the first hundred of them.
    reasons: dict[str, int] = field(default_factory=dict)
    refusals: list[Refusal] = field(default_factory=list)
    last_offset: int = 0
    # Hand this to `recommend` to read one's own writes.
    consistency_token: str = ""


@dataclass(frozen=True)
class IngestOptions:
    columns: Columns
    event_type: str | None
    producer_id: str | None
    first_sequence: int | None
    resume_file: Path | None
    batch_size: int
    inflight_max: int
    retry_for: float
    on_progress: Callable[[IngestResult], None] | None

    def __post_init__(self) -> None:
        for name, value, most in (("batch_size", self.batch_size, 1_000), ("inflight_max", self.inflight_max, 1_000)):
            if not 1 <= value <= most:
                raise ValueError(f"{name} is {value}; it must be 1 to {most}")
        if self.first_sequence is not None and (self.producer_id is None or self.first_sequence < 1):
            raise ValueError(f"first_sequence is {self.first_sequence}; it must be 1 or more, with a producer_id")
        if self.producer_id is not None and self.resume_file is not None:
            raise ValueError("producer_id and resume_file exclude each other: the server keeps how far a "
                             "producer is")


class OtherSource(ValueError):
    """The first rows are others than those that an earlier run sent under this `producer_id`, or that
    `resume_file` tells of. Nothing was sent."""


class NoRoom(Exception):
    """The server refused a batch for now: the stream is to be begun anew."""


class ResumeFile:
    """Up to which row everything is dealt with, and what those rows were. The format of the command line:
    the row, the hash of all rows up to it, and, where it is not 0, how many of these were refused. The log's
    offset, which the command line writes behind that, is not looked at."""

    def __init__(self, path: Path) -> None:
        self._path = path.resolve()  # a link stays one
        self._next_write = 0.0

    def read(self) -> tuple[int, str, int]:
        try:
            words = self._path.read_text(encoding="ascii").split()
        except FileNotFoundError:
            return 0, "", 0
        except UnicodeDecodeError:
            words = []
        refused = words[2] if len(words) > 2 else "0"
        if (2 <= len(words) <= 4 and words[0].isdigit() and len(words[1]) == 32
                and all(word.isdigit() for word in words[2:])):
            return int(words[0]), words[1], int(refused)
        raise ValueError(f'resume_file "{self._path}" does not hold a row\'s number and hash; delete it to begin '
                         "anew")

    def write(self, row: int, chain: str, refused: int, *, now: bool) -> None:
        """Whole, on disk, and then in the place of the old one; now and then, or `now`."""
        if row == 0 or (not now and time.monotonic() < self._next_write):
            return
        self._next_write = time.monotonic() + _RESUME_INTERVAL_S
        partial = self._path.with_name(self._path.name + ".partial")
        with open(partial, "w", encoding="ascii") as file:
            file.write(f"{row} {chain} {refused}\n" if refused else f"{row} {chain}\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, self._path)
        if hasattr(os, "O_DIRECTORY"):  # elsewhere a directory cannot be opened
            directory = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)


@dataclass
class _Batch:
    request: v1.IngestRequest
    rows: list[int]  # of its interactions
    chain: str  # of all rows up to its last


class _Numbering:
    """How far a producer's numbers are used up, and by what: as the command line has it, so that either goes on
    where the other stopped."""

    def __init__(self, first_sequence: int, answer: v1.IngestResponse) -> None:
        """`answer` is where the server has the producer."""
        self.known = answer.last_sequence
        self._known_mark = answer.producer_mark  # empty: of a client that sends none
        # Of all that was numbered; None: not known, as where the caller shows a later part alone.
        self._mark: str | None = "" if first_sequence == 1 else None

    def take(self, sequence: int, interaction: v1.Interaction) -> bool:
        """Whether the server has the number. OtherSource where what it has there is something else."""
        if self._mark is None and sequence == self.known + 1 and self._known_mark:
            self._mark = self._known_mark.decode("ascii", "replace")
        if self._mark is not None:
            self._mark = chain_hash(self._mark, sequence, content_hash(interaction) + interaction.event_id)
            if sequence == self.known and self._known_mark and self.mark != self._known_mark:
                raise OtherSource(f"the first {sequence} rows are others than those that this producer_id sent; give "
                                  "this source another one, or none: what was acknowledged counts once")
        return sequence <= self.known

    @property
    def mark(self) -> bytes:
        """Of everything up to the last row taken; see IngestRequest.producer_mark."""
        return (self._mark or "").encode()


class IngestState:
    """What was read, sent and acknowledged. For one thread, or one task."""

    def __init__(self, options: IngestOptions, namespace: str) -> None:
        self.options = options
        self.result = IngestResult()
        self.source_error: Exception | None = None
        self._namespace = namespace
        self._to_interactions = ToInteractions(options.columns, options.event_type)
        self._resume = None if options.resume_file is None else ResumeFile(options.resume_file)
        self._passed, self._passed_chain, self.result.refused_before = (
            (0, "", 0) if self._resume is None else self._resume.read())
        self._chain = ""  # of all rows up to the last one read
        self._acknowledged_chain = ""
        self._producer = ""
        self._numbering: _Numbering | None = None
        self._filling: list[tuple[int, v1.Interaction]] = []
        self._window: deque[_Batch] = deque()
        self._transmitted = 0  # batches of the window that this stream has sent
        self._exhausted = False
        self._pause = 0.0
        self._why_broken: GroundswellError | None = None  # since the last acknowledgement
        self._waiting_since = time.monotonic()

    # Reading.

    @property
    def wants_rows(self) -> bool:
        return (not self._exhausted and self._transmitted == len(self._window)
                and len(self._window) < self.options.inflight_max)

    def add(self, record: Any) -> str | None:
        """Takes the next record of the source. A producer's id: ask how far the server is with it, and
        tell `set_known_sequence`."""
        try:
            interaction = self._to_interactions.of(record)
        except ValueError as error:
            self.end_of_source(error)
            return None
        row = self._to_interactions.row
        self._waiting_since = time.monotonic()  # the source may have taken its time
        if self._resume is not None:
            self._chain = chain_hash(self._chain, row, content_hash(interaction))
        if row <= self._passed:
            self._pass_over(row)
            return None
        self._filling.append((row, interaction))
        if row == 1 and self.options.producer_id is not None:
            # A producer's numbers are those of one source, which its first row tells apart, as for the command
            # line; unless the caller counts.
            self._producer = self.options.producer_id
            if self.options.first_sequence is None:
                self._producer += "/" + content_hash(interaction)
            return self._producer
        self._take_number()
        if len(self._filling) >= self.options.batch_size:
            self._close_batch()
        return None

    def _pass_over(self, row: int) -> None:
        self.result.passed_over = self.result.rows = row
        if row == self._passed and self._chain != self._passed_chain:
            self.end_of_source(OtherSource(
                f'the first {row} rows are others than those that resume_file "{self.options.resume_file}" tells '
                "of; give every source a resume file of its own"))

    def set_known_sequence(self, answer: v1.IngestResponse) -> None:
        self._numbering = _Numbering(self.options.first_sequence or 1, answer)
        self.result.refused_before = answer.refused_sequence_count
        self._heard()
        self._take_number()
        if len(self._filling) >= self.options.batch_size:
            self._close_batch()

    def _take_number(self) -> None:
        """For the row that was just read, which is left out where the server has it."""
        if self._numbering is None:
            return
        row, interaction = self._filling.pop()
        try:
            if self._numbering.take(self._sequence_of(row), interaction):
                self.result.passed_over = self.result.rows = row
            else:
                self._filling.append((row, interaction))
        except OtherSource as error:
            self.end_of_source(error)

    def _sequence_of(self, row: int) -> int:
        return row - 1 + (self.options.first_sequence or 1)

    def end_of_source(self, error: Exception | None = None) -> None:
        """There is no further record, or none can be read; what was read is sent all the same."""
        if self._exhausted:
            return
        row = self._to_interactions.row
        known = 0 if self._numbering is None or self.options.first_sequence is not None else self._numbering.known
        if error is None and row < max(self._passed, known):
            error = ValueError(f"{max(self._passed, known)} rows of this source are dealt with, and it has {row}: it "
                               "was cut")
        self._exhausted = True
        self.source_error = error
        self._close_batch()

    def _close_batch(self) -> None:
        if not self._filling:
            return
        request = v1.IngestRequest(namespace=self._namespace, producer_id=self._producer,
                                   interactions=[interaction for _, interaction in self._filling])
        if self._producer:
            request.first_sequence = self._sequence_of(self._filling[0][0])
        if self._numbering is not None:
            request.producer_mark = self._numbering.mark
        self._window.append(_Batch(request, [row for row, _ in self._filling], self._chain))
        self._filling = []

    # Sending.

    def begin_stream(self) -> None:
        self._transmitted = 0

    def next_request(self) -> v1.IngestRequest | None:
        """What is to be sent next, if anything."""
        if self._transmitted == len(self._window):
            return None
        self._transmitted += 1
        return self._window[self._transmitted - 1].request

    @property
    def waits(self) -> bool:
        """Whether an acknowledgement is to come."""
        return self._transmitted > 0

    @property
    def finished(self) -> bool:
        return self._exhausted and not self._window

    def patience(self) -> float:
        """Seconds that the next acknowledgement may take."""
        return max(self._waiting_since + self.options.retry_for - time.monotonic(), 0.01)

    def acknowledged(self, response: v1.IngestResponse) -> None:
        """The answer to the oldest batch that was sent. NoRoom: it has to be sent again."""
        errors = [(refusal.index, of_status(refusal.status)) for refusal in response.refusals]
        for_now = [error for _, error in errors if error.code in _FOR_NOW]
        if for_now:
            raise NoRoom(max(for_now, key=lambda error: error.retry_delay or timedelta()))
        batch = self._window.popleft()
        self._transmitted -= 1
        self._heard()
        result = self.result
        result.accepted += response.accepted_count
        result.duplicates += response.duplicate_count
        result.refused += len(errors)
        for index, error in errors:
            result.reasons[error.reason] = result.reasons.get(error.reason, 0) + 1
            if len(result.refusals) < _REFUSALS_KEPT:
                result.refusals.append(Refusal(batch.rows[index], error))
        if response.last_offset > result.last_offset:
            result.last_offset = response.last_offset
            result.consistency_token = response.consistency_token
        result.rows = batch.rows[-1]
        self._acknowledged_chain = batch.chain
        if self._resume is not None:
            self._resume.write(result.rows, batch.chain, self._refused_until_now(), now=False)
        if self.options.on_progress is not None:
            self.options.on_progress(result)

    def _refused_until_now(self) -> int:
        return self.result.refused_before + self.result.refused

    def _heard(self) -> None:
        self._waiting_since = time.monotonic()
        self._pause = 0.0
        self._why_broken = None

    def broken(self, why: GroundswellError | NoRoom | None) -> float:
        """The stream has ended before its time, or the server did not tell how far it is: how many seconds to
        wait before the next try. Raises what makes it final."""
        error = why
        if error is None:
            error = Aborted(Code.ABORTED, "the server ended the stream")
        if isinstance(error, NoRoom):
            error = error.args[0]
        assert isinstance(error, GroundswellError)
        if not isinstance(why, NoRoom) and error.code not in _WORTH_A_RETRY and error.reason != "SEQUENCE_GAP":
            raise error
        if error.code not in (Code.CANCELLED, Code.DEADLINE_EXCEEDED):  # by us, who waited: not the cause
            self._why_broken = error
        if time.monotonic() - self._waiting_since > self.options.retry_for:
            raise self._why_broken or DeadlineExceeded(
                Code.DEADLINE_EXCEEDED, f"no acknowledgement came in {self.options.retry_for} s")
        asked = 0.0 if error.retry_delay is None else error.retry_delay.total_seconds()
        self._pause = min(max(self._pause * 2, _FIRST_PAUSE_S, asked), _LONGEST_PAUSE_S)
        return self._pause

    def close(self) -> None:
        """Remembers how far it came, whatever the end."""
        if self._resume is not None and self._acknowledged_chain:
            self._resume.write(self.result.rows, self._acknowledged_chain, self._refused_until_now(), now=True)
