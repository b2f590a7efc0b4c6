"""Whose word about the caller is believed."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from webhookcron.api.proxies import TrustedProxies

NETWORKS = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


def seen(**environ: str) -> dict[str, Any]:
    """What the application gets to see."""
    found: dict[str, Any] = {}

    def app(given: dict[str, Any], _start: Any) -> list[bytes]:
        found.update(given)
        return []

    TrustedProxies(app, NETWORKS)({"wsgi.url_scheme": "http", "HTTP_HOST": "api", **environ}, lambda: None)
    return found


@pytest.mark.parametrize(
    ("address", "forwarded", "caller"),
    [
        ("10.0.0.1", "192.0.2.1", "192.0.2.1"),
        ("10.0.0.1", "203.0.113.5, 192.0.2.1", "192.0.2.1"),
        ("10.0.0.1", "192.0.2.1, 10.0.0.2", "192.0.2.1"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "192.0.2.1, nonsense", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("fd00::1", "2001:db8::7", "2001:db8::7"),
        ("::ffff:10.0.0.1", "[2001:db8::7]", "2001:db8::7"),
        ("192.0.2.9", "192.0.2.1", "192.0.2.9"),
        ("", "192.0.2.1", ""),
    ],
)
def test_the_caller_is_the_last_address_that_is_no_proxy(address: str, forwarded: str, caller: str) -> None:
    assert seen(REMOTE_ADDR=address, HTTP_X_FORWARDED_FOR=forwarded)["REMOTE_ADDR"] == caller


def test_scheme_and_host_are_taken_from_a_proxy() -> None:
    found = seen(
        REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_PROTO="https", HTTP_X_FORWARDED_HOST="cron.example.com:8443"
    )
    assert (found["wsgi.url_scheme"], found["HTTP_HOST"]) == ("https", "cron.example.com:8443")


@pytest.mark.parametrize(
    ("proto", "host"), [("javascript", "a/b"), ("", ""), ("ftp", "a b"), ("HTTP", "x@y")]
)
def test_nonsense_from_a_proxy_is_left_aside(proto: str, host: str) -> None:
    found = seen(REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_PROTO=proto, HTTP_X_FORWARDED_HOST=host)
    assert (found["wsgi.url_scheme"], found["HTTP_HOST"]) == ("http", "api")


def test_what_others_forward_is_dropped() -> None:
    found = seen(REMOTE_ADDR="192.0.2.9", HTTP_X_FORWARDED_PROTO="https", HTTP_X_FORWARDED_HOST="evil")
    assert (found["wsgi.url_scheme"], found["HTTP_HOST"]) == ("http", "api")
    assert not any(name.startswith("HTTP_X_FORWARDED") for name in found)
