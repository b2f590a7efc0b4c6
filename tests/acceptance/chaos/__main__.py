"""`python tests/acceptance/chaos --minutes 5 --seed 1`: the platform under faults, then every fire time checked.

Prints progress to standard error and a table to standard output. Exit code 0 when nothing was lost, doubled or left
undone; 1 otherwise, with what was found; 2 when a process of the run could not be started at all. The same seed gives
the same jobs, edits and faults.
"""

from __future__ import annotations

import argparse
import random
import sys

from driver import Options, run


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, help="how long faults go on (default: 5)")
    length.add_argument("--seconds", type=float, help="the same in seconds")
    parser.add_argument("--seed", type=int, help="repeats a run (default: a random one)")
    parser.add_argument("--faults", type=int, help="how many (default: one each 3.5 seconds)")
    parser.add_argument("--jobs", type=int, default=240, help="jobs at the start (default: %(default)s)")
    parser.add_argument("--keep", action="store_true", help="keep logs and data, and say where")
    arguments = parser.parse_args()
    seconds = arguments.seconds if arguments.seconds is not None else 60 * (arguments.minutes or 5)
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(10**6)
    faults = arguments.faults if arguments.faults is not None else max(8, round(seconds / 3.5))
    return run(Options(seed, seconds, faults, arguments.jobs, arguments.keep))


if __name__ == "__main__":
    sys.exit(main())
