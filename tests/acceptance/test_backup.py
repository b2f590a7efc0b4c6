"""Backup, everything lost, restore: everything fires again, with the same secrets and the same keys."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from standardwebhooks import Webhook

pytestmark = pytest.mark.acceptance

KEY = {"WEBHOOKCRON_SECRET_KEY": "kept-apart-from-the-backup-0123456789"}


def webhookcron(*arguments: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-m", "webhookcron", *arguments],
        env={**os.environ, **KEY},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout + ended.stderr


def test_what_was_lost_with_a_machine_fires_again_on_another(
    start_platform: Callable[..., Any],
    start_receiver: Callable[[], Any],
    eventually: Callable[..., Any],
    tmp_path: Path,
) -> None:
    first, receiver, later = start_platform(environ=KEY), start_receiver(), start_receiver()
    created = [
        first.create_job(
            name=f"job {number}", cronExpression="* * * * * *", webhookUrl=later.url + f"/{number}"
        )
        for number in range(3)
    ]
    paused = first.create_job(
        name="paused", cronExpression="* * * * * *", webhookUrl=receiver.url, isActive=False
    )
    alert = {"name": "on call", "channel": "webhook", "url": receiver.url}
    assert first.request("POST", "/api/alerts", json=alert).status_code == 201
    eventually(lambda: later.calls, within=30, what="a call before the backup")
    file = tmp_path / "backup.jsonl.gz"
    told = webhookcron("backup", str(file), "--data-dir", str(first.data_directory))
    assert "4 jobs" in told
    old_key = first.admin_key
    assert first.stop(signal.SIGINT) == 0
    later.calls.clear()

    second = start_platform(environ=KEY)
    told = webhookcron("restore", str(file), "--data-dir", str(second.data_directory))
    assert "4 jobs" in told

    # Ends with 0: no fault.
    assert "stored secrets: the present keys open those of 5 jobs and alerts" in webhookcron(
        "doctor", "--data-dir", str(second.data_directory)
    )

    paths = {f"/hook/{number}" for number in range(3)}
    eventually(lambda: {c.path for c in later.calls} == paths, within=30, what="a call of every restored job")
    for call in later.calls:
        secret = created[int(call.path.rpartition("/")[2])]["signingSecret"]
        Webhook(secret).verify(call.body or b"", dict(call.headers))
    headers = {"Authorization": f"Bearer {old_key}"}
    jobs = requests.get(f"{second.url}/api/cron", headers=headers, timeout=60).json()
    assert {job["id"] for job in jobs["items"]} == {job["id"] for job in [*created, paused]}
    assert {job["name"]: job["status"] for job in jobs["items"]}["paused"] == "paused"
    assert requests.get(f"{second.url}/api/alerts", headers=headers, timeout=60).json()["total"] == 1
