"""What counts as success: statuses, patterns, JSON paths."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from webhookcron.core.outcomes import Failure, FailureKind, OutcomeStatus
from webhookcron.core.success import SuccessRule, parse_statuses


@dataclass
class FakeResponse:
    status: int | None = 200
    body: bytes = b""
    truncated: bool = False
    failure: Failure | None = None


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("200-299", [200, 299], [199, 300]),
        ("200-299,304", [204, 304], [303, 305]),
        (" 200 , 410-410 ", [200, 410], [201, 409]),
        ("500", [500], [200]),
    ],
)
def test_a_list_of_statuses_is_read(text: str, inside: list[int], outside: list[int]) -> None:
    statuses = parse_statuses(text)
    assert statuses.issuperset(inside)
    assert statuses.isdisjoint(outside)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2xx",
        "200-",
        "-200",
        "299-200",
        "99",
        "600",
        "100-299",
        "200,,201",
        "200;201",
        "200" + ",200" * 60,
        "２００",
    ],
)
def test_an_unreadable_list_of_statuses_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="successStatuses"):
        parse_statuses(text)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (200, None),
        (204, None),
        (299, None),
        (301, "bad_status"),
        (304, "bad_status"),
        (307, "bad_status"),
        (400, "bad_status"),
        (401, "bad_status"),
        (404, "bad_status"),
        (408, "temporary_status"),
        (410, "gone"),
        (422, "bad_status"),
        (425, "temporary_status"),
        (429, "temporary_status"),
        (500, "temporary_status"),
        (501, "temporary_status"),
        (502, "temporary_status"),
        (503, "temporary_status"),
        (504, "temporary_status"),
        (599, "temporary_status"),
    ],
)
def test_statuses_are_judged_as_standard_webhooks_has_it(status: int, kind: str | None) -> None:
    outcome = SuccessRule.parse().judge(FakeResponse(status=status))
    assert (outcome.failure and outcome.failure.kind) == kind


def test_a_job_may_call_any_status_success() -> None:
    rule = SuccessRule.parse("410,302")
    assert rule.judge(FakeResponse(status=410)).succeeded
    assert rule.judge(FakeResponse(status=302)).succeeded
    assert not rule.judge(FakeResponse(status=200)).succeeded


def test_a_transport_failure_stays_one_whatever_status_came() -> None:
    response = FakeResponse(status=200, failure=Failure(FailureKind.TIMEOUT, "dripped"))
    outcome = SuccessRule.parse().judge(response)
    assert outcome.status is OutcomeStatus.TIMEOUT


def test_no_status_and_no_failure_is_no_success() -> None:
    assert not SuccessRule.parse().judge(FakeResponse(status=None)).succeeded


def _fits(rule: dict[str, Any], body: bytes, *, truncated: bool = False) -> bool:
    outcome = SuccessRule.parse(body=rule).judge(FakeResponse(body=body, truncated=truncated))
    if not outcome.succeeded:
        assert outcome.failure is not None
        assert outcome.failure.kind is FailureKind.BAD_BODY
    return outcome.succeeded


@pytest.mark.parametrize(
    ("pattern", "body", "fits"),
    [
        ("ok", b"all ok here", True),
        ("^ok$", b"ok", True),
        ("^ok$", b"not ok", False),
        ("(?i)OK", b"ok", True),
        ("grün", "alles grün".encode(), True),
        ("ok", b"\xff\xfe ok", True),
    ],
)
def test_a_pattern_is_searched_in_the_body(pattern: str, body: bytes, fits: bool) -> None:
    assert _fits({"pattern": pattern}, body) is fits


def test_a_pattern_is_searched_in_what_is_kept_of_a_longer_body() -> None:
    assert _fits({"pattern": "ok"}, b"ok and so on", truncated=True)


@pytest.mark.parametrize(
    ("path", "equals", "document", "fits"),
    [
        ("$.status", "ok", {"status": "ok"}, True),
        ("$.status", "ok", {"status": "no"}, False),
        ("$.status", "ok", {}, False),
        ("$.status", None, {"status": None}, True),
        ("$.status", None, {}, False),
        ("$.done", True, {"done": 1}, False),
        ("$.done", 1, {"done": True}, False),
        ("$.n", 1, {"n": 1.0}, True),
        ("$.jobs[*].state", "done", {"jobs": [{"state": "new"}, {"state": "done"}]}, True),
        ("$.jobs[1].state", "new", {"jobs": [{"state": "new"}]}, False),
        ("$['a b'].c", [1, {"d": 2}], {"a b": {"c": [1, {"d": 2}]}}, True),
        ("$.a", [True], {"a": [1]}, False),
        ("$..code", 7, {"deep": {"er": {"code": 7}}}, True),
        ("$", "ok", "ok", True),
    ],
)
def test_a_json_path_must_lead_to_the_value(path: str, equals: Any, document: Any, fits: bool) -> None:
    assert _fits({"jsonPath": path, "equals": equals}, json.dumps(document).encode()) is fits


@pytest.mark.parametrize("body", [b"", b"<html>", b"{", b"[" * 16_000, b"\xff"])
def test_a_json_path_finds_nothing_where_there_is_no_json(body: bytes) -> None:
    assert not _fits({"jsonPath": "$.a", "equals": 1}, body)


def test_a_json_path_survives_a_deeply_nested_answer() -> None:
    body = b'{"a":' * 900 + b"1" + b"}" * 900
    assert not _fits({"jsonPath": "$..b", "equals": 1}, body)


def test_a_json_path_needs_the_whole_body() -> None:
    assert not _fits({"jsonPath": "$.a", "equals": 1}, b'{"a":1}', truncated=True)


def test_the_message_never_repeats_the_body() -> None:
    outcome = SuccessRule.parse(body={"pattern": "ok"}).judge(FakeResponse(body=b"internal secret"))
    assert outcome.failure is not None
    assert "internal secret" not in outcome.failure.message


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ({}, "successBody"),
        ({"pattern": "a", "equals": 1}, "successBody"),
        ({"jsonPath": "$.a"}, "successBody"),
        ({"pattern": ""}, "1 to 1000"),
        ({"pattern": "x" * 1001}, "1 to 1000"),
        ({"pattern": 5}, "1 to 1000"),
        ({"pattern": "("}, "regular expression"),
        ({"pattern": r"(a)\1"}, "regular expression"),
        ({"jsonPath": "", "equals": 1}, "1 to 200"),
        ({"jsonPath": "a.b", "equals": 1}, "written with"),
        ({"jsonPath": "$.a[?(@.b)]", "equals": 1}, "written with"),
        ({"jsonPath": "$.`len`", "equals": 1}, "written with"),
        ({"jsonPath": "$..a..b", "equals": 1}, "only once"),
        ({"jsonPath": None, "equals": 1}, "1 to 200"),
    ],
)
def test_an_unreadable_body_rule_is_refused(rule: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        SuccessRule.parse(body=rule)
