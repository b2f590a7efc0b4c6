"""The full comparison: the mirror as it is against the mirror as MongoDB says it should be, in batches.

The mirror may be ahead of the cursor in MongoDB by up to two seconds, and jobs change while they are compared, so a
difference counts only when a second look, some seconds later, still finds it. The next run that a job shows is put
right too, where other time zone data made it another one.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from webhookcron.core.errors import CorruptDocument
from webhookcron.core.jobs import JobStatus, TickJob
from webhookcron.storage.jobs import JobStore
from webhookcron.ticks.mirroring import mirror_entry
from webhookcron.ticks.source import MirrorEntry, TickSource

log = structlog.get_logger(__name__)

BATCH = 1_000

SECOND_LOOK_AFTER = timedelta(seconds=3)
"""Longer than a cursor may be behind."""

MOST_SUSPECTS = 20_000
"""Differences remembered for the second look; whatever is beyond waits for the next comparison."""


@dataclass(slots=True)
class Compared:
    """What a comparison found and mended."""

    jobs: int = 0
    missing: int = 0
    """Active jobs that were not mirrored, or in an older version."""
    moved: int = 0
    """Jobs mirrored at another fire time than their cursor says, or to act later than they should."""
    removed: int = 0
    """Mirrored jobs that are not active any more, or gone."""
    completed: list[TickJob] = field(default_factory=list)
    """Active jobs whose schedule is over."""
    complete: bool = False
    """Whether all was compared, and Redis kept its data meanwhile."""

    @property
    def repaired(self) -> int:
        """How many entries were put, moved or removed."""
        return self.missing + self.moved + self.removed


class FullComparison:
    """Compares all active jobs with the mirror; after it the mirror is complete, and marked so."""

    def __init__(self, *, jobs: JobStore, source: TickSource) -> None:
        self._jobs = jobs
        self._source = source

    def run(self, stop: threading.Event) -> Compared:
        """Raises StoreUnavailable or TickSourceUnavailable; ends early, unmarked, when `stop` is set."""
        compared = Compared()
        rebuild = self._source.begin_rebuild()
        suspects: list[MirrorEntry] = []
        for batch in self._jobs.active_jobs(BATCH):
            if stop.is_set():
                return compared
            suspects += self._compare(batch, compared)
            del suspects[MOST_SUSPECTS:]
        if suspects and not stop.wait(SECOND_LOOK_AFTER.total_seconds()):
            self._look_again(suspects, compared)
        self._remove_strangers(compared, stop)
        if not stop.is_set():
            compared.complete = self._source.complete_rebuild(rebuild)
        return compared

    def _compare(self, batch: Sequence[TickJob | CorruptDocument], compared: Compared) -> list[MirrorEntry]:
        """Put what is missing at once; the mirrored entries that are not what they should be."""
        jobs = _readable(batch)
        compared.jobs += len(jobs)
        mirrored = self._source.entries([job.id for job in jobs])
        put: list[MirrorEntry] = []
        suspects: list[MirrorEntry] = []
        recomputed: list[tuple[TickJob, datetime]] = []
        for job in jobs:
            try:
                entry = mirror_entry(job)
            except CorruptDocument as error:
                log.error("job.corrupt", job_id=error.document_id, reason=error.reason)
                continue
            if entry is None:
                compared.completed.append(job)
                continue
            if job.next_run_at != entry.fire_time:
                # It is stored with the cursor, so other time zone data than this process has made it.
                log.warning("job.recomputed", job_id=job.id, fire_time=entry.fire_time.isoformat())
                recomputed.append((job, entry.fire_time))
            seen = _seen(job.id, mirrored)
            if seen is None or seen.version < job.version:
                put.append(entry)
            elif _differs(seen, entry):
                suspects.append(seen)
        compared.missing += self._source.put(put)
        self._jobs.reset_next_run_at(recomputed)
        return suspects

    def _look_again(self, suspects: Sequence[MirrorEntry], compared: Compared) -> None:
        """Mend what stands as it stood: what moved since then is alive, and right."""
        for start in range(0, len(suspects), BATCH):
            before = {seen.job_id: seen for seen in suspects[start : start + BATCH]}
            jobs = _readable(list(self._jobs.tick_jobs(list(before)).values()))
            mirrored = self._source.entries([job.id for job in jobs])
            pairs: list[tuple[MirrorEntry, MirrorEntry]] = []
            for job in jobs:
                try:
                    entry = mirror_entry(job) if job.status is JobStatus.ACTIVE else None
                except CorruptDocument:
                    continue  # It became so since the first look; the next comparison tells.
                seen = _seen(job.id, mirrored)
                if entry is None or seen is None or seen != before[job.id] or not _differs(seen, entry):
                    continue
                log.warning("mirror.moved", job_id=job.id, fire_time=entry.fire_time.isoformat())
                pairs.append((seen, entry))
            compared.moved += self._source.replace(pairs)

    def _remove_strangers(self, compared: Compared, stop: threading.Event) -> None:
        """Take out what is mirrored and not an active job."""
        for ids in self._source.job_ids():
            if stop.is_set():
                return
            found = self._jobs.tick_jobs(ids)
            strangers: list[tuple[str, int]] = []
            mirrored = self._source.entries([i for i in ids if i not in found])
            for job_id in ids:
                job = found.get(job_id)
                if job is None:
                    strangers.append((job_id, mirrored[job_id][0] or 0))
                elif isinstance(job, TickJob) and job.status is not JobStatus.ACTIVE:
                    strangers.append((job_id, job.version))
            compared.removed += self._source.remove(strangers)


def _seen(
    job_id: str, mirrored: Mapping[str, tuple[int | None, datetime | None, datetime | None]]
) -> MirrorEntry | None:
    """The entry as it is mirrored; None when it is missing or unreadable."""
    version, fire_time, act_at = mirrored[job_id]
    if version is None or fire_time is None or act_at is None:
        return None
    return MirrorEntry(job_id, version, fire_time, act_at)


def _differs(seen: MirrorEntry, entry: MirrorEntry) -> bool:
    """Whether a mirrored entry would not come to act by itself on what MongoDB says."""
    return seen.version > entry.version or seen.fire_time != entry.fire_time or seen.act_at > entry.act_at


def _readable(batch: Sequence[TickJob | CorruptDocument]) -> list[TickJob]:
    jobs = []
    for job in batch:
        if isinstance(job, TickJob):
            jobs.append(job)
        else:
            log.error("job.corrupt", job_id=job.document_id, reason=job.reason)
    return jobs
