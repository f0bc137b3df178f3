"""Settings of an installation, read from the environment once per command."""

import getpass
import os
from dataclasses import dataclass
from pathlib import Path

from galenic.errors import ConfigurationError

DATABASE_SCHEMES = ("sqlite:", "postgresql:", "postgresql+")


@dataclass(frozen=True)
class Settings:
    """Locations and limits of one installation.

    home: folder of the state (database, keys, runs).
    database_url: SQLAlchemy URL; SQLite in `home` unless GALENIC_DATABASE is set.
    actor: the local operating-system user; an unverified identity until accounts exist.
    root: location of the root key: a file, vault:URL or pkcs11:MODULE?token=LABEL.
    witness: destinations of the signed heads of the audit log: files, syslog:HOST:PORT.
    escrow: folder of encrypted copies of root keys. escrow_days: days that a copy of a replaced root key is kept.
    search_seconds: longest time that a search of the FHIR endpoint may take.
    """

    home: Path
    database_url: str
    actor: str
    root: str
    witness: tuple[str, ...]
    escrow: Path
    escrow_days: int
    search_seconds: float = 10.0


def load(home: Path | None = None) -> Settings:
    """Settings from the operating-system user and GALENIC_HOME (default ~/.galenic), GALENIC_DATABASE, GALENIC_ROOT,
    GALENIC_WITNESS, GALENIC_ESCROW, GALENIC_ESCROW_DAYS (default 30) and GALENIC_SEARCH_SECONDS (default 10). By default,
    everything is in the home folder, which is suitable only for evaluation. In production, keep the root key, the witness
    and the recovery copies on other volumes."""
    folder = home or Path(os.environ.get("GALENIC_HOME") or Path.home() / ".galenic")
    folder = folder.expanduser().absolute()
    url = os.environ.get("GALENIC_DATABASE") or f"sqlite:///{folder / 'galenic.db'}"
    if not url.startswith(DATABASE_SCHEMES):
        raise ConfigurationError(
            "GALENIC_DATABASE must be a URL that begins with one of "
            + ", ".join(DATABASE_SCHEMES)
            + ". Correct it, or unset it to use SQLite."
        )
    if folder.exists() and not folder.is_dir():
        raise ConfigurationError("GALENIC_HOME is a file. Expected a folder, or a path where one can be created.")
    try:
        actor = getpass.getuser()
    except (KeyError, OSError):
        actor = f"uid-{os.getuid()}"
    witness = os.environ.get("GALENIC_WITNESS") or str(folder / "witness" / "heads.jsonl")
    days = os.environ.get("GALENIC_ESCROW_DAYS") or "30"
    if not days.isdecimal() or int(days) > 3650:
        raise ConfigurationError("GALENIC_ESCROW_DAYS must be a whole number of days from 0 to 3650.")
    seconds = os.environ.get("GALENIC_SEARCH_SECONDS") or "10"
    if not seconds.isdecimal() or not 1 <= int(seconds) <= 600:
        raise ConfigurationError("GALENIC_SEARCH_SECONDS must be a whole number of seconds from 1 to 600.")
    return Settings(
        home=folder,
        database_url=url,
        actor=actor,
        root=os.environ.get("GALENIC_ROOT") or str(folder / "root" / "root.json"),
        witness=tuple(w for w in witness.split(",") if w),
        escrow=Path(os.environ.get("GALENIC_ESCROW") or folder / "escrow").expanduser().absolute(),
        escrow_days=int(days),
        search_seconds=float(seconds),
    )
