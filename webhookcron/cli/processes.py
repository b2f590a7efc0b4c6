"""The parts of the platform as single processes, for real MongoDB and Redis servers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import click

from webhookcron.cli.environment import settings_from_environment
from webhookcron.cli.errors import CommandFailed, WrongSetting
from webhookcron.cli.garbage import collect_rarely
from webhookcron.config import Settings


@click.command(short_help="Serve the REST API.")
@click.option("--host", help="Address to listen on, instead of WEBHOOKCRON_HOST.")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port, instead of WEBHOOKCRON_PORT; 0 = any free one."
)
@click.option("--workers", type=click.IntRange(1, 64), default=2, show_default=True, help="Server processes.")
@click.option(
    "--threads",
    type=click.IntRange(1, 256),
    default=16,
    show_default=True,
    help="Requests at once per process.",
)
@click.option("--fd", type=click.IntRange(3), hidden=True, help="Serve on this open listening socket.")
def api(host: str | None, port: int | None, workers: int, threads: int, fd: int | None) -> None:
    """Serve the REST API and its documentation until SIGTERM or Ctrl-C."""
    settings = settings_from_environment("api")
    settings = replace(
        settings,
        host=settings.host if host is None else host,
        port=settings.port if port is None else port,
    )
    from webhookcron.cli.gunicorn_server import serve
    from webhookcron.metrics.sharing import NotShareable

    try:
        serve(
            settings,
            bind=bind_address(settings) if fd is None else f"fd://{fd}",
            workers=workers,
            threads=threads,
        )
    except NotShareable as error:
        raise WrongSetting(str(error)) from None


@click.command(short_help="Create the executions of due jobs.")
def ticker() -> None:
    """Create the executions of due jobs and repair what was left half done, until SIGTERM or Ctrl-C.

    Any number may run; a fire time still makes exactly one execution.
    """
    settings = settings_from_environment("ticker")
    from webhookcron.wiring.ticker import run_ticker

    collect_rarely()
    with _newer_schema_told():
        run_ticker(settings)


@click.command(short_help="Deliver executions.")
def worker() -> None:
    """Deliver executions until SIGTERM or Ctrl-C; calls in flight get WEBHOOKCRON_DRAIN_SECONDS to end.

    Any number may run.
    """
    settings = settings_from_environment("worker")
    from webhookcron.wiring.worker import run_worker

    collect_rarely()
    with _newer_schema_told():
        run_worker(settings)


@contextmanager
def _newer_schema_told() -> Iterator[None]:
    """A database that a newer release wrote ends the command with one line."""
    from webhookcron.storage.schema_version import NewerSchema

    try:
        yield
    except NewerSchema as error:
        raise CommandFailed(str(error)) from None


def bind_address(settings: Settings) -> str:
    """Host and port in gunicorn's spelling, IPv6 addresses in brackets."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{host}:{settings.port}"
