"""Decisions per second of cedarpy and casbin on the same policies and requests; reads JSON from stdin, prints JSON."""

import json
import sys
import tempfile
import time
from pathlib import Path

import casbin
import cedarpy


def cedar(text: str, requests: list) -> dict:
    policies = cedarpy.PolicySet.from_str(text)
    start = time.perf_counter()
    answers = [cedarpy.is_authorized(r, policies, []).allowed for r in requests]
    return {"per_second": len(requests) / (time.perf_counter() - start), "answers": answers}


def enforcer(rules: list, requests: list) -> dict:
    """The permits alone as role, action, type, purpose; casbin has no flags or bounds, so it answers a smaller question."""
    folder = Path(tempfile.mkdtemp())
    (folder / "model.conf").write_text(
        "[request_definition]\nr = sub, act, obj, pur\n[policy_definition]\np = sub, act, obj, pur\n[role_definition]\ng = _, _\n"
        "[policy_effect]\ne = some(where (p.eft == allow))\n[matchers]\n"
        "m = r.act == p.act && r.obj == p.obj && r.pur == p.pur && r.sub == p.sub\n"
    )
    (folder / "policy.csv").write_text("\n".join(f"p, {a}, {b}, {c}, {d}" for a, b, c, d in rules))
    e = casbin.FastEnforcer(str(folder / "model.conf"), str(folder / "policy.csv"), cache_key_order=[1, 2])
    start = time.perf_counter()
    for r in requests:
        e.enforce(*r)
    return {"per_second": len(requests) / (time.perf_counter() - start)}


given = json.load(sys.stdin)
print(json.dumps({"cedar": cedar(given["cedar"], given["requests"]), "casbin": enforcer(given["rules"], given["plain"])}))
