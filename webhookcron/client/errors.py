"""What can go wrong between this client and the API: one class per thing that a person can do about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from webhookcron.core.errors import WebhookcronError


class ClientSettingsWrong(WebhookcronError):
    """An option, a variable or the profile file is missing or wrong; the message says which, and how it should be."""


class ApiUnreachable(WebhookcronError):
    """No answer came from the API, or none that is one of its; what the request did is unknown."""


class NoTrustedConnection(ApiUnreachable):
    """What answered shows no certificate that can be trusted, or speaks no TLS: trying again would not help."""


class ApiRefused(WebhookcronError):
    """The API answered with an error.

    `status` is the HTTP status; `problems` are the sentences of its `errors`, each behind the name of its field.
    """

    def __init__(self, status: int, message: str, errors: Mapping[str, Any] | None = None) -> None:
        self.status = status
        self.problems = tuple(sentences(errors or {}))
        # The API's sentence points at its `errors`; here they follow at once.
        head = message.removesuffix("; errors says where") if self.problems else message
        super().__init__("; ".join((head, *self.problems)))


class NotSignedIn(ApiRefused):
    """No key was sent, or one that this API does not know (401)."""


class NoSuchJob(WebhookcronError):
    """No job of the caller has this id, key or name, or several have the name; the message proposes others."""


def sentences(errors: Mapping[str, Any]) -> list[str]:
    """The sentences of an error answer's `errors`, as `field: sentence`; the place (json, query) is left out."""
    found: list[str] = []
    for place in errors.values():
        _collect(place, (), found)
    return found


def _collect(value: Any, path: tuple[str, ...], found: list[str]) -> None:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            _collect(inner, (*path, str(name)), found)
    elif isinstance(value, list):
        for inner in value:
            _collect(inner, path, found)
    else:
        found.append(f"{'.'.join(path)}: {value}" if path else str(value))
