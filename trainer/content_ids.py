"""Event ids of records that bring none, as `groundswell ingest` makes them (client/events/content_ids.h)."""

import hashlib
from collections import deque

RECORDS_KEPT = 1_000_000
_HASH_BYTES = 16
_FRONT_BYTES = 8


class ContentIds:
    """Ids of what the records of one file say, which are to be given in its order.

    Records that say the same count as often as they are there: the second has the id of the first with ":2"
    behind it, and so on, as long as fewer than `kept` records lie between two of them.
    """

    def __init__(self, kept=RECORDS_KEPT):
        self._kept = kept
        self._position = 0
        self._last = {}  # front of the hash -> (position of the last record, how many there were)
        self._by_position = deque()  # (position, that front)

    def id_of(self, user, item, type_, weight, time_us):
        """`weight` is None where the record says none."""
        hash_ = _hash(user, item, type_, weight, time_us)
        front = hash_[:_FRONT_BYTES]
        self._position += 1
        while self._by_position and self._by_position[0][0] + self._kept < self._position:
            position, old = self._by_position.popleft()
            if old in self._last and self._last[old][0] == position:
                del self._last[old]
        count = self._last.get(front, (0, 0))[1] + 1
        self._last[front] = self._position, count
        self._by_position.append((self._position, front))
        id_ = hash_[:_HASH_BYTES].hex()
        return id_ if count == 1 else f"{id_}:{count}"


def _hash(user, item, type_, weight, time_us):
    fields = (user, item, type_, "" if weight is None else str(weight))
    # Each with its length in front, so that no two records are the same bytes.
    texts = b"".join(b"%d:%b" % (len(text), text) for text in (field.encode() for field in fields))
    seconds, micros = divmod(time_us, 1_000_000)
    return hashlib.sha256(texts + b"%d.%06d000" % (seconds, micros)).digest()
