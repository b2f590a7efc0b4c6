"""The line in the log about each execution that failed; those that go well are in the log of executions only."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from webhookcron.core.executions import ExecutionStatus, job_id_of
from webhookcron.delivery.results import Record

log = structlog.get_logger(__name__)

_FAILED = frozenset({ExecutionStatus.FAILED, ExecutionStatus.TIMEOUT})


def log_failures(records: Sequence[Record]) -> None:
    """Tell of the failures in a group of results that was written; an attempt that is repeated at debug.

    Many at once are told in part, as every event is (`webhookcron.log_limits`). What the target said is left out.
    """
    for record in records:
        if record.final is not None and record.final.status not in _FAILED:
            continue
        attempt = record.update.change.get("$push", {}).get("attempts")
        if attempt is None or "error" not in attempt:
            continue
        tell, event = (
            (log.debug, "attempt.failed") if record.final is None else (log.info, "execution.failed")
        )
        tell(
            event,
            job_id=job_id_of(record.update.execution_id),
            execution_id=record.update.execution_id,
            attempt=attempt["number"],
            kind=attempt["error"]["kind"],
            response_status=attempt.get("responseStatus"),
        )
