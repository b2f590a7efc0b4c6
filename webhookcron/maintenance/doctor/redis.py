"""Redis and the broker: are they there, and do they keep what they are given?"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from redis import Redis
from redis.exceptions import AuthenticationError, RedisError, ResponseError

from webhookcron.core.errors import BrokerUnavailable
from webhookcron.core.executions import EPOCH
from webhookcron.maintenance.doctor.findings import Finding, fault, ok, warning

OLDEST = (6, 2)

MOST_DIFFERENCE = timedelta(seconds=2)


def redis_findings(redis: Redis, *, clock: Callable[[], datetime]) -> list[Finding]:
    """All that can be said of the Redis of the tick source. `clock` is this machine's."""
    try:
        information: dict[str, Any] = redis.info()
        seconds, microseconds = redis.time()
    except AuthenticationError:
        return [fault("Redis", "user or password is wrong", "correct REDIS_URL")]
    except (RedisError, OSError) as error:
        return [
            fault(
                "Redis",
                f"does not answer: {' '.join(str(error).split())[:200]}",
                "start it, and check host, port, TLS and firewall of REDIS_URL from this machine",
            )
        ]
    now = EPOCH + timedelta(seconds=int(seconds), microseconds=int(microseconds))
    return [_version(information), _role(information), *_kept(redis, information), _clock(now, clock())]


def _version(information: dict[str, Any]) -> Finding:
    name = "Valkey" if "valkey_version" in information else "Redis"
    version = str(information.get("valkey_version") or information.get("redis_version", "?"))
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers < OLDEST:
        return fault("Redis", f"version {version} is too old", "upgrade to 7 or later")
    return ok("Redis", f"{name} {version} answers")


def _role(information: dict[str, Any]) -> Finding:
    if information.get("role") == "slave":
        return fault("Redis role", "REDIS_URL names a replica, which takes no writes", "name the master")
    return ok("Redis role", "takes writes")


def _kept(redis: Redis, information: dict[str, Any]) -> list[Finding]:
    try:
        policy = str(redis.config_get("maxmemory-policy").get("maxmemory-policy", "unknown"))
    except ResponseError:
        policy = str(information.get("maxmemory_policy", "unknown"))
    findings = [
        ok("Redis eviction", "noeviction")
        if policy == "noeviction"
        else fault(
            "Redis eviction",
            f"maxmemory-policy is {policy}: jobs and messages may vanish when memory runs short",
            "set `maxmemory-policy noeviction`, and give caches a Redis of their own",
        )
    ]
    if information.get("aof_enabled"):
        findings.append(ok("Redis persistence", "append-only file"))
    else:
        findings.append(
            warning(
                "Redis persistence",
                "no append-only file: after a restart everything is rebuilt from MongoDB, and queued calls come late",
                "set `appendonly yes`",
            )
        )
    limit, used = int(information.get("maxmemory") or 0), int(information.get("used_memory") or 0)
    if limit and used > 0.8 * limit:
        findings.append(
            warning("Redis memory", f"{used / limit:.0%} of maxmemory is used", "give it more memory")
        )
    return findings


def _clock(theirs: datetime, now: datetime) -> Finding:
    difference = abs(theirs - now)
    if difference > MOST_DIFFERENCE:
        return warning(
            "clock of Redis",
            f"differs from this machine's by {difference.total_seconds():.1f} s; jobs fire by the clock of Redis",
            "let both follow NTP",
        )
    return ok("clock of Redis", f"differs by {difference.total_seconds():.1f} s; jobs fire by this clock")


def broker_findings(queue_depth: Callable[[], int]) -> list[Finding]:
    """Whether messages can be left at the broker."""
    try:
        waiting = queue_depth()
    except BrokerUnavailable as error:
        return [
            fault(
                "broker",
                str(error),
                "start it, and check CELERY_BROKER_URL (unset, it is the Redis of REDIS_URL)",
            )
        ]
    if waiting > 1_000:
        return [
            warning(
                "broker",
                f"{waiting} messages wait",
                "start more workers, or look why the present ones do not keep up",
            )
        ]
    return [ok("broker", f"{waiting} messages wait")]
