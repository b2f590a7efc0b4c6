"""Every list and filter of the API is served by a declared index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import combinations, product
from typing import Any

import pytest

from webhookcron.service.job_queries import SORT_FIELDS, JobQuery
from webhookcron.storage.audit import AUDIT_ORDER, AuditFilter
from webhookcron.storage.execution_logs import LOG_ORDER, LogFilter
from webhookcron.storage.indexes import INDEXES, Index

MOMENT = datetime(2030, 1, 1, tzinfo=UTC)
OWNERS = ("ann", "bob")

Sort = Sequence[tuple[str, int]]

JOB_FILTERS: dict[str, dict[str, Any]] = {
    "status": {"statuses": ("paused",)},
    "statuses": {"statuses": ("paused", "disabled")},
    "isActive": {"is_active": True},
    "scheduleType": {"schedule_type": "cron"},
    "tag": {"tag": "a"},
    "tags": {"any_tags": ("a", "b")},
    "allTags": {"all_tags": ("a", "b")},
    "host": {"host": "example.com"},
    "lastStatus": {"last_statuses": ("failed", "timeout")},
    "search": {"search": "week rep"},
    "key": {"key": "k"},
}

LOG_FILTERS: dict[str, dict[str, Any]] = {
    "status": {"statuses": ("failed",)},
    "statuses": {"statuses": ("failed", "timeout")},
    "trigger": {"triggers": ("manual",)},
    "host": {"host": "example.com"},
    "minDurationMs": {"min_duration_ms": 5},
    "error": {"error_text": "refused"},
    "from": {"scheduled_from": MOMENT},
    "to": {"scheduled_to": MOMENT},
}


def conditions(filter_: Mapping[str, Any]) -> dict[str, Any]:
    """The conditions of a filter by field; of several on one field, one."""
    found = {name: value for name, value in filter_.items() if name != "$and"}
    for part in filter_.get("$and", ()):
        found |= part
    return found


def is_equality(condition: Any) -> bool:
    return not isinstance(condition, dict) or set(condition) == {"$in"}


def walks_in_order(index: Index, filter_: Mapping[str, Any], sort: Sort) -> bool:
    """Whether walking the index, from one place for each combination of equal values, gives `sort` at once.

    Its first fields are compared for equality, the fields that follow are those of the order, all forwards or all
    backwards. Other conditions are checked on the way.
    """
    found = conditions(filter_)
    keys = list(index.keys)
    while keys and keys[0][0] in found and is_equality(found[keys[0][0]]):
        if [name for name, _ in keys[: len(sort)]] == [name for name, _ in sort]:
            break
        keys.pop(0)
    in_order = keys[: len(sort)]
    backwards = [(name, -direction) for name, direction in in_order]
    return list(sort) in (in_order, backwards) and len(keys) < len(index.keys)


def narrows(index: Index, filter_: Mapping[str, Any], fields: Sequence[str]) -> bool:
    """Whether the index leads to the values of `fields`, which it begins with."""
    return [name for name, _ in index.keys[: len(fields)]] == list(fields) and set(fields) <= set(
        conditions(filter_)
    )


def of(collection: str) -> list[Index]:
    return [index for index in INDEXES if index.collection == collection]


@pytest.mark.parametrize("owners", [("ann",), OWNERS], ids=["member", "admin"])
@pytest.mark.parametrize(("field", "direction"), list(product(SORT_FIELDS, (1, -1))))
def test_every_order_of_a_list_of_jobs_is_walked_in_an_index(
    owners: tuple[str, ...], field: str, direction: int
) -> None:
    query = JobQuery(sort=((field, direction),))
    assert any(walks_in_order(index, query.filter(owners), query.sort_keys()) for index in of("jobs"))


@pytest.mark.parametrize("owners", [("ann",), OWNERS], ids=["member", "admin"])
@pytest.mark.parametrize("name", JOB_FILTERS)
def test_every_filter_of_a_list_of_jobs_is_looked_up_in_an_index(name: str, owners: tuple[str, ...]) -> None:
    filter_ = JobQuery(**JOB_FILTERS[name]).filter(owners)
    (field,) = {*conditions(filter_)} - {"ownerId"}
    assert any(narrows(index, filter_, ("ownerId", field)) for index in of("jobs"))


@pytest.mark.parametrize("names", list(combinations(JOB_FILTERS, 2)), ids="+".join)
@pytest.mark.parametrize("sort", [(("name", 1),), (("nextRunAt", -1), ("name", 1))], ids=["one", "two"])
def test_filters_together_and_orders_of_several_fields_stay_with_the_jobs_of_the_owners(
    names: tuple[str, ...], sort: tuple[tuple[str, int], ...]
) -> None:
    query = JobQuery(sort=sort, **{k: v for name in names for k, v in JOB_FILTERS[name].items()})
    filter_ = query.filter(OWNERS)
    first_field = query.sort_keys()[0][0]
    assert any(
        narrows(index, filter_, ("ownerId",)) and len(index.keys) > 1 and index.keys[1][0] == first_field
        for index in of("jobs")
    )


ALL_LOG_FILTERS = [names for size in range(len(LOG_FILTERS) + 1) for names in combinations(LOG_FILTERS, size)]


@pytest.mark.parametrize("subject", [{"job_id": "j"}, {"owner_ids": ("ann",)}, {"owner_ids": OWNERS}])
def test_every_list_of_executions_is_walked_in_an_index(subject: dict[str, Any]) -> None:
    indexes = of("executions")
    for names in ALL_LOG_FILTERS:
        which = LogFilter(**subject, **{k: v for name in names for k, v in LOG_FILTERS[name].items()})
        indexed = which.indexed(which.owner_ids)
        # All of the indexed part, then the order: nothing is skipped on the way to where a step stops.
        wanted = [*indexed, *(name for name, _ in LOG_ORDER)]
        assert any(sorted(wanted[:-2]) == sorted(n for n, _ in index.keys[:-2]) for index in indexes), names
        assert any(walks_in_order(index, indexed, LOG_ORDER) for index in indexes), names
        if set(names) - {"status", "statuses", "from", "to"}:
            assert which.looked_up(), names


def test_what_no_index_knows_is_told_apart() -> None:
    everything = LogFilter(job_id="j", **{k: v for part in LOG_FILTERS.values() for k, v in part.items()})
    assert set(everything.looked_up()) == {"trigger", "host", "durationMs", "error.message"}
    assert set(everything.indexed(())) == {"jobId", "status"}


AUDIT_FILTERS = {
    "user_id": {"user_id": "u"},
    "resource_id": {"resource_id": "r"},
    "action": {"action": "job.create"},
    "range": {"at_from": MOMENT, "at_to": MOMENT},
    "none": {},
}


@pytest.mark.parametrize("names", list(combinations(AUDIT_FILTERS, 2)), ids="+".join)
def test_the_audit_trail_is_walked_in_an_index(names: tuple[str, ...]) -> None:
    which = AuditFilter(**{k: v for name in names for k, v in AUDIT_FILTERS[name].items()})
    filter_ = which.document()
    equal = {name for name, condition in filter_.items() if is_equality(condition)}
    if equal:
        assert any(walks_in_order(index, filter_, AUDIT_ORDER) for index in of("audit"))
    else:
        assert [list(index.keys) for index in of("audit")].count(list(AUDIT_ORDER)) == 1


@pytest.mark.parametrize(
    ("collection", "fields"),
    [
        ("apiKeys", ("hash",)),
        ("apiKeys", ("ownerId", "createdAt")),
        ("users", ("email",)),
        ("sessions", ("userId",)),
        ("sessions", ("expireAt",)),
        ("creations", ("expireAt",)),
        ("audit", ("expireAt",)),
        ("rollups", ("jobId", "hourAt")),
        ("rollups", ("ownerId", "jobId", "hourAt")),
        ("executions", ("checkAt",)),
        ("jobs", ("status",)),
        ("jobs", ("ownerId", "key")),
    ],
)
def test_every_other_question_of_the_api_has_its_index(collection: str, fields: tuple[str, ...]) -> None:
    assert any(tuple(name for name, _ in index.keys[: len(fields)]) == fields for index in of(collection))


def test_a_search_is_for_literal_beginnings() -> None:
    filter_ = JobQuery(search="Weekly re.port .*").filter(("ann",))
    patterns = [part["searchTerms"]["$regex"] for part in filter_["$and"]]
    assert patterns == ["^weekly", "^re", "^port"]
