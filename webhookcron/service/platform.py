"""What the services need of the running platform."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from pymongo.database import Database
from redis import Redis

from webhookcron.config import Settings
from webhookcron.core.executions import from_ms, to_ms
from webhookcron.core.jobs import Job, TickJob
from webhookcron.core.targets import TargetPolicy
from webhookcron.delivery.transport import Transport
from webhookcron.storage.alerts import AlertStore
from webhookcron.storage.api_keys import ApiKeyStore
from webhookcron.storage.client import Document
from webhookcron.storage.executions import ExecutionStore
from webhookcron.storage.jobs import JobStore
from webhookcron.ticks.circuits import CircuitBoard
from webhookcron.ticks.clock import PlatformClock
from webhookcron.ticks.instances import Instances
from webhookcron.ticks.source import TickSource


class Settler(Protocol):
    """Accounts for fire times before a schedule changes; the ticker's own function."""

    def settle(self, job: TickJob, now: datetime) -> datetime:
        """Create the executions of all fire times in (handledThrough, now]; returns the cursor to store."""


class Platform(Protocol):
    """The stores, the tick source and the rules, connected."""

    @property
    def settings(self) -> Settings: ...
    @property
    def database(self) -> Database[Document]: ...
    @property
    def redis(self) -> Redis: ...
    @property
    def jobs(self) -> JobStore: ...
    @property
    def executions(self) -> ExecutionStore: ...
    @property
    def api_keys(self) -> ApiKeyStore: ...
    @property
    def alerts(self) -> AlertStore: ...
    @property
    def source(self) -> TickSource: ...
    @property
    def circuits(self) -> CircuitBoard: ...
    @property
    def instances(self) -> Instances: ...
    @property
    def clock(self) -> PlatformClock: ...
    @property
    def scheduler(self) -> Settler: ...
    @property
    def enqueue(self) -> Callable[[Sequence[str]], None]: ...
    @property
    def target_policy(self) -> TargetPolicy: ...
    def queue_depth(self) -> int:
        """Messages that wait at the broker. Raises BrokerUnavailable."""

    def transport(self) -> Transport:
        """A new transport with its thread, closed by the caller."""


def stored_now(clock: PlatformClock) -> datetime:
    """Platform time cut to the milliseconds that MongoDB keeps.

    Raises TickSourceUnavailable when platform time was never known.
    """
    return from_ms(to_ms(clock.now()))


def retention_of(job: Job, platform: Platform) -> timedelta:
    """How long finished executions of `job` are kept."""
    days = job.policies.retention_days
    return timedelta(days=platform.settings.retention_days if days is None else days)
