"""`webhookcron up`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from webhookcron.cli.errors import CommandFailed, InUse, WrongSetting
from webhookcron.config import SettingsError, unknown_variables
from webhookcron.core.errors import WebhookcronError


@click.command(short_help="Start everything on this machine.")
@click.option("--host", help="Address to listen on.  [default: WEBHOOKCRON_HOST, else 127.0.0.1]")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="Port to listen on; 0 = any free one.  [default: WEBHOOKCRON_PORT, else 8000]",
)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    default=Path(".webhookcron"),
    show_default=True,
    help="Where everything is kept; made when missing.",
)
@click.option("--workers", type=click.IntRange(1, 32), default=1, show_default=True, help="Worker processes.")
@click.option("--tickers", type=click.IntRange(1, 32), default=1, show_default=True, help="Ticker processes.")
@click.option(
    "--ready-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Keep a JSON file with url, pid and children (process ids by role) while everything is ready.",
)
def up(
    host: str | None, port: int | None, data_dir: Path, workers: int, tickers: int, ready_file: Path | None
) -> None:
    """Start everything on this machine: stores, API, ticker and worker; Ctrl-C stops it all.

    Where MONGODB_URI or REDIS_URL is not set, an embedded store takes its place, kept in the data directory. The
    first start makes an admin API key, keeps it in admin.key there, and prints it. A second Ctrl-C does not wait
    for what is under way.
    """
    from webhookcron.embedded.data_directory import DirectoryInUse, DirectoryUnusable
    from webhookcron.embedded.listening import AddressUnusable, PortInUse
    from webhookcron.embedded.stores import StoreMissing
    from webhookcron.embedded.up import UpOptions, run_up

    for line in unknown_variables(os.environ).values():
        click.echo(f"warning: {line}", err=True)
    options = UpOptions(
        host=host, port=port, data_directory=data_dir, workers=workers, tickers=tickers, ready_file=ready_file
    )
    try:
        run_up(options, os.environ, sys.stdout)
    except (SettingsError, DirectoryUnusable, AddressUnusable, StoreMissing) as error:
        raise WrongSetting(str(error)) from None
    except (DirectoryInUse, PortInUse) as error:
        raise InUse(str(error)) from None
    except WebhookcronError as error:
        raise CommandFailed(str(error)) from None
