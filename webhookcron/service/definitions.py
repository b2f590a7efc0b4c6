"""Definitions of jobs: what users write, checked as a whole."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from webhookcron.core.jobs import Job, Policies
from webhookcron.core.request_spec import NoPayload, RequestSpec
from webhookcron.core.schedules import Schedule
from webhookcron.core.targets import TargetPolicy
from webhookcron.service.errors import FieldErrors
from webhookcron.service.policy_fields import DEFAULTS, policies_from_fields
from webhookcron.service.request_fields import RequestContext, request_from_fields
from webhookcron.service.schedule_fields import ScheduleContext, schedule_from_fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """The part of a job that its owner writes."""

    name: str
    key: str | None
    description: str
    tags: tuple[str, ...]
    alerts: tuple[str, ...]
    schedule: Schedule
    request: RequestSpec
    policies: Policies

    @classmethod
    def of(cls, job: Job) -> Definition:
        """The definition that `job` has now."""
        return cls(
            name=job.name,
            key=job.key,
            description=job.description,
            tags=job.tags,
            alerts=job.alerts,
            schedule=job.schedule,
            request=job.request,
            policies=job.policies,
        )

    def moves_fire_times(self, other: Definition) -> bool:
        """Whether going from `other` to this one changes which fire times there are, or when they act."""
        mine, theirs = self.policies, other.policies
        return (
            self.schedule != other.schedule
            or mine.max_runs != theirs.max_runs
            or mine.jitter_ms != theirs.jitter_ms
        )

    def same_as(self, other: Definition) -> bool:
        """Whether nothing would change by replacing `other` with this one."""
        return self == other and _json_of(self.request) == _json_of(other.request)


@dataclass(frozen=True, slots=True, kw_only=True)
class DefinitionRules:
    """What definitions are checked against, whoever writes them."""

    target_policy: TargetPolicy
    default_timezone: str
    random_bytes: Callable[[int], bytes]

    def build(self, values: Mapping[str, Any], *, now: datetime, stored: Job | None = None) -> Definition:
        """The definition that `values` (by field name in snake_case) make at `now`, in place of that of `stored`.

        Each value has its right type already; absent ones and None mean the default, secrets aside. Raises Invalid
        with everything that is wrong.
        """
        return self._build(
            values, now, stored.schedule if stored else None, stored.request if stored else None
        )

    def build_copy(self, values: Mapping[str, Any], origin: Job, *, now: datetime) -> Definition:
        """The definition of a new job that takes over the secrets of `origin`, except for what signs its calls."""
        return self._build(values, now, None, replace(origin.request, signing_secrets=()))

    def _build(
        self,
        values: Mapping[str, Any],
        now: datetime,
        stored_schedule: Schedule | None,
        stored_request: RequestSpec | None,
    ) -> Definition:
        errors = FieldErrors()
        name = values.get("name")
        if not name:
            errors.add("name", "is needed")
        request = request_from_fields(
            values,
            RequestContext(self.target_policy, self.random_bytes, stored_request),
            errors,
        )
        grace_ms = values.get("misfire_grace_ms")
        schedule = schedule_from_fields(
            values,
            ScheduleContext(
                now=now,
                default_timezone=self.default_timezone,
                grace=timedelta(milliseconds=DEFAULTS.misfire_grace_ms if grace_ms is None else grace_ms),
                stored=stored_schedule,
            ),
            errors,
        )
        policies = policies_from_fields(values, schedule.type if schedule else None, errors)
        errors.raise_if_any()
        assert name is not None
        assert request is not None
        assert schedule is not None
        assert policies is not None
        return Definition(
            name=name,
            key=values.get("key"),
            description=values.get("description") or "",
            tags=tuple(dict.fromkeys(values.get("tags") or ())),
            alerts=tuple(dict.fromkeys(values.get("alerts") or ())),
            schedule=schedule,
            request=request,
            policies=policies,
        )


def with_definition(job: Job, definition: Definition) -> Job:
    """`job` with another definition, all else as it was."""
    return replace(
        job,
        name=definition.name,
        key=definition.key,
        description=definition.description,
        tags=definition.tags,
        alerts=definition.alerts,
        schedule=definition.schedule,
        request=definition.request,
        policies=definition.policies,
    )


def _json_of(request: RequestSpec) -> str:
    # Python takes 1, 1.0 and True for equal; JSON does not.
    payload = None if isinstance(request.payload, NoPayload) else [request.payload]
    return json.dumps([payload, request.success_body])
