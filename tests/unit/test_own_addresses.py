"""What of the platform listens where, and which addresses are this machine's."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from webhookcron.config import Settings
from webhookcron.own_addresses import is_own, own_addresses


def settings(**changes: object) -> Settings:
    values: dict[str, object] = {
        "mongodb_uri": "mongodb://192.0.2.1,192.0.2.2:27018/webhookcron",
        "redis_url": "redis://[2001:db8::3]:6380/0",
        "celery_broker_url": "redis://192.0.2.4/0",
        "host": "0.0.0.0",
        "port": 8000,
    }
    return Settings(**(values | changes))  # type: ignore[arg-type]


def test_stores_broker_and_api_are_where_the_settings_say() -> None:
    assert own_addresses(settings()) == {
        ("192.0.2.1", 27017),
        ("192.0.2.2", 27018),
        ("2001:db8::3", 6380),
        ("192.0.2.4", 6379),
        ("0.0.0.0", 8000),
    }


def test_all_of_several_brokers_are_known() -> None:
    found = own_addresses(
        settings(
            celery_broker_url="sentinel://192.0.2.5:26379;sentinel://192.0.2.6;amqp://u:p%40@192.0.2.7//"
        )
    )
    assert {("192.0.2.5", 26379), ("192.0.2.6", 26379), ("192.0.2.7", 5672)} <= found


def test_sockets_and_names_that_do_not_resolve_are_left_out() -> None:
    found = own_addresses(
        settings(
            mongodb_uri="mongodb://%2Ftmp%2Fm.sock,nothing.invalid/webhookcron",
            redis_url="unix:///tmp/r.sock",
            celery_broker_url="redis+socket:///tmp/r.sock",
        )
    )
    assert found == {("0.0.0.0", 8000)}


@pytest.mark.parametrize(
    ("address", "own"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("0.0.0.0", True),
        ("198.51.100.77", False),
        ("2001:db8::1", False),
    ],
)
def test_an_address_is_this_machine_s_when_it_can_be_bound(address: str, own: bool) -> None:
    assert is_own(ip_address(address)) is own
