"""Data sets with their quality, synthesis as a guided job, jobs and keys."""

import os
import tempfile
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Request, UploadFile
from fastapi.responses import HTMLResponse, Response

from galenic import records, store
from galenic.custody import ImportRequest, import_table, record_consent, rotate_keys
from galenic.errors import GalenicError, OptionError, UnknownNameError
from galenic.jobs import (
    PURPOSE,
    JobStatus,
    SynthesisParameters,
    all_job_statuses,
    estimate_job,
    job_status,
    quality_page,
    stop_job,
    stored_quality,
    submit_quality,
    submit_synthesis,
    tables_in_custody,
)
from galenic.security import NAME
from galenic.server.console.dashboard import number, page_of
from galenic.server.console.session import PAPER, Console, SignedIn, clean_message, redirect_to

Word = Annotated[str, Form(max_length=400)]
LOOKS = ("researcher", "data-scientist", "privacy-officer", "integration-engineer", "auditor")
LEARNS = ("researcher", "data-scientist", "privacy-officer")
BRINGS = ("integration-engineer",)
POLICIES = ("internal", "partner", "public")
AGREED = ("yes", "true", "1", "given")
SHOWN_JOBS = 50
MOST_ROWS = 2_000_000  # of a table that is brought in by a page


class DataPages:
    """The pages of data sets, synthesis, jobs and keys."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.installation = console.installation

    def routes(self) -> APIRouter:
        """Every address."""
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/data", self.datasets, methods=["GET"], response_model=None)
        router.add_api_route("/data/bring", self.bring, methods=["POST"], response_model=None)
        router.add_api_route("/data/{name}/quality", self.quality, methods=["GET"], response_model=None)
        router.add_api_route("/data/{name}/quality", self.measure, methods=["POST"], response_model=None)
        router.add_api_route("/synthesis", self.guide, methods=["GET"], response_model=None)
        router.add_api_route("/synthesis/cost", self.cost, methods=["POST"], response_model=None)
        router.add_api_route("/synthesis", self.start, methods=["POST"], response_model=None)
        router.add_api_route("/jobs", self.jobs, methods=["GET"], response_model=None)
        router.add_api_route("/jobs/{job}", self.job, methods=["GET"], response_model=None)
        router.add_api_route("/jobs/{job}/now", self.now, methods=["GET"], response_model=None)
        router.add_api_route("/jobs/{job}/stop", self.stop, methods=["POST"], response_model=None)
        router.add_api_route("/keys", self.keys, methods=["GET"], response_model=None)
        router.add_api_route("/keys/rotate", self.rotate, methods=["POST"], response_model=None)
        return router

    # data sets

    def datasets(self, request: Request, said: str = "", find: str = "", page: int = 1) -> Response:
        """Every data set in custody."""
        said = clean_message(said)
        signed, told = self.console.required(request, *LOOKS), {"text": said, "bad": False} if said else None
        return self._datasets(request, signed, told, find=find, page=page)

    def _datasets(
        self, request: Request, signed: SignedIn, said: object = None, status: int = 200, *, find: str = "", page: int = 1
    ) -> Response:
        every = (d for d in store.list_datasets(self.installation.db, signed.session.tenant) if find in str(d["name"]))
        shown, more = page_of(every, page)
        found = [{**d, "quality": stored_quality(self.installation, str(d["name"]))} for d in shown]
        return self.console.page(
            request, "data.html", signed=signed, datasets=found, find=find, page=page, more=more,
            measures=signed.holds(*LEARNS), brings=signed.holds(*BRINGS),
            said=said, status=status,
        )  # fmt: skip

    def quality(self, request: Request, name: str) -> Response:
        """The quality of a data set, on paper that runs nothing."""
        self._known(self.console.required(request, *LOOKS), name)
        text = quality_page(self.installation, name)
        return HTMLResponse(text, headers={"Content-Security-Policy": PAPER, "X-Frame-Options": "SAMEORIGIN"})

    def _known(self, signed: SignedIn, name: str) -> None:
        if not any(d["name"] == name for d in store.list_datasets(self.installation.db, signed.session.tenant)):
            raise UnknownNameError("there is no such data set.")

    def measure(self, request: Request, name: str, csrf: Word) -> Response:
        """Asks for the quality of a data set."""
        signed = self.console.posted(request, csrf, *LEARNS)
        self._known(signed, name)
        return redirect_to(f"/jobs/{submit_quality(self.installation, signed.session, name)}")

    def bring(
        self, request: Request, csrf: Word, name: Word, patient: Word, table: Annotated[UploadFile, File()], agreed: Word = ""
    ) -> Response:
        """Brings a table into custody. agreed: a column that says who agreed to synthetic data."""
        signed = self.console.posted(request, csrf, *BRINGS)
        ending = Path(table.filename or "").suffix.lower()
        try:
            if ending not in (".csv", ".parquet"):
                raise OptionError("bring a table as .csv or .parquet.")
            place = self.installation.home / "incoming"
            place.mkdir(exist_ok=True, mode=0o700)
            with tempfile.TemporaryDirectory(dir=place) as folder:
                file = Path(folder) / f"table{ending}"
                _write(table, file)
                said = self._bring(signed, records.read(file), name.strip(), patient.strip(), agreed.strip())
        except GalenicError as error:
            return self._datasets(request, signed, {"text": str(error), "bad": True}, 400)
        return redirect_to("/data", said)

    def _bring(self, signed: SignedIn, source: records.Source, name: str, patient: str, agreed: str) -> str:
        if not NAME.match(name):
            raise OptionError("a data set's name has letters, digits, '.', '_' or '-'.")
        if too_long(source):
            raise OptionError(f"the table has more than {MOST_ROWS:,} rows. Bring it in with: galenic import")
        if agreed and agreed not in source.names:
            raise UnknownNameError("there is no such column of consent in the table.")
        done = import_table(self.installation, signed.session, source, ImportRequest(name, patient=patient))
        who: list[str] = []
        if agreed:
            for batch in source.open([patient, agreed]):
                pairs = zip(batch[patient].to_pylist(), batch[agreed].to_pylist(), strict=True)
                who += [str(p) for p, a in pairs if str(a).strip().lower() in AGREED]
            record_consent(self.installation, signed.session, name, list(dict.fromkeys(who)), PURPOSE)
        return f"{done.new:,} rows of {done.patients:,} patients are in custody as {name}; {len(set(who)):,} agreed to synthetic data."

    # synthesis

    def _guide(self, request: Request, signed: SignedIn, given: dict[str, str], **more: Any) -> Response:
        tables = tables_in_custody(self.installation, signed.session.tenant)
        chosen = next((t for t in tables if t["name"] == given.get("dataset")), tables[0] if tables else None)
        columns = store.schema_of(chosen).names if chosen else []
        filled = {"dataset": str(chosen["name"]) if chosen else "", "epsilon": "1", "target": "", "policy": "internal", **given}
        whole = {"cost": None, "said": None, **more}
        return self.console.page(
            request, "synthesis.html", signed=signed, tables=tables, columns=columns, given=filled, policies=POLICIES, **whole
        )

    def guide(self, request: Request, dataset: str = "") -> Response:
        """The form: what to learn from, how much to spend, what it is for."""
        signed = self.console.required(request, *LEARNS)
        return self._guide(request, signed, {"dataset": dataset} if dataset else {})

    def cost(
        self, request: Request, csrf: Word, dataset: Word, epsilon: Word, target: Word = "", policy: Word = "internal"
    ) -> Response:
        """What it will take, before anything begins."""
        signed = self.console.posted(request, csrf, *LEARNS)
        given = {"dataset": dataset, "epsilon": epsilon, "target": target, "policy": policy}
        try:
            cost = estimate_job(
                self.installation, signed.session, "synthesis", {"dataset": dataset, "epsilon": number(epsilon)}
            )
        except GalenicError as error:
            return self._guide(request, signed, given, said={"text": str(error), "bad": True}, status=400)
        return self._guide(request, signed, given, cost=cost)

    def start(
        self, request: Request, csrf: Word, dataset: Word, epsilon: Word, target: Word = "", policy: Word = "internal"
    ) -> Response:
        """Begins the job."""
        signed = self.console.posted(request, csrf, *LEARNS)
        try:
            if policy not in POLICIES:
                raise UnknownNameError(f"expected one of the policies {', '.join(POLICIES)}.")
            job = submit_synthesis(
                self.installation, signed.session, SynthesisParameters(dataset, number(epsilon), target, policy)
            )
        except GalenicError as error:
            given = {"dataset": dataset, "epsilon": epsilon, "target": target, "policy": policy}
            return self._guide(request, signed, given, said={"text": str(error), "bad": True}, status=400)
        return redirect_to(f"/jobs/{job}")

    # jobs

    def jobs(self, request: Request, page: int = 1, state: str = "") -> Response:
        """One's own jobs; an auditor's and a security officer's page has everybody's."""
        signed = self.console.required(request, *LOOKS, "security-officer")
        who = "" if signed.holds("auditor", "security-officer") else signed.person.name
        found = [j for j in all_job_statuses(self.installation, who) if state in ("", j.state)]
        start = (max(page, 1) - 1) * SHOWN_JOBS
        return self.console.page(
            request, "jobs.html", signed=signed, jobs=found[start : start + SHOWN_JOBS], page=page,
            more=len(found) > start + SHOWN_JOBS, state=state
        )  # fmt: skip

    def _job(self, request: Request, job: str) -> tuple[SignedIn, JobStatus]:
        signed = self.console.required(request, *LOOKS, "security-officer")
        found = job_status(self.installation, job)
        if found.user != signed.person.name and not signed.holds("auditor", "security-officer"):
            raise UnknownNameError("there is no such job.")
        return signed, found

    def job(self, request: Request, job: str) -> Response:
        """One job, live."""
        signed, found = self._job(request, job)
        return self.console.page(request, "job.html", signed=signed, job=found)

    def now(self, request: Request, job: str) -> Response:
        """How a job stands now: the part of its page that changes."""
        signed, found = self._job(request, job)
        return self.console.page(request, "job_now.html", signed=signed, job=found)

    def stop(self, request: Request, job: str, csrf: Word) -> Response:
        """Stops a job of one's own."""
        signed = self.console.posted(request, csrf, *LOOKS)
        stop_job(self.installation, signed.session, job)
        return redirect_to(f"/jobs/{job}")

    # keys

    def keys(self, request: Request, said: str = "") -> Response:
        """Which keys there are, by their fingerprints; no page shows a key."""
        said = clean_message(said)
        signed = self.console.required(request, "security-officer", "auditor")
        ring = [self.installation.keys.get(n) for n in self.installation.keys.names()]
        copies = [kept_at.isoformat(timespec="minutes") for kept_at, _sealed, _slot in self.installation.escrow.copies()]
        return self.console.page(
            request, "keys.html", signed=signed, gate=self.installation.keys.gate(), keys=ring, copies=copies,
            backups=store.backups(self.installation.db), keeper=type(self.installation.tree.keeper).__name__,
            said={"text": said, "bad": False} if said else None,
        )  # fmt: skip

    def rotate(self, request: Request, csrf: Word) -> Response:
        """A new root, and all keys below it wrapped anew."""
        signed = self.console.posted(request, csrf, "security-officer")
        self.console.confirmed(signed, "/keys")
        return redirect_to(
            "/keys", f"The root is new; {rotate_keys(self.installation, signed.session):,} keys are wrapped anew."
        )


def too_long(source: records.Source) -> bool:
    """Whether there are more rows than a page takes: a small file may hold any number of equal ones."""
    seen = 0
    for batch in source.open([source.names[0]]):
        seen += batch.num_rows
        if seen > MOST_ROWS:
            return True
    return False


def _write(table: UploadFile, file: Path) -> None:
    """What was sent, readable by this process alone."""
    with open(file, "xb", opener=lambda p, flags: os.open(p, flags, 0o600)) as out:  # the mode from the start
        while part := table.file.read(2**20):
            out.write(part)
