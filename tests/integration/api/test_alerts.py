"""`/api/alerts`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from webhookcron.config import Settings

WEBHOOK = {"name": "on call", "channel": "webhook", "url": "https://example.com/alerts"}
EMAIL = {"name": "on call", "channel": "email", "to": ["ann@example.com"]}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, smtp_url="smtp://127.0.0.1:9", apprise_urls=("json://127.0.0.1:9",))


def test_an_alert_is_created_shown_changed_and_deleted(caller: Any) -> None:
    created = caller("POST", "/api/alerts", WEBHOOK)
    assert created.status_code == 201, created.get_json()
    alert = created.get_json()
    assert alert["signingSecret"].startswith("whsec_")
    assert alert["events"] == ["disabled", "failure", "missed", "recovery"]
    path = created.headers["Location"]

    shown = caller("GET", path).get_json()
    assert shown == {name: value for name, value in alert.items() if name != "signingSecret"}
    changed = caller("PATCH", path, {"allJobs": True, "events": ["failure"]}).get_json()
    assert (changed["allJobs"], changed["events"], changed["url"]) == (True, ["failure"], WEBHOOK["url"])
    assert caller("PATCH", path, {"events": None}).get_json()["events"] == alert["events"]
    assert caller("GET", "/api/alerts").get_json()["total"] == 1
    assert caller("DELETE", path).status_code == 204
    assert caller("GET", path).status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({**WEBHOOK, "url": None}, "url"),
        ({**WEBHOOK, "url": "http://10.0.0.1/"}, "url"),
        ({**WEBHOOK, "signingSecret": "whsec_short"}, "signingSecret"),
        ({**WEBHOOK, "events": ["silence"]}, "silenceMinutes"),
        ({**WEBHOOK, "events": ["nothing"]}, "events"),
        ({**WEBHOOK, "channel": "pigeon"}, "channel"),
        ({**WEBHOOK, "channel": "operator"}, "channel"),
        ({**EMAIL, "to": []}, "to"),
        ({**EMAIL, "to": ["Ann <ann@example.com>"]}, "to"),
        ({**EMAIL, "to": ["ann@example.com\r\nBcc: x@example.com"]}, "to"),
        ({"channel": "email", "to": ["ann@example.com"]}, "name"),
        ({**EMAIL, "more": 1}, "more"),
    ],
)
def test_what_cannot_be_an_alert_is_refused(caller: Any, body: dict[str, Any], field: str) -> None:
    response = caller("POST", "/api/alerts", body)
    assert response.status_code == 422
    assert field in response.get_json()["errors"]["json"]


def test_a_channel_that_the_operator_did_not_set_up_is_refused(
    caller: Any, app: Any, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = app.extensions["webhookcron.alerts"]
    monkeypatch.setattr(service, "_settings", replace(settings, smtp_url=""))
    response = caller("POST", "/api/alerts", EMAIL)
    assert response.status_code == 422
    assert "WEBHOOKCRON_SMTP_URL" in response.get_json()["errors"]["json"]["channel"][0]


def test_admins_may_use_the_operators_channels(new_caller: Callable[..., Any]) -> None:
    response = new_caller("admin")("POST", "/api/alerts", {"name": "ops", "channel": "operator"})
    assert response.status_code == 201


def test_others_alerts_are_not_found(caller: Any, new_caller: Callable[..., Any]) -> None:
    path = caller("POST", "/api/alerts", EMAIL).headers["Location"]
    other = new_caller()
    assert other("GET", path).status_code == 404
    assert other("PATCH", path, {"name": "mine"}).status_code == 404
    assert other("POST", f"{path}/test").status_code == 404
    assert other("GET", "/api/alerts").get_json()["total"] == 0


def test_a_test_message_is_written_down_for_a_worker(caller: Any, platform: Any) -> None:
    path = caller("POST", "/api/alerts", EMAIL).headers["Location"]
    message = caller("POST", f"{path}/test")
    assert message.status_code == 202
    assert message.get_json()["status"] == "pending"
    assert caller("GET", f"{path}/messages").get_json()["items"] == [message.get_json()]
    assert platform.alerts.take_due(platform.clock.read(), 10) == [message.get_json()["id"]]


def test_the_secret_does_not_lie_readable_in_mongodb(caller: Any, platform: Any) -> None:
    secret = caller("POST", "/api/alerts", WEBHOOK).get_json()["signingSecret"]
    assert secret not in str(platform.database["alerts"].find_one())
