"""Aggregation expressions of the portable subset, compiled to functions over a document."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from bson import Int64

from webhookcron.embedded.errors import CommandError, unsupported
from webhookcron.embedded.operators import is_number
from webhookcron.embedded.ordering import MISSING, encode_value, milliseconds_of
from webhookcron.embedded.paths import split_path

Expression = Callable[[dict[str, Any]], Any]
"""The value for a document; MISSING when a field path leads nowhere."""


def compile_expression(expression: Any) -> Expression:
    """A function for the expression: a field path, a constant, a document of expressions, or an operator."""
    kind = type(expression)
    if kind is str and expression.startswith("$"):
        return _field_path(expression)
    if kind is list:
        elements = [compile_expression(element) for element in expression]
        return lambda document: [_or_null(element(document)) for element in elements]
    if kind is not dict:
        return lambda document: expression
    operators = [name for name in expression if name.startswith("$")]
    if not operators:
        fields = {name: compile_expression(value) for name, value in expression.items()}
        return lambda document: {
            name: value for name, evaluate in fields.items() if (value := evaluate(document)) is not MISSING
        }
    if len(expression) != 1:
        raise CommandError(15983, "an object representing an expression must have exactly one field")
    name = operators[0]
    if name == "$literal":
        constant = expression[name]
        return lambda document: constant
    if name == "$cond":
        return _condition(expression[name])
    make = _OPERATORS.get(name)
    if make is None:
        raise CommandError(168, f"Unrecognized expression '{name}'")
    argument = expression[name]
    arguments = [compile_expression(value) for value in (argument if type(argument) is list else [argument])]
    return make(name, arguments)


def _field_path(text: str) -> Expression:
    if text.startswith("$$"):
        if text == "$$ROOT":
            return lambda document: document
        raise unsupported(f"the variable {text}")
    parts = split_path(text[1:])
    if len(parts) == 1:
        name = parts[0]
        return lambda document: document.get(name, MISSING)
    return lambda document: _value_at(document, parts)


def _value_at(node: Any, parts: tuple[str, ...]) -> Any:
    for position, part in enumerate(parts):
        if type(node) is list:
            found = (_value_at(element, parts[position:]) for element in node if type(element) is dict)
            return [value for value in found if value is not MISSING]
        if type(node) is not dict:
            return MISSING
        node = node.get(part, MISSING)
    return node


def _or_null(value: Any) -> Any:
    return None if value is MISSING else value


def truth(value: Any) -> bool:
    """How an expression's value counts as a condition: false, null, 0 and missing are false."""
    return not (value is None or value is MISSING or value is False or (is_number(value) and value == 0))


def _condition(argument: Any) -> Expression:
    if type(argument) is dict:
        if set(argument) != {"if", "then", "else"}:
            raise CommandError(17080, "$cond needs 'if', 'then' and 'else'")
        argument = [argument["if"], argument["then"], argument["else"]]
    if type(argument) is not list or len(argument) != 3:
        raise CommandError(16020, "Expression $cond takes exactly 3 arguments.")
    test, then, otherwise = (compile_expression(part) for part in argument)
    return lambda document: then(document) if truth(test(document)) else otherwise(document)


def _exactly(count: int, name: str, arguments: list[Expression]) -> None:
    if len(arguments) != count:
        raise CommandError(
            16020, f"Expression {name} takes exactly {count} arguments. {len(arguments)} were passed in."
        )


def _key(value: Any) -> bytes:
    # Unlike null, a missing field is less than everything in expressions.
    return b"" if value is MISSING else encode_value(value)


def _comparison(name: str, arguments: list[Expression]) -> Expression:
    _exactly(2, name, arguments)
    left, right = arguments
    decide = _COMPARISONS[name]
    return lambda document: decide(_key(left(document)), _key(right(document)))


_COMPARISONS: dict[str, Callable[[bytes, bytes], bool]] = {
    "$eq": lambda left, right: left == right,
    "$ne": lambda left, right: left != right,
    "$gt": lambda left, right: left > right,
    "$gte": lambda left, right: left >= right,
    "$lt": lambda left, right: left < right,
    "$lte": lambda left, right: left <= right,
}


def _and(name: str, arguments: list[Expression]) -> Expression:
    return lambda document: all(truth(argument(document)) for argument in arguments)


def _or(name: str, arguments: list[Expression]) -> Expression:
    return lambda document: any(truth(argument(document)) for argument in arguments)


def _not(name: str, arguments: list[Expression]) -> Expression:
    _exactly(1, name, arguments)
    return lambda document: not truth(arguments[0](document))


def _in(name: str, arguments: list[Expression]) -> Expression:
    _exactly(2, name, arguments)
    needle, haystack = arguments

    def contained(document: dict[str, Any]) -> bool:
        values = haystack(document)
        if type(values) is not list:
            raise CommandError(40081, "$in requires an array as a second argument")
        return _key(needle(document)) in map(encode_value, values)

    return contained


def _if_null(name: str, arguments: list[Expression]) -> Expression:
    if len(arguments) < 2:
        raise CommandError(1257300, "$ifNull needs at least two arguments")

    def first_present(document: dict[str, Any]) -> Any:
        value: Any = None
        for argument in arguments:
            value = argument(document)
            if value is not None and value is not MISSING:
                break
        return value

    return first_present


def whole(value: Any) -> Any:
    """An integer result as BSON holds it; beyond 64 bits it becomes a double, as MongoDB's sums do."""
    if type(value) is int and not -(2**63) <= value < 2**63:
        return float(value)
    return value


def _operands(name: str, arguments: list[Expression], document: dict[str, Any]) -> list[Any] | None:
    """The values of numeric or date operands; None when one of them is null or missing."""
    values = [argument(document) for argument in arguments]
    if any(value is None or value is MISSING for value in values):
        return None
    for value in values:
        if not is_number(value) and type(value) is not datetime:
            raise CommandError(14, f"{name} only supports numeric or date types, not {type(value).__name__}")
    return values


def _add(name: str, arguments: list[Expression]) -> Expression:
    def total(document: dict[str, Any]) -> Any:
        values = _operands(name, arguments, document)
        if values is None:
            return None
        dates = [value for value in values if type(value) is datetime]
        if len(dates) > 1:
            raise CommandError(16612, "only one date allowed in an $add expression")
        number = sum(value for value in values if type(value) is not datetime)
        return dates[0] + timedelta(milliseconds=round(number)) if dates else whole(number)

    return total


def _subtract(name: str, arguments: list[Expression]) -> Expression:
    _exactly(2, name, arguments)

    def difference(document: dict[str, Any]) -> Any:
        values = _operands(name, arguments, document)
        if values is None:
            return None
        left, right = values
        if type(left) is datetime:
            if type(right) is datetime:
                return Int64(milliseconds_of(left) - milliseconds_of(right))
            return left - timedelta(milliseconds=round(right))
        if type(right) is datetime:
            raise CommandError(14, "can't $subtract a date from a number")
        return whole(left - right)

    return difference


def _arithmetic(name: str, arguments: list[Expression], compute: Callable[[Any, Any], Any]) -> Expression:
    def result(document: dict[str, Any]) -> Any:
        values = _operands(name, arguments, document)
        if values is None:
            return None
        if any(type(value) is datetime for value in values):
            raise CommandError(14, f"{name} only supports numeric types, not date")
        total = values[0]
        for value in values[1:]:
            total = compute(total, value)
        return whole(total)

    return result


def _multiply(name: str, arguments: list[Expression]) -> Expression:
    return _arithmetic(name, arguments, lambda left, right: left * right)


def _divide(name: str, arguments: list[Expression]) -> Expression:
    _exactly(2, name, arguments)

    def quotient(left: Any, right: Any) -> float:
        if right == 0:
            raise CommandError(2, "can't $divide by zero")
        return float(left / right)

    return _arithmetic(name, arguments, quotient)


def _modulo(name: str, arguments: list[Expression]) -> Expression:
    _exactly(2, name, arguments)

    def remainder(left: Any, right: Any) -> Any:
        if right == 0:
            raise CommandError(16610, "can't $mod by zero")
        # The sign follows the dividend, as in C.
        size = abs(left) % abs(right)
        return -size if left < 0 else size

    return _arithmetic(name, arguments, remainder)


def _to_long(name: str, arguments: list[Expression]) -> Expression:
    _exactly(1, name, arguments)

    def converted(document: dict[str, Any]) -> Any:
        value = arguments[0](document)
        if value is None or value is MISSING:
            return None
        if type(value) is datetime:
            return Int64(milliseconds_of(value))
        if type(value) is bool or is_number(value):
            return Int64(int(value))
        raise CommandError(241, f"Unsupported conversion to long from {type(value).__name__}")

    return converted


def _size(name: str, arguments: list[Expression]) -> Expression:
    _exactly(1, name, arguments)

    def size(document: dict[str, Any]) -> int:
        value = arguments[0](document)
        if type(value) is not list:
            raise CommandError(17124, "The argument to $size must be an array")
        return len(value)

    return size


_OPERATORS: dict[str, Callable[[str, list[Expression]], Expression]] = {
    **dict.fromkeys(_COMPARISONS, _comparison),
    "$and": _and,
    "$or": _or,
    "$not": _not,
    "$in": _in,
    "$ifNull": _if_null,
    "$add": _add,
    "$subtract": _subtract,
    "$multiply": _multiply,
    "$divide": _divide,
    "$mod": _modulo,
    "$toLong": _to_long,
    "$size": _size,
}
