"""The commands that read documents: find, getMore, killCursors, aggregate, count, distinct."""

from itertools import islice
from typing import Any

from webhookcron.embedded.aggregation import compile_pipeline, leading_match, run_pipeline
from webhookcron.embedded.collection import Document
from webhookcron.embedded.cursors import Cursors
from webhookcron.embedded.errors import BAD_VALUE, FAILED_TO_PARSE, TYPE_MISMATCH, CommandError
from webhookcron.embedded.matching import compile_filter
from webhookcron.embedded.ordering import MISSING, encode_value
from webhookcron.embedded.paths import split_path, values_at
from webhookcron.embedded.projections import compile_projection
from webhookcron.embedded.request import Request
from webhookcron.embedded.sort_patterns import sort_pattern
from webhookcron.embedded.store import Store

_FIND_FIELDS = frozenset({"filter", "sort", "projection", "skip", "limit", "batchSize", "singleBatch"})
_GET_MORE_FIELDS = frozenset({"collection", "batchSize"})
_AGGREGATE_FIELDS = frozenset({"pipeline"})
_COUNT_FIELDS = frozenset({"query", "skip", "limit"})
_DISTINCT_FIELDS = frozenset({"key", "query"})


def _not_negative(request: Request, name: str, default: int = 0) -> int:
    value = request.count(name, default)
    if value < 0:
        raise CommandError(51024, f"BSON field '{name}' value must be >= 0, actual value '{value}'")
    return value


def find(store: Store, cursors: Cursors, request: Request, now: float) -> Document:
    """`find`: the matching documents, sorted, cut and projected; the result is that of this moment."""
    request.allow(_FIND_FIELDS | {"sort"})
    body = request.body
    condition = request.document("filter")
    sort = sort_pattern(body.get("sort"))
    show = compile_projection(body.get("projection"))
    skip, limit = _not_negative(request, "skip"), _not_negative(request, "limit")
    batch = _not_negative(request, "batchSize") if "batchSize" in body else None
    name = request.collection
    collection = store.find(request.database, name)
    documents: list[Document] = []
    if collection is None:
        compile_filter(condition)
    else:
        wanted = skip + limit if limit else None
        found = collection.find(condition, sort, wanted)
        documents = list(islice(found, skip, wanted))
        if show is not None:
            documents = [show(document) for document in documents]
    single = bool(body.get("singleBatch"))
    return cursors.first_reply(f"{request.database}.{name}", documents, batch, single, now)


def get_more(store: Store, cursors: Cursors, request: Request, now: float) -> Document:
    """`getMore`: the next documents of an open cursor."""
    request.allow(_GET_MORE_FIELDS)
    name = request.body.get("collection")
    batch = _not_negative(request, "batchSize") or None
    return cursors.next_reply(request.count("getMore", 0), f"{request.database}.{name}", batch, now)


def kill_cursors(store: Store, cursors: Cursors, request: Request, now: float) -> Document:
    """`killCursors`: closes open cursors."""
    request.allow(frozenset({"cursors"}))
    numbers = request.body.get("cursors")
    if type(numbers) is not list:
        raise CommandError(TYPE_MISMATCH, "BSON field 'killCursors.cursors' must be an array")
    killed = [number for number in numbers if cursors.kill(number)]
    return {
        "cursorsKilled": killed,
        "cursorsNotFound": [number for number in numbers if number not in killed],
        "cursorsAlive": [],
        "cursorsUnknown": [],
        "ok": 1.0,
    }


def aggregate(store: Store, cursors: Cursors, request: Request, now: float) -> Document:
    """`aggregate`: a pipeline over one collection."""
    request.allow(_AGGREGATE_FIELDS)
    pipeline = request.body.get("pipeline")
    if type(pipeline) is not list:
        raise CommandError(TYPE_MISMATCH, "'pipeline' option must be specified as an array")
    options = request.document("cursor")
    if "cursor" not in request.body:
        raise CommandError(FAILED_TO_PARSE, "The 'cursor' option is required")
    batch = options.get("batchSize")
    if batch is not None and (type(batch) is not int or batch < 0):
        raise CommandError(BAD_VALUE, "cursor.batchSize must be a whole number >= 0")
    condition, rest = leading_match(pipeline)
    stages = compile_pipeline(rest)
    sort, wanted = None, None
    if rest and "$sort" in rest[0]:
        # A sort right after the match may be served by an index; with a limit behind it, in part.
        sort = sort_pattern(rest[0]["$sort"])
        stages = stages[1:]
        if len(rest) > 1 and "$limit" in rest[1]:
            wanted = int(rest[1]["$limit"])
    name = request.collection
    collection = store.find(request.database, name)
    documents: list[Document] = []
    if collection is None:
        compile_filter(condition)
    elif _only_counts(rest):
        # What the driver's count_documents sends.
        total = collection.count(condition)
        documents = [{"_id": rest[0]["$group"]["_id"], "n": total}] if total else []
    else:
        documents = list(run_pipeline(collection.find(condition, sort, wanted), stages))
    return cursors.first_reply(f"{request.database}.{name}", documents, batch, False, now)


def _only_counts(stages: list[Any]) -> bool:
    if len(stages) != 1 or "$group" not in stages[0]:
        return False
    group = stages[0]["$group"]
    if group.keys() != {"_id", "n"} or group["n"] != {"$sum": 1}:
        return False
    return group["_id"] is None or type(group["_id"]) is int


def count(store: Store, cursors: Cursors, request: Request, now: float) -> Document:
    """`count`: how many documents match."""
    request.allow(_COUNT_FIELDS)
    condition = request.document("query")
    skip, limit = _not_negative(request, "skip"), abs(request.count("limit", 0))
    collection = store.find(request.database, request.collection)
    if collection is None:
        compile_filter(condition)
        total = 0
    else:
        total = collection.count(condition)
    total = max(0, total - skip)
    return {"n": min(total, limit) if limit else total, "ok": 1.0}


def distinct(store: Store, cursors: Cursors, request: Request, now: float) -> Document:
    """`distinct`: the different values at a path, elements of arrays one by one."""
    request.allow(_DISTINCT_FIELDS)
    key = request.body.get("key")
    if type(key) is not str:
        raise CommandError(
            TYPE_MISMATCH, "BSON field 'distinct.key' is the wrong type, expected type 'string'"
        )
    condition = request.document("query")
    parts = split_path(key)
    collection = store.find(request.database, request.collection)
    values: dict[bytes, Any] = {}
    if collection is None:
        compile_filter(condition)
    else:
        for document in collection.find(condition):
            for value in values_at(document, parts):
                for single in value if type(value) is list else (value,):
                    if single is not MISSING:
                        values.setdefault(encode_value(single), single)
    return {"values": [values[key_bytes] for key_bytes in sorted(values)], "ok": 1.0}
