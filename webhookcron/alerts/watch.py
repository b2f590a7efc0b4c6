"""Watching: from what the workers counted to the messages that have to be sent.

A chore of the tickers. It may die anywhere and be repeated, and even run twice at once: a state takes in each group of
outcomes once, and the same news always makes the message of the same id. Messages are written down here, and sent
elsewhere.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from webhookcron.alerts import notices
from webhookcron.core.alerts import TOLD_AT_ONCE, Alert, AlertEvent, AlertState, after_digest, judge
from webhookcron.core.errors import BrokerUnavailable, StoreUnavailable
from webhookcron.core.executions import Execution, ExecutionStatus, to_ms
from webhookcron.core.jobs import JobStatus
from webhookcron.core.rollups import Share
from webhookcron.storage.alerts import AlertStore
from webhookcron.storage.executions import ExecutionStore
from webhookcron.storage.rollups import RollupStore
from webhookcron.storage.watched_jobs import WatchedJob, WatchedJobs

log = structlog.get_logger(__name__)

SETTLE = timedelta(seconds=2)
"""What was counted is looked at so much later: by then a job that failed too often is disabled, too."""

FORGET_EVERY = timedelta(seconds=10)
"""How often it is written down, while there are no alerts, that nobody wants to know what was counted."""

GROUPS_AT_ONCE = 100

PUSHED_AT_ONCE = 200


@dataclass(slots=True)
class _News:
    """What one group of outcomes says of one job, all its hours together."""

    token: str
    owner_id: str
    job_id: str
    failures: int = 0
    failed_id: str | None = None
    last_status: ExecutionStatus | None = None
    missed: int = 0

    def add(self, share: Share) -> None:
        self.failures += share.failures
        self.failed_id = share.failed_id or self.failed_id
        self.last_status = share.last_status or self.last_status
        self.missed += share.missed


class AlertWatch:
    """Writes messages down, and pushes those that are due to the workers. Raises StoreUnavailable."""

    def __init__(
        self,
        *,
        alerts: AlertStore,
        jobs: WatchedJobs,
        executions: ExecutionStore,
        rollups: RollupStore,
        digest_every: timedelta,
        push: Callable[[Sequence[str]], None],
    ) -> None:
        """`push` hands ids of messages to the workers; it may raise BrokerUnavailable."""
        self._alerts = alerts
        self._jobs = jobs
        self._executions = executions
        self._rollups = rollups
        self._digest_every = digest_every
        self._push = push
        self._unwatched_until: datetime | None = None
        """What was counted before is nobody's news, though it is not written down yet."""
        self._forgot_at: datetime | None = None

    # --- chores

    def look(self, now: datetime) -> bool:
        """Look at what was counted since the last look; True when there is more."""
        before = now - SETTLE
        if not self._alerts.any():
            self._unwatched_until = before
            if self._forgot_at is None or not timedelta(0) <= now - self._forgot_at < FORGET_EVERY:
                self._forget(now)
            return False
        self._forget(now)
        groups = self._rollups.unseen(before, GROUPS_AT_ONCE)
        if groups:
            self._take_in(_news(groups), now)
            self._rollups.mark_seen([token for token, _ in groups])
        return len(groups) >= GROUPS_AT_ONCE

    def _forget(self, now: datetime) -> None:
        if self._unwatched_until is not None:
            self._rollups.mark_all_seen(self._unwatched_until)
            self._unwatched_until, self._forgot_at = None, now

    def digest(self, now: datetime) -> bool:
        """Write the digests that are due."""
        for alert in self._alerts.digests_due(now):
            with _others_go_on(alert):
                self._digest(alert, now)
        return False

    def look_for_disabled(self, now: datetime) -> bool:
        """Find disabled jobs that were not told of: their worker was slow to stop them, after their last failure."""
        alerts = {alert.id: alert for alert in self._alerts.telling_of(AlertEvent.DISABLED)}
        states = self._alerts.failing(sorted(alerts))
        jobs = {job.id: job for job in self._jobs.get(sorted({state.job_id for state in states}))}
        for state in states:
            alert, job = alerts[state.alert_id], jobs.get(state.job_id)
            if job is not None and _applies(alert, job):
                with _others_go_on(alert):
                    told = self._disabled(alert, job, state, now)
                    if told != state:
                        self._alerts.save_state(told, now=now)
        return False

    def look_for_silence(self, now: datetime) -> bool:
        """Find active jobs that have had no success for too long."""
        for alert in self._alerts.telling_of(AlertEvent.SILENCE):
            if alert.silence_minutes is None:
                continue
            with _others_go_on(alert):
                self._silence(alert, timedelta(minutes=alert.silence_minutes), now)
        return False

    def push_due(self, now: datetime) -> bool:
        """Push the messages that are due to the workers; True when there are more."""
        ids = self._alerts.take_due(now, PUSHED_AT_ONCE)
        if ids:
            try:
                self._push(ids)
            except BrokerUnavailable:
                log.warning("alert.push_failed", messages=len(ids))
        return len(ids) >= PUSHED_AT_ONCE

    # --- failures, recoveries, missed fire times

    def _take_in(self, news: Sequence[_News], now: datetime) -> None:
        by_owner: dict[str, list[Alert]] = defaultdict(list)
        for alert in self._alerts.of_owners(sorted({item.owner_id for item in news})):
            by_owner[alert.owner_id].append(alert)
        told = {alert.id: alert for alerts in by_owner.values() for alert in alerts}
        failing = {(state.alert_id, state.job_id) for state in self._alerts.failing(sorted(told))}
        bad = {item.job_id for item in news if by_owner[item.owner_id] and (item.failures or item.missed)}
        # A success is news of those jobs only that some alert knows to be failing: mostly of none.
        awaited = {job_id for _, job_id in failing}
        news = [item for item in news if item.job_id in bad or item.job_id in awaited]
        watched = {job.id: job for job in self._jobs.get(sorted({item.job_id for item in news}))}
        for item in news:
            job = watched.get(item.job_id)
            if job is None:
                continue
            for alert in _applying(by_owner[job.owner_id], job):
                if item.job_id in bad or (alert.id, job.id) in failing:
                    with _others_go_on(alert):
                        told[alert.id] = self._judge(told[alert.id], job, item, now)

    def _judge(self, alert: Alert, job: WatchedJob, item: _News, now: datetime) -> Alert:
        if item.token in self._alerts.seen_groups(alert.id, job.id):
            return alert
        before = self._alerts.states([(alert.id, job.id)])[alert.id, job.id]
        judged = judge(
            alert,
            before,
            failures=item.failures,
            failed_id=item.failed_id,
            ends_well=item.last_status is ExecutionStatus.SUCCESS,
            missed=item.missed,
            room=TOLD_AT_ONCE - alert.told,
            now=now,
        )
        state = replace(judged.state, job_name=job.name)
        for event in judged.tell:
            self._tell(alert, event, job, item, before, state, now)
        if item.failures:
            state = self._disabled(alert, job, state, now)
        if judged.tell or state.has_news:
            told = alert.told + len(judged.tell)
            self._alerts.begin_interval(alert.id, digest_at=now + self._digest_every, told=told)
            alert = replace(alert, told=told)
        self._alerts.save_state(state, token=item.token, now=now)
        return alert

    def _disabled(self, alert: Alert, job: WatchedJob, state: AlertState, now: datetime) -> AlertState:
        """Tell that the platform stopped the job, once for each time that it did."""
        stopped = job.status is JobStatus.DISABLED and state.disabled_version != job.version
        if not stopped or not alert.wants(AlertEvent.DISABLED):
            return state
        notice = notices.of_job(
            alert, AlertEvent.DISABLED, job_id=job.id, job_name=job.name, now=now, reason=job.status_reason
        )
        self._message(alert, f"{alert.id}:{job.id}:disabled:{job.version}", notice, now)
        return replace(state, disabled_version=job.version)

    def _tell(
        self,
        alert: Alert,
        event: AlertEvent,
        job: WatchedJob,
        item: _News,
        before: AlertState,
        state: AlertState,
        now: datetime,
    ) -> None:
        execution: Execution | None = None
        since, count = before.failing_since, None
        if event is AlertEvent.FAILURE and item.failed_id is not None:
            found = self._executions.get_many([item.failed_id])
            execution, since, count = (found[0] if found else None), None, item.failures
        elif event is AlertEvent.RECOVERY:
            count = before.failures + item.failures
        elif event is AlertEvent.MISSED:
            since, count = None, item.missed
        notice = notices.of_job(
            alert,
            event,
            job_id=job.id,
            job_name=job.name,
            now=now,
            since=since,
            execution=execution,
            count=count,
        )
        self._message(alert, f"{alert.id}:{job.id}:{event.value}:{item.token}", notice, now)

    # --- digests

    def _digest(self, alert: Alert, now: datetime) -> None:
        due_at = alert.digest_at
        assert due_at is not None
        states = self._alerts.all_states(alert.id)
        here = {job.id for job in self._jobs.get([state.job_id for state in states if not state.idle])}
        telling = [state for state in states if state.has_news]
        if telling and alert.is_active:
            notice = notices.digest(alert, telling, now=now, interval=self._digest_every)
            self._message(alert, f"{alert.id}:digest:{to_ms(due_at)}", notice, now)
        for state in states:
            if state != (told := after_digest(state, job_is_there=state.job_id in here)):
                self._alerts.save_state(told, now=now)
        # While something fails, what comes next belongs to the next digest.
        goes_on = any(state.failing_since is not None and state.job_id in here for state in states)
        self._alerts.end_interval(
            alert.id, was=due_at, digest_at=now + self._digest_every if goes_on else None
        )

    # --- silence

    def _silence(self, alert: Alert, longest: timedelta, now: datetime) -> None:
        told = self._alerts.silent_jobs(alert.id)
        active: set[str] = set()
        for job in self._jobs.active(alert.owner_id, None if alert.all_jobs else alert.id):
            fine = job.last_status == ExecutionStatus.SUCCESS.value and job.last_run_at is not None
            since = job.last_run_at if fine else None
            if since is None or now - since > longest:
                ended_at = self._jobs.last_success_at(job.id)
                since = max(ended_at or job.schedule_since, job.schedule_since)
            silent = now - since > longest
            if job.id in told:
                active.add(job.id)
            # Most jobs are as they were, and cost nothing more.
            if silent != (job.id in told):
                self._silent_or_not(alert, job, since, silent, now)
        self._forget_silence(alert, told - active, now)

    def _forget_silence(self, alert: Alert, job_ids: Set[str], now: datetime) -> None:
        """Deleted jobs are not silent; those that only rest are told of again when they have been active in between."""
        gone = job_ids - {job.id for job in self._jobs.get(sorted(job_ids))}
        for state in self._alerts.states([(alert.id, job_id) for job_id in sorted(gone)]).values():
            self._alerts.save_state(replace(state, silent_since=None), now=now)

    def _silent_or_not(
        self, alert: Alert, job: WatchedJob, since: datetime, silent: bool, now: datetime
    ) -> None:
        state = self._alerts.states([(alert.id, job.id)])[alert.id, job.id]
        if silent:
            notice = notices.of_job(
                alert, AlertEvent.SILENCE, job_id=job.id, job_name=job.name, now=now, since=since
            )
            self._message(alert, f"{alert.id}:{job.id}:silence:{to_ms(since)}", notice, now)
        self._alerts.save_state(
            replace(state, job_name=job.name, silent_since=since if silent else None), now=now
        )

    def _message(self, alert: Alert, message_id: str, notice: notices.Notice, now: datetime) -> None:
        self._alerts.add_message(message_id, alert, notice["event"], notice, now=now)
        log.info("alert.raised", alert_id=alert.id, message_id=message_id, kind=notice["event"])


@contextmanager
def _others_go_on(alert: Alert) -> Iterator[None]:
    """What nobody foresaw about one alert is logged, and the next one is looked at."""
    try:
        yield
    except StoreUnavailable:
        raise
    except Exception:
        log.exception("alert.not_looked_at", alert_id=alert.id)


def _news(groups: Iterable[tuple[str, Sequence[Share]]]) -> list[_News]:
    """One entry per group and job, groups in their order."""
    found: dict[tuple[str, str], _News] = {}
    for token, shares in groups:
        for share in sorted(shares, key=lambda share: share.hour):
            key = (token, share.job_id)
            if key not in found:
                found[key] = _News(token, share.owner_id, share.job_id)
            found[key].add(share)
    return list(found.values())


def _applying(alerts: Sequence[Alert], job: WatchedJob) -> list[Alert]:
    return [alert for alert in alerts if _applies(alert, job)]


def _applies(alert: Alert, job: WatchedJob) -> bool:
    return alert.owner_id == job.owner_id and (alert.all_jobs or alert.id in job.alerts)
