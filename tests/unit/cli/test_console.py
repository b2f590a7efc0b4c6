"""What tables and durations look like, by the width of the terminal."""

from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from rich.console import Console
from rich.table import Table

from webhookcron.cli.console import cell, distance_cell, duration_words, fits, moment_cell, table
from webhookcron.cli.jobs import schedule_text

NOW = datetime(2030, 1, 2, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("duration", "words"),
    [
        (timedelta(0), "0 s"),
        (timedelta(seconds=20), "20 s"),
        (timedelta(minutes=15), "15 min"),
        (timedelta(hours=23, minutes=30), "23 h 30 min"),
        (timedelta(days=1), "1 d"),
        (timedelta(days=365, seconds=5), "365 d 5 s"),
    ],
)
def test_a_duration_is_told_in_its_units(duration: timedelta, words: str) -> None:
    assert duration_words(duration) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("2030-01-02T12:00:00.000Z", "0 s ago"),
        ("2030-01-02T12:01:59.000Z", "in 1 min"),
        ("2030-01-02T09:00:00.000Z", "3 h ago"),
        ("2030-01-31T09:00:00.000Z", "in 28 d"),
        (None, "-"),
    ],
)
def test_a_moment_where_space_is_scarce_is_its_distance(text: str | None, words: str) -> None:
    assert distance_cell(text, NOW).plain == words


def _runs() -> Table:
    return table(("NAME", "NEXT RUN (UTC)"), [(cell("a job"), moment_cell("2030-01-03T12:00:00.000Z", NOW))])


@pytest.mark.parametrize(("width", "fitting"), [(20, False), (32, False), (33, True), (200, True)])
def test_a_table_fits_when_no_value_is_folded(width: int, fitting: bool) -> None:
    screen = Console(file=StringIO(), force_terminal=True, width=width)

    screen.print(_runs())
    height = len(screen.file.getvalue().splitlines())  # type: ignore[attr-defined]

    assert fits(screen, _runs()) is fitting
    assert (height == 2) is fitting


def test_a_pipe_has_room_for_every_table() -> None:
    assert fits(Console(file=StringIO(), width=20), _runs())


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"cronExpression": "0 9 * * 1", "timezone": "Europe/Berlin"}, "0 9 * * 1 Europe/Berlin"),
        ({"interval": "hour", "intervalValue": 2, "timezone": "UTC"}, "every 2 hours"),
        (
            {"runAt": "2030-01-31T09:00:00.000Z", "timezone": "Europe/Berlin"},
            "once 2030-01-31 09:00:00 UTC",
        ),
    ],
)
def test_a_schedule_names_the_zone_that_its_times_are_in(fields: dict[str, object], text: str) -> None:
    assert schedule_text({"cronExpression": None, "interval": None, "runAt": None, **fields}) == text
