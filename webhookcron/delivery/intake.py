"""Which host an execution is for, before anything of it is claimed: so that it can wait in the right queue."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from webhookcron.core.executions import job_id_of
from webhookcron.storage.jobs import JobStore

MOST_JOBS = 50_000
"""Hosts remembered by job; some 10 MB."""


class HostsOfJobs:
    """The hosts that jobs call, as last seen: a hint for queueing, not a decision. Used by one thread."""

    def __init__(self, jobs: JobStore, *, size: int = MOST_JOBS) -> None:
        self._jobs = jobs
        self._size = size
        self._hosts: OrderedDict[str, str] = OrderedDict()

    def of(self, execution_ids: Sequence[str]) -> list[tuple[str, str]]:
        """(id, host) of each execution; an empty host for a job that is gone. Raises StoreUnavailable."""
        unknown = {job_id for i in execution_ids if (job_id := job_id_of(i)) not in self._hosts}
        if unknown:
            found = self._jobs.hosts(sorted(unknown))
            self._hosts.update(found)
        hosts = [(i, self._hosts.get(job_id_of(i), "")) for i in execution_ids]
        while len(self._hosts) > self._size:
            self._hosts.popitem(last=False)
        return hosts

    def learn(self, job_id: str, host: str) -> None:
        """The job was just seen to call `host`."""
        if self._hosts.get(job_id) != host:
            self._hosts[job_id] = host
