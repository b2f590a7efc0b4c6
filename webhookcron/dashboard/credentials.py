"""Whose session it is: what a session was opened with, checked again with every request."""

from __future__ import annotations

from webhookcron.api.services import services
from webhookcron.dashboard.sessions import Session
from webhookcron.service.principals import Principal


def principal_of(session: Session) -> Principal | None:
    """The user of `session`; None when it is not signed in, or its credential was revoked or has expired.

    Raises StoreUnavailable, and TickSourceUnavailable when platform time was never known.
    """
    if session.kind == "key":
        return services().authenticator.principal(f"Bearer {session.credential}")
    return None


def principal_of_key(key: str) -> Principal | None:
    """The user of an API key; None when it is none. Raises as `principal_of`."""
    return services().authenticator.principal(f"Bearer {key}")
