"""Reading JSON bodies strictly."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhookcron.api.json_body import MAX_DEPTH, BadJson, parse_json_body

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
NUMBERS = st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@given(JSON, st.booleans())
def test_it_reads_what_json_can_say(value: object, ascii_only: bool) -> None:
    assert parse_json_body(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


def test_it_reads_nesting_up_to_the_bound() -> None:
    parse_json_body(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "not JSON"),
        (b"{'a': 1}", "not JSON"),
        (b'{"a": 1}x', "not JSON"),
        (b"\xff\xfe", "UTF-8"),
        (b'"\xed\xa0\x80"', "UTF-8"),
        (b"NaN", "NaN"),
        (b'{"a": -Infinity}', "Infinity"),
        (b"1e999", "too large"),
        (b"18446744073709551616", "64 bits"),
        (b"9" * 100_000, "64 bits"),
        (b'{"a": 1, "b": 2, "a": 1}', "twice"),
        (b'[{"a": {"b": 1, "b": 2}}]', "twice"),
        (rb'"\ud800"', "surrogate"),
        (rb'{"\udfff": 1}', "surrogate"),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "deeper"),
        (b"[" * 100_000, "deeper"),
        (b'{"a":' * 100_000, "deeper"),
    ],
    ids=range(17),
)
def test_it_refuses(body: bytes, said: str) -> None:
    with pytest.raises(BadJson, match=said) as refused:
        parse_json_body(body)
    assert len(str(refused.value)) < 200


@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_be_refused(body: bytes) -> None:
    with contextlib.suppress(BadJson):
        parse_json_body(body)
