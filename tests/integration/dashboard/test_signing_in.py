"""Coming in, staying in, going out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

PASSWORD = "correct horse battery"


def sign_in(visitor: Any, email: str, password: str = PASSWORD, path: str = "/dashboard/login") -> Any:
    return visitor.submit(visitor.get(path), "/login", email=email, password=password)


def cookie_of(response: Any) -> str:
    (cookie,) = [c for c in response.headers.getlist("Set-Cookie") if c.startswith("webhookcron_session=")]
    return str(cookie)


def test_the_root_leads_to_the_dashboard_and_the_dashboard_to_the_login(stranger: Any) -> None:
    assert stranger.client.get("/").headers["Location"] == "/dashboard/"
    page = stranger.get("/dashboard/jobs?status=active")
    assert page.form("/login").fields["next"] == "/dashboard/jobs?status=active"


def test_address_and_password_open_a_session_that_goes_on_where_one_wanted_to(
    stranger: Any, new_account: Callable[..., str]
) -> None:
    page = sign_in(stranger, new_account(), path="/dashboard/login?next=/dashboard/executions")
    assert page.response.request.path == "/dashboard/executions"
    assert "Executions" in page.text


@pytest.mark.parametrize(
    "wanted", ["https://evil.example/", "//evil.example", "/\\evil.example", "/api-docs"]
)
def test_no_link_leads_out_of_the_dashboard_after_the_login(
    stranger: Any, new_account: Callable[..., str], wanted: str
) -> None:
    page = stranger.get("/dashboard/login", query_string={"next": wanted})
    form = page.form("/login")
    response = stranger.client.post(
        "/dashboard/login",
        data={**form.fields.to_dict(), "email": new_account(), "password": PASSWORD, "next": wanted},
    )
    assert response.headers["Location"] == "/dashboard/"


def test_a_wrong_password_is_told_without_saying_what_is_wrong(
    stranger: Any, new_account: Callable[..., str]
) -> None:
    known, unknown = new_account(), "nobody@example.com"
    told = [sign_in(stranger, email, "wrong password!") for email in (known, unknown)]
    assert [page.status for page in told] == [422, 422]
    assert all("Address or password is wrong." in page.text for page in told)


def test_too_many_attempts_are_told(stranger: Any, new_account: Callable[..., str]) -> None:
    email = new_account()
    pages = [sign_in(stranger, email, "wrong password!") for _ in range(40)]
    assert pages[-1].status == 429
    assert "Too many attempts" in pages[-1].text


@pytest.mark.parametrize("key", ["whk_nothing", "nonsense", "", "whk_" + "x" * 300, "whk_ä"])
def test_what_is_no_key_opens_nothing(stranger: Any, key: str) -> None:
    form = stranger.get("/dashboard/login").form("/login", -1)
    response = stranger.client.post("/dashboard/login", data={**form.fields.to_dict(), "api_key": key})
    assert response.status_code == 422
    assert "no valid API key" in response.text


def test_the_cookie_is_kept_from_scripts_other_sites_and_plain_connections(stranger: Any) -> None:
    plain = cookie_of(stranger.client.get("/dashboard/login"))
    assert {"HttpOnly", "SameSite=Lax", "Path=/dashboard"} <= set(plain.split("; "))
    assert "Secure" not in plain.split("; ")
    stranger.client.delete_cookie("webhookcron_session", path="/dashboard")
    secure = cookie_of(stranger.client.get("/dashboard/login", base_url="https://localhost"))
    assert "Secure" in secure.split("; ")


def test_signing_in_gives_another_token_than_before(stranger: Any, new_account: Callable[..., str]) -> None:
    before = stranger.get("/dashboard/login").form("/login").fields["csrf_token"]
    sign_in(stranger, new_account())
    assert stranger.token() != before


@pytest.mark.parametrize("token", [None, "", "nonsense"])
def test_a_form_without_the_token_of_the_session_is_refused(visitor: Any, token: str | None) -> None:
    data = {"name": "x"} | ({} if token is None else {"csrf_token": token})
    assert visitor.client.post("/dashboard/jobs/new", data=data).status_code == 403
    assert visitor.client.post("/dashboard/logout", data=data).status_code == 403


def test_a_token_of_another_session_is_refused(visitor: Any, new_visitor: Callable[..., Any]) -> None:
    foreign = new_visitor().token()
    assert visitor.client.post("/dashboard/logout", data={"csrf_token": foreign}).status_code == 403


def test_a_form_of_another_site_is_refused_even_with_the_token(visitor: Any) -> None:
    response = visitor.client.post(
        "/dashboard/logout", data={"csrf_token": visitor.token()}, headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert response.status_code == 403


def test_signing_out_ends_the_login_for_copies_of_the_cookie_too(
    stranger: Any, new_account: Callable[..., str]
) -> None:
    page = sign_in(stranger, new_account())
    cookie = stranger.client.get_cookie("webhookcron_session", path="/dashboard")
    assert stranger.submit(page, "/logout").form("/login")
    stranger.client.set_cookie("webhookcron_session", cookie.value, path="/dashboard")
    assert stranger.client.get("/dashboard/jobs").headers["Location"].startswith("/dashboard/login")


def test_a_removed_key_ends_its_session(visitor: Any, platform: Any, services: Any) -> None:
    platform.database["apiKeys"].delete_many({"ownerId": visitor.principal.user_id})
    services.authenticator.forget()
    assert visitor.client.get("/dashboard/jobs").status_code == 302


def test_a_script_without_a_session_is_told_so(stranger: Any) -> None:
    response = stranger.client.get("/dashboard/executions/rows", headers={"X-Requested-With": "fetch"})
    assert response.status_code == 401
    assert "Sign in again" in response.get_json()["message"]


def test_the_session_of_the_dashboard_is_no_key_to_the_api(visitor: Any) -> None:
    assert visitor.client.get("/api/cron").status_code == 401


def test_a_viewer_sees_no_buttons_and_changes_nothing(
    new_visitor: Callable[..., Any], new_job: Callable[..., Any]
) -> None:
    viewer, job = new_visitor("viewer"), new_job()
    page = viewer.get(f"/dashboard/jobs/{job.id}")
    assert page.status == 200
    assert [form.action for form in page.forms if "/jobs/" in form.action] == []
    assert viewer.ask(f"/dashboard/jobs/{job.id}/pause", {}).status_code == 403
    assert viewer.client.get("/dashboard/jobs/new").status_code == 403


def test_a_key_without_the_scope_does_nothing(
    app: Any, platform: Any, new_visitor: Callable[..., Any], new_job: Callable[..., Any]
) -> None:
    reader = new_visitor("admin", ("read",))
    job = new_job()
    assert reader.ask(f"/dashboard/jobs/{job.id}/trigger", {}).status_code == 403
    assert reader.ask("/dashboard/jobs/bulk", {"action": "pause", "ids": job.id}).status_code == 403


def test_what_belongs_to_others_is_not_there(
    new_visitor: Callable[..., Any], new_job: Callable[..., Any]
) -> None:
    other, job = new_visitor(), new_job()
    for path in ("", "/edit", "/backfill"):
        assert other.get(f"/dashboard/jobs/{job.id}{path}").status == 404
    assert other.ask(f"/dashboard/jobs/{job.id}/delete", {}).status_code == 404
    results = other.ask("/dashboard/jobs/bulk", {"action": "delete", "ids": job.id}).get_json()["results"]
    assert "nothing here" in results[job.id]


@pytest.mark.parametrize("path", ["/dashboard/users", "/dashboard/audit"])
def test_pages_for_admins_are_for_admins(visitor: Any, admin: Any, path: str) -> None:
    assert visitor.get(path).status == 403
    assert admin.get(path).status == 200
