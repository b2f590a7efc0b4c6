"""What people do with the dashboard, done in a real browser against the whole platform."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest
import requests

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(180)]


def test_a_wrong_password_is_told_and_the_right_one_leads_on(browser: Any, shared_platform: Any) -> None:
    browser.open("/dashboard/jobs")
    browser.fill("email", "admin@localhost")
    browser.fill("password", "wrong password")
    browser.click("button", "Sign in")
    browser.sees("Address or password is wrong.")
    browser.fill("password", (shared_platform.data_directory / "admin.password").read_text().strip())
    browser.click("button", "Sign in")
    browser.until(lambda: browser.path == "/dashboard/jobs", "the page that was asked for")
    browser.click("button", "Sign out")
    browser.sees("Password")
    browser.open("/dashboard/jobs")
    assert browser.path.startswith("/dashboard/login")


def test_an_api_key_opens_the_dashboard_too(browser: Any, shared_platform: Any) -> None:
    browser.open("/dashboard/login")
    browser.click("summary", "API key")
    browser.fill("api_key", shared_platform.admin_key)
    browser.click("button", "Sign in with the key")
    browser.sees("Overview")


def test_a_job_is_made_with_a_wrong_then_a_right_cron_and_seen_to_fire(
    user: Any, receiver: Any, shared_platform: Any
) -> None:
    user.open("/dashboard/jobs/new")
    user.fill("name", "Every second")
    user.fill("webhook_url", receiver.url)
    user.fill("cron_expression", "* * * * 99")
    wrong = user.until(
        lambda: [e for e in user.all("[data-error-of=cron_expression]") if e.text],
        "the preview tells at the field",
    )
    assert "99" in wrong[0].text
    user.click("button", "Save job")
    user.sees("This could not be saved yet")
    assert user.find("[data-error-of=cron_expression]").text
    user.fill("cron_expression", "* * * * * *")
    user.sees("Every second")
    user.until(lambda: len(user.all(".form-side .fires li")) == 5, "the next five fire times")
    user.click("button", "Save job")
    user.sees("The job is saved.")
    assert user.find("#shown-secret").text.startswith("whsec_")
    job_id = user.path.rpartition("/")[2]

    user.open(f"/dashboard/executions?job={job_id}")
    user.run("window.same = true")
    user.until(lambda: len(user.all("[data-live-rows] tr")) >= 5, "rows arrive by themselves")
    user.until(lambda: "Success" in user.find("[data-live-rows]").text, "and are seen to succeed")
    assert user.run("return window.same"), "without loading the page again"
    assert user.find("[data-live-state]").text == "Live"
    shared_platform.request("DELETE", f"/api/cron/{job_id}?deleteLogs=true")


def test_a_failure_is_seen_and_replayed(user: Any, receiver: Any, new_job: Callable[..., Any]) -> None:
    receiver.status, receiver.body = 500, b'{"error":"out of order"}'
    job = new_job(name="Out of order", webhookUrl=receiver.url, maxRetries=0)
    user.open(f"/dashboard/jobs/{job['id']}")
    user.click("button", "Run now")
    user.sees("the target answered with status 500")
    user.sees('"error": "out of order"')
    user.open("/dashboard/")
    user.click(".rows a", "Out of order")
    receiver.status, receiver.body = 200, b"fine"
    failed = user.path
    user.click("button", "Replay")
    user.until(lambda: user.path != failed, "the replay has a page of its own")
    user.until(lambda: user.find("[data-state]").get_attribute("data-state") == "success", "it succeeds")
    user.sees("fine")


def test_a_form_is_sent_once_however_often_its_button_is_pressed(user: Any) -> None:
    user.open("/dashboard/jobs/new")
    user.find("[data-open='#curl-dialog']")
    held_back = user.run(
        """
        const form = document.querySelector("[data-job-form]");
        const held = [];
        addEventListener("submit", (event) => held.push(event.defaultPrevented));
        form.requestSubmit();
        form.requestSubmit();
        return held;
        """
    )
    assert held_back == [False, True]
    user.sees("This could not be saved yet")


def test_many_jobs_are_paused_at_once_after_a_question(
    user: Any, new_job: Callable[..., Any], shared_platform: Any
) -> None:
    jobs = [new_job(name=f"Bulk {number:02}", tags=["bulk"]) for number in range(28)]
    user.open("/dashboard/jobs?tag=bulk")
    user.click("[data-select-all]")
    user.click("[data-bulk-all]", "Select all 28")
    user.until(lambda: user.find("[data-bulk-count]").text == "28", "all are selected")
    user.click("[data-bulk=pause]")
    user.find("#confirm", "Pause 28 jobs?")
    user.click("#confirm button", "Cancel")
    user.click("[data-bulk=pause]")
    user.click("#confirm [data-confirm-yes]")
    user.until(lambda: len(user.all(".badge.is-paused")) == 25, "the page shows them paused")
    statuses = {shared_platform.request("GET", f"/api/cron/{job['id']}").json()["status"] for job in jobs}
    assert statuses == {"paused"}


def test_what_a_bulk_action_could_not_do_is_told(
    user: Any, new_job: Callable[..., Any], receiver: Any
) -> None:
    new_job(name="Done already", tags=["mixed"], cronExpression=None, delayMs=0, webhookUrl=receiver.url)
    new_job(name="Can be paused", tags=["mixed"])
    user.until(lambda: receiver.calls, "the first one is over")
    user.open("/dashboard/jobs?tag=mixed&status=completed")
    user.sees("Done already")
    user.open("/dashboard/jobs?tag=mixed")
    user.click("[data-select-all]")
    user.click("[data-bulk=pause]")
    user.click("#confirm [data-confirm-yes]")
    user.sees("Done already: The job is completed")
    user.sees("1 of 2 done, 1 not.")
    user.click("button", "Done")
    user.sees("Paused")


def test_past_fire_times_are_shown_before_they_run(
    user: Any, receiver: Any, new_job: Callable[..., Any]
) -> None:
    job = new_job(name="Hourly", cronExpression="0 * * * *", webhookUrl=receiver.url)
    user.open(f"/dashboard/jobs/{job['id']}")
    user.click("a", "Backfill")
    user.click("button", "Show what would run")
    user.sees("nothing has been made yet")
    assert "24 fire times" in user.find("[data-dry-run]").text
    assert receiver.calls == []
    user.click("button", "Run all 24 now")
    user.sees("24 executions are queued.")
    user.until(lambda: len(receiver.calls) == 24, "all of them are called")
    user.until(lambda: user.find("[data-live-rows]").text.count("Success") == 24, "and shown")


def test_a_test_call_and_an_import_from_curl(user: Any, receiver: Any) -> None:
    user.open("/dashboard/jobs/new")
    user.click("button", "Import from cURL")
    user.find("#curl-line").send_keys("wget nothing")
    user.click("[data-import]")
    user.sees("it runs wget, not curl")
    user.find("#curl-line").clear()
    user.find("#curl-line").send_keys(
        f"curl -X PUT {receiver.url} -H 'X-Team: billing' --json '{{\"a\": 1}}'"
    )
    user.click("[data-import]")
    user.until(
        lambda: user.find("[name=webhook_url]").get_attribute("value") == receiver.url, "the form is filled"
    )
    user.sees("This is JSON.")
    user.click("button", "Send a test")
    user.sees("This would count as a success.")
    (call,) = receiver.calls
    assert (call.method, call.headers["x-team"], call.body) == ("PUT", "billing", b'{"a":1}')


def test_broken_json_is_told_while_typing(user: Any) -> None:
    user.open("/dashboard/jobs/new")
    user.fill("payload", '{"a": 1,\n }')
    user.sees("Not JSON yet: line 2, column 2.")


def test_the_list_goes_on_after_a_break_of_the_network(
    user: Any, receiver: Any, new_job: Callable[..., Any]
) -> None:
    job = new_job(name="Steady", cronExpression="* * * * * *", webhookUrl=receiver.url)
    user.open(f"/dashboard/executions?job={job['id']}")
    user.until(lambda: user.all("[data-live-rows] tr"), "the first row")
    user.offline(True)
    try:
        calls = len(receiver.calls)
        user.until(lambda: len(receiver.calls) >= calls + 3, "more happens meanwhile")
    finally:
        user.offline(False)

    def gaps() -> set[float] | None:
        shown = [
            datetime.fromisoformat(str(e.get_attribute("datetime")))
            for e in user.all("[data-live-rows] td[data-label='Fire time'] time")
        ]
        if len(shown) < calls + 3:
            return None
        return {(later - earlier).total_seconds() for later, earlier in pairwise(shown)}

    assert user.until(gaps, "the list is up to date again", within=40) == {1.0}, "nothing is left out"


def test_beyond_the_places_for_streams_the_list_is_polled(
    user: Any, receiver: Any, new_job: Callable[..., Any], shared_platform: Any
) -> None:
    # What a page does when its stream is refused, whichever process would refuse it.
    job = new_job(name="Polled", cronExpression="* * * * * *", webhookUrl=receiver.url)
    user.driver.execute_cdp_cmd("Network.setBlockedURLs", {"urls": ["*/executions/stream*"]})
    try:
        user.open(f"/dashboard/executions?job={job['id']}")
        user.until(lambda: user.find("[data-live-state]").text == "Live, every 2 s", "it polls")
        user.until(lambda: len(user.all("[data-live-rows] tr")) >= 3, "rows arrive all the same")
    finally:
        user.driver.execute_cdp_cmd("Network.setBlockedURLs", {"urls": []})


def test_holding_the_list_keeps_it_still(user: Any, receiver: Any, new_job: Callable[..., Any]) -> None:
    job = new_job(name="Held", cronExpression="* * * * * *", webhookUrl=receiver.url)
    user.open(f"/dashboard/executions?job={job['id']}")
    user.until(lambda: user.all("[data-live-rows] tr"), "the first row")
    user.click("[data-live-toggle]")
    before = len(user.all("[data-live-rows] tr"))
    calls = len(receiver.calls)
    user.until(lambda: len(receiver.calls) >= calls + 3, "more happens meanwhile")
    assert len(user.all("[data-live-rows] tr")) == before
    user.click("[data-live-toggle]")
    user.until(lambda: len(user.all("[data-live-rows] tr")) >= before + 3, "it goes on")


def test_an_api_key_is_made_shown_once_and_works(user: Any) -> None:
    user.open("/dashboard/account")
    user.fill("name", "deploy")
    user.click("button", "Create key")
    key = user.find("#shown-secret").text
    answer = requests.get(f"{user.url}/api/cron", headers={"Authorization": f"Bearer {key}"}, timeout=60)
    assert answer.status_code == 200
    user.open("/dashboard/account")
    assert key not in user.driver.page_source
