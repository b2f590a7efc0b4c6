"""Where the platform's own stores, broker and API listen, and which addresses are this machine's: never a target."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from socket import AF_INET, AF_INET6, AF_UNSPEC, SOCK_DGRAM, SOCK_STREAM, gaierror, getaddrinfo, socket
from urllib.parse import urlsplit

import structlog
from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri

from webhookcron.config import Settings
from webhookcron.core.target_addresses import is_this_machine

log = structlog.get_logger(__name__)

_DEFAULT_PORTS = {
    "redis": 6379,
    "rediss": 6379,
    "valkey": 6379,
    "sentinel": 26379,
    "amqp": 5672,
    "amqps": 5671,
}


def own_addresses(settings: Settings) -> set[tuple[str, int]]:
    """(IP address, port) of MongoDB, Redis, the broker and the API, as far as they are known and resolve now."""
    addresses: set[tuple[str, int]] = set()
    for host, port in set(_nodes(settings)):
        if host.endswith(".sock") or host.startswith("/"):
            continue
        try:
            found = getaddrinfo(host, port, AF_UNSPEC, SOCK_STREAM)
        except gaierror:
            log.warning("target.own_address_unknown", host=host)
            continue
        addresses |= {(str(address[0]).partition("%")[0], port) for *_, address in found}
    return addresses


def is_own(ip: IPv4Address | IPv6Address) -> bool:
    """Whether the address is one of this machine's, loopback or of an interface: only such can be bound."""
    if is_this_machine(ip):
        return True
    with socket(AF_INET if isinstance(ip, IPv4Address) else AF_INET6, SOCK_DGRAM) as probe:
        try:
            probe.bind((str(ip), 0))
        except OSError:
            return False
    return True


def _nodes(settings: Settings) -> Iterator[tuple[str, int]]:
    try:
        for host, port in parse_uri(settings.mongodb_uri)["nodelist"]:
            yield host, port or 27017
    except PyMongoError as error:
        # The servers of a mongodb+srv name are in DNS, which may be away.
        log.warning("target.own_address_unknown", host="MongoDB", reason=str(error))
    # Celery takes several brokers, to fail over to, separated by semicolons.
    for url in (settings.redis_url, *settings.celery_broker_url.split(";")):
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
        if parts.hostname and port:
            yield parts.hostname, port
    if settings.port:
        yield settings.host, settings.port
