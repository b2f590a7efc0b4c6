"""The driver's own arithmetic of fire times, against examples worked out by hand."""

from collections.abc import Callable
from types import ModuleType

import pytest

MINUTE = 1_900_000_020_000
"""The start of a minute."""


@pytest.fixture
def rules(chaos_module: Callable[[str], ModuleType]) -> ModuleType:
    return chaos_module("rules")


def test_seconds_of_a_minute_come_in_every_minute(rules: ModuleType) -> None:
    rule = rules.SecondsOfMinute((5, 35))

    assert list(rule.between(MINUTE + 5000, MINUTE + 95_000)) == [
        MINUTE + 35_000,
        MINUTE + 65_000,
        MINUTE + 95_000,
    ]


def test_an_interval_begins_one_step_after_its_anchor(rules: ModuleType) -> None:
    assert list(rules.Every(3, 1_000_123).between(1_000_123, 1_009_123)) == [1_003_123, 1_006_123, 1_009_123]


def test_an_anchor_given_as_start_fires_itself(rules: ModuleType) -> None:
    assert list(rules.Every(3, 5000, anchor_fires=True).between(0, 8000)) == [5000, 8000]


def test_an_interval_is_stepped_from_its_anchor_however_late_one_looks(rules: ModuleType) -> None:
    assert list(rules.Every(7, 0).between(700_001, 714_000)) == [707_000, 714_000]


def test_a_rule_with_an_end_stops_there(rules: ModuleType) -> None:
    assert list(rules.Until(rules.Every(2, 0), 5000).between(0, 60_000)) == [2000, 4000]


def test_once_is_due_in_the_stretch_that_holds_it(rules: ModuleType) -> None:
    rule = rules.Once(5000)

    assert [list(rule.between(*stretch)) for stretch in ((0, 4999), (0, 5000), (5000, 9000))] == [
        [],
        [5000],
        [],
    ]
