"""Rows of the audit log as FHIR R4 AuditEvent resources."""

from typing import Any

from galenic.security.audit import AuditEntry

DICOM, REST = "http://dicom.nema.org/resources/ontology/DCM", "http://hl7.org/fhir/restful-interaction"
SOURCE = "http://terminology.hl7.org/CodeSystem/security-source-type"
TYPES = {  # AuditEvent.type (R4 value set audit-event-type, DICOM PS3.16 CID 400)
    "gate": ("110106", "Export"),
    "session": ("110114", "User Authentication"),
    "fact": ("110113", "Security Alert"),
    "policy": ("110113", "Security Alert"),
    "key": ("110113", "Security Alert"),
}
ACTIONS = {"import": "C", "write": "U", "erase": "D", "administer": "E", "train": "E", "index": "E"}
OUTCOMES = {"allowed": "0", "done": "0", "denied": "4", "cut": "4", "refused": "4", "failed": "8"}


def to_audit_event(entry: AuditEntry) -> dict[str, Any]:
    """The AuditEvent of one row (FHIR R4, 6.4): type, action, recorded, outcome, agent, source, entity."""
    family = entry.action.partition(".")[0]
    verb = str(entry.detail.get("verb", ""))
    if family == "gate":
        code, display = {"export": ("110106", "Export"), "import": ("110107", "Import"), "search": ("110112", "Query")}.get(
            verb, ("110110", "Patient Record")
        )
    else:
        code, display = TYPES.get(family, ("110100", "Application Activity"))
    event: dict[str, Any] = {
        "resourceType": "AuditEvent",
        "id": f"galenic-{entry.seq}",
        "type": {"system": DICOM, "code": code, "display": display},
        "subtype": [{"system": "https://galenic.dev/audit", "code": entry.action}],
        "action": ACTIONS.get(verb, "R" if family == "gate" else "E"),
        "recorded": entry.time,
        "outcome": OUTCOMES.get(entry.outcome, "0"),
        "agent": [{"who": {"identifier": {"value": entry.actor}}, "requestor": True}],
        "source": {
            "observer": {"display": "Galenic"},
            "type": [{"system": SOURCE, "code": "4", "display": "Application Server"}],
        },
        "entity": [{"what": {"identifier": {"value": entry.resource or "house"}}}],
    }
    roles = entry.detail.get("roles") or []
    if roles:
        event["agent"][0]["role"] = [{"text": role} for role in roles]
    if entry.detail.get("purpose"):
        event["purposeOfEvent"] = [{"text": str(entry.detail["purpose"])}]
    known = {k: v for k, v in entry.detail.items() if isinstance(v, str | int | float | bool) and k not in ("purpose",)}
    if known:
        event["entity"][0]["detail"] = [{"type": k, "valueString": str(v)} for k, v in sorted(known.items())]
    return event
