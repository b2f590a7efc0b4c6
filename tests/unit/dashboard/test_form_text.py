"""Lists, pairs and moments in fields of the form."""

from datetime import UTC, datetime

import pytest

from webhookcron.dashboard import form_text


def test_words_stand_between_commas_and_lines() -> None:
    assert form_text.words(" billing, nightly\nops,, ") == ["billing", "nightly", "ops"]


def test_delays_are_a_list_of_durations() -> None:
    assert form_text.delays("1m, 5m,15m") == [60_000, 300_000, 900_000]
    assert form_text.delay_list([60_000, 90_500]) == "1m, 1m 30s 500ms"


def test_headers_stand_one_a_line() -> None:
    text = "X-Team: billing\n\nX-Url: http://a:1/b"
    headers = {"X-Team": "billing", "X-Url": "http://a:1/b"}
    assert form_text.pairs_of_headers(text) == headers
    assert form_text.pairs_of_headers(form_text.header_lines(headers)) == headers


def test_query_parameters_stand_one_a_line() -> None:
    query = {"a": "1=2", "b": ""}
    assert form_text.pairs_of_query(form_text.query_lines(query)) == query


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("X-Team billing", "line 1 must read Name: value"),
        ("A: 1\n: 2", "line 2"),
        ("A: 1\nA: 2", "names A again"),
    ],
)
def test_a_line_that_is_no_pair_is_named(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        form_text.pairs_of_headers(text)


@pytest.mark.parametrize("text", ["1.5", "--1", "x", "²", "9" * 19])
def test_what_is_no_whole_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="whole number"):
        form_text.whole_number(text)


def test_a_moment_is_shown_as_wall_time_of_the_zone() -> None:
    moment = datetime(2030, 7, 1, 9, 0, 5, 123_000, tzinfo=UTC)
    assert form_text.wall_text(moment, "Europe/Berlin") == "2030-07-01T11:00:05"
    assert form_text.wall_text(moment, "Nowhere/City") == "2030-07-01T09:00:05"
