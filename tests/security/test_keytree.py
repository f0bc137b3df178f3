"""Keys of patients: destroyed for good, also in yesterday's copy; the root can be replaced, sealed, escrowed and recovered."""

import base64
import http.server
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from galenic import store
from galenic.custody import write_backup
from galenic.errors import ConfigurationError, KeyErasedError, MissingExtraError, OptionError, StoreError
from galenic.installation import Installation
from galenic.security import Escrow, KeyTree, RootFile, RootInVault, opens, root_keeper
from galenic.security.keytree import CAPACITY, subkey


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[KeyTree]:
    db = store.Database(f"sqlite:///{tmp_path / 'keys.db'}")
    yield KeyTree(db, RootFile(tmp_path / "root.json"), Escrow(tmp_path / "escrow", 30), tmp_path / "tree")
    db.close()


def test_a_forgotten_key_is_gone_here_and_in_yesterdays_copy_and_nobody_elses_is(tree: KeyTree) -> None:
    tree.add([1, 2, 70, 5000])
    kept = {p: tree.key(p) for p in (2, 70, 5000)}
    yesterday, old_root = store.read_all_nodes(tree.db), tree.root()
    assert opens(yesterday, old_root, 1)
    tree.forget([1])
    with pytest.raises(KeyErasedError):
        tree.key(1)
    assert not opens(yesterday, tree.root(), 1)
    assert not opens(store.read_all_nodes(tree.db), tree.root(), 1)
    assert tree.root() != old_root
    assert {p: tree.key(p) for p in kept} == kept


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.sampled_from(("add", "forget", "rotate")), st.integers(0, 300)), max_size=12))
def test_no_order_of_steps_loses_or_revives_a_key(tree: KeyTree, steps: list[tuple[str, int]]) -> None:
    there = {p: tree.key(p) for p in range(301) if p in tree.keys(list(range(301)))}
    for step, place in steps:
        if step == "add":
            tree.add([place])
            there.setdefault(place, tree.key(place))
        elif step == "forget":
            tree.forget([place])
            there.pop(place, None)
        else:
            tree.rotate()
        assert tree.keys(list(range(301))) == there


def test_another_process_that_replaced_the_root_is_noticed(tree: KeyTree, tmp_path: Path) -> None:
    tree.add([1, 2])
    other = KeyTree(tree.db, RootFile(tmp_path / "root.json"), tree.escrow, tree.lock)
    before = tree.key(2)
    other.forget([1])
    time.sleep(0.03)  # what another process does is seen within 20 ms
    assert tree.key(2) == before
    with pytest.raises(KeyErasedError):
        tree.key(1)


@pytest.mark.parametrize("step", ["escrow", "nodes", "root"])
def test_killed_between_tree_and_root_it_goes_on_where_it_was(tmp_path: Path, step: str) -> None:
    code = f"""
import os, signal, sys
from pathlib import Path
from typing import ClassVar
from galenic import store
from galenic.security import Escrow, KeyTree, RootFile
from galenic.security import keytree
here = Path({str(tmp_path)!r})
db = store.Database(f"sqlite:///{{here / 'keys.db'}}")
tree = KeyTree(db, RootFile(here / "root.json"), Escrow(here / "escrow", 30), here / "tree")
tree.add([1, 2, 3]); print(tree.key(2).hex(), flush=True)
die = lambda *a: os.kill(os.getpid(), signal.SIGKILL)
if {step!r} == "escrow": tree.escrow.keep = die
if {step!r} == "nodes":
    whole = keytree.write_nodes
    keytree.write_nodes = lambda *a, **k: (whole(*a, **k), die())
if {step!r} == "root": tree.keeper.put = die
tree.forget([1])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL
    db = store.Database(f"sqlite:///{tmp_path / 'keys.db'}")
    tree = KeyTree(db, RootFile(tmp_path / "root.json"), Escrow(tmp_path / "escrow", 30), tmp_path / "tree")
    tree.recover()
    assert tree.key(2).hex() == done.stdout.strip()
    tree.forget([1])
    with pytest.raises(KeyErasedError):
        tree.key(1)
    db.close()


def test_subkeys_of_domains_differ_and_places_are_bounded(tree: KeyTree) -> None:
    tree.add([1])
    assert len({subkey(tree.key(1), d) for d in ("record", "token", "index")}) == 3
    with pytest.raises(StoreError, match="out of range"):
        tree.add([CAPACITY])
    with pytest.raises(KeyErasedError):
        tree.key(4242)


def test_without_the_root_nothing_opens(tree: KeyTree, tmp_path: Path) -> None:
    tree.add([1])
    (tmp_path / "root.json").unlink()
    tree.refresh()
    with pytest.raises(StoreError, match="no root"):
        tree.key(1)


def test_a_replaced_root_is_overwritten_where_it_stood(tmp_path: Path) -> None:
    keeper, roots = RootFile(tmp_path / "root"), [os.urandom(32) for _ in range(5)]
    keeper.put(roots[0])
    before = (tmp_path / "root").stat().st_ino
    for old, new in pairwise(roots):
        keeper.put(new)
        assert keeper.get() == new
        assert base64.b64encode(old) not in (tmp_path / "root").read_bytes()
    assert (tmp_path / "root").stat().st_ino == before
    assert stat.S_IMODE((tmp_path / "root").stat().st_mode) == 0o600


@pytest.mark.parametrize("written", [1, 33, 100])
def test_a_root_that_was_not_written_whole_leaves_the_one_before(tmp_path: Path, written: int) -> None:
    keeper, root = RootFile(tmp_path / "root"), os.urandom(32)
    keeper.put(os.urandom(32))
    keeper.put(root)
    stands, other = (tmp_path / "root").read_bytes(), RootFile(tmp_path / "other")
    for _ in range(3):
        other.put(os.urandom(32))
    torn = next(b for b in ((tmp_path / "other").read_bytes()[:512], (tmp_path / "other").read_bytes()[512:]) if any(b))
    slot = 0 if not any(stands[:512]) else 512
    (tmp_path / "root").write_bytes(stands[:slot] + torn[:written] + stands[slot + written :])
    assert keeper.get() == root
    keeper.put(new := os.urandom(32))
    assert keeper.get() == new


def test_a_root_that_can_not_be_read_is_not_taken_for_none(tmp_path: Path) -> None:
    keeper = RootFile(tmp_path / "root")
    keeper.put(os.urandom(32))
    data = bytearray((tmp_path / "root").read_bytes())
    data[next(i for i, b in enumerate(data) if b)] ^= 1
    (tmp_path / "root").write_bytes(bytes(data))
    with pytest.raises(StoreError, match="Restore it from the recovery copy"):
        keeper.get()


def test_an_escrow_holds_any_number_of_roots(tmp_path: Path) -> None:
    escrow = Escrow(tmp_path / "escrow", 30)
    for i in range(70):
        escrow.keep(i.to_bytes(32, "big"))
    assert len(escrow.copies()) == 70
    assert escrow.recover(escrow.private.read_bytes()) == (69).to_bytes(32, "big")
    escrow.days = 0
    assert escrow.sweep() == 69
    assert len(escrow.copies()) == 1


def test_a_passphrase_seals_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keeper, root = RootFile(tmp_path / "root.json"), os.urandom(32)
    monkeypatch.setenv("GALENIC_PASSPHRASE", "correct horse")
    keeper.put(root)
    assert base64.b64encode(root) not in (tmp_path / "root.json").read_bytes()
    assert keeper.get() == root
    monkeypatch.setenv("GALENIC_PASSPHRASE", "wrong")
    with pytest.raises(StoreError, match="GALENIC_PASSPHRASE"):
        keeper.get()
    (tmp_path / "root.json").write_text("{")
    with pytest.raises(StoreError, match="cannot be read"):
        keeper.get()


def test_escrow_brings_the_root_back_and_says_when_older_ones_die(tree: KeyTree, tmp_path: Path) -> None:
    tree.add([1, 2])
    before = tree.key(2)
    assert tree.escrow.last_older_root_dies() is None
    tree.forget([1])
    assert tree.escrow.last_older_root_dies() > "2026"  # type: ignore[operator]
    (tmp_path / "root.json").unlink()
    tree.keeper.put(tree.escrow.recover((tmp_path / "escrow" / "escrow-private.pem").read_bytes()))
    tree.refresh()
    assert tree.key(2) == before
    other = Escrow(tmp_path / "other", 30)
    other.initialize()
    with pytest.raises(OptionError, match="does not open"):
        tree.escrow.recover(other.private.read_bytes())


def test_escrowed_roots_die_on_their_day(tree: KeyTree, tmp_path: Path) -> None:
    tree.add([1, 2])
    tree.escrow.days = 0
    tree.forget([1])
    tree.escrow.sweep()
    assert len(tree.escrow.copies()) == 1
    assert tree.escrow.last_older_root_dies() is None


class Vault(http.server.BaseHTTPRequestHandler):
    """The key-value engine, version 2, as its documentation describes it: data, versions, destroy."""

    versions: ClassVar[dict[int, str | None]] = {}

    def _body(self) -> dict:
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, code: int, data: dict | None = None) -> None:
        self.send_response(code)
        self.end_headers()
        if data is not None:
            self.wfile.write(json.dumps(data).encode())

    def do_GET(self) -> None:
        if self.headers["X-Vault-Token"] != "right":
            return self._answer(403)
        if not self.versions or self.versions[max(self.versions)] is None:
            return self._answer(404)
        return self._answer(200, {"data": {"data": {"root": self.versions[max(self.versions)]}}})

    def do_POST(self) -> None:
        body = self._body()
        if "/destroy/" in self.path:
            self.versions.update(dict.fromkeys(body["versions"]))
            return self._answer(204)
        number = max(self.versions, default=0) + 1
        self.versions[number] = body["data"]["root"]
        return self._answer(200, {"data": {"version": number}})

    def log_message(self, *words: object) -> None:
        pass


def test_a_root_in_vault_is_replaced_and_its_older_versions_destroyed(monkeypatch: pytest.MonkeyPatch) -> None:
    Vault.versions = {}
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Vault)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        keeper = root_keeper(f"vault:http://127.0.0.1:{server.server_port}/v1/secret/galenic-root")
        monkeypatch.setenv("VAULT_TOKEN", "right")
        assert keeper.get() is None
        roots = [os.urandom(32) for _ in range(3)]
        for root in roots:
            keeper.put(root)
            assert keeper.get() == root
        assert [v is None for v in Vault.versions.values()] == [True, True, False]
        monkeypatch.setenv("VAULT_TOKEN", "wrong")
        with pytest.raises(StoreError, match="403"):
            keeper.get()
    finally:
        server.shutdown()
        server.server_close()
    with pytest.raises(StoreError, match="cannot be reached"):
        keeper.get()
    with pytest.raises(ConfigurationError, match="https"):
        RootInVault("http://vault.example/v1/secret/x")


def test_a_root_in_a_pkcs11_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = next((p for p in Path("/usr/lib").rglob("libsofthsm2.so")), None)
    if module is None or shutil.which("softhsm2-util") is None:
        pytest.skip("SoftHSM is not installed (Debian: softhsm2)")
    (tmp_path / "tokens").mkdir()
    (tmp_path / "conf").write_text(f"directories.tokendir = {tmp_path / 'tokens'}\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(tmp_path / "conf"))
    words = ["softhsm2-util", "--init-token", "--free", "--label", "galenic", "--pin", "1234", "--so-pin", "5678"]
    subprocess.run(words, check=True, capture_output=True)
    monkeypatch.setenv("PKCS11_PIN", "1234")
    keeper = root_keeper(f"pkcs11:{module}?token=galenic")
    try:
        assert keeper.get() is None
    except MissingExtraError:
        pytest.skip("python-pkcs11 is not installed (extra pkcs11)")
    for root in (os.urandom(32), os.urandom(32)):
        keeper.put(root)
        assert keeper.get() == root
    monkeypatch.setenv("PKCS11_PIN", "0000")
    with pytest.raises(StoreError, match="cannot be opened"):
        keeper.get()


def test_the_root_is_neither_in_the_database_nor_in_a_backup(custody: Installation, tmp_path: Path) -> None:
    write_backup(custody, custody.sign_in("sven", "sven2"), tmp_path / "backup")
    custody.db.shrink()
    for path in [custody.home / "galenic.db", *(tmp_path / "backup").rglob("*")]:
        assert not path.is_file() or custody.tree.root() not in path.read_bytes()
