"""Accounts as admins see and change them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from webhookcron.service.accounts import check_password, checked_email
from webhookcron.service.audit import AuditTrail
from webhookcron.service.errors import Conflict
from webhookcron.service.passwords import Passwords, generate_password
from webhookcron.service.platform import Platform, stored_now
from webhookcron.service.principals import Principal
from webhookcron.storage.sessions import SessionStore
from webhookcron.storage.users import User, UserStore

_DOCUMENT_NAMES = {"role": "role", "name": "name", "email": "email", "is_active": "isActive"}


@dataclass(frozen=True, slots=True)
class UserPage:
    """One page of a list of accounts."""

    items: list[User]
    page: int
    """From 1."""
    limit: int
    total: int


class UserService:
    """What admins do with accounts.

    Every method raises Forbidden unless the caller is an admin, and may raise StoreUnavailable and NotFound.
    """

    def __init__(self, platform: Platform, audit: AuditTrail, passwords: Passwords) -> None:
        self._platform = platform
        self._users = UserStore(platform.database)
        self._sessions = SessionStore(platform.database)
        self._keys = platform.api_keys
        self._audit = audit
        self._passwords = passwords

    def page(self, principal: Principal, *, page: int, limit: int) -> UserPage:
        """A page of the accounts."""
        principal.require_admin()
        items, total = self._users.list(skip=(page - 1) * limit, limit=limit)
        return UserPage(items, page, limit, total)

    def get(self, principal: Principal, user_id: str) -> User:
        """The account."""
        principal.require_admin()
        return self._users.get(user_id)

    def names(self, principal: Principal, user_ids: Iterable[str]) -> dict[str, str]:
        """The address of each of these accounts by id, or its name where it has none; removed ones are left out."""
        principal.require_admin()
        return {user.id: user.email or user.name or user.id for user in self._users.some(user_ids)}

    def create(
        self, principal: Principal, *, email: str, name: str, role: str, password: str | None
    ) -> tuple[User, str | None]:
        """A new account, and its password when none was given: it is not shown again.

        Raises Invalid and EmailTaken.
        """
        principal.require_admin()
        email = checked_email(email)
        generated = None
        if password is None:
            password = generated = generate_password()
        check_password(password, email)
        user = self._users.create(
            email, self._passwords.hash(password), name, role, now=stored_now(self._platform.clock)
        )
        self._audit.record(
            principal, "user.create", resource_id=user.id, resource_name=email, details={"role": role}
        )
        return user, generated

    def change(self, principal: Principal, user_id: str, values: Mapping[str, Any]) -> User:
        """The account with another `email`, `name`, `role`, `is_active` or `password`.

        A new password, and the end of being active, end its logins. Raises Invalid, EmailTaken, and Conflict for
        taking away one's own rights.
        """
        principal.require_admin()
        user = self._users.get(user_id)
        loses = values.get("role", "admin") != "admin" or values.get("is_active") is False
        if user_id == principal.user_id and loses:
            raise Conflict("you cannot take away your own rights; another admin can")
        changes = {_DOCUMENT_NAMES[name]: values[name] for name in _DOCUMENT_NAMES if name in values}
        if "email" in changes:
            changes["email"] = checked_email(changes["email"])
        password = values.get("password")
        if password is not None:
            check_password(password, str(changes.get("email") or user.email or ""))
            changes["passwordHash"] = self._passwords.hash(password)
        if not changes:
            return user
        changed = self._users.update(user_id, changes)
        if password is not None or not changed.is_active:
            self._sessions.end_all_of(user_id)
        self._audit.record(
            principal,
            "user.change",
            resource_id=user_id,
            resource_name=changed.email,
            details={"fields": sorted(values)},
        )
        return changed

    def remove(self, principal: Principal, user_id: str) -> None:
        """Remove the account with its API keys and logins. Raises Conflict for one's own, or one that has jobs."""
        principal.require_admin()
        user = self._users.get(user_id)
        if user_id == principal.user_id:
            raise Conflict("you cannot remove your own account; another admin can")
        owned = self._platform.jobs.count({"ownerId": user_id})
        if owned:
            raise Conflict(
                f"this account owns {owned} cron job{'s' if owned > 1 else ''}: delete them first, or set isActive to "
                "false instead"
            )
        self._users.remove(user_id, now=stored_now(self._platform.clock))
        self._sessions.end_all_of(user_id)
        self._keys.remove_all_of(user_id)
        self._audit.record(principal, "user.remove", resource_id=user_id, resource_name=user.email)
