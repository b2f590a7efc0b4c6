"""Settings: read once from the environment, checked, frozen.

`VARIABLES` is the one list of what exists; the README's table and `.env.example` are tested against it.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from webhookcron import config_values as values
from webhookcron.config_values import Network
from webhookcron.core.errors import WebhookcronError

Role = Literal["api", "ticker", "worker", "setup"]

PREFIX = "WEBHOOKCRON_"

CLIENT_VARIABLES = frozenset(PREFIX + name for name in ("API_URL", "API_KEY", "API_KEY_FILE", "PROFILE"))
"""Read by the command line as a client of the API (`webhookcron.client.settings`), never by the platform."""

_RUNNING: frozenset[Role] = frozenset({"api", "ticker", "worker"})
_EVERY_ROLE: frozenset[Role] = _RUNNING | {"setup"}
"""`setup` prepares the database and needs nothing else."""

MAX_SECRET_FILE_BYTES = 64 * 1024
"""A secret file is some lines at most; more means that the variable names the wrong file."""


class SettingsError(WebhookcronError):
    """A setting is missing or wrong; the message is one line naming the variable and what would be right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the environment asks for. Fields that may hold secrets are left out of `repr`."""

    mongodb_uri: str = field(repr=False)
    """Connection string of MongoDB, database included."""
    redis_url: str = field(default="", repr=False)
    """URL of the Redis that holds the tick source; empty only for `setup`, which never uses it."""
    celery_broker_url: str = field(default="", repr=False)
    """URL of Celery's broker; the Redis of `redis_url` unless set. Empty only when `redis_url` is."""
    secret_keys: tuple[str, ...] = field(default=(), repr=False)
    """The first encrypts secrets at rest, all decrypt; empty only for `setup`, which stores none."""
    host: str = "127.0.0.1"
    """Where the API listens."""
    port: int = 8000
    """The API's port; 0 = any free one."""
    key_prefix: str = "wc"
    """What every key in Redis starts with."""
    timezone: str = "UTC"
    """The IANA zone of schedules that name none."""
    allowed_target_hosts: tuple[str, ...] | None = None
    """Lower-case patterns of the hosts that may be called; None = every public one."""
    allowed_target_networks: tuple[Network, ...] = ()
    """Address ranges that may be called although they are not public."""
    allowed_target_ports: frozenset[int] | None = None
    """Ports that may be called; None = every port."""
    allowed_origins: tuple[str, ...] = ()
    """Origins of web pages that may call the API from browsers; `*` = every one."""
    trusted_proxies: tuple[Network, ...] = ()
    """Address ranges whose X-Forwarded-For, -Proto and -Host headers are believed."""
    open_registration: bool = False
    """Whether anyone may make an account; the first one may be made in any case."""
    rate_limit: str | None = "6000 per minute"
    """Requests of one API key or login; None = no limit."""
    rate_limit_anonymous: str | None = "100 per 15 minutes"
    """Requests of one address that are not signed in; None = no limit."""
    rate_limit_trigger: str | None = "10 per minute"
    """Manual triggers of one API key or login; None = no limit."""
    rate_limit_login: str | None = "10 per 15 minutes"
    """Attempts to log in to one account from one address; None = no limit."""
    retention_days: int = 30
    """Days that finished executions are kept."""
    audit_retention_days: int = 365
    """Days that the audit trail is kept."""
    failure_retention_factor: int = 3
    """How many times longer than others failed executions are kept."""
    sync_interval_seconds: int = 300
    """Seconds between two full comparisons of the mirror with MongoDB."""
    tick_interval_ms: int = 250
    """The longest sleep of a ticker, in milliseconds."""
    worker_concurrency: int = 500
    """Calls that one worker process has in flight at most; a quarter of it for hanging ones, which may overrun it."""
    max_per_host: int = 50
    """Calls that one worker process has in flight to one host at most."""
    drain_seconds: int = 25
    """How long a stopping worker waits for the calls in flight."""
    metrics_host: str = "127.0.0.1"
    """Where ticker and worker answer for their metrics."""
    metrics_port: int = 0
    """The port of ticker and worker for their metrics; 0 = none."""
    smtp_url: str = field(default="", repr=False)
    """URL of the mail server that alerts are sent through; empty = no e-mail."""
    smtp_from: str = "webhookcron <webhookcron@localhost>"
    """The sender of alert e-mails."""
    alert_digest_minutes: int = 60
    """While a job keeps failing, its alerts come together so often."""
    apprise_urls: tuple[str, ...] = field(default=(), repr=False)
    """Where alerts with the channel `operator` go, in Apprise's notation."""
    traces_url: str = ""
    """Where traces go by OTLP; empty = there are none."""
    traces_headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """What is sent to the collector besides: (name, value)."""
    traces_ratio: float = 1.0
    """The part of all executions whose traces are recorded, 0 to 1."""
    log_level: str = "info"
    """debug, info, warning or error."""
    log_format: str = "console"
    """console or json."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """One environment variable and the field of `Settings` that it fills."""

    name: str
    field: str
    read: Callable[[str], Any]
    default: str = ""
    """The default as one would write it; empty = none, or as `meaning` says."""
    secret: bool = False
    """May hold a secret: `NAME_FILE` may name a file that holds the value instead."""
    required_by: frozenset[Role] = frozenset()
    empty_means_unset: bool = True
    """Empty counts as unset, as compose files produce it; False where that would widen a permission."""


VARIABLES: tuple[Variable, ...] = (
    Variable(
        name="MONGODB_URI", field="mongodb_uri", read=values.mongodb_uri, secret=True, required_by=_EVERY_ROLE
    ),
    Variable(name="REDIS_URL", field="redis_url", read=values.redis_url, secret=True, required_by=_RUNNING),
    Variable(name="CELERY_BROKER_URL", field="celery_broker_url", read=values.broker_url, secret=True),
    Variable(
        name=PREFIX + "SECRET_KEY",
        field="secret_keys",
        read=values.secret_keys,
        secret=True,
        required_by=_RUNNING,
    ),
    Variable(name=PREFIX + "HOST", field="host", read=values.host_to_bind, default="127.0.0.1"),
    Variable(name=PREFIX + "PORT", field="port", read=values.integer(0, 65535), default="8000"),
    Variable(name=PREFIX + "KEY_PREFIX", field="key_prefix", read=values.key_prefix, default="wc"),
    Variable(name=PREFIX + "TIMEZONE", field="timezone", read=values.time_zone, default="UTC"),
    Variable(
        name=PREFIX + "ALLOWED_TARGET_HOSTS",
        field="allowed_target_hosts",
        read=values.target_hosts,
        empty_means_unset=False,
    ),
    Variable(name=PREFIX + "ALLOWED_TARGET_NETWORKS", field="allowed_target_networks", read=values.networks),
    Variable(
        name=PREFIX + "ALLOWED_TARGET_PORTS",
        field="allowed_target_ports",
        read=values.ports,
        empty_means_unset=False,
    ),
    Variable(name=PREFIX + "ALLOWED_ORIGINS", field="allowed_origins", read=values.origins),
    Variable(name=PREFIX + "TRUSTED_PROXIES", field="trusted_proxies", read=values.networks),
    Variable(
        name=PREFIX + "OPEN_REGISTRATION", field="open_registration", read=values.switch, default="false"
    ),
    Variable(name=PREFIX + "RATE_LIMIT", field="rate_limit", read=values.rate, default="6000 per minute"),
    Variable(
        name=PREFIX + "RATE_LIMIT_ANONYMOUS",
        field="rate_limit_anonymous",
        read=values.rate,
        default="100 per 15 minutes",
    ),
    Variable(
        name=PREFIX + "RATE_LIMIT_TRIGGER",
        field="rate_limit_trigger",
        read=values.rate,
        default="10 per minute",
    ),
    Variable(
        name=PREFIX + "RATE_LIMIT_LOGIN",
        field="rate_limit_login",
        read=values.rate,
        default="10 per 15 minutes",
    ),
    Variable(
        name=PREFIX + "RETENTION_DAYS", field="retention_days", read=values.integer(1, 3650), default="30"
    ),
    Variable(
        name=PREFIX + "AUDIT_RETENTION_DAYS",
        field="audit_retention_days",
        read=values.integer(1, 3650),
        default="365",
    ),
    Variable(
        name=PREFIX + "FAILURE_RETENTION_FACTOR",
        field="failure_retention_factor",
        read=values.integer(1, 100),
        default="3",
    ),
    Variable(
        name=PREFIX + "SYNC_INTERVAL_SECONDS",
        field="sync_interval_seconds",
        read=values.integer(1, 86_400),
        default="300",
    ),
    Variable(
        name=PREFIX + "TICK_INTERVAL_MS",
        field="tick_interval_ms",
        read=values.integer(20, 60_000),
        default="250",
    ),
    Variable(
        name=PREFIX + "WORKER_CONCURRENCY",
        field="worker_concurrency",
        read=values.integer(1, 10_000),
        default="500",
    ),
    Variable(
        name=PREFIX + "MAX_PER_HOST", field="max_per_host", read=values.integer(1, 10_000), default="50"
    ),
    Variable(
        name=PREFIX + "DRAIN_SECONDS", field="drain_seconds", read=values.integer(0, 3600), default="25"
    ),
    Variable(
        name=PREFIX + "METRICS_HOST", field="metrics_host", read=values.host_to_bind, default="127.0.0.1"
    ),
    Variable(name=PREFIX + "METRICS_PORT", field="metrics_port", read=values.integer(0, 65535), default="0"),
    Variable(name=PREFIX + "SMTP_URL", field="smtp_url", read=values.smtp_url, secret=True),
    Variable(
        name=PREFIX + "SMTP_FROM",
        field="smtp_from",
        read=values.mail_sender,
        default="webhookcron <webhookcron@localhost>",
    ),
    Variable(
        name=PREFIX + "ALERT_DIGEST_MINUTES",
        field="alert_digest_minutes",
        read=values.integer(1, 10_080),
        default="60",
    ),
    Variable(name=PREFIX + "APPRISE_URLS", field="apprise_urls", read=values.apprise_urls, secret=True),
    Variable(name=PREFIX + "TRACES_URL", field="traces_url", read=values.collector_url),
    Variable(name=PREFIX + "TRACES_HEADERS", field="traces_headers", read=values.header_fields, secret=True),
    Variable(name=PREFIX + "TRACES_RATIO", field="traces_ratio", read=values.fraction, default="1"),
    Variable(
        name=PREFIX + "LOG_LEVEL",
        field="log_level",
        read=values.choice("debug", "info", "warning", "error"),
        default="info",
    ),
    Variable(
        name=PREFIX + "LOG_FORMAT",
        field="log_format",
        read=values.choice("console", "json"),
        default="console",
    ),
)


def load_settings(environ: Mapping[str, str], *, role: Role) -> Settings:
    """The checked settings of a process that plays `role`.

    Raises `SettingsError` for the first variable, in the order of `VARIABLES`, that is missing or wrong.
    Variables that the role does not need are checked all the same, so that one environment serves all roles.
    """
    found: dict[str, Any] = {}
    for variable in VARIABLES:
        text = _text_of(variable, environ)
        if text is not None:
            try:
                found[variable.field] = variable.read(text)
            except ValueError as error:
                raise SettingsError(f"{variable.name} must be {error}") from None
        elif role in variable.required_by:
            raise SettingsError(_missing(variable))
    if "traces_url" in found and not _traces_installed():
        raise SettingsError(
            f"{PREFIX}TRACES_URL must be unset unless its packages are installed: pip install 'webhookcron[otel]'"
        )
    if "redis_url" in found:
        found.setdefault("celery_broker_url", values.broker_url_of_redis(found["redis_url"]))
    return Settings(**found)


def unknown_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables with this project's prefix that nothing reads: a line about each, with the name perhaps meant."""
    known = {variable.name for variable in VARIABLES}
    known |= {f"{variable.name}_FILE" for variable in VARIABLES if variable.secret}
    lines: dict[str, str] = {}
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name in known or name in CLIENT_VARIABLES:
            continue
        near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.75)
        lines[name] = f"{name} is not a setting" + (f"; did you mean {near[0]}?" if near else "")
    return lines


def _traces_installed() -> bool:
    try:
        return find_spec("opentelemetry.exporter.otlp.proto.http.trace_exporter") is not None
    except ModuleNotFoundError:
        return False


def _text_of(variable: Variable, environ: Mapping[str, str]) -> str | None:
    text = environ.get(variable.name)
    if text is not None and not text.strip():
        text = None if variable.empty_means_unset else ""
    if not variable.secret:
        return None if text is None else text.strip()
    file_name = environ.get(f"{variable.name}_FILE", "").strip()
    if not file_name:
        return None if text is None else text.strip()
    if text is not None:
        raise SettingsError(f"{variable.name} and {variable.name}_FILE are both set; set only one of them")
    return _text_of_file(variable, Path(file_name))


def _text_of_file(variable: Variable, path: Path) -> str:
    name = f"{variable.name}_FILE"
    try:
        with path.open("rb") as file:
            content = file.read(MAX_SECRET_FILE_BYTES + 1)
        text = content.decode().strip()
    except OSError as error:
        raise SettingsError(
            f"{name} must name a readable file; {path}: {os.strerror(error.errno or 0)}"
        ) from None
    except UnicodeDecodeError:
        raise SettingsError(f"{name} must name a file of UTF-8 text; {path} is not") from None
    if not text or len(content) > MAX_SECRET_FILE_BYTES:
        raise SettingsError(
            f"{name} must name a file that holds the value; {path} is {'too big' if text else 'empty'}"
        )
    return text


def _missing(variable: Variable) -> str:
    file_hint = f" (or {variable.name}_FILE)" if variable.secret else ""
    try:
        variable.read("")
    except ValueError as error:
        return f"{variable.name}{file_hint} must be set: {error}; `webhookcron up` needs no settings"
    return f"{variable.name}{file_hint} must be set"
