"""One run of the whole way, shared by the stories that only read it or work on copies."""

import shutil
from pathlib import Path

import pyarrow.csv as pacsv
import pytest

from galenic import flows, records, release
from galenic.generators import SynthesisRequest
from galenic.installation import open_installation
from made import made_patients


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, Path]:
    """(home, run, release folder) of a private run on made-up patients that two people signed."""
    folder = tmp_path_factory.mktemp("finished")
    pacsv.write_csv(made_patients(8_000, 5).drop_columns(["discharged"]), folder / "patients.csv")
    installation = open_installation(folder / "home")
    request = SynthesisRequest(population="clinic", target="diabetes")
    installation.ledger.declare("clinic", epsilon=2.0, delta=4e-9, actor="test")
    source = records.as_source(folder / "patients.csv")
    # noise is never seeded: about 1 run in 200 is refused (measured); thrice running, 1 in 8 million
    results = (flows.synthesize(installation, source, request) for _ in range(3))
    result = next(r for r in results if r.decision.accepted)
    for name, role in (("ada", "privacy-officer"), ("bea", "clinician")):
        installation.keys.create(name, role)
        release.sign_with_key(installation, result.run, name)
    release.write_release(installation, result.run, folder / "release")
    installation.close()
    return folder / "home", result.run, folder / "release"


@pytest.fixture
def released(finished: tuple[Path, str, Path], tmp_path: Path) -> Path:
    """A copy of the release folder to tamper with."""
    return Path(shutil.copytree(finished[2], tmp_path / "release", symlinks=True))
