"""What the services refuse, one class per answer that a caller can give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from webhookcron.core.errors import WebhookcronError


class Invalid(WebhookcronError):
    """What was given cannot be a job, or cannot be asked for.

    `errors` holds, by field name (snake_case, nested where the field is an object), lists of sentences fit for a user.
    """

    def __init__(self, errors: Mapping[str, Any], *, location: str = "json") -> None:
        """`location` is where in a request the fields stand: json, query or headers."""
        super().__init__("the input is not valid")
        self.errors = dict(errors)
        self.location = location


class Conflict(WebhookcronError):
    """The request is in order, but not for this resource in its present state; the message says why."""


class Forbidden(WebhookcronError):
    """The caller may not do this, whatever the resource; the message says what is missing."""


class TooMany(WebhookcronError):
    """Too much of this is under way, or was asked for of late: try again after `retry_after_seconds`."""

    def __init__(self, message: str, retry_after_seconds: int = 1) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class LoginFailed(WebhookcronError):
    """Address and password do not fit; which of them is wrong is not told."""

    def __init__(self) -> None:
        super().__init__("address or password is wrong")


class SessionEnded(WebhookcronError):
    """The refresh token is not valid (any more): log in again."""

    def __init__(self) -> None:
        super().__init__("the login has ended: log in again")


class KeyReused(WebhookcronError):
    """This Idempotency-Key was used for another request before."""


class NotReached(WebhookcronError):
    """There was no time left for this part of a large request: ask for it again."""

    def __init__(self) -> None:
        super().__init__("there was no time left for this one; ask again")


class FieldErrors:
    """Collects what is wrong, so that one answer tells everything."""

    def __init__(self) -> None:
        self._errors: dict[str, Any] = {}

    def add(self, field: str, message: object) -> None:
        """Note a sentence about `field`; `auth.token_url` names a field inside an object."""
        *parents, name = field.split(".")
        level = self._errors
        for parent in parents:
            level = level.setdefault(parent, {})
        level.setdefault(name, []).append(str(message))

    def merge(self, other: FieldErrors) -> None:
        """Note everything that `other` holds; its objects must not be noted here yet."""
        self._errors.update(other._errors)

    def __len__(self) -> int:
        return len(self._errors)

    def __bool__(self) -> bool:
        return bool(self._errors)

    def __contains__(self, field: str) -> bool:
        return field in self._errors

    def raise_if_any(self, location: str = "json") -> None:
        """Raise Invalid when something was noted."""
        if self._errors:
            raise Invalid(self._errors, location=location)
