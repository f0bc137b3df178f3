"""Checks of resources and JSON Patches from clients, before anything is decided or written."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import orjson

from galenic.custody.fhir.messages import FhirResponse, Resource, operation_outcome, outcome_issue
from galenic.errors import InvalidResourceError, RecordError

MOST_CHANGES, LARGEST_PATCHED = 1_000, 2**22
ISSUE_TYPES = {
    "required": "required",
    "code": "code-invalid",
    "reference-unresolved": "not-found",
    "profile-not-checked": "not-supported",
}
ResourceIssue = tuple[str, str, str, str]  # severity, code, expression, text


def parse_resource(raw: bytes, resource_type: str | None = None, base: str = "") -> Resource:
    """Valid resource with numbers exactly as written. Raise InvalidResourceError with all issues, or RecordError if it is not
    JSON.

    base: URL of the FHIR endpoint; references with it are made relative.
    """
    from galenic.records.fhir import parse, references, rename_references  # noqa: PLC0415

    document = parse(raw)
    require_valid(document.resource, resource_type)
    exact = document.exact
    if base and f"{base}/".encode() in raw:
        absolute = [t for t in references(document.resource) if t.startswith(f"{base}/")]
        rename_references(exact, {t: t.removeprefix(f"{base}/") for t in absolute})
    return exact


def require_valid(resource: Resource, resource_type: str | None = None) -> list[ResourceIssue]:
    """Warnings about a resource. Raise InvalidResourceError if it is not valid R4, or has another type."""
    from galenic.records.fhir import validate_resource  # noqa: PLC0415

    if resource_type is not None and resource.get("resourceType") != resource_type:
        raise InvalidResourceError(
            f"the resource is not a {resource_type}, as the URL requires. Send it to the URL of its type.",
            (("error", "invalid", "resourceType", "another type"),),
        )
    issues = tuple((i.level, _issue_type(i.rule), i.expression, i.text) for i in validate_resource(resource))
    if any(i[0] == "error" for i in issues):
        raise InvalidResourceError("the resource is not valid R4. Correct the listed elements.", issues)
    return list(issues)


def _issue_type(rule: str) -> str:
    """The issue type (R4 value set issue-type) of a rule."""
    if rule in ("structure", "json", "resource-type", "choice"):
        return "structure"
    if "-" in rule and rule.rpartition("-")[2].isdecimal():
        return "invariant"
    return ISSUE_TYPES.get(rule, "invalid")


def validate(resource_type: str | None, raw: bytes, profiles: Sequence[str] = ()) -> FhirResponse:
    """$validate operation: an OperationOutcome with the issues of a resource; the status is 200 even if it is invalid.
    profiles: named in the request. A profile that cannot be checked is an issue."""
    from galenic.records.fhir import check_profiles, parse  # noqa: PLC0415

    resource = parse(raw).resource
    if resource.get("resourceType") == "Parameters":
        given = [p for p in resource.get("parameter", ()) if isinstance(p, dict)]
        profiles = [*profiles, *(str(v) for p in given if p.get("name") == "profile" for k, v in p.items() if k != "name")]
        inner = next(
            (p["resource"] for p in given if p.get("name") == "resource" and isinstance(p.get("resource"), dict)), None
        )
        resource = inner or resource
    try:
        issues = require_valid(resource, resource_type)
    except InvalidResourceError as error:
        issues = list(error.issues)
    is_valid = not any(severity == "error" for severity, *_ in issues)
    of_profiles = check_profiles(resource, profiles, is_valid=is_valid)
    issues += [(i.level, _issue_type(i.rule), i.expression, i.text) for i in of_profiles]
    found = [outcome_issue(severity, code, text, expression) for severity, code, expression, text in issues]
    return FhirResponse(
        200, operation_outcome(*(found or [outcome_issue("information", "informational", "no issues were found.")]))
    )


def patch_resource(before: Resource, raw: bytes) -> Resource:
    """Valid resource with a JSON Patch (RFC 6902) applied. Raise RecordError if it is not a JSON Patch, or does not apply."""
    from galenic.records.fhir import write_json  # noqa: PLC0415

    exact = apply_json_patch(before, raw)
    resource_type = before["resourceType"]
    if exact.get("id") != before["id"] or exact.get("resourceType") != resource_type:
        raise InvalidResourceError(
            "a patch cannot change the type or the id. Remove these operations.",
            (("error", "not-supported", f"{resource_type}.id", "cannot be changed"),),
        )
    require_valid(orjson.loads(write_json(exact)), resource_type)
    return exact


def apply_json_patch(before: Resource, raw: bytes) -> Resource:
    """Resource with a JSON Patch applied, unchecked."""
    import jsonpatch  # noqa: PLC0415

    from galenic.records.fhir import write_json  # noqa: PLC0415

    try:
        operations = _parse_patch(raw)
        result: Any = before
        copies = [i + 1 for i, operation in enumerate(operations) if operation.get("op") == "copy"]
        for first, last in pairwise(dict.fromkeys([0, *copies, len(operations)])):
            result = jsonpatch.JsonPatch(operations[first:last]).apply(result)
            if len(write_json(result)) > LARGEST_PATCHED:  # each copy can double the size
                raise RecordError(f"the patched resource has more than {LARGEST_PATCHED:,} bytes. Make it smaller.")
    except (
        jsonpatch.JsonPatchException, jsonpatch.JsonPointerException, ValueError, TypeError, KeyError, RecursionError
    ) as error:  # fmt: skip
        raise RecordError(
            f"the patch does not apply to the resource ({type(error).__name__}). Read the resource again, and correct "
            "the patch (RFC 6902)."
        ) from None
    if not isinstance(result, dict):
        raise RecordError("the patch removes the whole resource. Use DELETE instead.")
    return result


def _parse_patch(raw: bytes) -> list[dict[str, Any]]:
    from galenic.records.fhir import parse_exact  # noqa: PLC0415

    orjson.loads(raw)  # refuses JSON that is nested too deep
    operations: Any = parse_exact(raw)
    if not isinstance(operations, list) or not all(isinstance(o, dict) for o in operations) or len(operations) > MOST_CHANGES:
        raise RecordError(f"a JSON Patch must be a list of at most {MOST_CHANGES:,} operations (RFC 6902).")
    return operations
