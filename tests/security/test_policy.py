"""Policies: decided by the table, exchanged with Cedar, changed by two people who saw what would change."""

import random

import cedarpy
import pytest

from galenic.errors import AccessDeniedError, ConfigurationError, StateError
from galenic.installation import Installation, open_installation
from galenic.security import (
    ACTIONS,
    FLAGS,
    LABELS,
    ROLES,
    TYPES,
    AccessPolicy,
    AccessRequest,
    AccessRule,
    Obligations,
    from_cedar,
    parse_policy,
    shipped_policy,
    to_cedar,
)
from galenic.security.cedar import request_of

PURPOSES = ("treatment", "research", "quality", "synthetic-data", "emergency", "records", "")


def some(rng: random.Random, of: tuple[str, ...], share: float = 0.3) -> frozenset[str]:
    return frozenset(x for x in of if rng.random() < share) if rng.random() < 0.7 else frozenset()


def random_policy(rng: random.Random, rules: int) -> AccessPolicy:
    found = []
    for i in range(rules):
        effect = "forbid" if rng.random() < 0.15 else "permit"
        found.append(
            AccessRule(
                f"r{i}", effect, some(rng, ROLES, 0.2), some(rng, ACTIONS), some(rng, TYPES, 0.5), some(rng, PURPOSES[:6]),
                some(rng, LABELS), some(rng, FLAGS, 0.15), some(rng, FLAGS, 0.1), rng.choice((0, 0, 1, 2)),
                rng.choice((0, 0, 2)), Obligations(), "Because it is random.",
            )
        )  # fmt: skip
    return AccessPolicy("random", 1, found)


def random_ask(rng: random.Random) -> AccessRequest:
    return AccessRequest(
        frozenset(rng.sample(ROLES, rng.choice((0, 1, 1, 2, 3)))),
        rng.choice(ACTIONS),
        rng.choice(TYPES),
        rng.choice(PURPOSES),
        rng.choice(LABELS),
        rng.choice((1, 2)),
        frozenset(f for f in FLAGS if rng.random() < 0.6),
    )


def differing(policies: int, each: int, seed: int) -> tuple[int, int]:
    """(requests, decisions that differ between the table and Cedar on the exported text)."""
    rng, wrong, total = random.Random(seed), 0, 0
    for _ in range(policies):
        policy = random_policy(rng, rng.choice((3, 12, 40)))
        asks = [random_ask(rng) for _ in range(each)]
        cedar = cedarpy.is_authorized_batch([request_of(a) for a in asks], cedarpy.PolicySet.from_str(to_cedar(policy)), [])
        wrong += sum(policy.decide(a).allowed != r.allowed for a, r in zip(asks, cedar, strict=True))
        total += each
    return total, wrong


def test_the_table_decides_as_cedar_does() -> None:
    """Part of 100,000 requests; the whole is in test-slow."""
    assert differing(20, 500, 1) == (10_000, 0)


@pytest.mark.slow
def test_the_table_decides_as_cedar_does_on_100000_requests() -> None:
    assert differing(100, 1_000, 2) == (100_000, 0)


def test_both_kinds_of_answer_occur() -> None:
    rng = random.Random(3)
    policy = random_policy(rng, 40)
    answers = [policy.decide(random_ask(rng)).allowed for _ in range(2_000)]
    assert 100 < sum(answers) < 1_900


def test_cedar_text_comes_back_as_the_same_policy() -> None:
    rng = random.Random(4)
    for policy in (shipped_policy(), *(random_policy(rng, 20) for _ in range(10))):
        back = from_cedar(to_cedar(policy))
        asks = [random_ask(rng) for _ in range(500)]
        assert [back.decide(a) for a in asks] == [policy.decide(a) for a in asks]


@pytest.mark.parametrize(
    ("text", "clause"),
    [
        ('permit(principal == Person::"ada", action, resource);', "principal"),
        ("permit(principal, action, resource) unless { context.assurance < 2 };", "unless"),
        ('permit(principal, action == Action::"fly", resource);', "action"),
        ('permit(principal, action, resource == Dataset::"x");', "resource"),
        ("permit(principal, action, resource) when { resource.owner == principal };", "owner"),
        ('permit(principal, action, resource) when { context.roles.contains("clinician") && context.roles.contains("nurse") };', "roles"),
        ('permit(principal, action, resource) when { context.purpose like "res*" };', "like"),
        ("permit(principal, action, resource) when { context.assurance > 1 };", "assurance"),
        ("permit(principal, action, ?resource);", ""),
        ("permit(principal action);", "not a valid Cedar policy"),
    ],
)  # fmt: skip
def test_what_the_table_can_not_express_is_refused_by_name(text: str, clause: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        from_cedar(text)
    assert clause in str(error.value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("name = 1", "needs a name"),
        ('name="x"\nversion=1\n[[permit]]\nid="a"', "needs an id and a reason"),
        ('name="x"\nversion=1\n[[permit]]\nid="a"\nreason="R."\nroles=["king"]', "king"),
        ('name="x"\nversion=1\n[[permit]]\nid="a"\nreason="R."\nwho=["x"]', "unknown keys"),
        ('name="x"\nversion=1\n[[forbid]]\nid="a"\nreason="R."\nfloor=5', "only a permit rule can have obligations"),
        ('name="x"\nversion=1\n[[permit]]\nid="a"\nreason="R."\nfloor=-5', "must be integers"),
        ('name="x"\nversion=1\n[[permit]]\nid="a"\nreason="R."\n[[permit]]\nid="a"\nreason="R."', "two rules"),
        ('name="x"\nversion=1\n[[permit]]\nid="a"\nreason="R."\nrows="all"', "rows must be"),
        ("[", "not valid TOML"),
    ],
)
def test_a_bad_policy_says_which_rule_is_bad(text: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        parse_policy(text)


STRICTER = 'name="strict"\nversion=2\n[[permit]]\nid="only"\nroles=["privacy-officer"]\nactions=["read"]\nreason="Only them."\n'


def test_two_people_put_a_policy_in_force_after_seeing_what_changes(custody: Installation) -> None:
    ada, paul = custody.sign_in("ada"), custody.sign_in("paul")
    for session, purpose in ((ada, "treatment"), (paul, "quality"), (paul, "curiosity")):
        try:
            with custody.gate.open(session, "read", "dataset/clinic", purpose):
                pass
        except AccessDeniedError:
            pass
    name, replay = custody.policies.propose(parse_policy(STRICTER), custody.keys.get("sven"))
    assert (replay.newly_allowed, replay.newly_denied) == (
        1,
        2,
    )  # paul's curiosity; ada's treatment and the import of the set-up
    assert custody.policies.active().name == "house"
    for who in ("sven", "sven2"):
        with pytest.raises(AccessDeniedError, match="two people"):
            custody.policies.approve(name, custody.keys.get(who))
    with pytest.raises(AccessDeniedError, match="may not change"):
        custody.policies.approve(name, custody.keys.get("ada"))
    custody.policies.approve(name, custody.keys.get("paul"))
    assert open_installation(custody.home).policies.active().name == "strict"
    with pytest.raises(AccessDeniedError, match="no-permit"), custody.gate.open(ada, "read", "dataset/clinic", "treatment"):
        pass
    with pytest.raises(StateError, match="no policy"):
        custody.policies.approve(name, custody.keys.get("paul"))
