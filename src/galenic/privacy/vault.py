"""Tokens that lead back: kept in the vault under their patients' keys, revealed one by one past the gate."""

from collections.abc import Callable
from dataclasses import dataclass, field

from galenic.errors import DescriptionError
from galenic.store import AbstractGrant, Database, Dataset, put_tokens, reveal_token

AT_ONCE = 2_000


@dataclass
class TokenVault:
    """Collects what tokens stand for while a copy is made. Without a vault a token leads back for nobody."""

    db: Database
    grant: AbstractGrant
    known: Dataset
    kept: int = 0
    _waiting: dict[str, tuple[int, str, str, str]] = field(default_factory=dict)

    def of(self, subject: int) -> Callable[[str, str, str], None]:
        """A function that keeps (token, kind, value) of one patient."""

        def keep(token: str, kind: str, value: str) -> None:
            self._waiting[token] = (subject, token, kind, value)
            if len(self._waiting) >= AT_ONCE:
                self.flush()

        return keep

    def flush(self) -> None:
        """Writes what waits."""
        if self._waiting:
            self.kept += put_tokens(self.db, self.grant, self.known, list(self._waiting.values()))
            self._waiting.clear()


def reveal(db: Database, grant: AbstractGrant, known: Dataset, token: str) -> tuple[str, str]:
    """(kind, value) that a token stands for. DescriptionError where it stands for nothing any more."""
    found = reveal_token(db, grant, known, token)
    if found is None:
        raise DescriptionError(
            "this token stands for nothing here: it was made without the vault, for another data set, or its patient was erased."
        )
    return found
