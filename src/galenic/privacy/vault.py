"""Tokens that can be revealed: stored in the vault with the patients' keys, and revealed individually under an access decision."""

from collections.abc import Callable
from dataclasses import dataclass, field

from galenic.errors import NotFoundError
from galenic.store import AbstractGrant, Database, Dataset
from galenic.store.vault import put_tokens, reveal_token, subject_of_token  # by this package alone

BATCH = 2_000  # tokens that are written together


@dataclass
class TokenVault:
    """Collector of the values that tokens replace while a copy is written. Without a vault, no token can be revealed."""

    db: Database
    grant: AbstractGrant
    dataset: Dataset
    stored: int = 0
    _pending: dict[str, tuple[int, str, str, str]] = field(default_factory=dict)

    def of(self, subject: int) -> Callable[[str, str, str], None]:
        """A function that stores (token, kind, value) of one patient."""

        def remember(token: str, kind: str, value: str) -> None:
            self._pending[token] = (subject, token, kind, value)
            if len(self._pending) >= BATCH:
                self.flush()

        return remember

    def flush(self) -> None:
        """Write pending tokens."""
        if self._pending:
            self.stored += put_tokens(self.db, self.grant, self.dataset, list(self._pending.values()))
            self._pending.clear()


def patient_of_token(db: Database, grant: AbstractGrant, dataset: Dataset, token: str) -> int | None:
    """Subject id of the patient whose value a token replaced; None if the vault does not have the token."""
    return subject_of_token(db, grant, dataset, token)


def reveal(db: Database, grant: AbstractGrant, dataset: Dataset, token: str) -> tuple[str, str]:
    """(kind, value) that a token replaced. Raise NotFoundError if the vault does not have the token."""
    original = reveal_token(db, grant, dataset, token)
    if original is None:
        raise NotFoundError(
            "this token cannot be revealed: it was made without the token vault or for another data set, or its "
            "patient was erased."
        )
    return original
