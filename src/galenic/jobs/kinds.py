"""Which jobs there are, and what a step of each does."""

from galenic.jobs.bulk_steps import COPY, RECORDS, advance_bulk, advance_copy
from galenic.jobs.quality import advance_quality
from galenic.jobs.synthesis import advance_synthesis
from galenic.jobs.table_import import advance_import
from galenic.store import jobs

KINDS: dict[str, jobs.Advance] = {
    "import": advance_import, "synthesis": advance_synthesis, "quality": advance_quality, RECORDS: advance_bulk, COPY: advance_copy,
}  # fmt: skip
