"""The Flask application: all of its wiring, and nothing else."""

from __future__ import annotations

from functools import partial

import structlog
from flask import Flask

from webhookcron import __version__
from webhookcron.api import (
    accounts,
    alerts,
    api_keys,
    events,
    execution_actions,
    executions,
    health,
    job_actions,
    job_bulk,
    jobs,
    previews,
    trials,
    users,
)
from webhookcron.api.blueprints import register_converters
from webhookcron.api.docs import register_documentation
from webhookcron.api.errors import RestApi, register_error_handlers
from webhookcron.api.observing import register_observing
from webhookcron.api.openapi import DESCRIPTION
from webhookcron.api.protection import register_protection
from webhookcron.api.services import Services
from webhookcron.config import Settings
from webhookcron.core.errors import StoreUnavailable
from webhookcron.dashboard.registration import register_dashboard
from webhookcron.metrics.api import ApiMetrics
from webhookcron.metrics.state import MOST_COUNTED, PlatformState
from webhookcron.service.alerts import AlertService
from webhookcron.service.health import HealthService
from webhookcron.service.platform import Platform, stored_now

log = structlog.get_logger(__name__)

MAX_BODY_BYTES = 1024 * 1024
"""Of any request; a payload may have 256 KiB, and escapes may make it longer on the way."""


def create_app(settings: Settings, platform: Platform | None = None) -> Flask:
    """The API as a WSGI application on `platform`; by default on the stores that `settings` name.

    Stores that are away now are no obstacle: requests answer 503 until they are there.
    """
    app = Flask("webhookcron", static_folder=None)
    app.config.update(
        MAX_CONTENT_LENGTH=MAX_BODY_BYTES,
        API_TITLE="webhookcron",
        API_VERSION=__version__,
        OPENAPI_VERSION="3.0.3",
        API_SPEC_OPTIONS={
            "info": {"description": DESCRIPTION},
            "components": {
                "securitySchemes": {
                    "bearer": {
                        "type": "http",
                        "scheme": "bearer",
                        "description": "An API key (`whk_…`) or the access token of a login",
                    }
                }
            },
        },
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.url_map.strict_slashes = False
    connected = _connected(settings) if platform is None else platform
    app.extensions["webhookcron"] = Services.of(connected)
    app.extensions["webhookcron.alerts"] = AlertService(
        alerts=connected.alerts,
        settings=settings,
        target_policy=connected.target_policy,
        now=partial(stored_now, connected.clock),
    )
    api = RestApi(app)
    register_converters(app, api)
    register_error_handlers(app)
    register_observing(app, _metrics(app.extensions["webhookcron"].health, connected))
    register_protection(app, settings, connected.redis)
    for blueprint in (
        *(part.blueprint for part in (jobs, job_bulk, job_actions, previews, trials)),
        *(part.blueprint for part in (executions, execution_actions, events)),
        *(part.blueprint for part in (accounts, api_keys, users)),
        alerts.blueprint,
        users.audit_blueprint,
        health.blueprint,
        health.system_blueprint,
    ):
        api.register_blueprint(blueprint)
    register_documentation(app)
    register_dashboard(app, connected)
    return app


def _metrics(health: HealthService, platform: Platform) -> ApiMetrics:
    return ApiMetrics(
        PlatformState(
            health=health.check,
            unfinished=partial(platform.executions.unfinished_by_status, limit=MOST_COUNTED),
            queue_depth=platform.queue_depth,
            now=platform.clock.now,
        )
    )


def _connected(settings: Settings) -> Platform:
    # Connecting brings the drivers along, which importing this module does not need.
    from webhookcron.wiring.database import prepare_database
    from webhookcron.wiring.platform import connect

    platform = connect(settings, part="api")
    try:
        prepare_database(platform.database)
    except StoreUnavailable as error:
        log.warning("api.indexes_later", error=str(error))
    platform.instances.keep_present("api")
    return platform
