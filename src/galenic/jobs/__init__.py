"""Background work: kinds of jobs, the client of their queue, and the worker that performs them."""

from galenic.jobs.bulk_export import (
    ExportRequest,
    ExportStatus,
    TooManyExportsError,
    drop_export,
    export_status,
    read_file,
    request_export,
)
from galenic.jobs.client import all_job_statuses, job_queue, job_status, jobs_url, stop_job, submit_job
from galenic.jobs.cost import BudgetEstimate, CostEstimate
from galenic.jobs.kinds import KINDS, JobKind, estimate_job
from galenic.jobs.progress import JobStatus
from galenic.jobs.quality import quality_page, stored_quality, submit_quality
from galenic.jobs.synthesis import PURPOSE, SynthesisParameters, submit_synthesis, tables_in_custody, target_columns
from galenic.jobs.table_import import import_state
from galenic.jobs.worker import run_worker, running_jobs, worker_process

__all__ = [
    "KINDS",
    "PURPOSE",
    "BudgetEstimate",
    "CostEstimate",
    "ExportRequest",
    "ExportStatus",
    "JobKind",
    "JobStatus",
    "SynthesisParameters",
    "TooManyExportsError",
    "all_job_statuses",
    "drop_export",
    "estimate_job",
    "export_status",
    "import_state",
    "job_queue",
    "job_status",
    "jobs_url",
    "quality_page",
    "read_file",
    "request_export",
    "run_worker",
    "running_jobs",
    "stop_job",
    "stored_quality",
    "submit_job",
    "submit_quality",
    "submit_synthesis",
    "tables_in_custody",
    "target_columns",
    "worker_process",
]
