"""Where traces take hold: around what creates executions, and around what makes their calls.

Without traces none of this is there, so the ways of a fire know nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from pymongo.database import Database

from webhookcron.core.executions import Execution
from webhookcron.core.fires import DueRun
from webhookcron.delivery.caller import WebhookCall, WebhookCaller
from webhookcron.delivery.oauth import OAuthTokens
from webhookcron.delivery.transport import Transport
from webhookcron.storage.client import Document
from webhookcron.storage.executions import ExecutionStore, Inserted
from webhookcron.tracing.spans import Traces


class TracedExecutions(ExecutionStore):
    """Executions in MongoDB; the creation of each begins its trace."""

    def __init__(self, database: Database[Document], traces: Traces, *, now: Callable[[], datetime]) -> None:
        super().__init__(database)
        self._traces = traces
        self._now = now

    def insert(self, executions: Sequence[Execution | DueRun]) -> Inserted:
        """As the base class does; what another process created is told by that one."""
        inserted = super().insert(executions)
        created = [
            execution
            for execution in executions
            if execution.id in inserted.created and self._traces.samples(execution.id)
        ]
        if created:
            told = [item.as_execution() if isinstance(item, DueRun) else item for item in created]
            self._traces.created(told, self._now())
        return inserted


class TracedCaller(WebhookCaller):
    """Makes attempts that tell their receivers the trace they belong to."""

    def __init__(
        self, transport: Transport, tokens: OAuthTokens, traces: Traces, *, now: Callable[[], datetime]
    ) -> None:
        super().__init__(transport, tokens, now=now)
        self._traces = traces

    def call_many(self, attempts: Iterable[WebhookCall]) -> None:
        """As the base class does, each attempt with a `traceparent` of its own."""
        super().call_many(
            [
                replace(
                    attempt,
                    context=replace(
                        attempt.context, traceparent=self._traces.header(attempt.context.execution_id)
                    ),
                )
                for attempt in attempts
            ]
        )
