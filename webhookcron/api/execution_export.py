"""Executions as files: lines of JSON, or CSV that a spreadsheet opens without running anything."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

from flask import Response

from webhookcron.api.execution_schemas import ExecutionSchema
from webhookcron.core.executions import Execution

EXPORT_FORMATS = ("ndjson", "csv")

COLUMNS = (
    "id", "jobId", "jobName", "ownerId", "trigger", "status", "reason", "scheduledAt", "queuedAt", "startedAt",
    "completedAt", "durationMs", "attemptCount", "nextAttemptAt", "replayOf", "skippedCount", "skippedUntil",
    "responseStatus", "errorKind", "errorMessage", "responseBody",
)  # fmt: skip

ROWS_IN_A_CHUNK = 100

_FORMULA_BEGINNINGS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""OWASP, "CSV Injection"; the last four are the full-width forms of the first four."""

_TYPES = {"ndjson": "application/x-ndjson", "csv": "text/csv; charset=utf-8"}


def export_response(format_: str, executions: Iterator[Execution]) -> Response:
    """The answer that streams `executions` in one of `EXPORT_FORMATS`."""
    lines = _json_lines(executions) if format_ == "ndjson" else _csv_lines(executions)
    response = Response(_chunks(lines), content_type=_TYPES[format_])
    response.headers["Content-Disposition"] = f'attachment; filename="execution-logs.{format_}"'
    response.call_on_close(getattr(executions, "close", lambda: None))
    return response


def _chunks(lines: Iterator[str]) -> Iterator[str]:
    waiting: list[str] = []
    for line in lines:
        waiting.append(line)
        if len(waiting) >= ROWS_IN_A_CHUNK:
            yield "".join(waiting)
            waiting.clear()
    yield "".join(waiting)


def _json_lines(executions: Iterator[Execution]) -> Iterator[str]:
    schema = ExecutionSchema()
    for execution in executions:
        yield json.dumps(schema.dump(execution), ensure_ascii=False, separators=(",", ":")) + "\n"


def _csv_lines(executions: Iterator[Execution]) -> Iterator[str]:
    schema = ExecutionSchema()
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(COLUMNS)
    for execution in executions:
        yield _taken(buffer)
        row: dict[str, Any] = schema.dump(execution)
        error = row.pop("error", None) or {}
        row |= {"errorKind": error.get("kind"), "errorMessage": error.get("message")}
        writer.writerow([cell(row.get(column)) for column in COLUMNS])
    yield _taken(buffer)


def cell(value: Any) -> Any:
    """A value as a cell that holds what it says: text that a spreadsheet could take for a formula is quoted."""
    if value is None:
        return ""
    # Some spreadsheets drop blanks at the beginning before they look.
    if isinstance(value, str) and value.lstrip(" \u00a0\u3000").startswith(_FORMULA_BEGINNINGS):
        return f"'{value}"
    return value


def _taken(buffer: io.StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text
