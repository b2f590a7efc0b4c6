"""What happened against what should have: every job, every fire time, every call."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from history import Change, JobHistory
from oracle import due, stretches

FINAL = ("success", "failed", "timeout", "skipped", "cancelled")
RAN = ("success", "failed", "timeout")
RECORDED_ONLY = ("misfire", "catchUpLimit")
"""Reasons of fire times that were recorded and never made to run: they do not count for `maxRuns`."""
TOO_LATE_REASONS = ("paused", "superseded", "completed", "deleted", "disabled")
"""Why an execution that no rule asks for may exist: it was made beside a change, and not run."""
SAME_MOMENT_MS = 500
"""By so much the platform times of two processes may differ: a reading of half a second is off by half of that."""


@dataclass
class Call:
    """One call that the receiver got."""

    at: int
    path: str
    webhook_id: str
    job_id: str
    attempt: int
    scheduled_at: int
    trigger: str
    status: int | None = None
    """None: it was not answered, or the caller was gone by then."""


@dataclass
class Result:
    """What the checks counted, and everything that must not be."""

    expected: int = 0
    executions: int = 0
    delivered: int = 0
    failed: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    cancelled: int = 0
    calls: int = 0
    repeats: int = 0
    """Calls of executions that the receiver had already answered with success."""
    lost_attempts: int = 0
    beside_change: int = 0
    """Fire times of a rule that ran after a change was decided and before it was answered."""
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether nothing is lost, doubled or otherwise wrong."""
        return not (self.lost or self.doubled or self.problems)


def read_calls(file: Path) -> list[Call]:
    """What the receiver noted, in order."""
    calls: dict[int, Call] = {}
    for text in file.read_text().splitlines():
        line: dict[str, Any] = json.loads(text)
        if "call" in line:
            calls[line["call"]] = Call(
                line["at"],
                line["path"],
                line["webhookId"],
                line["jobId"],
                line["attempt"],
                line["scheduledAt"],
                line["trigger"],
            )
        else:
            calls[line["answered"]].status = line["status"]
    return list(calls.values())


def check(
    jobs: Iterable[JobHistory],
    executions: list[dict[str, Any]],
    documents: dict[str, dict[str, Any]],
    calls: list[Call],
    end_ms: int,
) -> Result:
    """Compare. `documents` are the jobs as stored, by id; `end_ms` is when the run ended for jobs still active."""
    result = Result(calls=len(calls))
    by_job: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for execution in executions:
        by_job[execution["jobId"]].append(execution)
    first_call: dict[str, int] = {}
    for call in calls:
        first_call.setdefault(call.webhook_id, call.at)
    known = {job.job_id for job in jobs}
    for job_id in by_job.keys() - known:
        result.problems.append(f"executions of an unknown job {job_id}")
    for job in jobs:
        if job.job_id is not None:
            _check_fire_times(job, by_job[job.job_id], end_ms, result)
            _check_triggers(job, by_job[job.job_id], result)
            _check_overlap(job, by_job[job.job_id], first_call, result)
            _check_counters(job, by_job[job.job_id], documents.get(job.job_id), result)
    _check_states(executions, result)
    _check_calls(executions, calls, result)
    return result


def _check_fire_times(job: JobHistory, executions: list[dict[str, Any]], end_ms: int, result: Result) -> None:
    singles: dict[int, dict[str, Any]] = {}
    summaries: list[tuple[int, int]] = []
    for execution in executions:
        if execution["trigger"] != "schedule":
            continue
        moment = _ms(execution["scheduledAt"])
        if execution.get("skippedCount") is not None:
            summaries.append((moment, _ms(execution["skippedUntil"])))
            continue
        if moment in singles:
            result.doubled.append(f"{job.key} at {moment}: {execution['_id']} and {singles[moment]['_id']}")
        if execution["_id"] != f"{job.job_id}:{moment}":
            result.problems.append(f"{execution['_id']} is not named after its fire time {moment}")
        singles[moment] = execution

    def counts_as_run(moment: int) -> bool:
        return moment in singles and singles[moment].get("reason") not in RECORDED_ONLY

    found = stretches(job, end_ms)
    wanted: set[int] = set()
    for moment, stretch in due(found, counts_as_run):
        wanted.add(moment)
        result.expected += 1
        covered = any(first <= moment <= last for first, last in summaries)
        if moment not in singles and not covered:
            ending = f", {stretch.until - moment} ms before {stretch.ended_by}" if stretch.ended_by else ""
            result.lost.append(f"{job.key} {job.kind} at {moment} by {stretch.rule}{ending}")
    for moment in singles.keys() - wanted:
        _check_extra(job, singles[moment], moment, end_ms, result)


def _check_extra(
    job: JobHistory, execution: dict[str, Any], moment: int, end_ms: int, result: Result
) -> None:
    """An execution that no rule asks for: made beside a change, and then not run."""
    if execution["status"] in ("skipped", "cancelled") and execution.get("reason") in TOO_LATE_REASONS:
        return
    for stretch in stretches(job, end_ms):
        answered = stretch.end_answered
        if stretch.ended_by is None or answered is None or not stretch.until < moment <= answered:
            continue
        if moment in stretch.rule.between(stretch.until, answered):
            started = execution.get("startedAt")
            if started is None or _ms(started) <= answered + SAME_MOMENT_MS:
                result.beside_change += 1
                return
    happened = [(event.change.value, event.at_ms, event.answered_ms) for event in job.settled_events]
    result.problems.append(
        f"{execution['_id']} ({execution['status']} {execution.get('reason')}, started "
        f"{execution.get('startedAt')}) is due by no rule; changes: {happened}"
    )


def _check_triggers(job: JobHistory, executions: list[dict[str, Any]], result: Result) -> None:
    there = {execution["_id"] for execution in executions}
    for key, execution_id in job.triggers.items():
        if execution_id not in there:
            result.lost.append(f"the manual run {execution_id} ({key})")
    manual = sum(execution["trigger"] == "manual" for execution in executions)
    if job.kind and manual < len(set(job.triggers.values())):
        result.problems.append(f"{job.key}: {manual} manual runs for {len(job.triggers)} keys")


def _check_overlap(
    job: JobHistory, executions: list[dict[str, Any]], first_call: dict[str, int], result: Result
) -> None:
    """No two runs at a time. They begin in the order in which the receiver, who has one clock, was called."""
    if job.overlap == "allow":
        return
    ran = sorted(
        (
            (first_call.get(e["_id"], _ms(e["startedAt"])), _ms(e["completedAt"]), e["_id"])
            for e in executions
            if e["trigger"] == "schedule" and e["status"] in RAN and "startedAt" in e and "completedAt" in e
        ),
    )
    for (_, ended, earlier), (started, _, later) in pairwise(ran):
        if started < ended - SAME_MOMENT_MS:
            result.problems.append(
                f"{later} ({job.overlap}) started {ended - started} ms before the end of {earlier}"
            )


def _check_counters(
    job: JobHistory, executions: list[dict[str, Any]], document: dict[str, Any] | None, result: Result
) -> None:
    deleted = any(event.change is Change.DELETE for event in job.settled_events)
    if document is None:
        if not deleted:
            result.problems.append(f"{job.key} is gone and was not deleted")
        return
    statuses = Counter(execution["status"] for execution in executions)
    logged = (
        sum(statuses[status] for status in RAN),
        statuses["success"],
        statuses["failed"] + statuses["timeout"],
    )
    counted = (document["totalRuns"], document["successfulRuns"], document["failedRuns"])
    if logged != counted:
        result.problems.append(
            f"{job.key}: the log has (runs, successes, failures) {logged}, the job {counted}"
        )


def _check_states(executions: list[dict[str, Any]], result: Result) -> None:
    for execution in executions:
        status = execution["status"]
        if status not in FINAL:
            result.problems.append(f"{execution['_id']} is still {status}")
        elif execution.get("counted") is False or "checkAt" in execution:
            result.problems.append(f"{execution['_id']} ({status}) is not counted")
        elif status in ("skipped", "cancelled") and not execution.get("reason"):
            result.problems.append(f"{execution['_id']} is {status} without a reason")
        attempts = execution.get("attempts", ())
        result.lost_attempts += sum((a.get("error") or {}).get("kind") == "lost" for a in attempts)
        if [attempt["number"] for attempt in attempts] != list(range(1, len(attempts) + 1)):
            result.problems.append(f"{execution['_id']}: attempts are numbered {attempts}")
        result.executions += 1
        if status == "success":
            result.delivered += 1
        elif status in RAN:
            result.failed += 1
        elif status == "skipped":
            result.skipped[execution.get("reason", "")] += execution.get("skippedCount") or 1
        else:
            result.cancelled += 1


def _check_calls(executions: list[dict[str, Any]], calls: list[Call], result: Result) -> None:
    by_id: dict[str, list[Call]] = defaultdict(list)
    ids_of_fire_times: dict[tuple[str, int], set[str]] = defaultdict(set)
    for call in calls:
        by_id[call.webhook_id].append(call)
        if call.trigger == "schedule":
            ids_of_fire_times[call.job_id, call.scheduled_at].add(call.webhook_id)
    for (job_id, moment), ids in ids_of_fire_times.items():
        if len(ids) > 1:
            result.doubled.append(f"{job_id} at {moment} was called as {sorted(ids)}")
    known = {execution["_id"]: execution for execution in executions}
    for webhook_id, received in by_id.items():
        execution = known.get(webhook_id)
        if execution is None:
            result.problems.append(f"{webhook_id} was called and is not in the log")
            continue
        if execution["status"] == "skipped":
            result.problems.append(
                f"{webhook_id} was called and is recorded as skipped: {execution.get('reason')}"
            )
        answered = False
        for call in received:
            result.repeats += answered
            answered = answered or call.status == 200
    for execution in executions:
        if execution["status"] == "success" and not any(
            call.status == 200 for call in by_id[execution["_id"]]
        ):
            result.problems.append(
                f"{execution['_id']} is recorded as a success that the receiver knows nothing of"
            )


def _ms(moment: Any) -> int:
    return round(moment.timestamp() * 1000)
