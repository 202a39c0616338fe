"""Certificates of one run: an authority that only this run trusts, and a server certificate that it has signed.

The server's key also signs the tokens of the identity stand-in, so that another stand-in can check them.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

KEY_BITS: Final = 2048
DAYS: Final = 7

_SIGNS_CERTIFICATES: Final = x509.KeyUsage(
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


@dataclass(frozen=True, slots=True)
class Certificates:
    """Where they are."""

    folder: Path

    @property
    def authority(self) -> Path:
        """What a client must trust: `SSL_CERT_FILE` of the app."""
        return self.folder / "authority.pem"

    @property
    def certificate(self) -> Path:
        """The server's certificate."""
        return self.folder / "certificate.pem"

    @property
    def key(self) -> Path:
        """The server's private key."""
        return self.folder / "key.pem"

    @classmethod
    def make(cls, folder: Path, names: Sequence[str]) -> Self:
        """Make them in `folder` for hosts of these names, and for 127.0.0.1."""
        folder.mkdir(parents=True, exist_ok=True)
        made = cls(folder)
        authority, authority_key = _authority()
        key = _new_key()
        made.authority.write_bytes(authority.public_bytes(Encoding.PEM))
        made.certificate.write_bytes(_server(names, key, authority, authority_key).public_bytes(Encoding.PEM))
        made.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return made

    def server_context(self) -> ssl.SSLContext:
        """What a server of this run serves TLS with."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate, self.key)
        return context

    def client_context(self) -> ssl.SSLContext:
        """What a client needs that calls such a server."""
        return ssl.create_default_context(cafile=str(self.authority))

    def private_key(self) -> rsa.RSAPrivateKey:
        """The key that signs tokens; its public half checks them."""
        key = load_pem_private_key(self.key.read_bytes(), None)
        assert isinstance(key, rsa.RSAPrivateKey)
        return key


def _new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)


def _builder(name: str, key: rsa.RSAPrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=DAYS))
    )


def _authority() -> tuple[x509.Certificate, rsa.RSAPrivateKey]:
    name, key = "sandbox authority", _new_key()
    builder = _builder(name, key).issuer_name(_name(name))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    # From Python 3.13 on a client refuses an authority that does not say that it may sign certificates.
    builder = builder.add_extension(_SIGNS_CERTIFICATES, critical=True)
    return builder.sign(key, hashes.SHA256()), key


def _server(
    names: Sequence[str], key: rsa.RSAPrivateKey, authority: x509.Certificate, authority_key: rsa.RSAPrivateKey
) -> x509.Certificate:
    alternatives = [*map(x509.DNSName, names), x509.IPAddress(ip_address("127.0.0.1"))]
    signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    builder = _builder("sandbox", key).issuer_name(authority.subject)
    builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(signer, critical=False)
    return builder.sign(authority_key, hashes.SHA256())


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
