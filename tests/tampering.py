"""Twenty-five ways to tamper with an audit chain, each with the row at which it must be noticed (None: any).

Each is done by somebody who may write every byte of the database. "key holder": who also holds today's MAC key and the
gate's signing key, and uses both.
"""

import base64
import hashlib
import json
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from galenic.security.merkle import Frontier


@dataclass
class Victim:
    """A chain of `rows` rows in one SQLite file, and what an attacker found beside it."""

    database: Path
    rows: int
    mac_key: bytes  # of the next row
    signing: Ed25519PrivateKey
    older: Path  # a copy of the file from when it had fewer rows

    def sql(self, *statements: tuple[str, tuple]) -> None:
        connection = sqlite3.connect(self.database)
        connection.execute("PRAGMA foreign_keys = OFF")
        for text, values in statements:
            connection.execute(text, values)
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()

    def all(self) -> list[list]:
        connection = sqlite3.connect(self.database)
        rows = [list(r) for r in connection.execute("SELECT seq, entry, hash, mac FROM audit ORDER BY seq")]
        connection.close()
        return rows

    def chain_again(self, rows: list[list], start: int, *, key: bytes | None = None, heads: bool = True) -> None:
        """Writes hashes anew from row `start` on; MACs too if a key is given; heads signed by the stolen signing key."""
        previous = rows[start - 2][2] if start > 1 else bytes(32)
        for i, row in enumerate(rows[start - 1 :], start=start):
            row[0] = i
            row[2] = hashlib.sha256(previous + row[1].encode()).digest()
            if key is not None:
                both = hashlib.blake2b(row[2], key=key).digest()
                row[3], key = both[:32], both[32:]
            previous = row[2]
        frontier, sizes = Frontier(), self._sizes()
        new_heads = []
        for row in rows:
            frontier.add(row[2])
            if heads and (row[0] in sizes or row is rows[-1]):
                text = json.dumps(
                    {
                        "last": row[2].hex(),
                        "root": frontier.root().hex(),
                        "size": row[0],
                        "time": "2026-01-01T00:00:00.000+00:00",
                    },
                    sort_keys=True,
                    separators=(",", ":"),
                )
                signature = base64.b64encode(self.signing.sign(text.encode())).decode()
                new_heads.append((row[0], text, json.dumps([r.hex() for r in frontier.roots]), signature))
        self.sql(
            ("DELETE FROM audit", ()),
            *[("INSERT INTO audit VALUES (?, ?, ?, ?)", tuple(r)) for r in rows],
            *([("DELETE FROM audit_heads", ())] if heads else []),
            *[("INSERT INTO audit_heads VALUES (?, ?, ?, ?)", h) for h in new_heads],
        )

    def _sizes(self) -> set[int]:
        connection = sqlite3.connect(self.database)
        sizes = {r[0] for r in connection.execute("SELECT size FROM audit_heads")}
        connection.close()
        return sizes


THIRD = "(SELECT size FROM audit_heads ORDER BY size LIMIT 1 OFFSET 2)"
K = 7  # the row that is tampered with


def edited(v: Victim, old: str, new: str) -> None:
    rows = v.all()
    v.sql(("UPDATE audit SET entry = ? WHERE seq = ?", (rows[K - 1][1].replace(old, new), K)))


def rewritten(v: Victim, *, key: bytes | None, heads: bool) -> None:
    rows = v.all()
    rows[K - 1][1] = rows[K - 1][1].replace("step", "stop")
    v.chain_again(rows, K, key=key, heads=heads)


def dropped(v: Victim, *, again: bool, key: bytes | None = None) -> None:
    rows = v.all()
    del rows[K - 1]
    if again:
        v.chain_again(rows, K, key=key)
    else:
        v.sql(("DELETE FROM audit WHERE seq = ?", (K,)))


def swapped(v: Victim, *, again: bool) -> None:
    rows = v.all()
    a, b = rows[K - 1][1], rows[K][1]
    if again:
        rows[K - 1][1], rows[K][1] = b, a
        v.chain_again(rows, K, key=v.mac_key)
    else:
        v.sql(
            ("UPDATE audit SET seq = 0 WHERE seq = ?", (K,)),
            ("UPDATE audit SET seq = ? WHERE seq = ?", (K, K + 1)),
            ("UPDATE audit SET seq = ? WHERE seq = 0", (K + 1,)),
        )


def inserted(v: Victim, *, key: bytes | None) -> None:
    rows = v.all()
    rows.insert(K - 1, [K, rows[K - 1][1].replace("step", "stop"), b"", rows[K - 1][3]])
    v.chain_again(rows, K, key=key)


def cut(v: Victim, *, heads: bool) -> None:
    v.sql(("DELETE FROM audit WHERE seq > ?", (v.rows - 3,)))
    if heads:
        v.sql(("DELETE FROM audit_heads WHERE size > ?", (v.rows - 3,)))


def rolled_back(v: Victim) -> None:
    for suffix in ("", "-wal", "-shm"):
        Path(str(v.database) + suffix).unlink(missing_ok=True)
    shutil.copy(v.older, v.database)


def forked(v: Victim) -> None:
    """Back to an older file, then another history of the same length, signed and keyed."""
    rolled_back(v)
    rows = v.all()
    start = len(rows) + 1
    while len(rows) < v.rows:
        rows.append([len(rows) + 1, rows[-1][1].replace("step", "else"), b"", bytes(32)])
    v.chain_again(rows, start, key=v.mac_key)


def new_chain(v: Victim) -> None:
    """Everything anew, from row 1, with a key of the attacker's."""
    v.chain_again(v.all(), 1, key=bytes(32))


def other_signer(v: Victim) -> None:
    v.signing = Ed25519PrivateKey.generate()
    v.chain_again(v.all(), v.rows + 1)


def head_changed(v: Victim, column: str, value: str) -> None:
    v.sql(
        (
            f"UPDATE audit_heads SET {column} = ? WHERE size = {THIRD}",
            (value,),
        )
    )


def replayed(v: Victim) -> None:
    rows = v.all()
    v.sql(("INSERT INTO audit VALUES (?, ?, ?, ?)", (v.rows + 1, *rows[K - 1][1:])))


Kind = tuple[str, Callable[[Victim], None], int | None]

KINDS: tuple[Kind, ...] = (
    ("an entry's action edited", lambda v: edited(v, "step", "stop"), K),
    ("an entry's actor edited", lambda v: edited(v, '"actor":"test"', '"actor":"eve"'), K),
    ("an entry's time edited", lambda v: edited(v, '"time":"2', '"time":"1'), K),
    ("an entry emptied", lambda v: v.sql(("UPDATE audit SET entry = '{}' WHERE seq = ?", (K,))), K),
    ("one byte of a hash flipped", lambda v: v.sql(("UPDATE audit SET hash = zeroblob(32) WHERE seq = ?", (K,))), K),
    ("a MAC overwritten", lambda v: v.sql(("UPDATE audit SET mac = zeroblob(32) WHERE seq = ?", (K,))), K),
    ("a MAC taken from another row", lambda v: v.sql(("UPDATE audit SET mac = (SELECT mac FROM audit WHERE seq = 3) WHERE seq = ?", (K,))), K),
    ("a row deleted", lambda v: dropped(v, again=False), K),
    ("the first row deleted", lambda v: v.sql(("DELETE FROM audit WHERE seq = 1", ())), 1),
    ("a row deleted, numbers closed up, chained again without the key", lambda v: dropped(v, again=True), K),
    ("a row deleted and chained again by a key holder", lambda v: dropped(v, again=True, key=v.mac_key), K),
    ("two rows swapped", lambda v: swapped(v, again=False), K),
    ("two rows swapped and chained again by a key holder", lambda v: swapped(v, again=True), K),
    ("a row inserted and chained again without the key", lambda v: inserted(v, key=None), K),
    ("a row inserted and chained again by a key holder", lambda v: inserted(v, key=v.mac_key), K),
    ("an earlier row played again at the end", replayed, None),
    ("rewritten from a row on, without the key, heads left", lambda v: rewritten(v, key=None, heads=False), K),
    ("rewritten from a row on, heads signed again", lambda v: rewritten(v, key=None, heads=True), K),
    ("rewritten from a row on by a key holder, heads signed again", lambda v: rewritten(v, key=v.mac_key, heads=True), K),
    ("the whole chain anew by a key holder", new_chain, 1),
    ("the end cut off", lambda v: cut(v, heads=False), None),
    ("the end and its heads cut off", lambda v: cut(v, heads=True), None),
    ("the file rolled back to an older one", rolled_back, None),
    ("rolled back, and another history written by a key holder", forked, None),
    ("heads signed by another key", other_signer, None),
    ("a head's signature replaced", lambda v: head_changed(v, "signature", "AAAA"), None),
    ("a head's root replaced", lambda v: head_changed(v, "head", '{"last":"00","root":"00","size":3,"time":""}'), None),
    ("a head deleted", lambda v: v.sql((f"DELETE FROM audit_heads WHERE size = {THIRD}", ())), None),
)  # fmt: skip
