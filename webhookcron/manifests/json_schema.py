"""The JSON Schema of files of jobs, made from the schemas of the API, for editors and checks before `apply`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin

from webhookcron import __version__
from webhookcron.api.job_schemas import JobFields

DIALECT = "http://json-schema.org/draft-07/schema#"
"""The one that every editor knows."""

_WALL_TIMES = ("runAt",)
"""Moments that may have no offset, which `format: date-time` would refuse."""


def manifest_schema() -> dict[str, Any]:
    """The schema of one file, as JSON values."""
    plugin = MarshmallowPlugin(schema_name_resolver=_inline)
    APISpec(title="webhookcron", version=__version__, openapi_version="3.1.0", plugins=[plugin])
    convert: Callable[[JobFields], dict[str, Any]] = plugin.converter.schema2jsonschema  # type: ignore[union-attr]
    job = convert(JobFields(exclude=("delay_ms",)))
    properties = job["properties"]
    _to_dialect(job)
    for name in _WALL_TIMES:
        properties[name].pop("format", None)
    defaults = {name: field for name, field in properties.items() if name not in ("key", "name")}
    properties["key"] = _without_null(properties["key"])
    return {
        "$schema": DIALECT,
        "title": "webhookcron jobs",
        "description": "Cron jobs as code: webhookcron apply -f FILE. Texts may hold ${env:NAME}.",
        "type": "object",
        "additionalProperties": False,
        "required": ["jobs"],
        "properties": {
            "defaults": {
                "description": "Fields that every job of this file has unless it says otherwise",
                "type": ["object", "null"],
                "additionalProperties": False,
                "properties": defaults,
            },
            "jobs": {"type": ["array", "null"], "items": _job(job, properties)},
        },
    }


def _inline(_: object) -> str:
    """No name: schemas inside schemas stand where they are used, not in a list of OpenAPI's."""
    return ""


def _job(job: dict[str, Any], properties: dict[str, Any]) -> dict[str, Any]:
    # A name, an URL or a schedule may come from `defaults`, so that only the key has to stand with each job.
    return {
        "type": "object",
        "additionalProperties": job.get("additionalProperties", False),
        "required": ["key"],
        "properties": {"key": properties["key"], **properties},
    }


def _to_dialect(schema: Any) -> None:
    """Turn OpenAPI's way to say two things into JSON Schema's, in place and all the way down."""
    if isinstance(schema, list):
        for inner in schema:
            _to_dialect(inner)
    if not isinstance(schema, dict):
        return
    if "example" in schema:
        schema["examples"] = [schema.pop("example")]
    if "object" in _types(schema) and "maxLength" in schema:
        schema["maxProperties"] = schema.pop("maxLength")
    for name, inner in schema.items():
        if name not in ("examples", "enum"):
            _to_dialect(inner)


def _types(schema: dict[str, Any]) -> list[Any]:
    types = schema.get("type", [])
    return types if isinstance(types, list) else [types]


def _without_null(field: dict[str, Any]) -> dict[str, Any]:
    types = field.get("type")
    return {**field, "type": "string"} if isinstance(types, list) else field
