"""Import and export of policies as Cedar text. Unsupported clauses are refused with the name of the policy."""

import json
from typing import Any

from galenic.errors import ConfigurationError, MissingExtraError
from galenic.security.policy import (
    ACTIONS,
    FLAGS,
    LABELS,
    ROLES,
    TYPES,
    AccessPolicy,
    AccessRequest,
    AccessRule,
    Obligations,
    parse_policy,
)
from galenic.security.resource_types import RESOURCE_TYPES

ENTITY = {name: resource_type.cedar_name for name, resource_type in RESOURCE_TYPES.items()}
"""Entity type in Cedar text for each type of resource."""


def to_cedar(policy: AccessPolicy) -> str:
    """Policy as Cedar text. Obligations become annotations, which Cedar does not interpret."""
    return "\n".join(_text(rule) for rule in policy.rules)


def _text(rule: AccessRule) -> str:
    o = rule.obligations
    notes = [("id", rule.id), ("reason", rule.reason)]
    notes += [("mask", ",".join(sorted(o.mask)))] if o.mask else []
    notes += [("floor", str(o.floor))] if o.floor else []
    notes += [("rows", o.rows)] if o.rows else []
    notes += [("watermark", "true")] if o.watermark else []
    head = "\n".join(f"@{name}({json.dumps(value)})" for name, value in notes)
    actions = f"action in [{', '.join(f'Action::{json.dumps(a)}' for a in sorted(rule.actions))}]" if rule.actions else "action"
    clauses = []
    if rule.roles:
        clauses.append(_any(f"context.roles.contains({json.dumps(r)})" for r in sorted(rule.roles)))
    if rule.types:
        clauses.append(_any(f"resource is {ENTITY[t]}" for t in sorted(rule.types)))
    for name, values in (("purpose", rule.purposes), ("label", rule.labels)):
        if values:
            clauses.append(f"{json.dumps(sorted(values))}.contains(context.{name})")
    clauses += [f"context.flags.contains({json.dumps(f)})" for f in sorted(rule.needs)]
    clauses += [f"!(context.flags.contains({json.dumps(f)}))" for f in sorted(rule.lacks)]
    clauses += [f"context.assurance >= {rule.assurance}"] if rule.assurance else []
    clauses += [f"context.assurance < {rule.below}"] if rule.below else []
    when = f" when {{ {' && '.join(clauses)} }}" if clauses else ""
    return f"{head}\n{rule.effect}(principal, {actions}, resource){when};\n"


def _any(parts: Any) -> str:
    found = list(parts)
    return found[0] if len(found) == 1 else f"({' || '.join(found)})"


def request_of(access_request: AccessRequest, name: str = "x") -> dict[str, Any]:
    """An access request as a Cedar request."""
    return {
        "principal": f'Person::"{name}"',
        "action": f'Action::"{access_request.action}"',
        "resource": f'{ENTITY[access_request.type]}::"{name}"',
        "context": {
            "roles": sorted(access_request.roles),
            "purpose": access_request.purpose,
            "label": access_request.label,
            "assurance": access_request.assurance,
            "flags": sorted(access_request.flags),
        },
    }


def from_cedar(text: str, *, name: str = "imported", version: int = 1) -> AccessPolicy:
    """Policy from Cedar text. Raise ConfigurationError with the policy and the clause if it is not supported."""
    try:
        import cedarpy  # noqa: PLC0415
    except ImportError:
        raise MissingExtraError("Cedar policies need the package cedarpy", "cedar") from None
    try:
        data = json.loads(cedarpy.policies_to_json_str(text))
    except ValueError as error:
        raise ConfigurationError(f"this is not a valid Cedar policy: {str(error).splitlines()[0]}") from None
    if data.get("templates") or data.get("templateLinks"):
        raise ConfigurationError("Cedar templates are not supported. Write out each policy.")
    # the table applies forbid rules before permit rules, and permit rules in the order of the text
    rules = [_rule(place, body) for place, body in sorted(data["staticPolicies"].items(), key=_order)]
    source = _toml(name, version, rules)
    return parse_policy(source)


def _order(item: tuple[str, Any]) -> int:
    return int("".join(c for c in item[0] if c.isdigit()) or 0)


def _rule(place: str, body: dict[str, Any]) -> AccessRule:
    notes = body.get("annotations", {})
    who = str(notes.get("id", place))
    fields: dict[str, Any] = {k: frozenset() for k in ("roles", "types", "purposes", "labels", "needs", "lacks")}
    fields |= {"assurance": 0, "below": 0}
    if body["principal"] != {"op": "All"}:
        raise _not(who, "principal", "identify people by role: context.roles.contains(...)")
    resource, action = body["resource"], body["action"]
    if resource.get("op") == "is" and "in" not in resource and resource["entity_type"] in ENTITY.values():
        fields["types"] = frozenset({_type(resource["entity_type"])})
    elif resource != {"op": "All"}:
        raise _not(who, "resource", "use resource, or resource is Dataset, Subject or House")
    fields["actions"] = _actions(who, action)
    for condition in body.get("conditions", []):
        if condition["kind"] != "when":
            raise _not(who, "unless", "write it as when { !(...) }")
        for clause in _split(condition["body"], "&&"):
            _clause(who, clause, fields)
    o = Obligations(
        frozenset(filter(None, str(notes.get("mask", "")).split(","))),
        int(notes.get("floor", 0)),
        str(notes.get("rows", "")),
        notes.get("watermark") == "true",
    )
    return AccessRule(
        who, body["effect"], fields["roles"], fields["actions"], fields["types"], fields["purposes"], fields["labels"],
        fields["needs"], fields["lacks"], fields["assurance"], fields["below"], o, str(notes.get("reason", "Imported from Cedar.")),
    )  # fmt: skip


def _not(who: str, clause: str, todo: str) -> ConfigurationError:
    return ConfigurationError(f"Cedar policy {who!r}: the clause {clause!r} is not supported; {todo}.")


def _type(entity: str) -> str:
    return next(t for t, e in ENTITY.items() if e == entity)


def _actions(who: str, action: dict[str, Any]) -> frozenset[str]:
    if action == {"op": "All"}:
        return frozenset()
    found = [action["entity"]] if "entity" in action else action.get("entities", [])
    names = frozenset(str(e["id"]) for e in found if e["type"] == "Action")
    if action["op"] not in ("==", "in") or len(names) != len(found) or not names <= set(ACTIONS):
        raise _not(who, "action", f"use action == or action in over {', '.join(ACTIONS)}")
    return names


def _split(node: dict[str, Any], operator: str) -> list[dict[str, Any]]:
    if operator in node:
        return [*_split(node[operator]["left"], operator), *_split(node[operator]["right"], operator)]
    return [node]


def _context(node: dict[str, Any]) -> str:
    inside = node.get(".", {})
    return str(inside.get("attr", "")) if inside.get("left") == {"Var": "context"} else ""


def _contains(node: dict[str, Any]) -> tuple[str, str] | None:
    """(set in the context, text) of context.SET.contains("text")."""
    inside = node.get("contains")
    if inside and _context(inside["left"]) and isinstance(inside["right"].get("Value"), str):
        return _context(inside["left"]), inside["right"]["Value"]
    return None


def _clause(who: str, node: dict[str, Any], fields: dict[str, Any]) -> None:
    negated = node.get("!", {}).get("arg")
    for handled in (_roles, _types, _members, _bound):
        if handled(negated or node, bool(negated), fields):
            return
    raise _not(who, json.dumps(node)[:120], "write sets of roles, purposes, labels and flags, or bounds on assurance")


def _narrow(fields: dict[str, Any], key: str, values: frozenset[str], known: tuple[str, ...] | None) -> bool:
    """The intersection of two clauses over one key, if it is not empty."""
    values = values & fields[key] if fields[key] else values
    fields[key] = values
    return bool(values) and (known is None or values <= set(known))


def _roles(node: dict[str, Any], negated: bool, fields: dict[str, Any]) -> bool:
    found = [_contains(part) for part in _split(node, "||")]
    if negated or not all(f and f[0] == "roles" for f in found) or fields["roles"]:
        return False  # two clauses about roles require both roles, which a set of alternatives cannot express
    return _narrow(fields, "roles", frozenset(f[1] for f in found if f), ROLES)


def _types(node: dict[str, Any], negated: bool, fields: dict[str, Any]) -> bool:
    parts = [part.get("is") for part in _split(node, "||")]
    if negated or not all(
        p and p["left"] == {"Var": "resource"} and p["entity_type"] in ENTITY.values() and "in" not in p for p in parts
    ):
        return False
    return _narrow(fields, "types", frozenset(_type(p["entity_type"]) for p in parts if p), TYPES)


def _members(node: dict[str, Any], negated: bool, fields: dict[str, Any]) -> bool:
    flag = _contains(node)
    if flag and flag[0] == "flags" and flag[1] in FLAGS:
        fields["lacks" if negated else "needs"] |= {flag[1]}
        return True
    inside = node.get("contains") or node.get("==")
    if negated or not inside:
        return False
    if "==" in node:
        name, values = _context(inside["left"]), [inside["right"].get("Value")]
    else:
        name, values = _context(inside["right"]), [v.get("Value") for v in inside["left"].get("Set", [{}])]
    if name not in ("purpose", "label") or not all(isinstance(v, str) for v in values):
        return False
    return _narrow(fields, f"{name}s", frozenset(map(str, values)), LABELS if name == "label" else None)


def _bound(node: dict[str, Any], negated: bool, fields: dict[str, Any]) -> bool:
    for operator, key in ((">=", "assurance"), ("<", "below")):
        inside = node.get(operator)
        if inside and not negated and _context(inside["left"]) == "assurance" and type(inside["right"].get("Value")) is int:
            value = inside["right"]["Value"]
            if fields[key] or not 0 < value <= 1000:
                return False
            fields[key] = value
            return True
    return False


def _toml(name: str, version: int, rules: list[AccessRule]) -> str:
    lines = [f"name = {json.dumps(name)}", f"version = {version}"]
    for rule in rules:
        lines += ["", f"[[{rule.effect}]]", f"id = {json.dumps(rule.id)}"]
        for key in ("roles", "actions", "types", "purposes", "labels", "needs", "lacks"):
            if getattr(rule, key):
                lines.append(f"{key} = {json.dumps(sorted(getattr(rule, key)))}")
        lines += [f"{key} = {getattr(rule, key)}" for key in ("assurance", "below") if getattr(rule, key)]
        o = rule.obligations
        lines += [f"mask = {json.dumps(sorted(o.mask))}"] if o.mask else []
        lines += [f"floor = {o.floor}"] if o.floor else []
        lines += [f"rows = {json.dumps(o.rows)}"] if o.rows else []
        lines += ["watermark = true"] if o.watermark else []
        lines.append(f"reason = {json.dumps(rule.reason)}")
    return "\n".join(lines) + "\n"
