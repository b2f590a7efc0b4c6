"""From failing executions to messages: each told once, whoever dies in between."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from webhookcron.alerts.watch import SETTLE
from webhookcron.core.alerts import TOLD_AT_ONCE, AlertEvent
from webhookcron.core.errors import StoreUnavailable
from webhookcron.core.jobs import MisfirePolicy
from webhookcron.core.retries import RetryPolicy
from webhookcron.delivery.transport_types import HttpResult

FAILURE, RECOVERY = AlertEvent.FAILURE, AlertEvent.RECOVERY


def test_a_failure_is_told_at_once_with_its_execution(watched: Any) -> None:
    alert, job = watched.alert(), watched.world.job()
    [execution] = watched.run(60, status=404)
    [message] = watched.messages(alert)
    assert message.kind == "failure"
    assert message.notice["executionId"] == execution.id
    assert message.notice["jobName"] == job.name
    assert message.notice["responseStatus"] == 404


def test_an_attempt_that_is_retried_is_no_failure(watched: Any) -> None:
    alert = watched.alert()
    watched.world.job(retry=RetryPolicy(max_retries=1))
    watched.run(60, status=500)
    assert watched.kinds(alert) == []


def test_further_failures_wait_for_the_digest_and_the_recovery_is_told(watched: Any) -> None:
    alert = watched.alert()
    watched.world.job()
    for minute in range(1, 5):
        watched.run(60 * minute, status=500)
    assert watched.kinds(alert) == ["failure"]
    watched.watch().digest(watched.world.at(3_900))
    assert watched.kinds(alert) == ["failure", "digest"]
    [line] = watched.messages(alert)[1].notice["jobs"]
    assert (line["failures"], line["failing"]) == (3, True)
    watched.run(3_960)
    assert watched.kinds(alert) == ["failure", "digest", "recovery"]
    watched.watch().digest(watched.world.at(9_000))
    watched.watch().digest(watched.world.at(99_000))
    assert watched.kinds(alert) == ["failure", "digest", "recovery"], "nothing was left to tell"


def test_many_jobs_that_fail_together_are_told_in_few_messages(watched: Any) -> None:
    alert = watched.alert()
    for _ in range(TOLD_AT_ONCE + 3):
        watched.world.job()
    watched.run(60, status=500)
    assert watched.kinds(alert) == ["failure"] * TOLD_AT_ONCE
    watched.watch().digest(watched.world.at(4_000))
    assert len(watched.messages(alert)[-1].notice["jobs"]) == 3


def test_an_alert_of_its_own_tells_of_the_jobs_that_name_it(watched: Any) -> None:
    alert = watched.alert(all_jobs=False)
    watched.world.job()
    named = replace(watched.world.new_job(), alerts=(alert.id,))
    watched.world.jobs.create(named)
    watched.world.show(named)
    watched.run(60, status=500)
    assert [message.notice["jobId"] for message in watched.messages(alert)] == [named.id]


def test_others_failures_are_not_told(watched: Any) -> None:
    alert = watched.alert(owner_id="bob")
    watched.world.job()
    watched.run(60, status=500)
    assert watched.kinds(alert) == []


def test_a_job_that_was_disabled_is_told_once(watched: Any) -> None:
    alert = watched.alert(AlertEvent.DISABLED)
    watched.world.job(disable_after_failures=1)
    watched.run(60, status=500)
    watched.look(90)
    [message] = watched.messages(alert)
    assert message.kind == "disabled"
    assert "failed" in message.notice["reason"]


def test_a_job_that_is_disabled_long_after_its_last_failure_was_looked_at_is_told_of(watched: Any) -> None:
    alert = watched.alert(AlertEvent.DISABLED)
    job = watched.world.job()
    watched.run(60, status=500)
    watched.watch().look_for_disabled(watched.world.at(70))
    assert watched.kinds(alert) == []
    # A worker that was held up between counting the failure and stopping the job.
    watched.world.jobs.disable_any_version(job.id, "gone", now=watched.world.at(80))
    for seconds in (90, 120):
        watched.watch().look_for_disabled(watched.world.at(seconds))
    [message] = watched.messages(alert)
    assert (message.kind, message.notice["reason"]) == ("disabled", "gone")


def test_a_failing_job_that_was_deleted_is_forgotten_after_its_last_digest(watched: Any) -> None:
    alert = watched.alert()
    job = watched.world.job()
    for minute in (1, 2):
        watched.run(60 * minute, status=500)
    watched.world.jobs.delete(job.id, expected_version=job.version)
    watched.watch().digest(watched.world.at(3_900))
    assert watched.kinds(alert) == ["failure", "digest"]
    [state] = watched.alerts.all_states(alert.id)
    assert state.idle
    assert watched.alerts.get(alert.id, owner_id=None).digest_at is None
    [stored] = watched.world.database["alertStates"].find()
    assert stored["expireAt"] > watched.world.at(3_900)


def test_the_state_of_a_failing_job_does_not_lapse(watched: Any) -> None:
    watched.alert()
    watched.world.job()
    watched.run(60, status=500)
    [stored] = watched.world.database["alertStates"].find()
    assert stored["expireAt"] is None


def test_a_watch_that_was_overtaken_does_not_undo_what_the_other_one_wrote(watched: Any) -> None:
    alert = watched.alert()
    job = watched.world.job()
    pair = (alert.id, job.id)
    slow = watched.alerts.states([pair])[pair]
    watched.run(60, status=500)
    with pytest.raises(StoreUnavailable):
        watched.alerts.save_state(replace(slow, failures=9), token="slow", now=watched.world.at(70))
    read = watched.alerts.states([pair])[pair]
    assert read.failures == 1
    assert "slow" not in watched.alerts.seen_groups(*pair)
    watched.alerts.save_state(replace(read, failures=2), now=watched.world.at(71))
    assert watched.alerts.states([pair])[pair].failures == 2


def test_missed_fire_times_are_told(watched: Any) -> None:
    alert = watched.alert(AlertEvent.MISSED)
    watched.world.job(misfire_policy=MisfirePolicy.SKIP)
    watched.world.tick(watched.world.at(600))
    watched.world.sweep(watched.world.at(601))
    watched.look(602)
    [message] = watched.messages(alert)
    assert message.kind == "missed"
    assert message.notice["count"] >= 8


def test_silence_is_told_once_and_again_after_a_success(watched: Any) -> None:
    alert = watched.alert(AlertEvent.SILENCE)
    watched.world.job()
    for seconds in (1_000, 3_700, 5_000):
        watched.watch().look_for_silence(watched.world.at(seconds))
    assert watched.kinds(alert) == ["silence"]
    watched.run(5_040)
    for seconds in (5_100, 9_000):
        watched.watch().look_for_silence(watched.world.at(seconds))
    assert watched.kinds(alert) == ["silence", "silence"]


def test_a_job_that_is_well_costs_nothing_when_silence_is_looked_for(watched: Any) -> None:
    watched.alert(AlertEvent.SILENCE)
    for _ in range(3):
        watched.world.job()
    watched.run(60)

    class Counting:
        asked = 0

        def __getattr__(self, name: str) -> Any:
            if name == "states":
                Counting.asked += 1
            return getattr(watched.alerts, name)

    watched.watch(alerts=Counting()).look_for_silence(watched.world.at(120))
    assert Counting.asked <= 1


def test_the_silence_of_a_deleted_job_is_forgotten(watched: Any) -> None:
    alert = watched.alert(AlertEvent.SILENCE)
    job = watched.world.job()
    watched.watch().look_for_silence(watched.world.at(3_700))
    assert watched.alerts.silent_jobs(alert.id) == {job.id}
    watched.world.jobs.delete(job.id, expected_version=job.version)
    watched.watch().look_for_silence(watched.world.at(3_800))
    assert watched.alerts.silent_jobs(alert.id) == frozenset()


def test_without_alerts_nothing_is_kept_for_them(watched: Any) -> None:
    watched.world.job()
    watched.run(60, status=500)
    assert watched.world.database["rollupParts"].count_documents({"unseenAt": {"$type": "date"}}) == 0


def test_what_was_counted_before_the_first_alert_is_not_told_though_it_is_written_down_seldom(
    watched: Any,
) -> None:
    world = watched.world
    unseen = {"unseenAt": {"$type": "date"}}
    watch = watched.watch()

    def look(seconds: float) -> int:
        watch.look(world.at(seconds + 0.001) + SETTLE)
        return int(world.database["rollupParts"].count_documents(unseen))

    world.job()
    assert look(55) == 0
    world.tick(world.at(60))
    world.deliver(world.at(60), result=HttpResult(status=404))
    assert look(60) == 1, "within ten seconds of the last time"
    alert = watched.alert()
    assert look(61) == 0
    assert watched.messages(alert) == []


@pytest.mark.parametrize("method", ["add_message", "begin_interval", "save_state"])
@pytest.mark.parametrize("after", [False, True])
def test_a_watch_that_died_is_repeated_without_telling_twice(
    watched: Any, mortal: Any, killed: Any, method: str, after: bool
) -> None:
    alert = watched.alert()
    watched.world.job()
    now = watched.world.at(60)
    watched.world.tick(now)
    watched.world.deliver(now, result=failed())
    with pytest.raises(killed):
        watched.watch(alerts=mortal(watched.alerts, method, after=after)).look(watched.world.at(63))
    watched.look(64)
    watched.look(65)
    assert watched.kinds(alert) == ["failure"]
    [state] = watched.alerts.all_states(alert.id)
    assert state.failures == 1


def failed() -> Any:
    from webhookcron.delivery.transport_types import HttpResult

    return HttpResult(status=500)


@pytest.mark.parametrize("method", ["add_message", "save_state", "end_interval"])
def test_a_digest_that_died_is_written_once(watched: Any, mortal: Any, killed: Any, method: str) -> None:
    alert = watched.alert()
    watched.world.job()
    for minute in (1, 2):
        watched.run(60 * minute, status=500)
    with pytest.raises(killed):
        watched.watch(alerts=mortal(watched.alerts, method)).digest(watched.world.at(3_900))
    watched.watch().digest(watched.world.at(3_901))
    assert watched.kinds(alert) == ["failure", "digest"]


def test_messages_that_are_due_are_pushed_until_a_worker_takes_them(watched: Any) -> None:
    watched.alert()
    watched.world.job()
    watched.run(60, status=500)
    now = watched.world.at(60) + SETTLE
    for seconds in (1, 2, 40):
        watched.watch().push_due(watched.world.at(60 + seconds) + SETTLE)
    assert len(watched.pushed) == 2
    assert len(set(watched.pushed)) == 1
    assert watched.alerts.claim(watched.pushed[0], "worker", now=now) is not None
    assert watched.alerts.claim(watched.pushed[0], "another", now=now) is None


def test_an_alert_that_cannot_be_read_keeps_no_other_from_telling(watched: Any) -> None:
    watched.alert(id="e" * 24)
    watched.world.database["alerts"].update_one({}, {"$set": {"channel": "telepathy"}})
    alert = watched.alert(id="f" * 24)
    watched.world.job()
    watched.run(60, status=500)
    assert watched.kinds(alert) == ["failure"]


def test_a_part_that_cannot_be_read_holds_up_no_other(watched: Any) -> None:
    alert = watched.alert()
    now = watched.world.at(0)
    watched.world.database["rollupParts"].insert_one(
        {"_id": "broken", "addedAt": now, "unseenAt": now, "sharesJson": "[[1]]"}
    )
    watched.world.job()
    watched.run(60, status=500)
    assert watched.kinds(alert) == ["failure"]
    assert watched.world.rollups.merge(now=watched.world.at(70), retention=SETTLE).parts == 2
