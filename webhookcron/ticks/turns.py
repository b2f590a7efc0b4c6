"""Turns: what one instance does for all of them, as long as it comes back. They only save work."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from datetime import timedelta


class Turn:
    """A turn of this instance, asked for again only when half of what it lasts has passed."""

    def __init__(
        self,
        name: str,
        expiry: timedelta,
        hold: Callable[[str, str, timedelta], bool],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`hold` is `TickSource.hold_turn`; `expiry` after which the turn lapses when its holder does not come back."""
        self._name = name
        self._expiry = expiry
        self._hold = hold
        self._monotonic = monotonic
        self._token = secrets.token_hex(8)
        self._ours_until = float("-inf")

    def held(self) -> bool:
        """Whether it is this instance's turn. Raises TickSourceUnavailable."""
        now = self._monotonic()
        if now < self._ours_until:
            return True
        if not self._hold(self._name, self._token, self._expiry):
            return False
        self._ours_until = now + self._expiry.total_seconds() / 2
        return True
