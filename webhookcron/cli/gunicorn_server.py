"""Gunicorn as a library: the API behind threaded server processes, logging like everything else."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

import structlog
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger

from webhookcron.cli.errors import CommandFailed
from webhookcron.cli.gathering_worker import GatheringWorker
from webhookcron.config import Settings
from webhookcron.core.errors import WebhookcronError
from webhookcron.metrics.sharing import shared_between_processes

if TYPE_CHECKING:
    from flask import Flask

log = structlog.get_logger(__name__)

GRACEFUL_SECONDS = 10
"""How long requests in progress may go on after SIGTERM; none of the API's answers takes longer."""

KEEP_ALIVE_SECONDS = 5
"""How long an idle connection stays open: enough for a client's next call."""


class RootLogger(Logger):  # type: ignore[misc]  # gunicorn has no types
    """Gunicorn's logger, leaving handlers and levels to `webhookcron.logs`."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        self.error_log.handlers.clear()
        # Its own name for this log, "gunicorn.error", reads like trouble at every start.
        self.error_log: logging.Logger = logging.getLogger("gunicorn")


class ApiServer(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """The gunicorn application that makes the Flask app inside each server process, after the fork."""

    def __init__(self, settings: Settings, options: dict[str, Any]) -> None:
        self._settings = settings
        self._options = options
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        from webhookcron.app import create_app

        try:
            return create_app(self._settings)
        except WebhookcronError as error:
            # One line instead of a traceback, and the code by which gunicorn knows that another try would not help.
            log.error("api.not_started", reason=str(error))
            raise SystemExit(Arbiter.WORKER_BOOT_ERROR) from None


def serve(settings: Settings, *, bind: str, workers: int, threads: int) -> None:
    """Serve the API on `bind` (`host:port` or `fd://N`) until SIGTERM or SIGINT; does not return.

    Raises NotShareable, and CommandFailed when no server process could make the app; its log line says why.
    """
    options = server_options(bind, workers=workers, threads=threads) | {"child_exit": _forget_metrics}
    maker = os.getpid()
    with shared_between_processes():
        try:
            ApiServer(settings, options).run()
        except SystemExit as end:
            # Server processes, which are forked within, end here with the same code, and must keep it.
            if os.getpid() == maker and end.code == Arbiter.WORKER_BOOT_ERROR:
                raise CommandFailed("the API could not start; the line `api.not_started` says why") from None
            raise


def server_options(bind: str, *, workers: int, threads: int) -> dict[str, Any]:
    """What gunicorn is told."""
    return {
        "bind": bind,
        "workers": workers,
        "threads": threads,
        "worker_class": GatheringWorker,
        # It waits without limit for a client that does not read.
        "sendfile": False,
        "graceful_timeout": GRACEFUL_SECONDS,
        "keepalive": KEEP_ALIVE_SECONDS,
        "logger_class": RootLogger,
        "proc_name": "webhookcron-api",
        # A socket in the home directory that nothing here talks to.
        "control_socket_disable": True,
        # Whose word about scheme and path counts is for WEBHOOKCRON_TRUSTED_PROXIES to say, not for gunicorn, which
        # would believe whatever comes from loopback.
        "forwarded_allow_ips": "",
        "forwarder_headers": "",
        "secure_scheme_headers": {},
    }


def _forget_metrics(_arbiter: Any, worker: Any) -> None:
    """A server process ended: what it counted stays, what it was is gone."""
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]
