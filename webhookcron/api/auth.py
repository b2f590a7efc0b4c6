"""Who is calling: API keys in the Authorization header."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from copy import deepcopy
from datetime import datetime
from functools import wraps
from typing import Any, TypeVar

from flask import current_app, request

from webhookcron.api.errors import DEFAULT_MESSAGES, error_answer
from webhookcron.service.principals import Principal, Scope
from webhookcron.storage.api_keys import KEY_PREFIX, ApiKey, ApiKeyStore, hash_key
from webhookcron.ticks.clock import PlatformClock

KEPT_FOR_SECONDS = 3.0
"""A key that was found is not looked up again for so long: a removed key works this much longer at most."""

KEPT_KEYS = 1024

MAX_KEY_LENGTH = 200
"""Longer ones cannot be keys of this platform."""

CHALLENGE = 'Bearer realm="webhookcron"'
"""RFC 6750 section 3."""

View = TypeVar("View", bound=Callable[..., Any])


class Authenticator:
    """Finds whose key a request carries; keys found lately are remembered by their hash. Thread-safe."""

    def __init__(
        self,
        keys: ApiKeyStore,
        clock: PlatformClock,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys = keys
        self._clock = clock
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._known: OrderedDict[str, tuple[float, ApiKey]] = OrderedDict()

    def principal(self, authorization: str | None) -> Principal | None:
        """The caller of a request with this Authorization header; None when it holds no valid key.

        Raises StoreUnavailable, and TickSourceUnavailable when platform time was never known.
        """
        scheme, _, key = (authorization or "").partition(" ")
        key = key.strip()
        if scheme.lower() != "bearer" or not key.startswith(KEY_PREFIX) or len(key) > MAX_KEY_LENGTH:
            return None
        now = self._clock.now()
        found = self._find(key, now)
        if found is None or (found.expires_at is not None and found.expires_at <= now):
            return None
        return Principal(user_id=found.owner_id, role=found.role, scopes=frozenset(found.scopes))

    def _find(self, key: str, now: datetime) -> ApiKey | None:
        digest = hash_key(key)
        with self._lock:
            kept = self._known.get(digest)
        if kept is not None and kept[0] > self._monotonic():
            return kept[1]
        found = self._keys.find(key, now=now)
        with self._lock:
            self._known.pop(digest, None)
            if found is not None:
                self._known[digest] = (self._monotonic() + KEPT_FOR_SECONDS, found)
                if len(self._known) > KEPT_KEYS:
                    self._known.popitem(last=False)
        return found


def signed_in(scope: Scope) -> Callable[[View], View]:
    """Let a view method run for callers with `scope` only; it gets the Principal as its first argument.

    It stands outermost, so that nothing is told about a request without a key.
    """

    def decorator(view: View) -> View:
        @wraps(view)
        def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
            authenticator: Authenticator = current_app.extensions["webhookcron"].authenticator
            principal = authenticator.principal(request.headers.get("Authorization"))
            if principal is None:
                return error_answer(401, DEFAULT_MESSAGES[401], headers={"WWW-Authenticate": CHALLENGE})
            principal.require(scope)
            return view(self, principal, *args, **kwargs)

        wrapper._apidoc = _documented(getattr(view, "_apidoc", {}), scope)  # type: ignore[attr-defined]
        return wrapper  # type: ignore[return-value]

    return decorator


def _documented(doc: dict[str, Any], scope: Scope) -> dict[str, Any]:
    """The documentation of a view with what signing in adds to it."""
    doc = deepcopy(doc)
    manual = doc.setdefault("manual_doc", {})
    manual["security"] = [{"apiKey": []}]
    manual["x-required-scope"] = scope.value
    responses = doc.setdefault("response", {}).setdefault("responses", {})
    for status, name in ((401, "UNAUTHORIZED"), (403, "FORBIDDEN"), (503, "SERVICE_UNAVAILABLE")):
        responses.setdefault(status, [name])
    return doc
