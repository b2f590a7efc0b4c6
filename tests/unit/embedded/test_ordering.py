"""Keys compare as the BSON values do."""

import math
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest
from bson import Binary, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from hypothesis import given
from hypothesis import strategies as st

from webhookcron.embedded.errors import CommandError
from webhookcron.embedded.ordering import (
    AFTER_PREFIX,
    MISSING,
    encode_value,
    hashable_id,
    inverted,
    same_value,
)

ASCENDING: list[Any] = [
    MinKey(),
    None,
    math.nan,
    -math.inf,
    -(2**63),
    -1.5,
    -1,
    0,
    0.5,
    1,
    2**53,
    2**53 + 1,
    2**63 - 1,
    1e300,
    math.inf,
    "",
    "a",
    "a\0",
    "a\0b",
    "aa",
    "é",
    "\U0001f600",
    {},
    {"a": None},
    {"a": 1},
    {"b": 1},
    {"a": "x"},
    [],
    [1],
    [1, 2],
    [2],
    ["a"],
    b"",
    b"b",
    b"ab",
    Binary(b"ab", 5),
    ObjectId("000000000000000000000001"),
    ObjectId("ffffffffffffffffffffffff"),
    False,
    True,
    datetime(1900, 1, 1),
    datetime(1970, 1, 1),
    datetime(2026, 1, 1, 0, 0, 0, 1000),
    Timestamp(1, 1),
    Timestamp(1, 2),
    Regex("a"),
    MaxKey(),
]

numbers = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.integers(-3, 3),
    st.sampled_from([-0.0, 0.0]),
)
values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        numbers,
        st.text(max_size=4),
        st.binary(max_size=4),
        st.datetimes(datetime(1902, 1, 1), datetime(2100, 1, 1)).map(lambda d: d.replace(microsecond=0)),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=2), inner, max_size=3)
    ),
    max_leaves=6,
)


@pytest.mark.parametrize(("lesser", "greater"), list(pairwise(ASCENDING)))
def test_it_orders_values_of_all_types(lesser: Any, greater: Any) -> None:
    assert encode_value(lesser) < encode_value(greater)
    assert inverted(encode_value(lesser)) > inverted(encode_value(greater))


@given(numbers, numbers)
def test_it_orders_numbers_exactly_whatever_their_type(left: float, right: float) -> None:
    assert (encode_value(left) < encode_value(right)) == (left < right)
    assert (encode_value(left) == encode_value(right)) == (left == right)


@given(st.text(), st.text())
def test_it_orders_strings_by_code_points(left: str, right: str) -> None:
    assert (encode_value(left) < encode_value(right)) == (left < right)


@given(values, values, values, values, st.booleans(), st.booleans())
def test_joined_keys_compare_field_by_field(
    a: Any, b: Any, c: Any, d: Any, first_down: bool, second_down: bool
) -> None:
    def joined(first: Any, second: Any) -> bytes:
        keys = [encode_value(first), encode_value(second)]
        if first_down:
            keys[0] = inverted(keys[0])
        if second_down:
            keys[1] = inverted(keys[1])
        return keys[0] + keys[1]

    def expected(left: Any, right: Any, down: bool) -> int:
        one, other = encode_value(left), encode_value(right)
        return ((one > other) - (one < other)) * (-1 if down else 1)

    order = expected(a, c, first_down) or expected(b, d, second_down)
    left, right = joined(a, b), joined(c, d)
    assert (left > right) - (left < right) == order


@given(values, values)
def test_a_whole_key_is_never_the_beginning_of_another(left: Any, right: Any) -> None:
    one, other = encode_value(left), encode_value(right)
    assert one == other or not (other.startswith(one) or one.startswith(other))


@given(values, values, st.booleans())
def test_everything_that_starts_with_a_key_lies_before_its_end(
    value: Any, following: Any, down: bool
) -> None:
    key, next_key = encode_value(value), encode_value(following)
    if down:
        key, next_key = inverted(key), inverted(next_key)
    assert key <= key + next_key < key + AFTER_PREFIX


@given(st.text(max_size=4), st.text(max_size=4), values, st.booleans())
def test_strings_that_start_with_a_text_lie_before_its_end(
    text: str, rest: str, following: Any, down: bool
) -> None:
    start, key = encode_value(text)[:-1], encode_value(text + rest) + encode_value(following)
    if down:
        start, key = inverted(start), inverted(key)
    assert start <= key < start + AFTER_PREFIX


def test_a_missing_field_sorts_as_null() -> None:
    assert encode_value(MISSING) == encode_value(None)


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        (1, 1.0, True),
        (1, Int64(1), True),
        (1, True, False),
        (0, False, False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, False),
        ([1], [1.0], True),
        (b"a", Binary(b"a", 0), True),
        (b"a", Binary(b"a", 5), False),
        ("1", 1, False),
    ],
)
def test_it_tells_equal_values_as_bson_does(left: Any, right: Any, equal: bool) -> None:
    assert same_value(left, right) is equal
    assert (hashable_id(left) == hashable_id(right)) is equal


def test_it_refuses_to_compare_what_it_cannot_order() -> None:
    with pytest.raises(CommandError, match="Decimal128") as caught:
        encode_value(Decimal128("1.5"))
    assert caught.value.code == 238
