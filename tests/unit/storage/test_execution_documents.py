"""Attempts in documents: what comes back is what was written, older forms included."""

from __future__ import annotations

from datetime import UTC, datetime

import bson
from bson.codec_options import CodecOptions
from hypothesis import given
from hypothesis import strategies as st

from webhookcron.core.executions import Attempt
from webhookcron.storage.client import Document
from webhookcron.storage.execution_documents import attempt_document, attempt_from_document

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)

AWARE: CodecOptions[Document] = CodecOptions(tz_aware=True, tzinfo=UTC)

NAMES = st.text(st.characters(codec="latin-1", exclude_characters=":"), max_size=8)
VALUES = st.text(st.characters(codec="latin-1"), max_size=12)
HEADERS = st.lists(st.tuples(NAMES, VALUES), max_size=5).map(tuple)


def attempt_with(**fields: object) -> Attempt:
    return Attempt(number=1, started_at=T0, duration_ms=3, **fields)  # type: ignore[arg-type]


def stored(document: Document) -> Document:
    return bson.decode(bson.encode(document), AWARE)


@given(HEADERS, HEADERS)
def test_headers_come_back_as_they_were(
    request_headers: tuple[tuple[str, str], ...], response_headers: tuple[tuple[str, str], ...]
) -> None:
    attempt = attempt_with(request_headers=request_headers, response_headers=response_headers)
    assert attempt_from_document(stored(attempt_document(attempt))) == attempt


def test_headers_are_one_text() -> None:
    attempt = attempt_with(response_headers=(("Date", "Thu, 01 Jan 2026 00:00:00 GMT"), ("X-Empty", "")))
    document = attempt_document(attempt)
    assert document["responseHeaders"] == "Date:Thu, 01 Jan 2026 00:00:00 GMT\nX-Empty:"
    assert "requestHeaders" not in document


def test_headers_of_an_older_release_are_read() -> None:
    document = attempt_document(attempt_with()) | {"requestHeaders": [["A", "1"], ["B", "x:y"]]}
    assert attempt_from_document(stored(document)).request_headers == (("A", "1"), ("B", "x:y"))
