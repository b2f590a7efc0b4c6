"""Which jobs a list shows, as its address says: lenient, since people edit addresses."""

from __future__ import annotations

from collections.abc import Mapping

from webhookcron.core.jobs import JobStatus
from webhookcron.core.schedules import ScheduleType
from webhookcron.service.job_queries import MAX_PAGE, JobQuery

PER_PAGE = 25

SORTS = {
    "newest": (("createdAt", -1),),
    "name": (("name", 1),),
    "next": (("nextRunAt", 1),),
    "last": (("lastRunAt", -1),),
    "changed": (("updatedAt", -1),),
}
"""Orders that can be chosen -> the order of the query."""


def job_query(arguments: Mapping[str, str]) -> JobQuery:
    """The query of these arguments; what means nothing is left out."""
    status, type_ = arguments.get("status"), arguments.get("type")
    return JobQuery(
        page=page_number(arguments),
        limit=PER_PAGE,
        sort=SORTS.get(arguments.get("sort", ""), SORTS["newest"]),
        statuses=(status,) if status in {known.value for known in JobStatus} else (),
        schedule_type=type_ if type_ in {known.value for known in ScheduleType} else None,
        tag=arguments.get("tag") or None,
        search=arguments.get("q") or None,
    )


def page_number(arguments: Mapping[str, str]) -> int:
    """The page that these arguments ask for, the first one where they make no sense."""
    page = arguments.get("page", "1")
    return min(MAX_PAGE, max(1, int(page))) if page.isascii() and page.isdigit() and len(page) < 9 else 1
