"""The version of what lies in the database, and the steps from one version to the next.

Old and new processes run side by side during an upgrade. So a step only adds: the version before it must still read
what it leaves. A version that cannot keep to that raises `READABLE_FROM`, and processes of an older release then refuse
to work on the database instead of damaging it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from webhookcron.core.errors import WebhookcronError
from webhookcron.storage.client import Document, driver_errors_translated

log = structlog.get_logger(__name__)

CURRENT = 1
"""What this release writes."""

READABLE_FROM = 1
"""The oldest version whose releases can work with what this one writes."""

_COLLECTION, _ID = "meta", "schema"


class NewerSchema(WebhookcronError):
    """The database was written by a newer release, which this one cannot work with."""

    def __init__(self, stored: int) -> None:
        super().__init__(
            f"the database is of schema version {stored}, and this release knows {CURRENT} at most: install the "
            "newer release again, or restore a backup that was made before the upgrade"
        )


@dataclass(frozen=True, slots=True)
class Migration:
    """One step. It must be safe to repeat: it may have been interrupted anywhere."""

    version: int
    """The version that it leads to."""
    name: str
    apply: Callable[[Database[Document]], None]


MIGRATIONS: tuple[Migration, ...] = ()
"""In order. Version 1 is what the first release writes."""


@dataclass(frozen=True, slots=True)
class SchemaVersion:
    """What the database says of itself."""

    version: int
    readable_from: int


def stored_version(database: Database[Document]) -> SchemaVersion | None:
    """The version of the database; None for one that was never used. Raises StoreUnavailable."""
    with driver_errors_translated():
        document = database[_COLLECTION].find_one({"_id": _ID})
    return None if document is None else SchemaVersion(document["version"], document["readableFrom"])


def check_version(database: Database[Document]) -> None:
    """Raises NewerSchema when this release must not work with the database, and StoreUnavailable."""
    stored = stored_version(database)
    if stored is not None and stored.readable_from > CURRENT:
        raise NewerSchema(stored.version)


def migrate(
    database: Database[Document],
    *,
    now: datetime,
    migrations: Sequence[Migration] = MIGRATIONS,
    current: int = CURRENT,
    readable_from: int = READABLE_FROM,
) -> list[str]:
    """Take the database to `current`, step by step; the names of the steps taken.

    Safe to repeat and to run side by side: a step that two processes take is taken twice, and the version only moves
    forward. Raises NewerSchema and StoreUnavailable.
    """
    meta = database[_COLLECTION]
    stored = stored_version(database)
    if stored is None:
        # Whatever lies here without a version was written by the first one.
        try:
            with driver_errors_translated():
                meta.insert_one({"_id": _ID, "version": 1, "readableFrom": 1, "changedAt": now})
        except DuplicateKeyError:
            pass
        stored = stored_version(database) or SchemaVersion(1, 1)
    if stored.readable_from > current:
        raise NewerSchema(stored.version)
    taken: list[str] = []
    for migration in migrations:
        if stored.version < migration.version <= current:
            log.info("schema.migrating", version=migration.version, name=migration.name)
            with driver_errors_translated():
                migration.apply(database)
                meta.update_one({"_id": _ID}, {"$max": {"version": migration.version}})
            taken.append(migration.name)
    with driver_errors_translated():
        meta.update_one({"_id": _ID}, {"$max": {"readableFrom": readable_from}, "$set": {"changedAt": now}})
    return taken
