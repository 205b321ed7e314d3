"""What a call can end with besides an answer: one class for each reason that the server names.

    try:
        client.similar_items(SimilarItemsRequest(item_id="no such item"))
    except groundswell.ItemUnknown as error:
        print(error.metadata["item"], error.message)

Where a reason always comes with one code, its class is below that of the code: `ItemUnknown` is a
`NotFound`. An error without a reason (no server, no answer in time) has the code's class, and its
name as the reason; so has one whose reason is newer than this client, with that reason.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

import grpc
from google.rpc import error_details_pb2, status_pb2

__all__ = [
    "Code", "FieldViolation", "GroundswellError", "Cancelled", "Unknown", "InvalidArgument",
    "DeadlineExceeded", "NotFound", "AlreadyExists", "PermissionDenied", "ResourceExhausted",
    "FailedPrecondition", "Aborted", "OutOfRange", "Unimplemented", "Internal", "Unavailable", "DataLoss",
    "Unauthenticated", "InvalidField", "UndecodableRequest", "RequestTooLarge", "NamespaceUnknown",
    "RankerUnknown", "ItemUnknown", "UserUnknown", "EventIdReused", "RightMissing", "CredentialsMissing",
    "CredentialsUnknown", "RateLimited", "Overloaded", "LogFull", "AnswerTooLarge", "CatalogueFull",
    "PageTokenExpired", "RankerMissing", "NoSnapshot", "NoSnapshotBefore", "SnapshotGone", "UserNotScored",
    "EmbeddingMissing", "AlreadyTrained", "ClockAhead", "ClockJumped", "SequenceGap", "LogCut", "LogIsShared",
    "EtagMismatch", "Draining", "StaleState",
]


class Code(enum.IntEnum):
    """The codes of gRPC."""

    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


@dataclass(frozen=True)
class FieldViolation:
    """A field of the request that is wrong: its name, and what would be right."""

    field: str
    description: str


class GroundswellError(Exception):
    """Any error of a call. Its text is the server's message with the reason in brackets."""

    REASON: ClassVar[str] = ""

    def __init__(self, code: Code, message: str, *, reason: str = "",
                 metadata: Mapping[str, str] | None = None,
                 field_violations: tuple[FieldViolation, ...] = (),
                 retry_delay: timedelta | None = None) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.reason = reason or self.REASON or code.name
        # Of the ErrorInfo: {"field": "page_size"}, {"item": "x"} ...
        self.metadata: dict[str, str] = dict(metadata or {})
        self.field_violations = field_violations
        # When to try again, where that may help.
        self.retry_delay = retry_delay

    def __str__(self) -> str:
        return f"{self.message} [{self.reason}]"


class Cancelled(GroundswellError):
    REASON = "CANCELLED"


class Unknown(GroundswellError):
    REASON = "UNKNOWN"


class InvalidArgument(GroundswellError):
    REASON = "INVALID_ARGUMENT"


class DeadlineExceeded(GroundswellError):
    REASON = "DEADLINE_EXCEEDED"


class NotFound(GroundswellError):
    REASON = "NOT_FOUND"


class AlreadyExists(GroundswellError):
    REASON = "ALREADY_EXISTS"


class PermissionDenied(GroundswellError):
    REASON = "PERMISSION_DENIED"


class ResourceExhausted(GroundswellError):
    REASON = "RESOURCE_EXHAUSTED"


class FailedPrecondition(GroundswellError):
    REASON = "FAILED_PRECONDITION"


class Aborted(GroundswellError):
    REASON = "ABORTED"


class OutOfRange(GroundswellError):
    REASON = "OUT_OF_RANGE"


class Unimplemented(GroundswellError):
    REASON = "UNIMPLEMENTED"


class Internal(GroundswellError):
    REASON = "INTERNAL"


class Unavailable(GroundswellError):
    REASON = "UNAVAILABLE"


class DataLoss(GroundswellError):
    REASON = "DATA_LOSS"


class Unauthenticated(GroundswellError):
    REASON = "UNAUTHENTICATED"


class InvalidField(InvalidArgument):
    """A field is wrong; `field_violations` names it."""

    REASON = "INVALID_FIELD"


class UndecodableRequest(InvalidArgument):
    REASON = "UNDECODABLE_REQUEST"


class RequestTooLarge(InvalidArgument):
    REASON = "REQUEST_TOO_LARGE"


class NamespaceUnknown(NotFound):
    REASON = "NAMESPACE_UNKNOWN"


class RankerUnknown(NotFound):
    REASON = "RANKER_UNKNOWN"


class ItemUnknown(NotFound):
    REASON = "ITEM_UNKNOWN"


class UserUnknown(NotFound):
    REASON = "USER_UNKNOWN"


class EventIdReused(AlreadyExists):
    """The log has something else under this id."""

    REASON = "EVENT_ID_REUSED"


class RightMissing(PermissionDenied):
    REASON = "RIGHT_MISSING"


class CredentialsMissing(Unauthenticated):
    REASON = "CREDENTIALS_MISSING"


class CredentialsUnknown(Unauthenticated):
    REASON = "CREDENTIALS_UNKNOWN"


class RateLimited(ResourceExhausted):
    REASON = "RATE_LIMITED"


class Overloaded(ResourceExhausted):
    REASON = "OVERLOADED"


class LogFull(ResourceExhausted):
    REASON = "LOG_FULL"


class AnswerTooLarge(ResourceExhausted):
    REASON = "ANSWER_TOO_LARGE"


class CatalogueFull(GroundswellError):
    """FAILED_PRECONDITION of an interaction, RESOURCE_EXHAUSTED of `upsert_item`."""

    REASON = "CATALOGUE_FULL"


class PageTokenExpired(FailedPrecondition):
    """Begin the list again."""

    REASON = "PAGE_TOKEN_EXPIRED"


class RankerMissing(FailedPrecondition):
    REASON = "RANKER_MISSING"


class NoSnapshot(FailedPrecondition):
    REASON = "NO_SNAPSHOT"


class NoSnapshotBefore(FailedPrecondition):
    REASON = "NO_SNAPSHOT_BEFORE"


class SnapshotGone(FailedPrecondition):
    REASON = "SNAPSHOT_GONE"


class UserNotScored(FailedPrecondition):
    REASON = "USER_NOT_SCORED"


class EmbeddingMissing(FailedPrecondition):
    REASON = "EMBEDDING_MISSING"


class EmbeddingZero(FailedPrecondition):
    REASON = "EMBEDDING_ZERO"


class AlreadyTrained(InvalidArgument):
    """The snapshot was trained on this interaction."""

    REASON = "ALREADY_TRAINED"


class ClockAhead(FailedPrecondition):
    REASON = "CLOCK_AHEAD"


class SequenceGap(FailedPrecondition):
    """A producer left numbers out; `message` names the one that is next."""

    REASON = "SEQUENCE_GAP"


class LogCut(OutOfRange):
    """The log does not hold this offset any more."""

    REASON = "LOG_CUT"


class LogIsShared(FailedPrecondition):
    """The servers of one log cannot do this while they serve."""

    REASON = "LOG_IS_SHARED"


class EtagMismatch(Aborted):
    """The rules were set since; get them and try again."""

    REASON = "ETAG_MISMATCH"


class Draining(Unavailable):
    """The server is stopping."""

    REASON = "DRAINING"


class ClockJumped(Unavailable):
    """The server's clock was set while it ran: nothing is recorded until it comes back, or a restart."""

    REASON = "CLOCK_JUMPED"


class StaleState(Unavailable):
    """An item or a user is not known to a server that has not applied yet what the token tells of: ask again."""

    REASON = "STALE_STATE"


def _classes(above: type[GroundswellError]) -> dict[str, type[GroundswellError]]:
    found = {above.REASON: above} if above.REASON else {}
    for below in above.__subclasses__():
        found.update(_classes(below))
    return found


BY_REASON: Mapping[str, type[GroundswellError]] = _classes(GroundswellError)


def of_status(status: Any) -> GroundswellError:
    """The error that a google.rpc.Status, such as a refusal's, stands for."""
    code = Code(status.code) if status.code in Code.__members__.values() else Code.UNKNOWN
    info = error_details_pb2.ErrorInfo()
    bad_request = error_details_pb2.BadRequest()
    retry = error_details_pb2.RetryInfo()
    retry_delay: timedelta | None = None
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(bad_request)
        if detail.Unpack(retry):
            retry_delay = retry.retry_delay.ToTimedelta()
    kind = BY_REASON.get(info.reason) or BY_REASON[code.name]
    return kind(code, status.message, reason=info.reason, metadata=info.metadata,
                field_violations=tuple(FieldViolation(violation.field, violation.description)
                                       for violation in bad_request.field_violations),
                retry_delay=retry_delay)


def of_rpc(error: grpc.RpcError) -> GroundswellError:
    """The error that one of gRPC's, of either kind of channel, stands for."""
    call: Any = error
    status = status_pb2.Status()
    for key, value in call.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            status.ParseFromString(value)
    status.code = call.code().value[0]
    status.message = status.message or call.details() or ""
    if call.code() == grpc.StatusCode.UNAVAILABLE and "http1.x server" in status.message:
        status.message += ": is this server.grpc_address?"
    return of_status(status)
