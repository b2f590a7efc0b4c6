"""`/openapi.json` and `/api-docs`: the API described by itself, without anything from the internet."""

from __future__ import annotations

from importlib.resources import files

from flask import Blueprint, Flask, Response, current_app, json, request, send_from_directory
from flask_smorest import Api, abort
from swagger_ui_bundle import swagger_ui_path

from webhookcron.api.openapi import finish

blueprint = Blueprint("documentation", __name__)

ASSETS = frozenset({"swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"})
"""What the page needs of the bundle; nothing else of it is served."""

OWN_ASSETS = frozenset({"docs.js"})

# Swagger UI sets style attributes and inlines small images; everything else comes from this server.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

ASSET_SECONDS = 3600
"""How long browsers keep an asset: it changes with a new version of this platform only."""


HSTS_SECONDS = 365 * 24 * 3600
"""How long browsers that came over TLS come back over nothing else."""

_DOCUMENT = "webhookcron.openapi"


@blueprint.get("/openapi.json")
def openapi_document() -> Response:
    """The OpenAPI document."""
    known = current_app.extensions
    if _DOCUMENT not in known:
        # It is the same as long as the process runs.
        api: Api = known["flask-smorest"]["apis"][""]["ext_obj"]
        known[_DOCUMENT] = json.dumps(finish(api.spec.to_dict())).encode()
    return Response(known[_DOCUMENT], mimetype="application/json")


@blueprint.get("/api-docs")
def page() -> Response:
    """The page for people."""
    response = Response(_own("docs.html"), mimetype="text/html")
    response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    return response


@blueprint.get("/api-docs/<path:name>")
def asset(name: str) -> Response:
    """One of the files that the page needs."""
    if name in OWN_ASSETS:
        response = Response(_own(name), mimetype="text/javascript")
        response.cache_control.max_age = ASSET_SECONDS
        return response
    if name not in ASSETS:
        abort(404)
    return send_from_directory(str(swagger_ui_path), name, max_age=ASSET_SECONDS)


def register_documentation(app: Flask) -> None:
    """Serve the document and the page."""
    app.register_blueprint(blueprint)
    app.after_request(_secured)


def _secured(response: Response) -> Response:
    """What every answer carries: nothing here is to be sniffed, framed, or kept by a cache on the way."""
    headers = response.headers
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("X-Frame-Options", "DENY")
    headers.setdefault("Referrer-Policy", "no-referrer")
    headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
    if request.is_secure:
        # Browsers heed it over TLS only, which a trusted proxy tells of (RFC 6797 section 7.2).
        headers.setdefault("Strict-Transport-Security", f"max-age={HSTS_SECONDS}")
    if request.path.startswith("/api/"):
        headers.setdefault("Cache-Control", "no-store")
    return response


def _own(name: str) -> bytes:
    return files("webhookcron.api").joinpath("static", name).read_bytes()
