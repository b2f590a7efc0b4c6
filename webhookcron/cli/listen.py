"""`webhookcron listen`."""

from __future__ import annotations

import signal
import threading

import click

from webhookcron.cli.errors import InUse, WrongSetting
from webhookcron.listen import Listener


@click.command(short_help="Print the calls received: a receiver to try webhooks with.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=9000, show_default=True, help="0 = any free one."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--status", type=click.IntRange(200, 599), default=200, show_default=True, help="What to answer."
)
@click.option(
    "--delay-ms",
    type=click.IntRange(0, 600_000),
    default=0,
    show_default=True,
    help="Wait before the answer.",
)
@click.option(
    "--secret",
    "secrets",
    metavar="WHSEC",
    multiple=True,
    help="A job's signing secret: verify signatures, answer 401 where none fits; may be repeated.",
)
def listen(port: int, host: str, status: int, delay_ms: int, secrets: tuple[str, ...]) -> None:
    """Print every call received, one line each: time, method, path, webhook-id and body.

    A receiver to try webhooks with; `--status 500` and `--delay-ms` show retries and timeouts, `--secret` verifies
    signatures as a receiver should (Standard Webhooks 1.0, five minutes between the clocks).
    """
    try:
        listener = Listener(host, port, status=status, delay_ms=delay_ms, write=click.echo, secrets=secrets)
    except ValueError as error:
        raise WrongSetting(f"--secret: {error}") from None
    except OSError as error:
        raise InUse(
            f"cannot listen on {host} port {port}: {error.strerror}; choose another with --port"
        ) from None
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with listener:
        serving = threading.Thread(target=listener.serve_forever, daemon=True)
        serving.start()
        click.echo(f"listening on {listener.url} (Ctrl-C stops)")
        stop.wait()
        listener.shutdown()
        serving.join()
