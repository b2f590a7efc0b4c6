"""Jobs by what people call them: id, key or name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from typing import Any

from webhookcron.client.api import ApiClient, Resource
from webhookcron.client.errors import ApiRefused, NoSuchJob

_ID = re.compile(r"[0-9a-f]{24}")
_KEY = re.compile(r"[A-Za-z0-9._:~-]{1,128}")

MAX_PROPOSED = 3


def find_job(api: ApiClient, called: str) -> Resource:
    """The job with this id, this key or exactly this name, tried in this order.

    Raises NoSuchJob, with the names that come close, or with the ids of those that share the name.
    """
    if _ID.fullmatch(called):
        try:
            return api.get(f"/api/cron/{called}")
        except ApiRefused as error:
            if error.status != 404:
                raise
    if _KEY.fullmatch(called):
        by_key = api.get("/api/cron", {"key": called})["items"]
        if len(by_key) == 1:
            return dict(by_key[0])
    jobs = all_jobs(api)
    named = [job for job in jobs if job["name"] == called] or [
        job for job in jobs if job["name"].casefold() == called.casefold()
    ]
    if len(named) == 1:
        return named[0]
    if named:
        ids = ", ".join(job["id"] for job in named[:MAX_PROPOSED])
        raise NoSuchJob(f"{len(named)} jobs are called {called!r}: name one by its id ({ids})")
    raise NoSuchJob(f"there is no job {called!r} of yours{_hint(called, jobs)}")


def all_jobs(
    api: ApiClient, *, progress: Callable[[int, int], None] | None = None, **filters: Any
) -> list[Resource]:
    """Every job that the key may see and that passes `filters` (names and values of the list's query), oldest first."""
    found: dict[str, Resource] = {}
    for job in api.pages("/api/cron", {"sort": "createdAt", **filters}, progress=progress):
        # A job that is deleted meanwhile shifts the pages: nothing is seen twice, and what was skipped is old.
        found[job["id"]] = job
    return list(found.values())


def _hint(called: str, jobs: list[Resource]) -> str:
    if not jobs:
        return ": there are no jobs yet"
    by_fold: dict[str, str] = {}
    for job in jobs:
        for text in (job["key"], job["name"], job["id"]):
            if text:
                by_fold.setdefault(text.casefold(), text)
    near = difflib.get_close_matches(called.casefold(), by_fold, n=MAX_PROPOSED, cutoff=0.6)
    near += [fold for fold in by_fold if called.casefold() in fold and fold not in near]
    if not near:
        return "; `webhookcron jobs list` shows them"
    return f"; did you mean {' or '.join(repr(by_fold[fold]) for fold in near[:MAX_PROPOSED])}?"


def own_jobs_by_key(
    api: ApiClient, *, progress: Callable[[int, int], None] | None = None
) -> dict[str, Resource]:
    """The caller's own jobs that have a key, by it: those that `PUT /api/cron/by-key/{key}` addresses.

    Raises NoSuchJob when keys of several users cannot be told apart.
    """
    owner_id = own_id(api)
    found: dict[str, Resource] = {}
    for job in all_jobs(api, progress=progress):
        key = job["key"]
        if key is None or (owner_id is not None and job["ownerId"] != owner_id):
            continue
        if key in found:
            raise NoSuchJob(
                f"several users have a job with the key {key!r}, and the API does not say whose key this is: "
                "use the key of a member instead of an admin's"
            )
        found[key] = job
    return found


def own_id(api: ApiClient) -> str | None:
    """The id of the user whose key is used; None where the API does not tell."""
    try:
        me = api.get("/api/auth/me")
    except ApiRefused as error:
        if error.status != 404:
            raise
        return None
    return str(me["user"]["id"])


def default_timezone(api: ApiClient) -> str:
    """The zone that the platform gives to schedules that name none."""
    return str(api.post("/api/cron/preview", {"cronExpression": "0 0 * * *", "count": 1})["timezone"])
