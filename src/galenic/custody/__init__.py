"""Data sets under access decisions: import, export, timelines, search index, FHIR repository, backup, erasure."""

from galenic.custody.backup import backup, recover_root, restore, rotate
from galenic.custody.bulk_files import BULK_BUILD, drop_bulk
from galenic.custody.datasets import (
    Imported,
    build_index,
    drop_index,
    export_table,
    find_patient,
    grant_role,
    import_table,
    initialize,
    own_record,
    record_approval,
    record_care_relation,
    record_consent,
    search_index,
    training_source,
    withdraw_role,
)
from galenic.custody.document_import import Taken, import_meds, import_omop
from galenic.custody.export import FORMS, ExportResult, FhirWriter, export_records, people_in
from galenic.custody.fhir_import import Received, import_fhir
from galenic.custody.service_accounts import EVERYTHING, SERVER, add_client, init_if_new, server_session
from galenic.custody.timelines import Timelines, timelines, timelines_within

__all__ = [
    "BULK_BUILD",
    "EVERYTHING",
    "FORMS",
    "SERVER",
    "ExportResult",
    "FhirWriter",
    "Imported",
    "Received",
    "Taken",
    "Timelines",
    "add_client",
    "backup",
    "build_index",
    "drop_bulk",
    "drop_index",
    "export_records",
    "export_table",
    "find_patient",
    "grant_role",
    "import_fhir",
    "import_meds",
    "import_omop",
    "import_table",
    "init_if_new",
    "initialize",
    "own_record",
    "people_in",
    "record_approval",
    "record_care_relation",
    "record_consent",
    "recover_root",
    "restore",
    "rotate",
    "search_index",
    "server_session",
    "timelines",
    "timelines_within",
    "training_source",
    "withdraw_role",
]
