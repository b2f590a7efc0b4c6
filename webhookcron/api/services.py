"""What the views work with, found by way of the running app."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from flask import current_app

from webhookcron.api.auth import Authenticator
from webhookcron.service.accounts import AccountService
from webhookcron.service.api_keys import ApiKeyService
from webhookcron.service.audit import AuditTrail
from webhookcron.service.bulk import BulkService
from webhookcron.service.events import EventService
from webhookcron.service.executions import ExecutionService
from webhookcron.service.exports import ExportService
from webhookcron.service.health import HealthService
from webhookcron.service.jobs import JobService
from webhookcron.service.platform import Platform
from webhookcron.service.previews import PreviewService
from webhookcron.service.statistics import StatisticsService
from webhookcron.service.trials import TrialService
from webhookcron.service.users import UserService


@dataclass(frozen=True, slots=True)
class Services:
    """The services of one app."""

    jobs: JobService
    executions: ExecutionService
    exports: ExportService
    events: EventService
    bulk: BulkService
    statistics: StatisticsService
    previews: PreviewService
    trials: TrialService
    health: HealthService
    audit: AuditTrail
    accounts: AccountService
    users: UserService
    api_keys: ApiKeyService
    authenticator: Authenticator

    @classmethod
    def of(cls, platform: Platform) -> Services:
        """The services on top of `platform`."""
        audit = AuditTrail(platform)
        accounts = AccountService(platform, audit)
        jobs, executions = JobService(platform, audit), ExecutionService(platform, audit)
        return cls(
            jobs=jobs,
            executions=executions,
            exports=ExportService(executions),
            events=EventService(executions),
            bulk=BulkService(platform, audit, jobs, executions),
            statistics=StatisticsService(platform),
            previews=PreviewService(platform),
            trials=TrialService(platform),
            health=HealthService(platform),
            audit=audit,
            accounts=accounts,
            users=UserService(platform, audit, accounts.passwords),
            api_keys=ApiKeyService(platform, audit),
            authenticator=Authenticator(platform.api_keys, platform.clock, accounts),
        )


def services() -> Services:
    """The services of the app that handles the present request."""
    return cast(Services, current_app.extensions["webhookcron"])
