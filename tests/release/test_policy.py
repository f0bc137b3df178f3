"""What the gate decides: every rule must be met by something that was measured."""

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from galenic.errors import ConfigurationError, UnknownNameError
from galenic.release import SHIPPED, decide, load_policy, parse_policy
from galenic.release.policy import PolicyRule
from galenic.schema import Finding, NotMeasured, Report

GOOD = Report(
    "run",
    (
        Finding("fidelity.tvd1.excess", 0.01, "m"),
        Finding("fidelity.tvd2.excess", 0.02, "m"),
        Finding("privacy.alarms", 0, "m"),
        Finding("privacy.controls", 3, "m", "higher"),
    ),
)


def test_good_evidence_satisfies_the_internal_policy() -> None:
    assert decide(GOOD, load_policy("internal")).accepted


@pytest.mark.parametrize("place", range(4))
def test_a_missing_or_unmeasured_finding_closes_the_gate(place: int) -> None:
    policy = load_policy("internal")
    less = replace(GOOD, findings=GOOD.findings[:place] + GOOD.findings[place + 1 :])
    decision = decide(less, policy)
    assert not decision.accepted
    assert [i.outcome for i in decision.refusals] == ["missing"]
    name = GOOD.findings[place].name
    decision = decide(less.plus(NotMeasured(name, "it failed")), policy)
    assert [i.outcome for i in decision.refusals] == ["not measured"]


@pytest.mark.parametrize("name", SHIPPED)
def test_an_empty_report_satisfies_no_policy(name: str) -> None:
    assert not decide(Report("run", ()), load_policy(name)).accepted


@given(st.floats(-1, 1, allow_nan=False))
def test_a_value_is_met_exactly_up_to_its_threshold(value: float) -> None:
    report = replace(
        GOOD, findings=(Finding("fidelity.tvd2.excess", value, "m"), *(f for f in GOOD.findings if "tvd2" not in f.name))
    )
    assert decide(report, load_policy("internal")).accepted == (value <= 0.15)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("name = ", id="not TOML"),
        pytest.param('name="x"\nversion=1\npurpose="p"\nroles=["a","b"]\nidentity="unverified"\nrule=[]', id="no rules"),
        pytest.param(
            'name="x"\nversion=1\npurpose="p"\nroles=["a","b"]\nidentity="unverified"\n[[rule]]\nfinding="f"\nreason="r"',
            id="a rule without a threshold",
        ),
        pytest.param(
            'name="x"\nversion=1\npurpose="p"\nroles=["a","b"]\nidentity="unverified"\n[[rule]]\nfinding="f"\nat_most=1\nreason=""',
            id="a rule without a reason",
        ),
        pytest.param(
            'name="x"\nversion=1\npurpose="p"\nroles=["a"]\nidentity="unverified"\n[[rule]]\nfinding="f"\nat_most=1\nreason="r"',
            id="one signer only",
        ),
    ],
)
def test_a_policy_that_says_too_little_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        parse_policy(text, "test")


def test_an_unknown_policy_is_named() -> None:
    with pytest.raises(UnknownNameError, match="neither shipped"):
        load_policy("strictest")


def rule(**limits: float) -> PolicyRule:
    return PolicyRule("f", "Because.", **limits)


@pytest.mark.parametrize(
    ("found", "value", "met", "threshold"),
    [
        (rule(at_most=1.0), 1.0, True, "at most 1"),
        (rule(at_most=1.0), 1.01, False, "at most 1"),
        (rule(at_least=1.0), 1.0, True, "at least 1"),
        (rule(at_least=1.0), 0.99, False, "at least 1"),
        (rule(at_most=2.0, at_least=1.0), 1.5, True, "at most 2 and at least 1"),
        (rule(at_most=2.0, at_least=1.0), 2.5, False, "at most 2 and at least 1"),
        (rule(at_most=2.0, at_least=1.0), 0.5, False, "at most 2 and at least 1"),
        (rule(at_most=0.0), 0.0, True, "at most 0"),
        (rule(at_least=0.0), -0.1, False, "at least 0"),
        (rule(), 5.0, True, ""),
    ],
)
def test_a_threshold_includes_its_value(found: PolicyRule, value: float, met: bool, threshold: str) -> None:
    assert (found.holds(value), found.threshold) == (met, threshold)


TEXT = 'name="x"\nversion=1\npurpose="p"\nroles=["a","b"]\nidentity="verified"\n[[rule]]\nfinding="f"\nat_most=1\nreason="R."\n'


def test_a_policy_is_read_whole_and_its_digest_is_that_of_its_text() -> None:
    policy = parse_policy(TEXT, "test")
    assert (policy.name, policy.version, policy.purpose, policy.roles, policy.identity) == ("x", 1, "p", ("a", "b"), "verified")
    assert policy.rules == (PolicyRule("f", "R.", at_most=1),)
    assert policy.digest == sha256(TEXT.encode()).hexdigest()
    assert policy.with_rules(()).rules == ()


@pytest.mark.parametrize(
    "changed",
    [
        TEXT.replace('"verified"', '"guessed"'),
        TEXT.replace('["a","b"]', '["a","a"]'),
        TEXT.replace("at_most", "below"),
        TEXT.replace('purpose="p"\n', ""),
    ],
    ids=["unknown identity", "one role twice", "unknown limit", "no purpose"],
)
def test_a_policy_that_is_written_wrongly_is_refused_with_its_place(changed: str) -> None:
    with pytest.raises(ConfigurationError, match="policy here"):
        parse_policy(changed, "here")


def test_a_decision_lists_each_rule_with_its_outcome_audience_and_value() -> None:
    policy = parse_policy(TEXT, "test")
    met = decide(Report("run", (Finding("f", 0.123456, "m", audience="public"),)), policy)
    assert met.accepted
    assert met.refusals == ()
    assert (met.items[0].outcome, met.items[0].audience, met.items[0].why) == ("met", "public", "measured 0.1235")
    missed = decide(Report("run", (Finding("f", 2.0, "m"),)), policy)
    assert not missed.accepted
    assert (missed.refusals[0].outcome, missed.refusals[0].audience, missed.refusals[0].threshold) == (
        "not met",
        "internal",
        "at most 1",
    )
    assert not decide(Report("run", (Finding("g", 0.0, "m"),)), policy).accepted
    assert not decide(Report("run", ()), policy.with_rules(())).accepted


def test_a_policy_is_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text(TEXT, encoding="utf-8")
    assert load_policy(str(tmp_path / "p.toml")).name == "x"


EXPECTED_ONLY = TEXT.replace('finding="f"\nat_most=1', 'finding="deid.recall"\nat_least=0.95')


@pytest.mark.parametrize("name", ["deid.recall", "deid.expected", "deid.expected.recall", "deid.expected.missed"])
def test_a_policy_that_relies_on_the_model_card_alone_is_invalid(name: str, tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text(EXPECTED_ONLY.replace("deid.recall", name), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"Expected a rule on deid\.planted\.recall"):
        load_policy(str(tmp_path / "p.toml"))
    measured = '\n[[rule]]\nfinding="deid.planted.recall"\nat_least=0.9\nreason="R."\n'
    (tmp_path / "p.toml").write_text(EXPECTED_ONLY.replace("deid.recall", name) + measured, encoding="utf-8")
    assert len(load_policy(str(tmp_path / "p.toml")).rules) == 2


def test_a_rule_applies_unless_its_count_is_measured_as_zero() -> None:
    policy = parse_policy(TEXT.replace('reason="R."', 'reason="R."\napplies_to="n"') + RULE_G, "test")
    g = Finding("g", 0.0, "m")
    none, some = Finding("n", 0.0, "m", "fact"), Finding("n", 1.0, "m", "fact")
    assert decide(Report("run", (g, none)), policy).accepted
    assert [i.outcome for i in decide(Report("run", (g, none)), policy).items] == ["not applicable", "met"]
    assert not decide(Report("run", (g, some)), policy).accepted
    assert not decide(Report("run", (g,)), policy).accepted  # a count that is missing
    assert not decide(Report("run", (g, NotMeasured("n", "it failed"))), policy).accepted
    alone = policy.with_rules(policy.rules[:1])
    assert not decide(Report("run", (none,)), alone).accepted  # no rule was met by a measurement


RULE_G = '\n[[rule]]\nfinding="g"\nat_most=1\nreason="R."\n'


def test_the_shipped_policy_for_copies_asks_only_for_what_is_measured_on_the_input() -> None:
    rules = {rule.finding: rule for rule in load_policy("deidentified").rules}
    assert rules["deid.planted.recall"].at_least == 0.95
    assert rules["deid.planted.recall"].applies_to == ""
    assert rules["deid.stated"].at_most == 0
    assert not [name for name in rules if name.startswith("deid.expected")]
