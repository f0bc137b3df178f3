"""Background work: the worker process, job kinds, progress."""

from galenic.jobs.bulk_export import (
    ExportRequest,
    ExportStatus,
    TooManyExportsError,
    drop_export,
    export_status,
    read_file,
    request_export,
)
from galenic.jobs.kinds import KINDS
from galenic.jobs.quality import quality_page, stored_quality, submit_quality
from galenic.jobs.synthesis import PURPOSE, estimate_job_cost, submit_synthesis, tables_in_custody
from galenic.jobs.table_import import import_state, jobs_url
from galenic.jobs.worker import JobStatus, all_job_statuses, job_status, run_worker, stop_job, worker_process

__all__ = [
    "KINDS",
    "PURPOSE",
    "ExportRequest",
    "ExportStatus",
    "JobStatus",
    "TooManyExportsError",
    "all_job_statuses",
    "drop_export",
    "estimate_job_cost",
    "export_status",
    "import_state",
    "job_status",
    "jobs_url",
    "quality_page",
    "read_file",
    "request_export",
    "run_worker",
    "stop_job",
    "stored_quality",
    "submit_quality",
    "submit_synthesis",
    "tables_in_custody",
    "worker_process",
]
