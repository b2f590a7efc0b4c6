"""Updates compiled to functions from one document to the next; documents are never changed in place.

Source of the rules: MongoDB manual, "Update Operators". The portable subset is `$set $unset $inc $min $max $push
$addToSet $pull $setOnInsert $rename` and replacement documents; everything else is refused.
"""

from typing import Any

from bson import ObjectId

from webhookcron.embedded.adoption import adopt_document, adopt_value, shared_name
from webhookcron.embedded.errors import (
    BAD_VALUE,
    CONFLICTING_UPDATE_OPERATORS,
    EMPTY_FIELD_NAME,
    FAILED_TO_PARSE,
    IMMUTABLE_FIELD,
    PATH_NOT_VIABLE,
    CommandError,
    unsupported,
)
from webhookcron.embedded.field_changes import FIELD_CHANGES, Change, describe
from webhookcron.embedded.matching import is_operator_document
from webhookcron.embedded.ordering import MISSING, Missing, same_value
from webhookcron.embedded.paths import array_position, split_path

_KNOWN_ELSEWHERE = frozenset({"$mul", "$bit", "$currentDate", "$pop", "$pullAll"})
_MAX_PADDING = 1_500_000
"""Elements that one update may pad an array with, as in MongoDB."""


class Update:
    """A compiled update.

    `touches` names the top-level fields it may change; None for a replacement, which may change all.
    """

    __slots__ = ("_changes", "_on_insert", "_replacement", "touches")

    def __init__(
        self,
        changes: list[tuple[tuple[str, ...], Change]],
        on_insert: list[tuple[tuple[str, ...], Change]],
        replacement: dict[str, Any] | None,
    ) -> None:
        self._changes = changes
        self._on_insert = on_insert
        self._replacement = replacement
        self.touches = None if replacement is not None else {parts[0] for parts, _ in changes}

    def apply(self, document: dict[str, Any]) -> dict[str, Any]:
        """The document after the update; the very same object when nothing changes.

        Raises CommandError when an operator does not suit what the document holds.
        """
        if self._replacement is not None:
            return self._replaced(document)
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

    def _replaced(self, document: dict[str, Any]) -> dict[str, Any]:
        replacement = self._replacement or {}
        if "_id" in replacement and not same_value(replacement["_id"], document["_id"]):
            raise _immutable_id()
        new = {"_id": document["_id"], **replacement}
        new["_id"] = document["_id"]
        return document if list(new) == list(document) and _identical(new, document) else new


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
                    52, f"The dollar ($) prefixed field '{name}' in '{name}' is not valid for storage."
                )
        return Update([], [], adopt_document(update))
    changes: list[tuple[tuple[str, ...], Change]] = []
    on_insert: list[tuple[tuple[str, ...], Change]] = []
    for operator, fields in update.items():
        if operator in _KNOWN_ELSEWHERE:
            raise unsupported(f"the update operator {operator}")
        if type(fields) is not dict:
            raise CommandError(
                FAILED_TO_PARSE,
                "Modifiers operate on fields but we found type "
                f"{describe(fields)} instead. For example: {{$mod: {{<field>: ...}}}} not {operator}",
            )
        if operator == "$rename":
            for source, target in fields.items():
                changes += _rename(source, target)
            continue
        make = FIELD_CHANGES.get(operator)
        if make is None:
            raise CommandError(
                FAILED_TO_PARSE,
                f"Unknown modifier: {operator}. Expected a valid update modifier or pipeline-style update "
                "specified as an array",
            )
        collected = on_insert if operator == "$setOnInsert" else changes
        for path, argument in fields.items():
            parts = _update_path(path)
            collected.append((parts, make(path, adopt_value(argument, len(parts)))))
    _refuse_conflicts(changes, on_insert)
    if len(changes) > 1:
        # MongoDB adds new fields in the order of their names, whatever the order in the update.
        changes.sort(key=_path_of)
    return Update(changes, on_insert, None)


def _path_of(change: tuple[tuple[str, ...], Change]) -> tuple[str, ...]:
    return change[0]


def _update_path(path: str) -> tuple[str, ...]:
    if path == "":
        raise CommandError(EMPTY_FIELD_NAME, "An empty update path is not valid.")
    if "." not in path:
        if path[0] == "$":
            raise CommandError(
                52, f"The dollar ($) prefixed field '{path}' in '{path}' is not valid for storage."
            )
        return (shared_name(path),)
    parts = split_path(path)
    if any(part.startswith("$") for part in parts):
        raise unsupported("a positional operator in an update path")
    return tuple(shared_name(part) for part in parts)


def _refuse_conflicts(
    changes: list[tuple[tuple[str, ...], Change]], on_insert: list[tuple[tuple[str, ...], Change]]
) -> None:
    seen: set[tuple[str, ...]] = set()
    prefixes: set[tuple[str, ...]] = set()
    for parts, _ in changes + on_insert if on_insert else changes:
        conflict: tuple[str, ...] | None = None
        if parts in seen or parts in prefixes:
            conflict = parts
        elif len(parts) > 1:
            for length in range(1, len(parts)):
                prefix = parts[:length]
                if prefix in seen:
                    conflict = prefix
                prefixes.add(prefix)
        if conflict is not None:
            raise CommandError(
                CONFLICTING_UPDATE_OPERATORS,
                f"Updating the path '{'.'.join(parts)}' would create a conflict at '{'.'.join(conflict)}'",
            )
        seen.add(parts)


def _applied(document: dict[str, Any], changes: list[tuple[tuple[str, ...], Change]]) -> dict[str, Any]:
    new: dict[str, Any] | None = None
    for parts, change in changes:
        name = parts[0]
        old = (document if new is None else new).get(name, MISSING)
        value = change(old, document) if len(parts) == 1 else _changed_below(old, parts, 1, change, document)
        if value is old or _identical(old, value):
            continue
        if name == "_id" and "_id" in document:
            raise _immutable_id()
        if new is None:
            new = document.copy()
        if value is MISSING:
            del new[name]
        else:
            new[name] = value
    return document if new is None else new


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
        raise CommandError(
            CANNOT_BACKFILL_ARRAY, f"can't backfill more than {_MAX_PADDING} elements of an array"
        )
    return [*node, *([None] * (offset - len(node))), value]


CANNOT_BACKFILL_ARRAY = 10358


def _identical(old: Any, new: Any) -> bool:
    """Whether both are the same in BSON, types included, so that writing `new` would change nothing."""
    if type(old) is not type(new):
        return False
    if type(old) is dict:
        return (
            len(old) == len(new)
            and list(old) == list(new)
            and all(map(_identical, old.values(), new.values()))
        )
    if type(old) is list:
        return len(old) == len(new) and all(map(_identical, old, new))
    return bool(old == new) and not isinstance(old, Missing)


def _rename(source: str, target: Any) -> list[tuple[tuple[str, ...], Change]]:
    if type(target) is not str:
        raise CommandError(BAD_VALUE, f"The 'to' field for $rename must be a string: {source}: {target!r}")
    if source == target:
        raise CommandError(
            BAD_VALUE, f'The source and target field for $rename must differ: {source}: "{target}"'
        )
    from_parts, to_parts = _update_path(source), _update_path(target)
    if len(from_parts) > 1 or len(to_parts) > 1:
        raise unsupported("$rename of a field inside another")
    name = from_parts[0]

    def taken(old: Any, document: dict[str, Any]) -> Any:
        return MISSING

    def received(old: Any, document: dict[str, Any]) -> Any:
        return document.get(name, old)

    return [(from_parts, taken), (to_parts, received)]


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
            elif _is_pattern(operand):
                continue
            _plant(seed, split_path(name), value)


def _is_pattern(operand: Any) -> bool:
    return type(operand).__name__ == "Regex"


def _plant(seed: dict[str, Any], parts: tuple[str, ...], value: Any) -> None:
    node = seed
    for part in parts[:-1]:
        child = node.setdefault(part, {})
        if type(child) is not dict:
            raise _not_viable(child, parts, 1)
        node = child
    if parts[-1] in node:
        raise CommandError(54, f"cannot infer query fields to set, path '{'.'.join(parts)}' is matched twice")
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
