"""The API's listening socket, opened before anything is started and handed to the API as it is."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket

from webhookcron.core.errors import WebhookcronError

BACKLOG = 2048


class PortInUse(WebhookcronError):
    """Something else listens on the wanted port."""


class AddressUnusable(WebhookcronError):
    """The wanted address cannot be listened on, for another reason than being in use."""


def open_listener(host: str, port: int) -> socket.socket:
    """A listening socket on `host` and `port` (0 = any free one). Raises `PortInUse` or `AddressUnusable`.

    Connections that come before the API is up, or while it is restarted, wait in its queue instead of being refused.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise AddressUnusable(
            f"cannot listen on {host}: {error.strerror}; choose another with --host"
        ) from None
    listener = socket.socket(family, kind, protocol)
    try:
        # An ended server's last connections would otherwise keep the port for a minute (TIME_WAIT).
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(
                f"port {port} on {host} is in use; choose another with --port (0 = any free one)"
            ) from None
        raise AddressUnusable(
            f"cannot listen on {host} port {port}: {os.strerror(error.errno or 0)}; choose others with --host, --port"
        ) from None
    return listener


def free_loopback_port() -> int:
    """A port on 127.0.0.1 that nothing listens on at this moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach a socket bound to `address`."""
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


def reachable_host(address: str) -> str:
    """The host by which this machine reaches a socket bound to `address`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)


def url_of(host: str, port: int) -> str:
    """`http://host:port`, IPv6 addresses in brackets, without a slash at the end."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
