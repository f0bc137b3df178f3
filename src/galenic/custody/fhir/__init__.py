"""FHIR R4 repository over the encrypted record store: each interaction runs under one access decision per patient."""

from galenic.custody.fhir.audit_event_search import read_audit_event, search_audit_events
from galenic.custody.fhir.erasure import forget_in_indexes
from galenic.custody.fhir.messages import (
    DECISION,
    FhirResponse,
    RequestContext,
    instant,
    issue,
    now_micros,
    outcome,
    shown,
    updated_of,
)
from galenic.custody.fhir.patient_everything import patient_everything
from galenic.custody.fhir.patient_timeline import TimelineEntry, emergency_timeline, patient_timeline
from galenic.custody.fhir.reading import history, read, version
from galenic.custody.fhir.repository import FhirRepository, directory, open_repository
from galenic.custody.fhir.searching import search
from galenic.custody.fhir.transactions import transact, version_of
from galenic.custody.fhir.writing import create, delete, delete_where, patch, update, update_where, validate

__all__ = [
    "DECISION",
    "FhirRepository",
    "FhirResponse",
    "RequestContext",
    "TimelineEntry",
    "create",
    "delete",
    "delete_where",
    "directory",
    "emergency_timeline",
    "forget_in_indexes",
    "history",
    "instant",
    "issue",
    "now_micros",
    "open_repository",
    "outcome",
    "patch",
    "patient_everything",
    "patient_timeline",
    "read",
    "read_audit_event",
    "search",
    "search_audit_events",
    "shown",
    "transact",
    "update",
    "update_where",
    "updated_of",
    "validate",
    "version",
    "version_of",
]
