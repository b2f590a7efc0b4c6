"""The driver's modules, for the tests that look at one of them alone."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

DIRECTORY = Path(__file__).parent


@pytest.fixture
def chaos_module(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """`chaos_module(name)` imports a module of the driver, which runs as a directory and is no package."""
    names = {file.stem for file in DIRECTORY.glob("*.py")}
    monkeypatch.syspath_prepend(str(DIRECTORY))
    yield importlib.import_module
    for name in names:
        sys.modules.pop(name, None)
