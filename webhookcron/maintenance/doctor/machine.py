"""This machine: open files, and what it has to reach: the mail server that alerts need, the collector of traces."""

from __future__ import annotations

import resource
import smtplib
from collections.abc import Callable, Mapping

import requests

from webhookcron.config import Settings
from webhookcron.maintenance.doctor.findings import Finding, fault, ok, warning

FILES_BESIDES = 200
"""Open files that a worker needs besides the sockets of its calls."""


COLLECTOR_SECONDS = 5.0


def machine_findings(settings: Settings, *, probe_mail: Callable[[], None] | None = None) -> list[Finding]:
    """What this machine lacks. `probe_mail` connects to the mail server; None when none is set."""
    findings = [_open_files(settings)]
    if probe_mail is not None:
        findings.append(_mail(probe_mail))
    if settings.traces_url:
        findings.append(_collector(settings.traces_url, dict(settings.traces_headers)))
    return findings


def _collector(url: str, headers: Mapping[str, str]) -> Finding:
    """Whether it takes an export of nothing, which is a valid one (OTLP/HTTP: an empty message)."""
    about = "collector of traces"
    try:
        answer = requests.post(
            url,
            data=b"",
            headers={**headers, "Content-Type": "application/x-protobuf"},
            timeout=COLLECTOR_SECONDS,
            allow_redirects=False,
        )
    except (requests.RequestException, OSError) as error:
        reason = type(error).__name__
    else:
        if answer.ok and not answer.is_redirect:
            return ok(about, "takes traces")
        reason = f"status {answer.status_code}"
    return warning(
        about,
        f"does not take traces: {reason}",
        "check WEBHOOKCRON_TRACES_URL, path included, and WEBHOOKCRON_TRACES_HEADERS; calls go on without traces",
    )


def _open_files(settings: Settings) -> Finding:
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = settings.worker_concurrency + FILES_BESIDES
    if hard != resource.RLIM_INFINITY and hard < wanted:
        return fault(
            "open files",
            f"this user may open {hard}; WEBHOOKCRON_WORKER_CONCURRENCY={settings.worker_concurrency} needs {wanted}",
            "raise `ulimit -Hn` (LimitNOFILE with systemd), or lower the concurrency",
        )
    return ok("open files", f"{'no limit' if hard == resource.RLIM_INFINITY else hard}; {wanted} are needed")


def _mail(probe: Callable[[], None]) -> Finding:
    try:
        probe()
    except smtplib.SMTPAuthenticationError:
        return fault("mail server", "user or password is wrong", "correct WEBHOOKCRON_SMTP_URL")
    except (smtplib.SMTPException, OSError) as error:
        return warning(
            "mail server",
            f"does not take mails: {' '.join(str(error).split())[:200]}",
            "check WEBHOOKCRON_SMTP_URL; alerts by mail are tried again for half a day",
        )
    return ok("mail server", "answers")
