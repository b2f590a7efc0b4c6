"""The dashboard on the stores of this test process, used as a browser without scripts would use it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pymongo.database import Database
from werkzeug.datastructures import MultiDict
from werkzeug.test import TestResponse

from webhookcron.api.services import Services
from webhookcron.app import create_app
from webhookcron.config import Settings
from webhookcron.core.jobs import Job
from webhookcron.service.principals import ALL_SCOPES, Principal
from webhookcron.storage.indexes import ensure_indexes
from webhookcron.ticks.scheduler import Scheduler
from webhookcron.wiring.platform import Platform, connect

PASSWORD = "correct horse battery"


@dataclass
class Form:
    """One form of a page, with what it would send."""

    action: str
    method: str
    fields: MultiDict[str, str] = field(default_factory=MultiDict)


class Page(HTMLParser):
    """What a browser would make of a page: its forms, links and texts."""

    def __init__(self, response: TestResponse) -> None:
        super().__init__()
        self.response = response
        self.html = response.get_data(as_text=True)
        self.status = response.status_code
        self.forms: list[Form] = []
        self.links: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._texts: list[str] = []
        self._form: Form | None = None
        self._area: str | None = None
        self._area_text = ""
        self._select: str | None = None
        self.feed(self.html)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self._texts).split())

    @property
    def errors(self) -> dict[str, str]:
        """Field → what the page says is wrong with it."""
        found: dict[str, str] = {}
        for tag, attributes in self.tags:
            if tag == "p" and "data-error-of" in attributes and "hidden" not in attributes:
                found[str(attributes["data-error-of"])] = " ".join(str(attributes["text"]).split())
        return found

    @property
    def shown_secret(self) -> str:
        """What the page shows this once."""
        (secret,) = [a["text"] for tag, a in self.tags if tag == "code" and a.get("id") == "shown-secret"]
        return str(secret).strip()

    def form(self, action_end: str, number: int = 0) -> Form:
        """The first form, or another one, whose action ends so."""
        found = [form for form in self.forms if form.action.endswith(action_end)]
        assert found, f"no form to {action_end} among {[form.action for form in self.forms]}"
        return found[number]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        attributes["text"] = ""
        name = attributes.get("name") or ""
        match tag:
            case "form" if attributes.get("method") != "dialog":
                here = self.response.request.path
                self._form = Form(attributes.get("action") or here, attributes.get("method") or "get")
                self.forms.append(self._form)
            case "a" if attributes.get("href"):
                self.links.append(str(attributes["href"]))
            case "input" if self._form is not None and name:
                checkable = attributes.get("type") in ("checkbox", "radio")
                if not checkable or "checked" in attributes:
                    self._form.fields.add(name, attributes.get("value") or ("on" if checkable else ""))
            case "textarea":
                self._area, self._area_text = name, ""
            case "select":
                self._select = name
            case "option" if self._form is not None and self._select:
                value = attributes.get("value") or ""
                if "selected" in attributes or self._select not in self._form.fields:
                    self._form.fields[self._select] = value

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "textarea":
            if self._form is not None and self._area:
                # HTML drops the first line feed of a textarea.
                self._form.fields[self._area] = self._area_text.removeprefix("\n")
            self._area = None
        elif tag == "select":
            self._select = None

    def handle_data(self, data: str) -> None:
        if self._area is not None:
            self._area_text += data
            return
        self._texts.append(data)
        if self.tags:
            self.tags[-1][1]["text"] = str(self.tags[-1][1].get("text") or "") + data


class Visitor:
    """Someone with a browser."""

    def __init__(self, client: FlaskClient, principal: Principal | None = None) -> None:
        self.client = client
        self.principal = principal

    def get(self, path: str, **options: Any) -> Page:
        """A page, redirects followed."""
        return Page(self.client.get(path, follow_redirects=True, **options))

    def submit(self, page: Page, action_end: str, **changes: Any) -> Page:
        """The page that comes of sending a form with some fields changed; None leaves a field out."""
        form = page.form(action_end)
        fields = MultiDict(form.fields)
        for name, value in changes.items():
            if value is None:
                fields.pop(name, None)
            else:
                fields.setlist(name, value if isinstance(value, list) else [value])
        return Page(self.client.open(form.action, method=form.method, data=fields, follow_redirects=True))

    def token(self) -> str:
        """The token of the session."""
        page = self.get("/dashboard/account")
        (token,) = {
            str(a["content"]) for tag, a in page.tags if tag == "meta" and a.get("name") == "csrf-token"
        }
        return token

    def ask(self, path: str, fields: dict[str, str]) -> TestResponse:
        """What a script of the page gets."""
        headers = {"X-Requested-With": "fetch", "X-CSRF-Token": self.token()}
        return self.client.post(path, data=fields, headers=headers)


@pytest.fixture
def settings(mongodb_uri: str, redis_url: str, mongo_database: Database[Any]) -> Settings:
    return Settings(
        mongodb_uri=f"{mongodb_uri.rstrip('/')}/{mongo_database.name}",
        redis_url=redis_url,
        celery_broker_url="memory://",
        secret_keys=("a-secret-key-for-tests-only",),
    )


@pytest.fixture
def pushed() -> list[str]:
    """Ids of executions that were handed to the workers."""
    return []


@pytest.fixture
def platform(settings: Settings, redis_client: Any, pushed: list[str]) -> Iterator[Platform]:
    connected = connect(settings, part="api")
    ensure_indexes(connected.database)
    scheduler = Scheduler(
        jobs=connected.jobs,
        executions=connected.executions,
        source=connected.source,
        enqueue=pushed.extend,
        retention=timedelta(days=settings.retention_days),
    )
    connected = replace(connected, enqueue=pushed.extend, scheduler=scheduler)
    yield connected
    connected.close()


@pytest.fixture
def app(settings: Settings, platform: Platform) -> Flask:
    return create_app(settings, platform)


@pytest.fixture
def services(app: Flask) -> Services:
    found: Services = app.extensions["webhookcron"]
    return found


@pytest.fixture
def stranger(app: Flask) -> Visitor:
    """A visitor who is not signed in."""
    return Visitor(app.test_client())


@pytest.fixture
def new_visitor(app: Flask, platform: Platform) -> Callable[..., Visitor]:
    """Makes a user with a role, signed in with a key with scopes."""

    def make(role: str = "member", scopes: tuple[str, ...] = tuple(sorted(ALL_SCOPES))) -> Visitor:
        user_id = secrets.token_hex(6)
        platform.database["users"].insert_one({"_id": user_id, "role": role, "name": "Ann"})
        _, key = platform.api_keys.create(user_id, "test", scopes, now=datetime.now(UTC))
        visitor = Visitor(app.test_client(), Principal(user_id=user_id, role=role, scopes=frozenset(scopes)))
        page = Page(visitor.client.get("/dashboard/login"))
        form = page.form("/login", -1)
        response = visitor.client.post("/dashboard/login", data={**form.fields.to_dict(), "api_key": key})
        assert response.status_code == 302
        return visitor

    return make


@pytest.fixture
def visitor(new_visitor: Callable[..., Visitor]) -> Visitor:
    """A member who may do everything."""
    return new_visitor()


@pytest.fixture
def admin(new_visitor: Callable[..., Visitor]) -> Visitor:
    """An admin who may do everything."""
    return new_visitor("admin")


@pytest.fixture
def new_job(services: Services, visitor: Visitor) -> Callable[..., Job]:
    """Makes a job of the visitor."""

    def make(**values: Any) -> Job:
        definition: dict[str, Any] = {
            "name": "report",
            "cron_expression": "0 9 * * *",
            "webhook_url": "https://example.com/hook",
        }
        assert visitor.principal is not None
        return services.jobs.create(visitor.principal, definition | values)

    return make


@pytest.fixture
def new_account(services: Services) -> Callable[..., str]:
    """Makes an account with a password and tells its address."""

    def make(role: str = "admin") -> str:
        email = f"{secrets.token_hex(4)}@example.com"
        maker = Principal(user_id="maker", role="admin", scopes=ALL_SCOPES)
        services.users.create(maker, email=email, name="Ann", role=role, password=PASSWORD)
        return email

    return make
