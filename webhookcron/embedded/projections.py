"""Projections of `find` and `findAndModify`: which fields a reply shows."""

from collections.abc import Callable
from typing import Any

from webhookcron.embedded.errors import CommandError, unsupported
from webhookcron.embedded.operators import is_number
from webhookcron.embedded.paths import split_path

Projection = Callable[[dict[str, Any]], dict[str, Any]]


def compile_projection(fields: Any) -> Projection | None:
    """A function from a document to what is shown of it; None when everything is."""
    if fields is None or fields == {}:
        return None
    if type(fields) is not dict:
        raise CommandError(14, "Expected projection to be an object")
    flags: dict[str, bool] = {}
    for path, wanted in fields.items():
        if type(wanted) is not bool and not is_number(wanted):
            raise unsupported(f"a projection of '{path}' other than 0 or 1")
        if any(part.startswith("$") for part in split_path(path)):
            raise unsupported("a positional projection")
        flags[path] = bool(wanted)
    shows_id = flags.pop("_id", None)
    if len(set(flags.values())) > 1:
        including = next(iter(flags.values()))
        raise CommandError(
            31254 if including else 31253,
            f"Cannot do {'exclusion' if including else 'inclusion'} on a field in "
            f"{'inclusion' if including else 'exclusion'} projection",
        )
    includes = next(iter(flags.values())) if flags else bool(shows_id)
    if includes:
        return _inclusion(flags, shows_id is not False)
    if shows_id is False:
        flags["_id"] = False
    elif shows_id and flags:
        # An exclusion that names _id as shown changes nothing about it.
        flags.pop("_id", None)
    if all("." not in path for path in flags):
        return lambda document: {name: value for name, value in document.items() if name not in flags}
    tree = _tree(flags)
    return lambda document: _excluded(document, tree)


def _inclusion(flags: dict[str, bool], shows_id: bool) -> Projection:
    if all("." not in path for path in flags):
        wanted = set(flags) | ({"_id"} if shows_id else set())
        return lambda document: {name: value for name, value in document.items() if name in wanted}
    tree = _tree({**flags, "_id": True} if shows_id else flags)
    return lambda document: _included(document, tree)


def _tree(paths: dict[str, bool]) -> dict[str, Any]:
    """The paths as nested dictionaries; a leaf is None."""
    root: dict[str, Any] = {}
    for path in paths:
        node = root
        parts = split_path(path)
        for part in parts[:-1]:
            node = node.setdefault(part, {})
            if node is None:
                raise CommandError(31249, f"Path collision at {path}")
        if parts[-1] in node:
            raise CommandError(31250, f"Path collision at {path}")
        node[parts[-1]] = None
    return root


def _included(node: dict[str, Any], tree: dict[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for name, value in node.items():
        if name not in tree:
            continue
        below = tree[name]
        if below is None:
            shown[name] = value
        elif type(value) is dict:
            shown[name] = _included(value, below)
        elif type(value) is list:
            shown[name] = _included_in_array(value, below)
    return shown


def _included_in_array(values: list[Any], tree: dict[str, Any]) -> list[Any]:
    shown: list[Any] = []
    for value in values:
        if type(value) is dict:
            shown.append(_included(value, tree))
        elif type(value) is list:
            shown.append(_included_in_array(value, tree))
    return shown


def _excluded(node: dict[str, Any], tree: dict[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for name, value in node.items():
        if name in tree:
            below = tree[name]
            if below is None:
                continue
            value = _excluded_value(value, below)
        shown[name] = value
    return shown


def _excluded_value(value: Any, tree: dict[str, Any]) -> Any:
    if type(value) is dict:
        return _excluded(value, tree)
    if type(value) is list:
        return [_excluded_value(element, tree) for element in value]
    return value
