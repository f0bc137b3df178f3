"""The audit chain notices every change; keys stay private."""

import json
import stat
from pathlib import Path

import pytest
import sqlalchemy as sa

from galenic import flows
from galenic.errors import DescriptionError, StoreError
from galenic.security import KeyRing


@pytest.fixture
def chained(house: flows.House) -> flows.House:
    for i in range(6):
        house.audit.append("step", f"run-{i}")
    return house


def change(house: flows.House, *statements: str) -> None:
    with house.db.transaction() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))


def test_an_untouched_chain_is_intact(chained: flows.House) -> None:
    assert chained.audit.intact(chained.audit.head())
    assert [e.seq for e in chained.audit.entries()] == list(range(1, 7))


@pytest.mark.parametrize(
    ("statements", "why"),
    [
        pytest.param(("update audit set entry = replace(entry, 'run-2', 'run-9')",), "entry 3 was changed", id="edited"),
        pytest.param(("delete from audit where seq = 3",), "entry 3 is missing", id="deleted"),
        pytest.param(
            (
                "update audit set seq = 99 where seq = 3",
                "update audit set seq = 3 where seq = 4",
                "update audit set seq = 4 where seq = 99",
            ),
            "entry 3 is missing or out of order",
            id="swapped",
        ),
        pytest.param(("update audit set signature = 'AAAA' where seq = 2",), "entry 2 is not signed", id="signature replaced"),
        pytest.param(("update audit set hash = 'ff' where seq = 2",), "entry 2 was changed", id="hash replaced"),
        pytest.param(("delete from audit where seq = 1",), "entry 1 is missing", id="beginning cut"),
    ],
)
def test_any_altered_entry_is_noticed(chained: flows.House, statements: tuple[str, ...], why: str) -> None:
    change(chained, *statements)
    assert why in (chained.audit.broken() or "")
    with pytest.raises(StoreError, match="broken"):
        chained.audit.require_intact()


def test_a_tail_cut_off_is_noticed_by_whoever_kept_the_head(chained: flows.House) -> None:
    head = chained.audit.head()
    change(chained, "delete from audit where seq > 4")
    assert chained.audit.intact()
    assert "cut or rewritten" in (chained.audit.broken(head) or "")


def test_a_chain_rewritten_with_another_key_is_noticed(chained: flows.House, tmp_path: Path) -> None:
    chained.audit.key = KeyRing(tmp_path / "other").gate()
    assert "not signed by this installation" in (chained.audit.broken() or "")


def test_keys_are_for_their_owner_only(house: flows.House) -> None:
    key = house.keys.create("ada", "clinician")
    mode = (house.keys.folder / "ada.json").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600
    assert stat.S_IMODE(house.keys.folder.stat().st_mode) == 0o700
    assert house.keys.get("ada").fingerprint == key.fingerprint


def test_a_passphrase_locks_keys(house: flows.House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GALENIC_PASSPHRASE", "correct horse")
    house.keys.create("ada", "clinician")
    assert "ENCRYPTED" in json.loads((house.keys.folder / "ada.json").read_text())["pem"]
    monkeypatch.setenv("GALENIC_PASSPHRASE", "wrong")
    with pytest.raises(StoreError, match="GALENIC_PASSPHRASE"):
        house.keys.get("ada")


@pytest.mark.parametrize(
    ("name", "role"), [("../x", "clinician"), ("gate", "clinician"), ("ada", "emperor"), ("", "clinician")]
)
def test_a_key_with_a_bad_name_or_role_is_refused(house: flows.House, name: str, role: str) -> None:
    with pytest.raises(DescriptionError):
        house.keys.create(name, role)


def test_a_name_is_taken_once_and_an_unknown_key_is_said_to_be_unknown(house: flows.House) -> None:
    house.keys.create("ada", "clinician")
    with pytest.raises(DescriptionError, match="already"):
        house.keys.create("ada", "privacy-officer")
    with pytest.raises(DescriptionError, match="known: ada"):
        house.keys.get("bob")
