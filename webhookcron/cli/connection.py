"""What every command that talks to the API has in common: its options, its connection, its errors."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from webhookcron.cli.errors import CommandFailed, WrongSetting
from webhookcron.client.errors import ApiRefused, ApiUnreachable, ClientSettingsWrong, NoSuchJob
from webhookcron.client.settings import MAX_TIMEOUT_SECONDS, GivenOptions, load_client_settings
from webhookcron.manifests.errors import ManifestsWrong

_OPTIONS = (
    click.option("--api-url", metavar="URL", help="Where the API is; WEBHOOKCRON_API_URL."),
    click.option(
        "--api-key", metavar="KEY", help="The key to use; better by WEBHOOKCRON_API_KEY or a profile."
    ),
    click.option(
        "--profile",
        metavar="NAME",
        help="A profile of ~/.config/webhookcron/config.toml; WEBHOOKCRON_PROFILE.",
    ),
    click.option(
        "--timeout",
        "timeout_seconds",
        metavar="SECONDS",
        type=click.FloatRange(0, MAX_TIMEOUT_SECONDS, min_open=True),
        help="How long the API may be silent.",
    ),
)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def api_command(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make `function(api, …)` a command's callback: adds the options that say which API, tells errors in one line."""

    @functools.wraps(function)
    def command(
        *,
        api_url: str | None,
        api_key: str | None,
        profile: str | None,
        timeout_seconds: float | None,
        **arguments: Any,
    ) -> Any:
        # Imported here: commands without the API start faster.
        from webhookcron.client.api import ApiClient

        options = GivenOptions(
            api_url=api_url, api_key=api_key, profile=profile, timeout_seconds=timeout_seconds
        )
        with told_errors():
            settings = load_client_settings(
                options, os.environ, home=Path("~").expanduser(), directory=Path.cwd()
            )
            for warning in settings.warnings:
                click.echo(f"warning: {warning}", err=True)
            with ApiClient(settings) as api:
                return function(api, **arguments)

    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@contextmanager
def told_errors() -> Iterator[None]:
    """Turn what goes wrong inside into the one line, and the exit code, with which the command ends."""
    try:
        yield
    except ClientSettingsWrong as error:
        raise WrongSetting(str(error)) from None
    except ManifestsWrong as error:
        raise FilesWrong(error) from None
    except (ApiUnreachable, ApiRefused, NoSuchJob) as error:
        raise CommandFailed(str(error)) from None


class FilesWrong(WrongSetting):
    """Files of jobs are wrong: every problem is a line of its own, with file and line."""

    def __init__(self, error: ManifestsWrong) -> None:
        super().__init__(str(error))
        self.problems = error.problems

    def show(self, file: Any = None) -> None:
        for problem in self.problems:
            click.echo(f"error: {problem}", err=True, file=file)
