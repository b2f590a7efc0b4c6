from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhookcron.manifests.errors import ManifestsWrong
from webhookcron.manifests.yaml_reading import read_yaml
from webhookcron.manifests.yaml_writing import write_yaml


def value_of(text: str) -> Any:
    [document] = read_yaml(text, "jobs.yaml")
    return document.value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("yes", "yes"),
        ("2030-01-31", "2030-01-31"),
        ("2030-01-31T09:00:00Z", "2030-01-31T09:00:00Z"),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("0755", 755),
        ("0o17", 15),
        ("0x1F", 31),
        ("1e3", 1000.0),
        ("-.5", -0.5),
        ("True", True),
        ("'true'", "true"),
        ("0 9 * * 1", "0 9 * * 1"),
    ],
)
def test_a_scalar_is_what_yaml_1_2_takes_it_for(text: str, value: Any) -> None:
    found = value_of(f"a: {text}")["a"]

    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize("text", ["~", "null", ""])
def test_nothing_is_null(text: str) -> None:
    assert value_of(f"a: {text}") == {"a": None}


def test_it_knows_the_line_of_each_value() -> None:
    [document] = read_yaml("jobs:\n  - key: a\n    auth:\n      token: x\n", "jobs.yaml")

    assert document.line(("jobs", 0, "auth", "token")) == 4
    # What is not there would be in its parent.
    assert document.line(("jobs", 0, "name")) == 2


def test_several_documents_keep_their_lines() -> None:
    first, second = read_yaml("a: 1\n---\n\nb: 2\n---\n", "jobs.yaml")

    assert (first.value, second.value, second.line(("b",))) == ({"a": 1}, {"b": 2}, 4)


def test_a_mapping_can_be_merged_into_another() -> None:
    assert value_of("base: &b {a: 1, c: 2}\nother:\n  <<: *b\n  a: 3\n")["other"] == {"c": 2, "a": 3}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2\n", r"jobs.yaml:2: 'a' is given twice, first in line 1"),
        ("{a: 1, a: 2}", "given twice"),
        ("cronExpression: */5 * * * *\n", r'jobs.yaml:1: .*must be quoted: "\*/5 \* \* \* \*"'),
        ("a: {token: ${env:X}}\n", "a reference must be quoted"),
        ("a: .nan\n", "no value of JSON"),
        ("a: !!python/object:os.system {}\n", None),
        ("a:\n\t- b\n", "tabs"),
        ("? [a]\n: b\n", "a name must be text"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, message: str | None) -> None:
    if message is None:
        assert value_of(text) == {"a": {}}
        return
    with pytest.raises(ManifestsWrong, match=message):
        read_yaml(text, "jobs.yaml")


def test_aliases_that_multiply_are_stopped() -> None:
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]

    with pytest.raises(ManifestsWrong, match="holds more than"):
        read_yaml("\n".join(lines), "jobs.yaml")


@pytest.mark.parametrize("text", ["a: &a [*a]", "[" * 200 + "]" * 200, "- " * 2000 + "a"])
def test_nesting_without_end_is_stopped(text: str) -> None:
    with pytest.raises(ManifestsWrong, match="nested deeper"):
        read_yaml(text, "jobs.yaml")


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    # What YAML cannot hold at all, no job may hold either: control characters and halves of pairs.
    | st.text(
        st.characters(exclude_categories=("Cc", "Cs", "Cn", "Co"), include_characters="\n\t"), max_size=30
    ),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=10), inner, max_size=4
        )
    ),
    max_leaves=10,
)


@given(json_values)
def test_what_is_written_is_read_as_it_was(value: Any) -> None:
    [document] = read_yaml(write_yaml({"a": value}), "jobs.yaml")

    assert document.value == {"a": value}


@pytest.mark.parametrize(
    "text", ["1e3", "on", "2030-01-01", "0o17", "null", "*", "a\nb\n", " a", "1:30", "<<", "=", ""]
)
def test_texts_that_look_like_something_else_stay_texts(text: str) -> None:
    [document] = read_yaml(write_yaml({"a": text}), "jobs.yaml")

    assert document.value == {"a": text}


@pytest.mark.parametrize(("text", "line"), [("jobs: [\n", 2), ("jobs:\n  - {a: 1\n\n", 4), ('"', 1)])
def test_a_text_that_ends_too_early_is_told_with_its_last_line(text: str, line: int) -> None:
    with pytest.raises(ManifestsWrong) as wrong:
        read_yaml(text, "jobs.yaml")
    [problem] = wrong.value.problems
    assert (problem.place.line, "is not valid YAML" in problem.message) == (line, True)
