"""Calling a webhook once to see what happens, with nothing stored."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from webhookcron.core.executions import Attempt, Trigger, manual_execution_id
from webhookcron.core.outcomes import Failure, FailureKind, Outcome
from webhookcron.core.request_spec import FireContext
from webhookcron.delivery.attempts import attempt_of
from webhookcron.delivery.caller import WebhookCall, WebhookCaller
from webhookcron.delivery.oauth import OAuthTokens
from webhookcron.delivery.request import RequestTemplate
from webhookcron.delivery.transport import Transport
from webhookcron.delivery.transport_types import HttpRequest, HttpResult
from webhookcron.service.errors import FieldErrors, TooMany
from webhookcron.service.jobs import new_job_id
from webhookcron.service.platform import Platform, stored_now
from webhookcron.service.request_fields import RequestContext, request_from_fields

MAX_TIMEOUT_MS = 8_000
"""A caller waits for the answer, and a server that is told to stop waits for the caller, so long at most."""

MAX_AT_ONCE = 4
"""Test calls of one process at a time: each occupies one of the threads that answer requests."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What one call of a webhook came to."""

    attempt: Attempt
    succeeded: bool
    """By the success rules of the definition."""


class TrialService:
    """Makes test calls through a transport of its own, which is made at the first one: never before a fork."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._room = threading.BoundedSemaphore(MAX_AT_ONCE)
        self._lock = threading.Lock()
        self._transport: Transport | None = None
        self._caller: WebhookCaller | None = None

    def call(self, values: Mapping[str, Any]) -> Trial:
        """Call the webhook of a definition once, as its first attempt would, with at most `MAX_TIMEOUT_MS`.

        The target policy holds as for every call. Raises Invalid, TooMany, and TickSourceUnavailable when platform
        time was never known.
        """
        errors = FieldErrors()
        context = RequestContext(self._platform.target_policy, secrets.token_bytes)
        spec = request_from_fields(values, context, errors)
        errors.raise_if_any()
        assert spec is not None
        template = RequestTemplate.of(replace(spec, timeout_ms=min(spec.timeout_ms, MAX_TIMEOUT_MS)))
        if not self._room.acquire(blocking=False):
            raise TooMany(f"{MAX_AT_ONCE} test calls are under way; try again when one has ended")
        try:
            return self._call(template, values.get("name") or "test")
        finally:
            self._room.release()

    def _call(self, template: RequestTemplate, name: str) -> Trial:
        now = stored_now(self._platform.clock)
        job_id = new_job_id(now)
        fire = FireContext(
            job_id=job_id,
            job_name=name,
            execution_id=manual_execution_id(job_id, secrets.token_hex(12)),
            scheduled_at=now,
            attempt=1,
            trigger=Trigger.MANUAL.value,
        )
        request, result = _waited_for(self._running_caller(), template, fire)
        outcome = Outcome.of_failure(result.failure) if result.failure else template.success.judge(result)
        attempt = attempt_of(
            number=1, scheduled_at=now, started_at=now, request=request, result=result, outcome=outcome
        )
        return Trial(attempt, outcome.succeeded)

    def close(self) -> None:
        """Stop the transport's thread."""
        with self._lock:
            if self._transport is not None:
                self._transport.close()
            self._transport = self._caller = None

    def _running_caller(self) -> WebhookCaller:
        with self._lock:
            if self._caller is None:
                self._transport = self._platform.transport()
                self._caller = WebhookCaller(
                    self._transport, OAuthTokens(self._transport), now=self._platform.clock.now
                )
            return self._caller


def _waited_for(
    caller: WebhookCaller, template: RequestTemplate, fire: FireContext
) -> tuple[HttpRequest | None, HttpResult]:
    ended = threading.Event()
    results: list[tuple[HttpRequest | None, HttpResult]] = []

    def on_done(request: HttpRequest | None, result: HttpResult) -> None:
        results.append((request, result))
        ended.set()

    caller.call_many([WebhookCall(template, fire, on_done)])
    # The transport keeps to the deadline; twice of it can only pass when its thread is stuck.
    if not ended.wait(2 * template.spec.timeout_ms / 1000):
        return None, HttpResult(failure=Failure(FailureKind.TIMEOUT, "the call did not end in time"))
    return results[0]
