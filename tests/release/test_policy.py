"""What the gate decides: every rule must be met by something that was measured."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from galenic.errors import DescriptionError
from galenic.release import SHIPPED, decide, load_policy, parse_policy
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
    with pytest.raises(DescriptionError):
        parse_policy(text, "test")


def test_an_unknown_policy_is_named() -> None:
    with pytest.raises(DescriptionError, match="neither shipped"):
        load_policy("strictest")
