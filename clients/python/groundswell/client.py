"""The client for programs with threads. Thread-safe."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import grpc

from groundswell import v1
from groundswell._calls import Calls
from groundswell._connection import Connection, Throttle, Tls, time_until
from groundswell._ingest import IngestOptions, IngestResult, IngestState, NoRoom
from groundswell._method import Method, Request, Response
from groundswell._rows import Columns, records
from groundswell.errors import Cancelled, Code, GroundswellError, of_rpc

INGEST_PATH = "/groundswell.v1.InteractionService/Ingest"
UPSERT_ITEMS = Method("/groundswell.v1.AdminService/UpsertItems", v1.UpsertItemsRequest, v1.UpsertItemsResponse)
UPSERT_TIMEOUT_S = 60.0  # a batch lasts longer than a question


def upsert_answers(channel: Any, connection: Connection, request: v1.UpsertItemsRequest, timeout: float | None) -> Any:
    """The call of one request, as this channel, of grpc or grpc.aio, iterates over its answers."""
    call = channel.stream_stream(UPSERT_ITEMS.path, request_serializer=v1.UpsertItemsRequest.SerializeToString,
                                 response_deserializer=v1.UpsertItemsResponse.FromString)
    return call(iter([connection.prepared(UPSERT_ITEMS, request)]),
                timeout=UPSERT_TIMEOUT_S if timeout is None else timeout, metadata=connection.metadata())


def the_answer(answers: list[v1.UpsertItemsResponse]) -> v1.UpsertItemsResponse:
    if not answers:
        raise Cancelled(Code.CANCELLED, "the server ended the stream without an answer")
    return answers[0]


class Client(Calls):
    """Calls a server. It connects when it is first used, and again when a connection breaks.

    `timeout`, in seconds, is that of every call that names none, all its tries together: at most `attempts`,
    where the server is not there, or asks to come back. `token` says who calls; without `tls` it is sent to
    this machine alone. Errors are those of `groundswell.errors`.
    """

    def __init__(self, address: str = "localhost:7100", *, namespace: str = "default", timeout: float = 1.0,
                 attempts: int = 3, token: str | None = None, tls: Tls | None = None) -> None:
        self._connection = Connection(address, namespace, timeout, attempts, token, tls)
        credentials = self._connection.credentials()
        options = self._connection.options()
        self._channel = (grpc.insecure_channel(address, options) if credentials is None
                         else grpc.secure_channel(address, credentials, options))
        self._throttle = Throttle(attempts)

    def close(self) -> None:
        self._channel.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def _unary(self, method: Method[Request, Response], request: Request, timeout: float | None) -> Response:
        prepared = self._connection.prepared(method, request)
        call: Callable[..., Response] = self._channel.unary_unary(
            method.path, request_serializer=method.request.SerializeToString,
            response_deserializer=method.response.FromString)
        end = time.monotonic() + (self._connection.timeout if timeout is None else timeout)
        attempt = 1
        while True:
            try:
                answer = call(prepared, timeout=time_until(end), metadata=self._connection.metadata())
                self._throttle.succeeded()
                return answer
            except grpc.RpcError as rpc_error:
                error = of_rpc(rpc_error)
            pause = self._throttle.pause(error, attempt, end - time.monotonic())
            if pause is None:
                raise error
            time.sleep(pause)
            attempt += 1

    def _stream(self, method: Method[Request, Response], request: Request,
                timeout: float | None) -> Iterator[Response]:
        call = self._channel.unary_stream(
            method.path, request_serializer=method.request.SerializeToString,
            response_deserializer=method.response.FromString)
        answers = call(self._connection.prepared(method, request), metadata=self._connection.metadata(),
                       timeout=self._connection.timeout if timeout is None else timeout)
        try:
            yield from answers
        except grpc.RpcError as error:
            raise of_rpc(error) from None
        finally:
            answers.cancel()

    def pages(self, request: v1.RecommendRequest, *, timeout: float | None = None) -> Iterator[v1.RecommendResponse]:
        """All pages of one list, from the first on: no repeats, no gaps."""
        page = v1.RecommendRequest()
        page.CopyFrom(request)
        while True:
            answer = self.recommend(page, timeout=timeout)
            yield answer
            if not answer.next_page_token:
                return
            page.page_token = answer.next_page_token

    def upsert_items(self, request: v1.UpsertItemsRequest, *, timeout: float | None = None) -> v1.UpsertItemsResponse:
        """Creates or replaces up to 1,000 items, each of which is done or refused on its own: `refusals` of the
        answer says why. Within 60 seconds, if `timeout` does not say otherwise; sent again, it is done again
        alike."""
        answers = upsert_answers(self._channel, self._connection, request, timeout)
        try:
            return the_answer(list(answers))  # to the end of the call
        except grpc.RpcError as error:
            raise of_rpc(error) from None
        finally:
            answers.cancel()

    def last_sequence(self, producer_id: str, *, timeout: float | None = None) -> int:
        """The number of the last interaction of this producer that is dealt with; 0: none is.

        `ingest` without `first_sequence` counts as the producer `PRODUCER_ID/HASH`, where HASH is that of the
        source's first row: ask for it under that name.
        """
        return self._ask_producer(producer_id, self._connection.timeout if timeout is None else timeout).last_sequence

    def _ask_producer(self, producer_id: str, timeout: float) -> v1.IngestResponse:
        stream = _IngestStream(self._channel, self._connection, timeout)
        try:
            stream.send(v1.IngestRequest(namespace=self._connection.namespace, producer_id=producer_id))
            stream.done_sending()
            answer = stream.read()
        except grpc.RpcError as error:
            raise of_rpc(error) from None
        finally:
            stream.cancel()
        if answer is None:
            raise Cancelled(Code.CANCELLED, "the server ended the stream without an answer")
        return answer

    def ingest(self, source: Iterable[Any], *, columns: Columns | None = None, event_type: str | None = None,
               producer_id: str | None = None, first_sequence: int | None = None,
               resume_file: str | Path | None = None, batch_size: int = 200, inflight_max: int = 16,
               retry_for: float = 60.0,
               on_progress: Callable[[IngestResult], None] | None = None) -> IngestResult:
        """Gets every row of `source` into the log, once, and returns when all of them are on disk.

        `source`: a table of pandas, polars or Arrow, or anything that gives mappings or Interactions.
        Columns are found by the names in use for them, or named; `event_type` is for rows without one. A row
        without an event id gets one of what it says.

        With `producer_id` the server keeps how far it is with this source, and a later run goes on from there:
        the source must then give the same rows again, and may give more. `first_sequence` is the number
        of its first row, for callers who count themselves (`last_sequence` asks where they are).
        `resume_file` keeps the same in a file here. Without either, a later run sends all, and what is there
        counts as a duplicate.

        Broken streams, full queues and restarts of the server are overcome for `retry_for` seconds without
        an acknowledgement. Rows that the server refuses for good are in the result. A row that is no
        interaction raises `BadRow`, and what the source raises goes on, once all before it is on disk.
        """
        state = IngestState(
            IngestOptions(columns or Columns(), event_type, producer_id, first_sequence,
                          None if resume_file is None else Path(resume_file), batch_size, inflight_max, retry_for,
                          on_progress), self._connection.namespace)
        rows = records(source)
        try:
            while not state.finished:
                self._ingest_once(state, rows)
        finally:
            state.close()
        if state.source_error is not None:
            raise state.source_error
        return state.result

    def _ingest_once(self, state: IngestState, rows: Iterator[Any]) -> None:
        """By one stream: to the end, or until it breaks and a pause is over."""
        stream = _IngestStream(self._channel, self._connection, None)
        state.begin_stream()
        why: GroundswellError | NoRoom | None = None
        try:
            while not state.finished:
                self._read_rows(state, rows)
                request = state.next_request()
                if request is not None:
                    stream.send(request)
                elif state.waits:
                    response = stream.read(state.patience())
                    if response is None:
                        break
                    state.acknowledged(response)
        except grpc.RpcError as error:
            why = of_rpc(error)
        except NoRoom as error:
            why = error
        finally:
            stream.cancel()
        if not state.finished:
            time.sleep(state.broken(why))

    def _read_rows(self, state: IngestState, rows: Iterator[Any]) -> None:
        while state.wants_rows:
            try:
                record = next(rows)
            except StopIteration:
                state.end_of_source()
            except Exception as error:  # goes on, behind what was read before it
                state.end_of_source(error)
            else:
                producer = state.add(record)
                if producer is not None:
                    self._begin_producer(state, producer)

    def _begin_producer(self, state: IngestState, producer: str) -> None:
        while True:
            try:
                answer = self._ask_producer(producer, state.patience())
            except GroundswellError as error:
                time.sleep(state.broken(error))
            else:
                state.set_known_sequence(answer)
                return


class _IngestStream:
    """For one thread that sends and reads."""

    def __init__(self, channel: grpc.Channel, connection: Connection, timeout: float | None) -> None:
        # gRPC takes requests from an iterator, in a thread of its own, and waits there for more.
        self._requests: queue.SimpleQueue[v1.IngestRequest | None] = queue.SimpleQueue()
        call = channel.stream_stream(INGEST_PATH, request_serializer=v1.IngestRequest.SerializeToString,
                                     response_deserializer=v1.IngestResponse.FromString)
        self._call: Any = call(iter(self._requests.get, None), timeout=timeout, metadata=connection.metadata())

    def send(self, request: v1.IngestRequest) -> None:
        self._requests.put(request)

    def done_sending(self) -> None:
        self._requests.put(None)

    def read(self, patience: float | None = None) -> v1.IngestResponse | None:
        """The next answer; None at the end. After `patience` seconds the stream is cancelled."""
        timer = None if patience is None else threading.Timer(patience, self._call.cancel)
        if timer is not None:
            timer.daemon = True
            timer.start()
        try:
            response: v1.IngestResponse | None = next(self._call, None)
            return response
        finally:
            if timer is not None:
                timer.cancel()

    def cancel(self) -> None:
        self._call.cancel()
        self.done_sending()  # the thread that waits for more
