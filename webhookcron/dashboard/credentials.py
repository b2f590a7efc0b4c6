"""Whose session it is: what a session was opened with, checked again with every request."""

from __future__ import annotations

from flask import request

from webhookcron.api.services import services
from webhookcron.dashboard.sessions import Session
from webhookcron.service.principals import Principal


def principal_of(session: Session) -> Principal | None:
    """The user of `session`; None when it is not signed in, or its credential was revoked or has expired.

    Raises StoreUnavailable, and TickSourceUnavailable when platform time was never known.
    """
    match session.kind:
        case "account":
            return services().accounts.principal_of_session(session.credential, address=request.remote_addr)
        case "key":
            return principal_of_key(session.credential)
        case _:
            return None


def principal_of_key(key: str) -> Principal | None:
    """The user of an API key; None when it is none. Raises as `principal_of`."""
    return services().authenticator.principal(f"Bearer {key}", address=request.remote_addr)
