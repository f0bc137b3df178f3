"""Compiles R4's search parameters into src/galenic/records/fhir/search.json.gz: python scripts/compile_search.py FOLDER.

FOLDER: as of compile_fhir.py. Kept of each parameter: code, type, what a reference may name, and its expression as paths: lists of
steps, each the name of an element, ":Type" (as a type), "@Type" (a reference to that type), "name=value" (where), "[0]", or
"exists" (whether there is any, and it is not false). Those of the package's own server are not among them.
"""

import gzip
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from compile_fhir import SOURCE, load, tree

OUT = Path(__file__).parents[1] / "src" / "galenic" / "records" / "fhir" / "search.json.gz"
SPECIAL = {"_query", "_content", "_text", "_list", "_filter"}  # not by an expression


def paths(node: Any) -> list[list[str]]:
    """The alternatives of an expression."""
    kind = node[0]
    if kind == "op" and node[1] == "|":
        return paths(node[2]) + paths(node[3])
    if kind == "op" and node[1] == "and":  # Patient.deceased.exists() and Patient.deceased != false
        return [[*path[:-1], "exists"] for path in paths(node[2])]
    if kind == "path":
        return [[*p, node[2]] for p in (paths(node[1]) if node[1] else [[]])]
    if kind == "type":
        *_, name = node
        assert node[2] in ("as", "ofType"), node
        return [[*p, f":{name}"] for p in paths(node[1])]
    if kind == "index":
        return [[*p, f"[{node[2][1]}]"] for p in paths(node[1])]
    if kind == "call" and node[2] == "where":
        return [[*p, _where(node[3][0])] for p in paths(node[1])]
    if kind == "call" and node[2] in ("exists", "as"):
        return [[*p, "exists"] for p in paths(node[1])] if node[2] == "exists" else _as(node)
    if kind == "constant":
        return [["%" + node[1]]]
    if kind == "this":
        return [[]]
    raise ValueError(node)


def _as(node: Any) -> list[list[str]]:
    return [[*p, f":{node[3][0][2]}"] for p in paths(node[1])]


def _where(node: Any) -> str:
    if node[0] == "type":  # resolve() is Patient
        return f"@{node[3]}"
    assert node[0] == "op" and node[1] == "=", node
    return f"{node[2][2]}={node[3][1]}"


def _with_base(parts: list[list[str]]) -> list[list[str]]:
    return [p for p in parts if p]


def main(folder: Path) -> None:
    """Writes the compiled file."""
    found: dict[str, dict[str, Any]] = {}
    by_url = {p["url"]: p for p in load(folder, "search-parameters.json")}
    seen: Counter[str] = Counter()
    for one in by_url.values():
        if one["code"] in SPECIAL or not one.get("expression"):
            continue
        for base in one["base"]:
            every = _with_base(paths(tree(one["expression"])))
            own = [p[1:] for p in every if p[0] in (base, "Resource", "DomainResource")]
            about: dict[str, Any] = {"type": one["type"], "paths": own}
            if one.get("target") and len(one["target"]) < 100:  # more: any
                about["target"] = one["target"]
            if one.get("component"):
                about["component"] = [[by_url[c["definition"]]["code"], paths(tree(c["expression"]))] for c in one["component"]]
            about["url"] = one["url"]
            if own:
                found.setdefault(base, {})[one["code"]] = about
                seen[one["type"]] += 1
    data = {"source": SOURCE, "parameters": found}
    text = json.dumps(data, separators=(",", ":"), sort_keys=True)
    with OUT.open("wb") as raw, gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0, compresslevel=9) as out:
        out.write(text.encode())
    print(f"{len(found)} types, {dict(seen)}; {OUT}: {OUT.stat().st_size:,} bytes of {len(text):,}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
