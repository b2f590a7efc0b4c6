"""Durations as people write and read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhookcron.dashboard.durations import exact_duration, milliseconds, short_duration


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("250ms", 250),
        ("30s", 30_000),
        ("5m", 300_000),
        ("1h 30m", 5_400_000),
        ("1h30m", 5_400_000),
        ("2 d", 172_800_000),
        (" 10 S ", 10_000),
        ("0s", 0),
    ],
)
def test_durations_are_read(text: str, expected: int) -> None:
    assert milliseconds(text) == expected


@pytest.mark.parametrize("text", ["", "5", "m", "-5s", "1.5s", "5 minutes", "٣s", "5s,", "1h 5"])
def test_what_is_no_duration_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match="such as 30s, 5m"):
        milliseconds(text)


@given(st.integers(0, 10**12))
def test_what_is_written_exactly_reads_the_same(value: int) -> None:
    assert milliseconds(exact_duration(value)) == value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "0 ms"),
        (0.44, "0.4 ms"),
        (12, "12 ms"),
        (999, "999 ms"),
        (1_240, "1.24 s"),
        (59_940, "59.9 s"),
        (185_000, "3 m 5 s"),
        (7_800_000, "2 h 10 m"),
        (345_600_000, "4 d"),
    ],
)
def test_short_words_keep_what_matters(value: float, expected: str) -> None:
    assert short_duration(value) == expected
