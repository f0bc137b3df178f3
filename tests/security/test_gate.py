"""No decision, no key: every way round the gate is shut, and a right that ends ends what it opened."""

import inspect
import json
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from galenic import records, store
from galenic.custody import (
    ImportRequest,
    RoleScope,
    build_index,
    end_care_relation,
    export_records,
    grant_role,
    import_table,
    record_care_relation,
    record_consent,
    search_rows,
    withdraw_consent,
    withdraw_role,
)
from galenic.errors import AccessDeniedError, InputError, OptionError, StoreError
from galenic.installation import Installation
from galenic.security import Fact, Session, shipped_policy
from galenic.store import vault

CLINIC = "dataset/clinic"


def read(installation: Installation, session: Session, purpose: str, **more: str) -> pa.Table:
    known = store.dataset(installation.db, "clinic", "home")
    with installation.gate.open(session, "read", CLINIC, purpose, **more) as handle:
        none = pa.table({"patient_id": pa.array([], pa.string())})
        return pa.concat_tables([none, *store.read(installation.db, handle, known, ["patient_id"])])


def consents(installation: Installation, patients: list[str], purpose: str = "research", *, given: bool = True) -> None:
    record = record_consent if given else withdraw_consent
    record(installation, installation.sign_in("inge"), "clinic", patients, purpose)


def test_those_who_treat_read_their_patients_and_nobody_elses(custody: Installation) -> None:
    ada = custody.sign_in("ada")
    assert read(custody, ada, "treatment").num_rows == 0
    record_care_relation(custody, custody.sign_in("inge"), "clinic", "P000007", "ada")
    assert set(read(custody, ada, "treatment")["patient_id"].to_pylist()) == {"P000007"}
    end_care_relation(custody, custody.sign_in("inge"), "clinic", "P000007", "ada")
    assert read(custody, ada, "treatment").num_rows == 0


def test_research_sees_who_consented_and_a_withdrawal_is_seen_at_once(custody: Installation) -> None:
    rosa = custody.sign_in("rosa")
    consents(custody, ["P000001", "P000002"])
    assert set(read(custody, rosa, "research")["patient_id"].to_pylist()) == {"P000001", "P000002"}
    consents(custody, ["P000001"], given=False)
    assert set(read(custody, rosa, "research")["patient_id"].to_pylist()) == {"P000002"}


@pytest.mark.parametrize(
    ("who", "action", "purpose", "reason"),
    [
        pytest.param("inge", "read", "treatment", "no-permit", id="who imports does not read"),
        pytest.param("rosa", "read", "treatment", "no-permit", id="a purpose that is not theirs"),
        pytest.param("ada", "read", "research", "no-permit", id="a clinician out of curiosity"),
        pytest.param("ada", "read", "", "no-permit", id="no purpose"),
        pytest.param("rosa", "export", "research", "step-up", id="export without a second key"),
        pytest.param("vera", "import", "records", "vendor-not-cleared", id="a vendor without an agreement"),
        pytest.param("ada", "read", "emergency", "glass-without-reason", id="an emergency without a reason"),
        pytest.param("sven", "read", "treatment", "no-permit", id="who holds the keys does not read"),
    ],
)
def test_the_refused_are_told_why_and_it_is_written_down(
    custody: Installation, who: str, action: str, purpose: str, reason: str
) -> None:
    session = custody.sign_in(who)
    with pytest.raises(AccessDeniedError, match=reason), custody.gate.open(session, action, CLINIC, purpose):
        pass
    last = list(custody.audit.entries())[-1]
    assert (last.action, last.outcome, last.detail["reason"]) == ("gate.denied", "denied", reason)


# Each function of store that gives patients' data, with arguments that are right in all but the handle.
DATA = {
    "read": lambda db, h, k: list(store.read(db, h, k)),
    "page": store.page,
    "point": lambda db, h, k: store.point(db, h, k, 1),
    "points": lambda db, h, k: store.points(db, h, k, [1]),
    "rows_of": lambda db, h, k: store.rows_of(db, h, k, 1),
    "current_rows": lambda db, h, k: store.current_rows(db, h, k, 1),
    "compare_index": lambda db, h, k: store.compare_index(
        db, h, k, store.ResourceIndex(Path(tempfile.mkdtemp()) / "index.db", bytes(32))
    ),
    "versions_at": lambda db, h, k: store.versions_at(db, h, k, [0]),
    "deleted_rows": lambda db, h, k: store.deleted_rows(db, h, k, 1),
    "counts": lambda db, h, k: store.counts(db, h, k, ["sex"]),
    "subjects_of": lambda db, h, k: store.subjects_of(db, h, "clinic"),
    "find_subject": lambda db, h, k: store.find_subject(db, h, "P000001"),
    "build_shards": lambda db, h, k: store.build_shards(db, h, k, "shards-1", Path("/nowhere")),
    "read_shards": lambda db, h, k: list(store.read_shards(h, k, "shards-1", {"files": ["x"]}, Path("/nowhere"), None)),
    "build_index": lambda db, h, k: store.build_index(db, h, k, "index-1", Path("/nowhere")),
    "search": lambda db, h, k: store.search(
        db, h, store.SearchIndex(k, "index-1", {"clear": [], "columns": []}, Path("/nowhere")), []
    ),
    "copy_index": lambda db, h, k: store.copy_index(
        db, h, store.SearchIndex(k, "index-1", {"clear": [], "columns": []}, Path("/nowhere")), "index-2"
    ),
    "compare_rows": lambda db, h, k: store.compare_rows(
        db, h, store.SearchIndex(k, "index-1", {"clear": [], "columns": []}, Path("/nowhere"))
    ),
    "Reader": lambda db, h, k: store.Reader(db, h, k).point(1),
    "assign_subjects": lambda db, h, k: store.assign_subjects(db, h, k, ["P1"]),
    "add_dataset": lambda db, h, k: store.add_dataset(db, h, {"name": "clinic"}, pa.schema([]), {}),
    "write": lambda db, h, k: store.write(db, h, k, pa.table({"a": ["x"]}), [1]),
    "forget": lambda db, h, k: store.forget(db, h, 1, ""),
    "by_subject": lambda db, h, k: list(store.by_subject(db, h, k)),
    "read_documents": lambda db, h, k: list(store.read_documents(db, h, k)),
    "write_documents": lambda db, h, k: store.write_documents(
        db, h, k, [store.IncomingDocument(1, "Patient", "1", "0", {}, "{}")]
    ),
    "current_digests": lambda db, h, k: store.current_digests(db, h, k, ["0"]),
    "name_tokens": lambda db, h, k: store.name_tokens(h, k, ["Patient/1"]),
    "newest_rows": lambda db, h, k: store.newest_rows(db, h, k, ["Patient/1"]),
    "newer_version": lambda db, h, k: store.newer_version(db, h, k, "Patient/1", 0),
    "document_subjects": lambda db, h, k: store.document_subjects(db, h, k, ["Patient/1"]),
    "documents_by_identifier": lambda db, h, k: store.documents_by_identifier(db, h, k, ["Patient?identifier=1"]),
    "shared_document": lambda db, h, k: store.shared_document(db, h, k, "Medication/1"),
    "admit_subject": lambda db, h, k: store.admit_subject(db, h, k, "P1"),
    "rows_between": lambda db, h, k: store.rows_between(db, h, k, 0, 10),
    "read_versions": lambda db, h, k: store.read_versions(db, h, k, ["Patient/1"], 1),
    "read_rows": lambda db, h, k: store.read_rows(db, k, {1: h}, [1]),
    "write_resources": lambda db, h, k: store.write_resources(
        db, k, [store.ResourceChange(h, 1, "Patient", "1", lambda _v, _t: b"")], h
    ),
    "put_tokens": lambda db, h, k: vault.put_tokens(db, h, k, [(1, "t", "record", "v")]),
    "reveal_token": lambda db, h, k: vault.reveal_token(db, h, k, "t"),
}


def test_every_function_that_gives_patients_data_takes_a_grant() -> None:
    """A new function with a grant must be listed above; one that opens sealed cells without a grant cannot be written,
    since store has no keys."""
    takes = {
        n
        for n in store.__all__
        if n != "require_grant" and inspect.isroutine(f := getattr(store, n)) and "grant" in inspect.signature(f).parameters
    }
    assert takes | {"Reader", "put_tokens", "reveal_token", "read_rows", "write_resources"} == set(DATA)


@pytest.mark.parametrize("name", DATA)
def test_without_an_open_decision_nothing_is_given(custody: Installation, name: str) -> None:
    known = store.dataset(custody.db, "clinic", "home")
    for forged in (None, object(), 1):
        with pytest.raises(AccessDeniedError):
            DATA[name](custody.db, forged, known)
    with custody.gate.open(custody.sign_in("paul"), "read", CLINIC, "quality") as handle:
        pass
    with pytest.raises(AccessDeniedError, match="closed"):
        DATA[name](custody.db, handle, known)


def test_a_decision_is_for_one_thing(custody: Installation) -> None:
    known = store.dataset(custody.db, "clinic", "home")
    with custody.gate.open(custody.sign_in("paul"), "read", CLINIC, "quality") as handle:
        with pytest.raises(AccessDeniedError, match="not to import"):
            store.write(custody.db, handle, known, pa.table({"a": ["x"]}), [1])
        with pytest.raises(AccessDeniedError, match="not to"):
            list(store.read(custody.db, handle, {**known, "name": "other"}))
        with pytest.raises(AccessDeniedError):
            handle.new_keys([10**6])


def test_each_intent_is_durable_before_work_and_each_outcome_is_written(custody: Installation) -> None:
    with custody.gate.open(custody.sign_in("paul"), "read", CLINIC, "quality") as handle:
        seen = {e.seq: e for e in custody.audit.entries()}
        assert seen[handle.decision].action == "gate.opened"
        list(store.read(custody.db, handle, store.dataset(custody.db, "clinic", "home"), ["sex"]))
    custody.audit.flush()
    closed = list(custody.audit.entries())[-1]
    rows = int(str(store.dataset(custody.db, "clinic", "home")["next_row"]))
    assert closed.detail["decision"] == handle.decision
    assert (closed.detail["rows"], closed.detail["fields"]) == (rows, rows)
    assert closed.detail["bytes"] > rows


def stream(installation: Installation, session: Session, purpose: str, then: object) -> None:
    """Reads in pages of five; after the first, something happens."""
    known = store.dataset(installation.db, "clinic", "home")
    with installation.gate.open(session, "read", CLINIC, purpose) as handle:
        _table, cursor = store.page(installation.db, handle, known, 5)
        then()  # type: ignore[operator]
        for _ in range(3):
            _table, cursor = store.page(installation.db, handle, known, 5, cursor)


def test_a_role_taken_back_cuts_the_stream(custody: Installation) -> None:
    paul = custody.sign_in("paul")
    with pytest.raises(AccessDeniedError, match="is no longer valid"):
        stream(custody, paul, "quality", lambda: withdraw_role(custody, "paul", "privacy-officer"))
    assert [e.action for e in custody.audit.entries()].count("gate.cut") == 1
    with pytest.raises(AccessDeniedError, match="no-role"):
        read(custody, paul, "quality")


def withdrawn_before(
    monkeypatch: pytest.MonkeyPatch, installation: Installation, transaction: str, key: str, role: str
) -> None:
    """The role is withdrawn just before the next write transaction of the store."""
    installation.audit.flush()  # a row of before may still wait to be written
    begin = getattr(installation.db, transaction)

    @contextmanager
    def withdraw_then_begin(tenant: str | None = None) -> Iterator[Any]:
        monkeypatch.undo()
        withdraw_role(installation, key, role)
        with begin(tenant) as connection:
            yield connection

    monkeypatch.setattr(installation.db, transaction, withdraw_then_begin)


def test_a_role_withdrawn_during_an_import_denies_access_and_blocks_no_writer(
    custody: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = store.dataset(custody.db, "clinic", "home")
    document = store.IncomingDocument(store.NO_SUBJECT, "Location", "1", "0", {}, "{}", words=("ward",))
    with custody.gate.open(custody.sign_in("inge"), "import", CLINIC, "records") as grant:
        grant.new_keys([store.NO_SUBJECT])
        withdrawn_before(monkeypatch, custody, "transaction", "inge", "integration-engineer")
        start = time.monotonic()
        with pytest.raises(AccessDeniedError, match="is no longer valid"):
            store.write_documents(custody.db, grant, known, [document])
    assert time.monotonic() - start < 5


def test_a_role_withdrawn_during_a_write_ends_the_next_one_and_blocks_no_writer(
    custody: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = store.dataset(custody.db, "clinic", "home")
    record_care_relation(custody, custody.sign_in("inge"), "clinic", "P000007", "ada")
    with custody.gate.open(custody.sign_in("inge"), "import", CLINIC, "records") as grant:
        subject = store.assign_subjects(custody.db, grant, known, ["P000007"])[0]["P000007"]
    resource = store.record_resource(known, subject)
    with custody.gate.open(custody.sign_in("ada"), "write", resource, "treatment") as grant:
        change = store.ResourceChange(grant, subject, "Patient", "1", lambda _version, _time: b"{}")
        withdrawn_before(monkeypatch, custody, "writing", "ada", "clinician")
        start = time.monotonic()
        written = store.write_resources(custody.db, known, [change], grant)  # it was decided before, and is durable: no error
        assert written[0].version == 1
        with pytest.raises(AccessDeniedError, match="closed"):
            store.write_resources(custody.db, known, [change], grant)
    assert time.monotonic() - start < 5


def test_a_session_that_ends_cuts_the_stream_and_opens_nothing_more(custody: Installation) -> None:
    paul = custody.sign_in("paul")
    with pytest.raises(AccessDeniedError, match="session-ended"):
        stream(custody, paul, "quality", lambda: custody.gate.end(paul))
    with pytest.raises(AccessDeniedError, match="session-ended"):
        read(custody, paul, "quality")


def test_a_forged_session_opens_nothing(custody: Installation) -> None:
    real = custody.sign_in("inge")
    for forged in (
        Session(real.id, "paul", "home", ""),
        Session("paul-1", "paul", "home", ""),
        Session("", "paul", "home", ""),
    ):
        with pytest.raises(AccessDeniedError, match="session-ended"):
            read(custody, forged, "quality")


def test_a_consent_withdrawn_ends_that_patients_rows_within_the_stream(custody: Installation) -> None:
    everybody = [f"P{i:06d}" for i in range(30)]
    consents(custody, everybody)
    known = store.dataset(custody.db, "clinic", "home")
    with custody.gate.open(custody.sign_in("rosa"), "read", CLINIC, "research") as handle:
        first, cursor = store.page(custody.db, handle, known, 5)
        consents(custody, everybody[10:], given=False)
        rest: set[str] = set()
        while cursor:
            table, cursor = store.page(custody.db, handle, known, 5, cursor)
            rest |= set(table["patient_id"].to_pylist())
    assert first.num_rows == 5
    assert rest <= set(everybody[:10])


def test_a_cursor_is_good_for_its_purpose_only(custody: Installation) -> None:
    known = store.dataset(custody.db, "clinic", "home")
    paul = custody.sign_in("paul")
    with custody.gate.open(paul, "read", CLINIC, "quality") as handle:
        _page, cursor = store.page(custody.db, handle, known, 5)
        for wrong in ("7.00", cursor.replace(".", ".0"), "x.y", f"1{cursor}"):
            with pytest.raises(AccessDeniedError, match="page link"):
                store.page(custody.db, handle, known, 5, wrong)
    consents(custody, ["P000001"])
    with (
        custody.gate.open(custody.sign_in("rosa"), "read", CLINIC, "research") as other,
        pytest.raises(AccessDeniedError, match="page link"),
    ):
        store.page(custody.db, other, known, 5, cursor)


def test_withheld_columns_are_neither_shown_nor_searched_nor_counted(custody: Installation) -> None:
    frame = pa.table(
        {"patient_id": [f"P{i:06d}" for i in range(20)], "name": [f"n{i % 2}" for i in range(20)], "sex": ["f", "m"] * 10}
    )
    import_table(custody, custody.sign_in("inge"), records.in_memory(frame), ImportRequest("named", patient="patient_id"))
    record_consent(custody, custody.sign_in("inge"), "named", frame["patient_id"].to_pylist(), "research")
    known = store.dataset(custody.db, "named", "home")
    with custody.gate.open(custody.sign_in("rosa"), "read", "dataset/named", "research") as handle:
        assert pa.concat_tables(store.read(custody.db, handle, known)).column_names == ["patient_id", "sex"]
        with pytest.raises(AccessDeniedError, match="withheld"):
            store.counts(custody.db, handle, known, ["name"])
    build_index(custody, custody.sign_in("paul"), "named", "quality", codes=("sex",))
    with pytest.raises(AccessDeniedError, match="withheld"):
        search_rows(custody, custody.sign_in("rosa"), "named", "research", [("name", "word", "n1")])


def test_small_cells_are_withheld_and_can_not_be_had_by_subtraction(custody: Installation) -> None:
    frame = pa.table({"patient_id": [f"P{i:06d}" for i in range(20)], "site": ["a"] * 9 + ["b"] * 8 + ["c"] * 3})
    import_table(custody, custody.sign_in("inge"), records.in_memory(frame), ImportRequest("sites", patient="patient_id"))
    with custody.gate.open(custody.sign_in("paul"), "read", "dataset/sites", "quality") as handle:
        found = dict(store.counts(custody.db, handle, store.dataset(custody.db, "sites", "home"), ["site"]))
    assert found == {("a",): 9, ("b",): None, ("c",): None}


def test_broken_glass_is_loud_and_must_be_reviewed_by_somebody_else(
    custody: Installation, capsys: pytest.CaptureFixture
) -> None:
    ada = custody.sign_in("ada")
    assert read(custody, ada, "emergency", why="unconscious, allergies unknown").num_rows > 0
    said = json.loads(capsys.readouterr().err.splitlines()[0])
    assert said["message"] == "emergency access"
    decision = said["decision"]
    assert next(e for e in custody.audit.entries() if e.seq == decision).action == "gate.break-glass"
    for who in ("ada", "ada2", "nora"):
        with pytest.raises(AccessDeniedError, match="privacy officer"):
            custody.gate.review(custody.sign_in(who), decision, "justified")
    late = custody.facts.one("review", f"glass-{decision}")
    assert late is not None
    custody.facts.put(Fact("review", late.key, "due", "ada", purpose="emergency", until="2020-01-01"))
    custody.gate.versions.refresh()
    with pytest.raises(AccessDeniedError, match="not been reviewed"):
        read(custody, ada, "emergency", why="again, and nobody has reviewed the last")
    custody.gate.review(custody.sign_in("paul"), decision, "justified")
    assert read(custody, ada, "emergency", why="reviewed, so once more").num_rows > 0


def test_facts_written_past_the_security_room_decide_nothing(custody: Installation) -> None:
    with custody.db.transaction() as c:
        c.exec_driver_sql(
            "INSERT INTO facts (kind, key, who, subject, purpose, label, state, until, body, mac) "
            "VALUES ('grant', 'inge/privacy-officer', 'inge', NULL, '', 'privacy-officer', 'given', '', '{}', zeroblob(32))"
        )
        c.exec_driver_sql("UPDATE versions SET number = number + 1 WHERE name = 'facts'")
    custody.gate.versions.refresh()
    with pytest.raises(StoreError, match="outside Galenic"):
        custody.sign_in("inge")


def test_a_consent_written_past_the_security_room_lets_no_row_through(custody: Installation) -> None:
    consents(custody, ["P000001"])
    with custody.db.transaction() as c:
        c.exec_driver_sql(
            "INSERT INTO facts (kind, key, who, subject, purpose, label, state, until, body, mac) "
            "SELECT kind, '3/research/clinical', who, 3, purpose, label, state, until, body, mac FROM facts WHERE kind = 'consent'"
        )
    assert set(read(custody, custody.sign_in("rosa"), "research")["patient_id"].to_pylist()) == {"P000001"}


def test_another_tenants_records_are_refused(custody: Installation) -> None:
    grant_role(custody, "paul2", "privacy-officer", person="paul", scope=RoleScope(tenant="elsewhere"))
    with pytest.raises((AccessDeniedError, InputError)):
        read(custody, custody.sign_in("paul2"), "quality")


def test_records_stay_in_their_region(custody: Installation) -> None:
    source = records.in_memory(pa.table({"patient_id": ["a", "b"], "x": ["1", "2"]}))
    import_table(custody, custody.sign_in("inge"), source, ImportRequest("eu", patient="patient_id", region="EU"))
    grant_role(custody, "paul2", "privacy-officer", person="paul", scope=RoleScope(region="US"))
    with (
        pytest.raises(AccessDeniedError, match="other-region"),
        custody.gate.open(custody.sign_in("paul2"), "read", "dataset/eu", "quality"),
    ):
        pass


def test_a_vendor_is_let_in_while_its_agreement_is_in_force(custody: Installation) -> None:
    custody.facts.put(Fact("vendor", "vera", "cleared", "vera", until="2999-01-01"))
    custody.gate.versions.refresh()
    with custody.gate.open(custody.sign_in("vera"), "import", CLINIC, "records"):
        pass
    custody.facts.put(Fact("vendor", "vera", "cleared", "vera", until="2020-01-01"))
    custody.gate.versions.refresh()
    with (
        pytest.raises(AccessDeniedError, match="vendor"),
        custody.gate.open(custody.sign_in("vera"), "import", CLINIC, "records"),
    ):
        pass


def test_rows_leave_for_research_with_consent_approval_and_a_second_key(custody: Installation, tmp_path: Path) -> None:
    consents(custody, ["P000001", "P000002"])
    session = custody.sign_in("rosa", "rosa2")
    with pytest.raises(AccessDeniedError):
        export_records(custody, session, "clinic", "research", tmp_path / "out.csv")
    custody.facts.put(Fact("qualification", "rosa/clinic", "approved", "rosa", purpose="research", label=CLINIC))
    custody.gate.versions.refresh()
    assert export_records(custody, session, "clinic", "research", tmp_path / "out.csv").written["rows"] >= 2
    mark = json.loads((tmp_path / "out.csv.decision.json").read_text())
    assert mark["watermark"] == f"galenic decision {mark['decision']}"
    assert not (tmp_path / "out.csv").read_text().count("P000009")
    with pytest.raises(OptionError, match="second key"):
        custody.sign_in("rosa", "rosa")


def test_sixty_four_threads_each_get_their_own_decision(custody: Installation) -> None:
    record_care_relation(custody, custody.sign_in("inge"), "clinic", "P000001", "ada")
    sessions = {who: custody.sign_in(who) for who in ("ada", "paul", "nora")}
    counted: dict[str, set[int]] = {who: set() for who in sessions}

    def work(i: int) -> None:
        who = ("ada", "paul", "nora")[i % 3]
        purpose = "quality" if who == "paul" else "treatment"
        counted[who].add(len(set(read(custody, sessions[who], purpose)["patient_id"].to_pylist())))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(64)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert counted == {"ada": {1}, "paul": {200}, "nora": {0}}
    assert custody.audit.intact()


def test_the_shipped_policy_gives_every_rule_a_reason() -> None:
    assert all(r.reason.endswith(".") for r in shipped_policy().rules)
