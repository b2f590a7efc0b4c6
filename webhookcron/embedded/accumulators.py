"""The accumulators of `$group`: how the values of a group become one."""

from collections.abc import Callable
from typing import Any

from webhookcron.embedded.expressions import whole
from webhookcron.embedded.operators import is_number
from webhookcron.embedded.ordering import MISSING, encode_value


class Sum:
    """The total of the numbers among the values."""

    def __init__(self) -> None:
        self._total: Any = 0

    def add(self, value: Any) -> None:
        """Take in one value; what is no number counts nothing."""
        if is_number(value):
            self._total += value

    def result(self) -> Any:
        """The total, 0 for none."""
        return whole(self._total)


class Average:
    """The mean of the numbers among the values."""

    def __init__(self) -> None:
        self._total: Any = 0
        self._count = 0

    def add(self, value: Any) -> None:
        """Take in one value; what is no number counts nothing."""
        if is_number(value):
            self._total += value
            self._count += 1

    def result(self) -> float | None:
        """The mean, None for none."""
        return self._total / self._count if self._count else None


class Extreme:
    """The least or greatest value in BSON order; null and missing values do not count."""

    def __init__(self, greatest: bool) -> None:
        self._greatest = greatest
        self._key: bytes | None = None
        self._value: Any = None

    def add(self, value: Any) -> None:
        """Take in one value."""
        if value is None or value is MISSING:
            return
        key = encode_value(value)
        if self._key is None or (key > self._key if self._greatest else key < self._key):
            self._key, self._value = key, value

    def result(self) -> Any:
        """The extreme value, None for none."""
        return self._value


class First:
    """The value of the first document."""

    def __init__(self) -> None:
        self._values: list[Any] = []

    def add(self, value: Any) -> None:
        """Take in one value."""
        if not self._values:
            self._values.append(None if value is MISSING else value)

    def result(self) -> Any:
        """The first value, null when that document lacks the field."""
        return self._values[0]


class Last:
    """The value of the last document."""

    def __init__(self) -> None:
        self._value: Any = None

    def add(self, value: Any) -> None:
        """Take in one value."""
        self._value = None if value is MISSING else value

    def result(self) -> Any:
        """The last value, null when that document lacks the field."""
        return self._value


class Push:
    """All values, in order."""

    def __init__(self) -> None:
        self._values: list[Any] = []

    def add(self, value: Any) -> None:
        """Take in one value; a missing one is left out."""
        if value is not MISSING:
            self._values.append(value)

    def result(self) -> list[Any]:
        """The list of values."""
        return self._values


class AddToSet:
    """The distinct values, in no promised order."""

    def __init__(self) -> None:
        self._values: dict[bytes, Any] = {}

    def add(self, value: Any) -> None:
        """Take in one value; a missing one is left out."""
        if value is not MISSING:
            self._values.setdefault(encode_value(value), value)

    def result(self) -> list[Any]:
        """The list of distinct values."""
        return list(self._values.values())


Accumulator = Sum | Average | Extreme | First | Last | Push | AddToSet

ACCUMULATORS: dict[str, Callable[[], Accumulator]] = {
    "$sum": Sum,
    "$avg": Average,
    "$min": lambda: Extreme(greatest=False),
    "$max": lambda: Extreme(greatest=True),
    "$first": First,
    "$last": Last,
    "$push": Push,
    "$addToSet": AddToSet,
}
