"""What is done to the database before, or without, a platform."""

from __future__ import annotations

from datetime import UTC, datetime

from pymongo.database import Database

from webhookcron.config import Settings
from webhookcron.storage import client as mongo
from webhookcron.storage import indexes
from webhookcron.storage.api_keys import ApiKeyStore
from webhookcron.storage.client import Document
from webhookcron.storage.schema_version import migrate


def prepare_database(database: Database[Document]) -> None:
    """Take the database to this release's schema.

    Raises StoreUnavailable, and NewerSchema when a newer release wrote it.
    """
    # No decision rests on this moment, and this step must work without Redis.
    migrate(database, now=datetime.now(UTC))
    indexes.ensure_indexes(database)


def ensure_indexes(settings: Settings) -> list[str]:
    """Create or replace the declared indexes; the names of those that were. Raises StoreUnavailable."""
    client = mongo.connect(settings.mongodb_uri)
    try:
        return indexes.ensure_indexes(mongo.database_of(client))
    finally:
        client.close()


def ensure_admin_key(settings: Settings, key: str) -> bool:
    """Make `key` (`whk_…`, kept safe by the caller) a key of the admin user; False when it already was.

    Raises StoreUnavailable.
    """
    client = mongo.connect(settings.mongodb_uri)
    try:
        # No decision rests on this moment, and this step must work without Redis.
        return ApiKeyStore(mongo.database_of(client)).ensure_admin_key(key, now=datetime.now(UTC))
    finally:
        client.close()
