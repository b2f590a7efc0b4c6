"""Making, changing and running jobs by their pages."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from webhookcron.core.jobs import JobStatus
from webhookcron.dashboard.form_labels import label_of

NEW = "/dashboard/jobs/new"
RIGHT = {"name": "Report", "cron_expression": "0 9 * * 1", "webhook_url": "https://example.com/hook"}


def test_a_wrong_cron_expression_is_told_at_its_field_and_nothing_typed_is_lost(visitor: Any) -> None:
    page = visitor.submit(
        visitor.get(NEW), NEW, **RIGHT | {"cron_expression": "61 * * * *", "payload": '{"a": 1}'}
    )
    assert page.status == 422
    assert set(page.errors) == {"cron_expression"}
    form = page.form(NEW)
    assert form.fields["cron_expression"] == "61 * * * *"
    assert form.fields["payload"] == '{"a": 1}'
    again = visitor.submit(page, NEW, cron_expression="1 * * * *")
    assert again.status == 200
    assert "The job is saved." in again.text


def test_everything_that_is_wrong_is_told_at_once(visitor: Any) -> None:
    wrong = {
        "name": "Report",
        "webhook_url": "ftp://example.com",
        "cron_expression": "0 0 30 2 *",
        "success_statuses": "abc",
        "auth_type": "header",
        "auth_header_name": "bad name",
        "auth_header_value": "x",
        "max_retries": "1000",
        "timezone": "Berlin",
    }
    page = visitor.submit(visitor.get(NEW), NEW, **wrong)
    assert set(page.errors) == {
        "max_retries", "webhook_url", "success_statuses", "timezone", "cron_expression", "auth_header_name",
    }  # fmt: skip


def test_the_list_of_errors_calls_fields_as_their_labels_do(visitor: Any) -> None:
    labels = dict(re.findall(r'<label for="(\w+)">([^<]+?) ?<', visitor.get(NEW).html))
    assert len(labels) > 40
    # These stand below a heading that says more.
    headed = {"auth_type": "Kind", "auth_header_value": "Value"}
    assert labels == {field: label_of(field) for field in labels} | headed


def test_the_signing_secret_is_shown_once(visitor: Any) -> None:
    page = visitor.submit(visitor.get(NEW), NEW, **RIGHT)
    assert "whsec_" in page.html
    assert "whsec_" not in visitor.get(page.response.request.path).html


def test_a_key_that_is_taken_is_told_at_its_field(visitor: Any, new_job: Callable[..., Any]) -> None:
    new_job(key="weekly")
    page = visitor.submit(visitor.get(NEW), NEW, **RIGHT, key="weekly")
    assert page.errors == {"key": "is already used by another job"}


def test_saving_an_unchanged_job_changes_nothing(
    visitor: Any, new_job: Callable[..., Any], services: Any
) -> None:
    job = new_job(
        cron_expression=None,
        interval="day",
        interval_value=3,
        timezone="Europe/Berlin",
        auth={"type": "bearer", "token": "secret"},
        headers={"X-Key": "secret", "X-Team": "a"},
        secret_headers=["X-Key"],
        payload=["\n leading line", 'quote " and <b>'],
        description="two\nlines",
    )
    page = visitor.get(f"/dashboard/jobs/{job.id}/edit")
    assert '"secret"' not in page.html
    saved = visitor.submit(page, "/edit")
    assert "The changes are saved." in saved.text
    stored = services.jobs.get(visitor.principal, job.id)
    assert (stored.version, stored.request) == (job.version, job.request)


def test_secrets_can_be_replaced_and_taken_away(
    visitor: Any, new_job: Callable[..., Any], services: Any
) -> None:
    job = new_job(auth={"type": "bearer", "token": "secret"})
    page = visitor.get(f"/dashboard/jobs/{job.id}/edit")
    visitor.submit(page, "/edit", auth_token="other")
    assert services.jobs.get(visitor.principal, job.id).request.auth.token == "other"
    page = visitor.get(f"/dashboard/jobs/{job.id}/edit")
    visitor.submit(page, "/edit", auth_type="")
    assert services.jobs.get(visitor.principal, job.id).request.auth is None


def test_a_change_by_someone_else_meanwhile_is_not_overwritten(
    visitor: Any, new_job: Callable[..., Any], services: Any
) -> None:
    job = new_job()
    page = visitor.get(f"/dashboard/jobs/{job.id}/edit")
    services.jobs.patch(visitor.principal, job.id, {"name": "theirs"})
    told = visitor.submit(page, "/edit", name="mine")
    assert told.status == 422
    assert "Someone else changed this job meanwhile" in told.text
    assert services.jobs.get(visitor.principal, job.id).name == "theirs"


def test_pause_and_resume(visitor: Any, new_job: Callable[..., Any]) -> None:
    job = new_job()
    page = visitor.submit(visitor.get(f"/dashboard/jobs/{job.id}"), "/pause")
    assert "Paused." in page.text
    assert "Resumed now, it would fire at these times" in page.text
    assert "Resumed." in visitor.submit(page, "/resume").text


def test_run_now_shows_the_execution(visitor: Any, new_job: Callable[..., Any], pushed: list[str]) -> None:
    job = new_job()
    page = visitor.submit(visitor.get(f"/dashboard/jobs/{job.id}"), "/trigger")
    assert page.response.request.path == f"/dashboard/executions/{pushed[0]}"
    assert "Run by hand" in page.text


def test_a_copy_is_paused_and_opens_for_editing(
    visitor: Any, new_job: Callable[..., Any], services: Any
) -> None:
    job = new_job()
    page = visitor.submit(visitor.get(f"/dashboard/jobs/{job.id}"), "/clone")
    assert page.form("/edit").fields["name"] == "report (copy)"
    copy_id = page.response.request.path.split("/")[3]
    assert services.jobs.get(visitor.principal, copy_id).status is JobStatus.PAUSED


def test_a_new_signing_secret_is_shown_once_and_the_old_one_goes_on(
    visitor: Any, new_job: Callable[..., Any], services: Any
) -> None:
    job = new_job()
    page = visitor.submit(visitor.get(f"/dashboard/jobs/{job.id}"), "/secret", expire_old_after="1h")
    new, old = services.jobs.get(visitor.principal, job.id).request.signing_secrets
    assert new.secret in page.html
    assert old.secret not in page.html
    assert old.expires_at - job.created_at < timedelta(hours=2)


def test_deleting_removes_the_job(visitor: Any, new_job: Callable[..., Any]) -> None:
    job = new_job()
    page = visitor.submit(visitor.get(f"/dashboard/jobs/{job.id}"), "/delete")
    assert "Deleted “report”." in page.text
    assert visitor.get(f"/dashboard/jobs/{job.id}").status == 404


def test_what_is_refused_is_told_on_the_page(visitor: Any, new_job: Callable[..., Any]) -> None:
    job = new_job(signing=False)
    response = visitor.client.post(
        f"/dashboard/jobs/{job.id}/secret", data={"csrf_token": visitor.token()}, follow_redirects=True
    )
    assert "The calls of this job are not signed" in response.text


def test_a_backfill_is_shown_before_it_is_made(
    visitor: Any, new_job: Callable[..., Any], pushed: list[str]
) -> None:
    job = new_job(cron_expression="0 * * * *", timezone="Europe/Berlin")
    page = visitor.get(f"/dashboard/jobs/{job.id}/backfill")
    shown = visitor.submit(page, "/backfill")
    assert "24 fire times" in shown.text
    assert "nothing has been made yet" in shown.text
    assert pushed == []
    made = _confirm(visitor, shown)
    assert "24 executions are queued." in made.text
    assert len(pushed) == 24
    _confirm(visitor, shown)
    assert len(set(pushed)) == 24, "sending the form twice makes nothing twice"


def _confirm(visitor: Any, page: Any) -> Any:
    form = page.form("/backfill", -1)
    return type(page)(visitor.client.post(form.action, data=form.fields, follow_redirects=True))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"from": "yesterday"}, "must be a date and a time"),
        ({"from": "2030-01-02T00:00", "to": "2030-01-01T00:00"}, "must not lie before from"),
        ({"to": "9000-01-01T00:00"}, "must not lie after"),
        ({"from": "1990-01-01T00:00"}, "at most 1000 are made at once"),
    ],
)
def test_a_range_that_cannot_be_is_told(
    visitor: Any, new_job: Callable[..., Any], changes: dict[str, str], sentence: str
) -> None:
    page = visitor.get(f"/dashboard/jobs/{new_job().id}/backfill")
    told = visitor.submit(page, "/backfill", **changes)
    assert told.status == 422
    assert sentence in told.text


def test_bulk_actions_tell_what_became_of_each_job(
    visitor: Any, new_job: Callable[..., Any], services: Any
) -> None:
    jobs = [new_job(), new_job(cron_expression=None, run_at=None, delay_ms=0)]
    services.jobs.pause(visitor.principal, jobs[0].id)
    ids = [*(job.id for job in jobs), "f" * 24]
    answer = visitor.ask("/dashboard/jobs/bulk", {"action": "resume", "ids": ",".join(ids)})
    results = answer.get_json()["results"]
    assert results[jobs[0].id] is None
    assert "nothing here" in results[ids[2]]


@pytest.mark.parametrize(
    "fields",
    [
        {"action": "explode", "ids": "a" * 24},
        {"action": "pause", "ids": ""},
        {"action": "pause", "ids": "no ids"},
        {"action": "pause", "ids": ",".join([f"{n:024x}" for n in range(101)])},
    ],
)
def test_bulk_actions_that_make_no_sense_are_refused(visitor: Any, fields: dict[str, str]) -> None:
    assert visitor.ask("/dashboard/jobs/bulk", fields).status_code == 422


def test_the_preview_tells_words_times_and_clock_changes(visitor: Any) -> None:
    answer = visitor.ask(
        "/dashboard/previews",
        {"schedule_type": "cron", "cron_expression": "30 2 * * *", "timezone": "Europe/Berlin"},
    ).get_json()
    assert answer["errors"] == {}
    assert "At 02:30" in answer["html"]
    assert answer["html"].count("data-until") == 5
    assert "clocks in Europe/Berlin go forward" in answer["html"]


def test_the_preview_tells_errors_by_field(visitor: Any) -> None:
    answer = visitor.ask(
        "/dashboard/previews", {"schedule_type": "cron", "cron_expression": "* * *", "timezone": "UTC"}
    ).get_json()
    assert set(answer["errors"]) == {"cron_expression"}


def test_a_curl_line_becomes_values_or_a_reason(visitor: Any) -> None:
    answer = visitor.ask("/dashboard/curl", {"line": "curl https://example.com/hook -d '{}' "})
    assert answer.get_json()["values"]["webhook_url"] == "https://example.com/hook"
    refused = visitor.ask("/dashboard/curl", {"line": "rm -rf /"})
    assert refused.status_code == 422
    assert "cannot become a job" in refused.get_json()["message"]


def test_a_test_call_shows_the_attempt_or_what_is_wrong(visitor: Any) -> None:
    refused = visitor.ask(
        "/dashboard/trials", {"webhook_url": "http://127.0.0.1/x", "method": "POST"}
    ).get_json()
    shown = refused["html"] or str(refused["errors"])
    assert "127.0.0.1" in shown or "loopback" in shown
    missing = visitor.ask("/dashboard/trials", {"method": "POST"}).get_json()
    assert set(missing["errors"]) == {"webhook_url"}


def test_the_list_can_be_filtered_sorted_and_paged(visitor: Any, new_job: Callable[..., Any]) -> None:
    for number in range(27):
        new_job(name=f"job {number:02}", tags=["odd"] if number % 2 else ["even"])
    first = visitor.get("/dashboard/jobs?sort=name")
    assert "job 24" in first.text
    assert "job 25" not in first.text
    assert "job 26" in visitor.get("/dashboard/jobs?sort=name&page=2").text
    odd = visitor.get("/dashboard/jobs?tag=odd")
    assert "job 01" in odd.text
    assert "job 02" not in odd.text
    assert "Nothing found" in visitor.get("/dashboard/jobs?tag=none").text
