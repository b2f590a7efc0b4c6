"""Alert mails: text and HTML of a notice, and sending them by SMTP."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from html import escape
from typing import Any
from urllib.parse import unquote, urlsplit

import certifi

from webhookcron.core.alerts import AlertEvent

TIMEOUT_SECONDS = 15.0

_PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}

_SUBJECTS = {
    AlertEvent.FAILURE.value: "{jobName} failed",
    AlertEvent.RECOVERY.value: "{jobName} works again",
    AlertEvent.DISABLED.value: "{jobName} was disabled",
    AlertEvent.MISSED.value: "{jobName} missed fire times",
    AlertEvent.SILENCE.value: "{jobName} has had no success",
    "test": "test of the alert {alertName}",
}

_LABELS = (
    ("jobName", "Job"),
    ("jobId", "Job id"),
    ("count", "Count"),
    ("since", "Since"),
    ("scheduledAt", "Fire time"),
    ("executionId", "Execution"),
    ("attemptCount", "Attempts"),
    ("responseStatus", "Response status"),
    ("reason", "Reason"),
)

MailRefused = (smtplib.SMTPException, OSError)
"""What sending a mail may raise."""


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mails go, as the operator set it."""

    url: str = field(repr=False)
    """smtp://, smtp+starttls:// or smtps://, with credentials and port where needed."""
    sender: str

    def send(self, message: EmailMessage) -> None:
        """Hand a mail over. Raises one of `MailRefused`; some recipients may have been accepted by then."""
        with self._session() as server:
            refused = server.send_message(message)
        if refused:
            raise smtplib.SMTPRecipientsRefused(refused)

    def probe(self) -> None:
        """Connect and log in, no more. Raises one of `MailRefused`."""
        with self._session() as server:
            server.noop()

    @contextmanager
    def _session(self) -> Iterator[smtplib.SMTP]:
        parts = urlsplit(self.url)
        host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
        context = ssl.create_default_context(cafile=certifi.where())
        with (
            smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_SECONDS, context=context)
            if parts.scheme == "smtps"
            else smtplib.SMTP(host, port, timeout=TIMEOUT_SECONDS)
        ) as server:
            server.ehlo_or_helo_if_needed()
            if parts.scheme == "smtp+starttls" or (parts.scheme == "smtp" and server.has_extn("starttls")):
                server.starttls(context=context)
            if parts.username:
                server.login(unquote(parts.username), unquote(parts.password or ""))
            yield server


def mail(
    notice: Mapping[str, Any], *, message_id: str, sender: str, to: Sequence[str], now: datetime
) -> EmailMessage:
    """The mail that tells `notice`; the same `message_id` makes the same Message-ID, so that repeats are known."""
    name, address = parseaddr(sender)
    message = EmailMessage()
    message["Subject"] = f"[webhookcron] {subject(notice)}"
    message["From"] = Address(name, addr_spec=address)
    message["To"] = ", ".join(to)
    message["Date"] = format_datetime(now)
    domain = address.rpartition("@")[2] or "webhookcron"
    message["Message-ID"] = f"<{message_id.replace(':', '.').replace('|', '.')}@{domain}>"
    # RFC 3834 section 5: no out-of-office notes in return.
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text(notice))
    message.add_alternative(html(notice), subtype="html")
    return message


def subject(notice: Mapping[str, Any]) -> str:
    """One line, without line breaks whatever names hold."""
    if notice["event"] == "digest":
        failing = sum(1 for job in notice["jobs"] if job["failing"]) + notice["more"]
        line = (
            f"digest of {notice['alertName']}: {failing} failing"
            if failing
            else f"digest of {notice['alertName']}"
        )
    else:
        line = _SUBJECTS[notice["event"]].format_map(notice)
    return " ".join(line.split())[:200]


def text(notice: Mapping[str, Any]) -> str:
    """The mail as plain text."""
    lines = [f"{headline}", ""] if (headline := _headline(notice)) else []
    if notice["event"] == "digest":
        for job in notice["jobs"]:
            lines.append(f"* {job['jobName']} ({job['jobId']}): {_sums(job)}")
        if notice["more"]:
            lines.append(f"* and {notice['more']} more jobs")
    else:
        lines += [f"{label + ':':<17}{value}" for label, value in _rows(notice)]
    lines += ["", f"Alert: {notice['alertName']} ({notice['alertId']}), {notice['at']}"]
    return "\n".join(lines) + "\n"


def html(notice: Mapping[str, Any]) -> str:
    """The mail as HTML, styled inline as mail programs want it; everything from outside is escaped."""
    if notice["event"] == "digest":
        rows = "".join(
            f"<tr><td style='{_CELL}'>{escape(str(job['jobName']))}<br>"
            f"<small>{escape(str(job['jobId']))}</small></td><td style='{_CELL}'>{escape(_sums(job))}</td></tr>"
            for job in notice["jobs"]
        )
        if notice["more"]:
            rows += f"<tr><td style='{_CELL}' colspan='2'>and {int(notice['more'])} more jobs</td></tr>"
    else:
        rows = "".join(
            f"<tr><th style='{_CELL};text-align:left'>{escape(label)}</th>"
            f"<td style='{_CELL}'>{escape(str(value))}</td></tr>"
            for label, value in _rows(notice)
        )
    return (
        "<!doctype html><html><body style='font-family:sans-serif;color:#1f2933'>"
        f"<h2 style='font-size:18px'>{escape(_headline(notice))}</h2>"
        f"<table style='border-collapse:collapse;font-size:14px'>{rows}</table>"
        f"<p style='color:#616e7c;font-size:12px'>Alert: {escape(str(notice['alertName']))}, "
        f"{escape(str(notice['at']))}</p></body></html>"
    )


_CELL = "padding:4px 12px 4px 0;border-bottom:1px solid #e4e7eb;vertical-align:top"


def _headline(notice: Mapping[str, Any]) -> str:
    match notice["event"]:
        case "digest":
            return f"The last {notice['minutes']} minutes"
        case AlertEvent.FAILURE.value:
            error = notice.get("error")
            return f"{notice['jobName']} failed" + (f": {error['message']}" if error else "")
        case AlertEvent.MISSED.value:
            return f"{notice['jobName']}: fire times were found too late and skipped"
        case "test":
            return "Messages of this alert arrive."
        case _:
            return subject(notice)


def _rows(notice: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    return [(label, notice[key]) for key, label in _LABELS if notice.get(key) is not None]


def _sums(job: Mapping[str, Any]) -> str:
    parts = [
        f"{job[key]} {word}{'' if job[key] == 1 else 's'}"
        for key, word in (("failures", "failure"), ("recoveries", "recovery"), ("missed", "missed fire time"))
        if job[key]
    ]
    words = ", ".join(parts).replace("recoverys", "recoveries")
    if job["failing"]:
        words += f"; failing since {job['since']}"
    return words
