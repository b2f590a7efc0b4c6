"""What statuses, triggers, reasons and failures are called on the pages."""

from __future__ import annotations

from webhookcron.core.executions import ExecutionStatus, Reason, Trigger
from webhookcron.core.outcomes import FailureKind

STATUS_WORDS: dict[str, str] = {
    ExecutionStatus.QUEUED: "Queued",
    ExecutionStatus.RUNNING: "Running",
    ExecutionStatus.RETRYING: "Retrying",
    ExecutionStatus.SUCCESS: "Success",
    ExecutionStatus.FAILED: "Failed",
    ExecutionStatus.TIMEOUT: "Timeout",
    ExecutionStatus.SKIPPED: "Skipped",
    ExecutionStatus.CANCELLED: "Cancelled",
}

TRIGGER_WORDS: dict[str, str] = {
    Trigger.SCHEDULE: "Schedule",
    Trigger.MANUAL: "Run by hand",
    Trigger.BACKFILL: "Backfill",
    Trigger.REPLAY: "Replay",
}

REASON_WORDS: dict[str, str] = {
    Reason.MISFIRE: "found too late",
    Reason.CATCH_UP_LIMIT: "beyond the catch-up limit",
    Reason.OVERLAP: "the previous one was still under way",
    Reason.PAUSED: "the job was paused",
    Reason.DISABLED: "the job was disabled",
    Reason.COMPLETED: "the schedule was over",
    Reason.SUPERSEDED: "the schedule was changed",
    Reason.DELETED: "the job was deleted",
    Reason.CANCELLED: "cancelled by someone",
    Reason.LOST: "the workers that had it died",
    Reason.CIRCUIT_OPEN: "waits until its host is tried again",
    Reason.WAITING: "waits for the previous one",
}

FAILURE_WORDS: dict[str, str] = {
    FailureKind.TIMEOUT: "Timed out",
    FailureKind.DNS: "Name not found",
    FailureKind.CONNECT: "No connection",
    FailureKind.TLS: "TLS failed",
    FailureKind.CERTIFICATE: "Bad certificate",
    FailureKind.BLOCKED: "Target not allowed",
    FailureKind.RESET: "Connection broke",
    FailureKind.PROTOCOL: "Not HTTP",
    FailureKind.REDIRECT: "Redirect leads nowhere",
    FailureKind.TEMPORARY_STATUS: "Temporary error",
    FailureKind.BAD_STATUS: "Unwanted status",
    FailureKind.GONE: "Gone",
    FailureKind.BAD_BODY: "Unwanted body",
    FailureKind.OAUTH_REFUSED: "Token refused",
    FailureKind.OAUTH_UNAVAILABLE: "Token not to be had",
    FailureKind.SECRET_UNREADABLE: "Secret unreadable",
    FailureKind.INVALID_REQUEST: "Cannot be sent",
    FailureKind.CANCELLED: "Ended by the platform",
    FailureKind.LOST: "Worker lost",
}
