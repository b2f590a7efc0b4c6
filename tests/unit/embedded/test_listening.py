import socket

import pytest

from webhookcron.embedded.listening import (
    AddressUnusable,
    PortInUse,
    free_loopback_port,
    is_loopback,
    open_listener,
    reachable_host,
    url_of,
)


def test_port_0_takes_a_free_one_and_listens() -> None:
    with open_listener("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        assert port > 0
        socket.create_connection(("127.0.0.1", port), timeout=5).close()


def test_a_port_in_use_is_one_clear_line() -> None:
    with open_listener("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(
            PortInUse, match=rf"^port {port} on 127.0.0.1 is in use; choose another with --port"
        ):
            open_listener("127.0.0.1", port)


def test_an_address_of_another_machine_is_one_clear_line() -> None:
    with pytest.raises(AddressUnusable, match=r"^cannot listen on 192\.0\.2\.1 port 0: "):
        open_listener("192.0.2.1", 0)


def test_a_name_that_means_nothing_is_one_clear_line() -> None:
    with pytest.raises(AddressUnusable, match=r"^cannot listen on no such host"):
        open_listener("no such host", 0)


def test_a_free_port_can_be_listened_on() -> None:
    open_listener("127.0.0.1", free_loopback_port()).close()


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
    ],
)
def test_loopback_is_what_only_this_machine_reaches(address: str, expected: bool) -> None:
    assert is_loopback(address) is expected


@pytest.mark.parametrize(
    ("address", "expected"),
    [("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("127.0.0.1", "127.0.0.1"), ("::1", "::1")],
)
def test_a_socket_on_every_address_is_reached_by_loopback(address: str, expected: str) -> None:
    assert reachable_host(address) == expected


def test_an_ipv6_address_stands_in_brackets() -> None:
    assert (url_of("::1", 80), url_of("127.0.0.1", 80)) == ("http://[::1]:80", "http://127.0.0.1:80")
