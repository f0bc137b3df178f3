"""Patients made up for tests, and a house of their own for each test."""

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pytest
import sqlalchemy as sa

from galenic import records, store
from galenic.custody import ImportRequest, import_table, initialize, make_key
from galenic.installation import Installation, open_installation
from galenic.privacy import Budget, Ledger
from made import made_patients
from races import slowed

DATA = Path(os.environ.get("GALENIC_DATA", Path(__file__).parents[1] / ".." / "shared" / "data"))


WITHOUT_DATA = "skipped for want of data"  # category of the summary line


def no_data(place: Path, setting: str = "GALENIC_DATA") -> str:
    """Reason of a test that is skipped because its data is absent; the summary counts such tests apart."""
    return f"no data at {place}: set {setting}"


@pytest.hookimpl
def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """Counts tests that were skipped for want of data under a heading of their own."""
    if report.skipped and "no data at" in str(report.longrepr) and not hasattr(report, "wasxfail"):
        return WITHOUT_DATA, "s", "SKIPPED (no data)"
    return None


@pytest.hookimpl
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says how the tests that were skipped for want of data can be run."""
    reasons = {str(r.longrepr[2]).removeprefix("Skipped: ") for r in terminalreporter.stats.get(WITHOUT_DATA, [])}
    if reasons:
        terminalreporter.section(WITHOUT_DATA)
        terminalreporter.line("Name a folder that holds it (see CONTRIBUTING.md, Set-up) and run these tests again:")
        for reason in sorted(reasons):
            terminalreporter.line(f"  {reason}")


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
def budget(tmp_path: Path) -> Budget:
    """epsilon 1, delta 1e-9 of a population that exists for it."""
    ledger = Ledger(store.Database(f"sqlite:///{tmp_path / 'l.db'}"))
    ledger.declare("p", epsilon=1.0, delta=1e-9, actor="t")
    return ledger.reserve("p", epsilon=1.0, delta=1e-9, purpose="t", actor="t")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for state that no other test shares."""
    place = tmp_path / "home"
    monkeypatch.setenv("GALENIC_HOME", str(place))
    monkeypatch.delenv("GALENIC_DATABASE", raising=False)
    monkeypatch.delenv("GALENIC_PASSPHRASE", raising=False)
    return place


@pytest.fixture
def installation(home: Path) -> Installation:
    """The house at that place."""
    return open_installation(home)


@pytest.fixture(params=["sqlite", "postgresql"])
def raced(request: pytest.FixtureRequest, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    """An installation of the test's own on each database."""
    if request.param == "postgresql":
        monkeypatch.setenv("GALENIC_DATABASE", request.getfixturevalue("postgresql"))
    installation = slowed(open_installation(home))
    yield installation
    installation.close()


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real data; tests that need it skip where it is absent."""
    if not (DATA / "tabular").is_dir():
        pytest.skip(no_data(DATA))
    return DATA


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with custody founded, a person per role (with a second key each), and 200 patients as data set "clinic"."""
    home = tmp_path_factory.mktemp("founded") / "home"
    installation = open_installation(home)
    initialize(installation)
    for name, role in PEOPLE.items():
        for key in (name, f"{name}2"):
            make_key(installation, key, role, person=name)
    session = installation.sign_in("inge")
    source = records.in_memory(made_patients(200, 3, visits=2))
    import_table(installation, session, source, ImportRequest("clinic", patient="patient_id"))
    installation.close()
    return home


@pytest.fixture
def custody(founded: Path, home: Path) -> Installation:
    """A copy of that home, of this test alone."""
    shutil.copytree(founded, home)
    return open_installation(home)


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


def _tool(name: str) -> str | None:
    found = shutil.which(name) or next(iter(sorted(map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{name}")))[::-1]), None)
    return found


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    """A PostgreSQL cluster on a Unix socket; its URL without a database."""
    pytest.importorskip("psycopg")
    initdb, control = _tool("initdb"), _tool("pg_ctl")
    if initdb is None or control is None:
        pytest.skip("PostgreSQL's server is not installed")
    folder = Path(tempfile.mkdtemp(prefix="galenic-pg-"))  # pytest's own folders may be closed to the user postgres
    as_owner = []
    if subprocess.run(["id", "-u"], capture_output=True, text=True, check=True).stdout.strip() == "0":
        if (
            subprocess.run(["id", "postgres"], capture_output=True, check=False).returncode != 0
            or shutil.which("runuser") is None
        ):
            pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
        shutil.chown(folder, "postgres")
        as_owner = ["runuser", "-u", "postgres", "--"]
    data = folder / "data"
    subprocess.run([*as_owner, initdb, "-D", data, "-A", "trust", "-U", "galenic"], check=True, capture_output=True, cwd="/")
    options = f"-c fsync=off -c listen_addresses='' -c unix_socket_directories={folder}"
    start = [*as_owner, control, "-D", data, "-w", "-l", folder / "log", "-o", options, "start"]
    subprocess.run(start, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")
    try:
        yield str(folder)
    finally:
        subprocess.run([*as_owner, control, "-D", data, "-m", "immediate", "stop"], check=False, capture_output=True, cwd="/")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgresql(cluster: str) -> Iterator[str]:
    """URL of a fresh database, as a user who is not a superuser, so that row-level security holds."""
    name = f"t{secrets.token_hex(6)}"
    admin = sa.create_engine(f"postgresql+psycopg://galenic@/postgres?host={cluster}", isolation_level="AUTOCOMMIT")
    with admin.connect() as c:
        if not c.execute(sa.text("SELECT 1 FROM pg_roles WHERE rolname = 'app'")).first():
            c.execute(sa.text("CREATE ROLE app LOGIN CREATEDB"))
        c.execute(sa.text(f"CREATE DATABASE {name} OWNER app"))
    yield f"postgresql+psycopg://app@/{name}?host={cluster}"
    with admin.connect() as c:
        c.execute(sa.text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
    admin.dispose()
