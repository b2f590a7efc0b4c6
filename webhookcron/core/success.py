"""What counts as success: statuses, and optionally something the body must hold."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import re2
from jsonpath_ng.parser import parse as parse_json_path

from webhookcron.core.outcomes import SUCCESS, Failure, FailureKind, Outcome
from webhookcron.core.request_spec import DEFAULT_SUCCESS_STATUSES

MAX_STATUSES_LENGTH = 200
MAX_PATTERN_LENGTH = 1000
MAX_JSON_PATH_LENGTH = 200
# A path walks every level below each `..`, and the walks multiply.
MAX_DESCENTS = 1

# RFC 9110: Request Timeout, Too Many Requests; RFC 8470: Too Early. All 5xx are temporary as well.
_TEMPORARY = frozenset({408, 425, 429})

# The part of JSONPath that is supported: $, .name, ['name'], [0], [*], .*, and one ..name.
_JSON_PATH = re.compile(
    r"\$(?:\.\.?[A-Za-z_][A-Za-z0-9_-]*|\.\.?\*|\[(?:[0-9]{1,6}|\*|'[^'\\]+'|\"[^\"\\]+\")\])*"
)


class Response(Protocol):
    """What is judged: the ending of one transfer."""

    @property
    def status(self) -> int | None: ...
    @property
    def body(self) -> bytes: ...
    @property
    def truncated(self) -> bool: ...
    @property
    def failure(self) -> Failure | None: ...


@dataclass(frozen=True, slots=True)
class BodyRule:
    """What the body must hold: a match of a regular expression, or a value at a JSON path.

    Exactly one of `pattern` (RE2 syntax) and `json_path` is set; `equals` is a JSON value.
    """

    pattern: str | None = None
    json_path: str | None = None
    equals: Any = None

    @classmethod
    def parse(cls, rule: Mapping[str, Any]) -> BodyRule:
        """The rule of `{"pattern": …}` or `{"jsonPath": …, "equals": …}`; else ValueError, fit for a user."""
        keys = set(rule)
        if keys == {"pattern"}:
            _compile_pattern(rule["pattern"])
            return cls(pattern=rule["pattern"])
        if keys == {"jsonPath", "equals"}:
            _compile_json_path(rule["jsonPath"])
            return cls(json_path=rule["jsonPath"], equals=rule["equals"])
        raise ValueError('successBody is {"pattern": …} or {"jsonPath": …, "equals": …}')

    def complaint(self, body: bytes, truncated: bool) -> str | None:
        """Why the body does not do, as a sentence without any of its bytes; None when it does.

        Only the kept beginning of a longer body is searched; a JSON path needs the whole.
        """
        if self.pattern is not None:
            if _compile_pattern(self.pattern).search(body.decode("utf-8", "replace")):
                return None
            return "the response body does not match the pattern of successBody"
        assert self.json_path is not None
        if truncated:
            return f"the response body is longer than the {len(body)} bytes in which successBody is looked up"
        path = _compile_json_path(self.json_path)
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            return "the response body is not JSON, so the jsonPath of successBody finds nothing"
        try:
            if any(_same_json(match.value, self.equals) for match in path.find(document)):
                return None
        except RecursionError:
            return "the response body is nested too deeply for the jsonPath of successBody"
        return "the response body holds no such value at the jsonPath of successBody"


@dataclass(frozen=True, slots=True)
class SuccessRule:
    """When an attempt counts as delivered.

    statuses  the status codes that do, from "200-299,304".
    body      what the body must hold besides; None = anything.
    """

    statuses: frozenset[int]
    body: BodyRule | None = None

    @classmethod
    def parse(
        cls, statuses: str = DEFAULT_SUCCESS_STATUSES, body: Mapping[str, Any] | None = None
    ) -> SuccessRule:
        """The rule as jobs write it. Raises ValueError, fit for a user."""
        return cls(parse_statuses(statuses), None if body is None else BodyRule.parse(body))

    def judge(self, response: Response) -> Outcome:
        """The outcome of an attempt. A transport failure stays one, whatever status had arrived by then.

        Statuses follow Standard Webhooks 1.0: 2xx is success, 3xx failure, 410 the end of the job; the job's
        own success statuses come first.
        """
        if response.failure is not None:
            return Outcome.of_failure(response.failure)
        status = response.status
        if status is None:
            return Outcome.of_failure(Failure(FailureKind.PROTOCOL, "the transfer ended without a status"))
        if status not in self.statuses:
            return Outcome.of_failure(_status_failure(status))
        if self.body is not None:
            complaint = self.body.complaint(response.body, response.truncated)
            if complaint is not None:
                return Outcome.of_failure(Failure(FailureKind.BAD_BODY, complaint))
        return SUCCESS


@lru_cache(maxsize=256)
def parse_statuses(text: str) -> frozenset[int]:
    """The codes of a list such as "200-299,304". Raises ValueError, fit for a user."""
    if len(text) > MAX_STATUSES_LENGTH:
        raise ValueError(f"successStatuses may have at most {MAX_STATUSES_LENGTH} characters")
    codes: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"([1-5][0-9]{2})(?:-([1-5][0-9]{2}))?", part.strip(), re.ASCII)
        if match is None:
            raise ValueError(
                f'successStatuses is a list such as "200-299,304"; {part.strip()!r} does not fit'
            )
        first, last = int(match[1]), int(match[2] or match[1])
        if first < 200:
            raise ValueError(f"successStatuses holds {first}, but responses end with a status from 200 on")
        if last < first:
            raise ValueError(f"successStatuses holds {part.strip()!r}, which ends before it starts")
        codes.update(range(first, last + 1))
    return frozenset(codes)


def _status_failure(status: int) -> Failure:
    if status == 410:
        return Failure(FailureKind.GONE, "the target answered 410 Gone: it wants no more calls")
    if status in _TEMPORARY or status >= 500:
        return Failure(FailureKind.TEMPORARY_STATUS, f"the target answered with status {status}")
    if 300 <= status < 400:
        return Failure(
            FailureKind.BAD_STATUS, f"the target answered with status {status}; redirects were not followed"
        )
    return Failure(FailureKind.BAD_STATUS, f"the target answered with status {status}")


@lru_cache(maxsize=1024)
def _compile_pattern(pattern: object) -> Any:
    if not isinstance(pattern, str) or not 1 <= len(pattern) <= MAX_PATTERN_LENGTH:
        raise ValueError(f"the pattern of successBody is text of 1 to {MAX_PATTERN_LENGTH} characters")
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0] if error.args else "unreadable"
        if isinstance(reason, bytes):
            reason = reason.decode("utf-8", "replace")
        raise ValueError(f"the pattern of successBody is not a regular expression (RE2): {reason}") from error


@lru_cache(maxsize=1024)
def _compile_json_path(path: object) -> Any:
    if not isinstance(path, str) or not 1 <= len(path) <= MAX_JSON_PATH_LENGTH:
        raise ValueError(f"the jsonPath of successBody is text of 1 to {MAX_JSON_PATH_LENGTH} characters")
    if not _JSON_PATH.fullmatch(path):
        raise ValueError(
            "the jsonPath of successBody is written with $, .name, ['name'], [0], [*], .* and ..name only"
        )
    if path.count("..") > MAX_DESCENTS:
        raise ValueError("the jsonPath of successBody may hold '..' only once")
    try:
        return parse_json_path(path)
    except Exception as error:  # the parser raises bare Exception for syntax errors
        raise ValueError(f"the jsonPath of successBody cannot be read: {error}") from error


def _same_json(left: Any, right: Any) -> bool:
    # JSON's true is not 1, though Python's True is.
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_same_json(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_same_json, left, right))
    return bool(left == right)
