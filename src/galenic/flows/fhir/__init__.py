"""FHIR R4 over the store: each interaction under decisions about one patient each."""

from galenic.flows.fhir.answer import Answer, Asking, issue, outcome
from galenic.flows.fhir.audit_events import audit_events, read_audit_event
from galenic.flows.fhir.everything import everything
from galenic.flows.fhir.facade import Facade, open_facade
from galenic.flows.fhir.read import history, read, version
from galenic.flows.fhir.search import search
from galenic.flows.fhir.timeline import Event, emergency, timeline
from galenic.flows.fhir.transact import transact
from galenic.flows.fhir.write import create, delete, delete_where, patch, update, update_where, validate

__all__ = [
    "Answer",
    "Asking",
    "Event",
    "Facade",
    "audit_events",
    "create",
    "delete",
    "delete_where",
    "emergency",
    "everything",
    "history",
    "issue",
    "open_facade",
    "outcome",
    "patch",
    "read",
    "read_audit_event",
    "search",
    "timeline",
    "transact",
    "update",
    "update_where",
    "validate",
    "version",
]
