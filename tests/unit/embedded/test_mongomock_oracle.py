"""The engine against mongomock, on the ground where mongomock is right."""

import copy
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import mongomock
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webhookcron.embedded.aggregation import compile_pipeline, run_pipeline
from webhookcron.embedded.collection import Collection
from webhookcron.embedded.errors import CommandError
from webhookcron.embedded.projections import compile_projection
from webhookcron.embedded.sort_patterns import sort_pattern
from webhookcron.embedded.transaction import Transaction
from webhookcron.embedded.updates import compile_update

Document = dict[str, Any]
DAY = datetime(2026, 1, 1)

# mongomock takes True for 1 and compares documents without regard to order, so values keep clear of both.
numbers = st.integers(0, 4)
words = st.sampled_from(["a", "ab", "b", "c"])
moments = st.integers(0, 3).map(lambda days: DAY + timedelta(days=days))
scalars = st.one_of(numbers, words, moments)

documents = st.lists(
    st.fixed_dictionaries(
        {"n": numbers, "w": words},
        optional={
            "at": moments,
            "s": scalars,
            "list": st.lists(scalars, max_size=3),
            "sub": st.fixed_dictionaries({}, optional={"x": numbers, "y": words}),
            # Of an empty array mongomock finds neither a condition on its documents true nor its $not.
            "rows": st.lists(
                st.fixed_dictionaries({"x": numbers}, optional={"y": words}), min_size=1, max_size=3
            ),
        },
    ),
    max_size=8,
).map(lambda found: [{"_id": number, **document} for number, document in enumerate(found)])


def comparison(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Document]:
    return st.dictionaries(
        st.sampled_from(["$gt", "$gte", "$lt", "$lte", "$ne"]), values, min_size=1, max_size=2
    )


def of(path: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[Document]:
    return st.one_of(
        values,
        comparison(values),
        st.lists(values, max_size=3).map(lambda chosen: {"$in": chosen}),
        st.lists(values, max_size=3).map(lambda chosen: {"$nin": chosen}),
        st.booleans().map(lambda flag: {"$exists": flag}),
        comparison(values).map(lambda inner: {"$not": inner}),
    ).map(lambda operand: {path: operand})


clauses = st.one_of(
    of("n", numbers),
    of("w", words),
    of("at", moments),
    of("sub.x", numbers),
    # Of documents in an array, mongomock wants both bounds of a range met by the same one: one bound only.
    st.tuples(st.sampled_from(["$gt", "$lte", "$ne", "$eq"]), numbers).map(
        lambda pair: {"rows.x": {pair[0]: pair[1]}}
    ),
    of("list", words),
    st.lists(words, min_size=1, max_size=2).map(lambda chosen: {"list": {"$all": chosen}}),
    st.integers(0, 3).map(lambda size: {"list": {"$size": size}}),
    st.tuples(numbers, words).map(lambda pair: {"rows": {"$elemMatch": {"x": pair[0], "y": pair[1]}}}),
    words.map(lambda word: {"w": {"$regex": f"^{word}"}}),
)
conditions = st.one_of(
    clauses,
    st.tuples(st.sampled_from(["$and", "$or", "$nor"]), st.lists(clauses, min_size=1, max_size=3)).map(
        lambda pair: {pair[0]: pair[1]}
    ),
    st.just({}),
)
sorts = st.sampled_from(
    [{"n": 1, "_id": 1}, {"w": -1, "_id": -1}, {"at": 1, "_id": 1}, {"sub.x": -1, "_id": 1}]
)
updates = st.one_of(
    st.fixed_dictionaries(
        {"$set": st.dictionaries(st.sampled_from(["n", "s", "sub.x"]), numbers, min_size=1)}
    ),
    st.fixed_dictionaries(
        {"$inc": st.dictionaries(st.sampled_from(["n", "new", "sub.x"]), numbers, min_size=1)}
    ),
    st.sampled_from([{"$unset": {"s": ""}}, {"$unset": {"sub.x": ""}}, {"$unset": {"rows": ""}}]),
    numbers.map(lambda value: {"$max": {"n": value}, "$min": {"other": value}}),
    scalars.map(lambda value: {"$push": {"list": value}}),
    st.lists(scalars, max_size=2).map(lambda each: {"$push": {"list": {"$each": each, "$slice": -2}}}),
    words.map(lambda value: {"$addToSet": {"list": value}}),
    words.map(lambda value: {"$pull": {"list": value}}),
    numbers.map(lambda value: {"$pull": {"rows": {"x": value}}}),
)
pipelines = st.sampled_from(
    [
        [{"$group": {"_id": "$w", "total": {"$sum": "$n"}, "count": {"$sum": 1}}}, {"$sort": {"_id": 1}}],
        [{"$group": {"_id": None, "mean": {"$avg": "$n"}, "least": {"$min": "$n"}, "most": {"$max": "$n"}}}],
        [{"$sort": {"_id": 1}}, {"$group": {"_id": "$w", "all": {"$push": "$n"}}}, {"$sort": {"_id": 1}}],
        [
            {"$sort": {"_id": 1}},
            {"$group": {"_id": {"w": "$w"}, "first": {"$first": "$n"}, "last": {"$last": "$n"}}},
            {"$sort": {"_id": 1}},
        ],
        [{"$match": {"n": {"$gte": 2}}}, {"$sort": {"n": -1, "_id": 1}}, {"$skip": 1}, {"$limit": 2}],
        [{"$unwind": "$list"}, {"$project": {"list": 1}}],
        [{"$project": {"_id": 0, "renamed": "$n", "w": 1}}],
        [{"$project": {"double": {"$multiply": ["$n", 2]}, "big": {"$gt": ["$n", 2]}}}],
        [{"$count": "found"}],
        [
            {"$group": {"_id": "$w", "twos": {"$sum": {"$cond": [{"$eq": ["$n", 2]}, 1, 0]}}}},
            {"$sort": {"_id": 1}},
        ],
    ]
)
projections = st.sampled_from(
    [
        {"n": 1},
        {"n": 1, "_id": 0},
        {"n": 0},
        {"_id": 0},
        {"_id": 1},
        {"sub.x": 1},
        {"sub.x": 0},
        {"rows.x": 1},
    ]
)


def engine(stored: list[Document]) -> Collection:
    made = Collection(1, "db", "things", Transaction(SimpleNamespace()))  # type: ignore[arg-type]
    for document in stored:
        made.insert(copy.deepcopy(document))
    return made


def oracle(stored: list[Document]) -> Any:
    made = mongomock.MongoClient().db.things
    if stored:
        made.insert_many(copy.deepcopy(stored))
    return made


@settings(max_examples=300, deadline=None)
@given(documents, conditions, sorts)
def test_it_finds_and_sorts_as_the_oracle(
    stored: list[Document], condition: Document, sort: Document
) -> None:
    expected = list(oracle(stored).find(condition).sort(list(sort.items())))
    assert list(engine(stored).find(condition, sort_pattern(sort))) == expected


@settings(max_examples=200, deadline=None)
@given(documents, updates)
def test_it_updates_as_the_oracle(stored: list[Document], update: Document) -> None:
    reference = oracle(stored)
    for document in stored:
        try:
            changed = compile_update(copy.deepcopy(update)).apply(document)
        except CommandError:
            with pytest.raises(mongomock.WriteError):
                reference.update_one({"_id": document["_id"]}, copy.deepcopy(update))
        else:
            reference.update_one({"_id": document["_id"]}, copy.deepcopy(update))
            assert changed == reference.find_one({"_id": document["_id"]})


@settings(max_examples=200, deadline=None)
# mongomock makes a group, and a count, of no documents at all; MongoDB does not.
@given(documents.filter(bool), pipelines)
def test_it_aggregates_as_the_oracle(stored: list[Document], pipeline: list[Document]) -> None:
    found = list(run_pipeline(engine(stored).find({}), compile_pipeline(pipeline)))
    assert found == list(oracle(stored).aggregate(pipeline))


@settings(max_examples=100, deadline=None)
@given(documents, projections)
def test_it_projects_as_the_oracle(stored: list[Document], projection: Document) -> None:
    show = compile_projection(projection)
    assert show is not None
    assert [show(document) for document in stored] == list(oracle(stored).find({}, projection))
