"""The update operators: how each turns the old value of one field into the new one.

A change takes the old value (MISSING when the field is absent) and the document it stands in, and returns the new
value: MISSING removes the field, the very same object leaves it as it is.
"""

from collections.abc import Callable
from typing import Any

from bson import Int64, Regex

from webhookcron.embedded.errors import BAD_VALUE, TYPE_MISMATCH, CommandError, unsupported
from webhookcron.embedded.matching import compile_filter, is_operator_document, value_test
from webhookcron.embedded.operators import is_number, pattern
from webhookcron.embedded.ordering import MISSING, encode_value, same_value

Change = Callable[[Any, dict[str, Any]], Any]

_INT64_MAX = 2**63 - 1
_INT64_MIN = -(2**63)

_TYPE_NAMES = {
    "Missing": "missing",
    "NoneType": "null",
    "str": "string",
    "bool": "bool",
    "int": "int",
    "Int64": "long",
    "float": "double",
    "datetime": "date",
    "DatetimeMS": "date",
    "ObjectId": "objectId",
    "dict": "object",
    "list": "array",
    "bytes": "binData",
    "Binary": "binData",
}


def describe(value: Any) -> str:
    """The BSON name of a value's type."""
    name = type(value).__name__
    return _TYPE_NAMES.get(name, name)


def _identity(document: dict[str, Any]) -> str:
    return f"{{_id: {document.get('_id')!r}}}"


def _increment(path: str, argument: Any) -> Change:
    if not is_number(argument):
        raise CommandError(
            TYPE_MISMATCH, f"Cannot increment with non-numeric argument: {{{path}: {argument!r}}}"
        )

    def incremented(old: Any, document: dict[str, Any]) -> Any:
        if old is MISSING:
            return argument
        if not is_number(old):
            raise CommandError(
                TYPE_MISMATCH,
                f"Cannot apply $inc to a value of non-numeric type. {_identity(document)} has the field "
                f"'{path.rsplit('.', 1)[-1]}' of non-numeric type {describe(old)}",
            )
        total = old + argument
        if type(total) is float:
            return total
        if not _INT64_MIN <= total <= _INT64_MAX:
            raise CommandError(
                BAD_VALUE,
                f"Failed to apply $inc operations to current value ({old}) for document {_identity(document)}",
            )
        return Int64(total) if type(old) is Int64 or type(argument) is Int64 else total

    return incremented


def _minimum(path: str, argument: Any) -> Change:
    key = encode_value(argument)
    return lambda old, document: argument if old is MISSING or key < encode_value(old) else old


def _maximum(path: str, argument: Any) -> Change:
    key = encode_value(argument)
    return lambda old, document: argument if old is MISSING or key > encode_value(old) else old


def _push(path: str, argument: Any) -> Change:
    added, keep = [argument], None
    if is_operator_document(argument):
        unknown = set(argument) - {"$each", "$slice"}
        if unknown & {"$position", "$sort"}:
            raise unsupported("$push with $position or $sort")
        if unknown or "$each" not in argument:
            raise CommandError(BAD_VALUE, f"Unrecognized clause in $push: {', '.join(sorted(argument))}")
        added, keep = argument["$each"], argument.get("$slice")
        if type(added) is not list:
            raise CommandError(
                BAD_VALUE,
                f"The argument to $each in $push must be an array but it was of type: {describe(added)}",
            )
        if keep is not None and (not is_number(keep) or keep != int(keep)):
            raise CommandError(
                BAD_VALUE,
                f"The value for $slice must be an integer value but was given type: {describe(keep)}",
            )

    def pushed(old: Any, document: dict[str, Any]) -> Any:
        if old is MISSING:
            old = []
        elif type(old) is not list:
            raise CommandError(
                BAD_VALUE,
                f"The field '{path}' must be an array but is of type {describe(old)} in document "
                f"{_identity(document)}",
            )
        values = [*old, *added]
        if keep is None:
            return values
        count = int(keep)
        return values[:count] if count >= 0 else values[count:]

    return pushed


def _add_to_set(path: str, argument: Any) -> Change:
    added = [argument]
    if is_operator_document(argument):
        if list(argument) != ["$each"]:
            raise CommandError(
                BAD_VALUE, f"Found unexpected fields in $addToSet: {', '.join(sorted(argument))}"
            )
        added = argument["$each"]
        if type(added) is not list:
            raise CommandError(
                TYPE_MISMATCH,
                f"The argument to $each in $addToSet must be an array but it was of type {describe(added)}",
            )

    def united(old: Any, document: dict[str, Any]) -> Any:
        if old is MISSING:
            values: list[Any] = []
        elif type(old) is list:
            values = old
        else:
            raise CommandError(
                BAD_VALUE,
                f"Cannot apply $addToSet to non-array field. Field named '{path.rsplit('.', 1)[-1]}' has "
                f"non-array type {describe(old)}",
            )
        present = {encode_value(value) for value in values}
        fresh: list[Any] = []
        for value in added:
            key = encode_value(value)
            if key not in present:
                present.add(key)
                fresh.append(value)
        return [*values, *fresh] if fresh or old is MISSING else old

    return united


def _pull(path: str, argument: Any) -> Change:
    if type(argument) is Regex:
        matches = pattern(argument)
    elif is_operator_document(argument):
        matches = value_test(argument)
    elif type(argument) is dict:
        of_document = compile_filter(argument)

        def matches(value: Any) -> bool:
            return type(value) is dict and of_document(value)
    else:

        def matches(value: Any) -> bool:
            return same_value(value, argument)

    def pulled(old: Any, document: dict[str, Any]) -> Any:
        if old is MISSING:
            return old
        if type(old) is not list:
            raise CommandError(BAD_VALUE, "Cannot apply $pull to a non-array value")
        kept = [value for value in old if not matches(value)]
        return old if len(kept) == len(old) else kept

    return pulled


FIELD_CHANGES: dict[str, Callable[[str, Any], Change] | None] = {
    "$set": None,
    "$setOnInsert": None,
    "$unset": None,
    "$inc": _increment,
    "$min": _minimum,
    "$max": _maximum,
    "$push": _push,
    "$addToSet": _add_to_set,
    "$pull": _pull,
}
"""What makes the change for a path and an argument; None where the argument itself is put in place."""
