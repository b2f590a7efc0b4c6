"""The collection `users`: accounts. One that is removed leaves its id behind, so that its logs can still be listed."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pymongo import ReturnDocument
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from webhookcron.core.errors import EmailTaken, NotFound
from webhookcron.storage.api_keys import ADMIN_ID
from webhookcron.storage.client import Document, driver_errors_translated

_PRESENT: Document = {"deletedAt": None}
_WITHOUT_PASSWORD = {"passwordHash": 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """An account. The first one comes with the installation and may have API keys only, without a login."""

    id: str
    role: str
    """admin, member or viewer."""
    name: str
    email: str | None
    """In lower case; None = cannot log in."""
    is_active: bool
    """False: neither its logins nor its API keys are accepted."""
    created_at: datetime | None
    last_login_at: datetime | None


class UserStore:
    """Accounts in MongoDB. Every method raises StoreUnavailable when MongoDB is away."""

    def __init__(self, database: Database[Document]) -> None:
        self._collection = database["users"]

    def get(self, user_id: str) -> User:
        """The account; NotFound when there is none, or no longer."""
        with driver_errors_translated():
            document = self._collection.find_one({"_id": user_id, **_PRESENT}, _WITHOUT_PASSWORD)
        if document is None:
            raise NotFound(user_id)
        return _user(document)

    def ids_ever(self) -> tuple[str, ...]:
        """The ids of all accounts there are and were: everyone who may own something."""
        with driver_errors_translated():
            return tuple(document["_id"] for document in self._collection.find({}, {"_id": 1}).sort("_id", 1))

    def credentials(self, email: str) -> tuple[User, str] | None:
        """The account with this address and the hash of its password; None when there is none that can log in."""
        with driver_errors_translated():
            # MongoDB takes the partial index only where the query says what the index demands.
            document = self._collection.find_one({"email": {"$eq": email, "$type": "string"}, **_PRESENT})
        if document is None or not document.get("passwordHash"):
            return None
        return _user(document), document["passwordHash"]

    def password_hash(self, user_id: str) -> str | None:
        """The hash of the account's password; None when it has none."""
        with driver_errors_translated():
            document = self._collection.find_one({"_id": user_id, **_PRESENT}, {"passwordHash": 1})
        return None if document is None else document.get("passwordHash")

    def first_login(self) -> bool:
        """Whether the first account of the installation has a login already."""
        with driver_errors_translated():
            found = self._collection.find_one({"_id": ADMIN_ID, "email": {"$type": "string"}}, {"_id": 1})
        return found is not None

    def claim_first(self, email: str, password_hash: str, name: str, *, now: datetime) -> User | None:
        """Give the first account (an admin) its login; None when it has one already, whoever was quicker.

        Raises EmailTaken.
        """
        change = {
            "$set": {"email": email, "passwordHash": password_hash, "name": name, "role": "admin"},
            "$setOnInsert": {"createdAt": now},
        }
        try:
            with driver_errors_translated():
                document = self._collection.find_one_and_update(
                    {"_id": ADMIN_ID, "email": None, **_PRESENT},
                    change,
                    upsert=True,
                    return_document=ReturnDocument.AFTER,
                )
        except DuplicateKeyError as error:
            if (error.details or {}).get("keyPattern") == {"email": 1}:
                raise EmailTaken(email) from error
            return None  # The account has a login, so that the upsert tried to insert it anew.
        return None if document is None else _user(document)

    def create(self, email: str, password_hash: str, name: str, role: str, *, now: datetime) -> User:
        """A new account. Raises EmailTaken."""
        document: Document = {
            "_id": secrets.token_hex(12),
            "email": email,
            "passwordHash": password_hash,
            "name": name,
            "role": role,
            "createdAt": now,
        }
        try:
            with driver_errors_translated():
                self._collection.insert_one(document)
        except DuplicateKeyError as error:
            raise EmailTaken(email) from error
        return _user(document)

    def update(self, user_id: str, changes: Mapping[str, Any]) -> User:
        """Change `role`, `name`, `email`, `isActive` (document names). Raises NotFound and EmailTaken."""
        try:
            with driver_errors_translated():
                document = self._collection.find_one_and_update(
                    {"_id": user_id, **_PRESENT},
                    {"$set": dict(changes)},
                    return_document=ReturnDocument.AFTER,
                )
        except DuplicateKeyError as error:
            raise EmailTaken(str(changes.get("email"))) from error
        if document is None:
            raise NotFound(user_id)
        return _user(document)

    def set_password(self, user_id: str, password_hash: str) -> None:
        """Replace the password. Raises NotFound."""
        self.update(user_id, {"passwordHash": password_hash})

    def reset_password(self, user_id: str, password_hash: str) -> None:
        """Replace the password and end all logins of the account. Raises NotFound."""
        self.set_password(user_id, password_hash)
        with driver_errors_translated():
            self._collection.database["sessions"].delete_many({"userId": user_id})

    def logged_in(self, user_id: str, *, now: datetime) -> None:
        """Remember when the account was last used to log in."""
        with driver_errors_translated():
            self._collection.update_one({"_id": user_id}, {"$max": {"lastLoginAt": now}})

    def remove(self, user_id: str, *, now: datetime) -> None:
        """Remove the account; its id stays, and means nobody from then on. Raises NotFound."""
        with driver_errors_translated():
            result = self._collection.update_one(
                {"_id": user_id, **_PRESENT},
                {"$set": {"deletedAt": now}, "$unset": {"email": "", "passwordHash": ""}},
            )
        if not result.matched_count:
            raise NotFound(user_id)

    def some(self, user_ids: Iterable[str]) -> tuple[User, ...]:
        """Those of these accounts that there are, in no particular order."""
        which = {"_id": {"$in": sorted(set(user_ids))}, **_PRESENT}
        with driver_errors_translated():
            return tuple(map(_user, self._collection.find(which, _WITHOUT_PASSWORD)))

    # --- lists (last: within the class, `list` means this method from here on)

    def list(self, *, skip: int, limit: int) -> tuple[list[User], int]:
        """A page of the accounts in the order of their ids, and how many there are in all."""
        with driver_errors_translated():
            total = self._collection.count_documents(_PRESENT)
            documents = list(
                self._collection.find(_PRESENT, _WITHOUT_PASSWORD).sort("_id", 1).skip(skip).limit(limit)
            )
        return [_user(document) for document in documents], total


def _user(document: Document) -> User:
    get = document.get
    return User(
        id=document["_id"],
        role=document["role"],
        name=get("name") or "",
        email=get("email"),
        is_active=get("isActive", True) is not False,
        created_at=get("createdAt"),
        last_login_at=get("lastLoginAt"),
    )
