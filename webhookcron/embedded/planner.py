"""Choosing how the documents for a filter and a sort are found.

A plan gives candidates: records that may match, without repetition. The filter is always checked again on each.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from heapq import merge
from itertools import product
from typing import Any

from bson import Int64, ObjectId, Regex

from webhookcron.embedded.indexes import Index, record_of
from webhookcron.embedded.matching import is_operator_document
from webhookcron.embedded.operators import literal_prefix, regex_from
from webhookcron.embedded.ordering import AFTER_PREFIX, NULL_KEY, encode_value, inverted, same_value
from webhookcron.embedded.sort_patterns import SortPattern

_INDEXABLE = frozenset({str, int, float, Int64, bool, datetime, ObjectId, bytes, type(None)})
_MAX_POINTS = 1000
"""Combinations of `$in` values that a plan may seek one by one."""

_PASSED_OVER = 8
"""How many documents a walk is taken to look at for one that matches, when the index decides only part."""

Bound = tuple[bytes, bool]
"""A place between keys: before all keys that start with the bytes, or (True) after them."""

Interval = tuple[bytes, bytes]
"""Entries from the first, inclusive, to the second, exclusive."""


@dataclass(slots=True)
class Constraint:
    """What the filter demands of one path, as keys: any of `points`, or within every one of `ranges`."""

    points: list[bytes] | None = None
    ranges: list[tuple[Bound, Bound]] | None = None


@dataclass(slots=True)
class IndexPlan:
    """A walk through intervals of one index, in the order of the sort when `sorted_already`."""

    index: Index
    intervals: list[Interval]
    prefix_lengths: list[int]
    backwards: bool
    sorted_already: bool
    candidates: int
    served: frozenset[str]
    """The paths of the filter that the intervals decide."""

    def records(self) -> Iterator[int]:
        """Record numbers of the candidates, each once."""
        seen: set[int] = set()
        distinct = bool(self.index.pattern.array_fields)
        for entry in self._entries():
            record = record_of(entry)
            if distinct:
                if record in seen:
                    continue
                seen.add(record)
            yield record

    def _entries(self) -> Iterator[bytes]:
        entries = self.index.entries
        walks = [
            entries.irange(low, high, inclusive=(True, False), reverse=self.backwards)
            for low, high in self.intervals
        ]
        if len(walks) == 1:
            yield from walks[0]
        elif not self.sorted_already:
            for walk in walks:
                yield from walk
        else:
            # Several equality prefixes: what follows the prefix is in order within each walk.
            tagged = map(_tagged, walks, self.prefix_lengths)
            for _, entry in merge(*tagged, reverse=self.backwards):
                yield entry


def _tagged(walk: Iterator[bytes], length: int) -> Iterator[tuple[bytes, bytes]]:
    """The entries of a walk, each with what follows the prefix of this length."""
    for entry in walk:
        yield entry[length:], entry


def constraints_of(condition: dict[str, Any]) -> dict[str, Constraint]:
    """What the filter demands of each path on its way to a match, as far as an index can use it."""
    found: dict[str, Constraint] = {}
    _collect(condition, found)
    return found


def _collect(condition: dict[str, Any], found: dict[str, Constraint]) -> None:
    for name, operand in condition.items():
        if name == "$and":
            for clause in operand:
                _collect(clause, found)
        elif name[:1] != "$":
            _constrain(found.setdefault(name, Constraint()), operand)


def _constrain(constraint: Constraint, operand: Any) -> None:
    if type(operand) is Regex:
        _add_prefix(constraint, operand)
        return
    if not is_operator_document(operand):
        if type(operand) in _INDEXABLE:
            _add_points(constraint, [operand])
        return
    for operator, argument in operand.items():
        if operator == "$eq" and type(argument) in _INDEXABLE:
            _add_points(constraint, [argument])
        elif operator == "$in" and type(argument) is list and all(type(v) in _INDEXABLE for v in argument):
            _add_points(constraint, argument)
        elif operator in ("$gt", "$gte", "$lt", "$lte"):
            _add_bound(constraint, operator, argument)
        elif operator == "$regex":
            _add_prefix(constraint, regex_from(argument, operand.get("$options")))


def _add_points(constraint: Constraint, values: list[Any]) -> None:
    keys = sorted({encode_value(value) for value in values})
    if constraint.points is None or len(keys) < len(constraint.points):
        constraint.points = keys


def _add_bound(constraint: Constraint, operator: str, argument: Any) -> None:
    if type(argument) not in _INDEXABLE or argument is None or argument != argument:
        return
    key = encode_value(argument)
    low, high = (key[:1], False), (key[:1], True)
    if operator in ("$gt", "$gte"):
        low = (key, operator == "$gt")
    else:
        high = (key, operator == "$lte")
    constraint.ranges = [*(constraint.ranges or []), (low, high)]


def _add_prefix(constraint: Constraint, regex: Regex[Any]) -> None:
    prefix = literal_prefix(regex)
    if prefix is not None:
        start = encode_value(prefix)[:-1]
        constraint.ranges = [*(constraint.ranges or []), ((start, False), (start, True))]


def choose_plan(
    indexes: list[Index], condition: dict[str, Any], sort: SortPattern | None, wanted: int | None
) -> IndexPlan | None:
    """The cheapest index walk for this filter and sort; None when scanning all records is no worse.

    `wanted` is how many documents the caller takes at most; None means all.
    """
    if not indexes:
        return None
    constraints = constraints_of(condition)
    best: IndexPlan | None = None
    best_cost = float("inf")
    for index in indexes:
        plan = _plan_for(index, condition, constraints, sort)
        if plan is None:
            continue
        cost = float(plan.candidates)
        if sort is not None:
            if not plan.sorted_already:
                cost *= 3
            elif wanted is not None:
                # What the index does not decide makes the walk pass over documents.
                passed_over = 1 if plan.served.issuperset(condition) else _PASSED_OVER
                cost = min(cost, float(wanted * passed_over))
        if cost < best_cost:
            best, best_cost = plan, cost
    return best


def _plan_for(
    index: Index, condition: dict[str, Any], constraints: dict[str, Constraint], sort: SortPattern | None
) -> IndexPlan | None:
    first = index.pattern.names[0]
    if first not in constraints and (sort is None or sort.names[0] != first):
        return None
    if not _index_holds_all(index, condition, constraints):
        return None
    # Before the rest, as bringing them up to date is what meets arrays.
    entries = index.entries
    prefixes, fixed = _equality_prefixes(index, constraints)
    intervals, bounded = _intervals(index, constraints, prefixes, fixed)
    direction = _sort_direction(index, sort, constraints, fixed, bounded)
    if fixed == 0 and not bounded and direction is None:
        return None
    candidates = sum(max(0, entries.bisect_left(high) - entries.bisect_left(low)) for low, high in intervals)
    lengths = [len(prefix) for prefix in prefixes]
    served = frozenset(index.pattern.names[: fixed + bounded])
    return IndexPlan(index, intervals, lengths, direction == -1, direction is not None, candidates, served)


def _index_holds_all(index: Index, condition: dict[str, Any], constraints: dict[str, Constraint]) -> bool:
    """Whether every document that matches the filter is in the index."""
    spec = index.spec
    if spec.sparse:
        return any(_excludes_missing(constraints.get(name)) for name in index.pattern.names)
    if spec.partial_filter is None:
        return True
    return all(
        _implies(condition, constraints, name, operand) for name, operand in spec.partial_filter.items()
    )


def _excludes_missing(constraint: Constraint | None) -> bool:
    if constraint is None:
        return False
    if constraint.points is not None:
        return NULL_KEY not in constraint.points
    return constraint.ranges is not None


def _implies(condition: dict[str, Any], constraints: dict[str, Constraint], name: str, operand: Any) -> bool:
    """Whether the filter demands at least what one field of a partial filter demands."""
    if name == "$and":
        return all(_implies(condition, constraints, key, value) for c in operand for key, value in c.items())
    if name in condition and same_value(condition[name], operand):
        return True
    constraint = constraints.get(name)
    if not is_operator_document(operand):
        operand = {"$eq": operand}
    return all(_implies_operator(constraint, condition.get(name), *pair) for pair in operand.items())


def _implies_operator(constraint: Constraint | None, asked: Any, operator: str, argument: Any) -> bool:
    if operator == "$exists":
        if is_operator_document(asked) and asked.get("$exists"):
            return True
        return _excludes_missing(constraint)
    if constraint is None:
        return False
    wanted = Constraint()
    if operator == "$type":
        return _implies_type(constraint, argument)
    _constrain(wanted, {operator: argument})
    if wanted.points is not None:
        return constraint.points is not None and set(constraint.points) <= set(wanted.points)
    if wanted.ranges is None:
        return False
    low, high = wanted.ranges[0]
    if constraint.points is not None:
        return _within(constraint.points, low, high)
    return _some_range_within(constraint, low, high)


_SAMPLES: dict[Any, Any] = {
    "date": datetime(2000, 1, 1),
    9: datetime(2000, 1, 1),
    "string": "",
    2: "",
    "number": 0,
    "bool": False,
    8: False,
    "objectId": ObjectId("0" * 24),
    7: ObjectId("0" * 24),
}


def _implies_type(constraint: Constraint, argument: Any) -> bool:
    if type(argument) is list or argument not in _SAMPLES:
        return False
    bracket = encode_value(_SAMPLES[argument])[:1]
    low, high = (bracket, False), (bracket, True)
    if constraint.points is not None:
        return _within(constraint.points, low, high)
    return _some_range_within(constraint, low, high)


def _equality_prefixes(index: Index, constraints: dict[str, Constraint]) -> tuple[list[bytes], int]:
    """The joined keys of the leading fields that the filter fixes, and how many fields they are."""
    choices: list[list[bytes]] = []
    points = 1
    pattern = index.pattern
    for name, descending in zip(pattern.names, pattern.descending, strict=True):
        constraint = constraints.get(name)
        if constraint is None or constraint.points is None:
            break
        points *= len(constraint.points)
        if points > _MAX_POINTS:
            break
        choices.append([inverted(key) if descending else key for key in constraint.points])
    return [b"".join(keys) for keys in product(*choices)], len(choices)


def _intervals(
    index: Index, constraints: dict[str, Constraint], prefixes: list[bytes], fixed: int
) -> tuple[list[Interval], bool]:
    """The intervals behind each prefix, and whether a range on the next field narrows them."""
    pattern = index.pattern
    if fixed < len(pattern.names):
        constraint = constraints.get(pattern.names[fixed])
        ranges = None if constraint is None else constraint.ranges
        if constraint is not None and constraint.points is not None and ranges is None:
            # Too many combinations to seek one by one: from the first to the last value.
            ranges = [((constraint.points[0], False), (constraint.points[-1], True))]
        if ranges:
            if fixed in pattern.array_fields:
                # Of an array, one element may satisfy one bound and another element the other.
                low, high = ranges[0]
            else:
                low = max((bound[0] for bound in ranges), key=_entry_bound)
                high = min((bound[1] for bound in ranges), key=_entry_bound)
            descending = pattern.descending[fixed]
            if descending:
                low, high = high, low
            start, end = _entry_bound(low, descending), _entry_bound(high, descending)
            if start >= end:
                return [], True
            return [(prefix + start, prefix + end) for prefix in prefixes], True
    return [(prefix, prefix + AFTER_PREFIX) for prefix in prefixes], False


def _entry_bound(bound: Bound, descending: bool = False) -> bytes:
    """The bound as bytes to seek in an index: complemented, and so on the other side, for a descending field."""
    key, after = bound
    if descending:
        key, after = inverted(key), not after
    return key + AFTER_PREFIX if after else key


def _within(points: list[bytes], low: Bound, high: Bound) -> bool:
    return all(_entry_bound(low) <= point < _entry_bound(high) for point in points)


def _some_range_within(constraint: Constraint, low: Bound, high: Bound) -> bool:
    return any(
        _entry_bound(low) <= _entry_bound(own_low) and _entry_bound(own_high) <= _entry_bound(high)
        for own_low, own_high in constraint.ranges or ()
    )


def _sort_direction(
    index: Index,
    sort: SortPattern | None,
    constraints: dict[str, Constraint],
    fixed: int,
    bounded: bool,
) -> int | None:
    """1 or -1 when walking the index forwards or backwards yields the order of the sort, else None."""
    if sort is None:
        return None
    pattern = index.pattern
    single = {
        name
        for position, name in enumerate(pattern.names[:fixed])
        if len(constraints[name].points or ()) == 1 and position not in pattern.array_fields
    }
    asked = [
        (name, down) for name, down in zip(sort.names, sort.descending, strict=True) if name not in single
    ]
    available = list(zip(pattern.names, pattern.descending, strict=True))[fixed:]
    if len(asked) > len(available):
        return None
    direction: int | None = None
    for offset, ((name, down), (own_name, own_down)) in enumerate(zip(asked, available, strict=False)):
        if name != own_name or fixed + offset in pattern.array_fields:
            return None
        step = 1 if down == own_down else -1
        if direction is not None and direction != step:
            return None
        direction = step
    return direction or 1
