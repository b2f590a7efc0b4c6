"""Updates of single documents."""

from datetime import datetime
from typing import Any

import bson
import pytest
from bson import Code, DBRef, Decimal128, Int64

from webhookcron.embedded.adoption import adopt_document
from webhookcron.embedded.errors import CommandError
from webhookcron.embedded.updates import compile_update

EARLY, LATE = datetime(2026, 1, 1), datetime(2026, 1, 2)

CASES: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ({"a": 1}, {"$set": {"b": 2, "a": 3}}, {"a": 3, "b": 2}),
    ({}, {"$set": {"b": 1, "a": 2}}, {"a": 2, "b": 1}),
    ({}, {"$set": {"a.b.c": 1}}, {"a": {"b": {"c": 1}}}),
    ({"a": {"x": 1}}, {"$set": {"a.b": 1}}, {"a": {"x": 1, "b": 1}}),
    ({"a": [1, 2]}, {"$set": {"a.1": 9}}, {"a": [1, 9]}),
    ({"a": [1]}, {"$set": {"a.3": 9}}, {"a": [1, None, None, 9]}),
    ({"a": [{"b": 1}]}, {"$set": {"a.0.b": 2}}, {"a": [{"b": 2}]}),
    ({"a": 1, "b": 2}, {"$unset": {"a": "", "zz": ""}}, {"b": 2}),
    ({"a": {"b": 1, "c": 2}}, {"$unset": {"a.b": ""}}, {"a": {"c": 2}}),
    ({"a": [1, 2]}, {"$unset": {"a.0": ""}}, {"a": [None, 2]}),
    ({"a": 5}, {"$unset": {"a.b": ""}}, {"a": 5}),
    ({"a": 1}, {"$inc": {"a": 2, "b": 3}}, {"a": 3, "b": 3}),
    ({"a": 1}, {"$inc": {"a": 0.5}}, {"a": 1.5}),
    ({"a": 3}, {"$min": {"a": 1}, "$max": {"b": 2}}, {"a": 1, "b": 2}),
    ({"a": 3}, {"$min": {"a": 4}}, {"a": 3}),
    ({"a": EARLY}, {"$max": {"a": LATE}}, {"a": LATE}),
    ({"a": "text"}, {"$max": {"a": 5}}, {"a": "text"}),
    ({"a": None}, {"$max": {"a": 5}}, {"a": 5}),
    ({}, {"$push": {"a": 1}}, {"a": [1]}),
    ({"a": [1]}, {"$push": {"a": [2, 3]}}, {"a": [1, [2, 3]]}),
    ({"a": [1]}, {"$push": {"a": {"$each": [2, 3], "$slice": -2}}}, {"a": [2, 3]}),
    ({"a": [1]}, {"$push": {"a": {"$each": [2, 3], "$slice": 2}}}, {"a": [1, 2]}),
    ({"a": [1]}, {"$push": {"a": {"$each": [], "$slice": 0}}}, {"a": []}),
    ({"a": [1, "x"]}, {"$addToSet": {"a": 1.0}}, {"a": [1, "x"]}),
    ({"a": [1]}, {"$addToSet": {"a": {"$each": [1, 2, 2]}}}, {"a": [1, 2]}),
    ({}, {"$addToSet": {"a": 1}}, {"a": [1]}),
    ({"a": [1, 2, 1]}, {"$pull": {"a": 1}}, {"a": [2]}),
    ({"a": [1, 2, 3]}, {"$pull": {"a": {"$gte": 2}}}, {"a": [1]}),
    ({"a": [1, 2, 3]}, {"$pull": {"a": {"$in": [1, 3]}}}, {"a": [2]}),
    ({"a": [{"b": 1, "c": 1}, {"b": 2}]}, {"$pull": {"a": {"b": 1}}}, {"a": [{"b": 2}]}),
    ({}, {"$pull": {"a": 1}}, {}),
    ({"a": 1}, {"$setOnInsert": {"b": 2}}, {"a": 1}),
    ({"a": 1, "b": 2}, {"c": 3}, {"c": 3}),
    ({"a": 1}, {}, {}),
]


@pytest.mark.parametrize(("document", "update", "expected"), CASES, ids=str)
def test_it_changes_documents_as_mongodb_does(
    document: dict[str, Any], update: dict[str, Any], expected: dict[str, Any]
) -> None:
    before = {"_id": 1, **document}
    kept = bson.encode(before)
    after = compile_update(update).apply(before)
    assert after == {"_id": 1, **expected}
    assert list(after) == ["_id", *expected]
    assert bson.encode(before) == kept, "the old version stays as it was"


@pytest.mark.parametrize(
    ("document", "update"),
    [
        ({"a": 1}, {"$set": {"a": 1}}),
        ({"a": {"b": [1]}}, {"$set": {"a": {"b": [1]}}}),
        ({"a": {"b": 1}}, {"$set": {"a.b": 1}}),
        ({"a": 1}, {"$unset": {"b": ""}}),
        ({"a": 3}, {"$max": {"a": 3}}),
        ({"a": [1]}, {"$addToSet": {"a": 1}}),
        ({"a": [1]}, {"$pull": {"a": 2}}),
        ({"a": 1}, {"$inc": {"a": 0}}),
        ({"a": 1}, {"a": 1}),
        ({}, {"$set": {"_id": 1}}),
    ],
    ids=str,
)
def test_an_update_that_changes_nothing_gives_the_same_object(
    document: dict[str, Any], update: dict[str, Any]
) -> None:
    before = {"_id": 1, **document}
    assert compile_update(update).apply(before) is before


@pytest.mark.parametrize(
    ("before", "argument", "kind"), [(1, Int64(1), Int64), (Int64(1), 1, Int64), (1, 1, int), (1, 1.0, float)]
)
def test_an_increment_keeps_the_wider_number_type(before: Any, argument: Any, kind: type) -> None:
    assert type(compile_update({"$inc": {"a": argument}}).apply({"_id": 1, "a": before})["a"]) is kind


@pytest.mark.parametrize(
    ("update", "code"),
    [
        ({"$set": {"a": 1}, "$inc": {"a": 1}}, 40),
        ({"$set": {"a": 1, "a.b": 1}}, 40),
        ({"$set": {"a.b": 1}, "$unset": {"a": ""}}, 40),
        ({"$set": {"a": 1}, "$setOnInsert": {"a": 2}}, 40),
        ({"$set": {"a": 1}, "b": 1}, 9),
        ({"$foo": {"a": 1}}, 9),
        ({"$set": 5}, 9),
        ({"$mul": {"a": 2}}, 238),
        ({"$currentDate": {"a": True}}, 238),
        ({"$pop": {"a": 1}}, 238),
        ({"$rename": {"a": "b"}}, 238),
        ({"$set": {"a.$": 1}}, 238),
        ({"$set": {"a.$[].b": 1}}, 238),
        ({"$set": {"": 1}}, 56),
        ({"$set": {"a..b": 1}}, 56),
        ({"$set": {"$a": 1}}, 52),
        ({"a": 1, "$b": 1}, 52),
        ({"$inc": {"a": "x"}}, 14),
        ({"$inc": {"a": True}}, 14),
        ({"$push": {"a": {"$each": 1}}}, 2),
        ({"$push": {"a": {"$each": [], "$sort": 1}}}, 238),
        ({"$push": {"a": {"$each": [], "$position": 0}}}, 238),
        ({"$push": {"a": {"$each": [], "$foo": 0}}}, 2),
        ({"$addToSet": {"a": {"$each": 1}}}, 14),
        ([{"$set": {"a": 1}}], 238),
    ],
    ids=str,
)
def test_it_refuses_updates_that_mongodb_refuses_or_that_it_does_not_know(update: Any, code: int) -> None:
    with pytest.raises(CommandError) as caught:
        compile_update(update)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("document", "update", "code"),
    [
        ({"a": "x"}, {"$inc": {"a": 1}}, 14),
        ({"a": None}, {"$inc": {"a": 1}}, 14),
        ({"a": True}, {"$inc": {"a": 1}}, 14),
        ({"a": 2**63 - 1}, {"$inc": {"a": 1}}, 2),
        ({"a": 1}, {"$push": {"a": 1}}, 2),
        ({"a": 1}, {"$addToSet": {"a": 1}}, 2),
        ({"a": 1}, {"$pull": {"a": 1}}, 2),
        ({"a": 1}, {"$set": {"a.b": 1}}, 28),
        ({"a": [1]}, {"$set": {"a.b": 1}}, 28),
        ({}, {"$set": {"_id": 2}}, 66),
        ({}, {"$unset": {"_id": ""}}, 66),
        ({}, {"$inc": {"_id": 1}}, 66),
        ({}, {"_id": 2, "a": 1}, 66),
    ],
    ids=str,
)
def test_it_refuses_changes_that_do_not_suit_the_document(
    document: dict[str, Any], update: Any, code: int
) -> None:
    before = {"_id": 1, **document}
    kept = bson.encode(before)
    with pytest.raises(CommandError) as caught:
        compile_update(update).apply(before)
    assert caught.value.code == code
    assert bson.encode(before) == kept


@pytest.mark.parametrize(
    ("condition", "update", "expected"),
    [
        ({"_id": 5}, {"$set": {"a": 1}}, {"_id": 5, "a": 1}),
        (
            {"_id": 5, "b": {"$eq": 2}, "c": {"$gt": 1}},
            {"$setOnInsert": {"a": 1}},
            {"_id": 5, "b": 2, "a": 1},
        ),
        ({"_id": 5, "$and": [{"x.y": 1}]}, {"$inc": {"n": 1}}, {"_id": 5, "x": {"y": 1}, "n": 1}),
        ({"_id": 5, "b": 1}, {"a": 1}, {"_id": 5, "a": 1}),
        ({"b": 1}, {"_id": 7, "a": 1}, {"_id": 7, "a": 1}),
        ({"b": 1}, {"$set": {"_id": 7}}, {"_id": 7, "b": 1}),
    ],
    ids=str,
)
def test_an_upsert_starts_from_the_equalities_of_its_filter(
    condition: dict[str, Any], update: dict[str, Any], expected: dict[str, Any]
) -> None:
    document = compile_update(update).new_document(condition)
    assert document == expected
    assert next(iter(document)) == "_id"


def test_an_upsert_without_an_id_makes_one() -> None:
    assert isinstance(compile_update({"$set": {"a": 1}}).new_document({"b": 2})["_id"], bson.ObjectId)


@pytest.mark.parametrize(
    "value", [Decimal128("1.5"), Code("x"), DBRef("things", 1), [Decimal128("1")]], ids=str
)
def test_types_it_could_not_compare_are_not_stored(value: Any) -> None:
    for take in (lambda: compile_update({"$set": {"a": value}}), lambda: adopt_document({"a": {"b": value}})):
        with pytest.raises(CommandError) as caught:
            take()
        assert caught.value.code == 238
