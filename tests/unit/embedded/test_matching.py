"""Filters against single documents."""

import math
from datetime import datetime
from typing import Any

import pytest
from bson import ObjectId, Regex

from webhookcron.embedded.errors import CommandError
from webhookcron.embedded.matching import compile_filter
from webhookcron.embedded.operators import literal_prefix

DAY = datetime(2026, 1, 1)
ID = ObjectId("65a000000000000000000001")

CASES: list[tuple[dict[str, Any], dict[str, Any], bool]] = [
    ({}, {"a": 1}, True),
    # equality
    ({"a": 1}, {"a": 1}, True),
    ({"a": 1}, {"a": 1.0}, True),
    ({"a": 1}, {"a": True}, False),
    ({"a": True}, {"a": 1}, False),
    ({"a": "x"}, {"a": ["w", "x"]}, True),
    ({"a": ["w", "x"]}, {"a": ["w", "x"]}, True),
    ({"a": ["x"]}, {"a": [["x"], 1]}, True),
    ({"a": ["x"]}, {"a": ["x", "y"]}, False),
    ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 2}}, True),
    ({"a": {"b": 1, "c": 2}}, {"a": {"c": 2, "b": 1}}, False),
    ({"a": None}, {}, True),
    ({"a": None}, {"a": None}, True),
    ({"a": None}, {"a": 0}, False),
    ({"a": None}, {"a": [None]}, True),
    ({"a": None}, {"a": []}, False),
    ({"a": ID}, {"a": ID}, True),
    ({"a": math.nan}, {"a": math.nan}, True),
    # dotted paths
    ({"a.b": 1}, {"a": {"b": 1}}, True),
    ({"a.b": 1}, {"a": [{"b": 2}, {"b": 1}]}, True),
    ({"a.b": 1}, {"a": [{"b": [3, 1]}]}, True),
    ({"a.1": 7}, {"a": [5, 7]}, True),
    ({"a.0": 7}, {"a": [5, 7]}, False),
    ({"a.0.b": 7}, {"a": [{"b": 7}]}, True),
    ({"a.0": 7}, {"a": {"0": 7}}, True),
    ({"a.b": None}, {"a": 5}, True),
    ({"a.b": None}, {"a": [{"b": 1}, {}]}, True),
    ({"a.b": None}, {"a": [1, 2]}, False),
    ({"a.b": {"$exists": False}}, {"a": [1, 2]}, True),
    ({"a.b": {"$exists": True}}, {"a": [{}, {"b": None}]}, True),
    # comparisons stay within a type
    ({"a": {"$gt": 1}}, {"a": 2}, True),
    ({"a": {"$gt": 1}}, {"a": "2"}, False),
    ({"a": {"$gt": 1}}, {"a": True}, False),
    ({"a": {"$lt": 1}}, {"a": None}, False),
    ({"a": {"$lt": 1}}, {"a": math.nan}, False),
    ({"a": {"$gte": None}}, {}, True),
    ({"a": {"$gt": None}}, {"a": None}, False),
    ({"a": {"$lte": DAY}}, {"a": DAY}, True),
    ({"a": {"$lte": DAY}}, {}, False),
    ({"a": {"$lt": True}}, {"a": False}, True),
    ({"a": {"$gte": "b", "$lt": "c"}}, {"a": "bz"}, True),
    ({"a": {"$gt": 5, "$lt": 3}}, {"a": [1, 9]}, True),
    ({"a": {"$gt": [1]}}, {"a": [2]}, True),
    ({"a": {"$gt": {"b": 1}}}, {"a": {"b": 2}}, True),
    # $in, $nin, $ne
    ({"a": {"$in": ["x", 1, None]}}, {"a": 1.0}, True),
    ({"a": {"$in": ["x", 1, None]}}, {}, True),
    ({"a": {"$in": ["x", 1]}}, {"a": True}, False),
    ({"a": {"$in": [Regex("^x")]}}, {"a": "xy"}, True),
    ({"a": {"$in": []}}, {"a": 1}, False),
    ({"a": {"$nin": ["x"]}}, {}, True),
    ({"a": {"$nin": ["x"]}}, {"a": ["x", "y"]}, False),
    ({"a": {"$ne": 1}}, {"a": [1, 2]}, False),
    ({"a": {"$ne": None}}, {}, False),
    # existence, logic
    ({"a": {"$exists": True}}, {"a": None}, True),
    ({"a": {"$exists": False}}, {"a": None}, False),
    ({"$or": [{"a": 1}, {"b": 1}]}, {"b": 1}, True),
    ({"$nor": [{"a": 1}, {"b": 1}]}, {"b": 1}, False),
    ({"$and": [{"a": 1}, {"b": 1}]}, {"a": 1, "b": 2}, False),
    ({"a": {"$not": {"$gt": 1}}}, {}, True),
    ({"a": {"$not": Regex("^x")}}, {"a": "xy"}, False),
    # arrays
    ({"a": {"$all": [1, 2]}}, {"a": [2, 1, 3]}, True),
    ({"a": {"$all": [1]}}, {"a": 1}, True),
    ({"a": {"$all": []}}, {"a": []}, False),
    ({"a": {"$size": 2}}, {"a": [1, 2]}, True),
    ({"a": {"$size": 0}}, {}, False),
    ({"a": {"$elemMatch": {"$gt": 1, "$lt": 3}}}, {"a": [1, 3]}, False),
    ({"a": {"$elemMatch": {"$gt": 1, "$lt": 3}}}, {"a": [1, 2]}, True),
    ({"a": {"$elemMatch": {"b": 1, "c": 2}}}, {"a": [{"b": 1}, {"c": 2}]}, False),
    ({"a": {"$elemMatch": {"b": 1, "c": 2}}}, {"a": [{"b": 1, "c": 2}]}, True),
    ({"a": {"$elemMatch": {"b": 1}}}, {"a": {"b": 1}}, False),
    # types
    ({"a": {"$type": "date"}}, {"a": DAY}, True),
    ({"a": {"$type": "number"}}, {"a": 1.5}, True),
    ({"a": {"$type": "string"}}, {"a": [1, "x"]}, True),
    ({"a": {"$type": ["string", "bool"]}}, {"a": False}, True),
    ({"a": {"$type": "int"}}, {"a": 2**40}, False),
    ({"a": {"$type": 10}}, {}, False),
    # patterns
    ({"a": {"$regex": "b.*d$"}}, {"a": "abcd"}, True),
    ({"a": {"$regex": "b.*d$"}}, {"a": "abcd\n"}, True),
    ({"a": {"$regex": "ABC", "$options": "i"}}, {"a": "xabcx"}, True),
    ({"a": {"$regex": "^É", "$options": "i"}}, {"a": "école"}, True),
    ({"a": {"$regex": "b"}}, {"a": 5}, False),
    ({"a": Regex("^x", "i")}, {"a": ["y", "Xy"]}, True),
]


@pytest.mark.parametrize(("condition", "document", "expected"), CASES, ids=str)
def test_it_matches_as_mongodb_does(
    condition: dict[str, Any], document: dict[str, Any], expected: bool
) -> None:
    assert compile_filter(condition)(document) is expected


@pytest.mark.parametrize(
    ("condition", "code"),
    [
        ({"$foo": 1}, 2),
        ({"a": {"$foo": 1}}, 2),
        ({"$where": "true"}, 238),
        ({"$expr": {"$eq": [1, 1]}}, 238),
        ({"$text": {"$search": "x"}}, 238),
        ({"a": {"$mod": [2, 0]}}, 238),
        ({"a": {"$near": []}}, 238),
        ({"a": {"$in": 1}}, 2),
        ({"a": {"$in": [{"$gt": 1}]}}, 2),
        ({"a": {"$nin": 1}}, 2),
        ({"a": {"$all": 1}}, 2),
        ({"$or": []}, 2),
        ({"$or": {}}, 2),
        ({"$and": [1]}, 2),
        ({"a": {"$not": 1}}, 2),
        ({"a": {"$elemMatch": 1}}, 2),
        ({"a": {"$size": "x"}}, 2),
        ({"a": {"$size": -1}}, 2),
        ({"a": {"$type": "nonsense"}}, 2),
        ({"a": {"$type": {}}}, 14),
        ({"a": {"$options": "i"}}, 2),
        ({"a": {"$regex": 5}}, 2),
        ({"a": {"$regex": "x", "$options": "q"}}, 51108),
        ({"a": {"$regex": "("}}, 51091),
        ({"a": {"$regex": "(?=x)"}}, 51091),
        ({"a": {"$gt": 1, "b": 2}}, 2),
        ({"a": {"$gt": Regex("x")}}, 2),
        ({"a..b": 1}, 56),
    ],
    ids=str,
)
def test_it_refuses_what_it_does_not_know(condition: dict[str, Any], code: int) -> None:
    with pytest.raises(CommandError) as caught:
        compile_filter(condition)
    assert caught.value.code == code


def test_it_refuses_a_position_in_an_array_of_arrays() -> None:
    with pytest.raises(CommandError) as caught:
        compile_filter({"a.0": 1})({"a": [[1]]})
    assert caught.value.code == 238


@pytest.mark.parametrize(
    ("pattern", "flags", "prefix"),
    [
        ("^abc", "", "abc"),
        (r"^a\.b", "", "a.b"),
        ("^abc*", "", "ab"),
        ("^ab+", "", "ab"),
        ("^ab{0,1}", "", "a"),
        ("^a[bc]", "", "a"),
        ("^a|b", "", None),
        ("^(a)", "", None),
        ("abc", "", None),
        ("^abc", "i", None),
        ("^abc", "m", None),
        ("^ab$", "", "ab"),
        (r"^\d", "", None),
    ],
)
def test_it_finds_the_text_every_match_starts_with(pattern: str, flags: str, prefix: str | None) -> None:
    assert literal_prefix(Regex(pattern, flags)) == prefix
