"""From the process environment to settings and logging, for every command that plays a role."""

from __future__ import annotations

import os

import structlog

from webhookcron.cli.errors import WrongSetting
from webhookcron.config import Role, Settings, SettingsError, load_settings, unknown_variables
from webhookcron.logs import configure_logging


def settings_from_environment(role: Role) -> Settings:
    """The settings of this process, with logging configured as they ask.

    A wrong setting ends the command with one line and exit code 2; unknown variables are warned of.
    """
    try:
        settings = load_settings(os.environ, role=role)
    except SettingsError as error:
        raise WrongSetting(str(error)) from None
    configure_logging(settings.log_level, settings.log_format)
    log = structlog.get_logger("webhookcron.cli")
    for line in unknown_variables(os.environ).values():
        log.warning("settings.unknown", message=line)
    return settings
