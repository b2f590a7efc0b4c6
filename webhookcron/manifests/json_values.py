"""Equality of JSON values."""

from __future__ import annotations

import json
from typing import Any


def same_json(one: Any, other: Any) -> bool:
    """Whether both are the same JSON value. Python takes 1, 1.0 and True for equal; JSON does not."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
