"""What holds for every page: it shows, is small, and brings nothing that browsers may not run."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any

import pytest

from webhookcron.core.errors import StoreUnavailable
from webhookcron.core.executions import Attempt, AttemptError, Execution, ExecutionStatus, Trigger
from webhookcron.storage.execution_documents import attempt_document

NOW = datetime.now(UTC).replace(microsecond=0)
MAX_BYTES = 200_000


@pytest.fixture
def busy(visitor: Any, new_job: Callable[..., Any], platform: Any) -> dict[str, str]:
    """A platform with long names, bodies and lists; the addresses of its pages by name."""
    jobs = [
        new_job(
            name=f"{number} {'W' * 240}",
            tags=[f"tag {n} {'x' * 40}" for n in range(20)],
            description="d" * 2000,
            cron_expression="*/5 * * * * *",
            payload={"text": '"' * 120_000},
        )
        for number in range(25)
    ]
    attempts = tuple(
        Attempt(
            number=number,
            started_at=NOW,
            duration_ms=31,
            phases={"nameLookupMs": 1.0, "connectMs": 5.0, "firstByteMs": 30.0, "totalMs": 31.0},
            request_method="POST",
            request_url="https://example.com/hook",
            request_headers=tuple((f"X-{n}", "v" * 100) for n in range(50)),
            response_status=500,
            response_headers=tuple((f"X-{n}", "v" * 100) for n in range(50)),
            response_body='{"a": [1, 2]}' if number == 1 else "<b>&</b>" * 1_500,
            error=AttemptError(kind="temporary_status", message="the target answered with status 500 " * 5),
        )
        for number in range(1, 5)
    )
    executions = [
        Execution(
            id=f"{job.id}:{1_700_000_000_000 + number}",
            job_id=job.id,
            owner_id=job.owner_id,
            job_name=job.name,
            host=job.host,
            trigger=Trigger.SCHEDULE,
            status=ExecutionStatus.FAILED,
            scheduled_at=NOW - timedelta(seconds=number),
            queued_at=NOW,
            started_at=NOW,
            completed_at=NOW,
            duration_ms=31,
            attempt_count=4,
            error=attempts[-1].error,
            attempts=attempts,
        )
        for job in jobs[:3]
        for number in range(60)
    ]
    platform.executions.insert(executions)
    documents = [attempt_document(attempt) for attempt in attempts]
    platform.database["executions"].update_many({}, {"$set": {"attempts": documents}})
    one = f"/dashboard/jobs/{jobs[0].id}"
    return {
        "overview": "/dashboard/",
        "jobs": "/dashboard/jobs",
        "jobs by tag": "/dashboard/jobs?tag=nothing",
        "job": one,
        "edit": f"{one}/edit",
        "new": "/dashboard/jobs/new",
        "backfill": f"{one}/backfill",
        "executions": "/dashboard/executions",
        "no executions": "/dashboard/executions?status=skipped",
        "execution": f"/dashboard/executions/{executions[0].id}",
        "account": "/dashboard/account",
        "missing": "/dashboard/nothing",
    }


def assert_clean(page: Any) -> None:
    """Nothing that the Content-Security-Policy would refuse, and no loose ends."""
    policy = page.response.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    for tag, attributes in page.tags:
        assert "style" not in attributes, tag
        assert not [name for name in attributes if name.startswith("on")], tag
        if tag == "script":
            assert attributes["src"]
            assert attributes["text"].strip() == ""
    assert "<style" not in page.html
    assert "Undefined" not in page.html
    ids = re.findall(r' id="([^"]+)"', page.html)
    assert len(ids) == len(set(ids)), sorted({i for i in ids if ids.count(i) > 1})


def test_every_page_shows_and_is_small_and_clean(visitor: Any, busy: dict[str, str]) -> None:
    for name, path in busy.items():
        page = visitor.get(path)
        assert page.status == (404 if name == "missing" else 200), name
        assert len(page.html.encode()) < MAX_BYTES, (name, len(page.html.encode()))
        assert page.response.headers["Cache-Control"] == "no-store"
        assert_clean(page)


def test_pages_for_admins_and_strangers_are_clean(admin: Any, stranger: Any) -> None:
    for path in ("/dashboard/users", "/dashboard/audit", "/dashboard/"):
        assert_clean(admin.get(path))
    assert_clean(stranger.get("/dashboard/login"))


def test_empty_pages_say_what_to_do(visitor: Any) -> None:
    for path in ("/dashboard/", "/dashboard/jobs"):
        page = visitor.get(path)
        assert "No jobs yet" in page.text
        assert "/dashboard/jobs/new" in page.links
    assert "Nothing has run yet" in visitor.get("/dashboard/executions").text


def test_text_of_users_and_receivers_is_shown_as_text(
    visitor: Any, new_job: Callable[..., Any], busy: dict[str, str]
) -> None:
    job = new_job(name="<script>alert(1)</script>", tags=['"><img src=x>'], description="<b>bold</b>")
    for path in ("/dashboard/jobs", f"/dashboard/jobs/{job.id}", f"/dashboard/jobs/{job.id}/edit"):
        page = visitor.get(path)
        assert_clean(page)
        assert "<b>bold" not in page.html
        assert not [1 for tag, attributes in page.tags if tag == "img"]
    assert "<b>&</b>" not in visitor.get(busy["execution"]).html


def test_times_are_those_of_the_viewer_with_utc_beside_them(
    visitor: Any, new_job: Callable[..., Any]
) -> None:
    job = new_job(cron_expression="0 9 1 7 *", timezone="UTC")
    visitor.client.set_cookie("webhookcron_zone", "Asia/Tokyo", path="/dashboard")
    page = visitor.get("/dashboard/jobs")
    year = job.next_run_at.year
    assert f'title="{year}-07-01 09:00:00.000 UTC"' in page.html
    assert f"{year}-07-01 18:00:00" in page.text


@pytest.mark.parametrize("zone", ["Nowhere/City", "../../etc/passwd", ""])
def test_a_zone_that_is_none_counts_as_utc(visitor: Any, zone: str) -> None:
    visitor.client.set_cookie("webhookcron_zone", zone, path="/dashboard")
    assert "UTC" in visitor.get("/dashboard/account").text


@pytest.mark.parametrize(("theme", "shown"), [("dark", ' data-theme="dark"'), ('"><script>', "")])
def test_the_chosen_theme_is_in_the_page_from_the_start(visitor: Any, theme: str, shown: str) -> None:
    visitor.client.set_cookie("webhookcron_theme", theme, path="/dashboard")
    assert f'<html lang="en"{shown}>' in visitor.get("/dashboard/").html


def test_assets_are_revalidated_and_need_no_session(stranger: Any) -> None:
    response = stranger.client.get("/dashboard/static/js/main.js", buffered=True)
    assert response.status_code == 200
    assert "javascript" in response.content_type
    assert response.headers["Cache-Control"] == "no-cache"
    again = stranger.client.get(
        "/dashboard/static/js/main.js", headers={"If-None-Match": response.headers["ETag"]}, buffered=True
    )
    assert again.status_code == 304


def test_nothing_is_loaded_from_elsewhere() -> None:
    root = files("webhookcron.dashboard")
    for folder in ("static/js", "static/css", "templates/dashboard"):
        for file in root.joinpath(folder).iterdir():
            text = file.read_text()
            assert not re.search(r'(?:src|href|from|import|url\()\s*[=(]?\s*["\']?(?:https?:)?//', text), (
                file.name
            )


def test_a_store_that_is_away_is_told_as_a_page(
    visitor: Any, services: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_arguments: Any, **_options: Any) -> None:
        raise StoreUnavailable("gone")

    monkeypatch.setattr(type(services.jobs), "page", away)
    page = visitor.get("/dashboard/jobs")
    assert page.status == 503
    assert "MongoDB is away" in page.text
    assert_clean(page)


def test_what_goes_wrong_unforeseen_is_told_without_details(
    visitor: Any, services: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_arguments: Any, **_options: Any) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(type(services.jobs), "page", broken)
    page = visitor.get("/dashboard/jobs")
    assert page.status == 500
    assert "secret detail" not in page.html
