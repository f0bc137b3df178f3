"""Merkle tree of RFC 6962, section 2.1: roots, inclusion proofs, and a frontier that grows without reading the log."""

import hashlib
from collections.abc import Sequence


def leaf_hash(leaf: bytes) -> bytes:
    """SHA-256(0x00 || leaf): RFC 6962, section 2.1."""
    return hashlib.sha256(b"\0" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right): RFC 6962, section 2.1."""
    return hashlib.sha256(b"\1" + left + right).digest()


class Frontier:
    """Roots of the perfect subtrees that make up a log of `size` leaves, largest first."""

    def __init__(self, size: int = 0, roots: Sequence[bytes] = ()) -> None:
        self.size = size
        self.roots = list(roots)

    def add(self, leaf: bytes) -> None:
        """Adds a leaf (its data, not its hash)."""
        sha256, roots, n = hashlib.sha256, self.roots, self.size
        root = sha256(b"\0" + leaf).digest()
        while n & 1:
            root = sha256(b"\1" + roots.pop() + root).digest()
            n >>= 1
        roots.append(root)
        self.size += 1

    def root(self) -> bytes:
        """The tree's root; SHA-256 of nothing for an empty tree."""
        if not self.roots:
            return hashlib.sha256(b"").digest()
        root = self.roots[-1]
        for left in reversed(self.roots[:-1]):
            root = node_hash(left, root)
        return root


def root_of(hashes: Sequence[bytes]) -> bytes:
    """The root over leaf hashes."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    level = list(hashes)
    while len(level) > 1:
        paired = [node_hash(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        level = paired + ([level[-1]] if len(level) % 2 else [])
    return level[0]


def inclusion_proof(place: int, hashes: Sequence[bytes]) -> list[bytes]:
    """PATH(place, D[n]) of RFC 6962, section 2.1.1, over leaf hashes; place counts from 0."""
    path, level = [], list(hashes)
    while len(level) > 1:
        sibling = place ^ 1
        if sibling < len(level):
            path.append(level[sibling])
        paired = [node_hash(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        level = paired + ([level[-1]] if len(level) % 2 else [])
        place >>= 1
    return path


def root_from_proof(leaf: bytes, place: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """Root that results from a proof (RFC 9162, section 2.1.3.2), or None if the proof has the wrong length."""
    node, last, steps = leaf_hash(leaf), size - 1, list(path)
    while last:
        if place & 1 or place != last:
            if not steps:
                return None
            sibling = steps.pop(0)
            node = node_hash(sibling, node) if place & 1 else node_hash(node, sibling)
        place >>= 1
        last >>= 1
    return None if steps else node
