"""Data sets under access decisions: import, export, timelines, search index, FHIR repository, backup, erasure."""

from galenic.custody.access import (
    HOME,
    RoleScope,
    end_care_relation,
    give_role_to_account,
    grant_role,
    initialize,
    make_key,
    record_approval,
    record_care_relation,
    record_consent,
    withdraw_approval,
    withdraw_consent,
    withdraw_role,
)
from galenic.custody.backup import recover_root, restore_backup, rotate_keys, write_backup
from galenic.custody.bulk_files import BULK_BUILD, drop_bulk
from galenic.custody.care_relations import (
    CARE_ROLES,
    MOST_CARE_ROWS,
    CareChange,
    approve_care,
    change_care_relations,
    current_care,
    end_of_relation,
    proposed_care,
    reject_care,
    require_care_account,
    require_no_accounts,
    require_other_person,
)
from galenic.custody.consent_changes import (
    ConsentChange,
    change_consents,
    consent_purposes,
    end_of_consent,
    require_consent_purpose,
)
from galenic.custody.datasets import find_patient, training_source
from galenic.custody.deidentified_copy import CopySource, open_copy_source, reveal_token
from galenic.custody.emergency_review import EmergencyAccess, emergency_accesses, read_emergency
from galenic.custody.erasure import backup_folders, destroy_key, forget, forget_in_backups
from galenic.custody.erasure_preview import ErasurePreview, preview_erasure, preview_erasure_of
from galenic.custody.event_buffer import EventReader
from galenic.custody.event_readers import EVENT_READERS
from galenic.custody.exporter import Exporter, ExportResult
from galenic.custody.exporters import EXPORTERS, default_form, export_records
from galenic.custody.fhir_import import EXAMPLES, import_fhir
from galenic.custody.importer import (
    ColumnDifferences,
    Importer,
    ImportPlan,
    ImportRequest,
    ImportResult,
    RowRange,
)
from galenic.custody.importers import IMPORTERS, importer_for
from galenic.custody.index_check import IndexCheck, check_index
from galenic.custody.omop_meds_import import import_meds, import_omop
from galenic.custody.populations import budget_statements, changed_outside, declare_population
from galenic.custody.quality_measurement import Page, drop_quality, measure_dataset, page_file, page_id
from galenic.custody.search_index import build_index, drop_index, search_rows
from galenic.custody.service_accounts import SERVER, initialize_if_new, server_session, short_server_session
from galenic.custody.subject_access import own_record, own_record_of, record_text, subject_overview, write_own_record
from galenic.custody.table_description import SourceDescription, describe_source
from galenic.custody.table_import import import_table
from galenic.custody.timelines import Timelines, open_timelines, read_timelines

__all__ = [
    "BULK_BUILD",
    "CARE_ROLES",
    "EVENT_READERS",
    "EXAMPLES",
    "EXPORTERS",
    "HOME",
    "IMPORTERS",
    "MOST_CARE_ROWS",
    "SERVER",
    "CareChange",
    "ColumnDifferences",
    "ConsentChange",
    "CopySource",
    "EmergencyAccess",
    "ErasurePreview",
    "EventReader",
    "ExportResult",
    "Exporter",
    "ImportPlan",
    "ImportRequest",
    "ImportResult",
    "Importer",
    "IndexCheck",
    "Page",
    "RoleScope",
    "RowRange",
    "SourceDescription",
    "Timelines",
    "approve_care",
    "backup_folders",
    "budget_statements",
    "build_index",
    "change_care_relations",
    "change_consents",
    "changed_outside",
    "check_index",
    "consent_purposes",
    "current_care",
    "declare_population",
    "default_form",
    "describe_source",
    "destroy_key",
    "drop_bulk",
    "drop_index",
    "drop_quality",
    "emergency_accesses",
    "end_care_relation",
    "end_of_consent",
    "end_of_relation",
    "export_records",
    "find_patient",
    "forget",
    "forget_in_backups",
    "give_role_to_account",
    "grant_role",
    "import_fhir",
    "import_meds",
    "import_omop",
    "import_table",
    "importer_for",
    "initialize",
    "initialize_if_new",
    "make_key",
    "measure_dataset",
    "open_copy_source",
    "open_timelines",
    "own_record",
    "own_record_of",
    "page_file",
    "page_id",
    "preview_erasure",
    "preview_erasure_of",
    "proposed_care",
    "read_emergency",
    "read_timelines",
    "record_approval",
    "record_care_relation",
    "record_consent",
    "record_text",
    "recover_root",
    "reject_care",
    "require_care_account",
    "require_consent_purpose",
    "require_no_accounts",
    "require_other_person",
    "restore_backup",
    "reveal_token",
    "rotate_keys",
    "search_rows",
    "server_session",
    "short_server_session",
    "subject_overview",
    "training_source",
    "withdraw_approval",
    "withdraw_consent",
    "withdraw_role",
    "write_backup",
    "write_own_record",
]
