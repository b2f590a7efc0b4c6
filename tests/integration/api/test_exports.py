"""The log as a file."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from webhookcron.api.execution_export import COLUMNS, cell
from webhookcron.core.executions import Execution, ExecutionStatus, Trigger
from webhookcron.service.exports import MOST_EXPORTS

START = datetime(2030, 1, 1, tzinfo=UTC)
EXPORT = "/api/execution-logs/export"


@pytest.fixture
def ann(new_caller: Any, platform: Any) -> Any:
    """Ann, with 450 executions: more than are read at a time."""
    platform.executions.insert(
        [
            Execution(
                id=f"{'a' * 24}:{number}",
                job_id="a" * 24,
                owner_id="ann" if number else "bob",
                job_name="=HYPERLINK(1)",
                host="h",
                trigger=Trigger.SCHEDULE,
                status=ExecutionStatus.SUCCESS if number % 2 else ExecutionStatus.FAILED,
                scheduled_at=START + timedelta(seconds=number),
                queued_at=START,
            )
            for number in range(451)
        ]
    )
    return new_caller(user_id="ann")


def test_lines_of_json_are_what_lists_show(ann: Any) -> None:
    with ann("GET", EXPORT) as response:
        assert response.content_type == "application/x-ndjson"
        assert response.headers["Content-Disposition"] == 'attachment; filename="execution-logs.ndjson"'
        rows = [json.loads(line) for line in response.get_data(as_text=True).splitlines()]
    assert len({row["id"] for row in rows}) == 450
    assert rows[0] == ann("GET", "/api/execution-logs?limit=1").get_json()["items"][0]


def test_csv_has_a_row_for_each(ann: Any) -> None:
    with ann("GET", f"{EXPORT}?format=csv&status=failed") as response:
        assert response.content_type == "text/csv; charset=utf-8"
        rows = list(csv.DictReader(io.StringIO(response.get_data(as_text=True))))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == 225
    assert {row["jobName"] for row in rows} == {"'=HYPERLINK(1)"}


def test_an_empty_export_is_whole(ann: Any) -> None:
    with ann("GET", f"{EXPORT}?format=csv&host=none") as response:
        assert response.get_data(as_text=True).split("\r\n") == [",".join(COLUMNS), ""]
    with ann("GET", f"{EXPORT}?host=none") as response:
        assert response.get_data() == b""


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "\u3000=1", "\uff1d1"]
)
def test_no_cell_is_a_formula(text: str) -> None:
    assert cell(text) == "'" + text


@pytest.mark.parametrize(
    ("value", "shown"), [(None, ""), (-5, -5), ("plain = text", "plain = text"), ("", "")]
)
def test_other_cells_are_what_they_are(value: Any, shown: Any) -> None:
    assert cell(value) == shown


def test_too_many_at_a_time_are_refused_and_places_come_back(ann: Any) -> None:
    open_ones = [ann("GET", EXPORT, buffered=False) for _ in range(MOST_EXPORTS)]
    refused = ann("GET", EXPORT)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "5")
    for response in open_ones:
        response.close()
    with ann("GET", EXPORT) as response:
        assert response.status_code == 200


@pytest.mark.parametrize("query", ["format=xml", "limit=5", "error=x"])
def test_what_makes_no_sense_is_refused(ann: Any, query: str) -> None:
    assert ann("GET", f"{EXPORT}?{query}").status_code == 422
