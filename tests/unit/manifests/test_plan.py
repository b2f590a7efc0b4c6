"""Plans and their words: what would be done, and what comes of it for fire times."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from rich.text import Text

from webhookcron.cli.plan_output import plan_lines
from webhookcron.manifests.definitions import DesiredJob
from webhookcron.manifests.plan import ActionKind, Plan, make_plan, plan_as_json

Desired = Callable[..., DesiredJob]
Stored = Callable[..., dict[str, Any]]


@pytest.fixture
def plan_of(desired: Desired, now: datetime) -> Callable[..., Plan]:
    """The plan for one job of a file, in place of `current`."""

    def make(
        current: dict[str, Any] | None = None, environ: dict[str, str] | None = None, **fields: Any
    ) -> Plan:
        job = desired(current, environ, **fields)
        return make_plan([job], {} if current is None else {"report": current}, now=now)

    return make


PlanOf = Callable[..., Plan]


def text_of(plan: Plan) -> str:
    return Text("\n").join(plan_lines(plan)).plain


def changes_of(plan: Plan) -> list[tuple[str, Any, Any]]:
    [action] = plan.actions
    return [(change.name, change.before, change.after) for change in action.changes]


def effects_of(plan: Plan) -> list[str]:
    [action] = plan.actions
    return list(action.effects)


def test_a_new_job_is_shown_with_its_fields_and_first_run(plan_of: PlanOf) -> None:
    text = text_of(plan_of(timezone="Europe/Berlin", payload={"a": 1}))

    lines = text.splitlines()
    assert lines[0].startswith("+ report  Report  ")
    assert lines[0].endswith("jobs.yaml:2")
    assert lines[1:] == [
        '    cronExpression  "0 9 * * 1"',
        '    timezone        "Europe/Berlin"',
        '    webhookUrl      "https://example.com/r"',
        "    payload.a       1",
        "    » first run at Mon 2030-01-07 09:00 +01:00",
        "",
        "Plan: 1 to create.",
    ]


def test_a_changed_schedule_tells_where_the_next_run_moves(plan_of: PlanOf, stored: Stored) -> None:
    text = text_of(plan_of(stored(), cronExpression="30 9 * * MON-FRI"))

    assert '    cronExpression  "0 9 * * 1" → "30 9 * * MON-FRI"' in text
    assert "» next run moves from Mon 2030-01-07 09:00 +00:00 to Thu 2030-01-03 09:30 +00:00" in text
    assert "» 5 runs in the next 7 days instead of 1" in text
    assert text.endswith("Plan: 1 to change.")


def test_another_zone_moves_the_next_run(plan_of: PlanOf, stored: Stored) -> None:
    assert effects_of(plan_of(stored(), timezone="America/New_York")) == [
        "next run moves from Mon 2030-01-07 09:00 +00:00 to Mon 2030-01-07 09:00 -05:00"
    ]


def test_a_change_of_the_request_leaves_fire_times_alone(plan_of: PlanOf, stored: Stored) -> None:
    plan = plan_of(stored(headers={"X-A": "1", "X-B": "2"}), headers={"X-A": "1", "X-B": "3"}, timeoutMs=5000)

    assert changes_of(plan) == [("headers.X-B", "2", "3"), ("timeoutMs", 30_000, 5_000)]
    assert effects_of(plan) == []


def test_the_same_job_is_no_change(plan_of: PlanOf, stored: Stored) -> None:
    fields = {"payload": {"n": 1}, "tags": ["a"], "headers": {"X-A": "1"}}
    plan = plan_of(stored(**fields), **fields)

    assert plan.to_do == ()
    assert text_of(plan) == "No changes: 1 job is as in the files."


def test_numbers_and_truth_values_are_different(plan_of: PlanOf, stored: Stored) -> None:
    assert changes_of(plan_of(stored(payload={"n": 1}), payload={"n": True})) == [("payload.n", 1, True)]


def test_what_a_file_no_longer_says_goes_back_to_its_default(plan_of: PlanOf, stored: Stored) -> None:
    auth = {"type": "bearer", "token": "x"}

    assert changes_of(plan_of(stored(auth=auth, maxRetries=9))) == [
        ("auth", {"type": "bearer", "token": "***"}, None),
        ("maxRetries", 9, 3),
    ]


def test_values_from_the_environment_are_nowhere_in_the_plan(plan_of: PlanOf, stored: Stored) -> None:
    environ = {"TOKEN": "s3cret-new"}
    current = stored(payload={"token": "s3cret-old"}, headers={"X-Other": "s3cret-old"})
    for plan in (
        plan_of(current, environ, payload={"token": "${env:TOKEN}"}, headers={"X-Other": "a ${env:TOKEN}"}),
        plan_of(
            None, environ, payload={"token": "${env:TOKEN}"}, webhookUrl="https://x.example/${env:TOKEN}"
        ),
        plan_of(current, environ, payload=["${env:TOKEN}"], headers={"X-Other": "${env:TOKEN}"}),
    ):
        assert plan.drifted
        assert "s3cret" not in text_of(plan)
        assert "s3cret" not in str(plan_as_json(plan))


def test_secrets_that_cannot_be_compared_are_sent_again(plan_of: PlanOf, stored: Stored) -> None:
    auth = {"type": "bearer", "token": "x"}
    plan = plan_of(stored(auth=auth), auth=auth)

    assert [action.kind for action in plan.to_do] == [ActionKind.SEND_SECRETS]
    assert plan.drifted == ()
    assert text_of(plan).endswith("No changes to be seen: 1 with secrets to send again.")


def test_a_job_without_its_file_is_deleted_when_pruning(stored: Stored, now: datetime) -> None:
    plan = make_plan([], {}, prune=[stored()], now=now)

    assert text_of(plan).splitlines() == [
        "- report  Report",
        "    » the run at Mon 2030-01-07 09:00 +00:00 will not happen",
        "    » queued and retrying executions are cancelled; its log stays until its retention ends",
        "",
        "Plan: 1 to delete.",
    ]


PAUSED = {"status": "paused", "nextRunAt": None}
COMPLETED = {"status": "completed", "nextRunAt": None}
DISABLED = {"status": "disabled", "statusReason": "gone", "nextRunAt": None}


@pytest.mark.parametrize(
    ("state", "fields", "effects"),
    [
        ({}, {"isActive": False}, ["it is paused: the run at Mon 2030-01-07 09:00 +00:00 will not happen"]),
        (PAUSED, {"isActive": True}, ["it is resumed; next run at Mon 2030-01-07 09:00 +00:00"]),
        (PAUSED, {"cronExpression": "0 8 * * *"}, ["it stays paused"]),
        (
            COMPLETED,
            {"cronExpression": "0 9 * * 2"},
            ["it is active again", "next run at Tue 2030-01-08 09:00 +00:00"],
        ),
        (DISABLED, {"cronExpression": "0 8 * * *"}, ["it stays disabled (gone) until it is resumed"]),
        (
            {},
            {"maxRuns": 5},
            ["next run stays at Mon 2030-01-07 09:00 +00:00", "maxRuns counts anew: 5 runs from now on"],
        ),
        (
            {},
            {"jitterMs": 30_000},
            [
                "next run stays at Mon 2030-01-07 09:00 +00:00",
                "runs act up to 30 s after their fire times",
            ],
        ),
        (
            {},
            {"startAt": "2030-02-01T00:00:00Z"},
            [
                "next run moves from Mon 2030-01-07 09:00 +00:00 to Mon 2030-02-04 09:00 +00:00",
                "0 runs in the next 7 days instead of 1",
            ],
        ),
    ],
)
def test_what_a_change_does_to_fire_times(
    plan_of: PlanOf, stored: Stored, state: dict[str, Any], fields: dict[str, Any], effects: list[str]
) -> None:
    assert effects_of(plan_of(stored(state), **fields)) == effects


def test_a_pause_made_by_people_is_left_alone(plan_of: PlanOf, stored: Stored) -> None:
    assert plan_of(stored(PAUSED)).to_do == ()


def test_an_interval_without_start_keeps_the_grid_it_has(plan_of: PlanOf, stored: Stored) -> None:
    fields = {"interval": "hour", "intervalValue": 2}
    current = stored({"nextRunAt": "2030-01-02T13:17:00.000Z"}, **fields)

    assert plan_of(current, **fields).to_do == ()
    assert effects_of(plan_of(current, endAt="2030-06-01T00:00:00Z", **fields)) == [
        "next run stays at Wed 2030-01-02 13:17 +00:00"
    ]
    assert effects_of(plan_of(current, **{**fields, "intervalValue": 3}))[0] == (
        "next run moves from Wed 2030-01-02 13:17 +00:00 to Wed 2030-01-02 15:00 +00:00"
    )


def test_the_json_plan_counts_and_lists(plan_of: PlanOf, stored: Stored) -> None:
    found = plan_as_json(plan_of(stored(), maxRetries=1))

    assert (found["counts"]["change"], found["drift"]) == (1, True)
    [action] = found["actions"]
    assert action["changes"] == [{"field": "maxRetries", "before": 3, "after": 1}]
    assert action["id"] == "6740d0c0a1b2c3d4e5f60718"


def test_a_change_is_made_to_the_version_that_was_compared(plan_of: PlanOf, stored: Stored) -> None:
    [action] = plan_of(stored(), maxRetries=1).actions

    assert action.version == 3


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("${env:SIGN}", "(hidden: it comes from the environment)"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLawZ", '"***"'),
    ],
)
def test_a_new_job_with_a_signing_secret_says_so_without_it(
    plan_of: PlanOf, written: str, shown: str
) -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLawZ"
    plan = plan_of(environ={"SIGN": secret}, signingSecret=written)

    assert f"    signingSecret   {shown}" in text_of(plan).splitlines()
    assert secret not in text_of(plan) + str(plan_as_json(plan))
