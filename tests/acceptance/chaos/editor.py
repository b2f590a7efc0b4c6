"""The users of a chaos run: they create, change, pause, resume, trigger and delete jobs over the API, whatever happens.

An answer of success says when a change came into force. Without one (the API was killed, or answered 503) nothing is
known: the job is left alone until its document tells.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from typing import Any

import requests
from history import Change, Event, JobHistory
from load import Draft, Load, from_wire
from machine import Machine, MachineFailed
from rules import pace_of

ANSWER_SECONDS = 8.0
PAUSE_TRIES = 10
MOST_DELETED = 0.1
"""The share of jobs that may be deleted."""


class Editor:
    """Holds the history of every job. `create_all` first; then `start`, and `stop` before `pause_all`."""

    def __init__(self, machine: Machine, load: Load, seed: int, seconds_per_change: float) -> None:
        self.jobs: list[JobHistory] = []
        self.counts: Counter[str] = Counter()
        self.refusals: list[str] = []
        """Answers that no fault explains."""
        self._machine = machine
        self._load = load
        self._dice = random.Random(f"edits {seed}")
        self._pause = seconds_per_change
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="editor")
        self._failure: Exception | None = None
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {machine.key}"

    def create_all(self, count: int) -> None:
        """The jobs of the start, before any fault. Raises MachineFailed when one is not taken."""
        for _ in range(count):
            if not self._create():
                raise MachineFailed(f"a job was not taken although there was no fault yet: {self.refusals}")

    def start(self) -> None:
        """Begin to change things."""
        self._thread.start()

    def stop(self) -> None:
        """Let jobs be. Raises what ended the changes early, if anything did."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._session.close()
        if self._failure is not None:
            raise self._failure

    def pause_all(self) -> list[str]:
        """End the load: every job that still fires is paused, which is an edit like any other; those that could not be.

        Only for when no fault is under way any more.
        """
        self.resolve(for_good=True)
        return [
            f"{job.key} could not be paused"
            for job in self.jobs
            if not (job.gone or job.paused or job.job_id is None or self._pause_for_good(job))
        ]

    def _pause_for_good(self, job: JobHistory) -> bool:
        for _ in range(PAUSE_TRIES):
            if self._change(job, Change.PAUSE, "POST", f"/{job.job_id}/pause") or job.paused:
                return True
            # A connection that an ended API left behind brings no answer; it may have been done all the same.
            time.sleep(0.2)
            self.resolve(for_good=True)
        return job.paused

    def resolve(self, *, for_good: bool = False) -> None:
        """Look in the store what became of changes whose answer was lost; `for_good` gives up those not done yet."""
        for job in self.jobs:
            with job.lock:
                if job.unsure is None:
                    continue
                if self._resolved(job, job.unsure) or for_good:
                    job.unsure = None

    # --- the thread

    def _run(self) -> None:
        try:
            while not self._stop.wait(self._dice.uniform(0, 2 * self._pause)):
                self._one_change()
        except Exception as error:
            self._failure = error

    def _one_change(self) -> None:
        dice = self._dice
        action = dice.choices(
            ("reschedule", "other", "pause", "resume", "delete", "create", "trigger"), (5, 4, 5, 6, 1, 2, 3)
        )[0]
        if action == "create":
            self._create()
            return
        jobs = [job for job in self.jobs if not job.gone and job.unsure is None and job.job_id is not None]
        if action == "resume":
            jobs = [job for job in jobs if job.paused]
        elif action == "pause":
            jobs = [job for job in jobs if not job.paused]
        if not jobs:
            return
        job = dice.choice(jobs)
        match action:
            case "reschedule":
                draft = self._other_schedule(job)
                self._change(job, Change.RESCHEDULE, "PATCH", f"/{job.job_id}", draft.body, draft)
            case "other":
                self._change(job, Change.OTHER, "PATCH", f"/{job.job_id}", self._load.patch_of_other_fields())
            case "pause":
                self._change(job, Change.PAUSE, "POST", f"/{job.job_id}/pause")
            case "resume":
                self._change(job, Change.RESUME, "POST", f"/{job.job_id}/resume")
            case "delete":
                if sum(job.gone for job in self.jobs) < MOST_DELETED * len(self.jobs):
                    self._change(job, Change.DELETE, "DELETE", f"/{job.job_id}")
            case "trigger":
                self._trigger(job)

    # --- single changes

    def _create(self) -> bool:
        draft = self._load.job(len(self.jobs), _now_ms())
        body = draft.body
        job = JobHistory(
            key=body["key"],
            kind=body["webhookUrl"].removeprefix(self._machine.receiver_url),
            overlap=body["overlapPolicy"],
            misfire=body["misfirePolicy"],
        )
        self.jobs.append(job)
        return self._change(job, Change.CREATE, "POST", "", body, draft) and job.job_id is not None

    def _other_schedule(self, job: JobHistory) -> Draft:
        """A schedule that does not go on from the present one: an interval of the same length would keep its anchor."""
        present = next((e.rule for e in reversed(job.settled_events) if e.rule is not None), None)
        while True:
            draft = self._load.patch_of_schedule(_now_ms())
            if pace_of(draft.rule_at(0)) != pace_of(present):
                return draft

    def _change(
        self,
        job: JobHistory,
        change: Change,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        draft: Draft | None = None,
    ) -> bool:
        """Ask for a change; False when it is not known to be done."""
        event = Event(change, sent_ms=_now_ms())
        if draft is not None:
            event.rule_made_at, event.max_runs = draft.rule_at, draft.max_runs
        response = self._request(method, path, body)
        with job.lock:
            if response is None or response.status_code >= 500:
                if response is not None and response.status_code != 503:
                    self.refusals.append(f"{method} {path}: {response.status_code} {response.text[:200]}")
                job.events.append(event)
                job.unsure = event
                return False
            if response.status_code == 409:
                # It is completed: there is nothing to pause or resume.
                return True
            if response.status_code >= 400:
                self.refusals.append(f"{method} {path}: {response.status_code} {response.text[:200]}")
                return True
            job.events.append(event)
            answer = response.json() if response.content else {}
            at_ms = from_wire(answer["updatedAt"]) if answer else event.sent_ms
            self._done(job, event, at_ms, answer.get("id"))
        return True

    def _done(self, job: JobHistory, event: Event, at_ms: int, job_id: str | None) -> None:
        event.came_into_force(at_ms, _now_ms())
        self.counts[event.change.value] += 1
        match event.change:
            case Change.CREATE:
                job.job_id = job_id
            case Change.PAUSE:
                job.paused = True
            case Change.RESUME:
                job.paused = False
            case Change.DELETE:
                job.gone = True

    def _trigger(self, job: JobHistory) -> None:
        key = f"{job.key}-{self._dice.randrange(10**9)}"
        for _ in range(3):
            # The same key again: however often it is sent, it makes one execution.
            response = self._request("POST", f"/{job.job_id}/trigger", headers={"Idempotency-Key": key})
            if response is not None and response.status_code == 202:
                job.triggers[key] = response.json()["execution"]["id"]
                self.counts["trigger"] += 1
                return

    def _request(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> requests.Response | None:
        """The answer of one of the APIs; None when there was none and the request may have been carried out."""
        urls = self._dice.sample(self._machine.api_urls, len(self._machine.api_urls))
        for _ in range(30):
            for url in urls:
                try:
                    return self._session.request(
                        method, f"{url}/api/cron{path}", json=body, headers=headers, timeout=ANSWER_SECONDS
                    )
                except requests.ConnectionError as error:
                    if "refused" not in str(error):
                        return None
                except requests.Timeout:
                    return None
            time.sleep(0.2)  # No API listens: nothing was sent.
        return None

    # --- what became of it

    def _resolved(self, job: JobHistory, event: Event) -> bool:
        jobs = self._machine.database["jobs"]
        document = jobs.find_one({"key": job.key} if job.job_id is None else {"_id": job.job_id})
        if event.change is Change.DELETE:
            if document is None:
                self._done(job, event, event.sent_ms, None)
                return True
            return False
        if document is None:
            return False
        moment = {
            Change.CREATE: "createdAt",
            Change.RESCHEDULE: "scheduleSince",
            Change.PAUSE: "pausedFrom",
            Change.RESUME: "pausedUntil",
            Change.OTHER: "updatedAt",
        }[event.change]
        at = document.get(moment)
        # The clock of this process and of Redis are one: nothing comes into force before it was asked for.
        if at is None or _ms(at) < event.sent_ms:
            return False
        self._done(job, event, _ms(at), document["_id"])
        return True


def _ms(moment: Any) -> int:
    return round(moment.timestamp() * 1000)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
