"""FHIR R4: definitions, parsing, validation, search parameters, conversion to and from events, and flat views."""

from galenic.records.fhir.bundle import open_bundle
from galenic.records.fhir.compartment import compartment_of, identifier_searches, references
from galenic.records.fhir.definitions import r4
from galenic.records.fhir.file_validation import ValidationResult, documents_of, validate_files
from galenic.records.fhir.from_events import MAPPED, SYNTHETIC, Origin, events_to_resources
from galenic.records.fhir.links import base_of, rename_links
from galenic.records.fhir.parsing import (
    Document,
    ExactNumber,
    is_ndjson,
    lines,
    parse,
    parse_exact,
    read_ndjson,
    read_whole,
    write_json,
)
from galenic.records.fhir.preparation import PreparedDocument, PreparedResource, count_types, names_in_bundle, prepare_document
from galenic.records.fhir.profiles import check_profiles
from galenic.records.fhir.search_parameters import search_parameters_of
from galenic.records.fhir.search_request import conditions_of, parse_search
from galenic.records.fhir.search_values import date_range, normalize_text, search_values_of
from galenic.records.fhir.source_server import SourceServer
from galenic.records.fhir.stored_resource import display_of, rename_references, restore_resource
from galenic.records.fhir.to_events import resource_to_events
from galenic.records.fhir.validation import validate_resource
from galenic.records.fhir.views import flatten_resource
from galenic.records.fhir.writer import FhirWriter

__all__ = [
    "MAPPED",
    "SYNTHETIC",
    "Document",
    "ExactNumber",
    "FhirWriter",
    "Origin",
    "PreparedDocument",
    "PreparedResource",
    "SourceServer",
    "ValidationResult",
    "base_of",
    "check_profiles",
    "compartment_of",
    "conditions_of",
    "count_types",
    "date_range",
    "display_of",
    "documents_of",
    "events_to_resources",
    "flatten_resource",
    "identifier_searches",
    "is_ndjson",
    "lines",
    "names_in_bundle",
    "normalize_text",
    "open_bundle",
    "parse",
    "parse_exact",
    "parse_search",
    "prepare_document",
    "r4",
    "read_ndjson",
    "read_whole",
    "references",
    "rename_links",
    "rename_references",
    "resource_to_events",
    "restore_resource",
    "search_parameters_of",
    "search_values_of",
    "validate_files",
    "validate_resource",
    "write_json",
]
