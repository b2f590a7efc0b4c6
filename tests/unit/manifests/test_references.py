from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhookcron.manifests.references import escaped, resolve

ENVIRON = {"TOKEN": "s3cret", "HOST": "example.com"}


def resolved(value: Any) -> tuple[Any, set[Any], list[tuple[Any, str]]]:
    problems: list[tuple[Any, str]] = []
    found, referring = resolve(value, ENVIRON, lambda path, message: problems.append((path, message)))
    return found, set(referring), problems


def test_references_are_replaced_wherever_a_text_stands() -> None:
    value = {"url": "https://${env:HOST}/${env:TOKEN}", "list": [1, {"a": "${env:TOKEN}"}], "plain": "x"}

    found, referring, problems = resolved(value)

    assert found == {"url": "https://example.com/s3cret", "list": [1, {"a": "s3cret"}], "plain": "x"}
    assert referring == {("url",), ("list", 1, "a")}
    assert problems == []


def test_a_value_from_the_environment_is_not_looked_through_again() -> None:
    found, _ = resolve("${env:A}", {"A": "${env:B}", "B": "no"}, lambda *_: None)

    assert found == "${env:B}"


@pytest.mark.parametrize("text", ["$${env:TOKEN}", "$HOME", "${TOKEN}", "{env:TOKEN}", "$(x)"])
def test_what_is_no_reference_stays(text: str) -> None:
    found, referring, problems = resolved(text)

    assert found == text.replace("$$", "$")
    assert (referring, problems) == (set(), [])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${env:NOPE}", "the environment variable NOPE is not set"),
        ("${env:A-B}", "is no reference"),
        ("${env:}", "is no reference"),
        ("${env:TOKEN", "is no reference"),
    ],
)
def test_a_reference_that_cannot_be_replaced_is_told_with_its_place(text: str, message: str) -> None:
    _, _, [(path, told)] = resolved({"auth": {"token": text}})

    assert path == ("auth", "token")
    assert message in told
    assert "s3cret" not in told


@given(st.text(st.sampled_from("${}env:A"), max_size=30))
def test_what_is_escaped_is_resolved_to_itself(text: str) -> None:
    found, referring, problems = resolved(escaped(text))

    assert (found, referring, problems) == (text, set(), [])
