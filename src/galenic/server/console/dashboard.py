"""The console's daily work: what waits, releases and their signatures, budgets, consent, the audit chain, patients."""

import json
import zipfile
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

import orjson
from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, Response

from galenic import custody
from galenic.custody import fhir
from galenic.errors import GalenicError, NotFoundError, OptionError, StateError, VerificationError
from galenic.installation import Installation
from galenic.release import (
    MEANING,
    Run,
    RunStatus,
    recall_release,
    reject_run,
    run_status,
    run_statuses,
    sign_off,
    write_release,
)
from galenic.server.console.session import PAPER, Console, SignedIn, clean_message, redirect_to

Word = Annotated[str, Form(max_length=2_000)]
PAGE = 20
DELTA = 1e-8  # of a population
SIGNERS = ("researcher", "data-scientist", "privacy-officer", "clinician", "ethics-board", "auditor")


def number(text: str, what: str = "epsilon") -> float:
    """A number that somebody typed. OptionError where it is none."""
    try:
        return float(text)
    except ValueError:
        raise OptionError(f"{what} is a number, 1 for instance.") from None


def page_of(things: Iterable[Any], number: int) -> tuple[list[Any], bool]:
    """(one page of things, whether there are more)."""
    start = (max(number, 1) - 1) * PAGE
    found: list[Any] = []
    for i, thing in enumerate(things):
        if i >= start + PAGE:
            return found, True
        if i >= start:
            found.append(thing)
    return found, False


class Dashboard:
    """The pages of daily work."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.installation = console.installation

    def routes(self) -> APIRouter:
        """Every address."""
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/", self.home, methods=["GET"], response_model=None)
        router.add_api_route("/releases", self.releases, methods=["GET"], response_model=None)
        router.add_api_route("/releases/{run}", self.release, methods=["GET"], response_model=None)
        router.add_api_route("/releases/{run}/report", self.report, methods=["GET"], response_model=None)
        router.add_api_route("/releases/{run}/sign", self.sign, methods=["POST"], response_model=None)
        router.add_api_route("/releases/{run}/reject", self.no, methods=["POST"], response_model=None)
        router.add_api_route("/releases/{run}/download", self.download, methods=["POST"], response_model=None)
        router.add_api_route("/releases/{run}/recall", self.recall, methods=["POST"], response_model=None)
        router.add_api_route("/budget", self.budget, methods=["GET"], response_model=None)
        router.add_api_route("/budget", self.declare, methods=["POST"], response_model=None)
        router.add_api_route("/consent", self.consent, methods=["GET"], response_model=None)
        router.add_api_route("/consent", self.looked_up, methods=["POST"], response_model=None)
        router.add_api_route("/audit", self.audit, methods=["GET"], response_model=None)
        router.add_api_route("/audit/verify", self.check, methods=["POST"], response_model=None)
        router.add_api_route("/audit/{number}/proof", self.proof, methods=["GET"], response_model=None)
        router.add_api_route("/patients", self.patients, methods=["GET"], response_model=None)
        router.add_api_route("/patients/{own}", self.patient, methods=["GET"], response_model=None)
        router.add_api_route("/patients/{own}/emergency", self.emergency, methods=["POST"], response_model=None)
        router.add_api_route("/reviews", self.reviews, methods=["GET"], response_model=None)
        router.add_api_route("/reviews", self.review, methods=["POST"], response_model=None)
        return router

    def home(self, request: Request) -> Response:
        """What waits for whoever is signed in."""
        signed = self.console.signed(request)
        if signed is None:
            return redirect_to("/sign-in" if self.installation.people.any() else "/set-up")
        return self.console.page(request, "home.html", signed=signed, waiting=self._waits(signed), tiles=self._tiles(signed))

    def _waits(self, signed: SignedIn) -> list[dict[str, str]]:
        found = []
        for run in run_statuses(self.installation):
            if run.state == "signing" and set(run.missing) & set(signed.roles):
                found.append(
                    {
                        "place": f"/releases/{run.run}",
                        "what": f"Release {run.run} waits for your signature",
                        "since": run.policy,
                    }
                )
            elif run.state == "signed" and run.by == signed.person.name:
                found.append(
                    {"place": f"/releases/{run.run}", "what": f"Release {run.run} is signed and can leave", "since": run.policy}
                )
        if signed.holds("security-officer", "privacy-officer"):
            found += [
                {"place": "/people", "what": f"{f.get('verb')} {f.purpose} the role {f.label}: a second person decides", "since": ""}
                for f in self.installation.people.proposals() if signed.person.name not in (f.who, f.purpose)
            ]  # fmt: skip
        if signed.holds("privacy-officer"):
            due = [f for f in self.installation.facts.of("review") if f.state == "due"]
            found += [
                {"place": "/reviews", "what": f"An emergency access by {f.who} is to be reviewed", "since": f.until}
                for f in due
            ]
        return found

    def _tiles(self, signed: SignedIn) -> list[dict[str, Any]]:
        tiles: list[dict[str, Any]] = []
        if signed.holds(*SIGNERS):
            tiles.append({"place": "/releases", "number": sum(1 for _ in run_statuses(self.installation)), "what": "runs"})
        if signed.holds("auditor", "privacy-officer", "security-officer"):
            tiles.append(
                {"place": "/audit", "number": f"{self.installation.audit.head()[0]:,}", "what": "rows on the audit chain"}
            )
        if signed.holds("security-officer", "privacy-officer"):
            tiles.append(
                {
                    "place": "/people",
                    "number": sum(p.state == "active" for p in self.installation.people.all()),
                    "what": "people",
                }
            )
        return tiles

    # releases

    def releases(self, request: Request, state: str = "", page: int = 1) -> Response:
        """Every run."""
        signed = self.console.required(request, *SIGNERS)
        found, more = page_of((r for r in run_statuses(self.installation) if not state or r.state == state), page)
        return self.console.page(request, "releases.html", signed=signed, runs=found, state=state, page=page, more=more)

    def _show(self, request: Request, signed: SignedIn, run: RunStatus, *, status: int = 200, said: object = None) -> Response:
        stored = Run.open(self.installation, run.run)
        mine = [r for r in run.missing if r in signed.roles] if run.state == "signing" and run.by != signed.person.name else []
        decision = stored.public_decision
        return self.console.page(
            request, "release.html", status=status, signed=signed, run=run, mine=mine, meaning=MEANING, sheet=stored.sheet,
            items=(decision or {}).get("items", []), said=said, report=stored.report_page.is_file(),
        )  # fmt: skip

    def release(self, request: Request, run: str, said: str = "") -> Response:
        """One run with its evidence and signatures."""
        said = clean_message(said)
        signed = self.console.required(request, *SIGNERS)
        return self._show(
            request, signed, run_status(self.installation, run), said={"text": said, "bad": False} if said else None
        )

    def report(self, request: Request, run: str) -> Response:
        """The evidence, on paper that runs nothing."""
        self.console.required(request, *SIGNERS)
        place = Run.open(self.installation, run_status(self.installation, run).run).report_page
        return HTMLResponse(
            place.read_text(encoding="utf-8"), headers={"Content-Security-Policy": PAPER, "X-Frame-Options": "SAMEORIGIN"}
        )

    def sign(self, request: Request, run: str, csrf: Word, role: Word, digest: Word) -> Response:
        """A signature."""
        signed = self.console.posted(request, csrf, *SIGNERS)
        self.console.confirmed(signed, f"/releases/{run}")
        try:
            sign_off(self.installation, signed.session, run, role, digest)
        except GalenicError as error:
            return self._show(
                request, signed, run_status(self.installation, run), status=400, said={"text": str(error), "bad": True}
            )
        return redirect_to(f"/releases/{run}", f"Signed as {role}.")

    def no(self, request: Request, run: str, csrf: Word, reason: Word) -> Response:
        """A signer's no."""
        signed = self.console.posted(request, csrf, *SIGNERS)
        try:
            reject_run(self.installation, signed.session, run, reason)
        except GalenicError as error:
            return self._show(
                request, signed, run_status(self.installation, run), status=400, said={"text": str(error), "bad": True}
            )
        return redirect_to(f"/releases/{run}", "Rejected. It stays inside.")

    def download(self, request: Request, run: str, csrf: Word) -> Response:
        """The release with its proof."""
        signed = self.console.posted(request, csrf, *SIGNERS)
        self.console.confirmed(signed, f"/releases/{run}")
        waiting = run_status(self.installation, run)
        try:
            target, _lines = write_release(self.installation, waiting.run, self.installation.home / "released" / waiting.run)
        except GalenicError as error:
            return self._show(request, signed, waiting, status=400, said={"text": str(error), "bad": True})
        self.installation.audit.append("release.downloaded", waiting.run, actor=signed.person.name, digest=waiting.digest)
        return Response(
            _packed(target), media_type="application/zip",
            headers={"Content-Disposition": f'attachment; filename="galenic-{waiting.run}.zip"'},
        )  # fmt: skip

    def recall(self, request: Request, run: str, csrf: Word, reason: Word) -> Response:
        """Takes a release back."""
        signed = self.console.posted(request, csrf, "privacy-officer")
        self.console.confirmed(signed, f"/releases/{run}")
        waiting = run_status(self.installation, run)
        try:
            recall_release(self.installation, waiting.run, reason, self.installation.home / "recalls" / f"{waiting.run}.json")
        except GalenicError as error:
            return self._show(request, signed, waiting, status=400, said={"text": str(error), "bad": True})
        return redirect_to(f"/releases/{run}", "Recalled. The signed notice is in the installation's folder recalls.")

    # budgets

    def budget(self, request: Request, said: str = "", find: str = "", page: int = 1) -> Response:
        """What was spent of each population's budget."""
        said = clean_message(said)
        signed = self.console.required(request, "researcher", "data-scientist", "privacy-officer", "auditor")
        return self._budget(request, signed, {"text": said, "bad": False} if said else None, find=find, page=page)

    def _budget(
        self, request: Request, signed: SignedIn, said: object = None, status: int = 200, *, find: str = "", page: int = 1
    ) -> Response:
        found, more = page_of((s for s in custody.budget_statements(self.installation) if find in s.population), page)
        return self.console.page(
            request, "budget.html", signed=signed, statements=found, find=find, page=page, more=more, said=said, status=status,
            declares=signed.holds("privacy-officer"),
        )  # fmt: skip

    def declare(self, request: Request, csrf: Word, population: Word, epsilon: Word) -> Response:
        """Declares a population, once and for all."""
        signed = self.console.posted(request, csrf, "privacy-officer")
        self.console.confirmed(signed, "/budget")
        try:
            if population.strip() in self.installation.ledger.populations():
                raise StateError("this population is declared. Its limit stays: what was promised to its patients.")
            custody.declare_population(
                self.installation, population.strip(), epsilon=number(epsilon, "a limit"), delta=DELTA, actor=signed.person.name
            )
        except GalenicError as error:
            return self._budget(request, signed, {"text": str(error), "bad": True}, 400)
        return redirect_to("/budget", f"Declared: no more than ε {epsilon} is ever learned about one of its patients.")

    # consent

    def consent(self, request: Request) -> Response:
        """The form of a look-up."""
        signed = self.console.required(request, "privacy-officer")
        return self.console.page(request, "consent.html", signed=signed, found=None, patient="")

    def looked_up(
        self, request: Request, csrf: Word, patient: Word, who: Word = "", page: Annotated[int, Form(ge=1)] = 1
    ) -> Response:
        """Who used a patient's data. Each page is a look-up of its own, and written down as one."""
        signed = self.console.posted(request, csrf, "privacy-officer")
        try:
            found = custody.own_record(self.installation, signed.session, patient.strip())
        except GalenicError as error:
            return self.console.page(
                request,
                "consent.html",
                signed=signed,
                found=None,
                patient=patient,
                status=404,
                said={"text": str(error), "bad": True},
            )
        looks, more = page_of((n for n in reversed(found["looked at by"]) if who.strip() in ("", n["who"])), page)
        return self.console.page(
            request, "consent.html", signed=signed, found=found, patient=patient, looks=looks, more=more, page=page, who=who
        )

    # the audit chain

    def audit(self, request: Request, page: int = 1, who: str = "", action: str = "") -> Response:
        """Rows of the chain."""
        signed = self.console.required(request, "auditor", "privacy-officer", "security-officer")
        size, _root = self.installation.audit.head()
        rows = (
            e for e in reversed_entries(self.installation, size)
            if (not who or e.actor == who) and (not action or e.action.startswith(action))
        )  # fmt: skip
        found, more = page_of(rows, page)
        query = urlencode({"who": who, "action": action})
        return self.console.page(
            request, "audit.html", signed=signed, rows=found, size=size, page=page, more=more, who=who, action=action, query=query,
            verdict=None,
        )  # fmt: skip

    def check(self, request: Request, csrf: Word) -> Response:
        """Verifies the whole chain."""
        signed = self.console.posted(request, csrf, "auditor", "privacy-officer", "security-officer")
        try:
            text, bad = f"{standing(self.installation):,} rows stand as they were written.", False
        except GalenicError as error:
            text, bad = str(error), True
        size, _root = self.installation.audit.head()
        found, more = page_of(reversed_entries(self.installation, size), 1)
        return self.console.page(
            request, "audit.html", signed=signed, rows=found, size=size, page=1, more=more, who="", action="", query="",
            said={"text": text, "bad": bad}, verdict=not bad,
        )  # fmt: skip

    def proof(self, request: Request, number: int) -> Response:
        """The inclusion proof of one row."""
        self.console.required(request, "auditor", "privacy-officer", "security-officer")
        if not 1 <= number <= self.installation.audit.head()[0]:
            raise NotFoundError("the audit chain has no such row.")
        return Response(
            orjson.dumps(self.installation.audit.proof(number), option=orjson.OPT_INDENT_2), media_type="application/json",
            headers={"Content-Disposition": f'attachment; filename="audit-{number}.json"'},
        )  # fmt: skip

    # patients

    def patients(self, request: Request, name: str = "", cursor: str = "") -> Response:
        """Patients whom one treats."""
        signed = self.console.required(request, "clinician", "nurse", "pharmacist")
        given = [("_count", str(PAGE))] + ([("name", name)] if name else []) + ([("_cursor", cursor)] if cursor else [])
        context = fhir.RequestContext(signed.session, "treatment", f"{self.console.base}/fhir")
        bundle = json.loads(fhir.search(self.console.repository, context, "Patient", given).body)
        found = [e["resource"] for e in bundle.get("entry", ())]
        following = next((x["url"] for x in bundle["link"] if x["relation"] == "next"), "")
        after = following.partition("_cursor=")[2]
        return self.console.page(request, "patients.html", signed=signed, patients=found, name=name, after=after, called=called)

    def patient(self, request: Request, own: str) -> Response:
        """One patient's record as a timeline."""
        signed = self.console.required(request, "clinician", "nurse", "pharmacist")
        context = fhir.RequestContext(signed.session, "treatment", f"{self.console.base}/fhir")
        try:
            whole = json.loads(fhir.read(self.console.repository, context, "Patient", own).body)
        except NotFoundError:
            said = {"text": "There is no such patient, or none whom you treat.", "bad": True}
            return self.console.page(
                request, "hidden.html", status=404, signed=signed, own=own, breaks=signed.holds("clinician"), said=said
            )
        events = fhir.patient_timeline(self.console.repository, context, own)
        return self.console.page(
            request, "patient.html", signed=signed, patient=whole, events=events, called=called, emergency=""
        )

    def emergency(self, request: Request, own: str, csrf: Word, why: Word) -> Response:
        """One patient's record in an emergency: shown at once, to be explained afterwards."""
        signed = self.console.posted(request, csrf, "clinician")
        self.console.confirmed(signed, f"/patients/{own}")
        context = fhir.RequestContext(signed.session, "emergency", f"{self.console.base}/fhir", why)
        try:
            whole, events = fhir.emergency_timeline(self.console.repository, context, own)
        except NotFoundError:
            said = {"text": "There is no such patient, or the reason says too little: a sentence, please.", "bad": True}
            return self.console.page(request, "hidden.html", status=404, signed=signed, own=own, breaks=True, said=said)
        return self.console.page(
            request, "patient.html", signed=signed, patient=whole, events=events, called=called, emergency=why
        )

    def reviews(self, request: Request, said: str = "") -> Response:
        """Emergencies that are to be looked at by somebody else."""
        said = clean_message(said)
        signed = self.console.required(request, "privacy-officer")
        due = [f for f in self.installation.facts.of("review") if f.state == "due"]
        rows = {f"glass-{e.seq}": e for e in self.installation.audit.entries() if e.action == "gate.break-glass"}
        told = {"text": said, "bad": False} if said else None
        return self.console.page(request, "reviews.html", signed=signed, due=[(f, rows.get(f.key)) for f in due], said=told)

    def review(self, request: Request, csrf: Word, decision: Annotated[int, Form(ge=1)], finding: Word) -> Response:
        """What was found of one."""
        signed = self.console.posted(request, csrf, "privacy-officer")
        self.console.confirmed(signed, "/reviews")
        if finding not in ("justified", "misuse"):
            raise OptionError("a review finds the access justified, or misuse.")
        self.installation.gate.review(signed.session, decision, finding)
        return redirect_to("/reviews", f"Decision {decision}: {finding}.")


def reversed_entries(installation: Installation, size: int, step: int = 500) -> Iterable[Any]:
    """Rows of the audit chain, newest first."""
    at = size
    while at > 0:
        start = max(at - step, 0)
        rows = []
        for entry in installation.audit.entries(start):
            if entry.seq > at:
                break
            rows.append(entry)
        yield from reversed(rows)
        at = start


def standing(installation: Installation) -> int:
    """How many rows of the chain stand. VerificationError where one does not."""
    faults, rows = installation.audit.faults()
    if faults:
        raise VerificationError(f"the audit chain is not as it was written: {faults[0]}. Stop, and call the security officer.")
    return rows


def called(patient: dict[str, Any]) -> str:
    """How a patient is called on a page."""
    for name in patient.get("name", ()):
        text = name.get("text") or " ".join([*name.get("given", ()), name.get("family", "")]).strip()
        if text:
            return str(text)
    return f"Patient {patient['id']}"


def _packed(folder: Path) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for place in sorted(folder.iterdir()):
            packed.write(place, f"{folder.name}/{place.name}")
    return buffer.getvalue()
