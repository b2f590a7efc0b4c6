"""Filters compiled to predicates over documents.

Source of the rules: MongoDB manual, "Query and Projection Operators", and for arrays on the path "Query an Array".
Operators outside the portable subset are refused (code 238); unknown ones as MongoDB does (code 2).
"""

from collections.abc import Callable
from typing import Any

from bson import Regex

from webhookcron.embedded.errors import BAD_VALUE, CommandError, unsupported
from webhookcron.embedded.operators import (
    Test,
    compared,
    equal_to,
    of_size,
    of_type,
    one_of,
    pattern,
    regex_from,
)
from webhookcron.embedded.ordering import MISSING
from webhookcron.embedded.paths import split_path, values_at

Predicate = Callable[[dict[str, Any]], bool]

_KNOWN_ELSEWHERE = frozenset(
    """
    $expr $text $where $jsonSchema $mod $geoWithin $geoIntersects $near $nearSphere $bitsAllClear
    $bitsAllSet $bitsAnyClear $bitsAnySet $alwaysTrue $alwaysFalse $rand $sampleRate
    """.split()  # noqa: SIM905
)
_COMPARISONS = frozenset({"$gt", "$gte", "$lt", "$lte"})


def compile_filter(condition: dict[str, Any]) -> Predicate:
    """A predicate that says whether a document matches the filter; an empty filter matches everything."""
    tests: list[Predicate] = []
    for name, operand in condition.items():
        if name[:1] == "$":
            if name != "$comment":
                tests.append(_logical(name, operand))
        else:
            tests.append(compile_field(name, operand))
    return all_of(tests)


def all_of(tests: list[Predicate]) -> Predicate:
    """A predicate that holds when all of these hold."""
    if len(tests) == 1:
        return tests[0]
    if len(tests) == 2:
        first, second = tests
        return lambda document: first(document) and second(document)

    def every(document: dict[str, Any]) -> bool:
        for test in tests:  # noqa: SIM110 - a generator costs more than the tests do
            if not test(document):
                return False
        return True

    return every


def _logical(name: str, operand: Any) -> Predicate:
    if name not in ("$and", "$or", "$nor"):
        if name in _KNOWN_ELSEWHERE:
            raise unsupported(f"the query operator {name}")
        raise CommandError(BAD_VALUE, f"unknown top level operator: {name}")
    if type(operand) is not list:
        raise CommandError(BAD_VALUE, f"{name} must be an array")
    if not operand:
        raise CommandError(BAD_VALUE, "$and/$or/$nor must be a nonempty array")
    if any(type(clause) is not dict for clause in operand):
        raise CommandError(BAD_VALUE, "$or/$and/$nor entries need to be full objects")
    tests = [compile_filter(clause) for clause in operand]
    if name == "$and":
        return all_of(tests)
    if name == "$or":
        return lambda document: any(test(document) for test in tests)
    return lambda document: not any(test(document) for test in tests)


def is_operator_document(operand: Any) -> bool:
    """Whether a filter's operand is a document of operators rather than a value to equal."""
    return type(operand) is dict and bool(operand) and next(iter(operand))[:1] == "$"


def compile_field(path: str, operand: Any) -> Predicate:
    """A predicate for one field of a filter: a value to equal, a pattern, or a document of operators."""
    if type(operand) is Regex:
        return _some_value(path, pattern(operand))
    if not is_operator_document(operand):
        return _some_value(path, equal_to(operand))
    tests: list[Predicate] = []
    for name, argument in operand.items():
        if name == "$options":
            if "$regex" not in operand:
                raise CommandError(BAD_VALUE, "$options needs a $regex")
        elif name == "$regex":
            tests.append(_some_value(path, pattern(regex_from(argument, operand.get("$options")))))
        else:
            tests.append(_operator(path, name, argument))
    return all_of(tests)


def _operator(path: str, name: str, argument: Any) -> Predicate:
    if name == "$eq":
        return _some_value(path, equal_to(_no_pattern(argument)))
    if name in _COMPARISONS:
        return _some_value(path, compared(name, argument))
    if name == "$in":
        return _some_value(path, one_of(argument))
    if name == "$ne":
        return _not(_some_value(path, equal_to(_no_pattern(argument))))
    if name == "$nin":
        if type(argument) is not list:
            raise CommandError(BAD_VALUE, "$nin needs an array")
        return _not(_some_value(path, one_of(argument)))
    if name == "$exists":
        return _exists(path, bool(argument) or argument != argument)
    if name == "$not":
        if type(argument) is not Regex and not is_operator_document(argument):
            raise CommandError(BAD_VALUE, "$not needs a regex or a document")
        return _not(compile_field(path, argument))
    if name == "$all":
        return _contains_all(path, argument)
    if name == "$elemMatch":
        return _whole_value(path, element_match(argument))
    if name == "$size":
        return _whole_value(path, of_size(argument))
    if name == "$type":
        return _some_value(path, of_type(argument))
    if name in _KNOWN_ELSEWHERE:
        raise unsupported(f"the query operator {name}")
    raise CommandError(BAD_VALUE, f"unknown operator: {name}")


def _no_pattern(argument: Any) -> Any:
    if type(argument) is Regex:
        raise unsupported("a regular expression as the value of $eq or $ne")
    return argument


def _not(test: Predicate) -> Predicate:
    return lambda document: not test(document)


def _some_value(path: str, test: Test) -> Predicate:
    """The value at the path passes, or it is an array and an element of it passes."""
    if "." not in path:

        def matches_field(document: dict[str, Any]) -> bool:
            value = document.get(path, MISSING)
            if type(value) is list:
                for element in value:
                    if test(element):
                        return True
            return test(value)

        return matches_field
    parts = split_path(path)

    def matches_path(document: dict[str, Any]) -> bool:
        for value in values_at(document, parts):
            if type(value) is list:
                for element in value:
                    if test(element):
                        return True
            if test(value):
                return True
        return False

    return matches_path


def _whole_value(path: str, test: Test) -> Predicate:
    """The value at the path itself passes; elements of an array at its end are not looked at one by one."""
    parts = split_path(path)
    return lambda document: any(test(value) for value in values_at(document, parts))


def _exists(path: str, wanted: bool) -> Predicate:
    if "." not in path:
        return lambda document: (path in document) is wanted
    parts = split_path(path)
    return lambda document: any(value is not MISSING for value in values_at(document, parts)) is wanted


def _contains_all(path: str, argument: Any) -> Predicate:
    if type(argument) is not list:
        raise CommandError(BAD_VALUE, "$all needs an array")
    if not argument:
        return lambda document: False
    tests: list[Predicate] = []
    for wanted in argument:
        if type(wanted) is Regex:
            tests.append(_some_value(path, pattern(wanted)))
        elif is_operator_document(wanted):
            if list(wanted) != ["$elemMatch"]:
                raise CommandError(BAD_VALUE, "no $ expressions in $all")
            tests.append(_whole_value(path, element_match(wanted["$elemMatch"])))
        else:
            tests.append(_some_value(path, equal_to(wanted)))
    return all_of(tests)


def element_match(condition: Any) -> Test:
    """`$elemMatch`: an array of which one element satisfies all conditions together."""
    if type(condition) is not dict:
        raise CommandError(BAD_VALUE, "$elemMatch needs an Object")
    if is_operator_document(condition) and next(iter(condition)) not in ("$and", "$or", "$nor"):
        of_value = value_test(condition)
        return lambda value: type(value) is list and any(of_value(element) for element in value)
    of_document = compile_filter(condition)
    return lambda value: (
        type(value) is list and any(type(element) is dict and of_document(element) for element in value)
    )


def value_test(condition: dict[str, Any]) -> Test:
    """Whether a bare value, such as an element of an array, satisfies a document of operators."""
    holds = compile_field("value", condition)

    def test(value: Any) -> bool:
        if type(value) is list:
            raise unsupported("conditions on the elements of an array of arrays")
        return holds({"value": value})

    return test
