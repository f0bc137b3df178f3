"""The commands of background jobs."""

from typing import Annotated

import typer

from galenic import store
from galenic.cli import show
from galenic.cli.options import Json
from galenic.installation import Installation, open_installation
from galenic.jobs import job_queue, running_jobs

MOST_LISTED = 10_000
commands = typer.Typer(help="List, cancel and resume background jobs.", no_args_is_help=True)
JobId = Annotated[str, typer.Argument(metavar="JOB", help="Id of the job, as in: galenic jobs list")]


@commands.command("list", epilog="Example: galenic jobs list")
def list_(as_json: Json = False) -> None:
    """List background jobs, oldest first."""
    _print_jobs(open_installation(), as_json)


@commands.command(epilog="Example: galenic jobs cancel 2f1c8a44-7d1e-4b7c-9a55-0d3e6c1b2a90")
def cancel(job: JobId, as_json: Json = False) -> None:
    """Cancel a job. It stops after the step that it is working on."""
    installation = open_installation()
    with job_queue(installation) as queue:
        queue.cancel(job)
    _print_jobs(installation, as_json, job)


@commands.command(epilog="Example: galenic jobs resume 2f1c8a44-7d1e-4b7c-9a55-0d3e6c1b2a90")
def resume(job: JobId, as_json: Json = False) -> None:
    """Resume a job that was canceled or has failed, and wait until it ends."""
    installation = open_installation()
    with running_jobs(installation) as runner:
        runner.resume(job)
        runner.wait(job)
    _print_jobs(installation, as_json, job)


@commands.command(epilog="Example: galenic jobs run")
def run(as_json: Json = False) -> None:
    """Finish the jobs of processes that were killed, and wait until they end."""
    installation = open_installation()
    with running_jobs(installation) as runner:
        for job in runner.all():
            if job.state == "PENDING":
                runner.wait(job.id)
    _print_jobs(installation, as_json)


def _print_jobs(installation: Installation, as_json: bool, job: str = "") -> None:
    """Prints one job, or all of them."""
    with job_queue(installation) as queue:
        jobs = [queue.get(job)] if job else queue.all(MOST_LISTED)[::-1]
    if as_json:
        show.print_json([_job_json(job) for job in jobs])
        return
    for each in jobs:
        show.out.print(f"{each.id}  {each.kind}  {each.state}  {each.share:.0%}  {each.steps} steps")


def _job_json(job: store.jobs.Job) -> dict[str, object]:
    return {"id": job.id, "kind": job.kind, "state": job.state, "share": job.share, "steps": job.steps, "kept": job.data}
