"""Aggregation pipelines of the portable subset: `$match $group $sort $limit $skip $project $unwind $count`.

Source of the rules: MongoDB manual, "Aggregation Stages". Every other stage is refused (code 40324 when unknown,
238 when MongoDB knows it).
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from webhookcron.embedded.accumulators import ACCUMULATORS, Accumulator
from webhookcron.embedded.errors import UNKNOWN_STAGE, CommandError, unsupported
from webhookcron.embedded.expressions import compile_expression
from webhookcron.embedded.matching import compile_filter, is_operator_document
from webhookcron.embedded.operators import is_number
from webhookcron.embedded.ordering import MISSING, encode_value
from webhookcron.embedded.projections import compile_projection
from webhookcron.embedded.sort_patterns import sort_pattern

Document = dict[str, Any]
Stage = Callable[[Iterable[Document]], Iterator[Document]]

_KNOWN_ELSEWHERE = frozenset(
    """
    $addFields $set $unset $lookup $facet $bucket $bucketAuto $replaceRoot $replaceWith $sample
    $sortByCount $geoNear $out $merge $redact $graphLookup $unionWith $changeStream $collStats
    $indexStats $currentOp $densify $fill $setWindowFields $search $documents $listSessions
    $planCacheStats
    """.split()  # noqa: SIM905
)


def leading_match(pipeline: list[Any]) -> tuple[Document, list[Any]]:
    """The filter that the pipeline starts with, which an index may serve, and the stages after it."""
    if pipeline and type(pipeline[0]) is dict and list(pipeline[0]) == ["$match"]:
        condition = pipeline[0]["$match"]
        if type(condition) is dict:
            return condition, pipeline[1:]
    return {}, pipeline


def compile_pipeline(stages: list[Any]) -> list[Stage]:
    """The stages as functions from documents to documents."""
    compiled: list[Stage] = []
    for stage in stages:
        if type(stage) is not dict or len(stage) != 1:
            raise CommandError(40323, "A pipeline stage specification object must contain exactly one field.")
        name, argument = next(iter(stage.items()))
        make = _STAGES.get(name)
        if make is None:
            if name in _KNOWN_ELSEWHERE:
                raise unsupported(f"the pipeline stage {name}")
            raise CommandError(UNKNOWN_STAGE, f"Unrecognized pipeline stage name: '{name}'")
        compiled.append(make(argument))
    return compiled


def run_pipeline(documents: Iterable[Document], stages: list[Stage]) -> Iterator[Document]:
    """The documents after all stages."""
    for stage in stages:
        documents = stage(documents)
    return iter(documents)


def _match(condition: Any) -> Stage:
    if type(condition) is not dict:
        raise CommandError(15959, "the match filter must be an expression in an object")
    matches = compile_filter(condition)
    return lambda documents: (document for document in documents if matches(document))


def _sort(argument: Any) -> Stage:
    pattern = sort_pattern(argument)
    if pattern is None:
        raise CommandError(15976, "$sort stage must have at least one sort key")
    sort_key = pattern.sort_key
    return lambda documents: iter(sorted(documents, key=sort_key))


def _whole_number(argument: Any, stage: str, least: int) -> int:
    if not is_number(argument) or argument != int(argument) or argument < least:
        raise CommandError(15958 if least else 5107200, f"the {stage} must be a whole number >= {least}")
    return int(argument)


def _limit(argument: Any) -> Stage:
    count = _whole_number(argument, "limit", 1)
    return lambda documents: islice(iter(documents), count)


def _skip(argument: Any) -> Stage:
    count = _whole_number(argument, "skip", 0)
    return lambda documents: islice(iter(documents), count, None)


def _count(argument: Any) -> Stage:
    if type(argument) is not str or not argument or argument.startswith("$") or "." in argument:
        raise CommandError(40156, "the count field must be a plain, non-empty string")

    def counted(documents: Iterable[Document]) -> Iterator[Document]:
        total = sum(1 for _ in documents)
        if total:
            yield {argument: total}

    return counted


def _unwind(argument: Any) -> Stage:
    path, keeps_empty = argument, False
    if type(argument) is dict:
        if set(argument) - {"path", "preserveNullAndEmptyArrays"}:
            raise unsupported("$unwind with includeArrayIndex")
        path, keeps_empty = argument.get("path"), bool(argument.get("preserveNullAndEmptyArrays"))
    if type(path) is not str or not path.startswith("$") or len(path) < 2:
        raise CommandError(28818, "path option to $unwind stage should be prefixed with a '$'")
    name = path[1:]
    if "." in name:
        raise unsupported("$unwind of a dotted path")

    def unwound(documents: Iterable[Document]) -> Iterator[Document]:
        for document in documents:
            value = document.get(name, MISSING)
            if type(value) is list and value:
                for element in value:
                    yield {**document, name: element}
            elif value is None or value is MISSING or value == []:
                if keeps_empty:
                    yield {key: kept for key, kept in document.items() if key != name or kept != []}
            else:
                yield document

    return unwound


def _group(argument: Any) -> Stage:
    if type(argument) is not dict:
        raise CommandError(15947, "a group's fields must be specified in an object")
    if "_id" not in argument:
        raise CommandError(15955, "a group specification must include an _id")
    identity = compile_expression(argument["_id"])
    fields: list[tuple[str, Callable[[], Accumulator], Callable[[Document], Any]]] = []
    for name, accumulation in argument.items():
        if name == "_id":
            continue
        if type(accumulation) is not dict or len(accumulation) != 1:
            raise CommandError(40234, f"The field '{name}' must be an accumulator object")
        operator, expression = next(iter(accumulation.items()))
        if operator not in ACCUMULATORS:
            raise CommandError(15952, f"unknown group operator '{operator}'")
        fields.append((name, ACCUMULATORS[operator], compile_expression(expression)))

    def grouped(documents: Iterable[Document]) -> Iterator[Document]:
        groups: dict[bytes, tuple[Any, list[Accumulator]]] = {}
        for document in documents:
            value = identity(document)
            key = encode_value(value)
            if key not in groups:
                groups[key] = (None if value is MISSING else value, [make() for _, make, _ in fields])
            for accumulator, (_, _, evaluate) in zip(groups[key][1], fields, strict=True):
                accumulator.add(evaluate(document))
        for value, accumulators in groups.values():
            yield {
                "_id": value,
                **{
                    name: accumulator.result()
                    for (name, _, _), accumulator in zip(fields, accumulators, strict=True)
                },
            }

    return grouped


def _project(argument: Any) -> Stage:
    if type(argument) is not dict or not argument:
        raise CommandError(
            51272, "Invalid $project :: caused by :: projection specification must be an object"
        )
    computed = {
        name: expression
        for name, expression in argument.items()
        if not (type(expression) is bool or is_number(expression))
    }
    if not computed:
        show = compile_projection(argument)
        if show is None:
            return iter
        return lambda documents: map(show, documents)
    flags = {name: flag for name, flag in argument.items() if name not in computed}
    if any(not flag for name, flag in flags.items() if name != "_id"):
        raise CommandError(31310, "Cannot compute a field in an exclusion projection")
    if any(type(value) is dict and not is_operator_document(value) for value in computed.values()):
        raise unsupported("a projection inside another field, other than by a dotted path")
    if any("." in name or name.startswith("$") for name in computed):
        raise unsupported("a computed field inside another")
    hides_id = not flags.get("_id", True)
    # A projection of nothing but `_id: 0` would show all other fields; here it shows none.
    kept = None if hides_id and len(flags) == 1 else compile_projection({"_id": True, **flags})
    evaluators = {name: compile_expression(expression) for name, expression in computed.items()}

    def projected(documents: Iterable[Document]) -> Iterator[Document]:
        for document in documents:
            shown = dict(kept(document)) if kept is not None else {}
            for name, evaluate in evaluators.items():
                value = evaluate(document)
                if value is not MISSING:
                    shown[name] = value
            yield shown

    return projected


_STAGES: dict[str, Callable[[Any], Stage]] = {
    "$match": _match,
    "$group": _group,
    "$sort": _sort,
    "$limit": _limit,
    "$skip": _skip,
    "$project": _project,
    "$unwind": _unwind,
    "$count": _count,
}
