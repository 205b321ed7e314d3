"""The client for programs with asyncio. For the tasks of one event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

import grpc
import grpc.aio

from groundswell import v1
from groundswell._calls import AsyncCalls
from groundswell._connection import Connection, Throttle, Tls, time_until
from groundswell._ingest import IngestOptions, IngestResult, IngestState, NoRoom
from groundswell._method import Method, Request, Response
from groundswell._rows import Columns, records
from groundswell.client import INGEST_PATH, the_answer, upsert_answers
from groundswell.errors import Cancelled, Code, GroundswellError, Unknown, of_rpc

_EOF: Any = getattr(grpc.aio, "EOF")  # its types do not know it


class AsyncClient(AsyncCalls):
    """As `groundswell.Client`, awaited."""

    def __init__(self, address: str = "localhost:7100", *, namespace: str = "default", timeout: float = 1.0,
                 attempts: int = 3, token: str | None = None, tls: Tls | None = None) -> None:
        self._connection = Connection(address, namespace, timeout, attempts, token, tls)
        credentials = self._connection.credentials()
        options = self._connection.options()
        self._channel = (grpc.aio.insecure_channel(address, options) if credentials is None
                         else grpc.aio.secure_channel(address, credentials, options))
        self._throttle = Throttle(attempts)

    async def close(self) -> None:
        await self._channel.close()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:
        await self.close()

    async def _unary(self, method: Method[Request, Response], request: Request, timeout: float | None) -> Response:
        prepared = self._connection.prepared(method, request)
        call: Callable[..., Any] = self._channel.unary_unary(
            method.path, request_serializer=method.request.SerializeToString,
            response_deserializer=method.response.FromString)
        end = time.monotonic() + (self._connection.timeout if timeout is None else timeout)
        attempt = 1
        while True:
            try:
                answer: Response = await call(prepared, timeout=time_until(end), metadata=self._connection.metadata())
                self._throttle.succeeded()
                return answer
            except grpc.RpcError as rpc_error:
                error = of_rpc(rpc_error)
            pause = self._throttle.pause(error, attempt, end - time.monotonic())
            if pause is None:
                raise error
            await asyncio.sleep(pause)
            attempt += 1

    async def _stream(self, method: Method[Request, Response], request: Request,
                      timeout: float | None) -> AsyncIterator[Response]:
        call = self._channel.unary_stream(
            method.path, request_serializer=method.request.SerializeToString,
            response_deserializer=method.response.FromString)
        answers: Any = call(self._connection.prepared(method, request), metadata=self._connection.metadata(),
                            timeout=self._connection.timeout if timeout is None else timeout)
        try:
            async for answer in answers:
                yield answer
        except grpc.RpcError as error:
            raise of_rpc(error) from None
        finally:
            answers.cancel()

    async def pages(self, request: v1.RecommendRequest, *,
                    timeout: float | None = None) -> AsyncIterator[v1.RecommendResponse]:
        """All pages of one list, from the first on: no repeats, no gaps."""
        page = v1.RecommendRequest()
        page.CopyFrom(request)
        while True:
            answer = await self.recommend(page, timeout=timeout)
            yield answer
            if not answer.next_page_token:
                return
            page.page_token = answer.next_page_token

    async def upsert_items(self, request: v1.UpsertItemsRequest, *,
                           timeout: float | None = None) -> v1.UpsertItemsResponse:
        """As Client.upsert_items."""
        answers = upsert_answers(self._channel, self._connection, request, timeout)
        try:
            return the_answer([answer async for answer in answers])
        except grpc.RpcError as error:
            raise of_rpc(error) from None
        finally:
            answers.cancel()

    async def last_sequence(self, producer_id: str, *, timeout: float | None = None) -> int:
        """The number of the last interaction of this producer that is dealt with; 0: none is.

        `ingest` without `first_sequence` counts as the producer `PRODUCER_ID/HASH`, where HASH is that of the
        source's first row: ask for it under that name.
        """
        answer = await self._ask_producer(producer_id, self._connection.timeout if timeout is None else timeout)
        return answer.last_sequence

    async def _ask_producer(self, producer_id: str, timeout: float) -> v1.IngestResponse:
        stream = self._open_stream(timeout)
        try:
            await stream.write(v1.IngestRequest(namespace=self._connection.namespace, producer_id=producer_id))
            await stream.done_writing()
            answer: Any = await stream.read()
        except grpc.RpcError as error:
            raise _of_stream(error) from None
        except asyncio.InvalidStateError:  # what gRPC says of a write to a stream that has ended
            why = await _end_of(stream)
            raise why or Cancelled(Code.CANCELLED, "the server ended the stream") from None
        finally:
            stream.cancel()
        if answer is _EOF:
            raise Cancelled(Code.CANCELLED, "the server ended the stream without an answer")
        response: v1.IngestResponse = answer
        return response

    async def ingest(self, source: Iterable[Any] | AsyncIterable[Any], *, columns: Columns | None = None,
                     event_type: str | None = None, producer_id: str | None = None,
                     first_sequence: int | None = None, resume_file: str | Path | None = None,
                     batch_size: int = 200, inflight_max: int = 16, retry_for: float = 60.0,
                     on_progress: Callable[[IngestResult], None] | None = None) -> IngestResult:
        """As `groundswell.Client.ingest`; `source` may be asynchronous too."""
        state = IngestState(
            IngestOptions(columns or Columns(), event_type, producer_id, first_sequence,
                          None if resume_file is None else Path(resume_file), batch_size, inflight_max, retry_for,
                          on_progress), self._connection.namespace)
        rows = aiter(source) if isinstance(source, AsyncIterable) else _awaited(source)
        try:
            while not state.finished:
                await self._ingest_once(state, rows)
        finally:
            state.close()
        if state.source_error is not None:
            raise state.source_error
        return state.result

    def _open_stream(self, timeout: float | None) -> Any:
        call = self._channel.stream_stream(INGEST_PATH, request_serializer=v1.IngestRequest.SerializeToString,
                                           response_deserializer=v1.IngestResponse.FromString)
        return call(timeout=timeout, metadata=self._connection.metadata())

    async def _ingest_once(self, state: IngestState, rows: AsyncIterator[Any]) -> None:
        """By one stream: to the end, or until it breaks and a pause is over."""
        stream = self._open_stream(None)
        state.begin_stream()
        why: GroundswellError | NoRoom | None = None
        try:
            while not state.finished:
                await self._read_rows(state, rows)
                request = state.next_request()
                if request is not None:
                    await asyncio.wait_for(stream.write(request), state.patience())
                elif state.waits:
                    response: Any = await asyncio.wait_for(stream.read(), state.patience())
                    if response is _EOF:
                        break
                    state.acknowledged(response)
        except grpc.RpcError as error:
            why = _of_stream(error)
        except asyncio.TimeoutError:
            why = Cancelled(Code.CANCELLED, "no acknowledgement came")
        except asyncio.InvalidStateError:  # what gRPC says of a write to a stream that has ended
            why = await _end_of(stream)
        except NoRoom as error:
            why = error
        finally:
            stream.cancel()
        if not state.finished:
            await asyncio.sleep(state.broken(why))

    async def _read_rows(self, state: IngestState, rows: AsyncIterator[Any]) -> None:
        while state.wants_rows:
            try:
                record = await anext(rows)
            except StopAsyncIteration:
                state.end_of_source()
            except Exception as error:  # goes on, behind what was read before it
                state.end_of_source(error)
            else:
                producer = state.add(record)
                if producer is not None:
                    await self._begin_producer(state, producer)

    async def _begin_producer(self, state: IngestState, producer: str) -> None:
        while True:
            try:
                answer = await self._ask_producer(producer, state.patience())
            except GroundswellError as error:
                await asyncio.sleep(state.broken(error))
            else:
                state.set_known_sequence(answer)
                return


async def _awaited(source: Iterable[Any]) -> AsyncIterator[Any]:
    for record in records(source):
        yield record


def _of_stream(error: grpc.RpcError) -> GroundswellError:
    """Why a stream broke. A write to one whose connection is gone is told as INTERNAL, as gRPC's own; the
    server's errors have details."""
    call: Any = error
    why = of_rpc(error)
    if why.code == Code.INTERNAL and not call.trailing_metadata():
        return Unknown(Code.UNKNOWN, f"the stream broke: {why.message}")
    return why


async def _end_of(stream: Any) -> GroundswellError | None:
    try:
        await stream.read()
    except grpc.RpcError as error:
        return _of_stream(error)
    except asyncio.InvalidStateError:
        pass
    return None
