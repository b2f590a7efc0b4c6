"""Backups of what people made: users, keys, jobs and alerts. The log of executions is left to mongodump.

A backup is a text file of one JSON document per line, in MongoDB's Extended JSON: a header, the documents, and a last
line with their numbers, without which it is not complete. Secrets stay sealed as they are in the database, so a backup
is of use together with the secret key only.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, cast

from bson import json_util
from pymongo import ReplaceOne
from pymongo.database import Database
from pymongo.errors import BulkWriteError

from webhookcron import __version__
from webhookcron.core.errors import WebhookcronError
from webhookcron.storage.client import Document, driver_errors_translated
from webhookcron.storage.schema_version import CURRENT

FORMAT = 1

COLLECTIONS = ("users", "apiKeys", "alerts", "jobs")
"""In the order of restoring: jobs come last, when all that they name is there."""

_VERSIONS_FROM = datetime(2026, 1, 1, tzinfo=UTC)

_AT_ONCE = 500
_DUPLICATE_KEY = 11000
_LEFT_OUT = {
    # What belongs to the moment, not to the definition.
    "jobs": ("active", "waiting", "countTokens", "mirrorDue"),
    "alerts": ("digestAt", "told"),
}
_OPTIONS = json_util.CANONICAL_JSON_OPTIONS.with_options(tz_aware=True)

Progress = Callable[[str, int], None]
"""Told (collection, documents so far)."""


class BackupUnreadable(WebhookcronError):
    """The file is no backup, is not complete, or of a newer release."""


@dataclass(slots=True)
class Restored:
    """What a restore did, by collection."""

    written: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)
    """Documents that were there already and stayed as they are."""
    refused: list[str] = field(default_factory=list)
    """`collection/id` of documents that were not written, since another one has their key or address."""


def back_up(
    database: Database[Document],
    path: Path,
    *,
    now: datetime,
    progress: Progress = lambda _name, _count: None,
) -> Counter[str]:
    """Write a backup to `path` (compressed when it ends in .gz, mode 0600); how many documents of each collection.

    The file appears under its name when it is complete. Raises StoreUnavailable and OSError.
    """
    counts: Counter[str] = Counter()
    partial = path.with_name(path.name + ".partial")
    partial.unlink(missing_ok=True)
    partial.touch(mode=0o600)
    try:
        with _open(partial, "w", compressed=path.suffix == ".gz") as file:
            header = {
                "webhookcronBackup": FORMAT,
                "release": __version__,
                "schema": CURRENT,
                "createdAt": now,
            }
            file.write(json_util.dumps(header, json_options=_OPTIONS) + "\n")
            for name in COLLECTIONS:
                for document in _documents(database, name):
                    for key in _LEFT_OUT.get(name, ()):
                        document.pop(key, None)
                    file.write(json_util.dumps({"in": name, "is": document}, json_options=_OPTIONS) + "\n")
                    counts[name] += 1
                    if counts[name] % _AT_ONCE == 0:
                        progress(name, counts[name])
                progress(name, counts[name])
            file.write(json.dumps({"complete": {name: counts[name] for name in COLLECTIONS}}) + "\n")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return counts


def _documents(database: Database[Document], name: str) -> Iterator[Document]:
    """All documents in order of their ids, each batch a query of its own."""
    after: Any = None
    while True:
        filter_ = {} if after is None else {"_id": {"$gt": after}}
        with driver_errors_translated():
            batch = list(database[name].find(filter_).sort("_id", 1).limit(_AT_ONCE))
        yield from batch
        if len(batch) < _AT_ONCE:
            return
        after = batch[-1]["_id"]


def check_backup(path: Path) -> dict[str, int]:
    """How many documents of each collection a complete backup holds. Raises BackupUnreadable and OSError."""
    counts: Counter[str] = Counter()
    complete: dict[str, int] | None = None
    for number, line in _lines(path):
        if number == 1:
            _check_header(line)
        elif complete is not None:
            raise BackupUnreadable(f"line {number} comes after the end of the backup")
        elif "complete" in line:
            complete = {str(name): int(count) for name, count in line["complete"].items()}
        elif line.get("in") in COLLECTIONS and isinstance(line.get("is"), dict):
            counts[line["in"]] += 1
        else:
            raise BackupUnreadable(f"line {number} is no document of a backup")
    if complete is None or any(counts[name] != count for name, count in complete.items()):
        raise BackupUnreadable("the backup is not complete: its end is missing")
    return complete


def restore(
    database: Database[Document],
    path: Path,
    *,
    now: datetime,
    overwrite: bool = False,
    from_now: bool = False,
    progress: Progress = lambda _name, _count: None,
) -> Restored:
    """Write the documents of a backup into the database; what is there already stays, unless `overwrite`.

    Jobs go on from where the backup left them, so fire times since then are missed ones, for which each job's
    `misfirePolicy` decides; with `from_now` they are passed over. The sweep mirrors restored jobs by itself. Safe to
    repeat. Raises BackupUnreadable before anything is written, StoreUnavailable, and OSError.
    """
    check_backup(path)
    restored = Restored()
    batch: list[Document] = []
    batch_of = ""
    for number, line in _lines(path):
        if number == 1 or "complete" in line:
            continue
        if batch and (line["in"] != batch_of or len(batch) >= _AT_ONCE):
            _write(database, batch_of, batch, overwrite, restored)
            progress(batch_of, restored.written[batch_of] + restored.kept[batch_of])
            batch = []
        batch_of = line["in"]
        document = cast(Document, line["is"])
        batch.append(_restored_job(document, now, from_now) if batch_of == "jobs" else document)
    if batch:
        _write(database, batch_of, batch, overwrite, restored)
        progress(batch_of, restored.written[batch_of] + restored.kept[batch_of])
    return restored


def versions_added(now: datetime) -> int:
    """By how much a job restored at `now` is newer than in the backup: seconds since 2026.

    The mirror in Redis refuses what is older than what it holds, or has buried: by then people may have gone on, or
    restored the same backup before. Each of them changed a job less than once a second.
    """
    return max(0, int((now - _VERSIONS_FROM).total_seconds()))


def _restored_job(document: Document, now: datetime, from_now: bool) -> Document:
    # Due at once, however far this machine's clock is from that of the platform.
    version = int(document["version"]) + versions_added(now)
    document = {**document, "version": version, "mirrorDue": _VERSIONS_FROM}
    if from_now and document.get("status") == "active":
        document["handledThrough"] = max(now, document["handledThrough"])
    return document


def _write(
    database: Database[Document], name: str, batch: Sequence[Document], overwrite: bool, restored: Restored
) -> None:
    collection = database[name]
    ids = [document["_id"] for document in batch]
    errors: list[dict[str, Any]] = []
    try:
        with driver_errors_translated():
            if overwrite:
                replacements = [
                    ReplaceOne({"_id": i}, d, upsert=True) for i, d in zip(ids, batch, strict=True)
                ]
                collection.bulk_write(replacements, ordered=False)
            else:
                collection.insert_many(batch, ordered=False)
    except BulkWriteError as error:
        errors = (error.details or {}).get("writeErrors", [])
        if not errors or any(item.get("code") != _DUPLICATE_KEY for item in errors):
            raise
    left = {ids[item["index"]] for item in errors}
    restored.written[name] += len(batch) - len(left)
    if left and not overwrite:
        with driver_errors_translated():
            there = {found["_id"] for found in collection.find({"_id": {"$in": sorted(left)}}, {"_id": 1})}
        restored.kept[name] += len(there)
        left -= there
    restored.refused += [f"{name}/{i}" for i in sorted(left)]


def _check_header(line: dict[str, Any]) -> None:
    if line.get("webhookcronBackup") is None:
        raise BackupUnreadable("the file is no backup of webhookcron")
    if line["webhookcronBackup"] > FORMAT or line["schema"] > CURRENT:
        raise BackupUnreadable(f"the backup was made by a newer release ({line.get('release')})")


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with path.open("rb") as probe:
            compressed = probe.read(2) == b"\x1f\x8b"
        with _open(path, "r", compressed=compressed) as file:
            number = 0
            for number, text in enumerate(file, start=1):
                line = json_util.loads(text, json_options=_OPTIONS)
                if not isinstance(line, dict):
                    raise BackupUnreadable(f"line {number} is no JSON object")
                yield number, line
            if number == 0:
                raise BackupUnreadable("the file is empty")
    except (ValueError, TypeError, EOFError) as error:
        raise BackupUnreadable(f"the file cannot be read as a backup: {error}") from error


def _open(path: Path, mode: str, *, compressed: bool) -> IO[str]:
    if compressed:
        return cast(IO[str], gzip.open(path, f"{mode}t", encoding="utf-8"))
    return path.open(mode, encoding="utf-8")
