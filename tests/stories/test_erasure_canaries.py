"""After every kind of derivation and an erasure beside a running server, no planted value of the patient is left, and no line
of the receipt is false."""

import tempfile
from collections.abc import Iterator

import pytest

from canary_search import TEXTS, found_in, plant_controls
from erasure_scenario import Scenario, false_statements, still_served
from galenic import custody
from galenic.store import HOME_CONTENTS


@pytest.fixture(scope="module")
def erased(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Scenario, list[str], dict[str, set[str]]]]:
    """(scenario, false statements, values left) after the erasure of each planted patient."""
    before = tempfile.tempdir
    scenario = Scenario(tmp_path_factory.mktemp("canaries"))
    try:
        scenario.prepare()
        scenario.import_table()
        scenario.import_fhir()
        scenario.import_omop()
        with scenario.serving() as ehr:
            scenario.derive()
            receipts = scenario.erase()
            left = found_in(scenario.home, scenario.folder / "temporary", scenario.folder / "backups")
            wrong = [f"{p}: {line}" for p, s, r in receipts for line in false_statements(scenario, p, s, r)]
            wrong += [f"{p}: the log was not emptied" for p, _, r in receipts if r.facts["log_emptied"] is not True]
            wrong += still_served(ehr)
        for place, what in found_in(scenario.home, scenario.folder / "temporary").items():
            left.setdefault(place, set()).update(what)
        yield scenario, wrong, left
    finally:
        tempfile.tempdir = before


def test_the_search_finds_what_was_planted_in_every_form(erased: tuple[Scenario, list[str], dict[str, set[str]]]) -> None:
    scenario = erased[0]
    planted = plant_controls(scenario.folder / "controls")
    assert len(found_in(scenario.folder / "controls")) == planted
    outside = found_in(scenario.outside)  # what left custody is real, and holds the values
    for name in ("record.json", "export.csv"):
        assert {"extreme as text"} <= outside[str(scenario.outside / name)]
    assert str(scenario.outside / "page.html") not in outside


def test_no_planted_value_is_left(erased: tuple[Scenario, list[str], dict[str, set[str]]]) -> None:
    assert erased[2] == {}


def test_no_statement_of_a_receipt_is_false(erased: tuple[Scenario, list[str], dict[str, set[str]]]) -> None:
    assert erased[1] == []


def test_an_erased_patient_does_not_come_back_with_a_backup(erased: tuple[Scenario, list[str], dict[str, set[str]]]) -> None:
    scenario = erased[0]
    installation = scenario.open()
    counts = custody.restore_backup(installation, scenario.folder / "backups" / "0", installation.sign_in("sven", "sven2"))
    assert counts["patients"] == counts["readable"] > 0
    for patient in scenario.patients:
        with pytest.raises(Exception, match="no patient with this identifier"):
            custody.own_record(installation, installation.sign_in("paul"), patient)
    installation.close()


def test_every_place_in_the_home_is_known_to_erasure_and_private(
    erased: tuple[Scenario, list[str], dict[str, set[str]]],
) -> None:
    home = erased[0].home
    strange = {p.name for p in home.iterdir() if p.is_dir() or p.stat().st_size} - set(HOME_CONTENTS)  # locks are empty
    assert strange == set(), "say in HOME_CONTENTS what an erasure does there"
    assert [str(p) for p in home.rglob("*") if p.is_file() and p.stat().st_mode & 0o077] == []


def test_the_planted_values_are_of_one_patient() -> None:
    assert len(set(TEXTS.values())) == len(TEXTS)
