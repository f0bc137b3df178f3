"""FHIR R4 repository over the encrypted record store: each interaction runs under one access decision per patient."""

from galenic.custody.fhir.audit_event_search import read_audit_event, search_audit_events
from galenic.custody.fhir.bundle_entries import parse_etag
from galenic.custody.fhir.erasure import count_references, forget
from galenic.custody.fhir.index_files import damaged_index
from galenic.custody.fhir.index_update import IndexBehindError
from galenic.custody.fhir.messages import (
    DECISION_EXTENSION,
    FhirResponse,
    RequestContext,
    format_instant,
    last_updated,
    operation_outcome,
    outcome_issue,
    serialize,
)
from galenic.custody.fhir.patient_everything import patient_everything
from galenic.custody.fhir.patient_lookup import (
    is_resource_id,
    matching_subjects,
    patient_ids,
    subject_by_identifier,
    subjects_in_ward,
)
from galenic.custody.fhir.patient_timeline import TimelineEntry, emergency_timeline, patient_timeline, recent_patients
from galenic.custody.fhir.reading import read, read_version
from galenic.custody.fhir.repository import FhirRepository, open_repository, repository_as_it_is, types_without_patient
from galenic.custody.fhir.resource_checks import validate
from galenic.custody.fhir.scope_types import require_known_types
from galenic.custody.fhir.searching import search
from galenic.custody.fhir.transactions import process_bundle
from galenic.custody.fhir.version_history import read_history
from galenic.custody.fhir.writing import create, delete, delete_where, patch, update, update_where

__all__ = [
    "DECISION_EXTENSION",
    "FhirRepository",
    "FhirResponse",
    "IndexBehindError",
    "RequestContext",
    "TimelineEntry",
    "count_references",
    "create",
    "damaged_index",
    "delete",
    "delete_where",
    "emergency_timeline",
    "forget",
    "format_instant",
    "is_resource_id",
    "last_updated",
    "matching_subjects",
    "open_repository",
    "operation_outcome",
    "outcome_issue",
    "parse_etag",
    "patch",
    "patient_everything",
    "patient_ids",
    "patient_timeline",
    "process_bundle",
    "read",
    "read_audit_event",
    "read_history",
    "read_version",
    "recent_patients",
    "repository_as_it_is",
    "require_known_types",
    "search",
    "search_audit_events",
    "serialize",
    "subject_by_identifier",
    "subjects_in_ward",
    "types_without_patient",
    "update",
    "update_where",
    "validate",
]
