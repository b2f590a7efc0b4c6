"""How often Python's collector of reference cycles runs in a process that handles fires."""

from __future__ import annotations

import gc

NEW_OBJECTS = 20_000
"""So many more containers than before bring a look at the young ones. Python's own 700 are there after a few fires, and
hardly anything on their way is a cycle: what a fire needs is freed as its last reference goes."""


def collect_rarely() -> None:
    """Look for cycles after many fires instead of after a few, and never through what is loaded now.

    To be called when the program is loaded: its code and tables, some 80,000 objects, stay for as long as it runs.
    """
    gc.set_threshold(NEW_OBJECTS, 20, 50)
    gc.collect()
    gc.freeze()
