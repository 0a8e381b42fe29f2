"""Put HTTPS in front of the emulator, with a temporary authority."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import struct
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.threads import Listener

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

#: Only the proxy resolves this name, so a request to it must take the proxy.
HOST = "api.videodb.test"

Connection = socket.socket

# Python refuses an authority without it, and a certificate without the identifier of its authority, from 3.13 on.
_KEY_USAGE_OF_AUTHORITY = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


class Authority:
    """Signs certificates; a client that trusts `bundle` accepts them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name_of("an authority of the tests")
        certificate = (
            _builder(self._name, self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_KEY_USAGE_OF_AUTHORITY, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        self.bundle = folder / "authority.pem"
        self.bundle.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def server_context(self, *names: str) -> ssl.SSLContext:
        """Return the context of a server with these names."""
        key = ec.generate_private_key(ec.SECP256R1())
        alternatives = x509.SubjectAlternativeName([_general_name(name) for name in names])
        certificate = (
            _builder(_name_of(names[0]), self._name, key)
            .add_extension(alternatives, critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path = self._folder / f"{names[0]}.pem"
        path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context


class HttpsFront(Listener):
    """
    Terminates TLS in front of `backend`, an `http://` address.

    :param serve: called with this front and each connection, after the handshake.
    """

    def __init__(self, context: ssl.SSLContext, backend: str, serve: Callable[[Any, Connection], None]) -> None:
        super().__init__()
        self._context = context
        self._backend = urlsplit(backend)
        self._serve_request = serve
        #: The bytes of all requests so far, decrypted.
        self.received = b""
        #: Set once the backend has sent a response.
        self.carried_out = threading.Event()

    def serve(self, connection: Connection) -> None:
        connection.settimeout(10)
        with self._context.wrap_socket(connection, server_side=True) as secure:
            self._serve_request(self, secure)

    def read(self, connection: Connection, *, at_most: int = 1 << 30) -> bytes:
        """Read a request, or the beginning of one."""
        request = b""
        while len(request) < at_most and not _is_whole(request):
            data = _received(connection, min(65536, at_most - len(request)))
            request += data
            self.received += data
        return request

    def carry_out(self, request: bytes) -> bytes:
        """Return the response of the backend to a request."""
        with socket.create_connection((self._backend.hostname, self._backend.port), timeout=10) as backend:
            backend.sendall(request)
            response = b""
            while not _is_whole(response):
                response += _received(backend, 65536)
        self.carried_out.set()
        return response


def reset_on_close(connection: Connection) -> None:
    """Make closing a connection reset it."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _received(connection: Connection, at_most: int) -> bytes:
    data = connection.recv(at_most)
    if not data:
        raise ConnectionError("the message ends before it is whole")
    return data


def _is_whole(message: bytes) -> bool:
    head, end, body = message.partition(b"\r\n\r\n")
    length = next((line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-le")), b"0")
    return bool(end) and len(body) >= int(length)


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=subject,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - timedelta(days=1),
        not_valid_after=now + timedelta(days=1),
    )


def _name_of(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
