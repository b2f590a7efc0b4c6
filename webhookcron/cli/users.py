"""`webhookcron users …` and `webhookcron admin-login`: accounts from the command line, without the API."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click

from webhookcron.cli.environment import settings_from_environment
from webhookcron.cli.errors import CommandFailed, WrongSetting
from webhookcron.cli.setup import kept_secret, output_option, store_needed
from webhookcron.core.errors import EmailTaken
from webhookcron.service.errors import Invalid
from webhookcron.storage.users import UserStore

ADMIN_EMAIL = "admin@localhost"

_ROLES = ("admin", "member", "viewer")
_password_option = click.option(
    "--password-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Read the password from this file's first line; without it one is made and shown this once.",
)


@click.group(short_help="Create, list and repair accounts.")
def users() -> None:
    """Create, list and repair accounts, also when nobody can log in any more."""


@users.command("list", short_help="List all accounts.")
def list_users() -> None:
    """List all accounts: address, role, name, and when they last logged in."""
    with _users() as store:
        found, _ = store.list(skip=0, limit=0)
    for user in found:
        last = f"{user.last_login_at:%Y-%m-%d %H:%M}" if user.last_login_at else "never"
        state = "" if user.is_active else "  not active"
        click.echo(
            f"{user.email or '(no login)':40}  {user.role:6}  last login {last:16}  {user.name}{state}"
        )


@users.command(short_help="Create an account.")
@click.argument("email")
@click.option(
    "--role", type=click.Choice(_ROLES), default="member", show_default=True, help="What it may do."
)
@click.option("--name", default="", help="Whose it is.")
@_password_option
def create(email: str, role: str, name: str, password_file: Path | None) -> None:
    """Create an account with the address EMAIL.

    admin: everything; member: jobs and logs of their own; viewer: sees everyone's, changes nothing.
    """
    from webhookcron.service.accounts import checked_email

    with _users() as store, _told():
        address = checked_email(email)
        hashed, shown = _new_password(password_file, address)
        store.create(address, hashed, name, role, now=datetime.now(UTC))
    click.echo(f"{address}: created ({role})", err=True)
    _show(shown)


@users.command("reset-password", short_help="Give an account a new password.")
@click.argument("email")
@_password_option
def reset_password(email: str, password_file: Path | None) -> None:
    """Give the account with the address EMAIL a new password, and end all its logins."""
    from webhookcron.service.accounts import normalized_email

    with _users() as store, _told():
        address = normalized_email(email)
        found = store.credentials(address)
        if found is None:
            raise CommandFailed(f"there is no account with the address {address}")
        hashed, shown = _new_password(password_file, address)
        store.reset_password(found[0].id, hashed)
    click.echo(f"{address}: new password, logins ended", err=True)
    _show(shown)


@click.command("admin-login", short_help="Make the first login of the admin user.")
@output_option
def admin_login(output: Path | None) -> None:
    """Make the login of the admin user, admin@localhost with a random password, unless there is one.

    With --output the password is kept in that file. Without it, it is shown this once: the database keeps only
    its hash.
    """
    from webhookcron.service.passwords import Passwords, generate_password

    with _users() as store:
        if store.first_login():
            if output is None:
                click.echo(
                    "the admin user has a login; `webhookcron users reset-password` changes it", err=True
                )
            return
        # The file comes first: a process that dies in between leaves a password that the next call sets.
        password = generate_password() if output is None else kept_secret(output, generate_password())
        with _told():
            store.claim_first(ADMIN_EMAIL, Passwords().hash(password), "admin", now=datetime.now(UTC))
    if output is None:
        click.echo(password)


@contextmanager
def _users() -> Iterator[UserStore]:
    """The accounts in the database that the environment names, indexes made."""
    settings = settings_from_environment("setup")
    from webhookcron.storage import client as mongo
    from webhookcron.storage.indexes import ensure_indexes

    client = mongo.connect(settings.mongodb_uri)
    try:
        with store_needed():
            database = mongo.database_of(client)
            ensure_indexes(database)
            yield UserStore(database)
    finally:
        client.close()


@contextmanager
def _told() -> Iterator[None]:
    """What is refused becomes one line."""
    try:
        yield
    except Invalid as error:
        field, sentences = next(iter(error.errors.items()))
        raise WrongSetting(f"the {field} {sentences[0]}") from None
    except EmailTaken as error:
        raise CommandFailed(str(error)) from None


def _new_password(file: Path | None, email: str) -> tuple[str, str | None]:
    """(hash, the password to show; None when it came from a file)."""
    from webhookcron.service.accounts import check_password
    from webhookcron.service.passwords import Passwords, generate_password

    if file is None:
        made = generate_password()
        return Passwords().hash(made), made
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise WrongSetting(f"cannot read the password from {file}: {error}") from None
    given = lines[0] if lines else ""
    check_password(given, email)
    return Passwords().hash(given), None


def _show(password: str | None) -> None:
    if password is not None:
        click.echo(password)
