"""Placeholders: a fixed list, replaced once, escaped for where they stand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhookcron.core.placeholders import NAMES, Template, check_json, check_text

VALUES = {"scheduledAt": "2026-01-01T00:00:00.000Z", "executionId": "j:1", "jobId": "j", "attempt": "2"}


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("", ""),
        ("plain", "plain"),
        ("{{ jobId }}", "j"),
        ("{{jobId}}{{  attempt  }}", "j2"),
        ("at {{ scheduledAt }} for {{ executionId }}!", "at 2026-01-01T00:00:00.000Z for j:1!"),
        ("{{ jobid }}", "{{ jobid }}"),
        ("{ {jobId} }", "{ {jobId} }"),
        ("{{ job Id }}", "{{ job Id }}"),
        ("{{{ jobId }}}", "{j}"),
    ],
)
def test_known_placeholders_are_replaced_and_nothing_else(text: str, filled: str) -> None:
    assert Template.of(text).fill(VALUES) == filled


def test_values_are_not_looked_into_again() -> None:
    values = VALUES | {"jobId": "{{ attempt }}"}
    assert Template.of("{{ jobId }}").fill(values) == "{{ attempt }}"


def test_values_are_escaped_and_the_text_around_them_is_not() -> None:
    assert Template.of("a b {{ attempt }}").fill({"attempt": "1 2"}, lambda text: text.replace(" ", "+")) == (
        "a b 1+2"
    )


@given(text=st.text(max_size=80))
def test_text_without_braces_stays_as_it_is(text: str) -> None:
    plain = text.replace("{", "")
    assert Template.of(plain).fill(VALUES) == plain


@pytest.mark.parametrize("text", ["", "{{", "}}", "{{ jobId }}", "{{jobId}}", "{ { x } }", "{{ {} }}"])
def test_text_with_known_placeholders_passes(text: str) -> None:
    check_text(text)


@pytest.mark.parametrize(
    "text", ["{{ jobid }}", "{{}}", "{{ env.SECRET }}", "{{ jobId | upper }}", "a {{b}} {{ jobId }}"]
)
def test_an_unknown_placeholder_is_refused_and_the_known_are_listed(text: str) -> None:
    with pytest.raises(ValueError, match="unknown placeholder") as caught:
        check_text(text)
    assert all(name in str(caught.value) for name in NAMES)


def test_a_long_unknown_placeholder_is_not_repeated_in_full() -> None:
    with pytest.raises(ValueError, match="unknown placeholder") as caught:
        check_text("{{" + "x" * 100_000 + "}}")
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("text", ["{{" + " " * 200_000 + "x", "{{ " * 80_000, "{{" + " " * 100_000 + "}"])
def test_a_payload_made_to_be_read_slowly_is_read_at_once(text: str) -> None:
    # With backtracking over the spaces this would take hours; a run that ends is the proof.
    check_text(text)
    assert Template.of(text).names == ()


@pytest.mark.parametrize(
    "value",
    [{"a": ["{{ x }}"]}, {"{{ x }}": 1}, [[[{"a": {"b": "{{ x }}"}}]]], "{{ x }}"],
)
def test_an_unknown_placeholder_is_found_at_any_depth(value: object) -> None:
    with pytest.raises(ValueError, match="unknown placeholder"):
        check_json(value)


def test_json_with_known_placeholders_passes_however_deep() -> None:
    value: object = "{{ jobId }}"
    for _ in range(5000):
        value = [value, {"{{ attempt }}": 1.5, "b": None}]
    check_json(value)
