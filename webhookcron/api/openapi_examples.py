"""What answers look like: examples for the OpenAPI document, by the names of their schemas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_JOB_ID = "6740d0c0a1b2c3d4e5f60718"
_OWNER_ID = "6740d0c0a1b2c3d4e5f60720"
_KEY_ID = "6740d0c0a1b2c3d4e5f60719"
_ALERT_ID = "6740d0c0a1b2c3d4e5f60721"
_EXECUTION_ID = f"{_JOB_ID}:1893488400000"
_FIRE_TIME = "2030-01-01T09:00:00.000Z"
_NEXT = "2030-01-07T08:00:00.000Z"
_CREATED = "2029-12-24T10:15:30.250Z"
_PAGE: dict[str, Any] = {"page": 1, "limit": 20, "total": 1}

_JOB: dict[str, Any] = {
    "id": _JOB_ID,
    "ownerId": _OWNER_ID,
    "status": "active",
    "statusReason": None,
    "circuitOpenUntil": None,
    "nextRunAt": _NEXT,
    "lastRunAt": _FIRE_TIME,
    "lastStatus": "success",
    "totalRuns": 2,
    "successfulRuns": 2,
    "failedRuns": 0,
    "consecutiveFailures": 0,
    "createdAt": _CREATED,
    "updatedAt": _CREATED,
    "version": 1,
    "name": "Weekly report",
    "key": "weekly-report",
    "description": "",
    "tags": ["reports"],
    "alerts": [],
    "scheduleType": "cron",
    "cronExpression": "0 9 * * 1",
    "interval": None,
    "intervalValue": None,
    "runAt": None,
    "timezone": "Europe/Berlin",
    "startAt": None,
    "endAt": None,
    "maxRuns": None,
    "jitterMs": 0,
    "deleteAfterCompletion": False,
    "webhookUrl": "https://example.com/hooks/report",
    "method": "POST",
    "headers": {"Authorization": "***", "X-Team": "billing"},
    "secretHeaders": [],
    "query": {},
    "payload": {"report": "weekly"},
    "contentType": None,
    "timeoutMs": 30_000,
    "successStatuses": "200-299",
    "successBody": None,
    "followRedirects": False,
    "auth": None,
    "signing": True,
    "maxRetries": 3,
    "retryDelaysMs": [60_000, 300_000, 900_000],
    "retryDelayMs": None,
    "retryBackoff": "fixed",
    "retryMaxDelayMs": None,
    "misfirePolicy": "fireOnce",
    "misfireGraceMs": 60_000,
    "catchUpLimit": 100,
    "overlapPolicy": "allow",
    "disableAfterFailures": 0,
    "retentionDays": None,
    "isActive": True,
}

_NEW_JOB = {
    **_JOB,
    "signingSecret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "lastRunAt": None,
    "lastStatus": None,
    "totalRuns": 0,
    "successfulRuns": 0,
}

_ATTEMPT: dict[str, Any] = {
    "number": 1,
    "startedAt": "2030-01-01T09:00:00.031Z",
    "durationMs": 48,
    "phases": {
        "nameLookupMs": 3.1,
        "connectMs": 11.4,
        "tlsMs": 14.2,
        "firstByteMs": 18.6,
        "totalMs": 48.0,
    },
    "requestMethod": "POST",
    "requestUrl": "https://example.com/hooks/report",
    "requestHeaders": [["Content-Type", "application/json"], ["Authorization", "***"]],
    "responseStatus": 200,
    "responseHeaders": [["Content-Type", "application/json"]],
    "responseBody": '{"ok": true}',
    "responseBodyBase64": False,
    "truncated": False,
    "error": None,
}

_EXECUTION: dict[str, Any] = {
    "id": _EXECUTION_ID,
    "jobId": _JOB_ID,
    "jobName": "Weekly report",
    "ownerId": _OWNER_ID,
    "trigger": "schedule",
    "status": "success",
    "reason": None,
    "scheduledAt": _FIRE_TIME,
    "queuedAt": "2030-01-01T09:00:00.012Z",
    "startedAt": "2030-01-01T09:00:00.031Z",
    "completedAt": "2030-01-01T09:00:00.079Z",
    "durationMs": 48,
    "attemptCount": 1,
    "nextAttemptAt": None,
    "replayOf": None,
    "skippedCount": None,
    "skippedUntil": None,
    "responseStatus": 200,
    "responseBody": '{"ok": true}',
    "error": None,
}

_QUEUED = {
    **_EXECUTION,
    "id": f"{_JOB_ID}:m:9d51c26726e59f962dd4e9e3",
    "trigger": "manual",
    "status": "queued",
    **dict.fromkeys(("startedAt", "completedAt", "durationMs", "responseStatus", "responseBody")),
    "attemptCount": 0,
}

_BACKFILLED = {**_QUEUED, "id": f"{_EXECUTION_ID}:b:9d51c26726e59f962dd4e9e3", "trigger": "backfill"}

_REPLAY = {
    **_QUEUED,
    "id": f"{_EXECUTION_ID}:r:9d51c26726e59f962dd4e9e3",
    "trigger": "replay",
    "replayOf": _EXECUTION_ID,
}

_PREVIEW: dict[str, Any] = {
    "scheduleType": "cron",
    "timezone": "Europe/Berlin",
    "description": "At 02:30, Europe/Berlin time.",
    "fireTimes": [
        {"utc": "2030-03-30T01:30:00.000Z", "local": "2030-03-30T02:30:00.000+01:00"},
        {"utc": "2030-03-31T01:00:00.000Z", "local": "2030-03-31T03:00:00.000+02:00"},
    ],
    "clockChanges": [
        {
            "at": "2030-03-31T01:00:00.000Z",
            "kind": "gap",
            "effect": "moved",
            "wallTimes": ["2030-03-31T02:30:00"],
            "wallTimeCount": 1,
            "sentence": "On 2030-03-31 clocks in Europe/Berlin go forward from 02:00 to 03:00: 02:30 does not happen; "
            "the job runs once, at 03:00, instead.",
        }
    ],
}

_USER: dict[str, Any] = {
    "id": _OWNER_ID,
    "email": "ann@example.com",
    "name": "Ann",
    "role": "member",
    "isActive": True,
    "createdAt": _CREATED,
    "lastLoginAt": _FIRE_TIME,
}

_API_KEY: dict[str, Any] = {
    "id": _KEY_ID,
    "name": "deployment",
    "scopes": ["read", "write"],
    "createdAt": _CREATED,
    "expiresAt": "2030-12-31T00:00:00.000Z",
    "lastUsedAt": _FIRE_TIME,
}

_ALERT: dict[str, Any] = {
    "id": _ALERT_ID,
    "ownerId": _OWNER_ID,
    "name": "On call",
    "channel": "email",
    "events": ["disabled", "failure", "missed", "recovery"],
    "allJobs": True,
    "isActive": True,
    "to": ["oncall@example.com"],
    "url": None,
    "silenceMinutes": None,
    "createdAt": _CREATED,
    "updatedAt": _CREATED,
    "digestAt": None,
}

_MESSAGE: dict[str, Any] = {
    "id": f"{_ALERT_ID}:test:f647c2726d78f672",
    "kind": "test",
    "status": "pending",
    "tries": 0,
    "notice": {"event": "test", "alertId": _ALERT_ID, "alertName": "On call", "at": _FIRE_TIME},
    "createdAt": _FIRE_TIME,
    "sentAt": None,
    "error": None,
}

_PERIOD: dict[str, Any] = {
    "since": "2029-12-31T10:00:00.000Z",
    "byStatus": {"success": 998, "failed": 1, "timeout": 1, "skipped": 3, "cancelled": 0},
    "successRate": 0.998,
    "averageDurationMs": 61.4,
    "p95DurationMs": 190.0,
}

_STORE: dict[str, Any] = {"status": "up", "latencyMs": 1.8, "error": None}

_HEALTH: dict[str, Any] = {
    "status": "ok",
    "version": "0.1.0",
    "uptimeSeconds": 86_400.0,
    "time": "2030-01-01T09:00:05.000Z",
    "services": {
        "mongodb": {**_STORE, "version": "7.0.0", "embedded": False, "finishedExecutionsKept": None},
        "redis": _STORE,
    },
    "activeJobs": 120,
    "mirroredJobs": 120,
    "runningExecutions": 4,
    "queueDepth": 1,
    "instancesSeen": 5,
    "memoryBytes": 96_468_992,
    "oldestDueAt": None,
}

_AWAY = {
    **_HEALTH,
    "status": "unavailable",
    "services": {
        "mongodb": {
            **_HEALTH["services"]["mongodb"],
            "status": "down",
            "latencyMs": 2003.5,
            "error": "MongoDB did not answer in time",
            "version": None,
        },
        "redis": _STORE,
    },
    **dict.fromkeys(("activeJobs", "runningExecutions", "queueDepth")),
}

BY_SCHEMA: Mapping[str, Any] = {
    "Job": _JOB,
    "JobList": {"items": [_JOB], **_PAGE},
    "BulkResult": {
        "action": "deactivate",
        "dryRun": False,
        "total": 2,
        "succeeded": 1,
        "failed": 1,
        "more": False,
        "items": [
            {"id": _JOB_ID, "ok": True, "error": None, "executionId": None},
            {
                "id": "6740d0c0a1b2c3d4e5f60799",
                "ok": False,
                "error": {"code": 404, "message": "there is no such resource"},
                "executionId": None,
            },
        ],
    },
    "Statistics": {
        "total": 4,
        "byStatus": {"active": 3, "paused": 1, "completed": 0, "disabled": 0},
        "byType": {"cron": 3, "interval": 1, "once": 0},
        "executions": {
            "last24Hours": _PERIOD,
            "last7Days": {**_PERIOD, "since": "2029-12-25T10:00:00.000Z"},
        },
    },
    "Triggered": {"execution": _QUEUED},
    "Backfill": {"count": 1, "dryRun": False, "fireTimes": [_FIRE_TIME], "executions": [_BACKFILLED]},
    "Rotated": {
        "signingSecret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
        "oldSecretExpiresAt": "2030-01-02T09:00:00.000Z",
    },
    "Preview": _PREVIEW,
    "Trial": {"succeeded": True, "attempt": _ATTEMPT},
    "ExecutionList": {
        "items": [_EXECUTION],
        "nextCursor": "MTg5MzQ4ODQwMDAwMCA2NzQwZDBjMGExYjJjM2Q0ZTVmNjA3MTg",
    },
    "ExecutionDetail": {**_EXECUTION, "attempts": [_ATTEMPT]},
    "Deletion": {"deleted": 512, "kept": 3, "more": False},
    "Replay": {"count": 1, "dryRun": False, "more": False, "executions": [_REPLAY]},
    "LoggedIn": {
        "accessToken": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJ3ZWJob29rY3JvbiJ9.…",
        "accessExpiresAt": "2030-01-01T09:15:00.000Z",
        "refreshToken": "whr_61e1032305b807dc04c717df7795cbd2_…",
        "refreshExpiresAt": "2030-01-31T09:00:00.000Z",
        "user": _USER,
    },
    "Me": {"user": _USER, "scopes": ["read", "trigger", "write"], "keyId": None},
    "ApiKey": _API_KEY,
    "ApiKeyList": {"items": [_API_KEY]},
    "CreatedApiKey": {**_API_KEY, "lastUsedAt": None, "key": "whk_…"},
    "User": _USER,
    "UserList": {"items": [_USER], **_PAGE},
    "CreatedUser": {**_USER, "lastLoginAt": None, "password": "D2QKSyuL7V3I1G4ZfCNAmIN_"},
    "Alert": _ALERT,
    "AlertList": {"items": [_ALERT], **_PAGE},
    "Message": _MESSAGE,
    "MessageList": {
        "items": [{**_MESSAGE, "status": "sent", "tries": 1, "sentAt": "2030-01-01T09:00:01.000Z"}]
    },
    "AuditList": {
        "items": [
            {
                "id": "6740d0c0a1b2c3d4e5f60723",
                "at": _FIRE_TIME,
                "userId": _OWNER_ID,
                "keyId": _KEY_ID,
                "address": "192.0.2.7",
                "action": "job.change",
                "resourceId": _JOB_ID,
                "resourceName": "Weekly report",
                "details": {"version": 2, "fields": ["cronExpression"]},
            }
        ],
        **_PAGE,
    },
    "Health": _HEALTH,
    "System": {
        **_HEALTH,
        "instances": [{"role": "ticker", "host": "ticker-1", "pid": 7, "seenAt": "2030-01-01T09:00:03.000Z"}],
    },
    "Status": {"status": "ok"},
}
"""Where answers with a schema look alike."""

BY_OPERATION: Mapping[tuple[str, int], Any] = {
    ("createJob", 201): _NEW_JOB,
    ("cloneJob", 201): {
        **_NEW_JOB,
        "name": "Monthly report",
        "key": None,
        "status": "paused",
        "isActive": False,
        "nextRunAt": None,
    },
    ("putJobByKey", 201): _NEW_JOB,
    ("pauseJob", 200): {**_JOB, "status": "paused", "isActive": False, "nextRunAt": None, "version": 2},
    ("backfillJob", 200): {"count": 1, "dryRun": True, "fireTimes": [_FIRE_TIME], "executions": []},
    ("replayExecution", 202): {"execution": _REPLAY},
    ("cancelExecution", 200): {
        "execution": {**_QUEUED, "status": "cancelled", "reason": "cancelled", "completedAt": _FIRE_TIME}
    },
    ("replayExecutions", 200): {
        "count": 1,
        "dryRun": True,
        "more": False,
        "executions": [{**_EXECUTION, "status": "failed"}],
    },
    ("health", 503): _AWAY,
    ("ready", 503): {"status": "unavailable"},
}
"""Where an operation's answer differs from others with its schema."""

STREAMS: Mapping[str, str] = {
    "application/x-ndjson": f'{{"id":"{_EXECUTION_ID}","jobId":"{_JOB_ID}","status":"success"}}\n',
    "text/csv": f"id,jobId,jobName,ownerId,trigger,status\r\n{_EXECUTION_ID},{_JOB_ID},Weekly report,"
    f"{_OWNER_ID},schedule,success\r\n",
    "text/event-stream": f'retry: 250\n\nid: PcYwNi1-\nevent: execution\ndata: {{"id": "{_EXECUTION_ID}", '
    '"status": "success"}\n\n',
}
"""The beginnings of exports and streams, by their type."""

ERRORS: Mapping[int, tuple[str, Mapping[str, Any]]] = {
    400: ("the body is not JSON: line 1, column 9", {}),
    401: ("an API key or a login is needed: send Authorization: Bearer whk_… or an access token", {}),
    403: ("this API key lacks the scope 'write'", {}),
    404: ("there is no such resource", {}),
    409: (
        "key 'weekly-report' is already used by another job",
        {"json": {"key": ["is already used by another job"]}},
    ),
    412: ("the resource has another version meanwhile", {}),
    413: ("the request body is too large", {}),
    415: ("the body must be JSON: send it with Content-Type: application/json", {}),
    422: (
        "the request is not valid; errors says where",
        {"json": {"timezone": ["The time zone 'Berlin' is unknown. Did you mean Europe/Berlin?"]}},
    ),
    429: ("too many requests: 6000 per minute are allowed; try again after Retry-After seconds", {}),
    503: ("MongoDB is away or too slow; nothing is known about the request's effect, so try again", {}),
}
"""(message, errors) by status."""
