"""Limits of failed sign-ins: an attacker locks out unknown devices, never one that its user has signed in from."""

from dataclasses import dataclass
from hashlib import sha256
from typing import NoReturn

from galenic.errors import AccessDeniedError
from galenic.security.audit import AuditLog
from galenic.store import Database, count_failure, failures, forgive

WINDOW = 15 * 60  # s in which failures are counted
STRANGERS, KNOWN_DEVICE, PLACE = 5, 10, 50  # failures after which unknown devices, one known device, one address must wait
WRONG = "name, password or code is not right. After five tries from an unknown device, sign-in waits a quarter of an hour."


@dataclass(frozen=True)
class SignInAttempt:
    """One attempt. name: the account; place: the network address; device: cookie of a known device, empty for an unknown one."""

    name: str
    place: str
    device: str

    def counters(self) -> tuple[tuple[str, int], ...]:
        """The counters that the attempt belongs to, each with the number of failures that it allows."""
        if self.device:
            return ((f"account/{self.name}/{self.device}", KNOWN_DEVICE),)
        return (f"account/{self.name}/strangers", STRANGERS), (f"place/{digest_of(self.place)}", PLACE)


class SignInLimits:
    """Counts failed attempts, and refuses further ones for a quarter of an hour."""

    def __init__(self, db: Database, audit: AuditLog) -> None:
        self.db, self.audit = db, audit

    def require_allowed(self, attempt: SignInAttempt) -> None:
        """AccessDeniedError after too many failures."""
        for key, most in attempt.counters():
            if failures(self.db, key) >= most:
                self.audit.append("session.throttled", attempt.name, "denied", actor=attempt.name)
                raise AccessDeniedError(WRONG)

    def fail(self, attempt: SignInAttempt) -> NoReturn:
        """Counts a failed attempt and refuses it."""
        for key, _most in attempt.counters():
            count_failure(self.db, key, WINDOW)
        self.audit.append("session.refused", attempt.name, "denied", actor=attempt.name)
        raise AccessDeniedError(WRONG)

    def forgive(self, attempt: SignInAttempt) -> None:
        """Forgets earlier failures after a successful sign-in."""
        for key, _most in attempt.counters():
            forgive(self.db, key)


def digest_of(text: str) -> str:
    """Digest under which a secret or an address is stored."""
    return sha256(f"galenic {text}".encode()).hexdigest()
