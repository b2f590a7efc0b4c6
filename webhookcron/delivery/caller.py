"""One attempt from template to result, whatever it takes: a token first, and a fresh one after a 401."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from webhookcron.core.outcomes import Failure, FailureKind
from webhookcron.core.request_spec import FireContext
from webhookcron.delivery.oauth import OAuthTokens
from webhookcron.delivery.request import RequestTemplate
from webhookcron.delivery.transport import NOT_SENT, OnDone, Transport, TransportClosed
from webhookcron.delivery.transport_types import HttpRequest, HttpResult

logger = logging.getLogger(__name__)

OnAttempt = Callable[[HttpRequest | None, HttpResult], None]


@dataclass(slots=True)
class WebhookCall:
    """An attempt to make; `on_done` gets the request as it was sent (None when none could be) and the result."""

    template: RequestTemplate
    context: FireContext
    on_done: OnAttempt


class WebhookCaller:
    """Makes attempts on a transport; results come on the transport's thread, so `on_done` must be quick."""

    def __init__(self, transport: Transport, tokens: OAuthTokens, *, now: Callable[[], datetime]) -> None:
        """`now` gives the platform's time (aware), which signatures carry."""
        self._transport = transport
        self._tokens = tokens
        self._now = now

    def call_many(self, attempts: Iterable[WebhookCall]) -> None:
        """Make the attempts; each `on_done` is called exactly once.

        One that cannot be built ends with a failure of kind invalid_request, and after the transport's close
        all end with one of kind cancelled; both on the calling thread.
        """
        now = self._now()
        ready: list[tuple[HttpRequest, OnDone]] = []
        for attempt in attempts:
            if attempt.template.needs_token:
                _TokenCall(self, attempt).begin()
                continue
            try:
                request = attempt.template.build(attempt.context, now=now)
            except Exception as error:
                attempt.on_done(None, _not_built(error))
                continue
            ready.append((request, _with_request(attempt.on_done, request)))
        try:
            self._transport.submit_many(ready)
        except TransportClosed:
            for _, on_done in ready:
                on_done(_failed(FailureKind.CANCELLED, NOT_SENT))


class _TokenCall:
    """An attempt with OAuth: token, call, and once more with a fresh token after a 401, in one deadline."""

    __slots__ = ("_attempt", "_caller", "_refreshed", "_started_at", "_token")

    def __init__(self, caller: WebhookCaller, attempt: WebhookCall) -> None:
        self._caller = caller
        self._attempt = attempt
        self._started_at = time.monotonic()
        self._refreshed = False
        self._token = ""

    def begin(self) -> None:
        auth = self._attempt.template.auth
        assert auth is not None
        self._caller._tokens.get(auth, max(self._left_ms(), 1), self._on_token)

    def _left_ms(self) -> int:
        elapsed_ms = int((time.monotonic() - self._started_at) * 1000)
        return self._attempt.template.spec.timeout_ms - elapsed_ms

    def _on_token(self, answer: str | Failure) -> None:
        attempt = self._attempt
        left_ms = self._left_ms()
        if isinstance(answer, Failure):
            self._end(None, HttpResult(failure=answer))
            return
        if left_ms <= 0:
            self._end(None, _failed(FailureKind.TIMEOUT, "the deadline passed before the OAuth token came"))
            return
        self._token = answer
        try:
            request = attempt.template.build(
                attempt.context, now=self._caller._now(), timeout_ms=left_ms, access_token=answer
            )
        except Exception as error:
            self._end(None, _not_built(error))
            return
        try:
            self._caller._transport.submit(request, lambda result: self._on_result(request, result))
        except TransportClosed:
            self._end(None, _failed(FailureKind.CANCELLED, NOT_SENT))

    def _on_result(self, request: HttpRequest, result: HttpResult) -> None:
        if result.status == 401 and result.failure is None and not self._refreshed and self._left_ms() > 0:
            self._refreshed = True
            auth = self._attempt.template.auth
            assert auth is not None
            self._caller._tokens.forget(auth, self._token)
            self.begin()
            return
        self._end(request, result)

    def _end(self, request: HttpRequest | None, result: HttpResult) -> None:
        """Hand the result over; as with redirects its `total` is that of the whole attempt."""
        total_ms = (time.monotonic() - self._started_at) * 1000
        self._attempt.on_done(request, replace(result, phases=result.phases._replace(total=total_ms)))


def _with_request(on_done: OnAttempt, request: HttpRequest) -> OnDone:
    return lambda result: on_done(request, result)


def _not_built(error: Exception) -> HttpResult:
    """What becomes of an attempt whose request could not be built: that of one job must not keep others from ending."""
    if not isinstance(error, ValueError):
        logger.error("a request could not be built", exc_info=error)
    return _failed(FailureKind.INVALID_REQUEST, str(error))


def _failed(kind: FailureKind, message: str) -> HttpResult:
    return HttpResult(failure=Failure(kind, message))
