"""Hourly roll-ups: the collections `rollupParts`, `rollupMerges` and `rollups`.

A worker adds one *part* per group of outcomes: a document under the group's token, so that adding it again changes
nothing. Parts are merged into the hours now and then, many at once, which makes a fire that ends cost a few
microseconds here instead of an update of its own.

A merge is written down before it begins (`rollupMerges`: its token and its parts), so that whoever finds it undone
carries out the very same merge; every hour refuses a merge that it holds already. A merged part stays for a while as an
empty stub, which refuses a worker that comes with the same group once more.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from pymongo import UpdateOne
from pymongo.database import Database
from pymongo.errors import BulkWriteError, DuplicateKeyError

from webhookcron.core.executions import ExecutionStatus
from webhookcron.core.rollups import ROLLED_UP, HourRollup, RollupTotals, Share, hour_at, hour_of
from webhookcron.storage.client import Document, driver_errors_translated

log = structlog.get_logger(__name__)

STUB_KEPT = timedelta(minutes=5)
"""How long a worker that hung in the middle of counting may take to come back without counting twice."""

UNREADABLE_AFTER = timedelta(days=1)
"""A group that is not counted after so long holds a document that nobody can read; its part waits no more."""

MERGE_TOKENS = 8
"""Merges that an hour remembers; only one is under way at a time."""

MOST_PARTS = 400
"""Parts merged at once: at a thousand fires a second, what half a minute brings in less than four merges."""

_WRITTEN_AT_ONCE = 500
_DUPLICATE_KEY = 11000
_CURRENT = "current"
_STATUS_NAMES = tuple(status.value for status in ROLLED_UP)


@dataclass(frozen=True, slots=True)
class Merged:
    """What one merge did."""

    parts: int
    hours: int
    more: bool
    """As many parts were waiting as one merge takes."""


class RollupStore:
    """Roll-ups in MongoDB. Every method raises StoreUnavailable when MongoDB is away or too slow."""

    def __init__(self, database: Database[Document]) -> None:
        self._parts = database["rollupParts"]
        self._merges = database["rollupMerges"]
        self._hours = database["rollups"]
        self._executions = database["executions"]

    # --- writing

    def add(self, token: str, shares: Sequence[Share], *, check_at: datetime | None, now: datetime) -> None:
        """Add what a group of outcomes came to, once however often this is called with `token`.

        `check_at` is the moment by which the sweep finds the group while it is not counted (None = no such moment).
        """
        if not shares:
            return
        # One text, not 250 sub-documents: nothing inside is ever looked for.
        part: Document = {
            "_id": token,
            "addedAt": now,
            "unseenAt": now,
            "shares": len(shares),
            "sharesJson": json.dumps(_packed(shares)),
        }
        if check_at is not None:
            part["checkAt"] = check_at
        try:
            with driver_errors_translated():
                self._parts.insert_one(part)
        except DuplicateKeyError:
            return

    def oldest_part_at(self) -> datetime | None:
        """When the oldest part that is not merged was added; None when there is none."""
        with driver_errors_translated():
            part = self._parts.find_one({"addedAt": {"$type": "date"}}, {"addedAt": 1}, sort=[("addedAt", 1)])
        return None if part is None else part["addedAt"]

    def waiting(self, limit: int) -> int:
        """How many shares wait to be merged, each of them a job's hour to write; counted in `limit` parts at most."""
        with driver_errors_translated():
            parts = list(self._parts.find({"addedAt": {"$type": "date"}}, {"shares": 1}).limit(limit))
        return sum(part.get("shares", 1) for part in parts)

    def merge(self, *, now: datetime, retention: timedelta) -> Merged:
        """Merge waiting parts into their hours, finishing first what another process left undone.

        Hours are removed `retention` after they began. Safe to repeat, and to run side by side.
        """
        with driver_errors_translated():
            current = self._merges.find_one({"_id": _CURRENT}) or self._begin(now)
            if current is None:
                return Merged(0, 0, more=False)
            return self._finish(current["token"], current["parts"], now, retention)

    def _begin(self, now: datetime) -> Document | None:
        parts = list(
            self._parts.find({"addedAt": {"$lte": now}}, {"checkAt": 1, "addedAt": 1})
            .sort("addedAt", 1)
            .limit(MOST_PARTS)
        )
        still_counted = self._uncounted([part["checkAt"] for part in parts if "checkAt" in part])
        ids = [
            part["_id"]
            for part in parts
            if part["_id"] not in still_counted or now - part["addedAt"] > UNREADABLE_AFTER
        ]
        if not ids:
            return None
        current = {"_id": _CURRENT, "token": secrets.token_hex(6), "parts": ids}
        try:
            self._merges.insert_one(current)
        except DuplicateKeyError:
            return self._merges.find_one({"_id": _CURRENT})
        return current

    def _uncounted(self, check_ats: Sequence[datetime]) -> set[str]:
        """The tokens of groups that the sweep may still come back to: their parts must not become stubs that lapse."""
        if not check_ats:
            return set()
        filter_ = {"checkAt": {"$in": list(dict.fromkeys(check_ats))}, "counted": False}
        return {
            document["countToken"]
            for document in self._executions.find(filter_, {"countToken": 1})
            if "countToken" in document
        }

    def _finish(self, token: str, ids: Sequence[str], now: datetime, retention: timedelta) -> Merged:
        parts = list(self._parts.find({"_id": {"$in": list(ids)}}, {"sharesJson": 1, "expireAt": 1}))
        hours: dict[str, tuple[Share, bool]] = {}
        # Where one part is a stub already, whoever made it so had written all the hours before.
        if len(parts) == len(ids) and not any("expireAt" in part for part in parts):
            hours = _by_hour(share for part in parts for share in _readable(part))
            self._add_to_hours(hours, token, retention)
        self._parts.update_many(
            {"_id": {"$in": list(ids)}},
            {
                "$set": {"expireAt": now + STUB_KEPT},
                "$unset": {"addedAt": "", "checkAt": "", "shares": ""},
            },
        )
        self._parts.update_many({"_id": {"$in": list(ids)}, "unseenAt": None}, {"$unset": {"sharesJson": ""}})
        self._merges.delete_one({"_id": _CURRENT, "token": token})
        return Merged(len(ids), len(hours), more=len(ids) >= MOST_PARTS)

    def _add_to_hours(self, hours: dict[str, tuple[Share, bool]], token: str, retention: timedelta) -> None:
        changes = [
            (id_, _increments(share, token), _new_hour(share, of_job, retention))
            for id_, (share, of_job) in hours.items()
        ]
        for start in range(0, len(changes), _WRITTEN_AT_ONCE):
            group = changes[start : start + _WRITTEN_AT_ONCE]
            try:
                self._hours.bulk_write(
                    [
                        UpdateOne(
                            {"_id": id_, "merges": {"$ne": token}},
                            {**change, "$setOnInsert": fresh},
                            upsert=True,
                        )
                        for id_, change, fresh in group
                    ],
                    ordered=False,
                )
            except BulkWriteError as error:
                refused = (error.details or {}).get("writeErrors", [])
                if not refused or any(item.get("code") != _DUPLICATE_KEY for item in refused):
                    raise
                # The hour is there: it holds this merge already, or another process created it just now.
                again = [group[item["index"]] for item in refused]
                self._hours.bulk_write(
                    [UpdateOne({"_id": id_, "merges": {"$ne": token}}, change) for id_, change, _ in again],
                    ordered=False,
                )

    # --- what the alerts have not seen

    def unseen(self, before: datetime, limit: int) -> list[tuple[str, list[Share]]]:
        """(token, shares) of parts added before `before` that were not seen, the oldest first."""
        with driver_errors_translated():
            parts = list(
                self._parts.find({"unseenAt": {"$lt": before}}, {"sharesJson": 1})
                .sort("unseenAt", 1)
                .limit(limit)
            )
        return [(part["_id"], _readable(part)) for part in parts]

    def mark_seen(self, tokens: Sequence[str]) -> None:
        """These parts were looked at."""
        with driver_errors_translated():
            self._parts.update_many({"_id": {"$in": list(tokens)}}, {"$unset": {"unseenAt": ""}})

    def mark_all_seen(self, before: datetime) -> None:
        """Nobody wants to know what was added before `before`."""
        with driver_errors_translated():
            self._parts.update_many({"unseenAt": {"$lt": before}}, {"$unset": {"unseenAt": ""}})

    # --- reading

    def hours(
        self, *, owner_id: str | None, job_id: str | None = None, since: datetime, until: datetime
    ) -> list[HourRollup]:
        """The stored hours that begin in [`since`'s hour, `until`), in order; hours without executions are missing.

        With `job_id` those of one job; else those of all jobs of `owner_id` together, one an hour and owner.
        `owner_id` None = any owner's. The last half minute or so may be missing.
        """
        filter_: Document = {"hourAt": {"$gte": hour_at(hour_of(since)), "$lt": until}, "jobId": job_id}
        if owner_id is not None:
            filter_["ownerId"] = owner_id
        with driver_errors_translated():
            return [_rollup(document) for document in self._hours.find(filter_).sort("hourAt", 1)]

    def totals(
        self, *, owner_id: str | None, job_id: str | None = None, since: datetime, until: datetime
    ) -> RollupTotals:
        """The sums of what `hours` gives."""
        return RollupTotals.of(self.hours(owner_id=owner_id, job_id=job_id, since=since, until=until))


def _packed(shares: Sequence[Share]) -> list[list[Any]]:
    return [
        [
            share.owner_id,
            share.job_id,
            share.hour,
            [share.counts.get(status, 0) for status in ROLLED_UP],
            share.duration_ms_sum,
            share.buckets,
            None if share.last_status is None else share.last_status.value,
            share.failed_id,
            share.missed,
        ]
        for share in shares
    ]


def _readable(part: Document) -> list[Share]:
    """The shares of a part; none, and a line in the log, where it cannot be read: it must not hold up the others."""
    try:
        return _unpacked(part.get("sharesJson", "[]"))
    except (ValueError, TypeError, AttributeError) as error:
        log.error("rollup.part_corrupt", part_id=part["_id"], reason=f"{type(error).__name__}: {error}")
        return []


def _unpacked(text: str) -> list[Share]:
    return [
        Share(
            owner_id,
            job_id,
            hour,
            {status: count for status, count in zip(ROLLED_UP, counts, strict=False) if count},
            duration_ms_sum,
            {int(bucket): count for bucket, count in buckets.items()},
            None if last_status is None else ExecutionStatus(last_status),
            failed_id,
            missed,
        )
        # A later version may write more behind these.
        for owner_id, job_id, hour, counts, duration_ms_sum, buckets, last_status, failed_id, missed, *_ in (
            json.loads(text)
        )
    ]


def _by_hour(shares: Iterable[Share]) -> dict[str, tuple[Share, bool]]:
    """The sums by the ids of their hours: one of the job (True), one of all jobs of its owner (False)."""
    hours: dict[str, tuple[Share, bool]] = {}
    for share in shares:
        for id_, of_job in (
            (f"{share.owner_id}|{share.job_id}|{share.hour}", True),
            (f"{share.owner_id}||{share.hour}", False),
        ):
            found = hours.get(id_)
            if found is None:
                found = hours[id_] = (Share(share.owner_id, share.job_id, share.hour), of_job)
            found[0].add(share)
    return hours


def _increments(share: Share, token: str) -> Document:
    increments = {f"counts.{status.value}": count for status, count in share.counts.items()}
    increments |= {f"durationBuckets.{bucket}": count for bucket, count in share.buckets.items()}
    increments["durationMsSum"] = share.duration_ms_sum
    return {"$inc": increments, "$push": {"merges": {"$each": [token], "$slice": -MERGE_TOKENS}}}


def _new_hour(share: Share, of_job: bool, retention: timedelta) -> Document:
    moment = hour_at(share.hour)
    return {
        "ownerId": share.owner_id,
        "jobId": share.job_id if of_job else None,
        "hourAt": moment,
        "expireAt": moment + retention,
    }


def _rollup(document: Document) -> HourRollup:
    counts = document.get("counts", {})
    return HourRollup(
        owner_id=document["ownerId"],
        job_id=document["jobId"],
        hour_at=document["hourAt"],
        counts={ExecutionStatus(name): counts[name] for name in _STATUS_NAMES if name in counts},
        duration_ms_sum=document.get("durationMsSum", 0),
        duration_buckets={int(key): count for key, count in document.get("durationBuckets", {}).items()},
    )
