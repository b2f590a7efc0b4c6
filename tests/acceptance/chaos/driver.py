"""One chaos run from start to table."""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pymongo
from checks import Result, check, read_calls
from clocks import WrongClocks
from editor import Editor
from faults import Chaos, plan
from history import JobHistory
from load import Load
from machine import Machine, MachineFailed
from oracle import stretches
from pymongo.errors import PyMongoError
from table import findings, table

APIS, TICKERS, WORKERS = 2, 3, 3
SECONDS_PER_EDIT = 0.4
PROGRESS_SECONDS = 10.0
WARM_UP_SECONDS = 2.0
OVERTIME_SECONDS = 90.0
"""So long after the last fault has begun, every fault is over: the longest of them, and an end that was asked for."""
LATE_MS = 8_000
"""Once everything runs again, no job may be behind by more: slow calls that are queued behind one another aside."""
CATCH_UP_SECONDS = 60.0
READING_SECONDS = 60.0
"""For the whole log at the end."""
RECOVERY_SECONDS = 240.0
"""The longest that is waited for executions to become final: three leases, or pushes that were lost twice."""


@dataclass(frozen=True)
class Options:
    """What to run."""

    seed: int
    seconds: float
    faults: int
    jobs: int
    keep: bool


def run(options: Options) -> int:
    """Run, check, print; the exit code: 1 with findings, 2 when the run could not be made."""
    # Short, so that the stores' sockets fit into it.
    directory = Path(tempfile.mkdtemp(prefix="wc-chaos-"))
    machine = Machine(directory, WrongClocks(directory), random.Random(f"clocks {options.seed}"))
    try:
        return _run(options, machine)
    except MachineFailed as failure:
        say(f"the run could not be made: {failure}")
        return 2
    finally:
        machine.stop()
        if options.keep:
            say(f"logs and data are in {directory}")
        else:
            shutil.rmtree(directory, ignore_errors=True)


def _run(options: Options, machine: Machine) -> int:
    say(f"seed {options.seed}: starting {APIS} APIs, {TICKERS} tickers, {WORKERS} workers")
    machine.start(apis=APIS, tickers=TICKERS, workers=WORKERS)
    if not machine.clocks.available:
        say("the clocks of the processes are right: making them wrong needs Linux and a C compiler")
    load = Load(random.Random(f"load {options.seed}"), machine.receiver_url, int(options.seconds * 1000))
    editor = Editor(machine, load, options.seed, SECONDS_PER_EDIT)
    editor.create_all(options.jobs)
    editor.counts.clear()
    time.sleep(WARM_UP_SECONDS)
    started = time.monotonic()
    faults = plan(options.seed, options.seconds, options.faults)
    chaos = Chaos(machine, faults, options.seed, say)
    editor.start()
    try:
        _let_it_happen(machine, chaos, editor, started + options.seconds + OVERTIME_SECONDS)
    finally:
        editor.stop()
    seconds = time.monotonic() - started
    say("faults are over; waiting until nothing is behind")
    late = _behind(machine, chaos, editor)
    edits = editor.counts.copy()
    late += editor.pause_all()
    # Jobs that could not be paused are completed: whatever their rules still asked for is over by now.
    end_ms = time.time_ns() // 1_000_000
    say("all jobs are paused; waiting until everything is final")
    _await_final(machine, chaos)
    result = _checked(machine, editor, end_ms)
    result.problems += late + chaos.findings + editor.refusals + _errors_logged(machine)
    print(
        table(
            seed=options.seed,
            seconds=seconds,
            jobs=len(editor.jobs),
            faults=chaos.counts,
            edits=edits,
            result=result,
        ),
        flush=True,
    )
    if machine.offsets:
        say(f"clocks were off by {min(machine.offsets)} to {max(machine.offsets)} s")
    if not result.clean:
        print(findings(result), flush=True)
        if options.keep:
            everything = [*result.lost, *result.doubled, *result.problems]
            (machine.directory / "findings").write_text("\n".join(everything))
        return 1
    return 0


def _let_it_happen(machine: Machine, chaos: Chaos, editor: Editor, deadline: float) -> None:
    next_word = 0.0
    next_look = 0.0
    while not chaos.over:
        chaos.step()
        if time.monotonic() > deadline:
            raise MachineFailed(f"the faults do not end; under way on: {machine.busy_names}")
        if time.monotonic() >= next_look:
            next_look = time.monotonic() + 2
            _unless_away(machine, editor.resolve)
        if time.monotonic() >= next_word:
            next_word = time.monotonic() + PROGRESS_SECONDS
            done = _unless_away(machine, machine.database["executions"].estimated_document_count)
            say(
                f"{sum(chaos.counts.values())} faults, {sum(editor.counts.values())} edits, "
                f"{'?' if done is None else done} executions"
            )
        time.sleep(0.02)


def _behind(machine: Machine, chaos: Chaos, editor: Editor) -> list[str]:
    """Wait until every job's fire times are handled as they come; those that stay behind."""
    deadline = time.monotonic() + CATCH_UP_SECONDS
    while True:
        chaos.step()
        late = _unless_away(machine, lambda: _late_jobs(machine, editor.jobs))
        if late == []:
            break
        if time.monotonic() > deadline:
            return [f"still behind: {text}" for text in late or ["the store does not answer"]]
        time.sleep(0.5)
    return []


def _late_jobs(machine: Machine, jobs: list[JobHistory]) -> list[str]:
    now_ms = time.time_ns() // 1_000_000
    late: list[str] = []
    fields = {"status": 1, "handledThrough": 1, "misfirePolicy": 1}
    documents = {document["_id"]: document for document in machine.database["jobs"].find({}, fields)}
    for job in jobs:
        document = documents.get(job.job_id or "")
        if document is None or document["status"] != "active" or job.unsure is not None:
            continue
        if document["misfirePolicy"] == "fireAll":
            # One after another: with a target that hangs, catching up may take as long as new fire times do to come.
            continue
        handled = round(document["handledThrough"].timestamp() * 1000)
        for stretch in stretches(job, now_ms)[-1:]:
            waiting = next(iter(stretch.rule.between(max(handled, stretch.after), now_ms - LATE_MS)), None)
            if waiting is not None:
                late.append(f"{job.key} ({job.kind}, {job.misfire}): {now_ms - waiting} ms")
    return late


def _await_final(machine: Machine, chaos: Chaos) -> None:
    """Wait until no execution is to be looked at any more, or until that has taken too long."""
    deadline = time.monotonic() + RECOVERY_SECONDS
    next_word = time.monotonic() + PROGRESS_SECONDS
    unfinished = {"checkAt": {"$gt": _LONG_AGO}}
    while time.monotonic() < deadline:
        chaos.step()
        open_ = _unless_away(machine, lambda: machine.database["executions"].count_documents(unfinished))
        if open_ == 0:
            return
        if time.monotonic() >= next_word:
            next_word = time.monotonic() + PROGRESS_SECONDS
            say(f"{open_} executions are not final and counted")
        time.sleep(0.25)


def _checked(machine: Machine, editor: Editor, end_ms: int) -> Result:
    database = machine.database
    fields = {"attempts.responseHeaders": 0, "attempts.requestHeaders": 0, "attempts.responseBody": 0}
    # The machine's own deadline is for single looks; this reads everything there is, and nothing is away any more.
    with pymongo.timeout(READING_SECONDS):
        executions: list[dict[str, Any]] = list(database["executions"].find({}, fields))
        documents = {document["_id"]: document for document in database["jobs"].find()}
    return check(editor.jobs, executions, documents, read_calls(machine.calls_file), end_ms)


def _errors_logged(machine: Machine) -> list[str]:
    """Errors with a traceback: something happened that nobody thought of."""
    found: list[str] = []
    for role in ("api", "ticker", "worker"):
        for line in machine.log_lines(role):
            if line.get("exception") or line.get("exc_info"):
                found.append(f"{role} logged {str(line)[:600]}")
    return found


def _unless_away(machine: Machine, look: Callable[[], Any]) -> Any:
    """What `look` says; None while the store is away. No fault waits for it."""
    if any(process.busy for process in machine.processes["store"]):
        return None
    try:
        return look()
    except PyMongoError:
        return None


def say(text: str) -> None:
    """Progress, for whoever waits."""
    elapsed = time.monotonic() - _BEGUN
    print(f"[{elapsed:6.1f} s] {text}", file=sys.stderr, flush=True)


_BEGUN = time.monotonic()
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
