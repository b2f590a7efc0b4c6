"""Cursors of log pages."""

import base64
from datetime import UTC, datetime

import pytest

from webhookcron.api.cursors import cursor_at, read_cursor

JOB_ID = "6740d0c0a1b2c3d4e5f60718"
MOMENT = datetime(2030, 1, 31, 9, 0, 0, 123000, tzinfo=UTC)


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "id_",
    ["", *(f"{JOB_ID}:{rest}" for rest in ("1895821200123", "m:4fe2a1c0", "1895821200123:r:ab12", "-5:s"))],
)
def test_a_cursor_comes_back_as_it_went(id_: str) -> None:
    assert read_cursor(cursor_at((MOMENT, id_))) == (MOMENT, id_)


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "abc",
        "ä",
        "=====",
        "a" * 100_000,
        encoded("1 x"),
        encoded(f"nan {JOB_ID}:5"),
        encoded(f'5 {JOB_ID}:{{"$gt": ""}}'),
        encoded(f"999999999999999 {JOB_ID}:5"),
    ],
    ids=range(9),
)
def test_others_are_refused(cursor: str) -> None:
    with pytest.raises(ValueError, match="is not a cursor"):
        read_cursor(cursor)
