"""Jobs of files as the platform would understand them: checked by its own rules, in the form its answers have."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import marshmallow as ma

from webhookcron.api.job_schemas import JobFields, JobSchema, ReplaceJobSchema
from webhookcron.api.schema_base import camel_case
from webhookcron.core.headers import secret_names
from webhookcron.core.jobs import Job
from webhookcron.core.request_spec import NO_PAYLOAD, AuthSpec, AuthType, RequestSpec
from webhookcron.core.schedules import IntervalUnit, Schedule, ScheduleType
from webhookcron.core.target_urls import TargetUrl, UrlUnusable, parse_target_url
from webhookcron.core.targets import Refusal, TargetPolicy, TargetRefused
from webhookcron.manifests.errors import ManifestsWrong, Problem
from webhookcron.manifests.files import JobEntry
from webhookcron.manifests.references import resolve
from webhookcron.manifests.yaml_reading import Path
from webhookcron.service.auth_fields import SECRET_FIELDS
from webhookcron.service.definition_fields import definition_fields
from webhookcron.service.definitions import Definition, DefinitionRules, with_definition
from webhookcron.service.errors import Invalid
from webhookcron.service.secret_values import MASK

Resource = Mapping[str, Any]
"""A job as an answer of the API shows it."""

FIELDS: tuple[str, ...] = tuple(
    str(field.data_key) for name, field in JobFields().fields.items() if name not in ("key", "delay_ms")
)
"""The fields of a job in a file besides its key, in the order of the API."""

# Made once: making a schema takes longer than using it.
_WRITTEN = ReplaceJobSchema()
_SHOWN = JobSchema(unknown=ma.EXCLUDE)

_SECRET_AUTH_FIELDS = frozenset(camel_case(name) for name in SECRET_FIELDS)

_UNKNOWN = "is not a known field"
"""What the schemas say about a field that they do not have."""
_DELAY = "delayMs counts from the moment it is sent, which a file cannot know: write runAt, a moment"


class _AnyTarget(TargetPolicy):
    """Judges the form of URLs only: which hosts may be called is for the platform to say."""

    __slots__ = ()

    def judge_url(self, url: str) -> TargetUrl:
        try:
            return parse_target_url(url)
        except UrlUnusable as error:
            raise TargetRefused(Refusal(error.rule, None, str(error))) from error


@dataclass(frozen=True, slots=True)
class DesiredJob:
    """A job of a file, checked."""

    entry: JobEntry
    body: Mapping[str, Any]
    """What is sent: the fields with references replaced; what a file leaves out has its default, credentials too."""
    shown: Mapping[str, Any]
    """Every field of the definition as the platform will show it, secrets masked; `isActive` None where not given."""
    definition: Definition
    referring: frozenset[Path]
    """Where texts came from the environment: they are not to be displayed."""
    gives_secrets: bool
    """Whether secrets are sent, which the platform never shows, so that no plan can tell whether they change."""

    @property
    def key(self) -> str:
        return self.entry.key

    @property
    def name(self) -> str:
        return self.definition.name


def desired_job(
    entry: JobEntry,
    current: Resource | None,
    *,
    environ: Mapping[str, str],
    default_timezone: str,
    now: datetime,
) -> DesiredJob:
    """The job that `entry` asks for in place of `current` (None = there is none with its key).

    Raises ManifestsWrong with everything that is wrong, each at its line.
    """
    problems: list[Problem] = []

    def problem(path: Path, message: str) -> None:
        where = ".".join(str(step) for step in path)
        told = f"{where}: {message}" if where else message
        problems.append(Problem(entry.place(path), f"job {entry.key!r}: {told}"))

    fields, referring = resolve(dict(entry.fields), environ, problem)
    if ("key",) in referring:
        problem(("key",), "a key cannot come from the environment")
    if fields.get("delayMs") is not None:
        problem(("delayMs",), _DELAY)
    if problems:
        raise ManifestsWrong(problems)
    body = {**fields, "auth": fields.get("auth"), "headers": fields.get("headers") or {}}
    stored = None if current is None else job_of_resource(current)
    rules = _rules(default_timezone)
    try:
        values = _WRITTEN.load(body)
        definition = rules.build(values, now=now, stored=stored)
    except ma.ValidationError as error:
        _tell(error.messages, (), problem)
        raise ManifestsWrong(problems) from None
    except Invalid as error:
        _tell(error.errors, (), problem)
        raise ManifestsWrong(problems) from None
    shown = _shown(definition, stored, now)
    shown["isActive"] = fields.get("isActive")
    return DesiredJob(entry, body, shown, definition, referring, _gives_secrets(body, definition))


def shown_fields(resource: Resource) -> dict[str, Any]:
    """The fields of the definition in an answer of the API."""
    return {name: resource.get(name) for name in FIELDS if name != "signingSecret"}


def default_fields(now: datetime) -> dict[str, Any]:
    """What the fields of a job show that a file leaves out, as in `DesiredJob.shown`."""
    rules = _rules("UTC")
    values = {"name": "-", "cron_expression": "0 0 * * *", "webhook_url": "https://example.com/"}
    return {**_shown(rules.build(values, now=now), None, now), "isActive": None}


def job_of_resource(resource: Resource) -> Job:
    """The job that an answer of the API shows; its mask stands in the place of secrets.

    An interval without `startAt` keeps its anchor to itself: `nextRunAt`, which is on its grid, stands in.
    """
    values = _SHOWN.load(dict(resource))
    return Job(
        id=values["id"],
        owner_id=values["owner_id"],
        name=values["name"],
        key=values.get("key"),
        description=values.get("description") or "",
        tags=tuple(values.get("tags") or ()),
        alerts=tuple(values.get("alerts") or ()),
        schedule=schedule_of_values(values),
        request=_request(values),
        created_at=values["created_at"],
        updated_at=values["updated_at"],
        handled_through=values["updated_at"],
        schedule_since=values["updated_at"],
        next_run_at=values.get("next_run_at"),
    )


def schedule_of_values(values: Mapping[str, Any]) -> Schedule:
    """The schedule in the loaded fields of an answer. Raises ValueError when it is none that this version knows."""
    type_ = ScheduleType(values["schedule_type"])
    rule: dict[str, Any]
    match type_:
        case ScheduleType.CRON:
            rule = {"cron_expression": values["cron_expression"]}
        case ScheduleType.INTERVAL:
            start = values.get("start_at")
            rule = {
                "interval": IntervalUnit(values["interval"]),
                "interval_value": values["interval_value"],
                "anchor_at": start or values.get("next_run_at") or values["created_at"],
                "anchor_fires": start is not None,
            }
        case ScheduleType.ONCE:
            rule = {"run_at": values["run_at"]}
    return Schedule(
        type=type_,
        timezone=values.get("timezone") or "UTC",
        start_at=values.get("start_at"),
        end_at=values.get("end_at"),
        **rule,
    )


def _rules(default_timezone: str) -> DefinitionRules:
    return DefinitionRules(
        target_policy=_AnyTarget(), default_timezone=default_timezone, random_bytes=lambda count: bytes(count)
    )


def _request(values: Mapping[str, Any]) -> RequestSpec:
    """The stored request: only what its secrets are kept by matters, and the URLs, which are not judged again."""
    auth = values.get("auth")
    return RequestSpec(
        url=values["webhook_url"],
        headers=tuple((values.get("headers") or {}).items()),
        secret_headers=tuple(values.get("secret_headers") or ()),
        payload=NO_PAYLOAD,
        auth=None if auth is None else AuthSpec(**{**auth, "type": AuthType(auth["type"])}),
    )


def _shown(definition: Definition, stored: Job | None, now: datetime) -> dict[str, Any]:
    job = stored or Job(
        id="",
        owner_id="",
        name="",
        schedule=definition.schedule,
        request=definition.request,
        created_at=now,
        updated_at=now,
        handled_through=now,
        schedule_since=now,
    )
    dumped = _SHOWN.dump(definition_fields(with_definition(job, definition)))
    return {name: dumped.get(name) for name in FIELDS if name not in ("signingSecret", "isActive")}


def _gives_secrets(body: Mapping[str, Any], definition: Definition) -> bool:
    if body.get("signingSecret") not in (None, MASK):
        return True
    auth = body.get("auth") or {}
    if any(auth.get(name) not in (None, MASK) for name in _SECRET_AUTH_FIELDS):
        return True
    secret = secret_names(definition.request.secret_headers)
    return any(name.lower() in secret and value != MASK for name, value in body["headers"].items())


def _names_in(path: Path) -> Collection[str]:
    """The names of the fields of the object at `path` of a job; none where names are free."""
    if not path:
        return FIELDS
    for field in _WRITTEN.fields.values():
        if path == (field.data_key,) and isinstance(field, ma.fields.Nested):
            return [camel_case(name) for name in field.schema.fields]
    return ()


def _tell(errors: Any, path: Path, problem: Any) -> None:
    """Hand on the sentences of nested errors, each with its path in the names of the file."""
    if isinstance(errors, Mapping):
        for name, inner in errors.items():
            step = camel_case(name) if isinstance(name, str) else name
            # A list of items, or the values of an object, have no names of their own in a file.
            # A field that somebody called so has one, and is told to be unknown.
            nameless = path and step in ("Schema", "value") and inner != [_UNKNOWN]
            _tell(inner, path if nameless else (*path, step), problem)
        return
    for message in errors if isinstance(errors, list | tuple) else [errors]:
        text = str(message)
        if text == _UNKNOWN and path:
            near = difflib.get_close_matches(str(path[-1]), _names_in(path[:-1]), n=1, cutoff=0.6)
            text += f"; did you mean {near[0]}?" if near else ""
        problem(path, text)
