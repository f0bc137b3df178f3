"""Ledger in a temporary folder, for audits and attacks with the same costs but without using a population's budget."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from galenic import store
from galenic.privacy.ledger import Ledger


@contextmanager
def temporary_ledger() -> Iterator[Ledger]:
    """Empty ledger that is removed when the block ends."""
    with tempfile.TemporaryDirectory() as folder:
        db = store.Database(f"sqlite:///{Path(folder) / 'ledger.db'}")
        try:
            yield Ledger(db)
        finally:
            db.close()
