"""Zones come from the pinned package; wrong names are answered with what was probably meant."""

import zoneinfo
from typing import Any

import pytest
import tzdata

from webhookcron.core.zones import tzdata_version, zone, zone_names


def test_no_system_zone_files_are_searched() -> None:
    assert zoneinfo.TZPATH == ()


def test_every_listed_zone_loads() -> None:
    assert len(zone_names()) > 400
    assert all(zone(name).key == name for name in zone_names())


def test_the_version_is_the_one_of_the_package() -> None:
    assert tzdata_version() == tzdata.IANA_VERSION


REFUSED: list[tuple[Any, str]] = [
    (None, "must be text"),
    (b"UTC", "must be text"),
    (["UTC"], "must be text"),
    ("", "IANA name"),
    ("A" * 65, "IANA name"),
    ("Europe/Berlin\n", "IANA name"),
    ("Europe/Berlín", "IANA name"),
    ("../../etc/passwd", "unknown"),
    ("/usr/share/zoneinfo/UTC", "unknown"),
    ("Europe", "unknown"),
    ("+02:00", "unknown"),
    ("Mars/Olympus", "unknown"),
]


@pytest.mark.parametrize(("name", "reason"), REFUSED)
def test_what_is_no_zone_is_refused(name: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as refusal:
        zone(name)

    assert len(str(refusal.value)) <= 300


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("europe/berlin", "Europe/Berlin"),
        ("Berlin", "Europe/Berlin"),
        ("Europe/Berln", "Europe/Berlin"),
        ("America/New York", "America/New_York"),
        ("utc", "UTC"),
    ],
)
def test_a_near_miss_is_told_what_was_meant(name: str, meant: str) -> None:
    with pytest.raises(ValueError, match=meant):
        zone(name)
