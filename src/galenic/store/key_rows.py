"""Rows of the key tree: wrapped keys, unusable without the root key, which is not in the database."""

import sqlalchemy as sa

from galenic.store.database import Database
from galenic.store.fact_rows import bump_version
from galenic.store.tables import key_nodes

Nodes = dict[tuple[int, int], bytes]


def read_nodes(db: Database, places: list[tuple[int, int]]) -> Nodes:
    """Nodes with the given (level, place), if they exist."""
    found: Nodes = {}
    mark = "?" if db.is_sqlite else "%s"
    with db.reading() as c:
        for start in range(0, len(places), 200):
            some = places[start : start + 200]
            # not IN (VALUES ...), for which SQLite would read the whole table
            where = " OR ".join([f"(level = {mark} AND place = {mark})"] * len(some))
            query = f"SELECT level, place, children FROM key_nodes WHERE {where}"  # noqa: S608
            rows = c.exec_driver_sql(query, tuple(number for place in some for number in place))
            found |= {(int(r[0]), int(r[1])): bytes(r[2]) for r in rows}
    return found


def read_all_nodes(db: Database) -> Nodes:
    """Every node."""
    with db.reading() as c:
        return {(int(r[0]), int(r[1])): bytes(r[2]) for r in c.execute(sa.select(key_nodes))}


def write_nodes(db: Database, nodes: Nodes, *, bump: bool = False) -> None:
    """Replaces nodes in one transaction. bump: invalidate the caches of other processes."""
    with db.transaction() as c:
        if bump:
            bump_version(c, "keys")
        mark = "?" if db.is_sqlite else "%s"
        c.exec_driver_sql(
            f"INSERT INTO key_nodes (level, place, children) VALUES ({mark}, {mark}, {mark}) "  # noqa: S608
            "ON CONFLICT (level, place) DO UPDATE SET children = excluded.children",
            [(level, place, children) for (level, place), children in nodes.items()],
        )


def replace_all_nodes(db: Database, nodes: Nodes) -> None:
    """Replaces the whole tree."""
    with db.transaction() as c:
        c.execute(key_nodes.delete())
        rows = [{"level": level, "place": place, "children": children} for (level, place), children in nodes.items()]
        if rows:
            c.execute(key_nodes.insert(), rows)
