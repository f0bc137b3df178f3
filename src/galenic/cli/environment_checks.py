"""Checks of the environment: Python, extras, home folder, disk space, port, certificate."""

import errno
import importlib.metadata
import os
import re
import shutil
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509

from galenic.settings import Settings

OK, WARNING, PROBLEM = "ok", "warning", "problem"
LOW_SPACE, NO_SPACE = 5 * 2**30, 2**29  # bytes: a run of a large table writes some 100 MB, a backup as much as the database
RENEWAL = timedelta(days=14)
USUAL_EXTRAS = ("server", "index", "jobs", "text")


@dataclass(frozen=True)
class Check:
    """Result of one check. state: ok, warning or problem; advice: what to do, "" where nothing is to be done."""

    name: str
    state: str
    finding: str
    advice: str = ""


def python_check() -> Check:
    """Version of Python; an older one than 3.11 cannot load this file."""
    version = ".".join(map(str, sys.version_info[:3]))
    return Check("Python", OK, f"Python {version}.")


def extras_check() -> Check:
    """Optional parts that are installed."""
    try:
        needs = importlib.metadata.requires("galenic") or []
        offered = importlib.metadata.metadata("galenic").get_all("Provides-Extra") or []
    except importlib.metadata.PackageNotFoundError:
        return Check(
            "Optional parts", WARNING, "Galenic runs without an installation.", "Install it: pip install '.' in the checkout"
        )
    missing = {extra for extra in USUAL_EXTRAS if extra in offered and not all(map(_is_installed, _packages(needs, extra)))}
    if missing:
        names = ",".join(sorted(missing))
        return Check(
            "Optional parts",
            WARNING,
            f"Not complete: {names.replace(',', ', ')}.",
            f"In the checkout: pip install '.[{names}]'",
        )
    return Check("Optional parts", OK, f"Complete: {', '.join(USUAL_EXTRAS)}.")


def _packages(needs: list[str], extra: str) -> Iterator[str]:
    for need in needs:
        if re.search(rf"extra\s*==\s*['\"]{extra}['\"]", need):
            yield re.split(r"[\s\[<>=!~;(]", need, maxsplit=1)[0]


def _is_installed(package: str) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def home_check(settings: Settings) -> Check:
    """Whether the home folder can be written."""
    folder = settings.home
    while not folder.exists():
        folder = folder.parent
    if not os.access(folder, os.W_OK | os.X_OK):
        return Check("Home folder", PROBLEM, f"{folder} cannot be written.", "Set GALENIC_HOME to a folder that you may write.")
    return Check("Home folder", OK, f"{settings.home} can be written.")


def space_check(settings: Settings) -> Check:
    """Free disk space where the installation is."""
    folder = settings.home
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    finding = f"{free / 2**30:,.1f} GiB are free at {folder}."
    if free < NO_SPACE:
        return Check("Disk space", PROBLEM, finding, "Free some space before the next run: writes may fail.")
    if free < LOW_SPACE:
        return Check("Disk space", WARNING, finding, "Free some space: 5 GiB are needed for large tables and backups.")
    return Check("Disk space", OK, finding)


def port_check(port: int, server: str) -> Check:
    """Whether a port is free, or used by the server of this installation. server: the process that serves it, "" for none."""
    if server:
        return Check("Port", OK, f"The server is running (process {server}).")
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                advice = "Stop the program that uses it, or choose another port: galenic serve --port 8500"
                return Check("Port", WARNING, f"Port {port} is used by another program.", advice)
            return Check(
                "Port",
                WARNING,
                f"Port {port} cannot be used ({error.strerror}).",
                "Choose another port: galenic serve --port 8500",
            )
    return Check("Port", OK, f"Port {port} is free. The server is not running.")


def certificate_check(certificate: Path, base: str) -> Check:
    """Validity and names of a TLS certificate. base: the public URL of the server, "" for localhost."""
    if not certificate.exists():
        return Check("Certificate", OK, "No certificate yet. galenic serve creates a self-signed one.")
    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
    except (OSError, ValueError):
        return Check(
            "Certificate", PROBLEM, f"{certificate} is not a readable PEM certificate.", "Give another file: --certificate FILE"
        )
    ends = found.not_valid_after_utc
    host = urlsplit(base).hostname or "localhost"
    replace = "Install a new certificate, then restart the server."
    if ends < datetime.now(UTC):
        return Check("Certificate", PROBLEM, f"The certificate ended on {ends:%Y-%m-%d}.", replace)
    if not _names_host(found, host):
        return Check("Certificate", PROBLEM, f"The certificate is not for {host}. Browsers will refuse it.", replace)
    if ends < datetime.now(UTC) + RENEWAL:
        return Check("Certificate", WARNING, f"The certificate ends on {ends:%Y-%m-%d}.", replace)
    return Check("Certificate", OK, f"Valid for {host} until {ends:%Y-%m-%d}.")


def _names_host(certificate: x509.Certificate, host: str) -> bool:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    exact = {*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))}
    return host in exact or f"*.{host.partition('.')[2]}" in exact
