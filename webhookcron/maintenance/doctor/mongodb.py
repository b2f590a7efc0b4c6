"""MongoDB: is it there, fit for the purpose, and does it hold what it should?"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from pymongo.database import Database
from pymongo.errors import PyMongoError

from webhookcron.maintenance.doctor.findings import Finding, fault, ok, warning
from webhookcron.maintenance.reencryption import COLLECTIONS, opens
from webhookcron.storage.client import Document
from webhookcron.storage.indexes import missing_indexes
from webhookcron.storage.schema_version import CURRENT, READABLE_FROM, stored_version

OLDEST = (6, 0)
"""The oldest release that MongoDB still maintained when this was written."""

MOST_DIFFERENCE = timedelta(seconds=2)

SAMPLED = 200
"""So many jobs, and alerts, are tried with the present secret keys."""


def mongodb_findings(
    database: Database[Document], secret_keys: tuple[str, ...], *, clock: Callable[[], datetime]
) -> list[Finding]:
    """All that can be said of the database. `clock` is this machine's."""
    try:
        hello = database.command("hello")
        information = database.command("buildInfo")
    except PyMongoError as error:
        return [_away(error)]
    findings = _server(hello, information)
    looks: tuple[Callable[[], Finding], ...] = (
        lambda: _clock(hello, clock()),
        lambda: _write(database),
        lambda: _schema(database),
        lambda: _indexes(database),
        lambda: _secrets(database, secret_keys),
    )
    for look in looks:
        try:
            findings.append(look())
        except PyMongoError as error:
            findings.append(
                fault(
                    "MongoDB",
                    f"an operation failed: {_said(error)}",
                    "give the user of MONGODB_URI the role readWrite on this database",
                )
            )
    return findings


def _away(error: PyMongoError) -> Finding:
    if "uthentication failed" in str(error):
        return fault("MongoDB", "user or password is wrong", "correct MONGODB_URI (and its authSource)")
    return fault(
        "MongoDB",
        f"does not answer: {_said(error)}",
        "start it, and check host, port, TLS and firewall of MONGODB_URI from this machine",
    )


def _server(hello: Document, information: Document) -> list[Finding]:
    version = str(information.get("version", "?"))
    if information.get("webhookcronEmbedded"):
        return [ok("MongoDB", "the embedded store: for one machine and 50,000 finished executions")]
    findings: list[Finding] = []
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers < OLDEST:
        findings.append(
            warning("MongoDB", f"version {version} is no longer maintained", "upgrade to 7.0 or later")
        )
    else:
        findings.append(ok("MongoDB", f"version {version} answers"))
    if hello.get("msg") == "isdbgrid" or hello.get("setName"):
        findings.append(ok("MongoDB replica set", str(hello.get("setName") or "a sharded cluster")))
    else:
        findings.append(
            warning(
                "MongoDB replica set",
                "a single server: when it is lost, what was acknowledged since the last backup is, too",
                "run a replica set of three (deploy/compose.production.yml shows one)",
            )
        )
    return findings


def _clock(hello: Document, now: datetime) -> Finding:
    theirs = hello.get("localTime")
    if not isinstance(theirs, datetime):
        return ok("clock of MongoDB", "not told")
    difference = abs(theirs.replace(tzinfo=UTC) - now) if theirs.tzinfo is None else abs(theirs - now)
    if difference > MOST_DIFFERENCE:
        return warning(
            "clock of MongoDB",
            f"differs from this machine's by {difference.total_seconds():.1f} s",
            "let both follow NTP; removal by retention goes by MongoDB's clock",
        )
    return ok("clock of MongoDB", f"differs by {difference.total_seconds():.1f} s")


def _write(database: Database[Document]) -> Finding:
    database["meta"].update_one({"_id": "doctor"}, {"$set": {"seen": True}}, upsert=True)
    database["meta"].delete_one({"_id": "doctor"})
    return ok("MongoDB writes", "acknowledged by a majority")


def _schema(database: Database[Document]) -> Finding:
    stored = stored_version(database)
    if stored is None:
        return ok("schema", "the database is new; the first process prepares it")
    if stored.readable_from > CURRENT:
        return fault(
            "schema",
            f"version {stored.version} was written by a newer release",
            "install the newer release again",
        )
    if stored.version < CURRENT or stored.readable_from < READABLE_FROM:
        return warning(
            "schema",
            f"version {stored.version}, this release writes {CURRENT}",
            "run `webhookcron migrate`, or start a process of this release",
        )
    return ok("schema", f"version {stored.version}")


def _indexes(database: Database[Document]) -> Finding:
    missing = missing_indexes(database)
    if missing:
        return fault(
            "indexes",
            f"missing or other than declared: {', '.join(missing)}",
            "run `webhookcron indexes`; on large collections at a quiet time",
        )
    return ok("indexes", "all there")


def _secrets(database: Database[Document], keys: tuple[str, ...]) -> Finding:
    about = "stored secrets"
    if not keys:
        return warning(about, "not looked at, since WEBHOOKCRON_SECRET_KEY is wrong", "set it right first")
    tried, unreadable = 0, []
    for name in COLLECTIONS:
        for document in database[name].find({}).limit(SAMPLED):
            tried += 1
            if not opens(document, keys):
                unreadable.append(f"{name}/{document['_id']}")
    if unreadable:
        return fault(
            about,
            f"{len(unreadable)} of {tried} jobs and alerts have secrets that no present key opens, "
            f"such as {unreadable[0]}",
            "add the key that was in use to the end of WEBHOOKCRON_SECRET_KEY",
        )
    return ok(about, f"the present keys open those of {tried} jobs and alerts")


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
