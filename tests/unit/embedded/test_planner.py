"""Indexes change how fast an answer comes, never which answer."""

from collections.abc import Callable
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webhookcron.embedded.collection import Collection
from webhookcron.embedded.errors import CommandError
from webhookcron.embedded.index_specs import IndexSpec
from webhookcron.embedded.matching import compile_filter
from webhookcron.embedded.planner import choose_plan
from webhookcron.embedded.sort_patterns import sort_pattern
from webhookcron.embedded.transaction import Transaction
from webhookcron.embedded.updates import compile_update

Document = dict[str, Any]
DAY = datetime(2026, 1, 1)

INDEXES: list[Document] = [
    {"key": {"a": 1}},
    {"key": {"a": -1}},
    {"key": {"b": 1}, "sparse": True},
    {"key": {"at": 1}, "partialFilterExpression": {"at": {"$type": "date"}}},
    {"key": {"a": 1, "at": -1, "_id": -1}},
    {"key": {"a": 1, "b": 1, "at": -1}},
    {"key": {"b": -1, "a": 1}},
    {"key": {"c.d": 1, "a": 1}},
    {"key": {"a": 1, "tags": 1}},
    {"key": {"b": 1}, "partialFilterExpression": {"a": {"$gt": 1}}},
]

scalars = st.sampled_from([None, 0, 1, 2, 2.5, True, "", "a", "ab", "b", DAY, DAY + timedelta(days=1)])
operands = st.one_of(
    scalars,
    st.fixed_dictionaries({}, optional={f"${op}": scalars for op in ("gt", "gte", "lt", "lte", "ne")}).filter(
        bool
    ),
    st.builds(lambda values: {"$in": values}, st.lists(scalars, max_size=3)),
    st.just({"$in": [1, "", "ab", None]}),
    st.builds(lambda flag: {"$exists": flag}, st.booleans()),
    st.sampled_from([{"$type": "date"}, {"$type": "number"}, {"$regex": "^a"}]),
)
conditions = st.one_of(
    st.dictionaries(st.sampled_from(["a", "b", "at", "c.d", "tags", "_id"]), operands, max_size=3),
    st.builds(
        lambda parts: {"$and": parts},
        st.lists(st.dictionaries(st.sampled_from(["a", "at"]), operands, min_size=1), min_size=1, max_size=2),
    ),
)


def without_parallel_arrays(document: Document) -> bool:
    return not (isinstance(document.get("a"), list) and isinstance(document.get("c"), list))


documents = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "a": st.one_of(scalars, st.lists(scalars, max_size=3)),
            "b": scalars,
            "at": st.one_of(st.sampled_from([DAY, DAY + timedelta(days=1)]), scalars),
            "c": st.one_of(
                scalars,
                st.builds(lambda d: {"d": d}, scalars),
                st.lists(st.builds(lambda d: {"d": d}, scalars), max_size=2),
            ),
            "tags": scalars,
        },
    ).filter(without_parallel_arrays),
    max_size=25,
)
sorts = st.sampled_from(
    [
        None,
        {"_id": 1},
        {"a": 1, "_id": 1},
        {"at": -1, "_id": -1},
        {"a": 1, "at": -1, "_id": -1},
        {"b": 1, "_id": 1},
    ]
)


def collection(*indexes: Document) -> Collection:
    made = Collection(1, "db", "things", Transaction(SimpleNamespace()))  # type: ignore[arg-type]
    for number, declaration in enumerate(indexes):
        made.attach(made.built_index(IndexSpec({"name": f"i{number}", **declaration})))
    return made


@settings(max_examples=400, deadline=None)
@given(
    st.one_of(st.just(INDEXES), st.sampled_from(INDEXES).map(lambda index: [index])),
    documents,
    st.lists(
        st.tuples(st.integers(0, 24), st.dictionaries(st.sampled_from("ab"), scalars, min_size=1)), max_size=8
    ),
    conditions,
    sorts,
    st.sampled_from([None, 1, 3]),
)
def test_a_search_by_index_finds_what_a_scan_finds(
    indexes: list[Document],
    stored: list[Document],
    changes: list[tuple[int, Document]],
    condition: Document,
    sort: Document | None,
    limit: int | None,
) -> None:
    plain, indexed = collection(), collection(*indexes)
    for target in (plain, indexed):
        for number, document in enumerate(stored):
            target.insert({"_id": number, **document})
        for number, values in changes:
            if number < len(stored):
                record = target.record_by_id[number]
                update = compile_update({"$set": values})
                target.replace(record, update.apply(target.records[record]), update.touches)
    pattern = sort_pattern(sort)
    expected = [d["_id"] for d in plain.find(condition, pattern, limit)]
    found = [d["_id"] for d in indexed.find(condition, sort_pattern(sort), limit)]
    assert indexed.count(condition) == len(list(plain.find(condition)))
    if sort is None:
        assert sorted(found) == sorted(expected)
    else:
        assert found[:limit] == expected[:limit]


@settings(max_examples=200, deadline=None)
@given(
    documents,
    st.dictionaries(
        st.sampled_from(["a", "b"]),
        st.one_of(
            st.sampled_from(["", "x", "y"]),
            st.lists(st.sampled_from(["", "x", "y"]), max_size=3).map(lambda values: {"$in": values}),
        ),
    ),
)
def test_counting_texts_by_index_gives_what_a_scan_gives(stored: list[Document], condition: Document) -> None:
    plain, indexed = collection(), collection({"key": {"b": 1, "a": 1}}, {"key": {"b": 1}}, {"key": {"a": 1}})
    for number, document in enumerate(stored):
        text = {"b": ["", "x", "y"][number % 3]}
        for target in (plain, indexed):
            target.insert({"_id": number, **document, **text})
    assert indexed.count(condition) == len(list(plain.find(condition)))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(scalars, st.integers(0, 5)), max_size=25),
    st.lists(scalars, min_size=1, max_size=4),
    st.integers(0, 5),
    st.booleans(),
)
def test_walks_behind_several_values_are_merged_in_order(
    stored: list[tuple[Any, int]], wanted: list[Any], day: int, descending: bool
) -> None:
    target = collection({"key": {"a": 1, "at": -1, "_id": -1}})
    for number, (value, days) in enumerate(stored):
        target.insert({"_id": number, "a": value, "at": DAY + timedelta(days=days)})
    condition = {"a": {"$in": wanted}, "at": {"$gte": DAY + timedelta(days=day)}}
    direction = -1 if descending else 1
    pattern = sort_pattern({"at": direction, "_id": direction})
    assert pattern is not None
    plan = choose_plan(list(target.indexes.values()), condition, pattern, None)
    assert plan is not None
    assert plan.sorted_already
    matching = [document for document in target.records.values() if compile_filter(condition)(document)]
    assert list(target.find(condition, pattern)) == sorted(matching, key=pattern.sort_key)


@settings(max_examples=50, deadline=None)
@given(documents, st.lists(st.integers(0, 24), max_size=15))
def test_undoing_every_change_brings_back_what_was_there(stored: list[Document], removed: list[int]) -> None:
    target = collection(*INDEXES)
    transaction = target._transaction
    for number, document in enumerate(stored):
        target.insert({"_id": number, **document})
    transaction._forget()
    before = (dict(target.records), [list(index.entries) for index in target.indexes.values()])
    for number in removed:
        record = target.record_by_id.get(number)
        if record is not None:
            target.replace(record, {"_id": number, "a": "changed"}, None)
            if number % 2:
                target.remove(record)
    target.insert({"_id": "new", "a": [1, 2]})
    transaction.roll_back()
    assert (target.records, [list(index.entries) for index in target.indexes.values()]) == before


EXECUTIONS = [
    {"key": {"checkAt": 1}, "partialFilterExpression": {"checkAt": {"$type": "date"}}},
    {"key": {"jobId": 1, "scheduledAt": -1, "_id": -1}},
    {"key": {"ownerId": 1, "scheduledAt": -1, "_id": -1}},
    {"key": {"ownerId": 1, "status": 1, "scheduledAt": -1, "_id": -1}},
]


@pytest.fixture(scope="module")
def executions() -> Collection:
    made = collection(*EXECUTIONS)
    for number in range(3000):
        made.insert(
            {
                "_id": f"e{number:05}",
                "jobId": f"j{number % 10}",
                "ownerId": f"o{number % 2}",
                "status": "success" if number % 10 else "queued",
                "scheduledAt": DAY + timedelta(seconds=number),
                **({} if number % 10 else {"checkAt": DAY + timedelta(seconds=number)}),
            }
        )
    return made


NEWEST = {"scheduledAt": -1, "_id": -1}


@pytest.mark.parametrize(
    ("condition", "sort", "index", "most_looked_at"),
    [
        ({"jobId": "j1"}, NEWEST, "i1", 20),
        ({"ownerId": "o1"}, NEWEST, "i2", 20),
        ({"ownerId": "o0", "status": "queued"}, NEWEST, "i3", 20),
        ({"ownerId": "o0", "status": {"$in": ["queued", "success"]}}, NEWEST, "i3", 25),
        ({"ownerId": "o1", "scheduledAt": {"$lt": DAY + timedelta(seconds=99)}}, NEWEST, "i2", 20),
        ({"ownerId": "o1"}, {"scheduledAt": 1, "_id": 1}, "i2", 20),
        ({"checkAt": {"$lte": DAY + timedelta(hours=1)}}, {"checkAt": 1}, "i0", 20),
    ],
    ids=str,
)
def test_a_page_by_index_looks_at_little_more_than_the_page(
    executions: Collection,
    condition: Document,
    sort: Document,
    index: str,
    most_looked_at: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan = choose_plan(list(executions.indexes.values()), condition, sort_pattern(sort), 20)
    assert plan is not None
    assert (plan.index.spec.name, plan.sorted_already) == (index, True)
    records = CountingRecords(executions.records)
    monkeypatch.setattr(executions, "records", records)
    found = executions.matching_records(condition, sort_pattern(sort), 20)
    page = [executions.records[next(found)]["_id"] for _ in range(20)]
    looked_at = records.looked_at - len(page)
    assert looked_at <= most_looked_at
    matching = [document for document in records.values() if compile_filter(condition)(document)]
    in_order = sorted(matching, key=sort_pattern(sort).sort_key)  # type: ignore[union-attr]
    assert page == [document["_id"] for document in in_order[:20]]


class CountingRecords(dict[int, Document]):
    """Records that count how often one is read."""

    looked_at = 0

    def __getitem__(self, record: int) -> Document:
        self.looked_at += 1
        return super().__getitem__(record)


@pytest.mark.parametrize(
    "condition",
    [{"checkAt": None}, {"checkAt": {"$exists": True}}, {"checkAt": {"$gt": 5}}, {"status": "queued"}],
)
def test_a_partial_index_serves_only_filters_that_imply_its_own(
    executions: Collection, condition: Document
) -> None:
    assert choose_plan(list(executions.indexes.values()), condition, None, None) is None


def refused(action: Callable[[], object]) -> CommandError:
    with pytest.raises(CommandError) as caught:
        action()
    return caught.value


def test_a_unique_index_refuses_a_second_document_and_leaves_no_trace_of_it() -> None:
    target = collection({"key": {"a": 1, "b": 1}, "unique": True}, {"key": {"b": 1}})
    target.insert({"_id": 1, "a": 1, "b": 2})
    error = refused(lambda: target.insert({"_id": 2, "a": 1.0, "b": 2}))
    assert error.code == 11000
    assert error.details == {"keyPattern": {"a": 1, "b": 1}, "keyValue": {"a": 1.0, "b": 2}}
    assert [len(index.entries) for index in target.indexes.values()] == [1, 1]
    assert list(target.record_by_id) == [1]


def test_a_unique_array_may_repeat_its_own_values_but_not_those_of_others() -> None:
    target = collection({"key": {"a": 1}, "unique": True})
    target.insert({"_id": 1, "a": ["x", "x", "y"]})
    assert refused(lambda: target.insert({"_id": 2, "a": ["z", "y"]})).code == 11000


def test_two_arrays_in_one_index_key_are_refused() -> None:
    target = collection({"key": {"a": 1, "b": 1}})
    assert refused(lambda: target.insert({"_id": 1, "a": [1], "b": [2]})).code == 171
    assert target.records == {}


@pytest.mark.parametrize(
    ("declaration", "code"),
    [
        ({"key": {}, "name": "x"}, 67),
        ({"key": {"a": 0}, "name": "x"}, 67),
        ({"key": {"a": "text"}, "name": "x"}, 238),
        ({"key": {"a": "hashed"}, "name": "x"}, 238),
        ({"key": {"$**": 1}, "name": "x"}, 238),
        ({"key": {"a.0": 1}, "name": "x"}, 238),
        ({"key": {"a": 1}}, 9),
        ({"key": {"a": 1}, "name": "x", "collation": {"locale": "de"}}, 238),
        ({"key": {"a": 1}, "name": "x", "nonsense": 1}, 197),
        ({"key": {"a": 1, "b": 1}, "name": "x", "expireAfterSeconds": 5}, 67),
        ({"key": {"a": 1}, "name": "x", "expireAfterSeconds": -5}, 67),
        ({"key": {"a": 1}, "name": "x", "expireAfterSeconds": "5"}, 14),
        ({"key": {"a": 1}, "name": "x", "sparse": True, "partialFilterExpression": {"a": 1}}, 67),
        ({"key": {"a": 1}, "name": "x", "partialFilterExpression": {"$or": [{"a": 1}]}}, 67),
        ({"key": {"a": 1}, "name": "x", "partialFilterExpression": {"a": {"$ne": 1}}}, 67),
        ({"key": {"a": 1}, "name": "x", "partialFilterExpression": {"a": {"$exists": False}}}, 67),
    ],
    ids=str,
)
def test_it_refuses_index_declarations_it_cannot_keep(declaration: Document, code: int) -> None:
    def declare() -> None:
        target = collection()
        target.built_index(IndexSpec(declaration))

    assert refused(declare).code == code
