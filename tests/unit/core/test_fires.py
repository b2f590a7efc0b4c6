"""What due fire times become: each is run, recorded as skipped, or within a summary, and none twice."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webhookcron.core.executions import ExecutionStatus, Reason, Trigger, schedule_execution_id
from webhookcron.core.fires import (
    CATCH_UP_LOOK,
    MOST_AT_ONCE,
    SINGLE_RECORDS,
    FirePlan,
    act_at,
    first_pending,
    is_missed,
    needs_exact_cursor,
    plan_fires,
    plan_made,
    planned_executions,
    waits_for_previous,
)
from webhookcron.core.jobs import JobStatus, MisfirePolicy, OverlapPolicy, TickJob
from webhookcron.core.schedules import (
    IntervalUnit,
    Schedule,
    ScheduleType,
    fire_times_between,
    next_fire_time,
)

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
EVERY_MINUTE = Schedule(type=ScheduleType.CRON, cron_expression="* * * * *")
EVERY_SECOND = Schedule(type=ScheduleType.CRON, cron_expression="* * * * * *")


def job_with(schedule: Schedule = EVERY_MINUTE, **fields: Any) -> TickJob:
    values: dict[str, Any] = {
        "id": "65e1c0de0000000000000001",
        "owner_id": "ann",
        "name": "report",
        "host": "example.com",
        "version": 1,
        "status": JobStatus.ACTIVE,
        "schedule": schedule,
        "misfire_policy": MisfirePolicy.FIRE_ONCE,
        "misfire_grace_ms": 60_000,
        "catch_up_limit": 100,
        "overlap_policy": OverlapPolicy.ALLOW,
        "jitter_ms": 0,
        "max_runs": None,
        "scheduled_runs": 0,
        "handled_through": T0,
        "schedule_since": T0,
        "retention_days": None,
        "delete_after_completion": False,
    }
    return TickJob(**(values | fields))


def every(seconds: int, **fields: Any) -> Schedule:
    return Schedule(
        type=ScheduleType.INTERVAL,
        interval=IntervalUnit.SECOND,
        interval_value=seconds,
        anchor_at=T0,
        **fields,
    )


def once(run_at: datetime) -> Schedule:
    return Schedule(type=ScheduleType.ONCE, run_at=run_at)


def after(job: TickJob, plan: FirePlan) -> TickJob:
    """The job once the plan is carried out."""
    if plan.handled_through is None:
        return job
    return replace(
        job, handled_through=plan.handled_through, scheduled_runs=job.scheduled_runs + len(plan.runs)
    )


def pending(job: TickJob) -> datetime | None:
    return first_pending(job.schedule, job.handled_through, job.scheduled_runs, job.max_runs)


def carried_out(job: TickJob, now: datetime) -> tuple[list[FirePlan], TickJob]:
    """All plans until nothing is due at `now`, each previous execution final by then."""
    plans: list[FirePlan] = []
    while (first := pending(job)) is not None and act_at(job.id, first, job.jitter_ms) <= now:
        plan = plan_fires(job, first, now)
        assert plan.handled_through is not None
        plans.append(plan)
        job = after(job, plan)
        assert len(plans) < 10_000
    return plans, job


# --- in time


def test_a_fire_time_in_time_is_run_and_the_next_one_is_looked_at_when_it_is_due() -> None:
    plan = plan_fires(job_with(), T0 + MINUTE, T0 + MINUTE)
    assert plan == FirePlan((T0 + MINUTE,), (), None, T0 + MINUTE, T0 + 2 * MINUTE, T0 + 2 * MINUTE)


def test_a_fire_time_ahead_is_not_run_and_moves_no_cursor() -> None:
    plan = plan_fires(job_with(), T0 + MINUTE, T0 + MINUTE - timedelta(milliseconds=1))
    assert plan == FirePlan((), (), None, None, T0 + MINUTE, T0 + MINUTE)


@pytest.mark.parametrize(
    ("late", "missed"),
    [
        (timedelta(0), False),
        (timedelta(seconds=60), False),
        (timedelta(seconds=60, microseconds=1), True),
        (timedelta(seconds=61), True),
    ],
)
def test_grace_ends_just_after_its_last_moment(late: timedelta, missed: bool) -> None:
    assert is_missed(job_with(), T0, T0 + late) is missed


def test_several_fire_times_within_the_grace_are_all_run() -> None:
    plan = plan_fires(job_with(every(10)), T0 + 10 * SECOND, T0 + 35 * SECOND)
    assert plan.runs == tuple(T0 + n * SECOND for n in (10, 20, 30))
    assert plan.next_fire_time == T0 + 40 * SECOND


def test_more_than_a_step_holds_are_due_again_at_once() -> None:
    job = job_with(EVERY_SECOND, misfire_grace_ms=600_000)
    plan = plan_fires(job, T0 + SECOND, T0 + 300 * SECOND)
    assert len(plan.runs) == MOST_AT_ONCE
    assert plan.next_act_at == T0 + (MOST_AT_ONCE + 1) * SECOND


# --- jitter


def test_jitter_shifts_the_act_and_not_the_fire_time() -> None:
    job = job_with(jitter_ms=30_000)
    acts = act_at(job.id, T0 + MINUTE, job.jitter_ms)
    assert T0 + MINUTE < acts <= T0 + MINUTE + 30 * SECOND, "this id has some jitter"
    early = plan_fires(job, T0 + MINUTE, acts - timedelta(milliseconds=1))
    assert (early.runs, early.handled_through, early.next_act_at) == ((), None, acts)
    plan = plan_fires(job, T0 + MINUTE, acts)
    assert plan.runs == (T0 + MINUTE,)
    assert plan.next_act_at == act_at(job.id, T0 + 2 * MINUTE, 30_000)


def test_a_fire_time_that_queues_behind_a_longer_jitter_is_not_missed() -> None:
    job = job_with(EVERY_SECOND, jitter_ms=600_000, misfire_grace_ms=15_000)
    simulated: list[datetime] = []
    now = T0
    while now < T0 + 1800 * SECOND:
        now += SECOND
        done, job = carried_out(job, now)
        assert not [plan for plan in done if plan.skips or plan.summary]
        simulated += [run for plan in done for run in plan.runs]
    assert simulated == fire_times_between(EVERY_SECOND, T0, job.handled_through, 10_000)


def test_settling_does_not_wait_for_jitter_nor_call_it_lateness() -> None:
    job = job_with(jitter_ms=3_600_000, misfire_grace_ms=15_000, misfire_policy=MisfirePolicy.SKIP)
    plan = plan_fires(job, T0 + MINUTE, T0 + 20 * MINUTE, at_once=True)
    assert plan.runs == tuple(T0 + n * MINUTE for n in range(1, 21))
    assert not plan.skips


# --- misfires


def test_fire_once_runs_the_latest_missed_time_and_records_the_others() -> None:
    plan = plan_fires(job_with(), T0 + MINUTE, T0 + 10 * MINUTE + 30 * SECOND)
    assert plan.runs == (T0 + 9 * MINUTE,)
    assert [skip.fire_time for skip in plan.skips] == [T0 + n * MINUTE for n in range(1, 9)]
    assert {skip.reason for skip in plan.skips} == {Reason.MISFIRE}
    assert plan.next_fire_time == T0 + 10 * MINUTE, "which is still in time"


def test_skip_runs_none_of_the_missed_times() -> None:
    job = job_with(misfire_policy=MisfirePolicy.SKIP)
    plan = plan_fires(job, T0 + MINUTE, T0 + 10 * MINUTE + 30 * SECOND)
    assert plan.runs == ()
    assert [skip.fire_time for skip in plan.skips] == [T0 + n * MINUTE for n in range(1, 10)]


def test_fire_all_runs_one_missed_time_a_step() -> None:
    job = job_with(misfire_policy=MisfirePolicy.FIRE_ALL)
    now = T0 + 10 * MINUTE + 30 * SECOND
    plan = plan_fires(job, T0 + MINUTE, now)
    assert plan.runs == (T0 + MINUTE,)
    assert plan.next_act_at == now + CATCH_UP_LOOK
    assert waits_for_previous(job, T0 + 2 * MINUTE, now)
    assert not waits_for_previous(job, T0 + 10 * MINUTE, now), "that one is in time"


def test_fire_all_drops_what_is_beyond_its_limit_the_oldest_first() -> None:
    job = job_with(misfire_policy=MisfirePolicy.FIRE_ALL, catch_up_limit=3)
    plans, _ = carried_out(job, T0 + 11 * MINUTE - SECOND)
    skips = [skip for plan in plans for skip in plan.skips]
    assert [skip.fire_time for skip in skips] == [T0 + n * MINUTE for n in range(1, 7)]
    assert {skip.reason for skip in skips} == {Reason.CATCH_UP_LIMIT}
    assert [run for plan in plans for run in plan.runs] == [T0 + n * MINUTE for n in range(7, 11)]


@pytest.mark.parametrize(
    ("bounds", "runs"),
    [
        ({}, range(7, 11)),
        ({"max_runs": 2}, range(7, 9)),
        ({"max_runs": 3}, range(7, 10)),
        ({"max_runs": 9, "scheduled_runs": 5}, range(7, 11)),
    ],
)
def test_settling_makes_all_that_fire_all_would_catch_up_with_in_one_step(
    bounds: dict[str, int], runs: range
) -> None:
    job = job_with(misfire_policy=MisfirePolicy.FIRE_ALL, catch_up_limit=4, **bounds)
    now = T0 + 11 * MINUTE + 30 * SECOND
    dropped = plan_fires(job, T0 + MINUTE, now, at_once=True)
    assert [skip.fire_time for skip in dropped.skips] == [T0 + n * MINUTE for n in range(1, 7)]
    job = after(job, dropped)
    plan = plan_fires(job, T0 + 7 * MINUTE, now, at_once=True)
    assert plan.runs == tuple(T0 + n * MINUTE for n in runs)
    assert plan.handled_through == plan.runs[-1]
    left = job.max_runs is None or job.max_runs > job.scheduled_runs + len(runs)
    assert plan.next_fire_time == (T0 + 11 * MINUTE if left else None)


def test_many_missed_times_are_recorded_singly_and_then_as_one() -> None:
    plan = plan_fires(job_with(EVERY_SECOND), T0 + SECOND, T0 + 3600 * SECOND)
    assert len(plan.skips) == SINGLE_RECORDS
    assert plan.skips[0].fire_time == T0 + SECOND
    last_missed = T0 + 3539 * SECOND
    assert plan.runs == (last_missed,)
    assert plan.summary is not None
    assert plan.summary.first == T0 + (SINGLE_RECORDS + 1) * SECOND
    assert plan.summary.last == last_missed - SECOND
    assert plan.summary.count == 3538 - SINGLE_RECORDS


def test_a_year_of_missed_seconds_is_planned_by_arithmetic() -> None:
    plan = plan_fires(job_with(every(1)), T0 + SECOND, T0 + timedelta(days=365))
    assert plan.summary is not None
    assert plan.summary.count == 365 * 86_400 - 61 - 1 - SINGLE_RECORDS


# --- what a dead ticker left


def test_executions_that_exist_already_stay_runs_and_count() -> None:
    job = job_with(max_runs=5)
    made = [T0 + 2 * MINUTE, T0 + 5 * MINUTE]
    plan = plan_made(job, T0 + MINUTE, made)
    assert plan.runs == tuple(made)
    assert [skip.fire_time for skip in plan.skips] == [T0 + n * MINUTE for n in (1, 3, 4)]
    assert plan.handled_through == made[-1]
    assert plan.next_fire_time == T0 + 6 * MINUTE


def test_executions_that_exist_already_use_up_the_runs() -> None:
    plan = plan_made(job_with(max_runs=2, scheduled_runs=1), T0 + MINUTE, [T0 + MINUTE])
    assert plan.next_fire_time is None


def test_a_summary_leaves_out_what_exists_already() -> None:
    made = [T0 + 150 * SECOND, T0 + 200 * SECOND]
    plan = plan_made(job_with(EVERY_SECOND), T0 + SECOND, made)
    assert plan.summary is not None
    assert (plan.summary.first, plan.summary.last) == (T0 + 101 * SECOND, T0 + 199 * SECOND)
    assert plan.summary.count == 98


# --- bounds


def test_max_runs_ends_the_schedule_with_its_last_run() -> None:
    job = job_with(every(10), max_runs=2)
    plan = plan_fires(job, T0 + 10 * SECOND, T0 + 60 * SECOND)
    assert plan.runs == (T0 + 10 * SECOND, T0 + 20 * SECOND)
    assert plan.next_fire_time is None
    assert plan.next_act_at is None


@pytest.mark.parametrize(
    ("policy", "runs"),
    [
        (MisfirePolicy.FIRE_ONCE, [198, 199, 200]),
        (MisfirePolicy.SKIP, [199, 200]),
        (MisfirePolicy.FIRE_ALL, [99, 100, 101]),
    ],
)
def test_max_runs_counts_runs_only(policy: MisfirePolicy, runs: list[int]) -> None:
    plans, done = carried_out(job_with(max_runs=3, misfire_policy=policy), T0 + 200 * MINUTE)
    assert [run for plan in plans for run in plan.runs] == [T0 + n * MINUTE for n in runs]
    assert done.scheduled_runs == len(runs)


def test_nothing_is_planned_once_all_runs_are_made() -> None:
    plan = plan_fires(job_with(max_runs=2, scheduled_runs=2), T0 + MINUTE, T0 + MINUTE)
    assert plan == FirePlan((), (), None, None, None, None)
    assert pending(job_with(max_runs=2, scheduled_runs=2)) is None


def test_end_at_ends_the_schedule() -> None:
    job = job_with(every(10, end_at=T0 + 25 * SECOND))
    plan = plan_fires(job, T0 + 10 * SECOND, T0 + 20 * SECOND)
    assert plan.runs == (T0 + 10 * SECOND, T0 + 20 * SECOND)
    assert plan.next_fire_time is None


@pytest.mark.parametrize(
    ("late", "policy", "runs"),
    [
        (timedelta(0), MisfirePolicy.SKIP, 1),
        (timedelta(hours=1), MisfirePolicy.SKIP, 0),
        (timedelta(hours=1), MisfirePolicy.FIRE_ONCE, 1),
        (timedelta(hours=1), MisfirePolicy.FIRE_ALL, 1),
    ],
)
def test_once_follows_the_misfire_policy_and_is_over(
    late: timedelta, policy: MisfirePolicy, runs: int
) -> None:
    plan = plan_fires(job_with(once(T0 + MINUTE), misfire_policy=policy), T0 + MINUTE, T0 + MINUTE + late)
    assert (len(plan.runs), len(plan.skips)) == (runs, 1 - runs)
    assert plan.next_fire_time is None


@pytest.mark.parametrize(
    ("fields", "exact"),
    [
        ({}, False),
        ({"max_runs": 3}, True),
        ({"schedule": once(T0)}, True),
        ({"misfire_policy": MisfirePolicy.FIRE_ALL}, True),
        ({"misfire_policy": MisfirePolicy.SKIP}, False),
    ],
)
def test_the_cursor_is_exact_where_it_decides_what_may_run(fields: dict[str, Any], exact: bool) -> None:
    assert needs_exact_cursor(job_with(**fields)) is exact


# --- properties

SCHEDULES = st.one_of(
    st.sampled_from([1, 2, 5, 10, 45, 60, 61, 300, 900]).map(every),
    st.builds(
        lambda seconds, end: every(seconds, end_at=T0 + timedelta(seconds=end)),
        st.sampled_from([1, 10, 60]),
        st.sampled_from(range(1, 10_000, 77)),
    ),
    st.sampled_from(
        ["* * * * * *", "*/7 * * * * *", "* * * * *", "*/5 * * * *", "0 * * * *", "30 2 * * *"]
    ).map(lambda text: Schedule(type=ScheduleType.CRON, cron_expression=text, timezone="Europe/Berlin")),
    st.sampled_from(range(1, 100, 7)).map(lambda minutes: once(T0 + timedelta(minutes=minutes))),
)
JOBS = st.builds(
    job_with,
    SCHEDULES,
    misfire_policy=st.sampled_from(MisfirePolicy),
    misfire_grace_ms=st.sampled_from([15_000, 60_000, 3_600_000]),
    catch_up_limit=st.sampled_from([1, 2, 20]),
    jitter_ms=st.sampled_from([0, 0, 500, 45_000]),
    max_runs=st.sampled_from([None, None, 1, 2, 7, 150]),
)
# Sampled, because integers from a large range are drawn small, mostly.
DELAYS = st.builds(
    lambda scale, count, ms: timedelta(seconds=scale * count, milliseconds=ms),
    st.sampled_from([1, 20, 120]),
    st.sampled_from(range(1, 101)),
    st.sampled_from([0, 1, 500, 999]),
)
LATE = DELAYS.map(lambda delay: T0 + delay)


@settings(max_examples=120, deadline=None)
@given(JOBS, LATE)
def test_each_fire_time_up_to_the_cursor_is_run_or_skipped_or_in_a_summary_and_only_once(
    job: TickJob, now: datetime
) -> None:
    plans, done = carried_out(job, now)
    handled: list[datetime] = []
    for plan in plans:
        handled += [*plan.runs, *(skip.fire_time for skip in plan.skips)]
        if plan.summary is not None:
            covered = fire_times_between(
                job.schedule, plan.summary.first - timedelta(milliseconds=1), plan.summary.last, 10**6
            )
            assert len(covered) == plan.summary.count
            handled += covered
    assert sorted(handled) == fire_times_between(job.schedule, T0, done.handled_through, 10**6)
    assert done.handled_through <= now
    if job.max_runs is not None:
        assert done.scheduled_runs <= job.max_runs


@settings(max_examples=120, deadline=None)
@given(JOBS, LATE)
def test_each_step_is_bounded_moves_on_and_names_what_comes_next(job: TickJob, now: datetime) -> None:
    plans, _ = carried_out(job, now)
    cursor = T0
    runs = 0
    for plan in plans:
        assert plan.handled_through is not None
        assert plan.handled_through > cursor
        cursor = plan.handled_through
        runs += len(plan.runs)
        assert len(plan.runs) <= MOST_AT_ONCE
        assert len(plan.skips) <= SINGLE_RECORDS
        assert list(plan.runs) == sorted(plan.runs)
        following = next_fire_time(job.schedule, cursor)
        over = job.max_runs is not None and runs >= job.max_runs
        assert plan.next_fire_time == (None if over else following)
        assert (plan.next_act_at is None) == (plan.next_fire_time is None)
        if plan.next_fire_time is not None and plan.next_act_at is not None:
            assert plan.next_act_at >= min(plan.next_fire_time, now)


@settings(max_examples=60, deadline=None)
@given(JOBS, st.lists(DELAYS, min_size=1, max_size=8))
def test_looking_in_steps_accounts_for_the_same_fire_times_as_looking_once(
    job: TickJob, steps: list[timedelta]
) -> None:
    now = T0
    stepped = job
    for step in steps:
        now += step
        _, stepped = carried_out(stepped, now)
    _, once_done = carried_out(job, now)
    if job.max_runs is None:
        assert pending(stepped) == pending(once_done)


# --- the executions of a plan


def test_planned_executions_are_queued_and_skipped_ones_final() -> None:
    job = job_with(retention_days=7)
    plan = plan_fires(job, T0 + MINUTE, T0 + 5 * MINUTE)
    now = T0 + 5 * MINUTE
    records, runs = planned_executions(job, plan, now, timedelta(days=30))
    assert [execution.id for execution in runs] == [schedule_execution_id(job.id, plan.runs[0])]
    assert [(run.job, run.fire_time, run.queued_at) for run in runs] == [(job, plan.runs[0], now)]
    assert all(run.check_at > now for run in runs)
    assert {execution.trigger for execution in records} == {Trigger.SCHEDULE}
    assert {execution.status for execution in records} == {ExecutionStatus.SKIPPED}
    assert {execution.reason for execution in records} == {"misfire"}
    assert {execution.expire_at for execution in records} == {now + timedelta(days=7)}


def test_a_summary_has_an_id_of_its_own_and_says_how_many_and_until_when() -> None:
    job = job_with(EVERY_SECOND)
    plan = plan_fires(job, T0 + SECOND, T0 + 3600 * SECOND)
    records, runs = planned_executions(job, plan, T0 + 3600 * SECOND, timedelta(days=30))
    summary = records[-1]
    assert plan.summary is not None
    assert (summary.skipped_count, summary.skipped_until) == (plan.summary.count, plan.summary.last)
    assert len({execution.id for execution in (*records, *runs)}) == SINGLE_RECORDS + 2
