"""A receiver of webhooks that prints what it gets: the other end of a first try."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from webhookcron.core.signing import (
    ID_HEADER,
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    SignatureInvalid,
    parse_secret,
    verify,
)
from webhookcron.logs import escape_control_characters

MAX_BODY_BYTES = 1024 * 1024
"""A payload has 256 KiB at most; more than this is refused with 413, unread."""

SHOWN_BODY_CHARACTERS = 2000
"""So much of a body is printed."""

IDLE_SECONDS = 60
"""A connection on which nothing comes is closed after this."""


class Listener(ThreadingHTTPServer):
    """Answers every request with `status` after `delay_ms`, and hands one line about each to `write`.

    With `secrets` (`whsec_…`) each line tells whether the signature fits one of them, and a call whose signature does
    not is answered 401. `port` 0 takes a free one; `url` says which. OSError is raised when the address cannot be had,
    ValueError when a secret is none.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        host: str,
        port: int,
        *,
        status: int,
        delay_ms: int,
        write: Callable[[str], None],
        secrets: Sequence[str] = (),
    ) -> None:
        for secret in secrets:
            parse_secret(secret)
        self.secrets = tuple(secrets)
        self.status = status
        self.delay_ms = delay_ms
        self._write = write
        self._write_lock = threading.Lock()
        if ":" in host:
            self.address_family = socket.AF_INET6
        super().__init__((host, port), _Handler)

    @property
    def url(self) -> str:
        host, port = str(self.server_address[0]), self.server_address[1]
        return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"

    def tell(self, line: str) -> None:
        """Write one line, never mixed with another thread's."""
        with self._write_lock:
            self._write(line)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    server: Listener

    def _answer(self) -> None:
        received_at = datetime.now(UTC)
        body = self._body()
        if body is None:
            return
        status, verdict = self.server.status, None
        if self.server.secrets:
            headers = {name.lower(): value for name, value in self.headers.items()}
            flaw = signature_flaw(self.server.secrets, headers, body, received_at)
            verdict = "ok" if flaw is None else f"WRONG ({flaw})"
            status = status if flaw is None else 401
        webhook_id = self.headers.get(ID_HEADER)
        self.server.tell(call_line(received_at, self.command, self.path, webhook_id, body, verdict))
        if self.server.delay_ms:
            time.sleep(self.server.delay_ms / 1000)
        answer = b"" if self.command == "HEAD" or status in (204, 304) else b"ok\n"
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def _body(self) -> bytes | None:
        """The request's body; None when it was refused, and the answer already given."""
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers:
            refusal = 411
        elif not (length.isascii() and length.isdigit()):
            refusal = 400
        elif int(length) > MAX_BODY_BYTES:
            refusal = 413
        else:
            return self.rfile.read(int(length))
        self.close_connection = True
        self.send_error(refusal)
        return None

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _answer

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the line about the call says it all."""


def signature_flaw(
    secrets: Sequence[str], headers: Mapping[str, str], body: bytes, received_at: datetime
) -> str | None:
    """What is wrong with the signature of a call (header names in lower case); None when it fits one of the secrets."""
    missing = [name for name in (ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER) if name not in headers]
    if missing:
        return f"without {', '.join(missing)}"
    try:
        verify(
            secrets,
            message_id=headers[ID_HEADER],
            timestamp=headers[TIMESTAMP_HEADER],
            signature=headers[SIGNATURE_HEADER],
            body=body,
            now=int(received_at.timestamp()),
        )
    except SignatureInvalid as error:
        return str(error)
    return None


def call_line(
    received_at: datetime,
    method: str,
    path: str,
    webhook_id: str | None,
    body: bytes,
    verdict: str | None = None,
) -> str:
    """One line about a call: UTC time with milliseconds, method, path, webhook-id (`-` when absent), body.

    `verdict` on its signature stands before the body where there is one. Control characters are escaped and a long
    body is cut, with its size behind it.
    """
    moment = received_at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    text = body.decode("utf-8", errors="backslashreplace")
    if len(text) > SHOWN_BODY_CHARACTERS:
        text = f"{text[:SHOWN_BODY_CHARACTERS]}… ({len(body)} bytes)"
    signature = "" if verdict is None else f"signature={verdict} "
    return escape_control_characters(
        f"{moment} {method} {path} webhook-id={webhook_id or '-'} {signature}{text}".rstrip()
    )
