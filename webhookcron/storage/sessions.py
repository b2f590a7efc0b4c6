"""The collection `sessions`: logins, each with the hash of its present refresh token."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pymongo import ReturnDocument
from pymongo.database import Database

from webhookcron.storage.client import Document, driver_errors_translated


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A login that has not ended."""

    id: str
    user_id: str
    created_at: datetime
    expires_at: datetime


class SessionStore:
    """Logins; kept until `expireAt`. Every method raises StoreUnavailable when MongoDB is away."""

    def __init__(self, database: Database[Document]) -> None:
        self._collection = database["sessions"]

    def begin(self, session: Session, token_hash: str, *, address: str | None, client: str | None) -> None:
        """Store a new login; `address` and `client` (the User-Agent) say where it came from."""
        document = {
            "_id": session.id,
            "userId": session.user_id,
            "hash": token_hash,
            "createdAt": session.created_at,
            "expireAt": session.expires_at,
            "address": address,
            "client": client,
        }
        with driver_errors_translated():
            self._collection.insert_one({k: v for k, v in document.items() if v is not None})

    def get(self, session_id: str, *, now: datetime) -> Session | None:
        """The login; None when it has ended."""
        with driver_errors_translated():
            document = self._collection.find_one({"_id": session_id, "expireAt": {"$gt": now}})
        return None if document is None else _session(document)

    def rotate(
        self, session_id: str, old_hash: str, new_hash: str, *, now: datetime, expires_at: datetime
    ) -> Session | None:
        """Put `new_hash` in the place of `old_hash`; None when that is not the present one, or the login has ended."""
        with driver_errors_translated():
            document = self._collection.find_one_and_update(
                {"_id": session_id, "hash": old_hash, "expireAt": {"$gt": now}},
                {"$set": {"hash": new_hash, "expireAt": expires_at, "rotatedAt": now}},
                return_document=ReturnDocument.AFTER,
            )
        return None if document is None else _session(document)

    def end(self, session_id: str) -> bool:
        """End a login; False when it had ended."""
        with driver_errors_translated():
            return self._collection.delete_one({"_id": session_id}).deleted_count == 1

    def end_all_of(self, user_id: str, *, but: str | None = None) -> int:
        """End all logins of a user, but the one with the id `but`; how many."""
        filter_: Document = {"userId": user_id}
        if but is not None:
            filter_["_id"] = {"$ne": but}
        with driver_errors_translated():
            return self._collection.delete_many(filter_).deleted_count


def _session(document: Document) -> Session:
    return Session(
        id=document["_id"],
        user_id=document["userId"],
        created_at=document["createdAt"],
        expires_at=document["expireAt"],
    )
