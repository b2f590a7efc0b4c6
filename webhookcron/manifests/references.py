"""`${env:NAME}` in files of jobs: values, secrets above all, that are not to be written down.

Wherever a text stands, a reference in it is replaced by the environment variable. A doubled dollar sign stands for the
text itself: `$${env:NAME}`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from webhookcron.manifests.yaml_reading import Path

# Any number of dollar signs: two or more say that no reference is meant, and one of them goes.
_CANDIDATE = re.compile(r"(\$+)\{env:([^{}]*)(\}?)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def resolve(
    value: Any, environ: Mapping[str, str], problem: Callable[[Path, str], None]
) -> tuple[Any, frozenset[Path]]:
    """`value` with its references replaced, and the paths of the texts that held one.

    `problem` hears of each path whose reference cannot be replaced: the text is left as it is there.
    """
    referring: set[Path] = set()

    def text(path: Path, written: str) -> str:
        def replaced(match: re.Match[str]) -> str:
            dollars, name, end = match.groups()
            if len(dollars) > 1:
                return match[0][1:]
            if not end or not _NAME.fullmatch(name):
                problem(
                    path, f"{match[0]!r} is no reference: write ${{env:NAME}}, or $${{env:…}} for the text"
                )
                return match[0]
            referring.add(path)
            if name not in environ:
                problem(path, f"the environment variable {name} is not set")
                return match[0]
            return environ[name]

        return _CANDIDATE.sub(replaced, written)

    return _mapped(value, (), text), frozenset(referring)


def escaped(value: Any) -> Any:
    """`value` written so that `resolve` gives it back: nothing in it is taken for a reference."""
    return _mapped(value, (), lambda _, text: _CANDIDATE.sub(lambda match: "$" + match[0], text))


def _mapped(value: Any, path: Path, text: Callable[[Path, str], str]) -> Any:
    if isinstance(value, str):
        return text(path, value)
    if isinstance(value, dict):
        return {name: _mapped(inner, (*path, name), text) for name, inner in value.items()}
    if isinstance(value, list):
        return [_mapped(inner, (*path, index), text) for index, inner in enumerate(value)]
    return value
