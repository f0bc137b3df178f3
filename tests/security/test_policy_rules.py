"""One access rule and its conditions: each holds at its boundary, and the order of a policy decides."""

from dataclasses import replace
from pathlib import Path

import pytest

from galenic.errors import ConfigurationError
from galenic.security import ACTIONS, TYPES, AccessPolicy, AccessRequest, AccessRule, Obligations, parse_policy
from galenic.security.policy import NO_PERMIT, read_policy, shipped_policy

NURSE = AccessRequest(frozenset({"nurse"}), "read", "dataset", "treatment", "clinical", 1, frozenset({"care"}))


def rule(name: str = "a", effect: str = "permit", /, **conditions: object) -> AccessRule:
    """A rule that holds of everything, but for these conditions."""
    sets = {k: frozenset(conditions.pop(k, ())) for k in ("roles", "actions", "types", "purposes", "labels", "needs", "lacks")}  # type: ignore[call-overload]
    return AccessRule(
        name, effect, *sets.values(), conditions.pop("assurance", 0), conditions.pop("below", 0), Obligations(**conditions), "R."  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("conditions", "holds"),
    [
        pytest.param({}, True, id="no condition"),
        pytest.param({"roles": ["nurse", "clinician"]}, True, id="one of the roles"),
        pytest.param({"roles": ["clinician"]}, False, id="another role"),
        pytest.param({"purposes": ["treatment"]}, True, id="the purpose"),
        pytest.param({"purposes": ["research"]}, False, id="another purpose"),
        pytest.param({"labels": ["clinical"]}, True, id="the label"),
        pytest.param({"labels": ["genetic"]}, False, id="another label"),
        pytest.param({"needs": ["care"]}, True, id="the flag that it needs"),
        pytest.param({"needs": ["care", "consent"]}, False, id="one flag of two"),
        pytest.param({"lacks": ["vendor"]}, True, id="a flag that is absent"),
        pytest.param({"lacks": ["vendor", "care"]}, False, id="one of the flags that lift it"),
        pytest.param({"assurance": 1}, True, id="as much assurance as is asked"),
        pytest.param({"assurance": 2}, False, id="less assurance than is asked"),
        pytest.param({"below": 2}, True, id="assurance below the limit"),
        pytest.param({"below": 1}, False, id="assurance at the limit"),
    ],
)
def test_a_rule_holds_where_all_of_its_conditions_do(conditions: dict, holds: bool) -> None:
    assert rule(**conditions).holds(NURSE) is holds
    assert AccessPolicy("p", 1, [rule(**conditions)]).decide(NURSE).allowed is holds
    assert AccessPolicy("p", 1, [rule(), rule("b", "forbid", **conditions)]).decide(NURSE).allowed is not holds


def test_a_rule_is_for_its_actions_and_types() -> None:
    assert AccessPolicy("p", 1, [rule(actions=["read"], types=["dataset"])]).decide(NURSE).allowed
    assert AccessPolicy("p", 1, [rule(actions=["write"])]).decide(NURSE) == NO_PERMIT
    assert AccessPolicy("p", 1, [rule(types=["model"])]).decide(NURSE) == NO_PERMIT
    assert AccessPolicy("p", 1, [rule("b", "forbid", actions=["write"]), rule()]).decide(NURSE).allowed


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("kind", TYPES)
def test_a_rule_without_actions_and_types_is_for_all_of_them(action: str, kind: str) -> None:
    request = replace(NURSE, action=action, type=kind)
    assert AccessPolicy("p", 1, [rule()]).decide(request).allowed
    assert AccessPolicy("p", 1, [rule(), rule("b", "forbid")]).decide(request).reason == "b"


def test_a_forbid_comes_first_and_of_permits_the_first_in_the_file() -> None:
    first, second = rule("first", roles=["nurse"], floor=5), rule("second", floor=1)
    for rules in ([first, second], [second, first]):
        decision = AccessPolicy("p", 1, rules).decide(NURSE)
        assert (decision.reason, decision.obligations.floor) == (rules[0].id, rules[0].obligations.floor)
    denied = AccessPolicy("p", 1, [first, rule("no", "forbid"), rule("never", "forbid")]).decide(NURSE)
    assert (denied.allowed, denied.reason) == (False, "no")
    policy = AccessPolicy("p", 1, [rule("a", purposes=["research"]), rule("b")])
    assert policy.decide(NURSE).reason == policy.decide(NURSE).reason == "b"


def test_only_flags_that_a_rule_for_these_roles_names_are_looked_up() -> None:
    policy = AccessPolicy(
        "p",
        1,
        [
            rule("a", "forbid", actions=["read"], lacks=["own"]),
            rule("b", roles=["nurse"], needs=["care"]),
            rule("c", roles=["auditor"], needs=["vendor"]),
        ],
    )
    for _ in range(2):
        assert policy.relevant_flags("read", "dataset", frozenset({"nurse"})) == {"own", "care"}
    policy.decide(NURSE)
    assert policy.relevant_flags("write", "dataset", frozenset({"nurse"})) == {"care"}
    assert policy.relevant_flags("read", "dataset", frozenset()) == {"own"}


def test_two_rules_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="two rules with id 'a'"):
        AccessPolicy("p", 1, [rule("a"), rule("a", "forbid")])


PERMIT = 'name="x"\nversion=1\n[[permit]]\nid="a"\nreason="R."\n'


@pytest.mark.parametrize(("limit", "value"), [("assurance", 0), ("below", 1000), ("floor", 1000), ("floor", 0)])
def test_limits_are_whole_numbers_from_0_to_1000(limit: str, value: int) -> None:
    assert parse_policy(f"{PERMIT}{limit}={value}").rules[0].id == "a"
    for bad in (-1, 1001, 1.5, "true"):
        with pytest.raises(ConfigurationError, match="assurance, below and floor"):
            parse_policy(f"{PERMIT}{limit}={bad}")


def test_a_rule_is_read_whole() -> None:
    text = (
        'roles=["nurse"]\nactions=["read"]\ntypes=["dataset"]\npurposes=["treatment"]\nlabels=["clinical"]\nneeds=["care"]\nlacks=["vendor"]\n'
        'assurance=1\nbelow=2\nmask=["name"]\nfloor=5\nrows="care"\nwatermark=true\n'
    )
    (found,) = parse_policy(PERMIT + text).rules
    assert found == AccessRule(
        "a", "permit", *(frozenset({v}) for v in ("nurse", "read", "dataset", "treatment", "clinical", "care", "vendor")),
        1, 2, Obligations(frozenset({"name"}), 5, "care", True), "R.",
    )  # fmt: skip
    (bare,) = parse_policy(PERMIT).rules
    assert (bare.obligations, bare.assurance, bare.below) == (Obligations(frozenset(), 0, "", False), 0, 0)


@pytest.mark.parametrize("rows", ["care", "consent", "own", ""])
def test_rows_are_limited_by_one_of_three_predicates(rows: str) -> None:
    assert parse_policy(f'{PERMIT}rows="{rows}"').rules[0].obligations.rows == rows


@pytest.mark.parametrize(
    "text", ['name="x"\nversion=true', 'name="x"\nversion="1"', "version=1", 'name="x"\nversion=1\nmore=2', 'name="x"']
)
def test_a_policy_needs_a_name_and_a_whole_version_and_nothing_unknown(text: str) -> None:
    with pytest.raises(ConfigurationError, match="the policy needs a name"):
        parse_policy(text)


@pytest.mark.parametrize("obligation", ['mask=["a"]', "floor=1", 'rows="own"', "watermark=true"])
def test_a_forbid_has_no_obligations(obligation: str) -> None:
    with pytest.raises(ConfigurationError, match="obligations"):
        parse_policy(f"{PERMIT.replace('permit', 'forbid')}{obligation}")


@pytest.mark.parametrize("text", [PERMIT.replace('id="a"\n', ""), PERMIT.replace('reason="R."\n', ""), PERMIT + "who=1\n"])
def test_a_rule_needs_an_id_and_a_reason(text: str) -> None:
    with pytest.raises(ConfigurationError, match="needs an id and a reason"):
        parse_policy(text)


def test_a_policy_is_read_from_a_file_and_knows_its_digest(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text(PERMIT, encoding="utf-8")
    found = read_policy(tmp_path / "p.toml")
    assert (found.name, found.version, found.text) == ("x", 1, PERMIT)
    assert len(found.digest) == 64
    assert shipped_policy().digest != found.digest
    (tmp_path / "p.toml").write_bytes(b"\xff\xfe\x00")
    for place in (tmp_path / "p.toml", tmp_path / "absent.toml"):
        with pytest.raises(ConfigurationError, match=r"can ?not be read"):
            read_policy(place)
