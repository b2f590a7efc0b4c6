"""Alerts, for the API: who may have which, and what their fields may hold."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from webhookcron.alerts import notices
from webhookcron.config import Settings
from webhookcron.core.alerts import Alert, AlertEvent, Channel
from webhookcron.core.signing import generate_secret, parse_secret
from webhookcron.core.targets import TargetPolicy, TargetRefused
from webhookcron.service.errors import Conflict, FieldErrors
from webhookcron.service.jobs import new_job_id
from webhookcron.service.principals import Principal, Role
from webhookcron.storage.alerts import AlertStore, Message

MOST_ALERTS = 100
"""Alerts of one owner."""

MOST_RECIPIENTS = 10

DEFAULT_EVENTS = frozenset({AlertEvent.FAILURE, AlertEvent.RECOVERY, AlertEvent.DISABLED, AlertEvent.MISSED})

_ADDRESS = re.compile(r"[^@\s,;<>\"()\[\]\\]{1,64}@[A-Za-z0-9.-]{1,253}", re.ASCII)


class AlertService:
    """Everything raises StoreUnavailable, and TickSourceUnavailable when platform time was never known."""

    def __init__(
        self,
        *,
        alerts: AlertStore,
        settings: Settings,
        target_policy: TargetPolicy,
        now: Callable[[], datetime],
    ) -> None:
        self._alerts = alerts
        self._settings = settings
        self._target_policy = target_policy
        self._now = now

    def create(self, principal: Principal, values: Mapping[str, Any]) -> Alert:
        """A new alert of the caller. Raises Invalid, Forbidden, or Conflict when there are too many."""
        now = self._now()
        blank = Alert(
            id=new_job_id(now),
            owner_id=principal.user_id,
            name="",
            channel=Channel.EMAIL,
            events=DEFAULT_EVENTS,
            created_at=now,
            updated_at=now,
        )
        alert = self._changed(principal, blank, values)
        if self._alerts.list(owner_id=principal.user_id, limit=1)[1] >= MOST_ALERTS:
            raise Conflict(f"there are {MOST_ALERTS} alerts already; remove one first")
        self._alerts.create(alert)
        return alert

    def page(self, principal: Principal, *, page: int, limit: int) -> tuple[Sequence[Alert], int]:
        """A page of the alerts that the caller may see, the newest first, and how many there are."""
        return self._alerts.list(owner_id=principal.owner_filter, skip=(page - 1) * limit, limit=limit)

    def get(self, principal: Principal, alert_id: str) -> Alert:
        """One alert. Raises NotFound."""
        return self._alerts.get(alert_id, owner_id=principal.owner_filter)

    def patch(self, principal: Principal, alert_id: str, values: Mapping[str, Any]) -> Alert:
        """Change the fields given; None puts one back to its default. Raises NotFound, Invalid, Forbidden."""
        stored = self.get(principal, alert_id)
        alert = replace(self._changed(principal, stored, values), updated_at=self._now())
        self._alerts.replace(alert)
        return alert

    def delete(self, principal: Principal, alert_id: str) -> None:
        """Remove an alert; jobs that name it go on without. Raises NotFound."""
        self._alerts.delete(self.get(principal, alert_id).id)

    def test(self, principal: Principal, alert_id: str) -> Message:
        """Write down a test message, which a worker sends within seconds. Raises NotFound."""
        alert, now = self.get(principal, alert_id), self._now()
        message_id = f"{alert.id}:test:{secrets.token_hex(8)}"
        self._alerts.add_message(message_id, alert, "test", notices.test(alert, now=now), now=now)
        return next(m for m in self._alerts.messages(alert.id, 10) if m.id == message_id)

    def messages(self, principal: Principal, alert_id: str, limit: int) -> Sequence[Message]:
        """The alert's messages and what became of them, the newest first. Raises NotFound."""
        return self._alerts.messages(self.get(principal, alert_id).id, limit)

    # --- fields

    def _changed(self, principal: Principal, alert: Alert, values: Mapping[str, Any]) -> Alert:
        errors = FieldErrors()
        given = {name: value for name, value in values.items() if value is not None}
        cleared = values.keys() - given.keys()

        def field(name: str, default: Any) -> Any:
            return given.get(name, default if name in cleared else getattr(alert, name))

        channel = Channel(given.get("channel", alert.channel))
        if channel is Channel.OPERATOR and principal.role != Role.ADMIN:
            errors.add("channel", "may be operator for admins only")
        events = frozenset(AlertEvent(event) for event in field("events", DEFAULT_EVENTS))
        silence = field("silence_minutes", None)
        if AlertEvent.SILENCE in events and silence is None:
            errors.add("silence_minutes", "is needed for the event silence")
        changed = replace(
            alert,
            name=field("name", ""),
            channel=channel,
            events=events,
            all_jobs=field("all_jobs", False),
            is_active=field("is_active", True),
            silence_minutes=silence,
            to=(),
            url="",
            signing_secret="",
        )
        if not changed.name:
            errors.add("name", "is needed")
        if channel is Channel.EMAIL:
            changed = replace(changed, to=self._recipients(tuple(field("to", ())), errors))
        elif channel is Channel.WEBHOOK:
            secret = field("signing_secret", "")
            changed = replace(
                changed, url=self._url(field("url", ""), errors), signing_secret=_secret(secret, errors)
            )
        elif not self._settings.apprise_urls:
            errors.add("channel", "cannot be operator: WEBHOOKCRON_APPRISE_URLS is not set")
        errors.raise_if_any()
        return changed

    def _recipients(self, to: tuple[str, ...], errors: FieldErrors) -> tuple[str, ...]:
        if not self._settings.smtp_url:
            errors.add("channel", "cannot be email: WEBHOOKCRON_SMTP_URL is not set")
        if not to:
            errors.add("to", "is needed for the channel email")
        elif len(to) > MOST_RECIPIENTS:
            errors.add("to", f"must have at most {MOST_RECIPIENTS} entries")
        elif wrong := [address for address in to if _ADDRESS.fullmatch(address) is None]:
            errors.add("to", f"must hold mail addresses without names; {wrong[0][:100]!r} is none")
        return tuple(dict.fromkeys(to))

    def _url(self, url: str, errors: FieldErrors) -> str:
        if not url:
            errors.add("url", "is needed for the channel webhook")
            return url
        try:
            self._target_policy.judge_url(url)
        except TargetRefused as refused:
            errors.add("url", refused)
        return url


def _secret(given: str, errors: FieldErrors) -> str:
    if not given:
        return generate_secret(secrets.token_bytes(32))
    try:
        parse_secret(given)
    except ValueError as error:
        errors.add("signing_secret", error)
    return given
