"""Quality of records: conformance, completeness, plausibility (Kahn et al. 2016, eGEMs 4(1):18), with places and advice."""

from galenic.records.quality.analytes import ANALYTES, Analyte, analyte_of
from galenic.records.quality.duplicates import find_duplicates
from galenic.records.quality.events import measure_events
from galenic.records.quality.measurement import TABLE_ALONE, QualityRequest, measure_files, shipped_floor
from galenic.records.quality.page import render_page
from galenic.records.quality.population import drift, read_reference, representativeness
from galenic.records.quality.repair import repair_units
from galenic.records.quality.result import TableQuality
from galenic.records.quality.tables import measure_table
from galenic.records.quality.units import Mix, find_mix

__all__ = [
    "ANALYTES",
    "TABLE_ALONE",
    "Analyte",
    "Mix",
    "QualityRequest",
    "TableQuality",
    "analyte_of",
    "drift",
    "find_duplicates",
    "find_mix",
    "measure_events",
    "measure_files",
    "measure_table",
    "read_reference",
    "render_page",
    "repair_units",
    "representativeness",
    "shipped_floor",
]
