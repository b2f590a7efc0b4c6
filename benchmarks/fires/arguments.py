"""What the command lines of measuring programs share: numbers, bounded, and the options of the common workloads."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence


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


def add_workload_options(parser: argparse.ArgumentParser, workloads: Sequence[str]) -> None:
    """Add which workloads, how often, and the options of `steady`."""
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help=", ".join(workloads))
    parser.add_argument(
        "--runs", type=up_to(20), default=1, help="runs of each workload; medians are printed"
    )
    parser.add_argument("--rates", type=numbers_up_to(20_000), default=[200, 1000, 1500],
                        help="jobs a second for steady, one after the other until one is not kept up")  # fmt: skip
    parser.add_argument("--seconds", type=up_to(600), default=10, help="length of what goes on for a while")
    parser.add_argument(
        "--aligned", action="store_true", help="steady: all jobs due at the same instant of a second"
    )
    parser.add_argument("--json", metavar="FILE")


def parsed(parser: argparse.ArgumentParser, workloads: Sequence[str]) -> argparse.Namespace:
    """What the command line asks for; ends the program when it names another workload."""
    options = parser.parse_args()
    unknown = set(options.workloads) - set(workloads)
    if unknown:
        parser.error(f"no such workload: {', '.join(sorted(unknown))}")
    return options
