"""Destinations of the signed heads of the audit log, so that truncation or rollback is detected."""

import errno
import json
import os
import socket
from pathlib import Path

from galenic.errors import ConfigurationError, StoreError

TAIL = 4_096  # bytes; a line has about 400


class Witness:
    """At least one destination outside the database: files (preferably on another volume) and syslog.

    places: paths, or `syslog:HOST:PORT` (RFC 5424 over UDP) or `syslog:/dev/log`. The first file is the one that is read.
    """

    def __init__(self, places: tuple[str, ...]) -> None:
        self.files = [Path(p).expanduser().absolute() for p in places if not p.startswith("syslog:")]
        self.syslogs = [p.removeprefix("syslog:") for p in places if p.startswith("syslog:")]
        if not self.files and not self.syslogs:
            raise ConfigurationError(
                "the audit log has no witness. Set GALENIC_WITNESS to a file on another volume, or to syslog:…"
            )

    def push(self, head: str, signature: str) -> None:
        """Sends one head to every destination. Raise StoreError if a file cannot be written: there is no audit log without a
        witness."""
        line = json.dumps({"head": head, "signature": signature}) + "\n"
        for place in self.files:
            try:
                descriptor = _opened(place)
                try:
                    written = os.write(descriptor, line.encode())
                    if written < len(line):
                        os.ftruncate(
                            descriptor, os.fstat(descriptor).st_size - written
                        )  # a partial line would make it unreadable
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                finally:
                    os.close(descriptor)
            except OSError as error:
                raise StoreError(
                    f"the witness {place} did not accept the head of the audit log ({error.strerror}). Check its path and "
                    "permissions."
                ) from error
        for where in self.syslogs:
            _syslog(where, line.strip())

    def read(self) -> list[tuple[str, str]]:
        """(head, signature) of every line of the first file; nothing if there is none."""
        if not self.files or not self.files[0].exists():
            return []
        found = []
        for number, line in enumerate(self.files[0].read_text(encoding="utf-8").splitlines(), start=1):
            try:
                data = json.loads(line)
                found.append((str(data["head"]), str(data["signature"])))
            except (ValueError, KeyError, TypeError):
                raise StoreError(
                    f"line {number} of the witness {self.files[0]} cannot be read. Keep the file, and contact the "
                    "security officer."
                ) from None
        return found

    def last(self) -> int | None:
        """Number of rows under the last head in the first file; None if there is none. Reads only the end of the file."""
        if not self.files or not self.files[0].exists():
            return None
        with self.files[0].open("rb") as f:
            f.seek(max(f.seek(0, os.SEEK_END) - TAIL, 0))
            lines = f.read().splitlines()
        try:
            return int(json.loads(json.loads(lines[-1])["head"])["size"]) if lines else None
        except (ValueError, KeyError, TypeError):
            raise StoreError(
                f"the last line of the witness {self.files[0]} cannot be read. Keep the file, and contact the security officer."
            ) from None


def _opened(place: Path) -> int:
    try:
        return os.open(place, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    except FileNotFoundError:
        place.parent.mkdir(parents=True, exist_ok=True)
        return os.open(place, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def _syslog(where: str, line: str) -> None:
    message = f"<109>1 - - galenic - audit-head - {line}".encode()  # facility 13 (log audit), severity 5: RFC 5424, 6.2.1
    try:
        if where.startswith("/"):
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
                s.sendto(message, where)
        else:
            host, _, port = where.rpartition(":")
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                s.sendto(message, (host, int(port)))
    except (OSError, ValueError) as error:
        raise StoreError(
            f"the witness syslog:{where} did not accept the head of the audit log ({type(error).__name__}). Check the "
            "syslog service."
        ) from error
