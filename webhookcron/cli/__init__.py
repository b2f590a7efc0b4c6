"""The command line: `webhookcron up | api | ticker | worker | …`.

Exit codes: 0 done or stopped as asked · 1 failed while running · 2 wrong usage or setting · 3 already in use
(the port, or the data directory). Every error is one line on standard error that says what to do next.
"""

from __future__ import annotations

import click

from webhookcron import __version__
from webhookcron.cli.client_commands import CLIENT_COMMANDS
from webhookcron.cli.doctor import doctor
from webhookcron.cli.listen import listen
from webhookcron.cli.maintenance import backup, migrate, prune, reencrypt, restore
from webhookcron.cli.processes import api, ticker, worker
from webhookcron.cli.setup import admin_key, indexes, secret_key
from webhookcron.cli.up import up
from webhookcron.cli.users import admin_login, users


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="webhookcron")
def main() -> None:
    """Call webhooks on schedule.

    `webhookcron up` starts everything on one machine and needs nothing else. With MongoDB and Redis of your
    own set MONGODB_URI, REDIS_URL and WEBHOOKCRON_SECRET_KEY, and run `api`, `ticker` and `worker`, each as
    often as you like.

    \b
    Exit codes: 0 done or stopped as asked, 1 failed while running, 2 wrong usage or setting,
    3 already in use (the port, or the data directory).
    """


for command in (
    up,
    api,
    ticker,
    worker,
    indexes,
    secret_key,
    admin_key,
    admin_login,
    users,
    migrate,
    backup,
    restore,
    reencrypt,
    prune,
    doctor,
    listen,
    *CLIENT_COMMANDS,
):
    main.add_command(command)
