"""Which jobs there are, and what a step of each does."""

from galenic.flows.fhir.bulk_job import COPY, RECORDS, advance_bulk, advance_copy
from galenic.flows.import_job import advance_import
from galenic.flows.quality_job import advance_quality
from galenic.flows.synthesis_job import advance_synthesis
from galenic.store import jobs

KINDS: dict[str, jobs.Advance] = {
    "import": advance_import, "synthesis": advance_synthesis, "quality": advance_quality, RECORDS: advance_bulk, COPY: advance_copy,
}  # fmt: skip
