"""What both kinds of client do alike: how to reach a server, what goes with a call, when to try again."""

from __future__ import annotations

import ipaddress
import threading
import time
import uuid
from dataclasses import dataclass
from typing import Any

import grpc

from groundswell import v1
from groundswell._method import Method, Request, Response
from groundswell.errors import Code, DeadlineExceeded, GroundswellError

ANSWER_BYTES_MAX = 64 << 20
_FIRST_PAUSE_S = 0.01
_LONGEST_PAUSE_S = 0.2
# Retries never feed an overload (as gRFC A6 has it): a failure costs a token, a success brings a tenth
# of one, and nothing is tried again with half of them gone.
_TOKENS_MAX = 10.0


def time_until(end: float) -> float:
    """Of time.monotonic(), for one try. gRPC may answer a call whose deadline has passed."""
    remaining = end - time.monotonic()
    if remaining <= 0:
        raise DeadlineExceeded(Code.DEADLINE_EXCEEDED, "the time of the call has passed")
    return remaining


@dataclass(frozen=True)
class Tls:
    """PEM. Without `root_certificates` those of the system count; `certificate` and `key` go together and
    say who calls."""

    root_certificates: bytes | None = None
    certificate: bytes | None = None
    key: bytes | None = None


def _is_loopback(address: str) -> bool:
    if address.startswith("unix:"):
        return True
    host = address.rpartition(":")[0].removeprefix("[").removesuffix("]")
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True)
class Connection:
    address: str
    namespace: str
    timeout: float
    attempts: int
    token: str | None
    tls: Tls | None

    def __post_init__(self) -> None:
        if "://" in self.address or (":" not in self.address.rpartition("]")[2] and not _is_loopback(self.address)):
            raise ValueError(f'address is "{self.address}"; it must be HOST:PORT, such as 127.0.0.1:7100')
        if self.tls is not None and (self.tls.certificate is None) != (self.tls.key is None):
            raise ValueError("tls.certificate and tls.key go together")
        if self.token is not None and self.tls is None and not _is_loopback(self.address):
            raise ValueError(f"the token would be sent to {self.address} in the clear: give tls")
        if self.attempts < 1:
            raise ValueError(f"attempts is {self.attempts}; it must be 1 or more")

    def credentials(self) -> grpc.ChannelCredentials | None:
        if self.tls is None:
            return None
        return grpc.ssl_channel_credentials(self.tls.root_certificates, self.tls.key, self.tls.certificate)

    def options(self) -> list[tuple[str, Any]]:
        options: list[tuple[str, Any]] = [("grpc.max_receive_message_length", ANSWER_BYTES_MAX),
                                          ("grpc.initial_reconnect_backoff_ms", 100),
                                          ("grpc.max_reconnect_backoff_ms", 5_000)]
        if _is_loopback(self.address):
            options.append(("grpc.enable_http_proxy", 0))
        return options

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What goes with every call."""
        own = (("groundswell-answer-bytes-max", str(ANSWER_BYTES_MAX)),)
        return own if self.token is None else (*own, ("authorization", f"Bearer {self.token}"))

    def prepared(self, method: Method[Request, Response], request: Request) -> Request:
        """A copy with the namespace where it names none, and with an id that lets an interaction count
        once, however often it is sent."""
        prepared = method.request()
        prepared.CopyFrom(request)
        parts: Any = [prepared]
        if isinstance(prepared, (v1.BatchRecommendRequest, v1.UpsertItemsRequest)):
            parts = prepared.requests
        elif isinstance(prepared, v1.TraceRecommendRequest):
            parts = [prepared.recommend]
        for part in parts:
            part.namespace = part.namespace or self.namespace
        if isinstance(prepared, v1.RecordInteractionRequest) and not (
                prepared.request_id or prepared.interaction.event_id):
            prepared.request_id = str(uuid.uuid4())
        return prepared


class Throttle:
    """Whether, and after what pause, a call is tried again. Thread-safe."""

    def __init__(self, attempts: int) -> None:
        self._attempts = attempts
        self._tokens = _TOKENS_MAX
        self._lock = threading.Lock()

    def succeeded(self) -> None:
        with self._lock:
            self._tokens = min(self._tokens + 0.1, _TOKENS_MAX)

    def pause(self, error: GroundswellError, attempt: int, time_left: float) -> float | None:
        """Seconds until the next try, behind the `attempt`-th, from 1; None: `error` is final. UNAVAILABLE
        is tried again soon, or when the server says; RESOURCE_EXHAUSTED only when it says."""
        asked = None if error.retry_delay is None else error.retry_delay.total_seconds()
        if error.code != Code.UNAVAILABLE and (error.code != Code.RESOURCE_EXHAUSTED or asked is None):
            return None
        with self._lock:
            self._tokens = max(self._tokens - 1, 0)
            if attempt >= self._attempts or self._tokens <= _TOKENS_MAX / 2:
                return None
        own = min(_FIRST_PAUSE_S * 2 ** (attempt - 1), _LONGEST_PAUSE_S)
        pause = own if asked is None else asked
        return pause if pause < time_left else None
