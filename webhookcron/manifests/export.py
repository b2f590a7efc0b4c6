"""Jobs of the platform as a file that `apply` takes back unchanged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import zip_longest
from typing import Any

from webhookcron.core.headers import secret_names
from webhookcron.manifests.definitions import Resource, default_fields, shown_fields
from webhookcron.manifests.json_values import same_json
from webhookcron.manifests.references import escaped
from webhookcron.manifests.yaml_writing import write_yaml
from webhookcron.service.secret_values import MASK

HEADER = """\
# Cron jobs, as code: `webhookcron apply -f FILE` makes the platform look like this file; it first shows what changes.
# What a job leaves out has its default; `webhookcron schema` prints a JSON Schema that lets editors help.
"""

SECRETS_NOTE = """\
# Secrets are never exported. *** keeps the secret that the platform has for this job; where there is none yet, as on
# another platform, write a reference instead, such as ${env:REPORT_TOKEN}. Signing secrets stay as they are; a new job
# gets one of its own, unless it says `signingSecret: ${env:REPORT_SIGNING_SECRET}`.
"""

EMPTY = "jobs: []\n"


def export_text(resources: Iterable[Resource], *, now: datetime) -> str:
    """The YAML of these jobs, each of which must have a key; fields that have their default are left out."""
    defaults = default_fields(now)
    jobs, comments, notes = [], [], HEADER
    for resource in resources:
        kept = masked_fields(resource)
        jobs.append(file_fields(resource, defaults))
        comments.append(f"kept on the platform (***): {', '.join(kept)}" if kept else "")
    if any(comments):
        notes += SECRETS_NOTE
    return notes + entries_text(jobs, comments)


def entries_text(jobs: Iterable[Mapping[str, Any]], comments: Iterable[str] = ()) -> str:
    """The YAML of a file with these entries, each under its comment where it has one."""
    items = []
    for job, comment in zip_longest(jobs, comments, fillvalue=""):
        lines = [f"# {comment}"] if comment else []
        lines += write_yaml([job]).splitlines()
        items.append("\n".join(f"  {line}" if line else "" for line in lines))
    return "jobs:\n" + "\n\n".join(items) + "\n" if items else EMPTY


def file_fields(resource: Resource, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of one job for a file: those that differ from `defaults`, and the time zone always."""
    fields: dict[str, Any] = {"key": resource["key"]}
    for name, value in shown_fields(resource).items():
        if name in ("scheduleType", "isActive") or (name != "timezone" and same_json(value, defaults[name])):
            continue
        fields[name] = escaped(value)
    # No job leaves out its schedule: that of the defaults is none.
    fields.pop("cronExpression", None)
    if resource["scheduleType"] == "cron":
        fields["cronExpression"] = resource["cronExpression"]
    if resource["status"] == "paused":
        fields["isActive"] = False
    order = ("key", *shown_fields(resource))
    return {name: fields[name] for name in order if name in fields}


def masked_fields(resource: Resource) -> list[str]:
    """Where the job has secrets that the platform keeps to itself, its signing secret aside."""
    auth = resource.get("auth") or {}
    secret = secret_names(resource.get("secretHeaders") or ())
    headers = resource.get("headers") or {}
    return [f"auth.{name}" for name, value in auth.items() if value == MASK] + [
        f"headers.{name}" for name, value in headers.items() if name.lower() in secret and value == MASK
    ]
