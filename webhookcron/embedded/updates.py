"""Updates compiled to functions from one document to the next; documents are never changed in place.

Source of the rules: MongoDB manual, "Update Operators". The portable subset is `$set $unset $inc $min $max $push
$addToSet $pull $setOnInsert` and replacement documents; everything else is refused.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from bson import ObjectId, Regex

from webhookcron.embedded.adoption import NOT_PLAIN, adopt_document, adopt_value, shared_name
from webhookcron.embedded.errors import (
    BAD_VALUE,
    CONFLICTING_UPDATE_OPERATORS,
    DOLLAR_PREFIXED_FIELD_NAME,
    EMPTY_FIELD_NAME,
    FAILED_TO_PARSE,
    IMMUTABLE_FIELD,
    NOT_SINGLE_VALUE_FIELD,
    PATH_NOT_VIABLE,
    CommandError,
    unsupported,
)
from webhookcron.embedded.field_changes import FIELD_CHANGES, Change, describe
from webhookcron.embedded.matching import is_operator_document
from webhookcron.embedded.ordering import MISSING, same_value
from webhookcron.embedded.paths import array_position, split_path

_KNOWN_ELSEWHERE = frozenset({"$mul", "$bit", "$currentDate", "$pop", "$pullAll", "$rename"})
_MAX_PADDING = 1_500_000
"""Elements that one update may pad an array with, as in MongoDB."""


@dataclass(frozen=True, slots=True)
class Step:
    """One field of an update's shape: where its argument is, where it acts, and what makes the change of it."""

    operator: str
    path: str
    name: str
    """The top-level field."""
    parts: tuple[str, ...] | None
    """All components of a dotted path; None when the path is the field itself."""
    make: Callable[[str, Any], Change] | None
    """None for operators that put their argument in place as it is."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What updates with the same operators on the same paths share."""

    steps: tuple[Step, ...]
    on_insert: tuple[Step, ...]
    touches: frozenset[str]


_Change = tuple[str, tuple[str, ...] | None, Change | None, Any]
"""Field, dotted path or None, the change or None for "assign", and the value to assign."""


class Update:
    """A compiled update.

    `touches` names the top-level fields it may change; None for a replacement, which may change all.
    """

    __slots__ = ("_changes", "_on_insert", "_replacement", "touches")

    def __init__(
        self,
        changes: list[_Change],
        on_insert: list[_Change],
        replacement: dict[str, Any] | None,
        touches: frozenset[str] | None,
    ) -> None:
        self._changes = changes
        self._on_insert = on_insert
        self._replacement = replacement
        self.touches = touches

    def apply(self, document: dict[str, Any]) -> dict[str, Any]:
        """The document after the update; the very same object when nothing changes.

        Raises CommandError when an operator does not suit what the document holds.
        """
        if self._replacement is not None:
            return self._replaced(document, self._replacement)
        return _applied(document, self._changes)

    def new_document(self, condition: dict[str, Any]) -> dict[str, Any]:
        """The document that an upsert inserts: the equalities of the filter, then the update, `_id` first."""
        seed: dict[str, Any] = {}
        _seed_from_filter(condition, seed)
        if self._replacement is not None:
            seed = {"_id": seed["_id"]} if "_id" in seed else {}
            document = {**seed, **self._replacement}
            if "_id" in seed and not same_value(seed["_id"], document["_id"]):
                raise _immutable_id()
        else:
            document = _applied(seed, self._changes + self._on_insert)
        identity = document.get("_id", MISSING)
        return adopt_document({"_id": ObjectId() if identity is MISSING else identity, **document})

    @staticmethod
    def _replaced(document: dict[str, Any], replacement: dict[str, Any]) -> dict[str, Any]:
        if "_id" in replacement and not same_value(replacement["_id"], document["_id"]):
            raise _immutable_id()
        new = {"_id": document["_id"], **replacement}
        new["_id"] = document["_id"]
        return document if identical(new, document) else new


def compile_update(update: Any) -> Update:
    """The compiled form of a command's update, which is a replacement unless its names start with `$`."""
    if type(update) is list:
        raise unsupported("an update by an aggregation pipeline")
    if type(update) is not dict:
        raise CommandError(FAILED_TO_PARSE, "Update argument must be either an object or an array")
    if not is_operator_document(update):
        for name in update:
            if name.startswith("$"):
                raise CommandError(
                    DOLLAR_PREFIXED_FIELD_NAME,
                    f"The dollar ($) prefixed field '{name}' in '{name}' is not valid for storage.",
                )
        return Update([], [], adopt_document(update), None)
    for operator, fields in update.items():
        if type(fields) is not dict:
            raise CommandError(
                FAILED_TO_PARSE,
                f"Modifiers operate on fields but we found type {describe(fields)} instead. "
                f"For example: {{$mod: {{<field>: ...}}}} not {operator}",
            )
    shape = shape_of(tuple([(operator, *fields) for operator, fields in update.items()]))
    return Update(_changes(shape.steps, update), _changes(shape.on_insert, update), None, shape.touches)


def _changes(steps: tuple[Step, ...], update: dict[str, Any]) -> list[_Change]:
    changes: list[_Change] = []
    for step in steps:
        argument = update[step.operator][step.path]
        if type(argument) in NOT_PLAIN:
            argument = adopt_value(argument, 1 if step.parts is None else len(step.parts))
        if step.make is not None:
            changes.append((step.name, step.parts, step.make(step.path, argument), None))
        else:
            changes.append((step.name, step.parts, None, MISSING if step.operator == "$unset" else argument))
    return changes


@lru_cache(maxsize=1000)
def shape_of(operators: tuple[tuple[str, ...], ...]) -> Shape:
    """The shape of an update given as (operator, path, path, …) for each operator."""
    steps: list[Step] = []
    on_insert: list[Step] = []
    for operator, *paths in operators:
        if operator in _KNOWN_ELSEWHERE:
            raise unsupported(f"the update operator {operator}")
        if operator not in FIELD_CHANGES:
            raise CommandError(
                FAILED_TO_PARSE,
                f"Unknown modifier: {operator}. Expected a valid update modifier or pipeline-style update "
                "specified as an array",
            )
        for path in paths:
            parts = _update_path(path)
            step = Step(operator, path, parts[0], parts if len(parts) > 1 else None, FIELD_CHANGES[operator])
            (on_insert if operator == "$setOnInsert" else steps).append(step)
    _refuse_conflicts(steps + on_insert)
    # MongoDB adds new fields in the order of their names, whatever the order in the update.
    steps.sort(key=lambda step: step.parts or (step.name,))
    return Shape(tuple(steps), tuple(on_insert), frozenset(step.name for step in steps))


def _update_path(path: str) -> tuple[str, ...]:
    if path == "":
        raise CommandError(EMPTY_FIELD_NAME, "An empty update path is not valid.")
    if path[0] == "$" and "." not in path:
        raise CommandError(
            DOLLAR_PREFIXED_FIELD_NAME,
            f"The dollar ($) prefixed field '{path}' in '{path}' is not valid for storage.",
        )
    parts = split_path(path)
    if any(part.startswith("$") for part in parts):
        raise unsupported("a positional operator in an update path")
    return tuple(shared_name(part) for part in parts)


def _refuse_conflicts(steps: list[Step]) -> None:
    seen: set[tuple[str, ...]] = set()
    prefixes: set[tuple[str, ...]] = set()
    for step in steps:
        parts = step.parts or (step.name,)
        own_prefixes = {parts[:length] for length in range(1, len(parts))}
        conflict = parts if parts in seen | prefixes else next(iter(own_prefixes & seen), None)
        if conflict is not None:
            raise CommandError(
                CONFLICTING_UPDATE_OPERATORS,
                f"Updating the path '{step.path}' would create a conflict at '{'.'.join(conflict)}'",
            )
        seen.add(parts)
        prefixes |= own_prefixes


def _applied(document: dict[str, Any], changes: list[_Change]) -> dict[str, Any]:
    new = document
    for name, parts, change, value in changes:
        old = new.get(name, MISSING)
        if parts is not None:
            value = _changed_below(old, parts, 1, change or _assigned(value), document)
        elif change is not None:
            value = change(old, document)
        if value is old or identical(old, value):
            continue
        if name == "_id" and "_id" in document:
            raise _immutable_id()
        if new is document:
            new = document.copy()
        if value is MISSING:
            del new[name]
        else:
            new[name] = value
    return new


def _assigned(value: Any) -> Change:
    return lambda old, document: value


def _changed_below(
    node: Any, parts: tuple[str, ...], depth: int, change: Change, document: dict[str, Any]
) -> Any:
    """The value that replaces `node` when the change is made at `parts[depth:]` below it."""
    part = parts[depth]
    last = depth == len(parts) - 1
    if node is MISSING:
        value = (
            change(MISSING, document) if last else _changed_below(MISSING, parts, depth + 1, change, document)
        )
        return MISSING if value is MISSING else {part: value}
    if type(node) is dict:
        old = node.get(part, MISSING)
        value = change(old, document) if last else _changed_below(old, parts, depth + 1, change, document)
        if value is old:
            return node
        if value is MISSING:
            return {name: kept for name, kept in node.items() if name != part}
        return {**node, part: value}
    if type(node) is list:
        return _changed_in_array(node, parts, depth, change, document)
    value = change(MISSING, document)
    if value is MISSING:
        return node
    raise _not_viable(node, parts, depth)


def _changed_in_array(
    node: list[Any], parts: tuple[str, ...], depth: int, change: Change, document: dict[str, Any]
) -> Any:
    offset = array_position(parts[depth])
    present = offset is not None and offset < len(node)
    old = node[offset] if offset is not None and present else MISSING
    if depth == len(parts) - 1:
        value = change(old, document)
    elif offset is None:
        value = change(MISSING, document)
    else:
        value = _changed_below(old, parts, depth + 1, change, document)
    if value is old:
        return node
    if offset is None:
        raise _not_viable(node, parts, depth)
    if value is MISSING:
        # Removing an element by $unset leaves null in its place.
        value = None
    if present:
        return [*node[:offset], value, *node[offset + 1 :]]
    if offset - len(node) > _MAX_PADDING:
        raise CommandError(BAD_VALUE, f"can't backfill more than {_MAX_PADDING} elements of an array")
    return [*node, *([None] * (offset - len(node))), value]


def identical(old: Any, new: Any) -> bool:
    """Whether both are the same in BSON, types included, so that writing `new` would change nothing."""
    if type(old) is not type(new):
        return False
    if type(old) is dict:
        return list(old) == list(new) and all(map(identical, old.values(), new.values()))
    if type(old) is list:
        return len(old) == len(new) and all(map(identical, old, new))
    return bool(old == new)


def _seed_from_filter(condition: dict[str, Any], seed: dict[str, Any]) -> None:
    for name, operand in condition.items():
        if name == "$and":
            for clause in operand:
                _seed_from_filter(clause, seed)
        elif name == "$or" and len(operand) == 1:
            _seed_from_filter(operand[0], seed)
        elif name[:1] != "$":
            value = operand
            if is_operator_document(operand):
                if "$eq" not in operand:
                    continue
                value = operand["$eq"]
            elif type(operand) is Regex:
                continue
            _plant(seed, split_path(name), value)


def _plant(seed: dict[str, Any], parts: tuple[str, ...], value: Any) -> None:
    node = seed
    for part in parts[:-1]:
        child = node.setdefault(part, {})
        if type(child) is not dict:
            raise _not_viable(child, parts, 1)
        node = child
    if parts[-1] in node:
        raise CommandError(
            NOT_SINGLE_VALUE_FIELD,
            f"cannot infer query fields to set, path '{'.'.join(parts)}' is matched twice",
        )
    node[parts[-1]] = value


def _not_viable(node: Any, parts: tuple[str, ...], depth: int) -> CommandError:
    return CommandError(
        PATH_NOT_VIABLE,
        f"Cannot create field '{parts[depth]}' in element {{{parts[depth - 1]}: {describe_value(node)}}}",
    )


def describe_value(value: Any) -> str:
    """A value as an error message shows it."""
    return f'"{value}"' if type(value) is str else str(value)


def _immutable_id() -> CommandError:
    return CommandError(
        IMMUTABLE_FIELD, "Performing an update on the path '_id' would modify the immutable field '_id'"
    )
