"""Updates of the commonest kind, made without compiling them: `$set $unset $inc $max $push` of whole fields.

What the platform writes when executions are claimed, end and are counted. Everything else, and whatever looks as if it
were to be refused, is left to `updates.py`, whose results these are.
"""

from datetime import datetime
from functools import lru_cache
from typing import Any

from webhookcron.embedded.adoption import NOT_PLAIN, adopt_value
from webhookcron.embedded.errors import CommandError
from webhookcron.embedded.ordering import MISSING
from webhookcron.embedded.updates import Shape, identical, shape_of

_OPERATORS = ("$set", "$unset", "$inc", "$max", "$push")
_SET, _UNSET, _INC, _MAX, _PUSH = range(5)

_INT64_MAX = 2**63 - 1
_INT64_MIN = -(2**63)

Step = tuple[int, int, str]
"""The operator, the place of its argument among all arguments of the update, and the field."""

_LEFT: Any = object()
"""Stands for a new value that only `updates.py` can tell."""


class DirectShape:
    """What updates with the same operators on the same fields share."""

    __slots__ = ("_steps", "touches")

    def __init__(self, steps: tuple[Step, ...], touches: frozenset[str]) -> None:
        self._steps = steps
        self.touches = touches
        """The fields that change."""

    def apply(self, document: dict[str, Any], arguments: list[Any]) -> dict[str, Any] | None:
        """The document after the update, the very same object when nothing changes; None when it is left.

        The arguments come in the order of the update. Nothing is raised.
        """
        new = document
        for operator, place, name in self._steps:
            argument = arguments[place]
            # No two steps name the same field, so none sees what another did.
            old = document.get(name, MISSING)
            if operator == _SET:
                if type(argument) in NOT_PLAIN:
                    try:
                        argument = adopt_value(argument)
                    except CommandError:
                        return None
                    if identical(old, argument):
                        continue
                elif old is argument or (type(old) is type(argument) and old == argument):
                    continue
            elif operator == _UNSET:
                if type(argument) in NOT_PLAIN:
                    return None
                if old is MISSING:
                    continue
                if new is document:
                    new = document.copy()
                del new[name]
                continue
            else:
                argument = _FOLLOWING[operator](old, argument)
                if argument is _LEFT:
                    return None
                if argument is old:
                    continue
            if new is document:
                new = document.copy()
            new[name] = argument
        return new


class DirectUpdates:
    """Makes the updates of one command, which mostly have one shape."""

    def __init__(self) -> None:
        self._operators: list[tuple[str, ...]] = []
        self._shape: DirectShape | None = None

    @property
    def touches(self) -> frozenset[str]:
        """The fields that the update made last may change."""
        assert self._shape is not None
        return self._shape.touches

    def apply(self, update: Any, document: dict[str, Any]) -> dict[str, Any] | None:
        """The document after the update, the very same object when nothing changes.

        None for an update that is left to `updates.py`. Nothing is raised.
        """
        if type(update) is not dict:
            return None
        operators: list[tuple[str, ...]] = []
        arguments: list[Any] = []
        for operator, fields in update.items():
            if type(fields) is not dict:
                return None
            operators.append((operator, *fields))
            arguments += fields.values()
        # Comparing takes less time than looking up, which has to hash every name.
        if operators != self._operators:
            self._operators, self._shape = operators, _direct(tuple(operators))
        return None if self._shape is None else self._shape.apply(document, arguments)


@lru_cache(maxsize=1000)
def _direct(operators: tuple[tuple[str, ...], ...]) -> DirectShape | None:
    if not operators or any(operator not in _OPERATORS for operator, *_ in operators):
        return None
    try:
        shape: Shape = shape_of(operators)
    except CommandError:
        return None
    places = {
        (operator, path): place
        for place, (operator, path) in enumerate((name, path) for name, *paths in operators for path in paths)
    }
    if len(places) != len(shape.steps) or any(step.parts or step.name == "_id" for step in shape.steps):
        return None
    return DirectShape(
        tuple(
            (_OPERATORS.index(step.operator), places[step.operator, step.path], step.name)
            for step in shape.steps
        ),
        shape.touches,
    )


def _incremented(old: Any, argument: Any) -> Any:
    if type(argument) is not int:
        return _LEFT
    if old is MISSING:
        return argument
    if type(old) is not int:
        return _LEFT
    total = old + argument
    if total == old:
        return old
    return total if _INT64_MIN <= total <= _INT64_MAX else _LEFT


def _greatest(old: Any, argument: Any) -> Any:
    if type(argument) is not datetime:
        return _LEFT
    if old is MISSING:
        return argument
    if type(old) is not datetime:
        return _LEFT
    return argument if argument > old else old


def _pushed(old: Any, argument: Any) -> Any:
    if old is MISSING:
        old = []
    elif type(old) is not list:
        return _LEFT
    if type(argument) is dict and next(iter(argument), "")[:1] == "$":
        if list(argument) != ["$each", "$slice"]:
            return _LEFT
        added, keep = argument.values()
        if type(added) is not list or type(keep) is not int or keep == 0:
            return _LEFT
        if len(added) != 1 or type(added[0]) in NOT_PLAIN:
            return _LEFT
        values = [*old, added[0]]
        values = values[:keep] if keep > 0 else values[keep:]
        # A full array may get the end that it had.
        return old if len(values) == len(old) and identical(old, values) else values
    if type(argument) in NOT_PLAIN:
        try:
            argument = adopt_value(argument)
        except CommandError:
            return _LEFT
    return [*old, argument]


_FOLLOWING = {_INC: _incremented, _MAX: _greatest, _PUSH: _pushed}
"""What makes the new value of a field of the old one and the argument."""
