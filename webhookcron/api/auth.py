"""Who is calling: API keys and access tokens in the Authorization header."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from datetime import datetime
from functools import wraps
from typing import Any, TypeVar

from webhookcron.api.callers import present_principal
from webhookcron.api.errors import UNAUTHORIZED, error_answer
from webhookcron.api.strict_requests import Heard, document_errors
from webhookcron.service.accounts import AccountService
from webhookcron.service.principals import Principal, Scope
from webhookcron.service.tokens import MAX_TOKEN_LENGTH
from webhookcron.storage.api_keys import KEY_PREFIX, ApiKeyStore, hash_key
from webhookcron.ticks.clock import PlatformClock

KEPT_FOR_SECONDS = 3.0
"""A caller who was found is not looked up again for so long: a removed key works this much longer at most."""

KEPT_CALLERS = 1024

MAX_KEY_LENGTH = 200
"""Longer ones cannot be keys of this platform."""

View = TypeVar("View", bound=Callable[..., Any])


class Authenticator:
    """Finds who a request comes from; callers found lately are remembered by a hash. Thread-safe."""

    def __init__(
        self,
        keys: ApiKeyStore,
        clock: PlatformClock,
        accounts: AccountService | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Without `accounts` only API keys are known."""
        self._keys = keys
        self._clock = clock
        self._accounts = accounts
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._known: OrderedDict[str, tuple[float, Principal]] = OrderedDict()

    def principal(self, authorization: str | None, *, address: str | None = None) -> Principal | None:
        """The caller of a request with this Authorization header; None when it holds neither valid key nor token.

        address  Where the request comes from; noted in the principal.

        Raises StoreUnavailable, and TickSourceUnavailable when platform time was never known.
        """
        scheme, _, credential = (authorization or "").partition(" ")
        credential = credential.strip()
        if scheme.lower() != "bearer" or not credential or len(credential) > MAX_TOKEN_LENGTH:
            return None
        is_key = credential.startswith(KEY_PREFIX)
        if is_key and len(credential) > MAX_KEY_LENGTH:
            return None
        now = self._clock.now()
        found = self._find(credential, is_key, now)
        if found is None or (found.expires_at is not None and found.expires_at <= now):
            return None
        return replace(found, address=address)

    def forget(self) -> None:
        """Look everyone up again: a key or login was ended here."""
        with self._lock:
            self._known.clear()

    def _find(self, credential: str, is_key: bool, now: datetime) -> Principal | None:
        digest = hash_key(credential)
        with self._lock:
            kept = self._known.get(digest)
        if kept is not None and kept[0] > self._monotonic():
            return kept[1]
        found = self._of_key(credential, now) if is_key else self._of_token(credential)
        with self._lock:
            self._known.pop(digest, None)
            if found is not None:
                self._known[digest] = (self._monotonic() + KEPT_FOR_SECONDS, found)
                if len(self._known) > KEPT_CALLERS:
                    self._known.popitem(last=False)
        return found

    def _of_key(self, key: str, now: datetime) -> Principal | None:
        found = self._keys.find(key, now=now)
        if found is None:
            return None
        return Principal(
            user_id=found.owner_id,
            role=found.role,
            scopes=frozenset(found.scopes),
            key_id=found.id,
            expires_at=found.expires_at,
        )

    def _of_token(self, token: str) -> Principal | None:
        return None if self._accounts is None else self._accounts.principal_of_token(token)


def signed_in(
    scope: Scope | None, *, admin: bool = False, own_account: bool = False
) -> Callable[[View], View]:
    """Let a view method run for callers with `scope` only; it gets the Principal as its first argument.

    scope        None = the view itself asks for what it needs.
    admin        Only admins may.
    own_account  It changes nothing but the caller's own account, so viewers may, too.

    It stands outermost, so that nothing is told about a request without a key.
    """

    def decorator(view: View) -> View:
        heard = Heard.by(getattr(view, "_apidoc", {}))

        @wraps(view)
        def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
            principal = present_principal()
            if principal is None:
                return error_answer(*UNAUTHORIZED)
            if scope is not None and own_account:
                principal.require_scope(scope)
            elif scope is not None:
                principal.require(scope)
            if admin:
                principal.require_admin()
            heard.refuse_the_rest()
            return view(self, principal, *args, **kwargs)

        wrapper._apidoc = _documented(view, scope)  # type: ignore[attr-defined]
        return wrapper  # type: ignore[return-value]

    return decorator


def _documented(view: Any, scope: Scope | None) -> dict[str, Any]:
    """The documentation of a view with what signing in adds to it."""
    doc = deepcopy(getattr(view, "_apidoc", {}))
    manual = doc.setdefault("manual_doc", {})
    manual["security"] = [{"bearer": []}]
    if scope is not None:
        manual["x-required-scope"] = scope.value
    document_errors(doc, view.__name__.upper())
    responses = doc["response"]["responses"]
    for status, name in ((401, "UNAUTHORIZED"), (403, "FORBIDDEN")):
        responses.setdefault(status, [name])
    return doc
