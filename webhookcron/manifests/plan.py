"""The plan: what applying files would create, change and delete, field by field, and what comes of it.

Pure: what the files ask for and what the platform shows go in, the moment is given.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from webhookcron.manifests.definitions import DesiredJob, Resource, job_of_resource, shown_fields
from webhookcron.manifests.effects import effects_of_change, effects_of_creation, effects_of_deletion
from webhookcron.manifests.errors import Place
from webhookcron.manifests.json_values import same_json
from webhookcron.manifests.yaml_reading import Path
from webhookcron.service.secret_values import MASK

HIDDEN = "(hidden: it comes from the environment)"
_NEVER_SHOWN = "signingSecret"
"""What a file may give and the platform never shows, not even masked."""
MAX_SHOWN_CHARACTERS = 120
"""Of one value in the words of a plan; the JSON plan has all of it."""


class ActionKind(StrEnum):
    """What becomes of a job."""

    CREATE = "create"
    """It is in the files and not on the platform."""
    CHANGE = "change"
    """It is on both sides, and differs."""
    DELETE = "delete"
    """It has a key that is in no file, and pruning was asked for."""
    SEND_SECRETS = "sendSecrets"
    """It looks the same, and gives secrets, which are never shown: only sending them makes sure."""
    NONE = "none"
    """It is the same on both sides."""


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A value that differs. Paths go into objects; lists are whole. None on a side = it is not there."""

    path: tuple[str, ...]
    before: Any
    after: Any

    @property
    def name(self) -> str:
        return ".".join(self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """What becomes of one job."""

    kind: ActionKind
    key: str
    name: str
    place: Place | None
    """Where the file has it; None for a deletion."""
    job_id: str | None
    """Its id on the platform; None when it is new."""
    version: int | None
    """The version that was compared; a change is made to this one only."""
    changes: tuple[FieldChange, ...] = ()
    effects: tuple[str, ...] = ()
    """What comes of it for fire times, a sentence each."""
    body: Mapping[str, Any] | None = None
    """What is sent; None where nothing is."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What applying would do, in the order of the files; deletions come last."""

    actions: tuple[Action, ...]

    def of(self, *kinds: ActionKind) -> tuple[Action, ...]:
        """The actions of these kinds."""
        return tuple(action for action in self.actions if action.kind in kinds)

    @property
    def drifted(self) -> tuple[Action, ...]:
        """The actions that show a difference between files and platform."""
        return self.of(ActionKind.CREATE, ActionKind.CHANGE, ActionKind.DELETE)

    @property
    def to_do(self) -> tuple[Action, ...]:
        """The actions that send something."""
        return tuple(action for action in self.actions if action.kind is not ActionKind.NONE)


def make_plan(
    desired: Iterable[DesiredJob],
    current: Mapping[str, Resource],
    *,
    prune: Iterable[Resource] = (),
    now: datetime,
) -> Plan:
    """The plan to turn `current` (the caller's jobs by key) into `desired`, deleting the jobs in `prune`."""
    actions = [_action(job, current.get(job.key), now) for job in desired]
    actions += [_deletion(resource) for resource in prune]
    return Plan(tuple(actions))


def plan_as_json(plan: Plan) -> dict[str, Any]:
    """The plan as JSON values: counts by kind, and every action that sends something."""
    return {
        "counts": {kind.value: len(plan.of(kind)) for kind in ActionKind},
        "drift": bool(plan.drifted),
        "actions": [
            {
                "kind": action.kind.value,
                "key": action.key,
                "name": action.name,
                "id": action.job_id,
                "place": None if action.place is None else str(action.place),
                "changes": [
                    {"field": change.name, "before": change.before, "after": change.after}
                    for change in action.changes
                ],
                "effects": list(action.effects),
            }
            for action in plan.to_do
        ],
    }


def value_words(value: Any) -> str:
    """A value of a job on one line, cut where it is long."""
    if value is None:
        return "(none)"
    text = value if value == HIDDEN else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_SHOWN_CHARACTERS else text[: MAX_SHOWN_CHARACTERS - 1] + "…"


def _action(job: DesiredJob, resource: Resource | None, now: datetime) -> Action:
    wanted_activity = job.shown["isActive"]
    if resource is None:
        return Action(
            kind=ActionKind.CREATE,
            key=job.key,
            name=job.name,
            place=job.entry.place(),
            job_id=None,
            version=None,
            changes=tuple(_creation_changes(job)),
            effects=tuple(effects_of_creation(job.definition, active=wanted_activity is not False, now=now)),
            body=job.body,
        )
    changes = tuple(_changes(job, resource))
    kind = ActionKind.CHANGE if changes else ActionKind.NONE
    if not changes and job.gives_secrets:
        kind = ActionKind.SEND_SECRETS
    effects: list[str] = []
    if changes:
        stored = job_of_resource(resource)
        effects = effects_of_change(resource, stored, job.definition, active=wanted_activity, now=now)
    return Action(
        kind=kind,
        key=job.key,
        name=job.name,
        place=job.entry.place(),
        job_id=resource["id"],
        version=resource["version"],
        changes=changes,
        effects=tuple(effects),
        body=None if kind is ActionKind.NONE else job.body,
    )


def _deletion(resource: Resource) -> Action:
    return Action(
        kind=ActionKind.DELETE,
        key=resource["key"],
        name=resource["name"],
        place=None,
        job_id=resource["id"],
        version=resource["version"],
        effects=tuple(effects_of_deletion(resource, job_of_resource(resource))),
    )


def _creation_changes(job: DesiredJob) -> Iterable[FieldChange]:
    """The fields that the file gives, with what the platform will show for them."""
    for name, value in job.shown.items():
        if name in job.entry.fields and value is not None and name != "name":
            for path, inner in _leaves((name,), value):
                yield FieldChange(path, None, HIDDEN if _referring(job, path) else inner)
    if job.entry.fields.get(_NEVER_SHOWN) is not None:
        hidden = HIDDEN if _referring(job, (_NEVER_SHOWN,)) else MASK
        yield FieldChange((_NEVER_SHOWN,), None, hidden)


def _changes(job: DesiredJob, resource: Resource) -> Iterable[FieldChange]:
    present = shown_fields(resource)
    for name, wanted in job.shown.items():
        # A file that does not say whether the job is active leaves that to people.
        if name == "isActive" and wanted is None:
            continue
        before, after = present.get(name), wanted
        if same_json(before, after):
            continue
        for path, old, new in _differences((name,), before, after):
            if _referring(job, path):
                # What was there before may be the secret of yesterday.
                old, new = (None if old is None else HIDDEN), HIDDEN
            yield FieldChange(path, old, new)


def _differences(path: tuple[str, ...], old: Any, new: Any) -> Iterable[tuple[tuple[str, ...], Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in (*old, *(name for name in new if name not in old)):
            if name not in old or name not in new or not same_json(old[name], new[name]):
                yield from _differences((*path, name), old.get(name), new.get(name))
    else:
        yield path, old, new


def _leaves(path: tuple[str, ...], value: Any) -> Iterable[tuple[tuple[str, ...], Any]]:
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _leaves((*path, name), inner)
    else:
        yield path, value


def _referring(job: DesiredJob, path: Path) -> bool:
    """Whether the value at `path` is, holds, or is inside a text that came from the environment."""
    return any(origin[: len(path)] == path or path[: len(origin)] == origin for origin in job.referring)
