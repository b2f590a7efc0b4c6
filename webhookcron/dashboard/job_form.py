"""The job form: from what a browser sends to the definition that the API takes, and from a job to the form.

The form holds text only. What the API's own schema and the service find wrong is led back to the form's fields, so that
the form knows no rule of its own beyond how its text is written.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import marshmallow as ma

from webhookcron.api.json_body import BadJson, parse_json_body
from webhookcron.api.schema_base import BaseSchema, camel_case
from webhookcron.core.schedules import resolve_wall_time
from webhookcron.core.zones import zone
from webhookcron.dashboard import form_text
from webhookcron.dashboard.durations import milliseconds
from webhookcron.dashboard.form_errors import FormErrors

SCHEDULE_FIELDS = {
    "cron": ("cron_expression",),
    "interval": ("interval", "interval_value"),
    "once": ("run_at",),
}
"""What the form shows for each type of schedule; the fields of the other types are not read."""

AUTH_FIELDS = {
    "basic": ("username", "password"),
    "bearer": ("token",),
    "header": ("header_name", "header_value"),
    "oauth2": ("token_url", "client_id", "client_secret", "scope", "audience"),
}
"""As above, for each type of credentials."""

_TEXTS = ("name", "key", "description", "webhook_url", "method", "content_type", "success_statuses")
_WORDS = ("misfire_policy", "overlap_policy")
_NUMBERS = ("max_runs", "max_retries", "catch_up_limit", "disable_after_failures", "retention_days")
_FLAGS = ("delete_after_completion", "follow_redirects", "signing", "is_active")
_DURATIONS = {"jitter": "jitter_ms", "timeout": "timeout_ms", "misfire_grace": "misfire_grace_ms"}
_OBJECTS = ("auth", "success_body")
_DELAYS = {"retry_delay": "retry_delay_ms", "retry_max_delay": "retry_max_delay_ms"}

Form = Mapping[str, str]


class JobForm:
    """One submission of the form, read field by field; what cannot be read is noted in `errors`."""

    def __init__(
        self,
        form: Form,
        stored_moments: Mapping[str, datetime | None] | None = None,
        stored_payload: Any = None,
    ) -> None:
        """`stored_moments` are moments of the stored job: a text that still shows one means exactly that one.

        `stored_payload` is its payload (None = it has none), which a form that is too small for it can keep.
        """
        self._form = form
        self._stored_moments = stored_moments or {}
        self._stored_payload = stored_payload
        self.errors = FormErrors()

    def schedule(self) -> dict[str, Any]:
        """The schedule, in the API's fields."""
        type_ = self._text("schedule_type") or "cron"
        wire: dict[str, Any] = {"schedule_type": type_, "timezone": self._text("timezone")}
        for name in SCHEDULE_FIELDS.get(type_, ()):
            if name == "interval_value":
                wire[name] = self._number(name)
            elif name == "run_at":
                wire[name] = self._moment(name, wire["timezone"])
            else:
                wire[name] = self._text(name)
        needed = {"cron": "cron_expression", "interval": "interval_value", "once": "run_at"}.get(type_)
        if needed is not None:
            self._need(needed)
        for name in ("start_at", "end_at"):
            wire[name] = self._moment(name, wire["timezone"])
        return _without_none(wire)

    def request(self) -> dict[str, Any]:
        """The name and the request, in the API's fields."""
        wire: dict[str, Any] = {
            name: self._text(name)
            for name in ("name", "webhook_url", "method", "content_type", "success_statuses")
        }
        wire["secret_headers"] = self._read("secret_headers", form_text.words) or None
        wire["query"] = self._read("query", form_text.pairs_of_query)
        wire["payload"] = self._payload(wire["content_type"])
        wire["timeout_ms"] = self._read("timeout", milliseconds)
        wire["success_body"] = self._success_body()
        wire["follow_redirects"] = self._flag("follow_redirects")
        wire["signing"] = self._flag("signing")
        # Left out, these would keep what is stored of them.
        explicit = {"headers": self._read("headers", form_text.pairs_of_headers) or {}, "auth": self._auth()}
        return _without_none(wire) | explicit

    def definition(self) -> dict[str, Any]:
        """The whole definition, in the API's fields."""
        wire: dict[str, Any] = {name: self._text(name) for name in (*_TEXTS, *_WORDS)}
        wire |= {name: self._number(name) for name in _NUMBERS}
        wire |= {name: self._flag(name) for name in _FLAGS}
        wire |= {target: self._read(name, milliseconds) for name, target in _DURATIONS.items()}
        wire["tags"] = self._read("tags", form_text.words)
        wire["signing_secret"] = self._text("signing_secret")
        wire |= self._retries()
        return _without_none(wire) | self.request() | self.schedule()

    # --- parts

    def _retries(self) -> dict[str, Any]:
        if self._text("retry_mode") == "curve":
            curve: dict[str, Any] = {
                target: self._read(name, milliseconds) for name, target in _DELAYS.items()
            }
            self._need("retry_delay")
            return curve | {"retry_backoff": self._text("retry_backoff")}
        delays = self._read("retry_delays", form_text.delays)
        return {"retry_delays_ms": delays or None}

    def _payload(self, content_type: str | None) -> Any:
        text = self._form.get("payload", "")
        if not text.strip():
            return self._stored_payload if self._flag("keep_payload") else None
        if content_type and "json" not in content_type.lower():
            return text.replace("\r\n", "\n")
        return self._json("payload", text)

    def _success_body(self) -> dict[str, Any] | None:
        match self._choice("success_body_kind", ("pattern", "json")):
            case "pattern":
                self._need("success_pattern")
                return _without_none({"pattern": self._text("success_pattern")})
            case "json":
                self.errors.body_rule_field = "success_json_path"
                self._need("success_json_path")
                self._need("success_equals")
                path, expected = self._text("success_json_path"), self._text("success_equals")
                if path is None or expected is None:
                    return None
                return {"json_path": path, "equals": self._json("success_equals", expected)}
        return None

    def _auth(self) -> dict[str, Any] | None:
        type_ = self._choice("auth_type", tuple(AUTH_FIELDS))
        if type_ is None:
            return None
        return _without_none(
            {"type": type_, **{name: self._text(f"auth_{name}") for name in AUTH_FIELDS[type_]}}
        )

    # --- single fields

    def _text(self, name: str) -> str | None:
        return self._form.get(name, "").strip().replace("\r\n", "\n") or None

    def _need(self, name: str) -> None:
        if self._text(name) is None:
            self.errors.add(name, "is needed")

    def _choice(self, name: str, words: tuple[str, ...]) -> str | None:
        word = self._text(name)
        if word is None or word in words:
            return word
        self.errors.add(name, f"must be one of {', '.join(words)}")
        return None

    def _flag(self, name: str) -> bool:
        return self._form.get(name) == "on"

    def _number(self, name: str) -> int | None:
        number: int | None = self._read(name, form_text.whole_number)
        return number

    def _json(self, name: str, text: str) -> Any:
        try:
            return parse_json_body(text.encode())
        except BadJson as error:
            self.errors.add(name, str(error).replace("the body", "this", 1))
            return None

    def _moment(self, name: str, timezone: str | None) -> str | None:
        text = self._text(name)
        if text is None:
            return None
        stored = self._stored_moments.get(name)
        if stored is not None and form_text.wall_text(stored, timezone or "UTC") == text:
            return stored.isoformat(timespec="milliseconds")
        try:
            wall = datetime.fromisoformat(text).replace(tzinfo=None)
        except ValueError:
            self.errors.add(name, "must be a date and a time such as 2030-01-31 09:00")
            return None
        try:
            zone(timezone or "UTC")
        except ValueError:
            # It is unknown, which is told where the schedule is checked.
            return wall.isoformat() if name == "run_at" else None
        try:
            return resolve_wall_time(wall, timezone or "UTC").isoformat(timespec="milliseconds")
        except (ValueError, OverflowError):
            self.errors.add(name, "must lie within the years 1970 to 9999")
            return None

    def _read(self, name: str, read: Callable[[str], Any]) -> Any:
        text = self._text(name)
        if text is None:
            return None
        try:
            return read(text)
        except ValueError as error:
            self.errors.add(name, str(error))
            return None


def loaded(schema: BaseSchema, wire: Mapping[str, Any], errors: FormErrors) -> dict[str, Any]:
    """The values that the API's schema makes of `wire`; what it refuses is left out, and noted in `errors`."""
    on_the_wire = {
        camel_case(name): _camel(value) if value and name in _OBJECTS else value
        for name, value in wire.items()
    }
    try:
        values: dict[str, Any] = schema.load(on_the_wire)
    except ma.ValidationError as error:
        errors.take(error.messages_dict)
        valid: dict[str, Any] = error.valid_data  # type: ignore[assignment]
        return {name: value for name, value in valid.items() if camel_case(name) not in error.messages_dict}
    return values


def _camel(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {camel_case(name): value for name, value in fields.items()}


def _without_none(wire: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in wire.items() if value is not None}


def pretty_json(value: Any) -> str:
    """A JSON value as people like to read it."""
    return json.dumps(value, ensure_ascii=False, indent=2)
