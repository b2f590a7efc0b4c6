"""Where an execution goes, before anything of it is claimed: so that it can wait in the right queue."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from webhookcron.core.executions import job_id_of
from webhookcron.storage.jobs import JobStore

MOST_JOBS = 50_000
"""Origins remembered by job; some 10 MB."""


class OriginsOfJobs:
    """Scheme, host and port that jobs call, as last seen: a hint for queueing, no decision. Used by one thread."""

    def __init__(self, jobs: JobStore, *, size: int = MOST_JOBS) -> None:
        self._jobs = jobs
        self._size = size
        self._origins: OrderedDict[str, str] = OrderedDict()

    def of(self, execution_ids: Sequence[str]) -> list[tuple[str, str]]:
        """(id, origin) of each execution; an empty origin for a job that is gone. Raises StoreUnavailable."""
        unknown = {job_id for i in execution_ids if (job_id := job_id_of(i)) not in self._origins}
        if unknown:
            found = self._jobs.origins(sorted(unknown))
            self._origins.update(found)
        origins = [(i, self._origins.get(job_id_of(i), "")) for i in execution_ids]
        while len(self._origins) > self._size:
            self._origins.popitem(last=False)
        return origins

    def learn(self, job_id: str, origin: str) -> None:
        """The job was just seen to call `origin`."""
        if self._origins.get(job_id) != origin:
            self._origins[job_id] = origin
