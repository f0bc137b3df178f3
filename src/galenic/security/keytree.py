"""Tree of keys under the root key, one per patient. To destroy a key, a single path is re-encrypted and the root key replaced."""

import os
import threading
import time
from collections import OrderedDict
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from galenic.errors import KeyErasedError, StoreError
from galenic.security.root import Escrow, RootKeeper
from galenic.store import Database, Nodes, locked, read_all_nodes, read_nodes, version_numbers, write_nodes

FAN = 64
DEPTH = 4  # 64^4: 16.7 million patients and builds
CAPACITY = FAN**DEPTH
FRESH = 0.02  # s
KEPT_LEAVES = 4_000  # of 64 patients each, 4 KB: 16 MB
WRAPPED = 60  # nonce 12 + key 32 + tag 16
EMPTY = b"\0" * WRAPPED
DOMAINS = ("record", "token", "index", "people", "challenges", "note")
SERVICE = CAPACITY - FAN  # the last leaves hold the installation's own keys
IDENTITY, FACTS, PEOPLE = SERVICE, SERVICE + 1, SERVICE + 2  # tokens of identifiers; MACs of facts; secrets of people
BUILDS = CAPACITY // 2  # from here on: one key per build of shards or of an index; patients use lower numbers


def _wrap(parent: bytes | AESGCM, key: bytes, level: int, place: int) -> bytes:
    nonce, seal = os.urandom(12), AESGCM(parent) if isinstance(parent, bytes) else parent
    return nonce + seal.encrypt(nonce, key, b"%d/%d" % (level, place))


def _unwrap(parent: bytes | AESGCM, wrapped: bytes, level: int, place: int) -> bytes:
    seal = AESGCM(parent) if isinstance(parent, bytes) else parent
    try:
        return seal.decrypt(wrapped[:12], wrapped[12:], b"%d/%d" % (level, place))
    except InvalidTag:
        raise KeyErasedError(
            "a key of the key tree cannot be decrypted: the root key was replaced after this copy was made, or the "
            "copy was changed."
        ) from None


class KeyTree:
    """Keys by number, 0 to 64^4 - 1, wrapped by node keys of a tree with fan-out 64, which are wrapped by the root key.

    Level 0 is the node under the root; a node of the last level wraps 64 leaves. Every node is one row of 64 wrapped keys.
    """

    def __init__(self, db: Database, keeper: RootKeeper, escrow: Escrow, lock: Path) -> None:
        self.db, self.keeper, self.escrow, self.lock = db, keeper, escrow, lock
        self._node_keys: OrderedDict[tuple[int, int], bytes] = OrderedDict()
        self._leaves: OrderedDict[int, tuple[bytes, AESGCM]] = (
            OrderedDict()
        )  # rows of 64 wrapped keys, and their decrypted keys
        self._mutex = threading.RLock()
        self._version, self._looked = -1, 0.0
        self._root: bytes | None = None

    def root(self) -> bytes:
        """Root key. Raise StoreError if there is none."""
        if self._root is None:
            self._root = self.keeper.get()
        if self._root is None:
            raise StoreError("there is no root key. Set GALENIC_ROOT, or restore the root key: galenic keys recover-root")
        return self._root

    def initialize(self) -> None:
        """Creates the first root key and its recovery copy, unless there is one or existing keys wait for theirs to be
        restored."""
        with self._mutex, locked(self.lock):
            self._create_root()

    def _create_root(self) -> None:
        if self.keeper.get() is None and not read_nodes(self.db, [(0, 0)]):
            root = os.urandom(32)
            self.escrow.keep(root)
            self.keeper.put(root)

    def key(self, place: int) -> bytes:
        """The 32-byte key with a number. Raise KeyErasedError if there is none."""
        found = self.keys([place])
        if place not in found:
            raise KeyErasedError(f"key {place} does not exist: it was never made, or its patient was erased.")
        return found[place]

    def _refresh_if_changed(self) -> None:
        """Clears the cache if another process has changed the tree; checked every 20 ms."""
        now = time.monotonic()
        if now - self._looked > FRESH:
            self._looked = now
            version = version_numbers(self.db).get("keys", 0)
            if version != self._version:
                self.refresh()
                self._version = version

    def keys(self, places: list[int]) -> dict[int, bytes]:
        """Existing keys among some numbers; one row is read per 64 neighbors."""
        with self._mutex:
            try:
                return self._keys(places)
            except KeyErasedError:
                self.refresh()  # another process may have replaced the root
            try:
                return self._keys(places)
            except KeyErasedError:
                with locked(self.lock):  # another process is between the new tree and the new root key: wait for it
                    self.refresh()
                    return self._keys(places)

    def _keys(self, places: list[int]) -> dict[int, bytes]:
        self._refresh_if_changed()
        found: dict[int, bytes] = {}
        # a missing key is looked up again, because another process may have added it to a cached row
        absent = {p // FAN for p in places if not self._is_cached(p)}
        for (_level, node), children in read_nodes(self.db, [(DEPTH - 1, n) for n in absent]).items() if absent else ():
            self._leaves[node] = (children, AESGCM(self._node_key(DEPTH - 1, node)))
        for place in places:
            leaf = self._leaves.get(place // FAN)
            if leaf is None:
                continue
            start = place % FAN * WRAPPED
            wrapped = leaf[0][start : start + WRAPPED]
            if wrapped != EMPTY:
                try:
                    found[place] = leaf[1].decrypt(wrapped[:12], wrapped[12:], b"%d/%d" % (DEPTH, place))
                except InvalidTag:
                    raise KeyErasedError(
                        f"key {place} cannot be decrypted: it was changed, or the root key was replaced."
                    ) from None
        while len(self._leaves) > KEPT_LEAVES:
            self._leaves.popitem(last=False)
        return found

    def _is_cached(self, place: int) -> bool:
        leaf, start = self._leaves.get(place // FAN), place % FAN * WRAPPED
        return leaf is not None and leaf[0][start : start + WRAPPED] != EMPTY

    def drop(self, place: int) -> None:
        """Deletes a key without replacing the root key; for builds, which are not in backups."""
        with self._mutex, locked(self.lock):
            self.refresh()
            children = read_nodes(self.db, [(DEPTH - 1, place // FAN)]).get((DEPTH - 1, place // FAN))
            if children is None:
                return
            node = bytearray(children)
            node[place % FAN * WRAPPED : (place % FAN + 1) * WRAPPED] = EMPTY
            write_nodes(self.db, {(DEPTH - 1, place // FAN): bytes(node)}, bump=True)

    def _node_key(self, level: int, place: int) -> bytes:
        """Key that wraps the children of a node; recent ones are cached."""
        if (level, place) in self._node_keys:
            self._node_keys.move_to_end((level, place))
            return self._node_keys[level, place]
        if level == 0:
            parent = self.root()
            key = HKDFExpand(SHA256(), 32, b"galenic tree").derive(parent)
        else:
            parent = self._node_key(level - 1, place // FAN)
            node = read_nodes(self.db, [(level - 1, place // FAN)]).get((level - 1, place // FAN))
            i = place % FAN
            if node is None or node[i * WRAPPED : (i + 1) * WRAPPED] == EMPTY:
                raise KeyErasedError("the key does not exist: it was never made, or its patient was erased.")
            key = _unwrap(parent, node[i * WRAPPED : (i + 1) * WRAPPED], level, place)
        self._node_keys[level, place] = key
        while len(self._node_keys) > 20_000:
            self._node_keys.popitem(last=False)
        return key

    def add(self, places: list[int]) -> None:
        """Creates a new key for each number that has none."""
        if not places:
            return
        if max(places) >= CAPACITY or min(places) < 0:
            raise StoreError(f"the key tree has {CAPACITY} keys; key number {max(places)} is out of range.")
        with self._mutex, locked(self.lock):
            self.refresh()
            self._create_root()
            changed: dict[tuple[int, int], bytearray] = {}
            fresh: dict[tuple[int, int], bytes] = {}
            for place in sorted(set(places)):
                parent = self._ensure(DEPTH - 1, place // FAN, changed, fresh)
                node = changed[DEPTH - 1, place // FAN]
                i = place % FAN
                if node[i * WRAPPED : (i + 1) * WRAPPED] == EMPTY:
                    node[i * WRAPPED : (i + 1) * WRAPPED] = _wrap(parent, os.urandom(32), DEPTH, place)
            write_nodes(self.db, {at: bytes(node) for at, node in changed.items()})
            self._node_keys.update(fresh)
            self._leaves.clear()

    def _ensure(
        self, level: int, place: int, changed: dict[tuple[int, int], bytearray], fresh: dict[tuple[int, int], bytes]
    ) -> bytes:
        """Key of a node, created if necessary in copies of the rows in `changed`."""
        if (level, place) in fresh:
            return fresh[level, place]
        there = (level, place) in changed
        node = read_nodes(self.db, [(level, place)]).get((level, place)) if not there else None
        if not there:
            changed[level, place] = bytearray(node or EMPTY * FAN)
        if level == 0:
            key = HKDFExpand(SHA256(), 32, b"galenic tree").derive(self.root())
        elif node is not None:
            key = self._node_key(level, place)
        else:
            parent = self._ensure(level - 1, place // FAN, changed, fresh)
            key = os.urandom(32)
            i = place % FAN
            changed[level - 1, place // FAN][i * WRAPPED : (i + 1) * WRAPPED] = _wrap(parent, key, level, place)
        fresh[level, place] = key
        return key

    def forget(self, places: list[int]) -> int:
        """Destroys keys. Their paths get new node keys, the root key is replaced, and no older copy of the tree opens them.

        Order: recovery copy of the new root key, new tree, replacement of the root key. So an interruption leaves either the
        old root key with the old tree or a pending root key that `recover` completes. Returns the number of rewritten keys.
        """
        with self._mutex, locked(self.lock):
            self.refresh()
            root = self._root_or_fail()
            new_root = os.urandom(32)
            nodes, rewrapped = self._without(set(places), root, new_root)
            self._replace(nodes, root, new_root)
            return rewrapped

    def _replace(self, nodes: Nodes, root: bytes, new_root: bytes) -> None:
        pending = _wrap(root, new_root, -1, 0)  # readable only with the old root, which is destroyed at the end
        self.escrow.keep(new_root)
        write_nodes(self.db, {**nodes, (-1, 0): pending}, bump=True)
        self.keeper.put(new_root)
        self._root = new_root
        self._node_keys.clear()
        self._leaves.clear()

    def _without(self, places: set[int], root: bytes, new_root: bytes) -> tuple[Nodes, int]:
        """Nodes wrapped again under a new root key, without the keys at `places`."""
        done: Nodes = {}
        count = 0
        paths = {(level, p // FAN ** (DEPTH - level)) for p in places for level in range(DEPTH)}
        nodes = read_nodes(self.db, sorted(paths))

        def rewrap(level: int, place: int, gone: set[int], old: bytes, new: bytes) -> None:
            nonlocal count
            children = nodes.get((level, place))
            if children is None:
                return
            span = FAN ** (DEPTH - 1 - level)
            out, opening, sealing = bytearray(children), AESGCM(old), AESGCM(new)
            touched = {p // span for p in gone}
            for i in range(FAN):
                part = children[i * WRAPPED : (i + 1) * WRAPPED]
                child = place * FAN + i
                if part == EMPTY:
                    continue
                inside = {p for p in gone if p // span == child} if child in touched else set()
                if level == DEPTH - 1 and inside:
                    out[i * WRAPPED : (i + 1) * WRAPPED] = EMPTY
                    continue
                key = _unwrap(opening, part, level + 1, child)
                if inside:
                    fresh = os.urandom(32)
                    rewrap(level + 1, child, inside, key, fresh)
                    key = fresh
                out[i * WRAPPED : (i + 1) * WRAPPED] = _wrap(sealing, key, level + 1, child)
                count += 1
            done[level, place] = bytes(out)

        tree = (HKDFExpand(SHA256(), 32, b"galenic tree").derive(r) for r in (root, new_root))
        rewrap(0, 0, places, next(tree), next(tree))
        return done, count

    def _root_or_fail(self) -> bytes:
        self._root = None
        return self.root()

    def recover(self) -> None:
        """Completes a replacement of the root key that was interrupted between tree and root."""
        with self._mutex, locked(self.lock):
            pending = read_nodes(self.db, [(-1, 0)]).get((-1, 0))
            if not pending:
                return
            root = self._root_or_fail()
            try:
                new_root = _unwrap(root, pending, -1, 0)
            except KeyErasedError:  # the root key was already replaced; only the pending entry is left
                new_root = root
            self.keeper.put(new_root)
            self._root = new_root
            self._node_keys.clear()
            self._leaves.clear()
            write_nodes(self.db, {(-1, 0): b""})

    def rotate(self) -> int:
        """Replaces the root key and all node keys; patients' own keys remain. Returns the number of keys that were wrapped
        again."""
        with self._mutex, locked(self.lock):
            self.refresh()
            root, new_root = self._root_or_fail(), os.urandom(32)
            everything = read_all_nodes(self.db)
            nodes, count = _rewrapped(everything, root, new_root)
            self._replace(nodes, root, new_root)
            return count

    def refresh(self) -> None:
        """Clears the cache, because another process may have replaced the root key."""
        self._node_keys.clear()
        self._leaves.clear()
        self._root = None


def _rewrapped(everything: Nodes, root: bytes, new_root: bytes) -> tuple[Nodes, int]:
    done: Nodes = {}
    count = 0

    def go(level: int, place: int, old: bytes, new: bytes) -> None:
        nonlocal count
        children = everything[level, place]
        out, opening, sealing = bytearray(children), AESGCM(old), AESGCM(new)
        for i in range(FAN):
            part = children[i * WRAPPED : (i + 1) * WRAPPED]
            if part == EMPTY:
                continue
            child = place * FAN + i
            key = _unwrap(opening, part, level + 1, child)
            if level + 1 < DEPTH:
                fresh = os.urandom(32)
                go(level + 1, child, key, fresh)
                key = fresh
            out[i * WRAPPED : (i + 1) * WRAPPED] = _wrap(sealing, key, level + 1, child)
            count += 1
        done[level, place] = bytes(out)

    if (0, 0) in everything:
        tree = [HKDFExpand(SHA256(), 32, b"galenic tree").derive(r) for r in (root, new_root)]
        go(0, 0, *tree)
    return done, count


def opens(nodes: Nodes, root: bytes, place: int) -> bool:
    """True if a copy of the tree still opens a key with this root key. An erasure receipt proves that it does not."""
    key = HKDFExpand(SHA256(), 32, b"galenic tree").derive(root)
    for level in range(DEPTH):
        node = nodes.get((level, place // FAN ** (DEPTH - level)))
        child = place // FAN ** (DEPTH - 1 - level)
        wrapped = node[child % FAN * WRAPPED : (child % FAN + 1) * WRAPPED] if node else b""
        if wrapped in (b"", EMPTY):
            return False
        try:
            key = _unwrap(key, wrapped, level + 1, child)
        except KeyErasedError:
            return False
    return True


def subkey(key: bytes, domain: str) -> bytes:
    """HKDF-Expand (RFC 5869, 2.3) of a uniformly random key for one domain."""
    assert domain in DOMAINS
    return HKDFExpand(SHA256(), 32, b"galenic " + domain.encode()).derive(key)
