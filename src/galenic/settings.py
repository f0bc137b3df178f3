"""Where Galenic keeps its state, read from the environment once per command."""

import getpass
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """Places and limits of one installation.

    home: folder of state (database, keys, runs).
    database_url: SQLAlchemy URL; SQLite in `home` unless GALENIC_DATABASE says otherwise.
    actor: the local operating-system user; an unverified identity until people exist.
    """

    home: Path
    database_url: str
    actor: str


def load(home: Path | None = None) -> Settings:
    """Settings from GALENIC_HOME (default ~/.galenic), GALENIC_DATABASE and the operating-system user."""
    place = home or Path(os.environ.get("GALENIC_HOME") or Path.home() / ".galenic")
    place = place.expanduser().absolute()
    url = os.environ.get("GALENIC_DATABASE") or f"sqlite:///{place / 'galenic.db'}"
    try:
        actor = getpass.getuser()
    except (KeyError, OSError):
        actor = f"uid-{os.getuid()}"
    return Settings(home=place, database_url=url, actor=actor)
