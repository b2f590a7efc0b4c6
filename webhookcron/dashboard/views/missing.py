"""Addresses below the dashboard that nothing stands at."""

from __future__ import annotations

from typing import Any

from flask import abort

from webhookcron.dashboard.blueprint import blueprint


@blueprint.get("/<path:_address>")
def missing(_address: str) -> Any:
    """The page that says so, instead of the API's answer."""
    abort(404)
