"""Patients made up for tests, and a house of their own for each test."""

import os
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pytest

from galenic import flows, records
from made import made_patients

DATA = Path(os.environ.get("GALENIC_DATA", Path(__file__).parents[1] / ".." / "shared" / "data"))


@pytest.fixture
def patients() -> pa.Table:
    """6,000 made-up patients, one row each."""
    return made_patients(6_000)


@pytest.fixture
def patients_csv(tmp_path: Path, patients: pa.Table) -> Path:
    """The same as a CSV file."""
    path = tmp_path / "patients.csv"
    pacsv.write_csv(patients, path)
    return path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for state that no other test shares."""
    place = tmp_path / "home"
    monkeypatch.setenv("GALENIC_HOME", str(place))
    monkeypatch.delenv("GALENIC_DATABASE", raising=False)
    monkeypatch.delenv("GALENIC_PASSPHRASE", raising=False)
    return place


@pytest.fixture
def house(home: Path) -> flows.House:
    """The house at that place."""
    return flows.open_house(home)


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real data; tests that need it skip where it is absent."""
    if not (DATA / "tabular").is_dir():
        pytest.skip(f"no data at {DATA}; set GALENIC_DATA")
    return DATA


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with custody founded, a person per role (with a second key each), and 200 patients as data set "clinic"."""
    home = tmp_path_factory.mktemp("founded") / "home"
    house = flows.open_house(home)
    flows.init(house)
    for name, role in PEOPLE.items():
        for key in (name, f"{name}2"):
            flows.make_key(house, key, role, person=name)
    session = house.sign_in("inge")
    source = records.in_memory(made_patients(200, 3, visits=2))
    flows.import_table(house, session, source, "clinic", patient="patient_id")
    house.audit.flush()
    house.db.close()
    return home


@pytest.fixture
def custody(founded: Path, home: Path) -> flows.House:
    """A copy of that home, of this test alone."""
    shutil.copytree(founded, home)
    return flows.open_house(home)


PEOPLE = {
    "ada": "clinician",
    "nora": "nurse",
    "rosa": "researcher",
    "dora": "data-scientist",
    "paul": "privacy-officer",
    "sven": "security-officer",
    "inge": "integration-engineer",
    "vera": "service",
}
