"""A host that cannot be connected to: no attempts are spent on it, and what waits is delivered when it is back."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(180)]

TRIGGERS = 12


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@contextmanager
def answering(port: int) -> Iterator[None]:
    """A server on `port` that answers 200."""
    with HTTPServer(("127.0.0.1", port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def test_what_waits_for_an_unreachable_host_is_put_off_and_delivered_when_it_answers_again(
    platform: Any, eventually: Callable[..., Any]
) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
    job = platform.create_job(
        name="unreachable", cronExpression="0 0 29 2 *", webhookUrl=f"http://127.0.0.1:{port}/", maxRetries=0
    )

    def states() -> list[tuple[str, str | None]]:
        return [(e["status"], e["reason"]) for e in platform.executions_of(job["id"])]

    def put_off() -> list[tuple[str, str | None]]:
        return [state for state in states() if state == ("queued", "circuitOpen")]

    for _ in range(TRIGGERS):
        assert platform.request("POST", f"/api/cron/{job['id']}/trigger").status_code == 202
        eventually(lambda: ("running", None) not in states(), within=10, what="the call is over")

    waiting = eventually(put_off, within=10, what="executions are put off")
    failed = [state for state in states() if state[0] == "failed"]
    assert len(failed) + len(waiting) == TRIGGERS, "nothing else became of them"
    assert len(failed) < TRIGGERS
    assert platform.request("GET", f"/api/cron/{job['id']}").json()["circuitOpenUntil"] is not None

    with answering(port):
        eventually(lambda: len([s for s in states() if s[0] == "success"]) == len(waiting), within=90,
                   what="what was put off is delivered")  # fmt: skip
    assert platform.request("GET", f"/api/cron/{job['id']}").json()["circuitOpenUntil"] is None
