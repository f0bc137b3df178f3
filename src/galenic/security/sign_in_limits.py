"""Limits of failed sign-ins. An attacker can lock out unknown devices, never a device that the user has signed in from."""

from dataclasses import dataclass
from hashlib import sha256
from typing import NoReturn

from galenic.errors import AccessDeniedError
from galenic.security.audit import AuditLog
from galenic.security.client_networks import limits_of
from galenic.store import AttemptCounter, Database, count_attempt, forgive, take_back_attempt

WINDOW = 15 * 60  # seconds in which failures are counted
STRANGERS, KNOWN_DEVICE, PLACE = 5, 10, 1_000  # failures after which unknown devices, one known device or one address must wait
WRONG = (
    "the name, password or code is not correct. After five attempts from an unknown device, sign-in is blocked for a quarter "
    "of an hour."
)


@dataclass(frozen=True)
class SignInAttempt:
    """One attempt. name: the account; place: the network address; device: cookie of a known device, empty for an unknown one."""

    name: str
    place: str
    device: str

    def counters(self) -> tuple[AttemptCounter, ...]:
        """Counters of the attempt."""
        if self.device:
            return (AttemptCounter(f"account/{self.name}/{self.device}", KNOWN_DEVICE),)
        # a shared address always has some failures, so they are counted per quarter of an hour
        limits = limits_of(self.place, PLACE)
        places = (AttemptCounter(f"place/{digest_of(network)}", most, extends=False) for network, most in limits.items())
        return AttemptCounter(f"account/{self.name}/strangers", STRANGERS), *places


class SignInLimits:
    """Counts attempts before they are checked. After too many failures, further attempts are refused for a quarter of an hour."""

    def __init__(self, db: Database, audit: AuditLog) -> None:
        self.db, self.audit = db, audit

    def require_allowed(self, attempt: SignInAttempt) -> None:
        """Counts an attempt as a failure until `succeed` or `forgive`. Raise AccessDeniedError, before anything is checked,
        after too many failures."""
        if not count_attempt(self.db, attempt.counters(), WINDOW):
            self.audit.refusals.add("session.throttled", attempt.name, attempt.place, actor=attempt.name)
            raise AccessDeniedError(WRONG)

    def fail(self, attempt: SignInAttempt) -> NoReturn:
        """Refuses an attempt, which remains counted."""
        self.audit.refusals.add("session.refused", attempt.name, attempt.place, actor=attempt.name)
        raise AccessDeniedError(WRONG)

    def succeed(self, attempt: SignInAttempt) -> None:
        """Removes the count of a correct attempt; earlier failures remain counted."""
        take_back_attempt(self.db, [c.name for c in attempt.counters()])

    def forgive(self, attempt: SignInAttempt) -> None:
        """Removes the count of a complete sign-in, and earlier failures of the same known device. Shared counters, of the
        address and of unknown devices, keep their failures."""
        self.succeed(attempt)
        if attempt.device:
            for counter in attempt.counters():
                forgive(self.db, counter.name)


def digest_of(text: str) -> str:
    """Digest under which a secret or an address is stored."""
    return sha256(f"galenic {text}".encode()).hexdigest()
