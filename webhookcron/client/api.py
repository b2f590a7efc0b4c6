"""Requests to the API: one key, timeouts, and patience with a platform that is away for a moment."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Self

import requests

from webhookcron import __version__
from webhookcron.client.errors import ApiRefused, ApiUnreachable, NoTrustedConnection, NotSignedIn
from webhookcron.client.settings import ClientSettings

MAX_TRIES = 5
FIRST_PAUSE_SECONDS = 0.5
MAX_PAUSE_SECONDS = 10.0
"""Longer waits that the API asks for are left to the user."""

MAX_ANSWER_BYTES = 64 * 1024 * 1024

_PASSING = frozenset({429, 502, 503, 504})
"""Answers that say that another try may succeed."""

PAGE = 100
"""The most jobs or executions on a page."""

Resource = dict[str, Any]


class _Key(requests.auth.AuthBase):
    """The key as a header. As `auth`, because requests would otherwise put one from ~/.netrc in its place."""

    def __init__(self, key: str | None) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._key is not None:
            request.headers["Authorization"] = f"Bearer {self._key}"
        return request


class ApiClient:
    """A connection to one API. Close it, or use it as a context manager.

    Every method may raise ApiUnreachable, NotSignedIn and ApiRefused. A request that the API could not take just now
    (429, 502, 503, 504, or no connection) is made again, up to five times in all; those that create something carry an
    Idempotency-Key, so that a repetition creates nothing more.
    """

    def __init__(
        self,
        settings: ClientSettings,
        *,
        session: requests.Session | None = None,
        sleep: Callable[[float], None] = time.sleep,
        rng: random.Random | None = None,
    ) -> None:
        self.settings = settings
        self._session = session or requests.Session()
        self._session.headers["User-Agent"] = f"webhookcron/{__version__}"
        self._sleep = sleep
        self._rng = rng or random.Random()
        self._clock_offset_seconds = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def now(self) -> datetime:
        """The moment on the platform, as its last answer said, to the second; before any, on this machine."""
        return datetime.fromtimestamp(int(time.time() + self._clock_offset_seconds), UTC)

    def get(self, path: str, parameters: Mapping[str, Any] | None = None) -> Resource:
        """The JSON object at `path`."""
        return _object(self.send("GET", path, parameters=parameters))

    def post(self, path: str, body: Any = None) -> Resource:
        """The JSON object that a POST answers; repeating it after a lost answer creates nothing twice."""
        headers = {"Idempotency-Key": secrets.token_hex(16)}
        return _object(self.send("POST", path, body=body, headers=headers))

    def pages(
        self,
        path: str,
        parameters: Mapping[str, Any],
        *,
        progress: Callable[[int, int], None] | None = None,
    ) -> Iterator[Resource]:
        """Every item of a numbered list; `progress` hears (items so far, items in all) after each page."""
        page, seen = 1, 0
        while True:
            answer = self.get(path, {"limit": PAGE, **parameters, "page": page})
            items = answer["items"]
            seen += len(items)
            if progress is not None:
                progress(seen, max(seen, answer["total"]))
            yield from items
            if not items or seen >= answer["total"]:
                return
            page += 1

    def send(
        self,
        method: str,
        path: str,
        *,
        parameters: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """The answer below 400 to a request, after as many tries as it takes."""
        for attempt in range(1, MAX_TRIES + 1):
            response: requests.Response | None
            try:
                response = self._once(method, path, parameters, body, headers)
                unreachable = None
            except NoTrustedConnection:
                raise
            except ApiUnreachable as error:
                response, unreachable = None, error
            if response is not None and response.status_code not in _PASSING:
                return _accepted(response)
            pause = self._pause(attempt, response)
            if attempt == MAX_TRIES or pause is None:
                break
            self._sleep(pause)
        if unreachable is not None:
            raise unreachable
        assert response is not None
        return _accepted(response)

    def _once(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, Any] | None,
        body: Any,
        headers: Mapping[str, str] | None,
    ) -> requests.Response:
        url = self.settings.api_url
        try:
            response = self._session.request(
                method,
                f"{url}{path}",
                params=dict(parameters or {}),
                json=body,
                headers=dict(headers or {}),
                auth=_Key(self.settings.api_key),
                timeout=self.settings.timeout_seconds,
                allow_redirects=False,
            )
        except requests.exceptions.SSLError as error:
            raise _tls_problem(url, error) from error
        except requests.Timeout as error:
            raise ApiUnreachable(
                f"{url} did not answer within {self.settings.timeout_seconds:g} s; --timeout allows it more"
            ) from error
        except requests.ConnectionError as error:
            raise ApiUnreachable(
                f"cannot reach {url}: {_reason(error)}. Is the platform running (`webhookcron up`)? Another place is "
                "named by --api-url, WEBHOOKCRON_API_URL or a profile"
            ) from error
        except requests.RequestException as error:
            raise ApiUnreachable(f"the request to {url} failed: {_reason(error)}") from error
        self._note_clock(response)
        return response

    def _pause(self, attempt: int, response: requests.Response | None) -> float | None:
        """Seconds until the next try; None when the API asks for more than a command should wait."""
        asked = 0.0
        if response is not None:
            text = response.headers.get("Retry-After", "")
            asked = float(text) if text.isascii() and text.isdigit() else 0.0
        if asked > MAX_PAUSE_SECONDS:
            return None
        curve = min(MAX_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** (attempt - 1))
        return float(max(asked, curve) * (1 + 0.2 * self._rng.random()))

    def _note_clock(self, response: requests.Response) -> None:
        try:
            told = parsedate_to_datetime(response.headers.get("Date", ""))
        except ValueError:
            return
        self._clock_offset_seconds = told.timestamp() - time.time()


def _accepted(response: requests.Response) -> requests.Response:
    if response.status_code < 300:
        return response
    url = response.url.partition("?")[0]
    if response.status_code < 400:
        raise ApiUnreachable(
            f"{url} redirects to {response.headers.get('Location', 'another place')}: give the final URL of the API"
        )
    try:
        body = response.json()
        message, errors = str(body["message"]), body.get("errors") or {}
    except (ValueError, KeyError, TypeError):
        raise ApiUnreachable(
            f"{url} answered {response.status_code} {response.reason}, not as this API does: is the URL right?"
        ) from None
    if response.status_code == 401:
        raise NotSignedIn(
            401,
            "the API does not know this key, or none was sent: set WEBHOOKCRON_API_KEY (`webhookcron up` prints it and "
            "keeps it in .webhookcron/admin.key) or use a profile",
        )
    raise ApiRefused(response.status_code, message, errors if isinstance(errors, Mapping) else {})


def _object(response: requests.Response) -> Resource:
    if len(response.content) > MAX_ANSWER_BYTES:
        raise ApiUnreachable(f"the answer of {response.url} has {len(response.content)} bytes: too many")
    try:
        value = response.json()
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise ApiUnreachable(
            f"{response.url.partition('?')[0]} answered no JSON object: is this the URL of the API?"
        )
    return value


def _tls_problem(url: str, error: requests.exceptions.SSLError) -> ApiUnreachable:
    # OpenSSL's name for an answer that is no TLS record, which is what a plain HTTP server sends.
    if "WRONG_VERSION_NUMBER" in str(error):
        return NoTrustedConnection(f"{url} answers, but not in TLS: is it http:// there?")
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return NoTrustedConnection(f"the certificate of {url} is not trusted: {_reason(error)}")
    return ApiUnreachable(f"no TLS connection to {url}: {_reason(error)}")


def _reason(error: BaseException) -> str:
    """The innermost cause in its own words: what wraps it names objects of libraries."""
    reason: BaseException = error
    while True:
        inner = getattr(reason, "reason", None) or (
            reason.args[0] if reason.args and isinstance(reason.args[0], BaseException) else reason.__cause__
        )
        if not isinstance(inner, BaseException) or inner is reason:
            break
        reason = inner
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror
    return str(reason).rpartition(": ")[2] or type(reason).__name__
