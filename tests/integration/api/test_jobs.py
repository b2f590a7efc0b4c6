"""Cron jobs over HTTP."""

from typing import Any


def test_a_name_a_schedule_and_a_url_make_a_job(caller: Any) -> None:
    response = caller(
        "POST",
        "/api/cron",
        {
            "name": "Weekly report",
            "cronExpression": "0 9 * * 1",
            "timezone": "Europe/Berlin",
            "webhookUrl": "https://example.com/hooks/report",
            "payload": {"report": "weekly"},
        },
    )
    job = response.get_json()
    assert response.status_code == 201, job
    assert response.headers["Location"].endswith(f"/api/cron/{job['id']}")
    assert response.headers["ETag"] == '"1"'
    assert job["scheduleType"] == "cron"
    assert job["status"] == "active"
    assert job["signingSecret"].startswith("whsec_")
    assert job["nextRunAt"].endswith(":00:00.000Z")
    assert job["payload"] == {"report": "weekly"}
