"""Whatever moment the store's process dies in, the next one finds what was committed, and nothing else."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import tempfile
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webhookcron.embedded.connections import Hub
from webhookcron.embedded.data_file import DataFile
from webhookcron.embedded.errors import StoreUnavailable
from webhookcron.embedded.redo_log import RedoLog
from webhookcron.embedded.store import Store
from webhookcron.embedded.wire import HEADER, OP_MSG

Document = dict[str, Any]

ids = st.sampled_from(["a", "b", "c", "d"])
names = st.sampled_from(["n", "u", "at", "tags"])
values = st.sampled_from(
    [1, 2, 2**40, 2.5, None, "x", "y", ["x"], ["x", "y"], datetime(2026, 1, 1)],
)
fields = st.dictionaries(names, values, max_size=2)
changes = st.one_of(
    st.builds(lambda given: {"$set": given}, st.dictionaries(names, values, min_size=1, max_size=2)),
    st.just({"$inc": {"n": 1}}),
    st.just({"$push": {"tags": {"$each": ["new"], "$slice": -3}}}),
    st.just({"$unset": {"u": ""}, "$max": {"at": datetime(2026, 2, 1)}}),
)
filters = st.one_of(
    st.builds(lambda identity: {"_id": identity}, ids),
    st.builds(lambda identity: {"_id": identity, "n": 1}, ids),
    st.builds(lambda some: {"_id": {"$in": some}}, st.lists(ids, max_size=3)),
    st.sampled_from([{}, {"u": "x"}, {"n": {"$gt": 1}}]),
)
inserts = st.builds(
    lambda documents, ordered: {"insert": "c", "documents": documents, "ordered": ordered},
    st.lists(
        st.builds(lambda identity, rest: {**identity, **rest},
                  st.one_of(st.builds(lambda identity: {"_id": identity}, ids), st.just({})), fields),
        min_size=1, max_size=3,
    ),
    st.booleans(),
)  # fmt: skip
statements = st.builds(
    lambda q, u, multi, upsert: {"q": q, "u": u, "multi": multi, "upsert": upsert},
    filters, changes, st.booleans(), st.booleans(),
)  # fmt: skip
commands = st.one_of(
    inserts,
    st.builds(
        lambda given_statements, ordered: {"update": "c", "updates": given_statements, "ordered": ordered},
        st.lists(statements, min_size=1, max_size=3), st.booleans(),
    ),
    st.builds(
        lambda q, limit: {"delete": "c", "deletes": [{"q": q, "limit": limit}]},
        filters, st.sampled_from([0, 1]),
    ),
    st.builds(lambda q, u: {"findAndModify": "c", "query": q, "update": u, "upsert": True}, filters, changes),
    st.just({"createIndexes": "c", "indexes": [{"key": {"u": 1}, "name": "u", "unique": True, "sparse": True}]}),
    st.just({"createIndexes": "c", "indexes": [{"key": {"at": 1}, "name": "at", "expireAfterSeconds": 60}]}),
    st.just({"drop": "c"}),
)  # fmt: skip
steps = st.lists(
    st.one_of(commands, st.sampled_from(["commit", "commit", "save", "save", "sweep", "fail", "restart"])),
    max_size=25,
)


def message(command: Document) -> bytes:
    body = bson.encode({**command, "$db": "d"})
    head = HEADER.pack(HEADER.size + 5 + len(body), 1, 0, OP_MSG)
    return head + b"\0\0\0\0\0" + body


def contents(store: Store) -> Any:
    """Documents by record, and declarations of indexes, of every collection; equal when they are in BSON."""
    return {
        collection.namespace: (
            {record: bson.encode(document) for record, document in sorted(collection.records.items())},
            [index.spec.as_document() for index in collection.indexes.values()],
            [list(index.entries) for index in collection.all_indexes],
        )
        for collection in store._collections.values()
    }


def after_a_crash(path: Path) -> Any:
    """What a store finds in copies of the files, which is what the death of the process leaves."""
    with tempfile.TemporaryDirectory() as name:
        for file in path.parent.iterdir():
            shutil.copy(file, name)
        store = Store(Path(name) / path.name)
        found = contents(store)
        store.close()
        assert [file.name for file in Path(name).iterdir() if "redo" in file.name] == []
        again = Store(Path(name) / path.name)
        assert contents(again) == found
        again.close()
        return found


async def live(taken: list[Document | str], directory: Path) -> None:
    path = directory / "data"
    store = Store(path)
    hub = Hub(store)
    client: Any = SimpleNamespace(send=lambda data: None)
    committed = contents(store)
    for step in taken:
        if isinstance(step, dict):
            hub.handle(client, message(step))
            continue
        if step == "fail":
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(RedoLog, "append", refused)
                patch.setattr(DataFile, "finish", refused)
                hub.commit()
        elif step == "commit":
            hub.commit()
        elif step == "save":
            store.save_some()
        elif step == "sweep":
            store.sweep_expired(datetime(2026, 3, 1))
            hub.commit()
        if step in ("commit", "sweep", "fail"):
            committed = contents(store)
        assert after_a_crash(path) == committed
        if step == "restart":
            store.roll_back()
            store.close()
            store = Store(path)
            hub = Hub(store)
            assert contents(store) == committed
    store.close()


def refused(*_: object) -> None:
    raise OSError(28, "No space left on device")


@settings(max_examples=150, deadline=None)
@given(steps)
def test_a_store_that_dies_comes_back_with_what_was_committed(taken: list[Document | str]) -> None:
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as directory:
        # So that a save has several steps, and a log is soon a long one.
        patch.setattr("webhookcron.embedded.journal._SAVED_AT_ONCE", 1)
        patch.setattr("webhookcron.embedded.journal._TRIED_AGAIN_SECONDS", 0.0)
        patch.setattr("webhookcron.embedded.journal._LONG_LOG_BYTES", 2000)
        asyncio.run(live(taken, Path(directory)))


@pytest.fixture
def store(tmp_path: Path) -> Any:
    opened = Store(tmp_path / "data")
    yield opened
    opened.close()


def carry_out(store: Store, *given_commands: Document) -> None:
    async def all_of_them() -> None:
        hub = Hub(store)
        for command in given_commands:
            hub.handle(SimpleNamespace(send=lambda data: None), message(command))  # type: ignore[arg-type]
            hub.commit()

    asyncio.run(all_of_them())


def insert(*documents: Document) -> Document:
    return {"insert": "c", "documents": list(documents)}


def increment(identity: str) -> Document:
    return {"update": "c", "updates": [{"q": {"_id": identity}, "u": {"$inc": {"n": 1}}}]}


def test_a_commit_that_finds_no_room_is_undone_and_the_next_one_goes_on(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    carry_out(store, insert({"_id": "a", "n": 1}))
    with monkeypatch.context() as patch:
        patch.setattr(RedoLog, "append", refused)
        carry_out(store, increment("a"), {"insert": "other", "documents": [{"_id": "b"}]})
    carry_out(store, increment("a"))
    collection = store.find("d", "c")
    assert collection is not None
    assert list(collection.records.values()) == [{"_id": "a", "n": 2}]
    assert after_a_crash(tmp_path / "data") == contents(store)


def test_a_data_file_that_cannot_be_written_loses_nothing_that_the_log_has(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("webhookcron.embedded.journal._TRIED_AGAIN_SECONDS", 0.0)
    carry_out(store, insert({"_id": "a", "n": 1}), insert({"_id": "b", "n": 1}))
    for failing in ("begin", "put", "finish"):
        with monkeypatch.context() as patch:
            patch.setattr(DataFile, failing, full)
            assert not store.save_some()
        carry_out(store, increment("a"))
        assert after_a_crash(tmp_path / "data") == contents(store)
    while store.save_some():
        pass
    assert after_a_crash(tmp_path / "data") == contents(store)
    assert len(list(tmp_path.glob("data-redo-*"))) == 1


def test_a_save_that_failed_is_not_tried_again_at_once(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    carry_out(store, insert({"_id": "a"}), insert({"_id": "b"}))
    with monkeypatch.context() as patch:
        patch.setattr(DataFile, "put", refused)
        assert not store.save_some()
    logs = len(list(tmp_path.glob("data-redo-*")))
    assert not store.save_some()
    assert len(list(tmp_path.glob("data-redo-*"))) == logs
    monkeypatch.setattr("time.monotonic", lambda: 1e12)
    assert store.save_some()


def test_a_save_writes_documents_as_they_were_when_it_began(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webhookcron.embedded.journal._SAVED_AT_ONCE", 1)
    carry_out(store, *(insert({"_id": identity, "n": 0}) for identity in "abc"))
    assert store.save_some()
    carry_out(
        store, increment("c"), increment("a"), {"delete": "c", "deletes": [{"q": {"_id": "b"}, "limit": 1}]}
    )
    assert after_a_crash(tmp_path / "data") == contents(store)
    while store.save_some():
        assert after_a_crash(tmp_path / "data") == contents(store)
    assert after_a_crash(tmp_path / "data") == contents(store)


def test_nothing_is_saved_that_awaits_its_commit(store: Store, tmp_path: Path) -> None:
    carry_out(store, insert({"_id": "a"}))
    before = contents(store)
    collection = store.find("d", "c")
    assert collection is not None
    collection.remove(1)
    assert not store.save_some()
    assert after_a_crash(tmp_path / "data") == before
    store.commit()
    assert store.save_some()


def test_a_stopped_store_leaves_no_log(tmp_path: Path) -> None:
    store = Store(tmp_path / "data")
    carry_out(store, insert({"_id": "a"}))
    assert [path.name for path in tmp_path.glob("data-redo-*")]
    store.close()
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_file_of_the_version_without_a_log_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "data"
    with sqlite3.connect(path) as connection:
        connection.executescript(
            """
            CREATE TABLE collections (id INTEGER PRIMARY KEY, database TEXT NOT NULL, name TEXT NOT NULL,
                                      UNIQUE (database, name));
            CREATE TABLE indexes (collection INTEGER NOT NULL, name TEXT NOT NULL, spec BLOB NOT NULL,
                                  PRIMARY KEY (collection, name));
            CREATE TABLE documents (record INTEGER PRIMARY KEY, collection INTEGER NOT NULL, body BLOB NOT NULL);
            INSERT INTO collections VALUES (1, 'd', 'c');
            PRAGMA user_version=1;
            """
        )
        connection.execute("INSERT INTO documents VALUES (1, 1, ?)", (bson.encode({"_id": "a", "n": 1}),))
    connection.close()
    store = Store(path)
    carry_out(store, increment("a"))
    assert contents(store)["d.c"][0] == {1: bson.encode({"_id": "a", "n": 2})}
    assert after_a_crash(path) == contents(store)
    store.close()


def test_a_directory_without_room_for_a_log_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RedoLog, "start", refused)
    with pytest.raises(StoreUnavailable, match="No space left"):
        Store(tmp_path / "data")


def test_updates_are_measured_when_much_came_since_documents_were(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webhookcron.embedded.journal.UNMEASURED_BYTES", 1000)
    monkeypatch.setattr("webhookcron.embedded.journal.MAX_DOCUMENT_BYTES", 3000)
    carry_out(store, insert({"_id": "a"}))
    push = {"update": "c", "updates": [{"q": {"_id": "a"}, "u": {"$push": {"tags": "x" * 500}}}]}
    carry_out(store, *[push] * 10)
    collection = store.find("d", "c")
    assert collection is not None
    [document] = collection.records.values()
    assert 2000 < len(bson.encode(document)) <= 3000
    while store.save_some():
        pass
    assert not store.must_measure
