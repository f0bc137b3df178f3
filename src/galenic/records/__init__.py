"""Reading and writing of patient records: formats, typed tables, descriptions, splits by patient."""

from galenic.records.ccda import HL7, SDTC, XSI, is_ccda, read_ccda, write_ccda
from galenic.records.cell_text import clean_text, is_nested
from galenic.records.column_inference import TableInspection, ambiguous_dates, describe, inspect_table, suspicious
from galenic.records.column_names import is_age_name, is_code_name, is_date_name
from galenic.records.columnar import by_subject, pack, type_of, unpack, unpack_all
from galenic.records.data_frame import FrameLike
from galenic.records.demonstration import demo_columns, demo_description, demo_table
from galenic.records.description import (
    constraints_from_toml,
    drops_others,
    from_toml,
    read_constraints,
    read_description,
    to_toml,
    undescribed,
)
from galenic.records.fhir_format import fhir_files, file_names, other_files
from galenic.records.flatten_tables import ancestor_column, flatten, inherited, own_columns, previous_column, previous_row
from galenic.records.format import EventSource, Format, WriteResult
from galenic.records.formats import FORMATS, kind_of
from galenic.records.gc import freeze_gc, paused_gc
from galenic.records.links import refuse_links
from galenic.records.mapping import events_of, parse_mapping, read_mapping
from galenic.records.meds import CODES, ORDER, VERSION, as_timeline, read_codes_whole, read_meds, read_whole, write_meds
from galenic.records.number_formats import NUMBER_FORMATS, number_format
from galenic.records.omop import Omop
from galenic.records.omop_model import VOCABULARY
from galenic.records.omop_write import OmopWriter
from galenic.records.parse import DATE_FORMATS, INTEGER, LEADING_ZERO, NUMBER, matches, parse_dates
from galenic.records.patient_column import patient_columns, repeated_instead
from galenic.records.reader import as_source, read
from galenic.records.relations import SyntheticTables, TableDeclaration, read_relations
from galenic.records.source import Source, in_memory
from galenic.records.split import (
    PatientNumbers,
    Split,
    cap_rows,
    draw_held_out,
    patient_numbers,
    split_as_given,
    split_by_patient,
    split_related,
)
from galenic.records.table_format import write_events_csv, write_events_parquet
from galenic.records.unit_conversion import convert
from galenic.records.writer import escape_formulas, write, write_frame, write_stream

__all__ = [
    "CODES",
    "DATE_FORMATS",
    "FORMATS",
    "HL7",
    "INTEGER",
    "LEADING_ZERO",
    "NUMBER",
    "NUMBER_FORMATS",
    "ORDER",
    "SDTC",
    "VERSION",
    "VOCABULARY",
    "XSI",
    "EventSource",
    "Format",
    "FrameLike",
    "Omop",
    "OmopWriter",
    "PatientNumbers",
    "Source",
    "Split",
    "SyntheticTables",
    "TableDeclaration",
    "TableInspection",
    "WriteResult",
    "ambiguous_dates",
    "ancestor_column",
    "as_source",
    "as_timeline",
    "by_subject",
    "cap_rows",
    "clean_text",
    "constraints_from_toml",
    "convert",
    "demo_columns",
    "demo_description",
    "demo_table",
    "describe",
    "draw_held_out",
    "drops_others",
    "escape_formulas",
    "events_of",
    "fhir_files",
    "file_names",
    "flatten",
    "freeze_gc",
    "from_toml",
    "in_memory",
    "inherited",
    "inspect_table",
    "is_age_name",
    "is_ccda",
    "is_code_name",
    "is_date_name",
    "is_nested",
    "kind_of",
    "matches",
    "number_format",
    "other_files",
    "own_columns",
    "pack",
    "parse_dates",
    "parse_mapping",
    "patient_columns",
    "patient_numbers",
    "paused_gc",
    "previous_column",
    "previous_row",
    "read",
    "read_ccda",
    "read_codes_whole",
    "read_constraints",
    "read_description",
    "read_mapping",
    "read_meds",
    "read_relations",
    "read_whole",
    "refuse_links",
    "repeated_instead",
    "split_as_given",
    "split_by_patient",
    "split_related",
    "suspicious",
    "to_toml",
    "type_of",
    "undescribed",
    "unpack",
    "unpack_all",
    "write",
    "write_ccda",
    "write_events_csv",
    "write_events_parquet",
    "write_frame",
    "write_meds",
    "write_stream",
]
