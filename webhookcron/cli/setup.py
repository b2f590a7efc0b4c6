"""Commands that prepare an installation before its first start; each may be run again and again."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from webhookcron.cli.environment import settings_from_environment
from webhookcron.cli.errors import CommandFailed, WrongSetting
from webhookcron.core.errors import StoreUnavailable
from webhookcron.secret_files import read_secret_file, write_secret_file

SECRET_KEY_BYTES = 32
"""As long as the keys that are derived from it."""

output_option = click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="Keep it in this file, mode 0600."
)


@click.command(short_help="Create missing indexes in MongoDB.")
def indexes() -> None:
    """Create the indexes that are missing in MongoDB (the API does so at its start, too)."""
    settings = settings_from_environment("setup")
    from webhookcron.wiring.database import ensure_indexes

    with store_needed():
        made = ensure_indexes(settings)
    click.echo(f"made: {', '.join(made)}" if made else "nothing was missing", err=True)


@click.command("secret-key", short_help="Make a random secret key.")
@output_option
def secret_key(output: Path | None) -> None:
    """Make a random WEBHOOKCRON_SECRET_KEY; a file that exists already is left as it is."""
    key = secrets.token_urlsafe(SECRET_KEY_BYTES)
    if output is None:
        click.echo(key)
    else:
        kept_secret(output, key)


@click.command("admin-key", short_help="Make an API key of the admin user.")
@output_option
def admin_key(output: Path | None) -> None:
    """Make an API key of the admin user, who is created when missing; creates missing indexes first.

    With --output a key that the file holds already is made valid again instead of a new one. Without it the
    key is shown this once: the database keeps only its hash.
    """
    settings = settings_from_environment("setup")
    from webhookcron.storage.api_keys import generate_key
    from webhookcron.wiring.database import ensure_admin_key, ensure_indexes

    # The file comes first: a process that dies in between leaves a key that the next call makes valid.
    key = generate_key() if output is None else kept_secret(output, generate_key())
    with store_needed():
        ensure_indexes(settings)
        ensure_admin_key(settings, key)
    if output is None:
        click.echo(key)


@contextmanager
def store_needed() -> Iterator[None]:
    """MongoDB away becomes one line that says what to look at."""
    try:
        yield
    except StoreUnavailable as error:
        raise CommandFailed(f"{error}; is MONGODB_URI right, and the server running?") from None


def kept_secret(path: Path, fresh: str) -> str:
    """The secret in `path`; `fresh`, written there, when there is none yet."""
    try:
        present = read_secret_file(path)
        if present is None:
            write_secret_file(path, fresh)
    except OSError as error:
        raise WrongSetting(f"cannot keep a secret in {path}: {error.strerror}") from None
    click.echo(f"{path}: {'written' if present is None else 'kept as it is'}", err=True)
    return present or fresh
