"""The whole examination, from the environment to the findings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from functools import partial

from pymongo.errors import PyMongoError
from redis.exceptions import RedisError

from webhookcron.alerts.mail import MailServer
from webhookcron.delivery.broker import celery_app, queue_depth
from webhookcron.maintenance.doctor.findings import Finding, fault
from webhookcron.maintenance.doctor.machine import machine_findings
from webhookcron.maintenance.doctor.mongodb import mongodb_findings
from webhookcron.maintenance.doctor.redis import broker_findings, redis_findings
from webhookcron.maintenance.doctor.settings import settings_findings
from webhookcron.storage import client as mongo
from webhookcron.ticks import client as redis_client

_SECRET_KEY = "WEBHOOKCRON_SECRET_KEY"


def examine(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Look at settings, stores, broker and machine, one after the other. Changes nothing that stays."""
    settings, wrong, findings = settings_findings(environ)
    yield from findings
    clock = partial(datetime.now, UTC)
    if "MONGODB_URI" not in wrong:
        try:
            with mongo.connect(settings.mongodb_uri) as client:
                keys = () if _SECRET_KEY in wrong else settings.secret_keys
                yield from mongodb_findings(mongo.database_of(client), keys, clock=clock)
        except (PyMongoError, ValueError) as error:
            yield fault(
                "MONGODB_URI", f"cannot be used: {error}", "correct it; the driver's guide has its options"
            )
    if "REDIS_URL" not in wrong:
        try:
            with closing(redis_client.connect(settings.redis_url)) as redis:
                yield from redis_findings(redis, clock=clock)
        except (RedisError, ValueError) as error:
            yield fault("REDIS_URL", f"cannot be used: {error}", "correct it")
    if not {"REDIS_URL", "CELERY_BROKER_URL"} & wrong:
        with closing(celery_app(settings.celery_broker_url, key_prefix=settings.key_prefix)) as celery:
            yield from broker_findings(partial(queue_depth, celery))
    mail = MailServer(settings.smtp_url, settings.smtp_from) if settings.smtp_url else None
    yield from machine_findings(settings, probe_mail=None if mail is None else mail.probe)
