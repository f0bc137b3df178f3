"""The migrations make the same tables as in the versions that installations already run."""

import sqlite3
from pathlib import Path

from galenic.store import Database


def schema_of(place: Path) -> str:
    """The statements that made tables and indexes, in alphabetical order."""
    with sqlite3.connect(place) as c:
        statements = [str(r[0]) for r in c.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")]
    c.close()
    return "\n".join(sorted(" ".join(s.split()) for s in statements)) + "\n"


def test_a_new_installation_has_the_tables_of_the_versions_before(tmp_path: Path) -> None:
    place = tmp_path / "galenic.db"
    Database(f"sqlite:///{place}").close()
    assert schema_of(place) == (Path(__file__).parent / "schema.sql").read_text()
