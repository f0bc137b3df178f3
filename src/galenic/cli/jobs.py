"""The commands of background work: durable jobs, the worker, metrics."""

import sys
from typing import Annotated

import typer

from galenic import store
from galenic.cli import show
from galenic.cli.options import Json
from galenic.installation import Installation, open_installation
from galenic.jobs import job_queue, run_worker, running_jobs

MOST_LISTED = 10_000
commands = typer.Typer()


@commands.command(epilog="Example: galenic jobs --work")
def jobs(
    work: Annotated[bool, typer.Option(help="Take up what dead processes left, and wait for it.")] = False,
    cancel: Annotated[str, typer.Option(help="Stop this job after its step.")] = "",
    resume: Annotated[str, typer.Option(help="Go on with this job, and wait for it.")] = "",
    as_json: Json = False,
) -> None:
    """List durable jobs; cancel or resume one."""
    installation = open_installation()
    with job_queue(installation) as queue:
        if cancel:
            queue.cancel(cancel)
        if work or resume:
            _perform(installation, resume, all_left=work)
        every = queue.all(MOST_LISTED)[::-1]
    if as_json:
        show.print_json([_job_json(job) for job in every])
        return
    for job in every:
        show.out.print(f"{job.id}  {job.kind}  {job.state}  {job.share:.0%}  {job.steps} steps")


def _perform(installation: Installation, resume: str, *, all_left: bool) -> None:
    """Goes on with a job that was cancelled or has failed, and with all that dead processes left, and waits for them."""
    with running_jobs(installation) as runner:
        if resume:
            runner.resume(resume)
        for job in runner.all():
            if (all_left and job.state == "PENDING") or job.id == resume:
                runner.wait(job.id)


def _job_json(job: store.jobs.Job) -> dict[str, object]:
    return {"id": job.id, "kind": job.kind, "state": job.state, "share": job.share, "steps": job.steps, "kept": job.data}


@commands.command("work", epilog="Example: galenic work < /dev/null")
def work() -> None:
    """Do what people ask for in the console, without network, until standard input ends. `serve` starts one of its own."""
    installation = open_installation()
    try:
        run_worker(installation, sys.stdin)
    finally:
        installation.close()


@commands.command(epilog="Example: galenic metrics")
def metrics() -> None:
    """Metrics of this process in Prometheus' text format."""
    typer.echo(store.telemetry.metrics(), nl=False)
