"""Access tokens by the OAuth 2.0 client credentials grant (RFC 6749 section 4.4), fetched once and shared."""

from __future__ import annotations

import base64
import json
import math
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote_plus, urlencode

from webhookcron.core.outcomes import Failure, FailureKind
from webhookcron.core.request_spec import AuthSpec
from webhookcron.delivery.transport import NOT_SENT, Transport, TransportClosed
from webhookcron.delivery.transport_types import HttpRequest, HttpResult

# A token is given up this long before it expires, so that it does not expire on its way.
EXPIRY_MARGIN_SECONDS = 30.0
# Where the answer does not say how long the token holds (RFC 6749 section 5.1 recommends that it does).
DEFAULT_LIFETIME_SECONDS = 300.0
MAX_LIFETIME_SECONDS = 86_400.0
# The longest wait for a token, whatever the waiting attempts' own deadlines. Below the 15 s by which a lease outlasts
# the deadline of its request.
MAX_FETCH_MS = 10_000
MAX_CACHED_TOKENS = 10_000
MAX_TOKEN_RESPONSE_BYTES = 64 * 1024

# RFC 6750 section 2.1 asks for less, but tokens with other visible characters are about.
_TOKEN = re.compile(r"[\x21-\x7e]{1,16384}")

OnToken = Callable[[str | Failure], None]
# Everything that decides which token one gets. The secret is part of it: who does not know it gets no token that
# was fetched with it.
_Key = tuple[str, str, str, str | None, str | None]


@dataclass(frozen=True, slots=True)
class _CachedToken:
    token: str
    usable_until: float


class OAuthTokens:
    """A cache of access tokens, by token URL, client, secret, scope and audience.

    Fetching is asynchronous on the given transport, and one fetch serves all who wait for the same token. A token
    is used until shortly before it expires, or until `forget`. Safe to share among threads.
    """

    def __init__(self, transport: Transport, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """`monotonic` gives seconds that never go back, to tell when tokens expire."""
        self._transport = transport
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._cached: OrderedDict[_Key, _CachedToken] = OrderedDict()
        self._waiting: dict[_Key, list[OnToken]] = {}

    def get(self, auth: AuthSpec, timeout_ms: int, on_token: OnToken) -> None:
        """Hand a token for these credentials, or the Failure to get one, to `on_token`.

        It is called once: at once on the caller's thread when a token is at hand, else on the transport's. The
        first who asks sets the fetch's deadline (at most 10 s). A Failure is of kind oauth_refused,
        oauth_unavailable, blocked or cancelled; none is cached.
        """
        key = _key(auth)
        with self._lock:
            cached = self._cached.get(key)
            if cached is not None and self._monotonic() < cached.usable_until:
                self._cached.move_to_end(key)
            else:
                cached = None
                waiting = self._waiting.setdefault(key, [])
                waiting.append(on_token)
                if len(waiting) > 1:
                    return
        if cached is not None:
            on_token(cached.token)
            return
        try:
            self._transport.submit(
                _token_request(auth, min(timeout_ms, MAX_FETCH_MS)), lambda result: self._fetched(key, result)
            )
        except TransportClosed:
            self._hand_out(key, Failure(FailureKind.CANCELLED, NOT_SENT))

    def forget(self, auth: AuthSpec, token: str) -> None:
        """Give up a token that a target refused, unless another one has taken its place by now."""
        key = _key(auth)
        with self._lock:
            cached = self._cached.get(key)
            if cached is not None and cached.token == token:
                del self._cached[key]

    def _fetched(self, key: _Key, result: HttpResult) -> None:
        answer = _read_token(result)
        if isinstance(answer, Failure):
            self._hand_out(key, answer)
            return
        token, lifetime = answer
        # Of a short-lived token at least half its life is used.
        usable = max(lifetime - EXPIRY_MARGIN_SECONDS, lifetime / 2)
        with self._lock:
            self._cached[key] = _CachedToken(token, self._monotonic() + usable)
            self._cached.move_to_end(key)
            while len(self._cached) > MAX_CACHED_TOKENS:
                self._cached.popitem(last=False)
        self._hand_out(key, token)

    def _hand_out(self, key: _Key, answer: str | Failure) -> None:
        with self._lock:
            waiting = self._waiting.pop(key, [])
        for on_token in waiting:
            on_token(answer)


def _key(auth: AuthSpec) -> _Key:
    return (auth.token_url, auth.client_id, auth.client_secret, auth.scope, auth.audience)


def _token_request(auth: AuthSpec, timeout_ms: int) -> HttpRequest:
    form = {"grant_type": "client_credentials"}
    if auth.scope:
        form["scope"] = auth.scope
    if auth.audience:
        form["audience"] = auth.audience
    # RFC 6749 section 2.3.1: both parts form-encoded first, then as HTTP Basic, which every server must take.
    credentials = f"{quote_plus(auth.client_id)}:{quote_plus(auth.client_secret)}".encode()
    return HttpRequest(
        method="POST",
        url=auth.token_url,
        headers=(
            ("Authorization", "Basic " + base64.b64encode(credentials).decode("ascii")),
            ("Content-Type", "application/x-www-form-urlencoded"),
            ("Accept", "application/json"),
        ),
        body=urlencode(form).encode(),
        timeout_ms=timeout_ms,
        max_response_bytes=MAX_TOKEN_RESPONSE_BYTES,
    )


def _read_token(result: HttpResult) -> tuple[str, float] | Failure:
    """Token and lifetime in seconds of a token endpoint's answer (RFC 6749 section 5); else the failure."""
    if result.failure is not None:
        if result.failure.kind in (FailureKind.BLOCKED, FailureKind.CANCELLED):
            return Failure(
                result.failure.kind, f"the OAuth token could not be fetched: {result.failure.message}"
            )
        return Failure(
            FailureKind.OAUTH_UNAVAILABLE,
            f"the OAuth token could not be fetched ({result.failure.kind}): {result.failure.message}",
        )
    status = result.status or 0
    if status in (408, 425, 429) or status >= 500:
        return Failure(
            FailureKind.OAUTH_UNAVAILABLE, f"the OAuth token endpoint answered with status {status}"
        )
    if status != 200:
        return Failure(FailureKind.OAUTH_REFUSED, f"the OAuth token endpoint answered with status {status}")
    try:
        answer = json.loads(result.body)
    except (ValueError, RecursionError):
        answer = None
    token = answer.get("access_token") if isinstance(answer, dict) else None
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        return Failure(
            FailureKind.OAUTH_REFUSED, "the OAuth token endpoint's answer holds no usable access_token"
        )
    if str(answer.get("token_type", "bearer")).lower() != "bearer":
        return Failure(FailureKind.OAUTH_REFUSED, "the OAuth token endpoint gave no bearer token")
    return token, _lifetime_seconds(answer.get("expires_in"))


def _lifetime_seconds(expires_in: object) -> float:
    """What `expires_in` says, up to a day; some servers write the number as a string."""
    try:
        lifetime = float(expires_in)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return DEFAULT_LIFETIME_SECONDS
    except OverflowError:
        return MAX_LIFETIME_SECONDS
    if math.isnan(lifetime):
        return DEFAULT_LIFETIME_SECONDS
    return min(max(lifetime, 0.0), MAX_LIFETIME_SECONDS)
