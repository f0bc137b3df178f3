"""Random sequences of what people do to custody; no order of steps breaks what custody promises."""

import contextlib
import shutil
import tempfile
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from galenic import flows, records, store
from galenic.errors import AccessDenied, BudgetError, DescriptionError

PATIENTS = [f"P{i}" for i in range(6)]


class Custody(RuleBasedStateMachine):
    """The model beside the house: who is in, who consented, whose role stands, what is spent."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.house = flows.open_house(self.folder / "home")
        for name, role in (
            ("inge", "integration-engineer"),
            ("paul", "privacy-officer"),
            ("rosa", "researcher"),
            ("sven", "security-officer"),
        ):
            for key in (name, f"{name}2"):
                flows.make_key(self.house, key, role, person=name)
        self.house.ledger.declare("clinic", epsilon=1.0, delta=1e-9, actor="test")
        self.inside: dict[str, int] = {}
        self.erased: set[str] = set()
        self.consented: set[str] = set()
        self.rosa = True
        self.backed_up: set[str] | None = None

    def teardown(self) -> None:
        self.house.audit.flush()
        assert self.house.audit.faults()[0] == []
        self.house.close()
        shutil.rmtree(self.folder)

    @rule(who=st.sampled_from(PATIENTS))
    def come(self, who: str) -> None:
        frame = pa.table({"patient_id": [who], "note": [f"note of {who}"]})
        done = flows.import_table(
            self.house, self.house.sign_in("inge"), records.in_memory(frame), "clinic", patient="patient_id"
        )
        assert done.erased == (who in self.erased)
        if who not in self.erased:
            self.inside[who] = self.inside.get(who, 0) + 1

    @precondition(lambda self: self.inside)
    @rule(who=st.sampled_from(PATIENTS), given=st.booleans())
    def consent(self, who: str, given: bool) -> None:
        if who not in self.inside:
            with pytest.raises(DescriptionError):
                flows.consent(self.house, self.house.sign_in("inge"), "clinic", [who], "research", given=given)
            return
        flows.consent(self.house, self.house.sign_in("inge"), "clinic", [who], "research", given=given)
        (self.consented.add if given else self.consented.discard)(who)

    @rule(given=st.booleans())
    def role(self, given: bool) -> None:
        flows.grant(self.house, "rosa", "researcher", person="rosa") if given else flows.withdraw_role(
            self.house, "rosa", "researcher"
        )
        self.rosa = given

    @rule(who=st.sampled_from(PATIENTS))
    def erase(self, who: str) -> None:
        session = self.house.sign_in("paul", "paul2")
        if who not in self.inside:
            with pytest.raises(DescriptionError):
                flows.erase(self.house, session, who)
            return
        done = flows.erase(self.house, session, who)
        assert done.facts["key"]["destroyed"]
        assert done.facts["rows"] == self.inside.pop(who)
        assert not any(b["opens_with_todays_root"] for b in done.facts["backups"])
        self.consented.discard(who)
        self.erased.add(who)

    @rule()
    def rotate(self) -> None:
        flows.rotate(self.house, self.house.sign_in("sven", "sven2"))

    @precondition(lambda self: self.backed_up is None)
    @rule()
    def backup(self) -> None:
        flows.backup(self.house, self.house.sign_in("sven", "sven2"), self.folder / "backup")
        self.backed_up = set(self.inside)
        self.counted = dict(self.inside)

    @precondition(lambda self: self.backed_up is not None)
    @rule()
    def restore(self) -> None:
        flows.restore(self.house, self.folder / "backup", self.house.sign_in("sven", "sven2"))
        self.inside = {w: n for w, n in self.counted.items() if w not in self.erased}
        self.consented &= set(self.inside)

    @rule(epsilon=st.floats(0.01, 0.6))
    def spend(self, epsilon: float) -> None:
        with contextlib.suppress(BudgetError):
            self.house.ledger.reserve("clinic", epsilon=epsilon, delta=1e-12, purpose="x", actor="test")
        statement = self.house.ledger.statement("clinic")
        assert statement.rho_spent <= statement.rho_limit

    @invariant()
    def research_sees_who_is_inside_and_consented(self) -> None:
        if not store.all_datasets(self.house.db, "home"):
            return
        known = store.dataset(self.house.db, "clinic", "home")
        try:
            with self.house.gate.open(self.house.sign_in("rosa"), "read", "dataset/clinic", "research") as handle:
                seen = {
                    v for t in store.read(self.house.db, handle, known, ["patient_id"]) for v in t["patient_id"].to_pylist()
                }
                assert self.rosa
        except AccessDenied:
            assert not self.rosa
            return
        assert seen == self.consented & set(self.inside)

    @invariant()
    def lineage_holds_who_is_inside(self) -> None:
        assert store.count_subjects(self.house.db, "table/clinic") <= len(self.inside)


def test_no_short_sequence_breaks_a_promise() -> None:
    quick = settings(max_examples=6, stateful_step_count=10, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(Custody, settings=quick)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_no_sequence_breaks_a_promise() -> None:
    long = settings(max_examples=200, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(Custody, settings=long)
