"""The commands about the server, its databases, collections and indexes."""

from datetime import UTC, datetime
from typing import Any

import webhookcron
from webhookcron.embedded.collection import Document
from webhookcron.embedded.cursors import Cursors
from webhookcron.embedded.errors import (
    MISSING_FIELD,
    NAMESPACE_EXISTS,
    NAMESPACE_NOT_FOUND,
    TYPE_MISMATCH,
    CommandError,
)
from webhookcron.embedded.journal import MAX_DOCUMENT_BYTES
from webhookcron.embedded.matching import compile_filter
from webhookcron.embedded.request import Request
from webhookcron.embedded.store import Store
from webhookcron.embedded.writes import MAX_WRITES

MAX_MESSAGE_BYTES = 48_000_000
SERVER_VERSION = "7.0.0"
MAX_WIRE_VERSION = 21
"""MongoDB 7.0: high enough for every driver of today, below the version (25) with the `bulkWrite` command."""


def hello(store: Store, cursors: Cursors, request: Request, now: float) -> Document:
    """`hello` and its old names: a writable server without replicas, sessions or authentication."""
    return {
        "helloOk": True,
        "ismaster": True,
        "isWritablePrimary": True,
        "maxBsonObjectSize": MAX_DOCUMENT_BYTES,
        "maxMessageSizeBytes": MAX_MESSAGE_BYTES,
        "maxWriteBatchSize": MAX_WRITES,
        "localTime": datetime.now(UTC),
        "minWireVersion": 0,
        "maxWireVersion": MAX_WIRE_VERSION,
        "readOnly": False,
        "ok": 1.0,
    }


def acknowledge(store: Store, cursors: Cursors, request: Request, now: float) -> Document:
    """`ping` and `endSessions`, which need no more than an answer."""
    return {"ok": 1.0}


def build_info(store: Store, cursors: Cursors, request: Request, now: float) -> Document:
    """`buildInfo`: the version spoken, and that this is the embedded store."""
    return {
        "version": SERVER_VERSION,
        "versionArray": [7, 0, 0, 0],
        "gitVersion": "",
        "modules": [],
        "bits": 64,
        "maxBsonObjectSize": MAX_DOCUMENT_BYTES,
        **_identification(store),
        "ok": 1.0,
    }


def _identification(store: Store) -> Document:
    return {
        "webhookcronEmbedded": True,
        "webhookcronVersion": webhookcron.__version__,
        "maxFinishedExecutions": store.max_finished_executions,
    }


def server_status(store: Store, cursors: Cursors, request: Request, now: float) -> Document:
    """`serverStatus`: the identification of the embedded store and how much it holds."""
    return {
        "version": SERVER_VERSION,
        "process": "webhookcron-embedded",
        "localTime": datetime.now(UTC),
        **_identification(store),
        "documents": dict(store.document_counts()),
        "openCursors": len(cursors),
        "ok": 1.0,
    }


def list_databases(store: Store, cursors: Cursors, request: Request, now: float) -> Document:
    """`listDatabases`: the databases that have a collection."""
    request.allow(frozenset({"filter", "nameOnly", "authorizedDatabases"}))
    matches = compile_filter(request.document("filter"))
    entries: list[Document] = []
    for name in store.databases():
        size = sum(len(collection.records) for collection in store.collections_of(name))
        entries.append({"name": name, "empty": size == 0})
    return {"databases": [entry for entry in entries if matches(entry)], "ok": 1.0}


def list_collections(store: Store, cursors: Cursors, request: Request, now: float) -> Document:
    """`listCollections`: the collections of a database."""
    request.allow(frozenset({"filter", "nameOnly", "authorizedCollections"}))
    matches = compile_filter(request.document("filter"))
    entries: list[Document] = [
        {"name": collection.name, "type": "collection", "options": {}, "info": {"readOnly": False}}
        for collection in store.collections_of(request.database)
    ]
    shown = [entry for entry in entries if matches(entry)]
    return cursors.first_reply(f"{request.database}.$cmd.listCollections", shown, len(shown), True, now)


def create(store: Store, cursors: Cursors, request: Request, now: float) -> Document:
    """`create`: an empty collection without options."""
    request.allow(frozenset())
    if store.find(request.database, request.collection) is not None:
        raise CommandError(
            NAMESPACE_EXISTS, f"Collection {request.database}.{request.collection} already exists."
        )
    store.obtain(request.database, request.collection)
    return {"ok": 1.0}


def drop(store: Store, cursors: Cursors, request: Request, now: float) -> Document:
    """`drop`: removes a collection; one that does not exist counts as removed."""
    request.allow(frozenset())
    indexes = store.drop(request.database, request.collection)
    if indexes is None:
        return {"ok": 1.0}
    return {"nIndexesWas": indexes, "ns": f"{request.database}.{request.collection}", "ok": 1.0}


def drop_database(store: Store, cursors: Cursors, request: Request, now: float) -> Document:
    """`dropDatabase`: removes all collections of a database."""
    request.allow(frozenset())
    for collection in store.collections_of(request.database):
        store.drop(request.database, collection.name)
    return {"dropped": request.database, "ok": 1.0}


def create_indexes(store: Store, cursors: Cursors, request: Request, now: float) -> Document:
    """`createIndexes`: declares indexes and fills them; the same ones again change nothing."""
    request.allow(frozenset({"indexes", "commitQuorum"}))
    present = store.find(request.database, request.collection)
    collection = store.obtain(request.database, request.collection)
    before = len(collection.indexes) + 1
    made: list[str] = []
    try:
        for declaration in request.documents("indexes"):
            if store.create_index(collection, declaration):
                made.append(declaration["name"])
    except CommandError:
        for name in made:
            store.drop_index(collection, name)
        raise
    return {
        "numIndexesBefore": before,
        "numIndexesAfter": len(collection.indexes) + 1,
        "createdCollectionAutomatically": present is None,
        "ok": 1.0,
    }


def list_indexes(store: Store, cursors: Cursors, request: Request, now: float) -> Document:
    """`listIndexes`: the declarations of a collection's indexes."""
    request.allow(frozenset())
    namespace = f"{request.database}.{request.collection}"
    collection = store.find(request.database, request.collection)
    if collection is None:
        raise CommandError(NAMESPACE_NOT_FOUND, f"ns does not exist: {namespace}")
    documents = store.index_documents(collection)
    return cursors.first_reply(namespace, documents, len(documents), True, now)


def drop_indexes(store: Store, cursors: Cursors, request: Request, now: float) -> Document:
    """`dropIndexes`: removes one index by name or key, several by name, or all but that of `_id` (`*`)."""
    request.allow(frozenset({"index"}))
    collection = store.find(request.database, request.collection)
    if collection is None:
        raise CommandError(NAMESPACE_NOT_FOUND, f"ns not found {request.database}.{request.collection}")
    if "index" not in request.body:
        raise CommandError(MISSING_FIELD, "BSON field 'dropIndexes.index' is missing but a required field")
    before = len(collection.indexes) + 1
    for name in _names_to_drop(collection.indexes, request.body["index"]):
        store.drop_index(collection, name)
    return {"nIndexesWas": before, "ok": 1.0}


def _names_to_drop(indexes: dict[str, Any], asked: Any) -> list[str]:
    if asked == "*":
        return list(indexes)
    if type(asked) is str:
        return [asked]
    if type(asked) is list and all(type(name) is str for name in asked):
        return asked
    if type(asked) is dict:
        names = [
            name for name, index in indexes.items() if list(index.spec.key.items()) == list(asked.items())
        ]
        if not names:
            raise CommandError(27, f"can't find index with key: {asked}")
        return names[:1]
    raise CommandError(TYPE_MISMATCH, "BSON field 'dropIndexes.index' must be a string, array or object")
