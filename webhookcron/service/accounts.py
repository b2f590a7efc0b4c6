"""Logging in and out, and what users do with their own account."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from webhookcron.core.errors import NotFound
from webhookcron.service.audit import AuditTrail
from webhookcron.service.errors import Conflict, FieldErrors, Forbidden, Invalid, LoginFailed, SessionEnded
from webhookcron.service.login_attempts import LoginAttempts
from webhookcron.service.passwords import MAX_LENGTH, Passwords, problem_with
from webhookcron.service.platform import Platform, stored_now
from webhookcron.service.principals import ALL_SCOPES, Principal, Role
from webhookcron.service.tokens import AccessTokens, generate_refresh_secret
from webhookcron.storage.sessions import Session, SessionStore
from webhookcron.storage.users import User, UserStore

log = structlog.get_logger(__name__)

SESSION_LIFETIME = timedelta(days=30)
"""A login ends so long after its last refresh."""

REFRESH_PREFIX = "whr_"
MAX_EMAIL = 254
"""RFC 5321 section 4.5.3.1.3, less the angle brackets."""
MAX_NAME = 255
MAX_CLIENT = 200

_EMAIL = re.compile(r"[^\s@\x00-\x1f\x7f<>,;:\"()\[\]\\]+@[^\s@\x00-\x1f\x7f<>,;:\"()\[\]\\]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedIn:
    """A login that was just made or refreshed."""

    principal: Principal
    user: User
    session_id: str
    access_token: str
    """For the Authorization header, until `access_expires_at`."""
    access_expires_at: datetime
    refresh_token: str
    """Good for one refresh, until `refresh_expires_at`."""
    refresh_expires_at: datetime


class AccountService:
    """Logins and the account of the caller.

    Every method may raise StoreUnavailable, and TickSourceUnavailable when platform time was never known.
    """

    def __init__(self, platform: Platform, audit: AuditTrail | None = None) -> None:
        settings = platform.settings
        self._platform = platform
        self._users = UserStore(platform.database)
        self._sessions = SessionStore(platform.database)
        self._tokens = AccessTokens(settings.secret_keys)
        self._audit = audit or AuditTrail(platform)
        self._attempts = LoginAttempts(
            platform.redis, key_prefix=settings.key_prefix, rate=settings.rate_limit_login
        )
        self.passwords = Passwords()

    # --- coming in

    def register(
        self, email: str, password: str, name: str, *, address: str | None, client: str | None = None
    ) -> LoggedIn:
        """A new account, logged in. The first one of an installation is its admin, later ones are members.

        Raises Invalid, EmailTaken, TooMany (as `login`), and Forbidden when there is an account already and
        registration is not open.
        """
        email = checked_email(email)
        check_password(password, email)
        self._attempts.spend(email, address)
        is_open = self._platform.settings.open_registration
        first = not self._users.first_login()
        if not first and not is_open:
            raise Forbidden("registration is closed: an admin creates accounts")
        now = stored_now(self._platform.clock)
        hashed = self.passwords.hash(password)
        user = self._users.claim_first(email, hashed, name, now=now) if first else None
        if user is None:
            if not is_open:
                raise Forbidden("registration is closed: an admin creates accounts")
            user = self._users.create(email, hashed, name, Role.MEMBER, now=now)
        logged_in = self._begin(user, now, address, client)
        self._audit.record(logged_in.principal, "user.register", resource_id=user.id, resource_name=email)
        return logged_in

    def login(self, email: str, password: str, *, address: str | None, client: str | None = None) -> LoggedIn:
        """A new login of the account with this address. Takes as long for addresses without an account.

        address  The network address of the caller; attempts are counted by it.
        client   What the caller says it is (User-Agent).

        Raises LoginFailed, and TooMany after too many attempts.
        """
        email = normalized_email(email)
        self._attempts.spend(email, address)
        found = self._users.credentials(email) if len(password) <= MAX_LENGTH else None
        fits = self.passwords.fits(found[1] if found else None, password[:MAX_LENGTH])
        if found is None or not fits or not found[0].is_active:
            self._audit.record(
                None,
                "user.loginFailed",
                resource_id=found[0].id if found else None,
                address=address,
            )
            raise LoginFailed
        user, hashed = found
        if self.passwords.outdated(hashed):
            self._users.set_password(user.id, self.passwords.hash(password))
        self._attempts.succeeded(email, address)
        logged_in = self._begin(user, stored_now(self._platform.clock), address, client)
        self._audit.record(logged_in.principal, "user.login", resource_id=user.id, resource_name=user.email)
        return logged_in

    def refresh(self, refresh_token: str, *, address: str | None) -> LoggedIn:
        """The same login with new tokens; the one given is not valid any more.

        A token that comes a second time was stolen, now or then: the login ends, for whoever holds it (RFC 9700
        section 4.14.2). Raises SessionEnded.
        """
        session_id, token_hash = _parts(refresh_token)
        now = stored_now(self._platform.clock)
        secret = generate_refresh_secret()
        session = self._sessions.rotate(
            session_id, token_hash, _hash(secret), now=now, expires_at=now + SESSION_LIFETIME
        )
        if session is None:
            if self._sessions.end(session_id):
                log.warning("login.refresh_token_reused", session_id=session_id, address=address)
            raise SessionEnded
        user = self._active_user(session.user_id)
        if user is None:
            self._sessions.end(session_id)
            raise SessionEnded
        return self._logged_in(user, session, secret, now, address)

    # --- being in

    def principal_of_token(self, access_token: str, *, address: str | None = None) -> Principal | None:
        """The caller with this access token; None when it is not valid, or its login or account has ended."""
        claims = self._tokens.read(access_token, now=self._platform.clock.now())
        if claims is None:
            return None
        principal = self.principal_of_session(claims.session_id, address=address)
        return principal if principal is not None and principal.user_id == claims.user_id else None

    def principal_of_session(self, session_id: str, *, address: str | None = None) -> Principal | None:
        """The caller with this login, whose id is known to be genuine; None when it or its account has ended."""
        session = self._sessions.get(session_id, now=self._platform.clock.now())
        user = None if session is None else self._active_user(session.user_id)
        return None if user is None else _principal(user, session_id, address)

    def user(self, principal: Principal) -> User:
        """The caller's account. Raises NotFound when it is gone."""
        return self._users.get(principal.user_id)

    def change_password(self, principal: Principal, current: str, new: str) -> None:
        """Replace the caller's password; all logins but the present one end.

        Raises Invalid, LoginFailed when `current` is wrong, TooMany, and Conflict when the account has no login.
        """
        user = self._users.get(principal.user_id)
        if user.email is None:
            raise Conflict("this account has no login, so it has no password")
        check_password(new, user.email, field="new_password")
        self._attempts.spend(user.email, principal.address)
        if not self.passwords.fits(self._users.password_hash(user.id), current[:MAX_LENGTH]):
            raise LoginFailed
        self._attempts.succeeded(user.email, principal.address)
        self._users.set_password(user.id, self.passwords.hash(new))
        self._sessions.end_all_of(user.id, but=principal.session_id)
        self._audit.record(principal, "user.password", resource_id=user.id, resource_name=user.email)

    # --- going out

    def logout(self, principal: Principal, *, everywhere: bool = False) -> None:
        """End the caller's login, or all logins of the account; a caller with an API key has none to end.

        Access tokens of a login that ended are refused at once.
        """
        if everywhere:
            self._sessions.end_all_of(principal.user_id)
        elif principal.session_id is not None:
            self._sessions.end(principal.session_id)
        else:
            raise Conflict("an API key is no login: remove the key, or end all logins with everywhere")
        self._audit.record(
            principal, "user.logout", resource_id=principal.user_id, details={"everywhere": everywhere}
        )

    # --- steps

    def _begin(self, user: User, now: datetime, address: str | None, client: str | None) -> LoggedIn:
        session = Session(
            id=secrets.token_hex(16), user_id=user.id, created_at=now, expires_at=now + SESSION_LIFETIME
        )
        secret = generate_refresh_secret()
        self._sessions.begin(
            session, _hash(secret), address=address, client=client[:MAX_CLIENT] if client else None
        )
        self._users.logged_in(user.id, now=now)
        return self._logged_in(replace(user, last_login_at=now), session, secret, now, address)

    def _logged_in(
        self, user: User, session: Session, secret: str, now: datetime, address: str | None
    ) -> LoggedIn:
        access_token, access_expires_at = self._tokens.issue(user.id, session.id, now=now)
        return LoggedIn(
            principal=_principal(user, session.id, address),
            user=user,
            session_id=session.id,
            access_token=access_token,
            access_expires_at=access_expires_at,
            refresh_token=f"{REFRESH_PREFIX}{session.id}_{secret}",
            refresh_expires_at=session.expires_at,
        )

    def _active_user(self, user_id: str) -> User | None:
        try:
            user = self._users.get(user_id)
        except NotFound:
            return None
        return user if user.is_active else None


def normalized_email(email: str) -> str:
    """How addresses are stored and compared: without blanks around them, in lower case."""
    return email.strip().lower()


def checked_email(email: str) -> str:
    """The address as it is stored. Raises Invalid when it cannot be one."""
    email = normalized_email(email)
    if len(email) > MAX_EMAIL or _EMAIL.fullmatch(email) is None:
        raise Invalid({"email": ["must be an e-mail address"]})
    return email


def check_password(password: str, email: str, *, field: str = "password") -> None:
    """Raise Invalid unless `password` will do for the account of `email`."""
    errors = FieldErrors()
    problem = problem_with(password, email)
    if problem is not None:
        errors.add(field, problem)
    errors.raise_if_any()


def _principal(user: User, session_id: str, address: str | None) -> Principal:
    return Principal(
        user_id=user.id, role=user.role, scopes=ALL_SCOPES, session_id=session_id, address=address
    )


def _parts(refresh_token: str) -> tuple[str, str]:
    """(id of the login, hash of the secret). Raises SessionEnded for what is no refresh token."""
    match = re.fullmatch(rf"{REFRESH_PREFIX}([0-9a-f]{{32}})_([\w-]{{20,100}})", refresh_token, re.ASCII)
    if match is None:
        raise SessionEnded
    return match[1], _hash(match[2])


def _hash(secret: str) -> str:
    # A plain hash will do: the secret holds 256 random bits, so it cannot be guessed.
    return hashlib.sha256(secret.encode()).hexdigest()
