"""What became of an attempt: the closed list of failures, and the outcome that is recorded."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class FailureKind(StrEnum):
    """Why an attempt failed. The list is closed: logs, metrics and the API know no other word.

    Each kind is either retryable (the same call may well succeed later) or permanent (it cannot, unless
    someone changes the job, the target or the platform's settings).

    timeout            The one deadline of the whole transfer passed, whatever it was busy with.
    dns                The host name did not resolve. Resolvers do not say dependably whether that is lasting.
    connect            No TCP connection: refused, unreachable, no route.
    tls                The TLS handshake was cut off or could not agree.
    certificate        The server's certificate is expired, of an unknown issuer, or for another name.
    blocked            The target rules forbid the URL or an address its name resolved to.
    reset              The connection broke after it stood, before the response was complete.
    protocol           The answer is not HTTP as the RFCs have it (framing, encoding, headers too large).
    redirect           Redirects were to be followed, but lead nowhere: too many, or no usable Location.
    temporary_status   408, 425, 429 or 5xx: the server asks for another try, or may well do better later.
    bad_status         Any other status outside the job's success statuses, redirects not followed included.
    gone               410: the receiver wants no more calls (Standard Webhooks 1.0), which disables the job.
    bad_body           The status was fine, but the body is not what the job's `successBody` asks for.
    oauth_refused      The token endpoint refused the credentials, or its answer holds no token.
    oauth_unavailable  The token endpoint could not be reached, or answered with a temporary status.
    secret_unreadable  A stored secret could not be decrypted with the present secret keys.
    invalid_request    The request cannot be sent as it stands; nothing left this machine.
    cancelled          The platform ended the call itself before it was complete (shutdown).
    lost               The worker that made the call vanished; whether the target got it is not known.
    """

    TIMEOUT = "timeout"
    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    CERTIFICATE = "certificate"
    BLOCKED = "blocked"
    RESET = "reset"
    PROTOCOL = "protocol"
    REDIRECT = "redirect"
    TEMPORARY_STATUS = "temporary_status"
    BAD_STATUS = "bad_status"
    GONE = "gone"
    BAD_BODY = "bad_body"
    OAUTH_REFUSED = "oauth_refused"
    OAUTH_UNAVAILABLE = "oauth_unavailable"
    SECRET_UNREADABLE = "secret_unreadable"
    INVALID_REQUEST = "invalid_request"
    CANCELLED = "cancelled"
    LOST = "lost"

    @property
    def retryable(self) -> bool:
        """True where another attempt may succeed with nothing changed."""
        return self not in _PERMANENT

    @property
    def permanent(self) -> bool:
        """True where another attempt would only fail again."""
        return self in _PERMANENT


_PERMANENT = frozenset(
    {
        FailureKind.CERTIFICATE,
        FailureKind.BLOCKED,
        FailureKind.REDIRECT,
        FailureKind.BAD_STATUS,
        FailureKind.GONE,
        FailureKind.OAUTH_REFUSED,
        FailureKind.INVALID_REQUEST,
    }
)


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed attempt: its kind, and one sentence for people. The sentence never holds response bytes."""

    kind: FailureKind
    message: str

    @property
    def retryable(self) -> bool:
        """True where another attempt may succeed with nothing changed."""
        return self.kind.retryable


class OutcomeStatus(StrEnum):
    """How an attempt ended; the words are those of the final execution statuses."""

    SUCCESS = "success"
    FAILED = "failed"
    TIMEOUT = "timeout"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The judgement over one attempt; `failure` is None exactly when it succeeded."""

    status: OutcomeStatus
    failure: Failure | None = None

    @classmethod
    def of_failure(cls, failure: Failure) -> Outcome:
        """The outcome of a failed attempt; a passed deadline has a status of its own."""
        status = OutcomeStatus.TIMEOUT if failure.kind is FailureKind.TIMEOUT else OutcomeStatus.FAILED
        return cls(status, failure)

    @property
    def succeeded(self) -> bool:
        """True when the target took the call."""
        return self.failure is None

    @property
    def retryable(self) -> bool:
        """True when the attempt failed in a way that another one may mend."""
        return self.failure is not None and self.failure.retryable

    @property
    def disables_job(self) -> bool:
        """True when the target said that it wants no more calls (410, Standard Webhooks 1.0)."""
        return self.failure is not None and self.failure.kind is FailureKind.GONE


SUCCESS = Outcome(OutcomeStatus.SUCCESS)
