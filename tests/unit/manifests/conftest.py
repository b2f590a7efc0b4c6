"""Files of jobs and jobs of the platform, without either."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from webhookcron.manifests.definitions import DesiredJob, Resource, desired_job
from webhookcron.manifests.files import JobEntry, read_entries
from webhookcron.manifests.yaml_writing import write_yaml

NOW = datetime(2030, 1, 2, 12, 0, tzinfo=UTC)
"""A Wednesday."""


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture
def entries(tmp_path: Path) -> Callable[[str], list[JobEntry]]:
    """The entries of a file with this text."""

    def read(text: str) -> list[JobEntry]:
        file = tmp_path / "jobs.yaml"
        file.write_text(text)
        return read_entries([str(file)])

    return read


@pytest.fixture
def desired(entries: Callable[[str], list[JobEntry]]) -> Callable[..., DesiredJob]:
    """The job that these fields in a file ask for."""

    def make(
        current: Resource | None = None, environ: dict[str, str] | None = None, **fields: Any
    ) -> DesiredJob:
        schedule = {} if fields.keys() & {"interval", "runAt"} else {"cronExpression": "0 9 * * 1"}
        job = {"key": "report", "name": "Report", "webhookUrl": "https://example.com/r", **schedule, **fields}
        [entry] = entries(write_yaml({"jobs": [job]}))
        return desired_job(entry, current, environ=environ or {}, default_timezone="UTC", now=NOW)

    return make


@pytest.fixture
def stored(desired: Callable[..., DesiredJob]) -> Callable[..., dict[str, Any]]:
    """A job on the platform, as it shows it: made of the fields of a file, and of its state."""

    def make(state: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
        shown = dict(desired(None, None, **fields).shown)
        shown["isActive"] = (state or {}).get("status") != "paused"
        return {
            "id": "6740d0c0a1b2c3d4e5f60718",
            "ownerId": "me",
            "key": "report",
            "status": "active",
            "statusReason": None,
            "nextRunAt": "2030-01-07T09:00:00.000Z",
            "lastRunAt": None,
            "lastStatus": None,
            "totalRuns": 0,
            "successfulRuns": 0,
            "failedRuns": 0,
            "consecutiveFailures": 0,
            "createdAt": "2030-01-01T00:00:00.000Z",
            "updatedAt": "2030-01-01T00:00:00.000Z",
            "version": 3,
            **shown,
            **(state or {}),
        }

    return make
