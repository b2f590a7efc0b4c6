"""Durations as people write them: `90s`, `5m`, `1h 30m`, `250ms`."""

from __future__ import annotations

import re

_UNITS_MS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
_PART = re.compile(r"([0-9]{1,12}) ?(ms|d|h|m|s)", re.ASCII)
_WHOLE = re.compile(r"(?:[0-9]{1,12} ?(?:ms|d|h|m|s) ?)+", re.ASCII)


def milliseconds(text: str) -> int:
    """The milliseconds of a duration. Raises ValueError, fit for a user, for what is none."""
    text = text.strip().lower()
    if not _WHOLE.fullmatch(text):
        raise ValueError("must be a duration such as 30s, 5m, 1h 30m or 250ms")
    return sum(int(number) * _UNITS_MS[unit] for number, unit in _PART.findall(text))


def exact_duration(value_ms: int) -> str:
    """The duration as `milliseconds` takes it, without loss: 90000 -> `1m 30s`."""
    parts: list[str] = []
    rest = value_ms
    for unit, size in _UNITS_MS.items():
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts) or "0s"


def short_duration(value_ms: float) -> str:
    """The duration with two or three digits that matter: `12 ms`, `1.24 s`, `3 m 5 s`, `2 h 10 m`, `4 d`."""
    if value_ms < 1_000:
        return f"{value_ms:.0f} ms" if value_ms >= 10 or value_ms == int(value_ms) else f"{value_ms:.1f} ms"
    seconds = value_ms / 1_000
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for unit, size, smaller, smaller_size in (
        ("d", 86_400, "h", 3_600), ("h", 3_600, "m", 60), ("m", 60, "s", 1),
    ):  # fmt: skip
        if whole >= size:
            count, rest = divmod(whole, size)
            rest //= smaller_size
            return f"{count} {unit} {rest} {smaller}" if rest else f"{count} {unit}"
    return f"{whole} s"
