"""Which executions a list shows, as its address says: lenient, since people edit addresses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, tzinfo

from webhookcron.api.cursors import read_cursor
from webhookcron.core.executions import ExecutionStatus, Trigger
from webhookcron.service.execution_log import LogQuery

PER_PAGE = 50

GROUPS = {
    "failures": (ExecutionStatus.FAILED.value, ExecutionStatus.TIMEOUT.value),
    "open": (ExecutionStatus.QUEUED.value, ExecutionStatus.RUNNING.value, ExecutionStatus.RETRYING.value),
}
"""Names for several statuses at once."""

_JOB_ID = re.compile(r"[0-9a-f]{24}")


def log_query(arguments: Mapping[str, str], tz: tzinfo) -> LogQuery:
    """The query of these arguments; what means nothing is left out. Moments are wall times in `tz`."""
    status, trigger, job_id = arguments.get("status", ""), arguments.get("trigger"), arguments.get("job", "")
    known = {known.value for known in ExecutionStatus}
    after = None
    try:
        after = read_cursor(arguments["after"]) if arguments.get("after") else None
    except ValueError:
        after = None
    return LogQuery(
        job_id=job_id if _JOB_ID.fullmatch(job_id) else None,
        statuses=GROUPS.get(status, (status,) if status in known else ()),
        triggers=(trigger,) if trigger in {known.value for known in Trigger} else (),
        scheduled_from=_moment(arguments.get("from"), tz),
        scheduled_to=_moment(arguments.get("to"), tz),
        after=after,
        limit=PER_PAGE,
    )


def _moment(text: str | None, tz: tzinfo) -> datetime | None:
    try:
        wall = datetime.fromisoformat(text or "")
        moment = wall.replace(tzinfo=tz) if wall.tzinfo is None else wall
        return moment if 1970 < moment.year < 9999 else None
    except ValueError:
        return None
