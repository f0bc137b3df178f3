"""Checks an audit chain offline: python verify_audit.py galenic.db --public gate.pub [--witness F] [--first-key F].

Needs Python and `cryptography`, but not Galenic. Row i holds SHA-256(hash of row i-1 || entry i) and one half of BLAKE2b(hash
i) keyed with key i (RFC 7693, 64 bytes), whose other half is key i+1. So the current key cannot be used to change an earlier
row unnoticed. Heads hold the root of the Merkle tree (RFC 6962) over row hashes, signed with Ed25519.
"""

import argparse
import base64
import hashlib
import json
import os
import sqlite3
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

START = bytes(32)
Rows = Iterable[tuple[int, str, bytes, bytes]]  # number, entry, hash, MAC
Heads = list[tuple[str, str]]  # JSON text, signature


def root_of(tree: list[bytes]) -> bytes:
    root = tree[-1]
    for left in reversed(tree[:-1]):
        root = hashlib.sha256(b"\1" + left + root).digest()
    return root


def check_rows(rows: Rows, sizes: set[int], first_key: bytes | None) -> tuple[str | None, int, dict[int, bytes]]:
    """(first fault, number of valid rows, root at each of `sizes`)."""
    roots: dict[int, bytes] = {}
    previous, key, place, sha256, blake2b = START, first_key, 0, hashlib.sha256, hashlib.blake2b
    tree: list[bytes] = []  # roots of the perfect subtrees, largest first
    for seq, entry, row_hash, mac in rows:
        place += 1
        if seq != place:
            return f"row {place}: missing or out of order", place - 1, roots
        if sha256(previous + entry.encode()).digest() != row_hash:
            return f"row {place}: changed, or does not follow from the previous row", place - 1, roots
        if key is not None:
            both = blake2b(row_hash, key=key).digest()
            if both[:32] != mac:
                return f"row {place}: rewritten without the key of that time", place - 1, roots
            key = both[32:]
        previous, node, n = row_hash, sha256(b"\0" + row_hash).digest(), place - 1
        while n & 1:
            node = sha256(b"\1" + tree.pop() + node).digest()
            n >>= 1
        tree.append(node)
        if place in sizes:
            roots[place] = root_of(tree)
    if place and place not in roots:
        roots[place] = root_of(tree)
    return None, place, roots


def check_head(text: str, signature: str, public: bytes, roots: dict[int, bytes], whose: str) -> str | None:
    try:
        head = json.loads(text)
        size, root = int(head["size"]), bytes.fromhex(head["root"])
    except (ValueError, KeyError, TypeError):
        return f"{whose} cannot be read"
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(base64.b64decode(signature), text.encode())
    except (InvalidSignature, ValueError):
        return f"{whose} of {size} rows: not signed by this installation"
    if size not in roots:
        return f"row {max(roots, default=0) + 1}: missing; {whose} covered {size} rows (truncated, or rolled back)"
    if roots[size] != root:
        return f"{whose} of {size} rows: these are not the rows that were signed"
    return None


def verify(rows: Rows, heads: Heads, public: bytes, witnessed: Heads, first_key: bytes | None) -> tuple[list[str], int]:
    """(faults, number of valid rows). heads, witnessed: pairs (head as JSON text, signature)."""
    fault, count, roots = check_rows(rows, {_size(text) for text, _signature in [*heads, *witnessed]}, first_key)
    found = [fault] if fault else []
    if not fault:
        pairs = [(h, "a head") for h in heads] + [(w, "the witness's head") for w in witnessed]
        found += [f for (text, sig), whose in pairs if (f := check_head(text, sig, public, roots, whose))]
        if count and not any(_size(text) == count for text, _ in heads):
            found.append(
                f"row {max((_size(t) for t, _ in heads), default=0) + 1}: not covered by any head, nor are the rows after it"
            )
        # the witness is written after the database, so only the last head may be missing there
        kept, known = {_size(t) for t, _ in witnessed}, sorted(_size(t) for t, _ in heads)
        if witnessed and any(size not in kept for size in known[:-1] if size >= min(kept)):
            found.append("a head that the witness does not have: there are two histories, or the witness was truncated")
        if witnessed and any(size <= count and size not in known for size in kept):
            found.append("the witness has a head that is missing in the database")
    return found, count


def _size(text: str) -> int:
    try:
        return int(json.loads(text)["size"])
    except (ValueError, KeyError, TypeError):
        return -1


def read_witness(path: Path) -> Heads:
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
    return [(line["head"], line["signature"]) for line in lines]


def opened(database: Path) -> sqlite3.Connection:  # a closed copy on a read-only medium needs no lock, and cannot have one
    still = not os.access(database.parent, os.W_OK) and not Path(f"{database}-wal").exists()
    return sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro{'&immutable=1' * still}", uri=True)


def first_bad_mac(database: Path, key: bytes) -> int | None:
    rows = opened(database).execute("SELECT hash, mac FROM audit ORDER BY seq")
    for place, (row_hash, mac) in enumerate(rows, start=1):
        both = hashlib.blake2b(row_hash, key=key).digest()
        if both[:32] != mac:
            return place
        key = both[32:]
    return None


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("database", type=Path)
    words.add_argument(
        "--public", type=Path, required=True, help="the public key of the access check, base64, received separately"
    )
    words.add_argument("--witness", type=Path, help="file of heads that was stored elsewhere")
    words.add_argument("--first-key", type=Path, help="first MAC key, stored offline since the beginning")
    given = words.parse_args()
    connection = opened(given.database)
    rows = connection.execute("SELECT seq, entry, hash, mac FROM audit ORDER BY seq")
    heads = connection.execute("SELECT head, signature FROM audit_heads ORDER BY size").fetchall()
    first = bytes.fromhex(given.first_key.read_text().strip()) if given.first_key else None
    witnessed = read_witness(given.witness) if given.witness else []
    with ProcessPoolExecutor(1) as other:  # MACs on one core, hashes and the tree on another
        macs = other.submit(first_bad_mac, given.database, first) if first else None
        faults, count = verify(rows, heads, base64.b64decode(given.public.read_text()), witnessed, None)
        bad = macs.result() if macs else None
    if bad and (not faults or bad <= count):
        faults, count = [f"row {bad}: rewritten without the key of that time", *faults], bad - 1
    missing = [] if witnessed else ["no witness: rows removed at the end would not be noticed"]
    missing += [] if first else ["no first key: changes by a key holder would not be noticed"]
    print("\n".join([*faults, *(f"note: {m}" for m in missing), f"{'BROKEN' if faults else 'INTACT'}: {count} rows stand"]))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
