"""Encrypted connections to MongoDB and Redis, by the options of their URLs; a wrong certificate is refused."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from webhookcron.core.errors import StoreUnavailable, TickSourceUnavailable
from webhookcron.delivery.broker import Publisher, celery_app, queue_depth
from webhookcron.storage import client as mongo
from webhookcron.storage.schema_version import stored_version
from webhookcron.ticks import client as redis_connections
from webhookcron.ticks.source import TickSource


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PEM file with a key and a certificate for 127.0.0.1 that it issued itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stores")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "stores.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return file


class Tunnel:
    """Takes TLS connections on a port of its own and hands what they carry to a store."""

    def __init__(self, certificate: Path, connect: Callable[[], socket.socket]) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        self._connect = connect
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                raw, _ = self._server.accept()
                threading.Thread(target=self._serve, args=(raw,), daemon=True).start()

    def _serve(self, raw: socket.socket) -> None:
        try:
            near = self._context.wrap_socket(raw, server_side=True)
        except OSError:
            raw.close()
            return
        far = self._connect()
        self._open += [near, far]
        back = threading.Thread(target=self._copy, args=(far, near), daemon=True)
        back.start()
        self._copy(near, far)
        back.join()
        near.close()
        far.close()

    def _copy(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._server.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def connector(url: str) -> Callable[[], socket.socket]:
    """Connects to the store of a URL, which lives on a unix socket or a port."""
    parts = urlsplit(url)
    path = unquote(parts.netloc if parts.scheme == "mongodb" else parts.path)
    if path.startswith("/") and path.endswith(".sock"):

        def connect() -> socket.socket:
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(path)
            return connection

        return connect
    return lambda: socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 0))


@pytest.fixture
def tunnel_to(certificate: Path) -> Iterator[Callable[[str], Tunnel]]:
    made: list[Tunnel] = []

    def make(url: str) -> Tunnel:
        made.append(Tunnel(certificate, connector(url)))
        return made[-1]

    yield make
    for tunnel in made:
        tunnel.close()


def test_redis_and_the_broker_are_reached_over_tls(
    redis_url: str, redis_client: Any, tunnel_to: Any, certificate: Path
) -> None:
    url = f"rediss://127.0.0.1:{tunnel_to(redis_url).port}/0?ssl_ca_certs={certificate}"
    with closing(redis_connections.connect(url)) as redis:
        assert TickSource(redis).size() == 0
    with closing(celery_app(url, key_prefix="wc")) as celery:
        Publisher(celery).enqueue(["one"])
        assert queue_depth(celery) == 1


def test_a_redis_with_an_unknown_certificate_is_refused(redis_url: str, tunnel_to: Any) -> None:
    url = f"rediss://127.0.0.1:{tunnel_to(redis_url).port}/0"
    with closing(redis_connections.connect(url)) as redis, pytest.raises(TickSourceUnavailable):
        TickSource(redis).size()


def test_mongodb_is_reached_over_tls(mongodb_uri: str, tunnel_to: Any, certificate: Path) -> None:
    uri = f"mongodb://127.0.0.1:{tunnel_to(mongodb_uri).port}/tls?tls=true&tlsCAFile={certificate}"
    with mongo.connect(uri) as client:
        assert stored_version(mongo.database_of(client)) is None


def test_a_mongodb_with_an_unknown_certificate_is_refused(mongodb_uri: str, tunnel_to: Any) -> None:
    uri = f"mongodb://127.0.0.1:{tunnel_to(mongodb_uri).port}/tls?tls=true"
    with mongo.connect(uri) as client, pytest.raises(StoreUnavailable):
        stored_version(mongo.database_of(client))
