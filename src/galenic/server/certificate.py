"""Self-signed TLS certificate for evaluation. In production, configure a certificate of your organization."""

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from galenic import store

DAYS = 90
RENEWAL = timedelta(days=7)  # days before its end at which it is replaced


def own_certificate(folder: Path, host: str) -> tuple[Path, Path]:
    """(certificate, key) as PEM, ECDSA P-256, for this host and the local names; created unless a valid one exists."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    if certificate.exists() and key.exists() and _is_valid(certificate, host):
        return certificate, key
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Galenic")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=DAYS))
        .add_extension(x509.SubjectAlternativeName(_names(host)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(private, hashes.SHA256())
    )
    pem = private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    with store.file_aside(key) as temporary:
        temporary.write_bytes(pem)
    key.chmod(0o600)
    with store.file_aside(certificate) as temporary:
        temporary.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    return certificate, key


def _names(host: str) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    try:
        names.append(x509.IPAddress(ipaddress.ip_address(host)))
    except ValueError:
        names.append(x509.DNSName(host))
    return list(dict.fromkeys(names))


def _is_valid(place: Path, host: str) -> bool:
    certificate = x509.load_pem_x509_certificate(place.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return certificate.not_valid_after_utc > datetime.now(UTC) + RENEWAL and set(_names(host)) <= set(names)


def fingerprint(place: Path) -> str:
    """SHA-256 fingerprint of a certificate, in the format that browsers show."""
    certificate = x509.load_pem_x509_certificate(place.read_bytes())
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()
