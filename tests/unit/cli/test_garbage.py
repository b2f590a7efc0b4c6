"""Ticker and worker look for reference cycles seldom, and not in what was loaded."""

from __future__ import annotations

import subprocess
import sys

from webhookcron.cli.garbage import NEW_OBJECTS

SCRIPT = """
import gc, weakref
from webhookcron.cli.garbage import collect_rarely

collect_rarely()

class Node:
    pass

def cycle():
    node = Node()
    node.itself = node
    return weakref.ref(node)

first = cycle()
kept = [[] for _ in range(5_000)]
early = first() is not None
kept += [[] for _ in range(40_000)]
print(gc.get_freeze_count() > 10_000, early, first() is None)
"""


def test_a_cycle_is_collected_after_many_new_objects_and_not_after_a_few() -> None:
    # In a process of its own: this one is not to be left with other habits.
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=30, check=True
    )
    assert ran.stdout.split() == ["True", "True", "True"]
    assert 5_000 < NEW_OBJECTS < 40_000
