"""One's own account, and those of others."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

PASSWORD = "correct horse battery"


@pytest.fixture
def owner(stranger: Any, new_account: Callable[..., str]) -> Any:
    """An admin, signed in with a password; `email` is the address."""
    stranger.email = new_account("admin")
    page = stranger.get("/dashboard/login")
    assert stranger.submit(page, "/login", email=stranger.email, password=PASSWORD).status == 200
    return stranger


def test_a_key_is_shown_once_and_works_until_it_is_removed(owner: Any) -> None:
    page = owner.submit(
        owner.get("/dashboard/account"), "/account/keys", name="deploy", scopes=["read"], expires="30"
    )
    key = page.shown_secret
    bearer = {"Authorization": f"Bearer {key}"}
    assert owner.client.get("/api/cron", headers=bearer).status_code == 200
    page = owner.get("/dashboard/account")
    assert key not in page.html
    assert "deploy" in page.text
    assert "The key is removed." in owner.submit(page, "/remove").text
    assert owner.client.get("/api/cron", headers=bearer).status_code == 401


@pytest.mark.parametrize(
    ("fields", "field"),
    [({"name": "", "scopes": ["read"]}, "name"), ({"name": "x", "scopes": None}, "scopes")],
)
def test_a_key_needs_a_name_and_a_scope(owner: Any, fields: dict[str, Any], field: str) -> None:
    page = owner.submit(owner.get("/dashboard/account"), "/account/keys", **fields)
    assert set(page.errors) == {field}


def test_a_new_password_is_taken_and_the_old_one_no_more(owner: Any) -> None:
    page = owner.get("/dashboard/account")
    wrong = owner.submit(page, "/password", current_password="no", new_password="another horse battery")
    assert wrong.errors == {"current_password": "is wrong"}
    weak = owner.submit(page, "/password", current_password=PASSWORD, new_password="short")
    assert set(weak.errors) == {"new_password"}
    done = owner.submit(page, "/password", current_password=PASSWORD, new_password="another horse battery")
    assert "The password is changed." in done.text
    login = owner.submit(done, "/logout")
    assert owner.submit(login, "/login", email=owner.email, password=PASSWORD).status == 422
    assert owner.submit(login, "/login", email=owner.email, password="another horse battery").status == 200


def test_signing_out_everywhere_ends_this_session_too(owner: Any) -> None:
    page = owner.submit(owner.get("/dashboard/account"), "/logout-everywhere")
    assert page.form("/login")
    assert owner.client.get("/dashboard/jobs").status_code == 302


def test_an_admin_makes_changes_and_removes_accounts(owner: Any) -> None:
    page = owner.submit(owner.get("/dashboard/users"), "/users", email="bob@example.com", role="viewer")
    assert "bob@example.com can sign in now." in page.text
    password = page.shown_secret
    bob = type(owner)(owner.client.application.test_client())
    seen = bob.submit(bob.get("/dashboard/login"), "/login", email="bob@example.com", password=password)
    assert seen.status == 200
    change = next(f for f in page.forms if "is_active" in f.fields)
    assert change.fields["is_active"] == "off"
    owner.client.post(change.action, data=change.fields)
    assert bob.client.get("/dashboard/jobs").status_code == 302
    assert "The account is removed." in owner.submit(owner.get("/dashboard/users"), "/remove").text


def test_what_is_wrong_with_a_new_account_is_told_at_its_field(owner: Any) -> None:
    page = owner.get("/dashboard/users")
    assert set(owner.submit(page, "/users", email="nonsense").errors) == {"email"}
    assert owner.submit(page, "/users", email=owner.email).errors == {"email": "has an account already"}
    assert set(owner.submit(page, "/users", email="c@example.com", password="short").errors) == {"password"}


def test_the_audit_trail_tells_what_was_done(owner: Any) -> None:
    owner.submit(owner.get("/dashboard/account"), "/account/keys", name="deploy", scopes=["read"])
    page = owner.get("/dashboard/audit?action=key.create")
    assert "key.create" in page.text
    assert "deploy" in page.text
    assert "Nothing found" in owner.get("/dashboard/audit?action=nothing").text


def test_the_audit_trail_names_who_did_it(owner: Any) -> None:
    page = owner.submit(owner.get("/dashboard/users"), "/users", email="bob@example.com", role="viewer")
    bob = type(owner)(owner.client.application.test_client())
    bob.submit(bob.get("/dashboard/login"), "/login", email="bob@example.com", password=page.shown_secret)
    logins = "/dashboard/audit?action=user.login"
    assert "bob@example.com" in owner.get(logins).text
    entry = re.search(r'data-label="User"[^>]*><a [^>]*>([^<]*)<', owner.get(logins).html)
    assert entry is not None
    assert entry[1] == "bob@example.com"
    page = owner.submit(owner.get("/dashboard/users"), "/remove")
    assert "The account is removed." in page.text
    assert owner.get(logins).status == 200, "an account that is gone goes by its id"
