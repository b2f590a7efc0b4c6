"""Giving up an old secret key: everything that is sealed in the database is sealed anew with the first one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pymongo.database import Database

from webhookcron.delivery.secrets import DecryptionFailed, SecretBox
from webhookcron.storage.client import Document, driver_errors_translated

COLLECTIONS = ("jobs", "alerts")
"""Where sealed values are: in fields named `sealed…`, at any depth."""

_AT_ONCE = 500


@dataclass(slots=True)
class Reencrypted:
    """What was done."""

    documents: int = 0
    """Looked at."""
    rewritten: int = 0
    unreadable: list[str] = field(default_factory=list)
    """`collection/id` of documents with a secret that no present key opens; they are left as they are."""


def reencrypt(
    database: Database[Document],
    keys: Sequence[str],
    *,
    progress: Callable[[str, int], None] = lambda _name, _count: None,
) -> Reencrypted:
    """Seal everything with the first of `keys`. Safe to repeat, and while the platform works.

    Definitions stay the same, so versions do, too. Raises StoreUnavailable.
    """
    every, first = SecretBox(keys), SecretBox(keys[:1])
    done = Reencrypted()
    for name in COLLECTIONS:
        seen = 0
        for document in _documents(database, name):
            seen += 1
            done.documents += 1
            try:
                changed = {
                    key: new
                    for key, value in document.items()
                    if (new := _resealed(key, value, every, first)) != value
                }
            except DecryptionFailed:
                done.unreadable.append(f"{name}/{document['_id']}")
                continue
            if changed:
                # Only while nobody else has written these fields.
                guard = {"_id": document["_id"], **{key: document[key] for key in changed}}
                with driver_errors_translated():
                    done.rewritten += database[name].update_one(guard, {"$set": changed}).modified_count
            if seen % _AT_ONCE == 0:
                progress(name, seen)
        progress(name, seen)
    return done


def opens(document: Document, keys: Sequence[str]) -> bool:
    """Whether `keys` open every sealed value of a document."""
    box = SecretBox(keys)
    try:
        for key, value in document.items():
            _resealed(key, value, box, box)
    except DecryptionFailed:
        return False
    return True


def _resealed(key: str, value: Any, every: SecretBox, first: SecretBox) -> Any:
    if isinstance(value, dict):
        return {inner: _resealed(inner, item, every, first) for inner, item in value.items()}
    if isinstance(value, list):
        return [_resealed(key, item, every, first) for item in value]
    if isinstance(value, str) and key.startswith("sealed"):
        try:
            first.decrypt_text(value)
        except DecryptionFailed:
            return every.reencrypt_text(value)
    return value


def _documents(database: Database[Document], name: str) -> Iterator[Document]:
    after = ""
    while True:
        with driver_errors_translated():
            batch = list(database[name].find({"_id": {"$gt": after}}).sort("_id", 1).limit(_AT_ONCE))
        yield from batch
        if len(batch) < _AT_ONCE:
            return
        after = batch[-1]["_id"]
