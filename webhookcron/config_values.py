"""Readers of single settings: text of an environment variable in, checked value out.

Each reader raises `ValueError` whose message completes the sentence "NAME must be …". The message never
repeats the text itself, which may be a secret.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from email.utils import parseaddr
from importlib.resources import files
from urllib.parse import parse_qs, quote, urlsplit

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

SECRET_KEY_MIN_CHARACTERS = 16

_HOST_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_KEY_PREFIX = re.compile(r"[A-Za-z0-9_.-]{1,32}")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""RFC 9110 section 5.6.2."""
_RATE = re.compile(r"([0-9]{1,7})\s*(?:per|/)\s*(?:([0-9]{1,5})\s*)?(second|minute|hour|day)s?", re.ASCII)
_DATABASE_FORBIDDEN = frozenset('/\\. "$*<>:|?\0')
"""MongoDB manual, "Restrictions on Database Names": the union of what Unix and Windows servers refuse."""


def integer(low: int, high: int) -> Callable[[str], int]:
    """A reader of whole numbers from `low` to `high`, both included."""

    def read(text: str) -> int:
        # int() alone would also take "1_000", " 7 " and digits of other scripts.
        if re.fullmatch(r"[0-9]{1,9}", text) is None or not low <= int(text) <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return int(text)

    return read


def choice(*allowed: str) -> Callable[[str], str]:
    """A reader of one of `allowed`, whatever its case."""

    def read(text: str) -> str:
        if text.lower() not in allowed:
            raise ValueError(f"one of {', '.join(allowed)}")
        return text.lower()

    return read


def items(text: str) -> tuple[str, ...]:
    """The non-empty parts of a comma separated list, without surrounding blanks."""
    return tuple(part for part in (raw.strip() for raw in text.split(",")) if part)


def mongodb_uri(text: str) -> str:
    """A MongoDB connection string that names its database.

    Only the form is checked; the options are the driver's business.
    """
    wanted = "mongodb://host:port/database or mongodb+srv://host/database, the database name included"
    try:
        parts = urlsplit(text)
    except ValueError:
        raise ValueError(wanted) from None
    database = parts.path.removeprefix("/")
    if parts.scheme not in ("mongodb", "mongodb+srv") or not parts.netloc.rpartition("@")[2]:
        raise ValueError(wanted)
    if not database or len(database.encode()) > 63 or _DATABASE_FORBIDDEN.intersection(database):
        raise ValueError(wanted)
    return text


def redis_url(text: str) -> str:
    """The URL of a Redis server, in the forms that redis-py knows."""
    wanted = "redis://host:port/0, rediss://host:port/0 or unix:///path/to/redis.sock"
    try:
        parts = urlsplit(text)
        complete = bool(parts.path) if parts.scheme == "unix" else bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise ValueError(wanted) from None
    if parts.scheme not in ("redis", "rediss", "unix") or not complete:
        raise ValueError(wanted)
    return text


def broker_url(text: str) -> str:
    """The URL of a message broker; which transports exist is Celery's business."""
    if re.fullmatch(r"[a-z][a-z0-9+.-]*://\S*", text, re.IGNORECASE) is None:
        raise ValueError("a broker URL that Celery knows, such as redis://host:6379/0 or amqp://host//")
    return text


def broker_url_of_redis(url: str) -> str:
    """The same Redis server as a broker URL: Celery writes sockets as redis+socket://, redis-py as unix://."""
    parts = urlsplit(url)
    if parts.scheme != "unix":
        return url
    credentials, separator, _ = parts.netloc.rpartition("@")
    database = parse_qs(parts.query).get("db", ["0"])[0]
    query = "" if database == "0" else f"?virtual_host={quote(database)}"
    return f"redis+socket://{credentials}{separator}{parts.path}{query}"


def secret_keys(text: str) -> tuple[str, ...]:
    """The secret keys: the first encrypts, all decrypt."""
    keys = items(text)
    if not keys or any(len(key) < SECRET_KEY_MIN_CHARACTERS for key in keys):
        raise ValueError(
            f"at least {SECRET_KEY_MIN_CHARACTERS} random characters, or several such keys separated by "
            "commas (`webhookcron secret-key` makes one)"
        )
    return keys


def smtp_url(text: str) -> str:
    """The URL of a mail server: smtp:// (STARTTLS where the server offers it), smtp+starttls:// (always), smtps://."""
    wanted = "smtp://, smtp+starttls:// or smtps:// with host, and user:password@ and :port where needed"
    try:
        parts = urlsplit(text)
        complete = bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise ValueError(wanted) from None
    if parts.scheme not in ("smtp", "smtp+starttls", "smtps") or not complete or parts.path not in ("", "/"):
        raise ValueError(wanted)
    return text


def mail_sender(text: str) -> str:
    """A mail address, with or without a name before it."""
    name, address = parseaddr(text)
    if re.fullmatch(r"[^@\s]+@[^@\s]+", address) is None or not (name + address).isprintable():
        raise ValueError("a mail address, such as cron@example.com or Cron <cron@example.com>")
    return text


def apprise_urls(text: str) -> tuple[str, ...]:
    """URLs in Apprise's notation, separated by blanks; which services exist is Apprise's business."""
    urls = tuple(text.split())
    if any(re.fullmatch(r"[a-z][a-z0-9+.-]*://\S+", url, re.IGNORECASE) is None for url in urls):
        raise ValueError("URLs that Apprise knows, separated by blanks, such as slack://… or mailto://…")
    return urls


def collector_url(text: str) -> str:
    """The URL of an OTLP collector's endpoint for traces, path included; credentials are headers' business."""
    wanted = "the http:// or https:// URL of an OTLP collector, as http://collector:4318/v1/traces"
    try:
        parts = urlsplit(text)
        complete = bool(parts.hostname) and parts.port != 0 and "@" not in parts.netloc
    except ValueError:
        raise ValueError(wanted) from None
    if (
        parts.scheme not in ("http", "https")
        or not complete
        or parts.path in ("", "/")
        or not text.isprintable()
    ):
        raise ValueError(wanted)
    return text


def header_fields(text: str) -> tuple[tuple[str, str], ...]:
    """Header fields as name=value, separated by commas."""
    found: list[tuple[str, str]] = []
    for part in items(text):
        name, separator, value = (piece.strip() for piece in part.partition("="))
        if not separator or _TOKEN.fullmatch(name) is None or not (value.isascii() and value.isprintable()):
            raise ValueError(
                "header fields as name=value separated by commas, such as Authorization=Bearer …"
            )
        found.append((name, value))
    return tuple(found)


def fraction(text: str) -> float:
    """A part of a whole, from 0 to 1."""
    if re.fullmatch(r"(0|1|0?\.[0-9]{1,9}|1\.0+)", text) is None:
        raise ValueError("a number from 0 to 1, such as 0.05")
    return float(text)


def host_to_bind(text: str) -> str:
    """A host name or address to listen on, without brackets."""
    bare = text.removeprefix("[").removesuffix("]")
    if not bare or re.search(r"[\s/@\[\]]", bare) or (":" in bare and not _is_address(bare)):
        raise ValueError(
            "an address or host name to listen on, such as 127.0.0.1, ::1 or 0.0.0.0, without a port"
        )
    return bare


def key_prefix(text: str) -> str:
    """What every Redis key starts with; no braces, which would change the hash tag."""
    if _KEY_PREFIX.fullmatch(text) is None:
        raise ValueError("1 to 32 letters, digits, dots, dashes or underscores")
    return text


def time_zone(text: str) -> str:
    """The name of a zone of the IANA database, as spelled there (the `tzdata` package's list)."""
    if text not in files("tzdata").joinpath("zones").read_text(encoding="ascii").split():
        raise ValueError("the name of an IANA time zone, such as UTC or Europe/Berlin")
    return text


def target_hosts(text: str) -> tuple[str, ...]:
    """Lower-case host patterns: a name, an address, `*.example.com`, or `*` for every public host."""
    wanted = "host names, addresses, *.example.com or * separated by commas, without scheme, port or path"
    hosts = tuple(dict.fromkeys(host.lower().rstrip(".") for host in items(text)))
    if not hosts:
        raise ValueError(f"{wanted} (leave it unset to allow every public host)")
    for host in hosts:
        name = host.removeprefix("*.")
        if host != "*" and not _is_address(name) and not _is_host_name(name):
            raise ValueError(wanted)
    return hosts


def networks(text: str) -> tuple[Network, ...]:
    """Address ranges in CIDR notation; a lone address is a range of one."""
    try:
        return tuple(ipaddress.ip_network(part) for part in items(text))
    except ValueError:
        raise ValueError(
            "address ranges separated by commas, such as 10.1.0.0/16,fd00::/8, no bit set behind the prefix"
        ) from None


def ports(text: str) -> frozenset[int]:
    """Ports and ranges of ports, such as `443,8000-8100`."""
    wanted = "ports or ranges of ports from 1 to 65535 separated by commas, such as 443,8000-8100"
    found: set[int] = set()
    for part in items(text):
        match = re.fullmatch(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", part)
        if match is None:
            raise ValueError(wanted)
        low, high = int(match[1]), int(match[2] or match[1])
        if not 1 <= low <= high <= 65535:
            raise ValueError(wanted)
        found.update(range(low, high + 1))
    if not found:
        raise ValueError(wanted)
    return frozenset(found)


def origins(text: str) -> tuple[str, ...]:
    """Origins of web pages as browsers send them (RFC 6454 section 6.2), or `*` for every one."""
    wanted = "origins such as https://app.example.com separated by commas, without a path, or *"
    found = tuple(dict.fromkeys(part.lower().rstrip("/") for part in items(text)))
    for origin in found:
        try:
            parts = urlsplit(origin)
            complete = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            raise ValueError(wanted) from None
        plain = origin == f"{parts.scheme}://{parts.netloc}" and "@" not in parts.netloc
        if origin != "*" and not (complete and plain and "*" not in origin):
            raise ValueError(wanted)
    if not found:
        raise ValueError(wanted)
    return found


def switch(text: str) -> bool:
    """true or false."""
    if text.lower() not in ("true", "false"):
        raise ValueError("true or false")
    return text.lower() == "true"


def rate(text: str) -> str | None:
    """So many per so much time, as `100 per 15 minutes`; None for `off`."""
    if text.lower() == "off":
        return None
    match = _RATE.fullmatch(text.strip().lower())
    if match is None or int(match[1]) == 0 or int(match[2] or 1) == 0:
        raise ValueError("a rate such as 100 per 15 minutes (second, minute, hour or day), or off")
    amount, periods, unit = int(match[1]), int(match[2] or 1), match[3]
    return f"{amount} per {unit}" if periods == 1 else f"{amount} per {periods} {unit}s"


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_host_name(text: str) -> bool:
    return len(text) <= 253 and all(_HOST_LABEL.fullmatch(label) for label in text.split("."))
