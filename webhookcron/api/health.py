"""`/health`: is this platform fit; for load balancers, orchestrators and people. Needs no key and tells no secret."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask.views import MethodView

from webhookcron import __version__
from webhookcron.api.auth import signed_in
from webhookcron.api.blueprints import Blueprint
from webhookcron.api.schema_base import BaseSchema, Moment
from webhookcron.api.services import services
from webhookcron.service.health import Health, ServiceHealth
from webhookcron.service.principals import Principal, Scope

blueprint = Blueprint("System", __name__, url_prefix="/health", description="The state of the platform.")

system_blueprint = Blueprint(
    "Statistics", __name__, url_prefix="/api/stats", description="Figures of the whole platform."
)

NO_STORE = {"Cache-Control": "no-store"}


class StoreHealthSchema(BaseSchema):
    """One store, as it answered just now."""

    status = ma.fields.String(required=True, metadata={"description": "up or down", "example": "up"})
    latency_ms = ma.fields.Float(required=True)
    error = ma.fields.String(allow_none=True)
    version = ma.fields.String(allow_none=True)
    embedded = ma.fields.Boolean(metadata={"description": "The store that `webhookcron up` brings along"})
    finished_executions_kept = ma.fields.Integer(
        allow_none=True,
        metadata={"description": "The embedded store keeps at most so many, whatever retention says"},
    )


class StoresSchema(BaseSchema):
    """The stores."""

    mongodb = ma.fields.Nested(StoreHealthSchema, required=True)
    redis = ma.fields.Nested(StoreHealthSchema, required=True)


class InstanceSchema(BaseSchema):
    """A process of the platform."""

    role = ma.fields.String(required=True, metadata={"description": "api, ticker or worker"})
    host = ma.fields.String(required=True)
    pid = ma.fields.Integer(required=True)
    seen_at = Moment(required=True, metadata={"description": "Its last sign of life"})


class HealthSchema(BaseSchema):
    """The state of the platform."""

    status = ma.fields.String(required=True, metadata={"description": "ok or unavailable", "example": "ok"})
    version = ma.fields.String(required=True)
    uptime_seconds = ma.fields.Float(required=True)
    time = Moment(allow_none=True, metadata={"description": "Platform time"})
    services = ma.fields.Nested(StoresSchema, required=True)
    active_jobs = ma.fields.Integer(allow_none=True)
    mirrored_jobs = ma.fields.Integer(allow_none=True, metadata={"description": "Jobs in the tick source"})
    running_executions = ma.fields.Integer(allow_none=True, metadata={"description": "Up to 10,000"})
    queue_depth = ma.fields.Integer(
        allow_none=True, metadata={"description": "Executions that wait for a worker; up to 10,000"}
    )
    instances_seen = ma.fields.Integer(
        allow_none=True,
        metadata={"description": "Processes of the platform with a sign of life in the last 15 seconds"},
    )
    memory_bytes = ma.fields.Integer(
        allow_none=True, metadata={"description": "Resident memory of the process that answers"}
    )
    oldest_due_at = Moment(
        allow_none=True, metadata={"description": "Since when a job has been due; null = none is"}
    )


class SystemSchema(HealthSchema):
    """The state of the platform and its processes."""

    instances = ma.fields.List(ma.fields.Nested(InstanceSchema), allow_none=True, required=True)


class StatusSchema(BaseSchema):
    """One word."""

    status = ma.fields.String(required=True)


@blueprint.route("", endpoint="health")
class HealthView(MethodView):
    """All of it."""

    @blueprint.response(200, HealthSchema)
    @blueprint.alt_response(503, schema=HealthSchema, description="MongoDB or Redis does not answer")
    @blueprint.doc(operationId="health", security=[])
    def get(self) -> tuple[dict[str, Any], int, dict[str, str]]:
        """Show the state of the platform

        503 when MongoDB or Redis is away; the body tells which.
        """
        health = services().health.check()
        return _health(health), 200 if health.fit else 503, NO_STORE


@blueprint.route("/live", endpoint="live")
class Live(MethodView):
    """Is this process alive."""

    @blueprint.response(200, StatusSchema)
    @blueprint.doc(operationId="live", security=[])
    def get(self) -> tuple[dict[str, str], int, dict[str, str]]:
        """Tell that this process answers

        Looks at nothing else: restarting a process does not bring a store back.
        """
        return {"status": "ok"}, 200, NO_STORE


@blueprint.route("/ready", endpoint="ready")
class Ready(MethodView):
    """Can this process serve."""

    @blueprint.response(200, StatusSchema)
    @blueprint.alt_response(503, schema=StatusSchema, description="MongoDB or Redis does not answer")
    @blueprint.doc(operationId="ready", security=[])
    def get(self) -> tuple[dict[str, str], int, dict[str, str]]:
        """Tell whether requests can be served

        503 while MongoDB or Redis is away.
        """
        fit = services().health.check().fit
        return {"status": "ok" if fit else "unavailable"}, 200 if fit else 503, NO_STORE


@system_blueprint.route("/system", endpoint="system")
class SystemStatistics(MethodView):
    """For admins."""

    @signed_in(Scope.READ, admin=True)
    @system_blueprint.response(200, SystemSchema)
    @system_blueprint.doc(operationId="systemStatistics")
    def get(self, _principal: Principal) -> dict[str, Any]:
        """Show the state of the platform and its processes

        As /health, with each process by role, host and id; for admins.
        """
        health = services().health.check()
        return {**_health(health), "instances": health.instances}


def _health(health: Health) -> dict[str, Any]:
    mongodb = {
        **_store(health.mongodb),
        "version": health.mongodb.facts.get("version"),
        "embedded": health.finished_executions_kept is not None,
        "finished_executions_kept": health.finished_executions_kept,
    }
    return {
        "status": "ok" if health.fit else "unavailable",
        "version": __version__,
        "uptime_seconds": round(health.uptime_seconds, 1),
        "time": health.now,
        "services": {"mongodb": mongodb, "redis": _store(health.redis)},
        "active_jobs": health.active_jobs,
        "mirrored_jobs": health.mirrored_jobs,
        "running_executions": health.running_executions,
        "queue_depth": health.queued_executions,
        "instances_seen": None if health.instances is None else len(health.instances),
        "memory_bytes": health.memory_bytes,
        "oldest_due_at": health.oldest_due_at,
    }


def _store(store: ServiceHealth) -> dict[str, Any]:
    return {"status": "up" if store.up else "down", "latency_ms": store.latency_ms, "error": store.error}
