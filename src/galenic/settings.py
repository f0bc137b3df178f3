"""Where Galenic keeps its state, read from the environment once per command."""

import getpass
import os
from dataclasses import dataclass
from pathlib import Path

from galenic.errors import DescriptionError


@dataclass(frozen=True)
class Settings:
    """Places and limits of one installation.

    home: folder of state (database, keys, runs).
    database_url: SQLAlchemy URL; SQLite in `home` unless GALENIC_DATABASE says otherwise.
    actor: the local operating-system user; an unverified identity until people exist.
    root: where the root key is kept: a file, vault:URL or pkcs11:MODULE?token=LABEL.
    witness: where heads of the audit chain go, separated by commas: files, syslog:HOST:PORT.
    escrow: folder of sealed copies of roots. escrow_days: how long a copy of a replaced root is kept.
    """

    home: Path
    database_url: str
    actor: str
    root: str
    witness: tuple[str, ...]
    escrow: Path
    escrow_days: int


def load(home: Path | None = None) -> Settings:
    """Settings from the operating-system user and GALENIC_HOME (default ~/.galenic), GALENIC_DATABASE, GALENIC_ROOT,
    GALENIC_WITNESS, GALENIC_ESCROW and GALENIC_ESCROW_DAYS (default 30). By default all of it is in the home folder, which is
    for trying out: root, witness and escrow belong on other volumes."""
    place = home or Path(os.environ.get("GALENIC_HOME") or Path.home() / ".galenic")
    place = place.expanduser().absolute()
    url = os.environ.get("GALENIC_DATABASE") or f"sqlite:///{place / 'galenic.db'}"
    try:
        actor = getpass.getuser()
    except (KeyError, OSError):
        actor = f"uid-{os.getuid()}"
    witness = os.environ.get("GALENIC_WITNESS") or str(place / "witness" / "heads.jsonl")
    days = os.environ.get("GALENIC_ESCROW_DAYS") or "30"
    if not days.isdecimal() or int(days) > 3650:
        raise DescriptionError("GALENIC_ESCROW_DAYS must be a whole number of days from 0 to 3650.")
    return Settings(
        home=place,
        database_url=url,
        actor=actor,
        root=os.environ.get("GALENIC_ROOT") or str(place / "root" / "root.json"),
        witness=tuple(w for w in witness.split(",") if w),
        escrow=Path(os.environ.get("GALENIC_ESCROW") or place / "escrow").expanduser().absolute(),
        escrow_days=int(days),
    )
