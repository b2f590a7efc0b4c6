"""This machine: open files, memory, and the mail server that alerts need."""

from __future__ import annotations

import resource
import smtplib
from collections.abc import Callable

from webhookcron.config import Settings
from webhookcron.maintenance.doctor.findings import Finding, fault, ok, warning

FILES_BESIDES = 200
"""Open files that a worker needs besides the sockets of its calls."""


def machine_findings(settings: Settings, *, probe_mail: Callable[[], None] | None = None) -> list[Finding]:
    """What this machine lacks. `probe_mail` connects to the mail server; None when none is set."""
    findings = [_open_files(settings)]
    if probe_mail is not None:
        findings.append(_mail(probe_mail))
    return findings


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
