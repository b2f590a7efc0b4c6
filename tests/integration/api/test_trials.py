"""Calling a webhook once, over HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from typing import Any

import pytest
from flask import Flask

from webhookcron.app import create_app
from webhookcron.config import Settings
from webhookcron.wiring.platform import target_policy


class Target(ThreadingHTTPServer):
    """A receiver that answers as it is told and keeps what it got."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status = 200
        self.calls: list[tuple[dict[str, str], Any]] = []
        self.hold = threading.Event()
        self.hold.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook"


class Handler(BaseHTTPRequestHandler):
    server: Target

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.calls.append((dict(self.headers), json.loads(body)))
        self.server.hold.wait(20)
        self.send_response(self.server.status)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"done")

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture
def target() -> Iterator[Target]:
    server = Target()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.hold.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def app(settings: Settings, platform: Any) -> Iterator[Flask]:
    """The API where calls to this machine are allowed."""
    settings = replace(settings, allowed_target_networks=(ip_network("127.0.0.0/8"),))
    app = create_app(settings, replace(platform, settings=settings, target_policy=target_policy(settings)))
    yield app
    app.extensions["webhookcron"].trials.close()


def test_the_answer_is_the_attempt(caller: Any, target: Target, platform: Any) -> None:
    body = {"webhookUrl": target.url, "auth": {"type": "bearer", "token": "hush"}, "name": "Try it"}
    response = caller("POST", "/api/cron/test", body)
    trial = response.get_json()
    assert (response.status_code, trial["succeeded"]) == (200, True)
    attempt = trial["attempt"]
    assert (attempt["number"], attempt["responseStatus"], attempt["responseBody"]) == (1, 200, "done")
    assert attempt["error"] is None
    assert "hush" not in response.get_data(as_text=True)
    ((headers, payload),) = target.calls
    assert headers["Authorization"] == "Bearer hush"
    assert headers["webhook-signature"].startswith("v1,")
    assert payload["data"]["jobName"] == "Try it"
    assert platform.database["jobs"].count_documents({}) == 0
    assert platform.database["executions"].count_documents({}) == 0


def test_the_success_rules_of_the_definition_judge(caller: Any, target: Target) -> None:
    target.status = 503
    trial = caller("POST", "/api/cron/test", {"webhookUrl": target.url}).get_json()
    assert (trial["succeeded"], trial["attempt"]["error"]["kind"]) == (False, "temporary_status")
    trial = caller("POST", "/api/cron/test", {"webhookUrl": target.url, "successStatuses": "503"}).get_json()
    assert trial["succeeded"] is True


def test_a_target_that_is_not_allowed_is_not_called(caller: Any) -> None:
    response = caller("POST", "/api/cron/test", {"webhookUrl": "http://10.0.0.1/"})
    assert response.status_code == 422
    assert "webhookUrl" in response.get_json()["errors"]["json"]


def test_a_target_that_is_not_there_is_an_answer_too(caller: Any) -> None:
    trial = caller("POST", "/api/cron/test", {"webhookUrl": "http://127.0.0.1:1/"}).get_json()
    assert (trial["succeeded"], trial["attempt"]["error"]["kind"]) == (False, "connect")


def test_only_a_few_calls_run_at_a_time(new_caller: Callable[..., Any], target: Target) -> None:
    target.hold.clear()
    statuses: list[int] = []

    def call() -> None:
        response = new_caller()("POST", "/api/cron/test", {"webhookUrl": target.url})
        statuses.append(response.status_code)
        target.hold.set()

    threads = [threading.Thread(target=call) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200, 200, 200, 200, 429]
