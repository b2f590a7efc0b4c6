"""Numbers of the command line, bounded."""

from __future__ import annotations

import argparse
from collections.abc import Callable


def up_to(most: int) -> Callable[[str], int]:
    """What reads a whole number from 1 to `most`: nothing here is to run for ever, or to fill the memory."""

    def number(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to {most:,}")
        return int(text)

    return number


def numbers_up_to(most: int) -> Callable[[str], list[int]]:
    """What reads such numbers, separated by commas."""
    return lambda text: [up_to(most)(part) for part in text.split(",")]
