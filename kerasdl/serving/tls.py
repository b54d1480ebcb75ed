"""Encrypted connections: a certificate and its key, for both ports."""

import dataclasses
import ssl
from pathlib import Path

import grpc

from kerasdl.errors import UsageError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tls:
    """What the server shows to clients.

    Attributes:
        certificate: PEM file with the server's certificate, and those that vouch for it after it.
        key: PEM file with its private key, without a password.
    """

    certificate: Path
    key: Path

    def check(self) -> None:
        """Raise a UsageError where the files are not a certificate and its key."""
        for flag, path in (("--tls-cert", self.certificate), ("--tls-key", self.key)):
            try:
                path.read_bytes()
            except OSError as error:
                raise UsageError(f"{flag} {path} cannot be read: {error.strerror}.") from None
        try:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.certificate, self.key, password="")
        except (ssl.SSLError, ValueError) as error:
            raise UsageError(
                f"{self.certificate} and {self.key} are not a certificate and its key in PEM format, without "
                f"a password: {error}."
            ) from None

    def credentials(self) -> grpc.ServerCredentials:
        """Return both for gRPC."""
        return grpc.ssl_server_credentials([(self.key.read_bytes(), self.certificate.read_bytes())])
