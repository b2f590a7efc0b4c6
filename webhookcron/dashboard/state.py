"""What the dashboard of one app works with besides the services."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from flask import current_app

from webhookcron.dashboard.sessions import SessionSeal
from webhookcron.service.activity import ActivityService
from webhookcron.service.platform import Platform, stored_now
from webhookcron.service.recent_runs import RecentRuns

MAX_STREAMS = 4
"""Live streams of one server process: each occupies one of the threads that answer requests."""

_KEY = "webhookcron.dashboard"


@dataclass(frozen=True, slots=True)
class DashboardState:
    """Made once per app."""

    platform: Platform
    seal: SessionSeal
    recent_runs: RecentRuns
    activity: ActivityService
    stream_slots: threading.BoundedSemaphore

    @classmethod
    def of(cls, platform: Platform) -> DashboardState:
        """The state of a dashboard on `platform`."""
        return cls(
            platform=platform,
            seal=SessionSeal(platform.settings.secret_keys),
            recent_runs=RecentRuns(platform),
            activity=ActivityService(platform),
            stream_slots=threading.BoundedSemaphore(MAX_STREAMS),
        )

    def keep_in(self, extensions: dict[str, object]) -> None:
        """Make `dashboard()` find it."""
        extensions[_KEY] = self

    def now(self) -> datetime:
        """Platform time. Raises TickSourceUnavailable when it was never known."""
        return stored_now(self.platform.clock)


def dashboard() -> DashboardState:
    """The state of the app that handles the present request."""
    return cast(DashboardState, current_app.extensions[_KEY])
