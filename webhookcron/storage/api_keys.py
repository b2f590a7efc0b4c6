"""API keys and the users that own them."""

from __future__ import annotations

import hashlib
import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from bson import ObjectId
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from webhookcron.storage.client import Document, driver_errors_translated

KEY_PREFIX = "whk_"
ADMIN_ID = "admin"
"""The `_id` of the first user, who is made with the installation."""
ALL_SCOPES = ("read", "write", "trigger")
_TOUCH_EVERY = timedelta(minutes=1)
"""`lastUsedAt` is written at most so often: a use need not cost a write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A stored API key; the key itself is known to its holder alone."""

    id: str
    owner_id: str
    name: str
    role: str
    """The owner's role: admin, member or viewer."""
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None


class ApiKeyStore:
    """The collections `users` and `apiKeys`."""

    def __init__(self, database: Database[Document]) -> None:
        self._keys = database["apiKeys"]
        self._users = database["users"]

    def ensure_admin_key(self, key: str, *, now: datetime) -> bool:
        """Make `key` a key of the admin user, who is made when missing; False when it already was.

        The caller keeps the key safe before it calls, so a process that dies in between only has to call again.
        """
        with driver_errors_translated():
            # A duplicate is the usual case: every start but the first.
            with suppress(DuplicateKeyError):
                self._users.insert_one({"_id": ADMIN_ID, "role": "admin", "name": "admin", "createdAt": now})
            try:
                self._insert(key, ADMIN_ID, "admin key of this installation", ALL_SCOPES, now)
            except DuplicateKeyError:
                return False
            # A new key is also the way back in: whoever may make one here decides who is admin.
            self._users.update_one(
                {"_id": ADMIN_ID}, {"$set": {"role": "admin"}, "$unset": {"deletedAt": "", "isActive": ""}}
            )
        return True

    def create(
        self,
        owner_id: str,
        name: str,
        scopes: tuple[str, ...],
        *,
        now: datetime,
        expires_at: datetime | None = None,
    ) -> tuple[str, str]:
        """A new key for `owner_id`: (id, key). The key is not stored and cannot be had again."""
        key = generate_key()
        with driver_errors_translated():
            return self._insert(key, owner_id, name, scopes, now, expires_at), key

    def _insert(
        self,
        key: str,
        owner_id: str,
        name: str,
        scopes: tuple[str, ...],
        now: datetime,
        expires_at: datetime | None = None,
    ) -> str:
        key_id = str(ObjectId())
        document: Document = {
            "_id": key_id,
            "ownerId": owner_id,
            "name": name,
            "scopes": list(scopes),
            "hash": hash_key(key),
            "createdAt": now,
        }
        if expires_at is not None:
            document["expiresAt"] = expires_at
        self._keys.insert_one(document)
        return key_id

    def remove(self, key_id: str, *, owner_id: str) -> str | None:
        """Remove a key of `owner_id`; its name, or None when there is none."""
        with driver_errors_translated():
            document = self._keys.find_one_and_delete({"_id": key_id, "ownerId": owner_id})
        return None if document is None else document["name"]

    def remove_all_of(self, owner_id: str) -> int:
        """Remove all keys of a user; how many."""
        with driver_errors_translated():
            return self._keys.delete_many({"ownerId": owner_id}).deleted_count

    def get(self, key_id: str, *, owner_id: str) -> ApiKey | None:
        """A key of `owner_id`, its role left empty; None when there is none."""
        with driver_errors_translated():
            document = self._keys.find_one({"_id": key_id, "ownerId": owner_id}, {"hash": 0})
        return None if document is None else _api_key(document, "")

    def find(self, key: str, *, now: datetime) -> ApiKey | None:
        """Whose `key` this is; None when it is unknown, expired, or its owner is gone."""
        with driver_errors_translated():
            document = self._keys.find_one({"hash": hash_key(key)})
            if document is None:
                return None
            expires_at = document.get("expiresAt")
            if expires_at is not None and expires_at <= now:
                return None
            user = self._users.find_one({"_id": document["ownerId"], "deletedAt": None})
            if user is None or user.get("isActive") is False:
                return None
            last_used_at = document.get("lastUsedAt")
            if last_used_at is None or now - last_used_at >= _TOUCH_EVERY:
                self._keys.update_one({"_id": document["_id"]}, {"$max": {"lastUsedAt": now}})
        return _api_key(document, user["role"])

    # --- lists (last: within the class, `list` means this method from here on)

    def list(self, owner_id: str, *, limit: int) -> list[ApiKey]:
        """The keys of a user, the newest first; their role is left empty."""
        with driver_errors_translated():
            documents = list(
                self._keys.find({"ownerId": owner_id}, {"hash": 0}).sort("createdAt", -1).limit(limit)
            )
        return [_api_key(document, "") for document in documents]


def _api_key(document: Document, role: str) -> ApiKey:
    return ApiKey(
        id=document["_id"],
        owner_id=document["ownerId"],
        name=document["name"],
        role=role,
        scopes=tuple(document["scopes"]),
        created_at=document["createdAt"],
        expires_at=document.get("expiresAt"),
        last_used_at=document.get("lastUsedAt"),
    )


def generate_key() -> str:
    """A new API key: `whk_` and 256 random bits."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


def hash_key(key: str) -> str:
    """What is stored of a key. A plain hash will do: the key holds 256 random bits, so it cannot be guessed."""
    return hashlib.sha256(key.encode()).hexdigest()
