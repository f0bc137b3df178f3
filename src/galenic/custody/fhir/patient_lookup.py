"""Lookup of patients for administration: subject ids by record id or identifier, or of a ward. No record is read."""

import re

from galenic import store
from galenic.custody.fhir.repository import FhirRepository
from galenic.errors import OptionError, UnknownNameError

RESOURCE_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}\Z")
MOST_PATIENTS = 2_000  # of a ward
PRESENT = "arrived,triaged,in-progress,onleave"  # states of encounters of patients who are there
WARDS = {"Location": "location", "Organization": "service-provider"}  # search parameter of Encounter by type


def subject_by_identifier(repository: FhirRepository, text: str) -> int:
    """The subject id of the patient with a record id or an identifier (VALUE or SYSTEM|VALUE). UnknownNameError for nobody, and for
    several."""
    wanted = text.strip()
    found = set()
    if RESOURCE_ID.match(wanted):
        location = repository.locate(f"Patient/{wanted}")
        if location is not None and location.is_live:
            found.add(location.subject)
    if wanted:
        found |= matching_subjects(repository, "Patient", [("identifier", wanted)], 2)
    if len(found) == 1:
        return found.pop()
    if found:
        raise UnknownNameError("several patients have this identifier. Write it as SYSTEM|VALUE, or use the record id.")
    raise UnknownNameError("no patient has this record id or identifier. Check it, or import the record first.")


def subjects_in_ward(repository: FhirRepository, ward: str) -> list[int]:
    """Subject ids of the patients with an encounter in progress at a ward. ward: Location/ID or Organization/ID."""
    kind, _, resource_id = ward.strip().partition("/")
    if kind not in WARDS or not RESOURCE_ID.match(resource_id):
        raise OptionError("a ward is written as Location/ID or Organization/ID.")
    parameters = [(WARDS[kind], f"{kind}/{resource_id}"), ("status", PRESENT)]
    found = matching_subjects(repository, "Encounter", parameters, MOST_PATIENTS + 1)
    if not found:
        raise UnknownNameError("no patient has an encounter in progress at this ward. Check the ward, or enter the patients.")
    if len(found) > MOST_PATIENTS:
        raise OptionError(f"more than {MOST_PATIENTS:,} patients are at this ward. Use a CSV file for a part of them.")
    return sorted(found)


def matching_subjects(repository: FhirRepository, resource_type: str, parameters: list[tuple[str, str]], most: int) -> set[int]:
    """Subject ids of patients with a matching resource, by the search index alone."""
    from galenic.records.fhir import parse_search  # noqa: PLC0415

    repository.refresh()
    hits = repository.first_matches(parse_search(resource_type, parameters), most)
    return {h.subject for h in hits if h.is_patient and h.subject != store.NO_SUBJECT}


def is_resource_id(text: str) -> bool:
    """Whether a text can be the id of a resource."""
    return bool(RESOURCE_ID.match(text))


def patient_ids(repository: FhirRepository, wanted: dict[str, str]) -> list[str]:
    """Ids of at most two patients who match all of identifier (or record id), name and birthdate. No record is read."""
    from galenic.records.fhir import parse_search  # noqa: PLC0415

    repository.refresh()
    identifier = wanted.get("identifier", "")
    ways = [list(wanted.items())]
    if is_resource_id(identifier):
        ways.append([("_id" if k == "identifier" else k, v) for k, v in wanted.items()])
    found: dict[str, None] = {}
    for way in ways:
        hits = repository.first_matches(parse_search("Patient", way), 2)
        found |= dict.fromkeys(h.name.partition("/")[2] for h in hits)
    return list(found)
