"""A model of custody beside the real one: random sequences of what people do, and what must hold after each step."""

import shutil
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from galenic import custody, flows, records, store
from galenic.errors import AccessDeniedError, BudgetError, InputError, StateError
from galenic.installation import Installation, open_installation
from galenic.privacy import Mechanism
from galenic.privacy.ledger import RHO_UNIT
from galenic.security import Grant, Session

PATIENTS = [f"P{i}" for i in range(6)]
PEOPLE = {
    "inge": "integration-engineer",
    "paul": "privacy-officer",
    "pia": "privacy-officer",
    "rosa": "researcher",
    "ada": "clinician",
    "sven": "security-officer",
}
COLUMNS = ["patient_id", "note"]


def seen_by(installation: Installation, handle: Grant) -> set[str]:
    """Patients that an open decision shows."""
    known = next((d for d in store.list_datasets(installation.db, "home") if d["name"] == "clinic"), None)
    if known is None:  # restored to a time before the first import
        handle.require_active()
        return set()
    return {v for t in store.read(installation.db, handle, known, ["patient_id"]) for v in t["patient_id"].to_pylist()}


class Custody(RuleBasedStateMachine):
    """Who is in, who consented, who is treated by whom, whose role stands, which sessions are open, what is spent."""

    founded: Path | None = None  # a home with people's keys, copied for every sequence
    steps = 0  # rules run in this process

    def __init__(self) -> None:
        super().__init__()
        cls = type(self)
        self.folder = Path(tempfile.mkdtemp())
        if cls.founded is None:
            cls.founded = Path(tempfile.mkdtemp()) / "home"
            installation = open_installation(cls.founded)
            for name, role in PEOPLE.items():
                for key in (name, f"{name}2"):
                    custody.make_key(installation, key, role, person=name)
            installation.ledger.declare("clinic", epsilon=1.0, delta=1e-9, actor="test")
            installation.close()
        shutil.copytree(cls.founded, self.folder / "home")
        self.installation = open_installation(self.folder / "home")
        self.inside: dict[str, int] = {}
        self.erased: set[str] = set()
        self.consented: set[str] = set()
        self.treated: set[str] = set()
        self.rosa = True
        self.rosa_in: Session | None = None  # her session, while it is open
        self.stream: Grant | None = None  # a decision of hers that was left open
        self.counted: dict[str, int] | None = None  # rows per patient when the backup was written
        self.indexed: dict[str, int] | None = None  # rows per patient in the index
        self.is_behind = False  # whether rows were imported after the index was built
        self.spent = Fraction(0)
        self.reserved: list = []
        self.to_review: list[int] = []

    def teardown(self) -> None:
        self.leave_stream()
        self.installation.audit.flush()
        assert self.installation.audit.faults()[0] == []
        opened = {e.seq for e in self.installation.audit.entries() if e.action in ("gate.opened", "gate.break-glass")}
        closed = {e.detail["decision"] for e in self.installation.audit.entries() if e.action == "gate.closed"}
        assert opened == closed
        self.installation.close()
        shutil.rmtree(self.folder)

    def leave_stream(self) -> None:
        if self.stream is not None:
            self.stream.__exit__(None, None, None)
            self.stream = None

    def used(self) -> tuple[int, int]:
        """(rho taken, rho there may be), in the ledger's units."""
        (row,) = store.list_populations(self.installation.db)
        return row["rho_used"], row["rho_limit"]

    def step(self) -> None:
        type(self).steps += 1

    # what people do

    @rule(who=st.sampled_from(PATIENTS), rows=st.integers(1, 3))
    def come(self, who: str, rows: int) -> None:
        self.step()
        frame = pa.table({"patient_id": [who] * rows, "note": [f"note of {who}"] * rows})
        session = self.installation.sign_in("inge")
        done = custody.import_table(
            self.installation, session, records.in_memory(frame), custody.ImportRequest("clinic", patient="patient_id")
        )
        assert (done.erased_patients, done.erased) == ((1, rows) if who in self.erased else (0, 0))
        if who not in self.erased:
            self.inside[who] = self.inside.get(who, 0) + rows
            self.is_behind = True

    @precondition(lambda self: self.inside)
    @rule(who=st.sampled_from(PATIENTS), given=st.booleans())
    def consent(self, who: str, given: bool) -> None:
        self.step()
        record = custody.record_consent if given else custody.withdraw_consent
        if who not in self.inside:
            with pytest.raises(InputError):
                record(self.installation, self.installation.sign_in("inge"), "clinic", [who], "research")
            return
        record(self.installation, self.installation.sign_in("inge"), "clinic", [who], "research")
        (self.consented.add if given else self.consented.discard)(who)

    @precondition(lambda self: self.inside)
    @rule(who=st.sampled_from(PATIENTS), given=st.booleans())
    def treat(self, who: str, given: bool) -> None:
        self.step()
        record = custody.record_care_relation if given else custody.end_care_relation
        if who not in self.inside:
            with pytest.raises(InputError):
                record(self.installation, self.installation.sign_in("inge"), "clinic", who, "ada")
            return
        record(self.installation, self.installation.sign_in("inge"), "clinic", who, "ada")
        (self.treated.add if given else self.treated.discard)(who)

    @rule(given=st.booleans(), elsewhere=st.booleans())
    def role(self, given: bool, elsewhere: bool) -> None:
        self.step()
        installation = open_installation(self.installation.home) if elsewhere else self.installation
        if given:
            custody.grant_role(installation, "rosa", "researcher", person="rosa")
        else:
            custody.withdraw_role(installation, "rosa", "researcher")
        self.rosa = given
        if elsewhere:
            installation.close()
            time.sleep(0.03)  # another process's change is seen within 20 ms

    @precondition(lambda self: self.rosa_in is None)
    @rule()
    def rosa_signs_in(self) -> None:
        self.step()
        if self.rosa:
            self.rosa_in = self.installation.sign_in("rosa")
        else:
            with pytest.raises(AccessDeniedError):
                self.installation.sign_in("rosa")

    @precondition(lambda self: self.rosa_in is not None)
    @rule()
    def rosa_signs_out(self) -> None:
        self.step()
        session, self.rosa_in = self.rosa_in, None
        self.installation.gate.end(session)
        with pytest.raises(AccessDeniedError):
            self.installation.gate.open(session, "read", "dataset/clinic", "research")
        if self.stream is not None:
            with pytest.raises(AccessDeniedError):
                seen_by(self.installation, self.stream)
            self.leave_stream()

    @precondition(lambda self: self.rosa_in is not None and self.stream is None and self.rosa and self.inside)
    @rule()
    def leave_a_stream_open(self) -> None:
        self.step()
        self.stream = self.installation.gate.open(self.rosa_in, "read", "dataset/clinic", "research")
        self.stream.__enter__()

    @precondition(lambda self: self.stream is not None)
    @rule()
    def go_on_with_the_stream(self) -> None:
        self.step()
        if self.rosa:
            assert seen_by(self.installation, self.stream) == self.consented & set(self.inside)
        else:
            with pytest.raises(AccessDeniedError):
                seen_by(self.installation, self.stream)
            self.leave_stream()

    @precondition(lambda self: self.rosa_in is not None and self.rosa and len(self.inside) > 1)
    @rule(size=st.integers(1, 3))
    def page_with_another_purpose(self, size: int) -> None:
        self.step()
        known = store.dataset(self.installation.db, "clinic", "home")
        with self.installation.gate.open(self.rosa_in, "read", "dataset/clinic", "research") as handle:
            _, cursor = store.page(self.installation.db, handle, known, size)
        if cursor:
            with (
                self.installation.gate.open(self.installation.sign_in("paul"), "read", "dataset/clinic", "quality") as handle,
                pytest.raises(AccessDeniedError),
            ):
                store.page(self.installation.db, handle, known, size, cursor)

    @rule(who=st.sampled_from(PATIENTS), stepped=st.booleans())
    def erase(self, who: str, stepped: bool) -> None:
        self.step()
        session = self.installation.sign_in("paul", "paul2" if stepped else None)
        if who not in self.inside or not stepped:
            with pytest.raises((InputError, AccessDeniedError)):
                flows.erase(self.installation, session, who)
            return
        done = flows.erase(self.installation, session, who)
        assert done.facts["key"]["destroyed"]
        assert done.facts["rows"] == self.inside.pop(who)
        assert not any(b["opens_with_todays_root"] for b in done.facts["backups"])
        self.consented.discard(who)
        self.treated.discard(who)
        self.erased.add(who)
        if self.indexed is not None:
            self.indexed.pop(who, None)

    @precondition(lambda self: self.inside)
    @rule()
    def index(self) -> None:
        self.step()
        custody.build_index(self.installation, self.installation.sign_in("paul"), "clinic", "quality", codes=("note",))
        self.indexed, self.is_behind = dict(self.inside), False

    @precondition(lambda self: self.inside)
    @rule(who=st.sampled_from(PATIENTS))
    def search(self, who: str) -> None:
        self.step()
        session = self.installation.sign_in("ada")
        where = [("note", "=", f"note of {who}")]
        if self.indexed is None or self.is_behind:  # it would miss rows
            with pytest.raises(StateError):
                custody.search_rows(self.installation, session, "clinic", "treatment", where)
            return
        found = custody.search_rows(self.installation, session, "clinic", "treatment", where)
        assert {r["patient_id"] for r in found} == {who} & self.treated & set(self.indexed)

    @precondition(lambda self: self.inside)
    @rule(why=st.sampled_from(["", "short", "unconscious in the ambulance, allergies unknown"]))
    def break_the_glass(self, why: str) -> None:
        self.step()
        session = self.installation.sign_in("ada")
        if len(why) < 15:
            with pytest.raises(AccessDeniedError):
                self.installation.gate.open(session, "read", "dataset/clinic", "emergency", why=why)
            return
        with self.installation.gate.open(session, "read", "dataset/clinic", "emergency", why=why) as handle:
            assert seen_by(self.installation, handle) == set(self.inside)
        self.to_review.append(handle.decision)

    @precondition(lambda self: self.to_review)
    @rule(who=st.sampled_from(["pia", "sven", "ada2"]))
    def review(self, who: str) -> None:
        self.step()
        session = self.installation.sign_in(who)
        if who == "pia":
            self.installation.gate.review(session, self.to_review.pop(), "justified")
        else:
            with pytest.raises(AccessDeniedError):
                self.installation.gate.review(session, self.to_review[-1], "justified")

    @rule()
    def rotate(self) -> None:
        self.step()
        custody.rotate_keys(self.installation, self.installation.sign_in("sven", "sven2"))

    @precondition(lambda self: self.counted is None)
    @rule()
    def backup(self) -> None:
        self.step()
        custody.write_backup(self.installation, self.installation.sign_in("sven", "sven2"), self.folder / "backup")
        self.counted = dict(self.inside)

    @precondition(lambda self: self.counted is not None)
    @rule()
    def restore(self) -> None:
        self.step()
        custody.restore_backup(self.installation, self.folder / "backup", self.installation.sign_in("sven", "sven2"))
        assert self.counted is not None
        self.inside = {w: n for w, n in self.counted.items() if w not in self.erased}
        self.consented &= set(self.inside)
        self.treated &= set(self.inside)
        self.indexed = None

    @rule()
    def begin_again(self) -> None:
        self.step()
        self.leave_stream()
        self.installation.close()
        self.installation = open_installation(self.installation.home)

    @rule(epsilon=st.sampled_from([0.01, 0.05, 0.2, 0.4, 0.6]))
    def reserve(self, epsilon: float) -> None:
        self.step()
        before = self.used()
        try:
            budget = self.installation.ledger.reserve("clinic", epsilon=epsilon, delta=1e-12, purpose="x", actor="test")
        except BudgetError:
            assert self.used() == before
            return
        self.reserved.append(budget)
        self.spent += budget.rho

    @precondition(lambda self: self.reserved)
    @rule(share=st.fractions(0, 2))
    def spend(self, share: Fraction) -> None:
        self.step()
        budget = self.reserved[-1]
        rho = budget.rho * share
        if not 0 < rho <= budget.rho_left:
            with pytest.raises(BudgetError):
                budget.draw(Mechanism("noise", float(rho), 1, 1.0, 1.0), rho)
            return
        budget.draw(Mechanism("noise", float(rho), 1, 1.0, 1.0), rho)

    @precondition(lambda self: self.reserved)
    @rule()
    def settle(self) -> None:
        self.step()
        budget = self.reserved.pop()
        budget.settle()
        self.spent -= budget.rho_left

    # what must hold after every step

    @invariant()
    def the_ledger_counts_what_was_taken(self) -> None:
        used, limit = self.used()
        assert used <= limit
        assert used / RHO_UNIT == pytest.approx(float(self.spent), rel=1e-6, abs=1e-9)

    @invariant()
    def research_sees_who_is_inside_and_consented(self) -> None:
        if self.rosa_in is None or not store.list_datasets(self.installation.db, "home"):
            return
        if self.rosa:
            with self.installation.gate.open(self.rosa_in, "read", "dataset/clinic", "research") as handle:
                assert seen_by(self.installation, handle) == self.consented & set(self.inside)
        else:
            with pytest.raises(AccessDeniedError):
                self.installation.gate.open(self.rosa_in, "read", "dataset/clinic", "research")

    @invariant()
    def lineage_holds_who_is_inside(self) -> None:
        if store.list_datasets(self.installation.db, "home"):
            assert store.count_subjects(self.installation.db, "table/clinic") == len(self.inside)

    @invariant()
    def nothing_is_half_written(self) -> None:
        assert not list(self.installation.home.rglob("*.aside"))
