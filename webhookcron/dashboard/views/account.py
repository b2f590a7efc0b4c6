"""Who one is here."""

from __future__ import annotations

from typing import Any

from flask import render_template

from webhookcron.dashboard.blueprint import blueprint
from webhookcron.dashboard.guard import Viewer, signed_in


@blueprint.get("/account")
@signed_in()
def account(viewer: Viewer) -> Any:
    """The page."""
    return render_template("dashboard/account.html")
