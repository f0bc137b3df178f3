"""A filled database of the earlier version (migration 0004) is migrated on SQLite and on PostgreSQL: its people sign in, its rows are
read, and duplicates that the earlier version allowed stop nothing."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from pyotp import parse_uri

from galenic import custody, jobs, records
from galenic.custody import ImportRequest
from galenic.errors import StateError
from galenic.installation import Installation, open_installation
from galenic.security import Fact, token_name
from galenic.store.upgrade import MIGRATIONS
from made import made_patients
from server_made import next_code

PASSWORD, DUPLICATES = "a long sentence of one person", 2
BACK = (  # what 0005 made
    "DROP TABLE sign_offs",
    "DROP TABLE run_outcomes",
    "DROP INDEX facts_by_unique_name",
    "ALTER TABLE facts DROP COLUMN unique_name",
    "UPDATE alembic_version SET version_num = '0004'",
)


@dataclass
class Earlier:
    """What an installation of the earlier version holds. counts: rows of each table; session: secret of one that stands."""

    totp: str
    session: str
    job: str
    used: list[str]
    counts: dict[str, int] = field(default_factory=dict)


def columns(connection: sa.Connection) -> dict[str, set[str]]:
    found = sa.inspect(connection)
    return {t: {str(c["name"]) for c in found.get_columns(t)} for t in found.get_table_names() if t in store_tables(connection)}


def store_tables(connection: sa.Connection) -> set[str]:
    """Tables of ours, without those of the job queue."""
    return {
        t for t in sa.inspect(connection).get_table_names() if "dbos" not in t and not t.startswith(("workflow", "operation"))
    }


def row_counts(connection: sa.Connection) -> dict[str, int]:
    return {
        t: int(connection.execute(sa.text(f"SELECT count(*) FROM {t}")).scalar_one())
        for t in sorted(columns(connection))
        if t not in ("alembic_version", "sign_offs", "run_outcomes")
    }


def fill(installation: Installation, folder: Path) -> Earlier:
    """Data sets, documents, people, systems, sessions and a job, each written as Galenic writes it."""
    custody.initialize(installation)
    for name, role in (("inge", "integration-engineer"), ("paul", "privacy-officer"), ("ada", "clinician")):
        custody.make_key(installation, name, role, person=name)
        custody.make_key(installation, f"{name}2", role, person=name)
    inge = installation.sign_in("inge")
    custody.import_table(
        installation, inge, records.in_memory(made_patients(50, 3)), ImportRequest("clinic", patient="patient_id")
    )
    place = folder / "in.ndjson"
    place.write_text(
        "".join(json.dumps({"resourceType": "Patient", "id": f"f{n}", "gender": "female"}) + "\n" for n in range(3))
    )
    custody.import_fhir(installation, inge, [place], ImportRequest("hospital"))
    custody.record_consent(installation, inge, "clinic", ["P000001"], "research")
    people = installation.people
    people.set_up("sofia", "sofia@clinic.example", "Sofia", PASSWORD)
    people.grant("sofia", "sofia@clinic.example", "privacy-officer", by="sofia", approved="otto")
    used: list[str] = []
    totp = str(parse_uri(people.credentials.begin_totp("sofia")).secret)
    people.credentials.confirm_totp("sofia", next_code(totp, used))
    session = people.begin("sofia", "password and time code", "x")
    found = installation.gate.session(token_name(session))
    assert found is not None
    with jobs.running_jobs(installation):
        pass  # makes the queue; jobs wait in it for a worker
    return Earlier(totp, session, jobs.submit_quality(installation, found[0], "clinic"), used)


def take_back(installation: Installation) -> dict[str, int]:
    """Makes the tables those of the earlier version, with two accounts of one person and two releases of one run."""
    twins = [Fact("person", f"twin{n}", "active", f"twin{n}", label="twin@clinic.example", body=(("enrolls", "yes"), ("shown", "Twin")))
             for n in range(DUPLICATES)]  # fmt: skip
    rows = [installation.facts._row(twin) for twin in twins]
    with installation.db.engine.begin() as c:
        for statement in BACK:
            c.execute(sa.text(statement))
        facts = sa.Table("facts", sa.MetaData(), autoload_with=c)
        for row in rows:
            c.execute(facts.insert().values(**{k: v for k, v in row.items() if k != "unique_name"}))
        releases = sa.Table("releases", sa.MetaData(), autoload_with=c)
        for n in range(DUPLICATES):
            c.execute(releases.insert().values(
                id=f"r{n}", state="live", population="clinic", policy="internal", run="run-1", released_at=f"2026-01-0{n + 1}"))  # fmt: skip
    with installation.db.engine.begin() as c:
        installation.db._enter(c, "home")
        return row_counts(c)


@pytest.fixture(params=["sqlite", "postgresql"])
def migrated(
    request: pytest.FixtureRequest, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Installation, Earlier]]:
    """An installation that was filled, taken back to the earlier version's tables, and opened again."""
    if request.param == "postgresql":
        monkeypatch.setenv("GALENIC_DATABASE", request.getfixturevalue("postgresql"))
    before = open_installation(home)
    earlier = fill(before, tmp_path)
    for n in range(DUPLICATES):
        before.people.credentials.set_password(f"twin{n}", PASSWORD, ("twin", "Twin"))
    earlier.counts = take_back(before)
    before.close()
    after = open_installation(home)
    yield after, earlier
    after.close()


def test_the_tables_that_the_tests_take_back_are_those_of_the_earlier_version(home: Path, tmp_path: Path) -> None:
    installation = open_installation(home)
    take_back(installation)
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'earlier.db'}")
    with engine.begin() as earlier, installation.db.engine.connect() as ours:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = earlier
        command.upgrade(config, "0004")
        assert columns(ours) == columns(earlier)
    engine.dispose()
    installation.close()


def test_no_row_is_lost_all_are_read_and_people_sign_in(migrated: tuple[Installation, Earlier]) -> None:
    installation, earlier = migrated
    people = installation.people
    with installation.db.reading("home") as c:
        assert row_counts(c) == earlier.counts | {
            t: earlier.counts[t] + 1 for t in ("audit", "audit_heads")
        }  # the upgrade itself
    for table in ("facts", "originals", "documents", "releases", "datasets"):
        assert earlier.counts[table] > 0
    _rows_of_another_tenant_stay_unseen(installation, earlier)
    with installation.db.reading() as c:
        assert c.execute(sa.text("SELECT run, outcome, at FROM run_outcomes")).all() == [("run-1", "released", "2026-01-01")]
    assert installation.gate.session(token_name(earlier.session)) is not None
    half = people.try_password("sofia", PASSWORD, "10.0.0.1", "")
    assert people.try_code(half, next_code(earlier.totp, earlier.used), "10.0.0.1", "", "x")
    assert set(people.roles("sofia")) == {"privacy-officer", "security-officer"}
    assert custody.own_record(installation, installation.sign_in("paul"), "P000001")["rows"]["clinic"]
    assert custody.own_record(installation, installation.sign_in("paul"), "hospital|f0")["rows"]["hospital"]
    assert len([f for f in installation.facts.of("consent") if f.state == "given"]) == 1
    with jobs.job_queue(installation) as queue:
        assert [j.id for j in queue.all()] == [earlier.job]
    frame = records.in_memory(made_patients(5, 9))
    custody.import_table(installation, installation.sign_in("inge"), frame, ImportRequest("more", patient="patient_id"))
    with installation.db.reading("home") as c:
        assert row_counts(c)["originals"] == earlier.counts["originals"] + 5
    assert installation.audit.faults()[0] == []


def _rows_of_another_tenant_stay_unseen(installation: Installation, earlier: Earlier) -> None:
    """By PostgreSQL's row-level security; SQLite has none."""
    for tenant in () if installation.db.is_sqlite else ("home", "elsewhere"):
        with installation.db.reading(tenant) as c:
            for table in ("originals", "documents", "document_words", "vault"):
                counted = c.execute(sa.text(f"SELECT count(*) FROM {table}")).scalar_one()
                assert counted == (earlier.counts[table] if tenant == "home" else 0)


def test_two_accounts_of_one_person_from_before_both_sign_in_and_no_third_is_made(
    migrated: tuple[Installation, Earlier],
) -> None:
    people = migrated[0].people
    for n in range(DUPLICATES):
        assert people.begin(f"twin{n}", "password and recovery code", "x")  # writes the account: its enrollment ends
        assert people.get(f"twin{n}") is not None
    with pytest.raises(StateError, match="already has an account"):
        people.new(migrated[0].facts, "third", "Twin@clinic.example", "Third", "active", {})
    with pytest.raises(StateError, match="another person has this id"):
        people.write("third", "twin@clinic.example", "Third", "active")
