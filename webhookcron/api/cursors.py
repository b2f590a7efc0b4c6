"""Cursors of log pages: opaque to clients, and checked when they come back."""

from __future__ import annotations

import base64
import binascii
import re

from webhookcron.core.executions import from_ms, to_ms
from webhookcron.storage.execution_logs import Position

_CONTENT = re.compile(r"(-?[0-9]{1,15}) ((?:[0-9a-f]{24}:[0-9A-Za-z:-]{1,300})?)", re.ASCII)

MAX_LENGTH = 600


def cursor_at(position: Position) -> str:
    """The cursor that goes on after a place in the log."""
    moment, execution_id = position
    text = f"{to_ms(moment)} {execution_id}"
    return base64.urlsafe_b64encode(text.encode("ascii")).decode("ascii").rstrip("=")


def read_cursor(cursor: str) -> Position:
    """The place in the log behind what was already seen. Raises ValueError when `cursor` is none of ours."""
    try:
        if len(cursor) > MAX_LENGTH:
            raise ValueError
        padded = cursor + "=" * (-len(cursor) % 4)
        match = _CONTENT.fullmatch(base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii"))
        if match is None:
            raise ValueError
        return from_ms(int(match[1])), match[2]
    except (ValueError, binascii.Error, OverflowError):
        raise ValueError("is not a cursor that a list of executions gave") from None
