"""The certificate of the station, made at its first start, and those of the clients that it trusts.

FOLDER/own/station.der, station.key     its own; the key is readable to its owner alone
FOLDER/trusted/*.der, *.pem, *.crt      certificates of clients, or of the authority that has signed them
FOLDER/rejected/FINGERPRINT.der         clients that were turned away, so that a person may move one to `trusted`
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

OWN, TRUSTED, REJECTED = "own", "trusted", "rejected"
CERTIFICATE, KEY = "station.der", "station.key"
KEY_BITS, LASTS_DAYS = 3072, 3650
SHORTEST_KEY = 2048
MAX_REJECTED = 50
MAX_FILE_BYTES = 64 * 1024
_SUFFIXES = (".der", ".pem", ".crt", ".cer")


class CertificateError(Exception):
    """A certificate or key cannot be made, read or used; the message says why."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a client is turned away."""

    status: str
    """Name of the status code of OPC UA."""
    why: str


def own(folder: Path, application_uri: str, hosts: tuple[str, ...]) -> tuple[Path, Path]:
    """Certificate and key of the station, made if there are none. Raises CertificateError."""
    place = folder / OWN
    certificate, key = place / CERTIFICATE, place / KEY
    if certificate.exists() and key.exists():
        check_own(folder, application_uri)
        return certificate, key
    try:
        for one in (place, folder / TRUSTED, folder / REJECTED):
            one.mkdir(mode=0o750, parents=True, exist_ok=True)
        made = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
        encoded = made.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        for path, content in ((key, encoded), (certificate, _signed(made, application_uri, hosts))):
            new = path.with_suffix(".new")
            with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:  # noqa: PTH123
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
        certificate.chmod(0o644)
    except OSError as problem:
        raise CertificateError(f'"{place}": no certificate can be made: {problem.strerror or problem}') from problem
    return certificate, key


def check_own(folder: Path, application_uri: str) -> x509.Certificate:
    """The station's own certificate. Raises CertificateError: it cannot be read, has ended, or is of another name."""
    path, key = folder / OWN / CERTIFICATE, folder / OWN / KEY
    renew = f'move "{folder / OWN}" away, and the next start makes a new one, which clients must trust then'
    try:
        certificate = x509.load_der_x509_certificate(path.read_bytes())
        mode = key.stat().st_mode
    except OSError as problem:
        raise CertificateError(f'"{problem.filename}": {problem.strerror or problem}') from problem
    except ValueError as problem:
        raise CertificateError(f'"{path}" is no certificate: {problem}; {renew}') from problem
    if mode & 0o077:
        raise CertificateError(f'"{key}" can be read by others (mode {mode & 0o777:o}): chmod 600 "{key}"')
    if certificate.not_valid_after_utc < datetime.now(timezone.utc):
        raise CertificateError(f'"{path}" has ended on {certificate.not_valid_after_utc.date()}; {renew}')
    if application_uri not in _uris(certificate):
        named = ", ".join(_uris(certificate)) or "none"
        raise CertificateError(f'"{path}" is of {named}, this station is {application_uri}; {renew}')
    return certificate


def application_uri_of(der: bytes) -> str:
    """Of the owner of a certificate; empty: it names none."""
    return next(iter(_uris(x509.load_der_x509_certificate(der))), "")


def look_at(der: bytes, application_uri: str, folder: Path) -> Refused | None:
    """Why the client with this certificate is turned away; None: it is trusted. Keeps those that it does not know."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        public = certificate.public_key()
        uris = _uris(certificate)
    except ValueError as problem:
        return Refused("BadCertificateInvalid", f"its certificate cannot be read: {problem}")
    name = certificate.subject.rfc4514_string() or "without a name"
    now = datetime.now(timezone.utc)
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        lasts = f"{certificate.not_valid_before_utc.date()} to {certificate.not_valid_after_utc.date()}"
        return Refused("BadCertificateTimeInvalid", f"certificate {name} is good from {lasts}")
    if not isinstance(public, rsa.RSAPublicKey) or public.key_size < SHORTEST_KEY:
        return Refused("BadCertificatePolicyCheckFailed", f"certificate {name}: no RSA key of {SHORTEST_KEY} bits")
    if not _is_trusted(certificate, der, folder / TRUSTED, now):
        kept = _keep(der, certificate, folder / REJECTED)
        return Refused("BadCertificateUntrusted", f'certificate {name} is not in "{folder / TRUSTED}"{kept}')
    if application_uri not in uris:
        named = ", ".join(uris) or "none"
        return Refused("BadCertificateUriInvalid", f"certificate {name} is of {named}, the client is {application_uri}")
    return None


def trusted(folder: Path) -> list[x509.Certificate]:
    """All certificates of the folder. Raises CertificateError for a file that is none."""
    found = []
    try:
        for path in sorted(folder.iterdir()) if folder.is_dir() else []:
            if path.suffix.lower() in _SUFFIXES:
                found.append(_read(path))
    except OSError as problem:
        raise CertificateError(f'"{folder}": {problem.strerror or problem}') from problem
    return found


def _read(path: Path) -> x509.Certificate:
    content = path.read_bytes()[: MAX_FILE_BYTES + 1]
    try:
        if content.startswith(b"-----"):
            return x509.load_pem_x509_certificate(content)
        return x509.load_der_x509_certificate(content)
    except ValueError as problem:
        raise CertificateError(f'"{path}" is no certificate: {problem}; remove it') from problem


def _is_trusted(certificate: x509.Certificate, der: bytes, folder: Path, now: datetime) -> bool:
    """It is in the folder itself, or signed by an authority that is."""
    for one in trusted(folder):
        if one.public_bytes(serialization.Encoding.DER) == der:
            return True
        if _is_authority(one) and one.not_valid_before_utc <= now <= one.not_valid_after_utc:
            try:
                certificate.verify_directly_issued_by(one)
            except (InvalidSignature, ValueError, TypeError):
                continue
            return True
    return False


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return bool(certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
    except x509.ExtensionNotFound:
        return False


def _keep(der: bytes, certificate: x509.Certificate, folder: Path) -> str:
    """Where it lies now, for the message."""
    path = folder / f"{certificate.fingerprint(hashes.SHA256()).hex()[:16]}.der"
    try:
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        if not path.exists() and sum(1 for _ in folder.iterdir()) >= MAX_REJECTED:
            return f'; "{folder}" is full: remove what is in it'
        path.write_bytes(der)
    except OSError:
        return ""
    return f'; to trust it: mv "{path}" there'


def _uris(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return list(names.get_values_for_type(x509.UniformResourceIdentifier))


def _signed(key: rsa.RSAPrivateKey, application_uri: str, hosts: tuple[str, ...]) -> bytes:
    """As OPC 10000-6, 6.2.2 demands of the certificate of an application."""
    now = datetime.now(timezone.utc)
    name = x509.Name([
        x509.NameAttribute(NameOID.COMMON_NAME, application_uri.rsplit(":", 1)[-1][:64] or "station"),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "edge-inspection-station"),
        x509.NameAttribute(NameOID.DOMAIN_COMPONENT, socket.gethostname()[:63] or "localhost"),
    ])  # fmt: skip
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(application_uri)]
    for host in hosts:
        try:
            names.append(x509.IPAddress(ip_address(host)))
        except ValueError:
            names.append(x509.DNSName(host))
    usage = x509.KeyUsage(
        digital_signature=True, content_commitment=True, key_encipherment=True, data_encipherment=True,
        key_agreement=False, key_cert_sign=True, crl_sign=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    public = key.public_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=LASTS_DAYS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


__all__ = ["CertificateError", "Refused", "application_uri_of", "check_own", "look_at", "own", "trusted"]
