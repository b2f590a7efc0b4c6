"""The field types of the API."""

from datetime import UTC, datetime, timedelta
from typing import Any

import marshmallow as ma
import pytest

from webhookcron.api.schema_base import (
    BaseSchema,
    CommaList,
    Flag,
    Moment,
    QueryFlag,
    QueryNumber,
    Text,
    WholeNumber,
    Word,
    camel_case,
    rfc3339,
)


class Everything(BaseSchema):
    some_text = Text()
    free_text = Text(lines=True)
    some_number = WholeNumber(1, 10)
    some_flag = Flag()
    some_word = Word(("red", "green"))
    some_moment = Moment()
    wall_moment = Moment(wall_time=True)
    query_number = QueryNumber(1, 10)
    query_flag = QueryFlag()
    some_words = CommaList(Word(("red", "green")))


def test_names_are_in_camel_case_on_the_wire() -> None:
    assert camel_case("next_run_at") == "nextRunAt"
    assert Everything().load({"someText": "a"}) == {"some_text": "a"}


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ({"freeText": "a\nb\tc"}, "a\nb\tc"),
        ({"someNumber": 10}, 10),
        ({"someFlag": False}, False),
        ({"someWord": "red"}, "red"),
        ({"someMoment": "2030-01-31T09:00:00Z"}, datetime(2030, 1, 31, 9, tzinfo=UTC)),
        (
            {"someMoment": "2030-01-31t09:00:00.123456+02:00"},
            datetime(2030, 1, 31, 7, 0, 0, 123000, tzinfo=UTC),
        ),
        ({"someMoment": "2030-01-31 09:00:00.5-00:30"}, datetime(2030, 1, 31, 9, 30, 0, 500000, tzinfo=UTC)),
        ({"wallMoment": "2030-01-31T09:00:00"}, datetime(2030, 1, 31, 9)),
        ({"queryNumber": "7"}, 7),
        ({"queryFlag": "true"}, True),
        ({"someWords": "red, green"}, ["red", "green"]),
    ],
)
def test_it_reads(given: dict[str, Any], read: object) -> None:
    assert list(Everything().load(given).values()) == [read]


@pytest.mark.parametrize(
    "given",
    [
        {"someText": 5},
        {"someText": {"$gt": ""}},
        {"someText": "a\x00b"},
        {"someText": "a\nb"},
        {"freeText": "a\x1bb"},
        {"someText": None},
        {"someNumber": 0},
        {"someNumber": 11},
        {"someNumber": 1.0},
        {"someNumber": "1"},
        {"someNumber": True},
        {"someNumber": 10**400},
        {"someNumber": {"$gt": ""}},
        {"someFlag": "true"},
        {"someFlag": 1},
        {"someWord": "blue"},
        {"someWord": ["red"]},
        {"someMoment": "2030-01-31T09:00:00"},
        {"someMoment": "2030-02-30T09:00:00Z"},
        {"someMoment": "2030-01-31T24:00:01Z"},
        {"someMoment": "2030-01-31"},
        {"someMoment": "1969-12-31T23:59:59Z"},
        {"someMoment": "0001-01-01T00:00:00+12:00"},
        {"someMoment": "9999-12-31T23:59:59-12:00"},
        {"someMoment": "٢٠٣٠-01-31T09:00:00Z"},
        {"someMoment": 1893456000},
        {"wallMoment": "tomorrow"},
        {"queryNumber": "1_0"},
        {"queryNumber": "0x1"},
        {"queryFlag": "yes"},
        {"someWords": "red,blue"},
        {"someWords": ""},
        {"unknown": 1},
        {"some_text": "a"},
    ],
)
def test_it_refuses(given: dict[str, Any]) -> None:
    with pytest.raises(ma.ValidationError) as refused:
        Everything().load(given)
    assert list(refused.value.messages) == list(given)  # type: ignore[arg-type]


@pytest.mark.parametrize("given", [[], "text", 5, None, True])
def test_it_refuses_what_is_no_object(given: Any) -> None:
    with pytest.raises(ma.ValidationError):
        Everything().load(given)


def test_moments_are_written_in_utc_with_milliseconds() -> None:
    moment = datetime(2030, 1, 31, 9, 0, 0, 999, tzinfo=UTC) + timedelta(milliseconds=5)
    assert Everything().dump({"some_moment": moment, "wall_moment": None}) == {
        "someMoment": "2030-01-31T09:00:00.005Z",
        "wallMoment": None,
    }
    assert rfc3339(moment.replace(microsecond=0)) == "2030-01-31T09:00:00.000Z"
