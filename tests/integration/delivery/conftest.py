"""Scripted TCP servers, certificates and transports for the tests of delivery."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from webhookcron.core.targets import TargetPolicy
from webhookcron.delivery.transport import HttpRequest, Transport

LOOPBACK = TargetPolicy.of(allowed_networks=["127.0.0.0/8", "::1/128"])


@dataclass(frozen=True)
class Received:
    """A request as the server read it."""

    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def method(self) -> str:
        return self.line.split()[0]

    @property
    def target(self) -> str:
        return self.line.split()[1]


class Peer:
    """The server's side of one connection."""

    def __init__(self, server: Server, connection: socket.socket) -> None:
        self.server = server
        self.socket = connection
        self._buffer = b""

    def read_request(self) -> Received | None:
        """The next request, recorded in the server's list; None when the client has gone."""
        while b"\r\n\r\n" not in self._buffer:
            if not self._more():
                return None
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        line, *fields = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (f.partition(":") for f in fields)}
        length = int(headers.get("content-length", "0"))
        while len(self._buffer) < length:
            if not self._more():
                return None
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        request = Received(line, headers, body)
        self.server.requests.append(request)
        return request

    def _more(self) -> bool:
        data = self.socket.recv(65536)
        self._buffer += data
        return bool(data)

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def respond(self, status: str = "200 OK", body: bytes = b"", **headers: str) -> None:
        """Send a response with Content-Length; underscores in header names stand for dashes."""
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)

    def reset(self) -> None:
        """Close the connection with a TCP reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        self.socket.close()

    def hang(self) -> None:
        """Do nothing until the test is over."""
        self.server.over.wait()


Script = Callable[[Peer], None]


@dataclass
class Server:
    """A server that runs a script per connection, each in a thread."""

    listener: socket.socket
    script: Script
    context: ssl.SSLContext | None
    requests: list[Received] = field(default_factory=list)
    connections: int = 0
    over: threading.Event = field(default_factory=threading.Event)
    threads: list[threading.Thread] = field(default_factory=list)
    sockets: list[socket.socket] = field(default_factory=list)

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    def url(self, path: str = "/", *, host: str = "127.0.0.1") -> str:
        return f"{'https' if self.context else 'http'}://{host}:{self.port}{path}"

    def run(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            self.sockets.append(connection)
            thread = threading.Thread(target=self.talk, args=(connection,), daemon=True)
            self.threads.append(thread)
            thread.start()

    def talk(self, connection: socket.socket) -> None:
        # A client that goes away, or breaks off a handshake, is part of many scripts.
        with contextlib.suppress(OSError), connection:
            if self.context is not None:
                connection = self.context.wrap_socket(connection, server_side=True)
                self.sockets.append(connection)
            with connection:
                self.script(Peer(self, connection))

    def stop(self) -> None:
        self.over.set()
        for sock in (self.listener, *self.sockets):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self.threads:
            thread.join(10)


class Serve(Protocol):
    def __call__(self, script: Script, context: ssl.SSLContext | None = None) -> Server: ...


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start servers on free loopback ports; each is stopped at the end of the test."""
    servers: list[Server] = []

    def start(script: Script, context: ssl.SSLContext | None = None) -> Server:
        server = Server(socket.create_server(("127.0.0.1", 0), backlog=4096), script, context)
        thread = threading.Thread(target=server.run, daemon=True)
        server.threads.append(thread)
        servers.append(server)
        thread.start()
        return server

    yield start
    for server in servers:
        server.stop()


class MakeTransport(Protocol):
    def __call__(self, policy: TargetPolicy = ..., **options: Any) -> Transport: ...


@pytest.fixture
def make_transport() -> Iterator[MakeTransport]:
    """Transports that may call loopback unless a policy is given; each is closed at the end of the test."""
    transports: list[Transport] = []

    def make(
        policy: TargetPolicy = LOOPBACK, resolve: Mapping[str, str] | None = None, **options: Any
    ) -> Transport:
        """`resolve` gives addresses (comma-separated) by name, in place of the system."""
        if resolve is not None:
            options["look_up"] = lambda name: resolve[name].split(",")
        transport = Transport(policy=policy, user_agent="webhookcron/test", **options)
        transports.append(transport)
        return transport

    yield make
    for transport in transports:
        transport.close()


@pytest.fixture
def transport(make_transport: MakeTransport) -> Transport:
    """A transport that may call loopback."""
    return make_transport()


class MakeRequest(Protocol):
    def __call__(self, url: str, **changes: Any) -> HttpRequest: ...


@pytest.fixture(scope="session")
def post() -> MakeRequest:
    """POST requests with a small body and a generous deadline unless changed."""

    def make(url: str, **changes: Any) -> HttpRequest:
        values = {"method": "POST", "body": b'{"a":1}', "timeout_ms": 30_000} | changes
        return HttpRequest(url=url, **values)

    return make


@dataclass(frozen=True)
class Certificates:
    """A throw-away certificate authority."""

    directory: Path
    key: ec.EllipticCurvePrivateKey
    authority: x509.Certificate

    @property
    def ca_file(self) -> str:
        return str(self.directory / "ca.pem")

    def context(
        self,
        *names: str,
        expired: bool = False,
        self_signed: bool = False,
        protocols: tuple[str, ...] = (),
    ) -> ssl.SSLContext:
        """A server's TLS context with a certificate for these names."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        until = now - timedelta(days=1) if expired else now + timedelta(days=1)
        subject = _name(names[0])
        signer = key if self_signed else self.key
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if self_signed else self.authority.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=2))
            .not_valid_after(until)
            .add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False)
            .sign(signer, hashes.SHA256())
        )
        path = self.directory / f"{certificate.serial_number}.pem"
        path.write_bytes(_pem(certificate) + _key_pem(key))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        if protocols:
            context.set_alpn_protocols(list(protocols))
        return context


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """An authority whose `ca_file` a transport can be told to trust."""
    directory = tmp_path_factory.mktemp("certificates")
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    authority = (
        x509.CertificateBuilder()
        .subject_name(_name("authority"))
        .issuer_name(_name("authority"))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=3))
        .not_valid_after(now + timedelta(days=3))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .sign(key, hashes.SHA256())
    )
    (directory / "ca.pem").write_bytes(_pem(authority))
    return Certificates(directory, key, authority)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
