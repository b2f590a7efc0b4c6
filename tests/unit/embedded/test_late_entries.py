"""Index entries follow changes late, and whoever asks for them finds them as if they had followed at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webhookcron.embedded.collection import Collection
from webhookcron.embedded.entry_list import EntryList
from webhookcron.embedded.errors import CommandError
from webhookcron.embedded.index_specs import IndexSpec
from webhookcron.embedded.ordering import (
    descending_moment_key,
    descending_text_key,
    encode_value,
    inverted,
    moment_key,
    text_key,
)
from webhookcron.embedded.sort_patterns import SortPattern
from webhookcron.embedded.store import Store
from webhookcron.embedded.transaction import Transaction

DAY = datetime(2026, 1, 1)

INDEXES: list[dict[str, Any]] = [
    {"key": {"a": 1}},
    {"key": {"a": 1, "at": -1, "_id": -1}},
    {"key": {"b": -1, "tags": -1, "a": 1}},
    {"key": {"at": 1}, "partialFilterExpression": {"at": {"$type": "date"}}},
    {"key": {"b": 1}, "sparse": True},
    {"key": {"c.d": 1, "a": 1}},
    {"key": {"u": 1}, "unique": True, "partialFilterExpression": {"u": {"$type": "string"}}},
]

scalars = st.sampled_from([None, 0, 1, 1.0, True, "", "a", "a\0", "\1b", DAY, DAY + timedelta(days=1)])
values = st.fixed_dictionaries(
    {},
    optional={
        "a": st.one_of(scalars, st.lists(scalars, max_size=3)),
        "at": scalars,
        "b": scalars,
        "tags": st.one_of(scalars, st.lists(scalars, max_size=2)),
        "c": st.one_of(scalars, st.builds(lambda d: {"d": d}, scalars)),
        "u": st.sampled_from(["x", "y", "z", None]),
    },
)
steps = st.lists(
    st.tuples(
        st.sampled_from(["insert", "replace", "remove", "look", "catch up", "commit", "roll back"]),
        st.integers(0, 5),
        values,
    ),
    max_size=40,
)


def collection() -> Collection:
    made = Collection(1, "db", "things", Transaction(SimpleNamespace()))  # type: ignore[arg-type]
    for number, declaration in enumerate(INDEXES):
        made.attach(made.built_index(IndexSpec({"name": f"i{number}", **declaration})))
    return made


@settings(max_examples=300, deadline=None)
@given(steps)
def test_entries_are_those_of_an_index_built_anew(
    taken: list[tuple[str, int, dict[str, Any]]],
) -> None:
    target = collection()
    transaction = target._transaction
    refusals: list[int] = []
    for action, number, fields in taken:
        record = target.record_by_id.get(number)
        try:
            if action == "insert":
                target.insert({"_id": number, **fields})
            elif action == "replace" and record is not None:
                target.replace(record, {**target.records[record], **fields}, frozenset(fields))
            elif action == "remove" and record is not None:
                target.remove(record)
        except CommandError as error:
            refusals.append(error.code)
        if action == "look":
            target.all_indexes[number].entries.bisect_left(b"")
        elif action == "catch up":
            target.all_indexes[number].catch_up()
        elif action == "commit":
            transaction._forget()
        elif action == "roll back":
            transaction.roll_back()
    assert set(refusals) <= {11000, 171}
    for index in target.all_indexes:
        assert list(index.entries) == list(target.built_index(index.spec).entries)


@pytest.mark.parametrize("value", ["", "a", "a\0", "\1", "ä", "a" * 300])
def test_remembered_keys_of_texts_are_their_keys(value: str) -> None:
    for _ in range(2):
        assert text_key(value) == encode_value(value)
        assert descending_text_key(value) == inverted(encode_value(value))


@pytest.mark.parametrize("value", [DAY, datetime(1969, 12, 31, 23, 59, 59, 999999), datetime.max])
def test_remembered_keys_of_moments_are_their_keys(value: datetime) -> None:
    for _ in range(2):
        assert moment_key(value) == encode_value(value)
        assert descending_moment_key(value) == inverted(encode_value(value))


def test_a_document_that_an_index_cannot_hold_is_refused_at_once() -> None:
    target = collection()
    target.insert({"_id": 1, "tags": ["x"]})

    def refused(action: Callable[[], object]) -> int:
        with pytest.raises(CommandError) as caught:
            action()
        return caught.value.code

    parallel = {"_id": 1, "tags": ["x"], "b": ["y"]}
    assert refused(lambda: target.insert({**parallel, "_id": 2})) == 171
    assert refused(lambda: target.replace(target.record_by_id[1], parallel, frozenset({"b"}))) == 171
    assert refused(lambda: target.insert({"_id": 3, "c": [{"d": 1}], "a": [1]})) == 171
    assert list(target.records.values()) == [{"_id": 1, "tags": ["x"]}]


def test_a_store_lets_few_records_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webhookcron.embedded.store._MOST_LATE", 10)
    store = Store(tmp_path / "data")
    target = store.obtain("d", "c")
    target.attach(target.built_index(IndexSpec({"name": "i", "key": {"a": 1}})))
    [index] = target.all_indexes
    for number in range(11):
        target.insert({"_id": number, "a": number})
        if number == 9:
            store.commit()
            assert index.late == 10
    store.commit()
    assert index.late == 0
    for number in range(100, 2100):
        target.insert({"_id": number, "a": number})
    store.commit()
    assert index.late == 10
    while store.catch_up():
        pass
    target.insert({"_id": 11, "a": 11})
    assert store.catch_up()
    assert not store.catch_up()
    store.close()


@settings(max_examples=300, deadline=None)
@given(st.lists(values, max_size=6), st.sampled_from(INDEXES))
def test_entries_of_several_documents_are_those_of_each(
    documents: list[dict[str, Any]], declaration: dict[str, Any]
) -> None:
    pattern = SortPattern(((path, down < 0) for path, down in declaration["key"].items()), "an index")
    expected: list[bytes] = []
    for number, document in enumerate(documents):
        try:
            expected += [key + bytes([number]) for key in pattern.keys(document)]
        except CommandError:
            return
    again = SortPattern(((path, down < 0) for path, down in declaration["key"].items()), "an index")
    found = again.entries(documents, [bytes([number]) for number in range(len(documents))])
    assert sorted(found) == sorted(expected)
    assert again.array_fields == pattern.array_fields


@settings(max_examples=300, deadline=None)
@given(
    st.sets(st.integers(0, 500)),
    st.lists(st.builds(range, st.integers(0, 400), st.integers(0, 500)), max_size=4),
    st.booleans(),
)
def test_runs_of_entries_are_added_in_order(first: set[int], runs: list[range], long: bool) -> None:
    entries = EntryList(number.to_bytes(2, "big") for number in first)
    entries._reset(8)
    expected = {number.to_bytes(2, "big") for number in first}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("webhookcron.embedded.entry_list._LONG_RUN", 2 if long else 1000)
        for run in runs:
            added = {number.to_bytes(2, "big") for number in run} - expected
            entries.add_run(sorted(added))
            expected |= added
            entries._check()
            assert list(entries) == sorted(expected)
            for value in list(expected)[:5]:
                assert entries[entries.index(value)] == value
            if expected:
                gone = max(expected)
                entries.remove(gone)
                expected.remove(gone)
