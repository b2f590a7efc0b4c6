"""What changed in a list of executions since someone looked: pure.

The list has a cursor: a short digest of each of its rows. Whoever brings one back is told the rows that are new or
changed since, and the order of all; so nothing is kept between two looks, and a look after a break misses nothing.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

from webhookcron.core.executions import Execution

_DIGEST_BYTES = 6
MAX_CURSOR_LENGTH = 2_000


def cursor_of(executions: Sequence[Execution]) -> str:
    """The cursor of a list as it stands."""
    return base64.urlsafe_b64encode(b"".join(map(_digest, executions))).decode("ascii")


def changed_since(cursor: str, executions: Sequence[Execution]) -> list[Execution]:
    """Those of the list that the holder of `cursor` has not seen as they are; all of them for a foreign cursor."""
    seen = _digests(cursor)
    return [execution for execution in executions if _digest(execution) not in seen]


def _digest(execution: Execution) -> bytes:
    shown = (
        execution.id,
        execution.status.value,
        execution.reason,
        execution.attempt_count,
        execution.next_attempt_at,
        execution.duration_ms,
    )
    return hashlib.blake2b(repr(shown).encode(), digest_size=_DIGEST_BYTES).digest()


def _digests(cursor: str) -> frozenset[bytes]:
    if len(cursor) > MAX_CURSOR_LENGTH:
        return frozenset()
    try:
        joined = base64.b64decode(cursor, altchars=b"-_", validate=True)
    except ValueError:
        return frozenset()
    return frozenset(joined[i : i + _DIGEST_BYTES] for i in range(0, len(joined), _DIGEST_BYTES))
