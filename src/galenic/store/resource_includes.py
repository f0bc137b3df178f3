"""Included resources of a search: references from and to its matches, followed inside the search index."""

import orjson

from galenic.schema import SearchHit
from galenic.store.criterion_sql import HashFunction, Sql, in_list
from galenic.store.resource_query import RunQuery, hit_of

TABLE = "CREATE TEMP TABLE included (row INTEGER PRIMARY KEY, turn INT)"  # of each connection


class IncludedRows:
    """Rows reached from the matches of a search, in turns: 0 are the matches, 1 the resources connected to them by a reference,
    and so on. They are in a temporary table of the thread's connection. hashed, scope, run: as for a compiler of searches;
    below: only rows up to this number."""

    def __init__(self, hashed: HashFunction, scope: Sql, run: RunQuery, below: int) -> None:
        self.hashed, self.scope, self.run, self.below = hashed, scope, run, below

    def begin(self, rows: list[int]) -> None:
        """Begins with the rows of matches."""
        self.run("DELETE FROM temp.included", [])
        self.run("INSERT INTO temp.included SELECT value, 0 FROM json_each(?)", [orjson.dumps(rows).decode()])

    def refer_to(self, turn: int, parameters: tuple[str, ...], types: tuple[str, ...]) -> None:
        """Adds resources that rows of a turn refer to, by parameters (Type.code; none for any), of these types (none for any)."""
        where = f" AND l.p {in_list([self.hashed(p) for p in parameters])}" if parameters else ""
        joined = "temp.included s CROSS JOIN link l CROSS JOIN res r WHERE l.row = s.row AND r.key = l.h"
        self._add(turn, f"{joined}{where}", types)

    def referring(self, turn: int, parameters: tuple[str, ...], types: tuple[str, ...]) -> None:
        """Adds resources that refer to rows of a turn, by parameters (Type.code), of these types (none for any)."""
        where = f"t.p {in_list([self.hashed(p) for p in parameters])} AND t.h = q.key AND r.row = t.row"
        joined = "temp.included s CROSS JOIN res q CROSS JOIN token t CROSS JOIN res r WHERE q.row = s.row"
        self._add(turn, f"{joined} AND {where}", types)

    def named(self, turn: int, names: list[str], types: tuple[str, ...]) -> None:
        """Adds resources by name (Type/id), as if rows of a turn referred to them."""
        if names:
            self._add(turn, f"res r CROSS JOIN (SELECT 0 AS turn) s WHERE r.key {in_list([*map(self.hashed, names)])}", types)

    def _add(self, turn: int, joined: str, types: tuple[str, ...]) -> None:
        where, values = self.scope
        kinds = f" AND r.type {in_list([self.hashed(t) for t in types])}" if types else ""
        sql = f"INSERT OR IGNORE INTO temp.included SELECT r.row, ? FROM {joined} AND r.live AND r.row <= ?{kinds}{where}"  # noqa: S608
        self.run(f"{sql} AND s.turn = ?", [turn + 1, self.below, *values, turn])

    def subjects(self, turn: int) -> dict[int, bool]:
        """Subjects of the rows of a turn, with True if the subject is a patient."""
        sql = "SELECT DISTINCT r.subject, r.patient FROM temp.included i CROSS JOIN res r ON r.row = i.row WHERE i.turn = ?"
        return {int(subject): bool(patient) for subject, patient in self.run(sql, [turn])}

    def leave_out(self, subjects: list[int]) -> None:
        """Removes the rows of subjects."""
        listed = f"SELECT r.row FROM temp.included i CROSS JOIN res r ON r.row = i.row WHERE r.subject {in_list(subjects)}"  # noqa: S608
        self.run(f"DELETE FROM temp.included WHERE turn > 0 AND row IN ({listed})", [])  # noqa: S608

    def page(self, offset: int, limit: int) -> list[SearchHit]:
        """Rows in the order of turns, and of writing within a turn."""
        sql = (
            "SELECT r.row, r.name, r.subject, r.patient FROM temp.included i CROSS JOIN res r ON r.row = i.row "
            "WHERE i.turn > 0 ORDER BY i.turn, i.row LIMIT ? OFFSET ?"
        )
        return [hit_of(row) for row in self.run(sql, [limit, offset])]
