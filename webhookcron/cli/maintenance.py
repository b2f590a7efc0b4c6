"""Commands that keep an installation well: migrate, backup, restore, reencrypt, prune."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from webhookcron.cli.environment import settings_from_environment
from webhookcron.cli.errors import CommandFailed, WrongSetting
from webhookcron.config import Role, Settings

if TYPE_CHECKING:
    from pymongo.database import Database

data_dir_option = click.option(
    "--data-dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The data directory of a running `webhookcron up`, instead of the settings.",
)


@click.command(short_help="Take the database to this release's schema.")
@data_dir_option
def migrate(data_dir: Path | None) -> None:
    """Take the database to the schema of this release; processes do so at their start, too."""
    from webhookcron.storage.indexes import ensure_indexes
    from webhookcron.storage.schema_version import CURRENT
    from webhookcron.storage.schema_version import migrate as take_steps

    with _database("setup", data_dir) as (database, _):
        steps = take_steps(database, now=datetime.now(UTC))
        ensure_indexes(database)
    click.echo(f"version {CURRENT}: {', '.join(steps) or 'nothing was to be done'}", err=True)


@click.command(short_help="Write users, keys, jobs and alerts to a file.")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), help="The backup to write.")
@data_dir_option
def backup(file: Path, data_dir: Path | None) -> None:
    """Write users, API keys, jobs and alerts to FILE; compressed when its name ends in .gz.

    Secrets in it are encrypted with WEBHOOKCRON_SECRET_KEY: keep a copy of that key, and not beside the backup.
    The log of executions is not in it: use mongodump for that.
    """
    from webhookcron.maintenance.backup import back_up

    with _database("setup", data_dir) as (database, _):
        try:
            counts = back_up(database, file, now=datetime.now(UTC), progress=_progress)
        except OSError as error:
            raise CommandFailed(f"cannot write {file}: {error.strerror}") from None
    click.echo(f"{file}: {_listed(counts)}", err=True)


@click.command(short_help="Write a backup's users, keys, jobs and alerts into the database.")
@click.argument(
    "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="The backup to read."
)
@click.option("--overwrite", is_flag=True, help="Replace what is there already; else it stays as it is.")
@click.option(
    "--from-now", is_flag=True, help="Pass over the fire times since the backup; else they are missed ones."
)
@data_dir_option
def restore(file: Path, overwrite: bool, from_now: bool, data_dir: Path | None) -> None:
    """Write the users, API keys, jobs and alerts of the backup FILE into the database.

    The platform may be running: restored jobs fire within seconds. Fire times since the backup are missed ones, for
    which each job's misfirePolicy decides, unless --from-now passes over them.
    """
    from webhookcron.maintenance.backup import BackupUnreadable
    from webhookcron.maintenance.backup import restore as write_back
    from webhookcron.storage.indexes import ensure_indexes
    from webhookcron.storage.schema_version import migrate as take_steps

    with _database("setup", data_dir) as (database, _):
        now = datetime.now(UTC)
        try:
            take_steps(database, now=now)
            ensure_indexes(database)
            done = write_back(
                database, file, now=now, overwrite=overwrite, from_now=from_now, progress=_progress
            )
        except BackupUnreadable as error:
            raise CommandFailed(f"{file}: {error}") from None
        except OSError as error:
            raise CommandFailed(f"cannot read {file}: {error.strerror}") from None
    click.echo(f"written: {_listed(done.written)}", err=True)
    if done.kept.total():
        click.echo(f"there already, and kept: {_listed(done.kept)}", err=True)
    if done.refused:
        raise CommandFailed(
            f"{len(done.refused)} documents were not written, since another one has their key or e-mail address: "
            f"{', '.join(done.refused[:5])}; change or remove that one, and restore again"
        )


@click.command(short_help="Encrypt all secrets with the first secret key.")
@data_dir_option
def reencrypt(data_dir: Path | None) -> None:
    """Encrypt all stored secrets with the first of WEBHOOKCRON_SECRET_KEY, so that older keys can be given up.

    \b
    1. Put a new key first, the old one behind it, and restart every process.
    2. Run this command. The platform may go on working.
    3. Leave the new key only, and restart every process.
    """
    from webhookcron.maintenance.reencryption import reencrypt as seal_anew

    with _database("api", data_dir) as (database, settings):
        done = seal_anew(database, settings.secret_keys, progress=_progress)
    click.echo(f"{done.documents} documents looked at, {done.rewritten} encrypted anew", err=True)
    if done.unreadable:
        raise CommandFailed(
            f"{len(done.unreadable)} documents hold secrets that no present key opens: "
            f"{', '.join(done.unreadable[:5])}; add the key that was in use to the end of WEBHOOKCRON_SECRET_KEY"
        )


@click.command(short_help="Remove old executions now.")
@click.option(
    "--older-than",
    type=click.IntRange(1, 3650),
    metavar="DAYS",
    help="Remove what ended more than DAYS ago, of whatever job.  [default: each job's retention]",
)
@click.option("--job", "job_id", metavar="ID", help="Of this job only.")
@click.option("--dry-run", is_flag=True, help="Only count.")
@data_dir_option
def prune(older_than: int | None, job_id: str | None, dry_run: bool, data_dir: Path | None) -> None:
    """Remove finished executions that ended long ago; failed ones WEBHOOKCRON_FAILURE_RETENTION_FACTOR times later.

    MongoDB removes executions by itself, by the retention that held when they ended. This is for the rest, after
    retention was shortened. The audit trail is left alone.
    """
    from webhookcron.maintenance.pruning import prune as remove

    def tell(looked_at: int, removed: int) -> None:
        if looked_at % 50_000 < 1_000:
            click.echo(f"  {looked_at} looked at, {removed} removed", err=True)

    with _database("setup", data_dir) as (database, settings):
        done = remove(
            database,
            now=datetime.now(UTC),
            older_than=timedelta(days=older_than or settings.retention_days),
            failures_kept=settings.failure_retention_factor,
            of_jobs=older_than is None,
            job_id=job_id,
            dry_run=dry_run,
            progress=tell,
        )
    verb = "would be removed" if dry_run else "removed"
    click.echo(f"{done.looked_at} executions looked at, {done.removed} {verb}", err=True)


@contextmanager
def _database(role: Role, data_dir: Path | None) -> Iterator[tuple[Database[dict[str, Any]], Settings]]:
    """The database of the settings; what goes wrong with it ends the command with one line."""
    from webhookcron.core.errors import StoreUnavailable
    from webhookcron.storage import client as mongo
    from webhookcron.storage.schema_version import NewerSchema, check_version

    if data_dir is not None:
        os.environ.update(environment_of(data_dir))
    settings = settings_from_environment(role)
    try:
        with mongo.connect(settings.mongodb_uri) as client:
            database = mongo.database_of(client)
            check_version(database)
            yield database, settings
    except StoreUnavailable as error:
        raise CommandFailed(f"{error}; is MONGODB_URI right, and the server running?") from None
    except NewerSchema as error:
        raise CommandFailed(str(error)) from None


def environment_of(data_dir: Path) -> dict[str, str]:
    """The settings by which the stores of a running `webhookcron up` are reached.

    Ends the command when none is running there.
    """
    from urllib.parse import quote

    from webhookcron.embedded.stores import DATABASE

    run = data_dir.absolute() / "run"
    store, redis = run / "store.sock", run / "redis.sock"
    if not store.exists():
        raise WrongSetting(f"no embedded store is running in {data_dir}: start `webhookcron up` there first")
    environment = {
        "MONGODB_URI": f"mongodb://{quote(str(store), safe='')}/{DATABASE}",
        "REDIS_URL": f"unix://{quote(str(redis))}?db=0",
    }
    secret = data_dir.absolute() / "secret.key"
    if secret.exists() and not os.environ.get("WEBHOOKCRON_SECRET_KEY"):
        environment["WEBHOOKCRON_SECRET_KEY_FILE"] = str(secret)
    return environment


def _progress(collection: str, count: int) -> None:
    click.echo(f"  {collection}: {count}", err=True)


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or "nothing"
