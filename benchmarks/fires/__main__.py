"""`python -m benchmarks.fires WORKLOAD…`: figures of the whole platform on this machine.

Workloads: steady, herd, slow, fairness, idle, api, mirror, tickers; all by default. Runs on embedded stores, or on
real ones by --mongodb-uri and --redis-url (a database and a Redis of their own: both are emptied). Progress goes to
standard error, a table to standard output, and everything to --json FILE.

What others need for the same work on the same machine: `python -m benchmarks.peers`.
"""

from __future__ import annotations

import argparse
import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.fires import ticking, workloads
from benchmarks.fires.arguments import add_workload_options, numbers_up_to, parsed, up_to
from benchmarks.fires.report import line, print_medians, say
from benchmarks.fires.stack import Receiver, StackOptions, running

WORKLOADS = ("steady", "herd", "slow", "fairness", "idle", "api", "mirror", "tickers")

TICKERS = (1, 2, 4)


def main() -> None:
    """Run what the command line asks for."""
    options = _arguments()
    results: list[dict[str, Any]] = []
    for name in options.workloads or WORKLOADS:
        for run in range(options.runs):
            for row in _run(name, options):
                results.append({"workload": name, "run": run + 1, **row})
                print(line(results[-1]), flush=True)
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=2) + "\n")
    print_medians(results)


def _run(name: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    if name == "tickers":
        return [_shared_by(count, options) for count in TICKERS]
    say(f"{name}: starting the platform …")
    stack_options = StackOptions(
        tickers=options.tickers,
        workers=options.workers,
        mongodb_uri=options.mongodb_uri,
        redis_url=options.redis_url,
        kept_executions=options.kept_executions,
    )
    # What is measured is the API, not how it holds callers back.
    if name == "api":
        stack_options = replace(stack_options, environment={"WEBHOOKCRON_RATE_LIMIT": "1000000 per minute"})
    if name == "slow":
        # Its 500 targets stand for 500 hosts, though they share an address.
        stack_options = replace(stack_options, max_per_host=500)
    if name == "mirror":
        stack_options = replace(stack_options, tickers=0, workers=0)
    delay = 0.1 if name == "slow" else 0.0
    hanging_hosts = 0
    if name == "fairness":
        # As an operator runs it: with the caps that are the default.
        stack_options = replace(stack_options, worker_concurrency=500, max_per_host=50)
        hanging_hosts = stack_options.worker_concurrency + 1
    with running(stack_options) as stack, closing(Receiver(delay, hanging_hosts)) as receiver:
        rows = []
        if name == "steady":
            for jobs in options.rates:
                say(f"steady: {jobs} jobs a second for {options.seconds} s …")
                row = workloads.steady(stack, receiver, jobs, options.seconds, aligned=options.aligned)
                rows.append(row)
                stack.forget_jobs()
                if row["missing"] or (row["lag_p99_ms"] or 0) >= 1000:
                    break
        elif name in ("herd", "slow"):
            for jobs in (1000, 5000) if name == "herd" else (500,):
                say(f"{name}: {jobs} jobs at one instant …")
                rows.append(workloads.herd(stack, receiver, jobs))
                stack.forget_jobs()
        elif name == "fairness":
            say("fairness: 200 jobs a second, alone and beside hanging hosts …")
            rows += workloads.fairness(stack, receiver, 200, options.seconds, hanging_hosts - 1)
        elif name == "api":
            say(f"api: requests beside {options.idle_jobs} jobs …")
            rows += workloads.api(stack, options.idle_jobs, options.requests)
        elif name == "mirror":
            for jobs in options.mirrored:
                say(f"mirror: {jobs} jobs that are not due …")
                rows.append(ticking.mirror(stack, jobs))
        else:
            say(f"idle: {options.idle_jobs} jobs …")
            rows.append(workloads.idle(stack, options.idle_jobs, options.seconds))
        return rows


def _shared_by(tickers: int, options: argparse.Namespace) -> dict[str, Any]:
    say(f"tickers: {options.herd} jobs at one instant, {tickers} tickers …")
    stack_options = StackOptions(
        tickers=tickers, workers=0, mongodb_uri=options.mongodb_uri, redis_url=options.redis_url
    )
    with running(stack_options) as stack:
        row = ticking.share(stack, options.herd)
        stack.forget_jobs()
        return row


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fires", description=__doc__)
    add_workload_options(parser, WORKLOADS)
    parser.add_argument("--idle-jobs", type=up_to(1_000_000), default=100_000)
    parser.add_argument("--mirrored", type=numbers_up_to(5_000_000),
                        default=[1_000, 100_000, 1_000_000], help="jobs in the mirror, in turn")  # fmt: skip
    parser.add_argument(
        "--herd", type=up_to(100_000), default=5_000, help="jobs that the tickers of `tickers` share"
    )
    parser.add_argument("--requests", type=up_to(100_000), default=300, help="requests of each kind for api")
    parser.add_argument("--tickers", type=up_to(16), default=1)
    parser.add_argument("--workers", type=up_to(16), default=1)
    parser.add_argument(
        "--kept-executions", type=up_to(5_000_000), default=50_000, help="bound of the embedded store"
    )
    parser.add_argument("--mongodb-uri")
    parser.add_argument("--redis-url")
    return parsed(parser, WORKLOADS)


if __name__ == "__main__":
    main()
