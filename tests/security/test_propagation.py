"""Changes in one process hold in every other running process within a second, without a restart."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from galenic.custody import (
    end_care_relation,
    record_care_relation,
    record_consent,
    rotate_keys,
    withdraw_consent,
    withdraw_role,
)
from galenic.errors import GalenicError
from galenic.flows import erase
from galenic.installation import Installation, open_installation
from galenic.security import Fact, Provider, token_name
from systems_made import add_client, issue_token

REDIRECT = ("https://app.example.org/back",)


@pytest.fixture
def other(custody: Installation) -> Iterator[Installation]:
    """Another process that runs, such as the server beside the command line, or the worker beside the server."""
    found = open_installation(custody.home)
    yield found
    found.close()


def within_a_second(what: Callable[[], bool]) -> bool:
    """Whether it comes true within a second."""
    end = time.monotonic() + 1
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.005)
    return False


def subject_of(house: Installation, kind: str) -> int:
    subject = house.facts.of(kind)[0].subject
    assert subject is not None
    return subject


def a_role(a: Installation, b: Installation) -> None:
    assert b.gate.cache.roles("rosa")[0]
    withdraw_role(a, "rosa", "researcher")
    assert within_a_second(lambda: not b.gate.cache.roles("rosa")[0])


def a_session(a: Installation, b: Installation) -> None:
    session = a.sign_in("rosa")
    assert within_a_second(lambda: b.gate.session(session.id) is not None)
    a.gate.end(session)
    assert within_a_second(lambda: b.gate.session(session.id) is None)


def a_care_relation(a: Installation, b: Installation) -> None:
    record_care_relation(a, a.sign_in("inge"), "clinic", "P000007", "ada")
    subject = subject_of(a, "care")
    stands: Callable[[], bool] = lambda: any(f.state == "given" for f in b.gate.cache.relations("ada", subject))  # noqa: E731
    assert within_a_second(stands)
    end_care_relation(a, a.sign_in("inge"), "clinic", "P000007", "ada")
    assert within_a_second(lambda: not stands())


def a_consent(a: Installation, b: Installation) -> None:
    record_consent(a, a.sign_in("inge"), "clinic", ["P000001"], "research")
    subject = subject_of(a, "consent")
    stands: Callable[[], bool] = lambda: any(f.state == "given" for f in b.gate.cache.relations("rosa", subject))  # noqa: E731
    assert within_a_second(stands)
    withdraw_consent(a, a.sign_in("inge"), "clinic", ["P000001"], "research")
    assert within_a_second(lambda: not stands())


def a_vendor(a: Installation, b: Installation) -> None:
    stands: Callable[[], bool] = lambda: any(f.state == "cleared" for f in b.gate.cache.about("vendor", "lab"))  # noqa: E731
    assert not stands()
    a.facts.put(Fact("vendor", "lab", "cleared", "lab"))
    assert within_a_second(stands)


def a_destination(a: Installation, b: Installation) -> None:
    assert not b.gate.cache.is_allowed_destination("lab")
    a.facts.put(Fact("destination", "lab", "allowed", "lab"))
    assert within_a_second(lambda: b.gate.cache.is_allowed_destination("lab"))


def the_label_of_a_data_set(a: Installation, b: Installation) -> None:
    known = b.gate.cache.dataset("clinic")
    assert known is not None
    a.facts.put(Fact("dataset", "clinic", known.state, known.who, label="psychiatric", body=known.body))
    assert within_a_second(lambda: getattr(b.gate.cache.dataset("clinic"), "label", "") == "psychiatric")


def a_token(a: Installation, b: Installation) -> None:
    add_client(a, "lab")
    token = token_name(issue_token(a, "lab"))
    assert within_a_second(lambda: b.gate.session(token) is not None)
    a.people.end_sessions("lab")
    assert within_a_second(lambda: b.gate.session(token) is None)


def an_application(a: Installation, b: Installation) -> None:
    assert not b.apps.all()
    a.apps.add("chart", REDIRECT, "user/*.rs")
    assert [x.name for x in b.apps.all()] == ["chart"]
    a.apps.remove("chart")
    assert not b.apps.all()


def a_provider(a: Installation, b: Installation) -> None:
    assert not b.openid.all()
    a.openid.add(Provider("clinic", "Clinic", "https://login.example.org", "galenic", False), "secret", by="test")
    assert [p.name for p in b.openid.all()] == ["clinic"]


def a_budget(a: Installation, b: Installation) -> None:
    assert "ward" not in b.ledger.populations()
    a.ledger.declare("ward", epsilon=1.0, delta=1e-9, actor="test")
    assert b.ledger.statement("ward").epsilon_limit == 1.0


CHANGES = {
    f.__name__: f
    for f in (
        a_role, a_session, a_care_relation, a_consent, a_vendor, a_destination, the_label_of_a_data_set, a_token, an_application,
        a_provider, a_budget,
    )
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("back", [pytest.param(False, id="here to there"), pytest.param(True, id="there to here")])
def test_a_change_in_one_process_holds_in_another_within_a_second(
    custody: Installation, other: Installation, change: str, back: bool
) -> None:
    CHANGES[change](*((other, custody) if back else (custody, other)))


def test_a_rotation_of_keys_in_one_process_leaves_the_others_reading(custody: Installation, other: Installation) -> None:
    record_care_relation(custody, custody.sign_in("inge"), "clinic", "P000007", "ada")
    subject = subject_of(custody, "care")
    before = other.tree.key(subject)
    for _turn in range(3):
        rotate_keys(custody, custody.sign_in("sven", "sven2"))
        assert other.tree.key(subject) == before
        assert custody.tree.key(subject) == before


def test_reads_wait_for_a_rotation_that_is_between_the_new_tree_and_the_new_root(
    custody: Installation, other: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_care_relation(custody, custody.sign_in("inge"), "clinic", "P000007", "ada")
    subject = subject_of(custody, "care")
    before, between, put = other.tree.key(subject), threading.Event(), custody.tree.keeper.put

    def slowly(root: bytes) -> None:
        between.set()
        time.sleep(0.3)
        put(root)

    monkeypatch.setattr(custody.tree.keeper, "put", slowly)
    rotation = threading.Thread(target=custody.tree.rotate)
    rotation.start()
    between.wait(10)
    assert other.tree.key(subject) == before
    rotation.join()


def test_the_key_of_an_erased_patient_is_gone_in_another_process(custody: Installation, other: Installation) -> None:
    record_care_relation(custody, custody.sign_in("inge"), "clinic", "P000007", "ada")
    subject = subject_of(custody, "care")
    assert other.tree.key(subject)
    erase(custody, custody.sign_in("paul", "paul2"), "P000007")

    def gone() -> bool:
        try:
            other.tree.key(subject)
        except GalenicError:
            return True
        return False

    assert within_a_second(gone)
