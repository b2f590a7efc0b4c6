"""`python -m benchmarks.peers WORKLOAD…`: what others need for the work of `benchmarks.fires`, on this machine.

Workloads: steady, herd, slow, as there: the same receiver, jobs, body, headers, signature, and the same figures. Peers:

bullmq   BullMQ job schedulers, undici
classic  node-cron, SET NX in Redis, a BullMQ queue, axios; its crons cannot be spread over the second

They keep no log of their executions, so compare them with the column `but store` of `benchmarks.fires`. Needs Node
20.18.1 or newer and npm, which installs what package-lock.json here names. Progress goes to standard error, a table to
standard output, and everything to --json FILE.
"""

from __future__ import annotations

import argparse
import json
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks.fires.arguments import add_workload_options, parsed, up_to
from benchmarks.fires.report import line, print_medians, say
from benchmarks.fires.stack import Receiver
from benchmarks.peers import workloads
from benchmarks.peers.answers import PeerFailed
from benchmarks.peers.node import node_command
from benchmarks.peers.stack import PeerOptions, running

WORKLOADS = ("steady", "herd", "slow")

PEERS = ("bullmq", "classic")

SLOW_TARGETS = 500

CONCURRENCY = 50
"""Where answers come at once: of 25, 50, 100, 200, 500 and 1,000, a run each, BullMQ did its herds best with it."""


def main() -> None:
    """Run what the command line asks for."""
    options = _arguments()
    node = node_command()
    results: list[dict[str, Any]] = []
    for name in options.workloads or WORKLOADS:
        for run in range(options.runs):
            try:
                rows = _run(name, node, options)
            except PeerFailed as error:
                raise SystemExit(str(error)) from error
            for row in rows:
                results.append({"workload": name, "run": run + 1, "peer": options.peer, **row})
                print(line(results[-1]), flush=True)
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=2) + "\n")
    print_medians(results)
    print(f"Peer: {options.peer}. It has no store: nothing is kept of an execution.")


def _run(name: str, node: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    say(f"{name}: starting {options.peer} …")
    delay = 0.1 if name == "slow" else 0.0
    with running(node, _peer_options(name, options)) as peer, closing(Receiver(delay)) as receiver:
        rows = []
        if name == "steady":
            aligned = options.aligned or options.peer == "classic"
            for jobs in options.rates:
                say(f"steady: {jobs} jobs a second for {options.seconds} s …")
                row = workloads.steady(peer, receiver, jobs, options.seconds, aligned=aligned)
                rows.append(row)
                peer.forget_jobs()
                if row["missing"] or (row["lag_p99_ms"] or 0) >= 1000:
                    break
        else:
            for jobs in (1000, 5000) if name == "herd" else (SLOW_TARGETS,):
                say(f"{name}: {jobs} jobs at one instant …")
                rows.append(workloads.herd(peer, receiver, jobs))
                peer.forget_jobs()
        return rows


def _peer_options(workload: str, options: argparse.Namespace) -> PeerOptions:
    roles = ("worker",) * options.workers
    return PeerOptions(
        script=f"{options.peer}.mjs",
        roles=("ticker", *roles) if options.peer == "classic" else roles,
        concurrency=options.concurrency or (SLOW_TARGETS if workload == "slow" else CONCURRENCY),
        # As for this platform: the targets of `slow` stand for as many hosts, though they share an address.
        connections_per_host=SLOW_TARGETS if workload == "slow" else options.connections,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_workload_options(parser, WORKLOADS)
    parser.add_argument("--peer", choices=PEERS, default=PEERS[0])
    parser.add_argument("--workers", type=up_to(16), default=1, help="worker processes")
    parser.add_argument(
        "--concurrency",
        type=up_to(10_000),
        help=f"jobs that a worker runs at once; {SLOW_TARGETS} for slow, else {CONCURRENCY}",
    )
    parser.add_argument("--connections", type=up_to(10_000), default=250, help="connections of a worker")
    return parsed(parser, WORKLOADS)


if __name__ == "__main__":
    main()
