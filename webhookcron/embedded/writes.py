"""The commands that change documents: insert, update, delete, findAndModify."""

from itertools import islice
from typing import Any

import bson
from bson import ObjectId, Regex

from webhookcron.embedded.adoption import adopt_document
from webhookcron.embedded.collection import Collection, Document
from webhookcron.embedded.direct_updates import DirectUpdates
from webhookcron.embedded.errors import (
    FAILED_TO_PARSE,
    INVALID_ID_FIELD,
    TYPE_MISMATCH,
    CommandError,
)
from webhookcron.embedded.journal import check_document_size
from webhookcron.embedded.ordering import MISSING
from webhookcron.embedded.projections import compile_projection
from webhookcron.embedded.request import Request, checked_fields
from webhookcron.embedded.sort_patterns import sort_pattern
from webhookcron.embedded.store import Store
from webhookcron.embedded.updates import Update, compile_update

MAX_WRITES = 100_000
"""Statements in one command, as in MongoDB."""

_LARGE_MESSAGE_BYTES = 1024 * 1024
"""A command below this size cannot push a document past its limit unless the document is large already."""

_INSERT_FIELDS = frozenset({"documents", "ordered"})
_UPDATE_FIELDS = frozenset({"updates", "ordered"})
_DELETE_FIELDS = frozenset({"deletes", "ordered"})
_UPDATE_STATEMENT = frozenset({"q", "u", "multi", "upsert", "hint"})
_DELETE_STATEMENT = frozenset({"q", "limit", "hint"})
_MODIFY_FIELDS = frozenset({"query", "update", "remove", "new", "upsert", "sort", "fields"})


def insert(store: Store, request: Request) -> Document:
    """`insert`: adds documents, in order or all that can be added."""
    request.allow(_INSERT_FIELDS)
    documents = request.documents("documents")
    bodies = request.bodies.get("documents")
    _check_count(documents)
    collection = store.obtain(request.database, request.collection)
    ordered = bool(request.body.get("ordered", True))
    errors: list[Document] = []
    inserted = 0
    for position, document in enumerate(documents):
        body = None if bodies is None else bodies[position]
        try:
            _insert_one(collection, document, body)
            inserted += 1
        except CommandError as error:
            errors.append(error.as_write_error(position))
            if ordered:
                break
    return _with_errors({"n": inserted, "ok": 1.0}, errors)


def _insert_one(collection: Collection, document: Document, body: bytes | None) -> None:
    for first in document:
        if first != "_id":
            # The _id is kept in front, so the bytes that came do not fit any more.
            body = None
            document = {"_id": document.get("_id", MISSING), **document}
            if document["_id"] is MISSING:
                document["_id"] = ObjectId()
        break
    else:
        document, body = {"_id": ObjectId()}, None
    _check_identity(document["_id"])
    adopted = adopt_document(document)
    check_document_size(len(bson.encode(adopted) if body is None else body))
    collection.insert(adopted)


def _check_identity(identity: Any) -> None:
    if type(identity) is list or type(identity) is Regex:
        raise CommandError(
            INVALID_ID_FIELD,
            f"The '_id' value cannot be of type {'array' if type(identity) is list else 'regex'}",
        )


def _check_count(statements: list[Document]) -> None:
    if not 0 < len(statements) <= MAX_WRITES:
        raise CommandError(
            72, f"Write batch sizes must be between 1 and {MAX_WRITES}. Got {len(statements)} operations."
        )


def _statements(
    request: Request, name: str, allowed: frozenset[str], required: tuple[str, ...]
) -> list[Document]:
    """The statements of an update or delete; a malformed one refuses the command before any is carried out."""
    statements = request.documents(name)
    _check_count(statements)
    needed = frozenset(required)
    for statement in statements:
        if not (allowed.issuperset(statement) and needed.issubset(statement)):
            checked_fields(statement, allowed, f"{request.command}.{name}", required)
        if type(statement["q"]) is not dict:
            raise CommandError(TYPE_MISMATCH, f"BSON field '{request.command}.{name}.q' must be an object")
    return statements


def _with_errors(reply: Document, errors: list[Document]) -> Document:
    if errors:
        reply["writeErrors"] = errors
    return reply


def update(store: Store, request: Request) -> Document:
    """`update`: one or many statements, each changing the first or all matching documents, or upserting."""
    request.allow(_UPDATE_FIELDS)
    statements = _statements(request, "updates", _UPDATE_STATEMENT, ("q", "u"))
    ordered = bool(request.body.get("ordered", True))
    database, name = request.database, request.collection
    matched = modified = 0
    upserted: list[Document] = []
    errors: list[Document] = []
    large = _may_be_large(store, request)
    direct = DirectUpdates()
    collection = store.find(database, name)
    for position, statement in enumerate(statements):
        try:
            if collection is not None and not statement.get("multi"):
                made = _update_directly(collection, direct, statement, large)
                if made is not None:
                    matched += 1
                    modified += made
                    continue
            found, changed, identity = _update_statement(store, database, name, statement, large)
        except CommandError as error:
            errors.append(error.as_write_error(position))
            if ordered:
                break
            continue
        matched += found
        modified += changed
        if identity is not MISSING:
            matched += 1
            upserted.append({"index": position, "_id": identity})
    reply: Document = {"n": matched, "nModified": modified, "ok": 1.0}
    if upserted:
        reply["upserted"] = upserted
    return _with_errors(reply, errors)


def _may_be_large(store: Store, request: Request) -> bool:
    """Whether a document that the command changes may pass its limit, and so has to be measured."""
    return request.size > _LARGE_MESSAGE_BYTES or store.must_measure


def _update_directly(
    collection: Collection, direct: DirectUpdates, statement: Document, large: bool
) -> bool | None:
    """Whether the document was modified; None when the statement is none that is carried out without compiling it."""
    record = collection.guarded_record(statement["q"])
    if record is None:
        return None
    old = collection.records[record]
    new = direct.apply(statement["u"], old)
    if new is None:
        return None
    if new is old:
        return False
    _put(collection, record, new, direct.touches, large)
    return True


def _update_statement(
    store: Store, database: str, name: str, statement: Document, large: bool
) -> tuple[int, int, Any]:
    """Documents matched and modified, and the `_id` of the upserted one or MISSING."""
    condition = statement["q"]
    multi = bool(statement.get("multi"))
    compiled = compile_update(statement["u"])
    if multi and compiled.touches is None:
        raise CommandError(FAILED_TO_PARSE, "multi update is not supported for replacement-style update")
    collection = store.find(database, name)
    matched = modified = 0
    if collection is not None:
        guarded = collection.guarded_record(condition)
        if guarded is not None:
            return 1, int(_change(collection, guarded, compiled, large)), MISSING
        found = collection.matching_records(condition, None, None if multi else 1)
        for record in list(found) if multi else islice(found, 1):
            matched += 1
            modified += _change(collection, record, compiled, large)
    if matched or not statement.get("upsert"):
        return matched, modified, MISSING
    document = _upsert(store.obtain(database, name), condition, compiled)
    return 0, 0, document["_id"]


def _change(collection: Collection, record: int, compiled: Update, large: bool) -> bool:
    old = collection.records[record]
    new = compiled.apply(old)
    if new is old:
        return False
    _put(collection, record, new, compiled.touches, large)
    return True


def _put(
    collection: Collection, record: int, new: Document, touches: frozenset[str] | None, large: bool
) -> None:
    if large or record in collection.large_records:
        check_document_size(len(bson.encode(new)))
    collection.replace(record, new, touches)


def _upsert(collection: Collection, condition: Document, compiled: Update) -> Document:
    document = compiled.new_document(condition)
    _check_identity(document["_id"])
    check_document_size(len(bson.encode(document)))
    collection.insert(document)
    return document


def delete(store: Store, request: Request) -> Document:
    """`delete`: statements that remove the first or all matching documents."""
    request.allow(_DELETE_FIELDS)
    statements = _statements(request, "deletes", _DELETE_STATEMENT, ("q", "limit"))
    ordered = bool(request.body.get("ordered", True))
    collection = store.find(request.database, request.collection)
    removed = 0
    errors: list[Document] = []
    for position, statement in enumerate(statements):
        try:
            removed += _delete_statement(collection, statement)
        except CommandError as error:
            errors.append(error.as_write_error(position))
            if ordered:
                break
    return _with_errors({"n": removed, "ok": 1.0}, errors)


def _delete_statement(collection: Collection | None, statement: Document) -> int:
    limit = statement["limit"]
    if limit not in (0, 1):
        raise CommandError(FAILED_TO_PARSE, f"The limit field in delete objects must be 0 or 1. Got {limit}")
    if collection is None:
        return 0
    found = collection.matching_records(statement["q"], None, limit or None)
    records = list(islice(found, 1) if limit else found)
    for record in records:
        collection.remove(record)
    return len(records)


def find_and_modify(store: Store, request: Request) -> Document:
    """`findAndModify`: changes, replaces, upserts or removes the first match, and shows it before or after."""
    request.allow(_MODIFY_FIELDS)
    body = request.body
    removes, shows_new, upserts = bool(body.get("remove")), bool(body.get("new")), bool(body.get("upsert"))
    if removes == ("update" in body):
        raise CommandError(FAILED_TO_PARSE, "Either an update or remove=true must be specified")
    if removes and (shows_new or upserts):
        raise CommandError(FAILED_TO_PARSE, "Cannot specify both new=true or upsert=true and remove=true")
    condition = request.document("query")
    show = compile_projection(body.get("fields"))
    sort = sort_pattern(body.get("sort"))
    compiled = None if removes else compile_update(body["update"])
    database, name = request.database, request.collection
    collection = store.find(database, name)
    record = None
    if collection is not None:
        record = next(collection.matching_records(condition, sort, 1), None)
    outcome: Document = {"n": 0}
    shown: Document | None = None
    if collection is not None and record is not None:
        shown = collection.records[record]
        outcome["n"] = 1
        if compiled is None:
            collection.remove(record)
        else:
            outcome["updatedExisting"] = True
            _change(collection, record, compiled, _may_be_large(store, request))
            if shows_new:
                shown = collection.records[record]
    elif compiled is not None:
        outcome["updatedExisting"] = False
        if upserts:
            inserted = _upsert(store.obtain(database, name), condition, compiled)
            outcome.update(n=1, upserted=inserted["_id"])
            shown = inserted if shows_new else None
    if shown is not None and show is not None:
        shown = show(shown)
    return {"lastErrorObject": outcome, "value": shown, "ok": 1.0}
