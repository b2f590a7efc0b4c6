"""What the views work with, found by way of the running app."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from flask import current_app

from webhookcron.api.auth import Authenticator
from webhookcron.service.executions import ExecutionService
from webhookcron.service.health import HealthService
from webhookcron.service.jobs import JobService
from webhookcron.service.platform import Platform
from webhookcron.service.previews import PreviewService
from webhookcron.service.trials import TrialService


@dataclass(frozen=True, slots=True)
class Services:
    """The services of one app."""

    jobs: JobService
    executions: ExecutionService
    previews: PreviewService
    trials: TrialService
    health: HealthService
    authenticator: Authenticator

    @classmethod
    def of(cls, platform: Platform) -> Services:
        """The services on top of `platform`."""
        return cls(
            jobs=JobService(platform),
            executions=ExecutionService(platform),
            previews=PreviewService(platform),
            trials=TrialService(platform),
            health=HealthService(platform),
            authenticator=Authenticator(platform.api_keys, platform.clock),
        )


def services() -> Services:
    """The services of the app that handles the present request."""
    return cast(Services, current_app.extensions["webhookcron"])
