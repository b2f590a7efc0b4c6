"""The collections `alerts`, `alertStates` and `alertDeliveries`. Signing secrets are sealed in documents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from pymongo import ReturnDocument
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from webhookcron.core.alerts import Alert, AlertEvent, AlertState, Channel, MessageStatus
from webhookcron.core.errors import NotFound, StoreUnavailable
from webhookcron.storage.client import Document, driver_errors_translated
from webhookcron.storage.request_documents import Sealer

log = structlog.get_logger(__name__)

MESSAGES_KEPT = timedelta(days=30)

PUSHED_AGAIN_AFTER = timedelta(seconds=30)
"""A message that no worker took is pushed again after this."""

LEASE = timedelta(minutes=2)
"""A worker has so long to send a message: longer than all its time-outs."""

IDLE_STATES_KEPT = timedelta(days=7)
"""The state of a job that is well lapses after this: long after the groups of outcomes that it remembers are seen."""

STATE_TOKENS = 128
"""Groups of outcomes that a state remembers; more than are looked at in one go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of an alert, and what became of it."""

    id: str
    """Also the `webhook-id`."""
    alert_id: str
    kind: str
    """An event, `digest` or `test`."""
    notice: Mapping[str, Any]
    """What there is to tell, as JSON."""
    status: MessageStatus
    tries: int
    created_at: datetime
    sent_at: datetime | None
    error: str | None


class AlertStore:
    """Alerts in MongoDB. Every method raises StoreUnavailable when MongoDB is away or too slow."""

    def __init__(self, database: Database[Document], sealer: Sealer) -> None:
        self._alerts = database["alerts"]
        self._states = database["alertStates"]
        self._messages = database["alertDeliveries"]
        self._sealer = sealer

    # --- definitions

    def create(self, alert: Alert) -> None:
        """Store a new alert."""
        with driver_errors_translated():
            self._alerts.insert_one({"_id": alert.id, **self._document(alert)})

    def replace(self, alert: Alert) -> None:
        """Replace the definition; what waits for a digest stays. Raises NotFound."""
        with driver_errors_translated():
            result = self._alerts.update_one({"_id": alert.id}, {"$set": self._document(alert)})
        if not result.matched_count:
            raise NotFound(alert.id)

    def delete(self, alert_id: str) -> None:
        """Remove an alert with all that it knows; its messages stay until they lapse, unsent ones are not sent."""
        with driver_errors_translated():
            self._alerts.delete_one({"_id": alert_id})
            self._states.delete_many({"alertId": alert_id})
            self._messages.update_many(
                {"alertId": alert_id, "status": MessageStatus.PENDING.value},
                {
                    "$set": {"status": MessageStatus.FAILED.value, "error": "the alert was deleted"},
                    "$unset": {"checkAt": ""},
                },
            )

    def get(self, alert_id: str, *, owner_id: str | None) -> Alert:
        """The alert; NotFound when there is none or it is another owner's (None = any owner's)."""
        filter_: Document = {"_id": alert_id} if owner_id is None else {"_id": alert_id, "ownerId": owner_id}
        with driver_errors_translated():
            document = self._alerts.find_one(filter_)
        if document is None:
            raise NotFound(alert_id)
        return self._alert(document)

    def list(self, *, owner_id: str | None, skip: int = 0, limit: int) -> tuple[Sequence[Alert], int]:
        """A page of alerts, the newest first, and how many there are in all."""
        filter_: Document = {} if owner_id is None else {"ownerId": owner_id}
        with driver_errors_translated():
            total = self._alerts.count_documents(filter_)
            found = self._alerts.find(filter_).sort([("createdAt", -1), ("_id", -1)]).skip(skip).limit(limit)
            return self._readable(found), total

    def any(self) -> bool:
        """Whether there is an active alert at all."""
        with driver_errors_translated():
            return self._alerts.find_one({"isActive": True}, {"_id": 1}) is not None

    def of_owners(self, owner_ids: Sequence[str]) -> Sequence[Alert]:
        """The active alerts of these owners."""
        with driver_errors_translated():
            return self._readable(self._alerts.find({"ownerId": {"$in": [*owner_ids]}, "isActive": True}))

    def telling_of(self, event: AlertEvent) -> Sequence[Alert]:
        """The active alerts that tell of such events."""
        with driver_errors_translated():
            return self._readable(self._alerts.find({"isActive": True, "events": event.value}))

    def digests_due(self, now: datetime) -> Sequence[Alert]:
        """The alerts whose digest is due."""
        with driver_errors_translated():
            return self._readable(
                self._alerts.find({"digestAt": {"$lte": now}}).sort("digestAt", 1).limit(100)
            )

    def begin_interval(self, alert_id: str, *, digest_at: datetime, told: int) -> None:
        """So many messages went at once; the digest comes at `digest_at`, unless an earlier one is due."""
        with driver_errors_translated():
            self._alerts.update_one({"_id": alert_id, "digestAt": None}, {"$set": {"digestAt": digest_at}})
            self._alerts.update_one({"_id": alert_id}, {"$set": {"told": told}})

    def end_interval(self, alert_id: str, *, was: datetime, digest_at: datetime | None) -> None:
        """The digest that was due at `was` is written: the next one is due at `digest_at`, or none."""
        change: Document = {"$set": {"told": 0}}
        if digest_at is None:
            change["$unset"] = {"digestAt": ""}
        else:
            change["$set"]["digestAt"] = digest_at
        with driver_errors_translated():
            self._alerts.update_one({"_id": alert_id, "digestAt": was}, change)

    # --- what an alert knows of a job

    def states(self, pairs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], AlertState]:
        """The states of (alert id, job id); a pair without one has a fresh one."""
        states = {pair: AlertState(alert_id=pair[0], job_id=pair[1]) for pair in pairs}
        ids = [_state_id(*pair) for pair in pairs]
        for start in range(0, len(ids), 1_000):
            with driver_errors_translated():
                for document in self._states.find({"_id": {"$in": ids[start : start + 1_000]}}):
                    states[document["alertId"], document["jobId"]] = _state(document)
        return states

    def seen_groups(self, alert_id: str, job_id: str) -> frozenset[str]:
        """The groups of outcomes that this state has taken in."""
        with driver_errors_translated():
            document = self._states.find_one({"_id": _state_id(alert_id, job_id)}, {"tokens": 1})
        return frozenset((document or {}).get("tokens", ()))

    def failing(self, alert_ids: Sequence[str]) -> Sequence[AlertState]:
        """The states of jobs that these alerts know to be failing."""
        with driver_errors_translated():
            found = self._states.find({"alertId": {"$in": [*alert_ids]}, "failingSince": {"$type": "date"}})
            return [_state(document) for document in found]

    def silent_jobs(self, alert_id: str) -> frozenset[str]:
        """The jobs whose silence this alert has told of."""
        with driver_errors_translated():
            found = self._states.find({"alertId": alert_id, "silentSince": {"$type": "date"}}, {"jobId": 1})
            return frozenset(document["jobId"] for document in found)

    def all_states(self, alert_id: str) -> Sequence[AlertState]:
        """What the alert knows of every job that it ever told of."""
        with driver_errors_translated():
            return [_state(document) for document in self._states.find({"alertId": alert_id})]

    def save_state(self, state: AlertState, *, token: str | None = None, now: datetime) -> None:
        """Store a state; with `token`, the group of outcomes that led to it. One with nothing to remember lapses.

        Raises StoreUnavailable also when it was changed since it was read: what led here has to be looked at again.
        """
        values = {
            "alertId": state.alert_id,
            "jobId": state.job_id,
            "jobName": state.job_name,
            "failingSince": state.failing_since,
            "failures": state.failures,
            "toldAt": state.told_at,
            "untoldFailures": state.untold_failures,
            "untoldRecoveries": state.untold_recoveries,
            "untoldMissed": state.untold_missed,
            "executionId": state.execution_id,
            "disabledVersion": state.disabled_version,
            "silentSince": state.silent_since,
            "expireAt": now + IDLE_STATES_KEPT if state.idle else None,
            "revision": state.revision + 1,
        }
        change: Document = {"$set": values}
        if token is not None:
            change["$push"] = {"tokens": {"$each": [token], "$slice": -STATE_TOKENS}}
        as_read: Document = {
            "_id": _state_id(state.alert_id, state.job_id),
            "revision": state.revision or {"$exists": False},
        }
        try:
            with driver_errors_translated():
                # One that is there in another revision makes the insert fail, as `_id` is unique.
                self._states.update_one(as_read, change, upsert=True)
        except DuplicateKeyError as error:
            raise StoreUnavailable("another instance looked at the same alert") from error

    # --- messages

    def add_message(
        self, message_id: str, alert: Alert, kind: str, notice: Mapping[str, Any], *, now: datetime
    ) -> None:
        """Write down a message to send; one that is there already stays as it is."""
        document = {
            "_id": message_id,
            "alertId": alert.id,
            "ownerId": alert.owner_id,
            "kind": kind,
            "notice": dict(notice),
            "status": MessageStatus.PENDING.value,
            "tries": 0,
            "createdAt": now,
            "checkAt": now,
            "expireAt": now + MESSAGES_KEPT,
        }
        try:
            with driver_errors_translated():
                self._messages.insert_one(document)
        except DuplicateKeyError:
            return

    def messages(self, alert_id: str, limit: int) -> Sequence[Message]:
        """The alert's messages, the newest first."""
        with driver_errors_translated():
            found = self._messages.find({"alertId": alert_id}).sort("createdAt", -1).limit(limit)
            return [_message(document) for document in found]

    def take_due(self, now: datetime, limit: int) -> Sequence[str]:
        """Ids of messages that have to be pushed to a worker now; they are due again a little later."""
        with driver_errors_translated():
            due = list(
                self._messages.find({"checkAt": {"$lte": now}}, {"status": 1, "checkAt": 1})
                .sort("checkAt", 1)
                .limit(limit)
            )
            taken: list[str] = []
            for document in due:
                result = self._messages.update_one(
                    {
                        "_id": document["_id"],
                        "status": document["status"],
                        "checkAt": document["checkAt"],
                    },
                    {
                        "$set": {
                            # A worker that held it is gone.
                            "status": MessageStatus.PENDING.value,
                            "checkAt": now + PUSHED_AGAIN_AFTER,
                        },
                        "$unset": {"claim": ""},
                    },
                )
                if result.matched_count:
                    taken.append(document["_id"])
        return taken

    def claim(self, message_id: str, token: str, *, now: datetime) -> Message | None:
        """Take a pending message for this worker; None when another one has it, or it is done."""
        with driver_errors_translated():
            document = self._messages.find_one_and_update(
                {"_id": message_id, "status": MessageStatus.PENDING.value},
                {
                    "$set": {
                        "status": MessageStatus.SENDING.value,
                        "claim": token,
                        "checkAt": now + LEASE,
                    },
                    "$inc": {"tries": 1},
                },
                return_document=ReturnDocument.AFTER,
            )
        return None if document is None else _message(document)

    def sent(self, message_id: str, token: str, *, now: datetime) -> None:
        """The message reached its receiver."""
        self._end(message_id, token, {"status": MessageStatus.SENT.value, "sentAt": now}, None)

    def not_sent(self, message_id: str, token: str, error: str, *, again_at: datetime | None) -> None:
        """The message did not reach its receiver: tried again at `again_at`, or given up (None)."""
        status = MessageStatus.FAILED if again_at is None else MessageStatus.PENDING
        self._end(message_id, token, {"status": status.value, "error": error}, again_at)

    def _end(self, message_id: str, token: str, values: Document, check_at: datetime | None) -> None:
        unset = {"claim": ""}
        if check_at is None:
            unset["checkAt"] = ""
        else:
            values = {**values, "checkAt": check_at}
        with driver_errors_translated():
            self._messages.update_one({"_id": message_id, "claim": token}, {"$set": values, "$unset": unset})

    # --- documents

    def _document(self, alert: Alert) -> Document:
        return {
            "ownerId": alert.owner_id,
            "name": alert.name,
            "channel": alert.channel.value,
            "events": sorted(event.value for event in alert.events),
            "allJobs": alert.all_jobs,
            "isActive": alert.is_active,
            "to": [*alert.to],
            "url": alert.url,
            "sealedSecret": self._sealer.encrypt_text(alert.signing_secret) if alert.signing_secret else None,
            "silenceMinutes": alert.silence_minutes,
            "createdAt": alert.created_at,
            "updatedAt": alert.updated_at,
        }

    def _readable(self, documents: Iterable[Document]) -> Sequence[Alert]:
        """The alerts of `documents`; one that cannot be read is left out, with a line in the log."""
        alerts: list[Alert] = []
        for document in documents:
            try:
                alerts.append(self._alert(document))
            except (KeyError, ValueError, TypeError) as error:
                reason = f"{type(error).__name__}: {error}"
                log.error("alert.corrupt", alert_id=document.get("_id"), reason=reason)
        return alerts

    def _alert(self, document: Document) -> Alert:
        get = document.get
        secret = ""
        if get("sealedSecret"):
            try:
                secret = self._sealer.decrypt_text(document["sealedSecret"])
            except ValueError as error:
                # The alert is there all the same; its calls go unsigned to nobody: see `alerts.channels`.
                log.error("alert.secret_unreadable", alert_id=document["_id"], reason=str(error))
        return Alert(
            id=document["_id"],
            owner_id=document["ownerId"],
            name=document["name"],
            channel=Channel(document["channel"]),
            events=frozenset(AlertEvent(event) for event in document["events"]),
            all_jobs=get("allJobs", False),
            is_active=get("isActive", True),
            to=tuple(get("to", ())),
            url=get("url", ""),
            signing_secret=secret,
            silence_minutes=get("silenceMinutes"),
            created_at=document["createdAt"],
            updated_at=document["updatedAt"],
            digest_at=get("digestAt"),
            told=get("told", 0),
        )


def _state_id(alert_id: str, job_id: str) -> str:
    return f"{alert_id}|{job_id}"


def _state(document: Document) -> AlertState:
    get = document.get
    return AlertState(
        alert_id=document["alertId"],
        job_id=document["jobId"],
        job_name=get("jobName", ""),
        failing_since=get("failingSince"),
        failures=get("failures", 0),
        told_at=get("toldAt"),
        untold_failures=get("untoldFailures", 0),
        untold_recoveries=get("untoldRecoveries", 0),
        untold_missed=get("untoldMissed", 0),
        execution_id=get("executionId"),
        disabled_version=get("disabledVersion"),
        silent_since=get("silentSince"),
        revision=get("revision", 0),
    )


def _message(document: Document) -> Message:
    get = document.get
    return Message(
        id=document["_id"],
        alert_id=document["alertId"],
        kind=document["kind"],
        notice=document["notice"],
        status=MessageStatus(document["status"]),
        tries=get("tries", 0),
        created_at=document["createdAt"],
        sent_at=get("sentAt"),
        error=get("error"),
    )
