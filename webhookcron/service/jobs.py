"""The life of cron jobs: create, look up, change, pause, resume, delete."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from webhookcron.core.errors import (
    KeyTaken,
    NotFound,
    StoreUnavailable,
    TickSourceUnavailable,
    VersionConflict,
)
from webhookcron.core.executions import Reason, request_key
from webhookcron.core.jobs import Job, JobStatus
from webhookcron.core.signing import generate_secret
from webhookcron.service import job_states
from webhookcron.service.audit import AuditTrail
from webhookcron.service.conditions import UNCONDITIONAL, Condition
from webhookcron.service.definition_fields import definition_fields, patched
from webhookcron.service.definitions import Definition, DefinitionRules
from webhookcron.service.errors import Conflict, Invalid
from webhookcron.service.idempotency import OnceOnly
from webhookcron.service.job_queries import JobQuery
from webhookcron.service.mirror import Mirror
from webhookcron.service.owners import Owners
from webhookcron.service.platform import Platform, retention_of, stored_now
from webhookcron.service.principals import Principal
from webhookcron.service.request_fields import SECRET_BYTES
from webhookcron.service.secret_values import rotated_secrets
from webhookcron.storage.creations import CreationStore
from webhookcron.storage.job_documents import tick_job_of

log = structlog.get_logger(__name__)

COPY_MARK = " (copy)"
MAX_NAME = 255

MAX_TRIES = 8
"""How often a change without condition starts anew because another change came first."""

CHANGED_TOO_OFTEN = "the job was changed by others again and again meanwhile; try again"

Transition = Callable[[Job, datetime], Job]
"""A job as it is and platform time -> the job as it shall be; the same object when nothing is to change."""


@dataclass(frozen=True, slots=True)
class JobPage:
    """One page of a list of jobs."""

    items: list[Job]
    page: int
    """From 1."""
    limit: int
    total: int


class JobService:
    """What users do with cron jobs.

    Every method may raise StoreUnavailable, TickSourceUnavailable (platform time was never known), NotFound (which
    also stands for other owners' jobs) and, where something is changed, VersionConflict and KeyTaken.
    """

    def __init__(self, platform: Platform, audit: AuditTrail | None = None) -> None:
        self._platform = platform
        self._jobs = platform.jobs
        self._once = OnceOnly(CreationStore(platform.database), platform.executions)
        self._owners = Owners(platform)
        self._audit = audit or AuditTrail(platform)
        self._mirror = Mirror(platform)
        self.rules = DefinitionRules(
            target_policy=platform.target_policy,
            default_timezone=platform.settings.timezone,
            random_bytes=secrets.token_bytes,
        )

    # --- reading

    def get(self, principal: Principal, job_id: str) -> Job:
        """The job."""
        return self._jobs.get(job_id, owner_id=principal.owner_filter)

    def page(self, principal: Principal, query: JobQuery) -> JobPage:
        """One page of the jobs that the caller may see, their secrets sealed."""
        items, total = self._jobs.list(
            query.filter(self._owners.visible_to(principal)),
            sort=query.sort_keys(),
            skip=(query.page - 1) * query.limit,
            limit=query.limit,
        )
        return JobPage(items, query.page, query.limit, total)

    def circuits(self, jobs: Sequence[Job]) -> dict[str, datetime]:
        """Until when the origins of `jobs` are left alone because they could not be connected to; others are left out.

        Only to be seen, so a Redis that is away gives none.
        """
        try:
            return self._platform.circuits.open_until(sorted({job.origin for job in jobs}))
        except TickSourceUnavailable:
            return {}

    # --- creating and changing

    def create(
        self, principal: Principal, values: Mapping[str, Any], idempotency_key: str | None = None
    ) -> Job:
        """A new job of the caller; with a key, the one that the same request made within `REMEMBERED_FOR`.

        Raises Invalid, KeyReused, and Conflict when that job is deleted.
        """
        now = stored_now(self._platform.clock)
        if idempotency_key is not None:
            return self._create_once(principal, values, request_key(principal.user_id, idempotency_key), now)
        definition = self.rules.build(values, now=now)
        return self._created(principal, "job.create", definition, new_job_id(now), now, _starts(values))

    def clone(self, principal: Principal, job_id: str, changes: Mapping[str, Any]) -> Job:
        """A new job of the caller with the definition of another and `changes` to it; paused unless they say otherwise.

        It has no key, the name's copy mark, and a signing secret of its own, where `changes` do not name others.
        Raises Invalid.
        """
        origin = self.get(principal, job_id)
        now = stored_now(self._platform.clock)
        active = _wanted_activity(changes)
        fields = {name: value for name, value in changes.items() if name not in ("status", "is_active")}
        values = {**patched(origin, fields), "key": fields.get("key")}
        if "name" not in fields:
            values["name"] = origin.name[: MAX_NAME - len(COPY_MARK)] + COPY_MARK
        definition = self.rules.build_copy(values, origin, now=now)
        return self._created(principal, "job.clone", definition, new_job_id(now), now, active is True)

    def replace(
        self,
        principal: Principal,
        job_id: str,
        values: Mapping[str, Any],
        condition: Condition = UNCONDITIONAL,
    ) -> Job:
        """The job with its whole definition replaced by `values`. Raises Invalid.

        Left out are, besides secrets, `is_active`: a pause is no part of the definition and outlasts it.
        """

        def transition(job: Job, now: datetime) -> Job:
            changed = self._redefined(job, self.rules.build(values, now=now, stored=job), now)
            return _with_activity(changed, values.get("is_active"), now)

        return self._change(principal, job_id, condition, transition, "job.replace")

    def patch(
        self,
        principal: Principal,
        job_id: str,
        patch: Mapping[str, Any],
        condition: Condition = UNCONDITIONAL,
    ) -> Job:
        """The job with the given top-level fields replaced; None puts one back to its default. Raises Invalid."""
        activity = _wanted_activity(patch)
        fields = {name: value for name, value in patch.items() if name not in ("status", "is_active")}

        def transition(job: Job, now: datetime) -> Job:
            changed = job
            if fields:
                changed = self._redefined(
                    job, self.rules.build(patched(job, fields), now=now, stored=job), now
                )
            if activity is None:
                return changed
            return job_states.resumed(changed, now) if activity else job_states.paused(changed, now)

        return self._change(principal, job_id, condition, transition, "job.change")

    def put_by_key(
        self, principal: Principal, key: str, values: Mapping[str, Any], condition: Condition = UNCONDITIONAL
    ) -> tuple[Job, bool]:
        """The caller's job called `key` with its definition replaced, or a new one: (job, whether it is new).

        Raises Invalid, and VersionConflict when a condition is given and there is no such job.
        """
        if values.get("key") not in (None, key):
            raise Invalid({"key": [f"must be left out or be the key of the URL, {key!r}"]})
        values = {**values, "key": key}
        for _ in range(MAX_TRIES):
            try:
                job = self._jobs.get_by_key(key, owner_id=principal.user_id)
            except NotFound:
                if condition.given:
                    raise VersionConflict from None
                try:
                    return self.create(principal, values), True
                except KeyTaken:
                    continue  # Someone else created it just now.
            try:
                return self.replace(principal, job.id, values, condition), False
            except NotFound:
                continue  # Someone else deleted it just now.
        raise Conflict(CHANGED_TOO_OFTEN)

    def pause(self, principal: Principal, job_id: str, condition: Condition = UNCONDITIONAL) -> Job:
        """The job, paused. Raises Conflict when it is completed."""
        return self._change(principal, job_id, condition, job_states.paused, "job.pause")

    def resume(self, principal: Principal, job_id: str, condition: Condition = UNCONDITIONAL) -> Job:
        """The job, active again (or completed, when its last fire time has passed). Raises Conflict when it was."""
        return self._change(principal, job_id, condition, job_states.resumed, "job.resume")

    def delete(
        self,
        principal: Principal,
        job_id: str,
        *,
        delete_logs: bool = False,
        condition: Condition = UNCONDITIONAL,
    ) -> None:
        """Remove the job and cancel its executions that wait; its logs stay unless `delete_logs`."""
        for _ in range(MAX_TRIES):
            job = self.get(principal, job_id)
            condition.check(job.version)
            now = stored_now(self._platform.clock)
            if job.status in (JobStatus.ACTIVE, JobStatus.DISABLED):
                # What fell due before the deletion is on record, like all that ever did.
                self._platform.scheduler.settle(tick_job_of(job), now)
            try:
                self._jobs.delete(job.id, expected_version=job.version)
            except VersionConflict:
                if condition.given:
                    raise
                continue
            self._mirror.forget(job)
            self._end_executions(job, now, delete_logs=delete_logs)
            self._audit.record_job(principal, "job.delete", job, deleteLogs=delete_logs)
            return
        raise Conflict(CHANGED_TOO_OFTEN)

    def rotate_secret(
        self,
        principal: Principal,
        job_id: str,
        *,
        expire_old_after: timedelta,
        condition: Condition = UNCONDITIONAL,
    ) -> Job:
        """The job with a new signing secret, first in its request; the old ones go on signing for `expire_old_after`.

        Raises Conflict when its calls are not signed.
        """

        def transition(job: Job, now: datetime) -> Job:
            if not job.request.signing:
                raise Conflict("the calls of this job are not signed: set signing to true first")
            rotated = rotated_secrets(
                job.request.signing_secrets,
                generate_secret(self.rules.random_bytes(SECRET_BYTES)),
                now=now,
                expire_old_at=now + expire_old_after,
            )
            return replace(job, request=replace(job.request, signing_secrets=rotated), updated_at=now)

        return self._change(principal, job_id, condition, transition, "job.rotateSecret")

    # --- steps

    def _create_once(self, principal: Principal, values: Mapping[str, Any], key: str, now: datetime) -> Job:
        creation = self._once.known(key, "job.create", values, now=now)
        if creation is None:
            self.rules.build(values, now=now)  # What is invalid is not remembered.
            creation = self._once.begin(key, "job.create", values, new_job_id(now), now=now)
        try:
            return self._jobs.get(creation.job_id, owner_id=principal.user_id)
        except NotFound:
            if creation.done:
                raise Conflict(
                    "the job that this request made is deleted; use another Idempotency-Key"
                ) from None
        # The first try, or one after a try that was cut off: both store the job under the id that is remembered.
        definition = self.rules.build(values, now=now)
        try:
            job = self._created(principal, "job.create", definition, creation.job_id, now, _starts(values))
        except KeyTaken:
            self._once.forget(key)
            raise
        self._once.finish(key)
        return job

    def _created(
        self,
        principal: Principal,
        action: str,
        definition: Definition,
        job_id: str,
        now: datetime,
        active: bool,
    ) -> Job:
        job = job_states.new_job(
            definition, job_id=job_id, owner_id=principal.user_id, now=now, active=active
        )
        self._jobs.create(job)
        self._mirror.show(job)
        self._audit.record_job(principal, action, job)
        return job

    def _redefined(self, job: Job, definition: Definition, now: datetime) -> Job:
        before = Definition.of(job)
        if definition.same_as(before):
            return job
        if definition.moves_fire_times(before):
            return job_states.rescheduled(job, definition, now)
        return job_states.redefined(job, definition, now)

    def _change(
        self, principal: Principal, job_id: str, condition: Condition, transition: Transition, action: str
    ) -> Job:
        for _ in range(MAX_TRIES):
            job = self.get(principal, job_id)
            condition.check(job.version)
            now = stored_now(self._platform.clock)
            changed = transition(job, now)
            if changed is job:
                return job
            try:
                stored = self._store(job, changed, now)
            except VersionConflict:
                if condition.given:
                    raise
                continue
            self._mirror.show(stored)
            self._audit.record_job(
                principal, action, stored, version=stored.version, fields=changed_fields(job, stored)
            )
            return stored
        raise Conflict(CHANGED_TOO_OFTEN)

    def _store(self, job: Job, changed: Job, now: datetime) -> Job:
        moved = Definition.of(changed).moves_fire_times(Definition.of(job))
        if not moved and changed.status is job.status:
            return self._jobs.update_definition(changed, expected_version=job.version)
        if job.status in (JobStatus.ACTIVE, JobStatus.DISABLED):
            # Fire times up to now belong to the present rule: they are made before another one comes into force.
            self._platform.scheduler.settle(tick_job_of(job), now)
        return self._jobs.update(changed, expected_version=job.version)

    def _end_executions(self, job: Job, now: datetime, *, delete_logs: bool) -> None:
        executions = self._platform.executions
        try:
            executions.cancel(
                job.id, Reason.DELETED, now=now, expire_at=now + retention_of(job, self._platform)
            )
        except StoreUnavailable as error:
            # The job is gone: what is still queued ends as cancelled when a worker claims it.
            log.warning("api.cancel_later", job_id=job.id, error=str(error))
        if delete_logs:
            executions.delete_final(job.id)


def new_job_id(now: datetime) -> str:
    """24 hexadecimal digits, ordered by the second of creation, then random: neighbours in time lie together."""
    return f"{int(now.timestamp()):08x}{secrets.token_hex(8)}"


def changed_fields(before: Job, after: Job) -> list[str]:
    """The names of the definition's fields, as the API calls them, and of `status`, that differ; never their values."""
    old, new = definition_fields(before), definition_fields(after)
    names = {name for name in new if old[name] != new[name]}
    if before.request != after.request:
        # What is masked looks the same before and after.
        names |= {
            name
            for name in ("headers", "auth", "signing_secrets")
            if getattr(before.request, name) != getattr(after.request, name)
        }
    if before.status is not after.status:
        names.add("status")
    return sorted(names)


def _starts(values: Mapping[str, Any]) -> bool:
    """Whether a new job is active: unless it is told not to be."""
    return values.get("is_active") is not False


def _with_activity(job: Job, is_active: bool | None, now: datetime) -> Job:
    """`is_active` of a whole definition: False pauses, True ends a pause and nothing else."""
    if is_active is False:
        return job_states.paused(job, now)
    if is_active and job.status is JobStatus.PAUSED:
        return job_states.resumed(job, now)
    return job


def _wanted_activity(patch: Mapping[str, Any]) -> bool | None:
    """Whether a patch makes the job active; None when it says nothing about that."""
    wanted: list[bool] = []
    if "is_active" in patch:
        wanted.append(patch["is_active"] is not False)
    if "status" in patch:
        wanted.append(patch["status"] != JobStatus.PAUSED.value)
    if len(set(wanted)) > 1:
        raise Invalid({"status": ["contradicts isActive: give only one"]})
    return wanted[0] if wanted else None
