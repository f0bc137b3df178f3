"""`galenic audit verify` finds facts and budgets that were changed or deleted in the database, past Galenic."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from galenic.cli import app
from galenic.custody import changed_outside, declare_population, grant_role, make_key
from galenic.errors import BudgetError, StateError
from galenic.installation import Installation, open_installation
from galenic.security import Fact
from systems_made import add_client


def sql(installation: Installation, *statements: str) -> None:
    """Statements of a database insider."""
    with closing(sqlite3.connect(installation.home / "galenic.db")) as c, c:
        for statement in statements:
            c.execute(statement)


@pytest.fixture
def house(installation: Installation) -> Installation:
    """An installation with facts of many kinds, nothing of which was changed outside."""
    installation.people.set_up("sven", "sven@example.org", "Sven", "orbit-walnut-thirteen-lanterns")
    make_key(installation, "ada", "clinician")
    add_client(installation, "ehr")
    installation.facts.put(Fact("review", "glass-7", "due", "ada", purpose="emergency", until="2030-01-01T00:00:00+00:00"))
    installation.facts.put(Fact("review", "glass-7", "justified", "ada", purpose="emergency"))
    installation.facts.put(Fact("care", "ada/1", "given", "ada", 1, until="2030-01-01T00:00:00+00:00"))
    session = installation.gate.begin("ehr", how="test", seconds=60)
    installation.gate.end(session)
    declare_population(installation, "clinic", epsilon=1.0, delta=1e-9)
    assert changed_outside(installation) == []
    return installation


@pytest.mark.parametrize("kind", ["person", "grant", "credential", "review", "vendor"])
def test_a_deleted_fact_is_named(house: Installation, kind: str) -> None:
    sql(house, f"DELETE FROM facts WHERE kind = '{kind}'")
    found = changed_outside(house)
    assert found
    assert all(f.startswith(kind) and "is missing" in f for f in found)


def test_an_earlier_fact_that_was_put_back_is_named(house: Installation) -> None:
    with closing(sqlite3.connect(house.home / "galenic.db")) as c:
        before = c.execute("SELECT state, until, mac FROM facts WHERE kind = 'care'").fetchone()
    house.facts.put(Fact("care", "ada/1", "ended", "ada", 1, until="2030-01-01T00:00:00+00:00"))
    with closing(sqlite3.connect(house.home / "galenic.db")) as c, c:
        c.execute("UPDATE facts SET state = ?, until = ?, mac = ? WHERE kind = 'care'", before)
    (found,) = changed_outside(house)
    assert "care 'ada/1' is 'given'" in found
    assert "'ended'" in found


def test_a_fact_that_was_written_past_galenic_is_named(house: Installation) -> None:
    sql(house, "UPDATE facts SET label = 'security-officer' WHERE key = 'ada/clinician'")
    (found,) = changed_outside(house)
    assert "outside Galenic" in found


def test_a_change_that_was_lost_is_no_difference(house: Installation) -> None:
    before = house.facts.one("vendor", "ehr")
    with pytest.raises(StateError):
        house.facts.swap(None, Fact("vendor", "ehr", "refused", "ehr"))
    assert house.facts.one("vendor", "ehr") == before
    assert changed_outside(house) == []


def test_roles_given_again_and_many_facts_at_once_are_no_difference(house: Installation) -> None:
    grant_role(house, "ada", "clinician")
    house.facts.put_many([Fact("care", f"ada/{i}", "ended", "ada", i) for i in range(200)])
    assert changed_outside(house) == []


def test_the_command_reports_it_and_ends_with_1(house: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GALENIC_HOME", str(house.home))
    house.audit.flush()
    assert CliRunner().invoke(app, ["audit", "verify"]).exit_code == 0
    sql(house, "DELETE FROM facts WHERE kind = 'person'")
    done = CliRunner().invoke(app, ["audit", "verify", "--json"])
    assert done.exit_code == 1
    assert "person 'sven' is missing" in json.loads(done.stdout)["changed"][0]


# budgets


@pytest.mark.parametrize(
    "change",
    [
        pytest.param("UPDATE populations SET epsilon = 100", id="the epsilon that is shown"),
        pytest.param("UPDATE populations SET rho_limit = rho_limit * 4", id="the limit"),
        pytest.param("UPDATE populations SET delta_limit = delta_limit * 4", id="the limit of thresholds"),
        pytest.param("UPDATE populations SET rho_used = 0", id="what is used"),
        pytest.param("DELETE FROM charges", id="charges"),
        pytest.param("UPDATE charges SET rho_spent = 0, rho_reserved = 0", id="what charges cost"),
    ],
)
def test_a_changed_budget_is_refused_and_named(house: Installation, change: str) -> None:
    budget = house.ledger.reserve("clinic", epsilon=0.5, delta=1e-10, purpose="synthesize run-1", actor="ada")
    house.audit.append("budget.reserved", "run-1", population="clinic", epsilon=0.5, delta=1e-10)
    assert budget.rho > 0
    assert changed_outside(house) == []
    sql(house, "PRAGMA ignore_check_constraints = ON", change)
    with pytest.raises(BudgetError, match="changed in the database outside Galenic"):
        house.ledger.reserve("clinic", epsilon=0.1, delta=1e-10, purpose="x", actor="ada")
    with pytest.raises(BudgetError):
        house.ledger.statement("clinic")
    assert "'clinic'" in changed_outside(house)[0]


def test_charges_and_use_that_were_removed_together_are_noticed_by_the_audit_log(house: Installation) -> None:
    house.ledger.reserve("clinic", epsilon=0.5, delta=1e-10, purpose="synthesize run-1", actor="ada")
    house.audit.append("budget.reserved", "run-1", population="clinic", epsilon=0.5, delta=1e-10)
    sql(house, "DELETE FROM charges", "UPDATE populations SET rho_used = 0, delta_used = 0")
    with pytest.raises(BudgetError, match="charges are missing"):
        house.ledger.reserve("clinic", epsilon=0.9, delta=1e-10, purpose="x", actor="ada")


def test_a_population_that_was_never_declared_pays_nothing(house: Installation) -> None:
    sql(
        house,
        "INSERT INTO populations SELECT 'mine', rho_limit, delta_limit, 0, 0, epsilon, delta, 0, 'x', 'y' FROM populations",
    )
    with pytest.raises(BudgetError, match="not the declared one"):
        house.ledger.reserve("mine", epsilon=0.1, delta=1e-10, purpose="x", actor="ada")


def test_the_default_population_of_an_earlier_version_pays_on(house: Installation) -> None:
    from galenic.privacy import DEFAULT_LIMIT, DEFAULT_LIMIT_DELTA, Ledger

    Ledger(house.db).declare("default", epsilon=DEFAULT_LIMIT, delta=DEFAULT_LIMIT_DELTA, actor="x")
    again = open_installation(house.home)
    assert again.ledger.statement("default").epsilon_limit == DEFAULT_LIMIT
    again.close()


def test_declaring_again_does_not_record_a_limit_that_was_changed(house: Installation) -> None:
    sql(house, "UPDATE populations SET epsilon = 100, rho_limit = 400000000000000")
    with pytest.raises(BudgetError, match="not the declared one"):
        declare_population(house, "clinic", epsilon=100, delta=1e-9)
    assert [e.detail["epsilon"] for e in house.audit.entries() if e.action == "budget.declared"] == [1.0]


def test_an_empty_installation_has_no_difference(tmp_path: Path) -> None:
    assert changed_outside(open_installation(tmp_path / "home")) == []
