"""When an execution is tried again: the curves, their jitter, Retry-After, and when not at all."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhookcron.core.outcomes import SUCCESS, Failure, FailureKind, Outcome
from webhookcron.core.retries import Backoff, RetryPolicy, next_attempt_at, parse_retry_after

ENDED_AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TIMED_OUT = Outcome.of_failure(Failure(FailureKind.TIMEOUT, "late"))
BLOCKED = Outcome.of_failure(Failure(FailureKind.BLOCKED, "private"))


class LoadedDice(random.Random):
    """Dice that always show the same number."""

    def __init__(self, number: float) -> None:
        super().__init__()
        self._number = number

    def random(self) -> float:
        return self._number


def _delay(
    policy: RetryPolicy, attempt: int, *, retry_after: timedelta | None = None, dice: float = 0.0
) -> timedelta | None:
    at = next_attempt_at(policy, attempt, TIMED_OUT, ENDED_AT, retry_after, LoadedDice(dice))
    return None if at is None else at - ENDED_AT


@pytest.mark.parametrize(
    ("policy", "seconds"),
    [
        (RetryPolicy(), [60, 300, 900, None]),
        (RetryPolicy(max_retries=5), [60, 300, 900, 900, 900, None]),
        (RetryPolicy(max_retries=0), [None]),
        (RetryPolicy(max_retries=3, retry_delays_ms=(1000, 2000)), [1, 2, 2, None]),
        (RetryPolicy(max_retries=2, retry_delays_ms=(0,)), [0, 0, None]),
        (RetryPolicy(max_retries=2, retry_delay_ms=5000), [5, 5, None]),
        (
            RetryPolicy(max_retries=4, retry_delay_ms=1000, retry_backoff=Backoff.EXPONENTIAL),
            [1, 2, 4, 8, None],
        ),
        (
            RetryPolicy(
                max_retries=4,
                retry_delay_ms=1000,
                retry_backoff=Backoff.EXPONENTIAL,
                retry_max_delay_ms=3000,
            ),
            [1, 2, 3, 3, None],
        ),
        (RetryPolicy(max_retries=1, retry_delay_ms=5000, retry_max_delay_ms=3000), [3, None]),
    ],
)
def test_the_delays_follow_the_policy(policy: RetryPolicy, seconds: list[int | None]) -> None:
    delays = [_delay(policy, attempt) for attempt in range(1, len(seconds) + 1)]
    assert delays == [None if second is None else timedelta(seconds=second) for second in seconds]


def test_a_hundredth_exponential_delay_stays_within_a_day() -> None:
    policy = RetryPolicy(max_retries=100, retry_delay_ms=60_000, retry_backoff=Backoff.EXPONENTIAL)
    assert _delay(policy, 100) == timedelta(days=1)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"retry_delays_ms": (1000,), "retry_delay_ms": 1000}, "not both"),
        ({"retry_delays_ms": ()}, "1 to 100"),
        ({"retry_delays_ms": (-1,)}, "between 0"),
        ({"retry_delay_ms": 86_400_001}, "between 0"),
        ({"retry_max_delay_ms": 1000}, "needs retryDelayMs"),
        ({"max_retries": -1}, "maxRetries"),
        ({"max_retries": 101}, "maxRetries"),
    ],
)
def test_a_contradictory_policy_is_refused(arguments: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        RetryPolicy(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("outcome", [SUCCESS, BLOCKED])
def test_success_and_permanent_failure_are_not_tried_again(outcome: Outcome) -> None:
    assert next_attempt_at(RetryPolicy(), 1, outcome, ENDED_AT, None, LoadedDice(0)) is None


def test_jitter_adds_up_to_a_fifth() -> None:
    assert _delay(RetryPolicy(), 1, dice=0.5) == timedelta(seconds=66)
    assert _delay(RetryPolicy(), 1, dice=1.0) == timedelta(seconds=72)


def test_retry_after_makes_it_later() -> None:
    assert _delay(RetryPolicy(), 1, retry_after=timedelta(minutes=10)) == timedelta(minutes=10)


def test_retry_after_does_not_make_it_earlier() -> None:
    assert _delay(RetryPolicy(), 1, retry_after=timedelta(seconds=1)) == timedelta(seconds=60)


@given(
    delay_ms=st.integers(0, 86_400_000),
    dice=st.floats(0, 1, exclude_max=True),
    after_seconds=st.none() | st.integers(0, 86_400),
    microsecond=st.integers(0, 999_999),
)
def test_it_is_never_earlier_than_asked_and_at_most_a_fifth_later(
    delay_ms: int, dice: float, after_seconds: int | None, microsecond: int
) -> None:
    ended_at = ENDED_AT.replace(microsecond=microsecond)
    retry_after = None if after_seconds is None else timedelta(seconds=after_seconds)
    policy = RetryPolicy(retry_delays_ms=(delay_ms,))
    at = next_attempt_at(policy, 1, TIMED_OUT, ended_at, retry_after, LoadedDice(dice))
    assert at is not None
    asked_for = max(timedelta(milliseconds=delay_ms), retry_after or timedelta(0))
    assert ended_at + asked_for <= at <= ended_at + asked_for * 1.2 + timedelta(milliseconds=1)
    assert at.microsecond % 1000 == 0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", 0),
        ("120", 120),
        (" 120 ", 120),
        ("86400", 86_400),
        ("86401", 86_400),
        ("9" * 18, 86_400),
        ("9" * 19, None),
        ("-5", None),
        ("1.5", None),
        ("\u0663", None),
        ("soon", None),
        (format_datetime(ENDED_AT + timedelta(seconds=90), usegmt=True), 90),
        (format_datetime(ENDED_AT - timedelta(seconds=90), usegmt=True), 0),
        (format_datetime(ENDED_AT + timedelta(days=9), usegmt=True), 86_400),
        ("Sun, 01 Mar 2026 12:01:30 -0000", 90),
        ("Sunday, 01-Mar-26 12:01:30 GMT", 90),
        ("Sun Mar  1 12:01:30 2026", 90),
        ("Sun, 99 Mar 2026 12:01:30 GMT", None),
    ],
)
def test_retry_after_is_read_in_both_forms_and_bounded_to_a_day(
    value: str | None, seconds: int | None
) -> None:
    expected = None if seconds is None else timedelta(seconds=seconds)
    assert parse_retry_after(value, ENDED_AT) == expected


@given(value=st.text(max_size=60))
def test_whatever_a_server_sends_is_read_without_an_error(value: str) -> None:
    wait = parse_retry_after(value, ENDED_AT)
    assert wait is None or timedelta(0) <= wait <= timedelta(days=1)
