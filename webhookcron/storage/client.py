"""The connection to MongoDB, and the one place where the driver's errors become the project's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC
from typing import Any

from bson.codec_options import CodecOptions
from pymongo import MongoClient, ReadPreference, WriteConcern
from pymongo.database import Database
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    ConnectionFailure,
    ExecutionTimeout,
    NetworkTimeout,
    OperationFailure,
    PyMongoError,
    WaitQueueTimeoutError,
    WTimeoutError,
)
from pymongo.read_concern import ReadConcern

from webhookcron.core.errors import StoreUnavailable

Document = dict[str, Any]

NAIVE: CodecOptions[Document] = CodecOptions(tz_aware=False)
"""For reads on the way of every fire: the driver makes aware moments by calling Python for each of them."""

OPERATION_TIMEOUT_MS = 2_000
"""One deadline for a whole operation, retries included: the API must answer 503 within 3 seconds."""

_UNAVAILABLE = (AutoReconnect, ConnectionFailure, ExecutionTimeout, NetworkTimeout, WaitQueueTimeoutError)

_UNAVAILABLE_CODES = frozenset({6, 7, 50, 64, 89, 91, 112, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436})
"""Server answers that mean "not now": host unreachable, timed out, stepping down, shutting down, no primary."""


def connect(uri: str, *, application: str = "webhookcron") -> MongoClient[Document]:
    """A client for `uri`; it connects when first used and from then on by itself.

    Moments come back as aware UTC. Nothing here waits longer than about two seconds.
    """
    return MongoClient(
        uri,
        appname=application,
        tz_aware=True,
        tzinfo=UTC,
        serverSelectionTimeoutMS=OPERATION_TIMEOUT_MS,
        connectTimeoutMS=OPERATION_TIMEOUT_MS,
        timeoutMS=OPERATION_TIMEOUT_MS,
        waitQueueTimeoutMS=OPERATION_TIMEOUT_MS,
        maxPoolSize=50,
    )


def database_of(client: MongoClient[Document]) -> Database[Document]:
    """The database that the client's URI names: acknowledged by a majority, read from the primary."""
    return client.get_default_database(
        codec_options=CodecOptions(tz_aware=True, tzinfo=UTC),
        read_preference=ReadPreference.PRIMARY,
        write_concern=WriteConcern("majority"),
        read_concern=ReadConcern("local"),
    )


@contextmanager
def driver_errors_translated() -> Iterator[None]:
    """Turn what the driver raises when MongoDB is away or too slow into `StoreUnavailable`; the rest passes."""
    try:
        yield
    except _UNAVAILABLE as error:
        raise StoreUnavailable("MongoDB did not answer in time") from error
    except WTimeoutError as error:
        raise StoreUnavailable("MongoDB did not acknowledge the write in time") from error
    except BulkWriteError as error:
        if _not_now(error):
            raise StoreUnavailable("MongoDB did not take all of the writes") from error
        raise
    except OperationFailure as error:
        if error.code in _UNAVAILABLE_CODES:
            raise StoreUnavailable("MongoDB cannot take the operation now") from error
        raise
    except PyMongoError as error:
        if error.timeout:
            raise StoreUnavailable("MongoDB did not answer in time") from error
        raise


def _not_now(error: BulkWriteError) -> bool:
    """Whether a group of writes failed for a reason that passes: not acknowledged, or no primary just now."""
    details = error.details or {}
    if details.get("writeConcernErrors"):
        return True
    return any(failed.get("code") in _UNAVAILABLE_CODES for failed in details.get("writeErrors", ()))
