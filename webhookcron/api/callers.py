"""The caller of the present request, found once per request."""

from __future__ import annotations

from typing import cast

from flask import current_app, g, request

from webhookcron.service.principals import Principal


def present_principal() -> Principal | None:
    """Who sent the present request; None when it carries no valid key or token.

    Raises StoreUnavailable, and TickSourceUnavailable when platform time was never known.
    """
    if "principal" not in g:
        g.principal = current_app.extensions["webhookcron"].authenticator.principal(
            request.headers.get("Authorization"), address=request.remote_addr
        )
    return cast("Principal | None", g.principal)


def identify() -> None:
    """Find the caller before anything is counted; what goes wrong then is answered like any error."""
    if request.path.startswith("/api/") and "Authorization" in request.headers:
        present_principal()
