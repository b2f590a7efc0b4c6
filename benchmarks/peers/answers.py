"""What the Node programs print: one line of JSON for each command."""

from __future__ import annotations

import json
from typing import Any


class PeerFailed(Exception):
    """The peer ended, answered with an error, or said what is no answer."""


def answer_of(line: str, command: str) -> dict[str, Any]:
    """The fields of the answer to `command`, without `ok`.

    Raises PeerFailed with the peer's own words when it failed, when it has ended ("" instead of a line), or when the
    line is no answer.
    """
    if not line:
        raise PeerFailed(f"the peer ended before it answered {command!r}; what it wrote is above")
    try:
        answer = json.loads(line)
    except ValueError:
        answer = None
    if not isinstance(answer, dict) or not isinstance(answer.get("ok"), bool):
        raise PeerFailed(f"the peer answered {command!r} with {line.strip()[:200]!r}, which is no answer")
    if not answer.pop("ok"):
        raise PeerFailed(f"the peer could not {command!r}: {answer.get('error')}")
    return answer
