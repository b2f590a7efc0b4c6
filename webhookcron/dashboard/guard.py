"""Who may see which page: sessions, what they may do, and the tokens that forms carry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any, Literal, TypeVar

from flask import Response, g, redirect, request, url_for

from webhookcron.dashboard.credentials import principal_of
from webhookcron.dashboard.sessions import Notice, SecretKind, Session, new_session
from webhookcron.dashboard.state import dashboard
from webhookcron.service.errors import Forbidden
from webhookcron.service.principals import Principal, Scope

COOKIE = "webhookcron_session"
COOKIE_PATH = "/dashboard"

CSRF_FIELD = "csrf_token"
CSRF_HEADER = "X-CSRF-Token"

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITES = frozenset({"same-origin", "none"})

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Viewer:
    """Someone who is signed in."""

    principal: Principal
    session: Session

    def may(self, scope: Scope) -> bool:
        """Whether `scope` is allowed; what is not is not offered either."""
        try:
            self.principal.require(scope)
        except Forbidden:
            return False
        return True

    @property
    def may_write(self) -> bool:
        return self.may(Scope.WRITE)

    @property
    def may_trigger(self) -> bool:
        return self.may(Scope.TRIGGER)

    @property
    def is_admin(self) -> bool:
        return self.principal.role == "admin"


class ForgedRequest(Exception):
    """A request that changes something came without the token of its session."""


def signed_in(scope: Scope = Scope.READ) -> Callable[[View], View]:
    """Let a view run for sessions with `scope` only, others are asked to sign in; it gets the Viewer first."""

    def decorator(view: View) -> View:
        @wraps(view)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            viewer = present_viewer()
            if viewer is None:
                return _sign_in_first()
            viewer.principal.require(scope)
            return view(viewer, *args, **kwargs)

        return wrapper  # type: ignore[return-value]

    return decorator


def present_session() -> Session:
    """The session of this request; a new one, not signed in, when it brought none."""
    if "dashboard_session" not in g:
        now = dashboard().now()
        found = dashboard().seal.open(request.cookies.get(COOKIE), now)
        g.dashboard_session = new_session(now) if found is None else found.used(now)
        g.dashboard_session_stored = g.dashboard_session is found
    return g.dashboard_session  # type: ignore[no-any-return]


def begin_session(session: Session) -> None:
    """Go on with `session`: the response carries it."""
    g.dashboard_session = session
    g.dashboard_session_stored = False
    g.pop("dashboard_viewer", None)


def leave_notice(
    text: str,
    kind: Literal["good", "bad"] = "good",
    *,
    secret: str = "",
    secret_is: SecretKind = "signing",
) -> None:
    """Tell something on the page that comes next, once."""
    notice = Notice(text=text, kind=kind, secret=secret, secret_is=secret_is)
    begin_session(replace(present_session(), notice=notice))


def take_notice() -> Notice | None:
    """What the page before left to tell; it is not told again."""
    session = present_session()
    if session.notice is not None:
        g.dashboard_session = replace(session, notice=None)
        g.dashboard_session_stored = False
    return session.notice


def present_viewer() -> Viewer | None:
    """Who is signed in; None when nobody is, or the credential is no longer valid."""
    if "dashboard_viewer" not in g:
        session = present_session()
        principal = principal_of(session)
        g.dashboard_viewer = None if principal is None else Viewer(principal, session)
    return g.dashboard_viewer  # type: ignore[no-any-return]


def check_token() -> None:
    """Raise ForgedRequest when this request changes something and does not come from a page of its session."""
    if request.method in _SAFE_METHODS:
        return
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in _OWN_SITES:
        raise ForgedRequest
    token = request.headers.get(CSRF_HEADER) or request.form.get(CSRF_FIELD)
    if not present_session().accepts(token):
        raise ForgedRequest


def keep_session(response: Response) -> Response:
    """Store a session that is new or was renewed with the browser."""
    session: Session | None = g.get("dashboard_session")
    if session is not None and not g.dashboard_session_stored:
        response.set_cookie(
            COOKIE,
            dashboard().seal.seal(session),
            path=COOKIE_PATH,
            httponly=True,
            secure=request.is_secure,
            samesite="Lax",
        )
    return response


def wants_fragment() -> bool:
    """Whether a script asks, which cannot follow to a sign-in page."""
    return request.headers.get("X-Requested-With") == "fetch" or "text/event-stream" in request.headers.get(
        "Accept", ""
    )


def _sign_in_first() -> Any:
    if wants_fragment():
        return {"message": "Your session is over. Sign in again."}, 401
    wanted = request.full_path.rstrip("?") if request.method in _SAFE_METHODS else None
    return redirect(url_for("dashboard.login", next=wanted))
