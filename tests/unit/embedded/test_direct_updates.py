"""Updates that name one document: found without compiling a filter, and written as new versions."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from bson import Decimal128, Int64
from hypothesis import given, settings
from hypothesis import strategies as st

from webhookcron.embedded.collection import Collection
from webhookcron.embedded.direct_updates import DirectUpdates
from webhookcron.embedded.index_specs import IndexSpec
from webhookcron.embedded.matching import compile_filter
from webhookcron.embedded.store import Store
from webhookcron.embedded.updates import compile_update, identical

MOMENT = datetime(2026, 3, 1, 12, 0, 0, 5000)
LATER = datetime(2026, 3, 1, 13)

VALUES: list[Any] = [
    "a",
    "b",
    1,
    1.0,
    Int64(1),
    True,
    False,
    0,
    None,
    MOMENT,
    ["a"],
    [1, "b"],
    {"x": 1},
    [["a"]],
]
OPERANDS: list[Any] = [
    *VALUES,
    {"$ne": "a"},
    {"$ne": 1},
    {"$gt": 0},
    {"$in": ["a"]},
    {"$ne": "a", "$exists": True},
]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "data")
    yield opened
    opened.close()


@pytest.fixture
def collection(store: Store) -> Collection:
    return store.obtain("d", "c")


@pytest.mark.parametrize("operand", OPERANDS, ids=repr)
def test_a_document_that_is_found_directly_is_one_that_the_filter_matches(
    collection: Collection, operand: Any
) -> None:
    documents = [{"_id": f"{n}", "f": value} for n, value in enumerate(VALUES)] + [{"_id": "none"}]
    for document in documents:
        collection.insert(document)
    for document, name in product(documents, ("f", "f.x", "f.0", "$comment")):
        condition = {"_id": document["_id"], name: operand}
        if collection.guarded_record(condition) is not None:
            assert compile_filter(condition)(document), (condition, document)


@pytest.mark.parametrize("guard", [{}, {"status": "running"}, {"status": "running", "at": MOMENT, "n": 3},
                                   {"tokens": {"$ne": "new"}}, {"missing": {"$ne": "new"}}])  # fmt: skip
def test_the_guards_of_the_platform_are_decided_directly(
    collection: Collection, guard: dict[str, Any]
) -> None:
    collection.insert({"_id": "a", "status": "running", "at": MOMENT, "n": 3, "tokens": ["old"]})
    record = collection.record_by_id["a"]
    assert collection.guarded_record({"_id": "a", **guard}) == record
    for other in ({"status": "queued"}, {"tokens": {"$ne": "old"}}, {"at": LATER}):
        assert collection.guarded_record({"_id": "a", **guard, **other}) is None
    assert collection.guarded_record({"_id": "b", **guard}) is None


def test_an_index_follows_only_what_a_change_touches(collection: Collection) -> None:
    for name, key, partial in (
        ("due", {"at": 1}, {"at": {"$type": "date"}}),
        ("list", {"owner": 1, "status": 1, "at": -1}, None),
    ):
        spec: dict[str, Any] = {"name": name, "key": key}
        collection.attach(
            collection.built_index(
                IndexSpec(spec | ({"partialFilterExpression": partial} if partial else {}))
            )
        )
    collection.insert({"_id": "a", "owner": "o", "status": "queued", "at": MOMENT})
    record = collection.record_by_id["a"]
    for change in (
        {"at": LATER},
        {"at": LATER, "status": "done"},
        {"at": None},
        {"at": "text"},
        {"at": [LATER]},
        {"at": MOMENT},
    ):
        new = {**collection.records[record], **change}
        collection.replace(record, new, frozenset({"at", "status"}))
        for index in collection.indexes.values():
            fresh = collection.built_index(index.spec)
            assert list(index.entries) == list(fresh.entries), change


def test_new_changed_and_removed_documents_of_one_commit_are_found_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "data")
    collection = store.obtain("d", "c")
    for name in ("kept", "changed", "removed"):
        collection.insert({"_id": name})
    store.commit()
    collection.replace(collection.record_by_id["changed"], {"_id": "changed", "n": 1}, None)
    collection.remove(collection.record_by_id["removed"])
    collection.insert({"_id": "new"})
    collection.replace(collection.record_by_id["new"], {"_id": "new", "n": 2}, None)
    collection.insert({"_id": "brief"})
    collection.remove(collection.record_by_id["brief"])
    store.commit()
    collection.replace(collection.record_by_id["new"], {"_id": "new", "n": 3}, None)
    store.commit()
    store.close()
    again = Store(tmp_path / "data")
    found = again.find("d", "c")
    assert found is not None
    assert list(found.records.values()) == [
        {"_id": "kept"},
        {"_id": "changed", "n": 1},
        {"_id": "new", "n": 3},
    ]
    again.close()


stored = st.sampled_from([*VALUES, [], ["a", "b"], 2**63 - 1, float("nan"), {"x": {"y": [1]}}])
pushed = st.one_of(
    stored,
    st.fixed_dictionaries(
        {"$each": st.lists(stored, max_size=2)}, optional={"$slice": st.sampled_from([-2, -1, 0, 1, 2, 1.0])}
    ),
)
names = st.sampled_from(["a", "b", "c", "d", "a.x", "_id", "$a"])
updates = st.fixed_dictionaries(
    {},
    optional={
        "$set": st.dictionaries(names, stored, min_size=1, max_size=3),
        "$unset": st.dictionaries(names, st.just(""), min_size=1, max_size=2),
        "$inc": st.dictionaries(names, stored, min_size=1, max_size=2),
        "$max": st.dictionaries(names, stored, min_size=1, max_size=2),
        "$push": st.dictionaries(names, pushed, min_size=1, max_size=2),
        "$min": st.dictionaries(names, stored, min_size=1, max_size=1),
        "$setOnInsert": st.dictionaries(names, stored, min_size=1, max_size=1),
    },
)


@settings(max_examples=1500, deadline=None)
@given(st.lists(updates, min_size=1, max_size=3), st.dictionaries(st.sampled_from("abcd"), stored))
def test_a_direct_update_is_what_the_compiled_one_is(
    given_updates: list[dict[str, Any]], fields: dict[str, Any]
) -> None:
    direct = DirectUpdates()
    document = {"_id": "1", **fields}
    before = repr(document)
    for update in given_updates:
        made = direct.apply(update, document)
        if made is not None:
            compiled = compile_update(update)
            expected = compiled.apply(document)
            assert (made is document) == (expected is document)
            # By their texts, as NaN is not even itself.
            assert repr(list(made.items())) == repr(list(expected.items()))
            assert [type(value) for value in made.values()] == [type(value) for value in expected.values()]
            assert direct.touches == compiled.touches
    assert repr(document) == before


@pytest.mark.parametrize(
    ("update", "expected"),
    [
        (
            {
                "$set": {"status": "done", "at": LATER, "counted": False},
                "$unset": {"claim": ""},
                "$push": {"attempts": {"number": 1, "headers": [["a", "b"]]}},
            },
            {"status": "done", "at": LATER, "counted": False, "attempts": [{"number": 1, "headers": [["a", "b"]]}]},
        ),
        (
            {
                "$inc": {"n": 1},
                "$max": {"at": LATER},
                "$push": {"tokens": {"$each": ["new"], "$slice": -2}},
            },
            {"n": 4, "at": LATER, "tokens": ["older", "new"]},
        ),
        ({"$max": {"at": MOMENT}}, {}),
        ({"$set": {"status": "running"}, "$unset": {"missing": ""}}, {}),
    ],
)  # fmt: skip
def test_the_updates_of_the_platform_are_made_directly(
    update: dict[str, Any], expected: dict[str, Any]
) -> None:
    document = {
        "_id": "1",
        "status": "running",
        "claim": "c",
        "at": MOMENT,
        "n": 3,
        "tokens": ["old", "older"],
    }
    made = DirectUpdates().apply(update, document)
    assert made is not None
    wanted = {**document, **expected}
    if "$unset" in update and "claim" in update["$unset"]:
        del wanted["claim"]
    assert identical(dict(sorted(made.items())), dict(sorted(wanted.items())))


@pytest.mark.parametrize(
    "update",
    [
        {"$set": {"a.b": 1}},
        {"$set": {"_id": "2"}},
        {"$set": {"a": 1}, "$inc": {"a": 1}},
        {"$set": {"a": Decimal128("1")}},
        {"$push": {"a": {"deep": Decimal128("1")}}},
        {"$inc": {"a": "1"}},
        {"$inc": {"text": 1}},
        {"$inc": {"most": 1}},
        {"$push": {"text": 1}},
        {"$push": {"a": {"$each": 1}}},
        {"$rename": {"a": "b"}},
        {"$set": 1},
        {"a": 1},
        {},
        [],
    ],
    ids=repr,
)
def test_what_is_refused_or_rare_is_left_to_the_compiled_form(update: Any) -> None:
    document = {"_id": "1", "text": "x", "most": 2**63 - 1}
    assert DirectUpdates().apply(update, document) is None
