"""When, if at all, an execution is tried again."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum

from webhookcron.core.outcomes import Outcome

# A receiver may ask for patience, but not park an execution for ever.
MAX_RETRY_AFTER = timedelta(days=1)
# Spread added to every delay, as a share of it, so that calls that failed together do not return together.
MAX_JITTER = 0.2
MAX_RETRIES = 100
MAX_DELAY_MS = 24 * 60 * 60 * 1000
MAX_DELAYS = 100

DEFAULT_RETRIES = 3
DEFAULT_DELAYS_MS = (60_000, 300_000, 900_000)


class Backoff(StrEnum):
    """How the delay grows from retry to retry.

    fixed        every delay is `retry_delay_ms`.
    exponential  the first is `retry_delay_ms`, each further one twice the one before.
    """

    FIXED = "fixed"
    EXPONENTIAL = "exponential"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and how patiently a failed attempt is repeated.

    max_retries         attempts after the first, 0 to 100; 0 = a single attempt.
    retry_delays_ms     delays in milliseconds, one per retry; the last repeats. Not together with
                        `retry_delay_ms`. None = the curve of `retry_delay_ms`, or the default delays.
    retry_delay_ms      the first delay in milliseconds. None = `retry_delays_ms` rules.
    retry_backoff       how that delay grows.
    retry_max_delay_ms  the longest delay of that curve. None = one day.

    Raises ValueError with a message fit for a user when values are out of range or both curves are given.
    """

    max_retries: int = DEFAULT_RETRIES
    retry_delays_ms: tuple[int, ...] | None = None
    retry_delay_ms: int | None = None
    retry_backoff: Backoff = Backoff.FIXED
    retry_max_delay_ms: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.max_retries <= MAX_RETRIES:
            raise ValueError(f"maxRetries must be between 0 and {MAX_RETRIES}")
        if self.retry_delays_ms is not None:
            if self.retry_delay_ms is not None:
                raise ValueError("give either retryDelaysMs or retryDelayMs, not both")
            if not 1 <= len(self.retry_delays_ms) <= MAX_DELAYS:
                raise ValueError(f"retryDelaysMs must hold 1 to {MAX_DELAYS} delays")
        elif self.retry_delay_ms is None and self.retry_max_delay_ms is not None:
            raise ValueError("retryMaxDelayMs needs retryDelayMs")
        for delay_ms in (*(self.retry_delays_ms or ()), self.retry_delay_ms, self.retry_max_delay_ms):
            if delay_ms is not None and not 0 <= delay_ms <= MAX_DELAY_MS:
                raise ValueError(f"retry delays must be between 0 and {MAX_DELAY_MS} ms")

    def delay_ms(self, retry_number: int) -> int:
        """Milliseconds to wait before retry `retry_number` (from 1), without jitter."""
        if self.retry_delay_ms is None:
            delays = self.retry_delays_ms or DEFAULT_DELAYS_MS
            return delays[min(retry_number, len(delays)) - 1]
        longest = MAX_DELAY_MS if self.retry_max_delay_ms is None else self.retry_max_delay_ms
        if self.retry_backoff is Backoff.FIXED:
            return min(self.retry_delay_ms, longest)
        return min(self.retry_delay_ms << (retry_number - 1), longest)


def next_attempt_at(
    policy: RetryPolicy,
    attempt_number: int,
    outcome: Outcome,
    ended_at: datetime,
    retry_after: timedelta | None,
    dice: random.Random,
) -> datetime | None:
    """The moment of the next attempt, or None after success, a permanent failure or the last retry.

    `attempt_number` is that of the attempt that just ended (from 1) at `ended_at`; `retry_after` is what
    `parse_retry_after` read from its response. The moment is in whole milliseconds, at most 20 % later than
    asked for and never earlier than the policy or the receiver asked.
    """
    if not outcome.retryable or attempt_number > policy.max_retries:
        return None
    asked_for = timedelta(milliseconds=policy.delay_ms(attempt_number))
    if retry_after is not None:
        asked_for = max(asked_for, min(retry_after, MAX_RETRY_AFTER))
    at = ended_at + asked_for * (1 + MAX_JITTER * dice.random())
    # Stores keep milliseconds: cutting the rest off could fall before what was asked for.
    excess = at.microsecond % 1000
    return at if excess == 0 else at + timedelta(microseconds=1000 - excess)


def parse_retry_after(value: str | None, now: datetime) -> timedelta | None:
    """How long a `Retry-After` value asks to wait, from 0 to one day; None when absent or unreadable.

    Both forms of RFC 9110 section 10.2.3 are read: delay-seconds, and an HTTP-date, which is compared with
    `now` (aware). A date in the past asks for no wait.
    """
    if value is None:
        return None
    text = value.strip()
    if re.fullmatch(r"[0-9]{1,18}", text):
        return min(timedelta(seconds=min(int(text), 10**9)), MAX_RETRY_AFTER)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max(moment - now, timedelta(0)), MAX_RETRY_AFTER)
