"""A console with content in every state: people of all roles, data sets, budgets, runs and jobs. Pages are checked by axe-core."""

import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from browser_made import AXE, FOUND, Site, Visitor
from galenic import custody, flows, records, store
from galenic.custody import ImportRequest, import_table, server_session
from galenic.generators import SynthesisRequest
from galenic.installation import Installation, open_installation
from galenic.jobs import jobs_url, stop_job, submit_job
from galenic.privacy import ColumnOptions
from galenic.release import Run, recall_release, reject_run, run_status, sign_off, write_release
from galenic.schema import RunDetails
from galenic.security import Fact
from galenic.server import Listener, make_app, running_servers, setup
from galenic.server.console import Console
from galenic.server.console.navigation import NAVIGATION
from made import made_patients
from people_made import grown
from server_made import free_port

PEOPLE = {
    "sofia": ("security-officer",), "otto": ("security-officer",), "rita": ("researcher",), "paul": ("privacy-officer",),
    "clara": ("clinician",), "aude": ("auditor",), "ines": ("integration-engineer",), "dan": ("data-scientist",), "newcomer": (),
}  # fmt: skip
DATASET, UNCONSENTED, UNPAID = "clinic", "no-consents", "no-budget"
POLICY = """name = "{name}"
version = 1
purpose = "Teaching."
roles = ["privacy-officer", "clinician"]
identity = "unverified"

[[rule]]
finding = "fidelity.tvd1.excess"
at_most = {limit}
reason = "Single columns must look right."
"""


@dataclass
class Content:
    """Content of an installation. runs: state → run; jobs: state → job; end: ends the running job; closed: ends the queue."""

    runs: dict[str, str] = field(default_factory=dict)
    jobs: dict[str, str] = field(default_factory=dict)
    end: threading.Event = field(default_factory=threading.Event)
    closed: threading.Event = field(default_factory=threading.Event)


@contextmanager
def served(browser: Any, home: Path) -> Iterator[Site]:
    """A console at a name that browsers allow passkeys at."""
    with ExitStack() as stack:
        installation = open_installation(home)
        repository = setup.open_served(installation)
        stack.callback(installation.close)
        stack.callback(repository.close)
        port = free_port()
        base = f"http://localhost:{port}"
        console = Console(installation, repository, base)
        stack.enter_context(running_servers([(make_app(repository, base, console), Listener("127.0.0.1", port))]))
        yield Site(base, installation, console, browser)


def make_people(installation: Installation) -> None:
    """One person for each role, a second security officer, and a person without a role."""
    for name, roles in PEOPLE.items():
        grown(installation, name, *roles)


def signed_in(site: Site, name: str, **options: Any) -> Visitor:
    """A browser in which a person is signed in."""
    known = name in site.visitors
    visitor = site.visitor(name, **options)
    if not known:
        agent = visitor.page.evaluate("navigator.userAgent")
        secret = site.installation.people.begin(name.partition("@")[0], "passkey", agent)
        visitor.page.context.add_cookies([{"name": "galenic", "value": secret, "url": site.base}])
    return visitor


def places_of(name: str) -> list[str]:
    """Every page that the navigation shows to a person of PEOPLE."""
    return [link.place for link in NAVIGATION if not link.roles or link.roles & set(PEOPLE[name])]


def page_faults(visitor: Visitor, place: str, scheme: str, width: int) -> list[str]:
    """Violations that axe-core finds on a page, and whether it scrolls sideways."""
    visitor.page.emulate_media(color_scheme=scheme)
    visitor.page.set_viewport_size({"width": width, "height": 800})
    status = visitor.page.goto(visitor.base + place).status
    visitor.page.evaluate(AXE.read_text(encoding="utf-8"))
    found = [f"{place} {scheme} {width}: {fault}" for fault in visitor.page.evaluate(FOUND)]
    if visitor.page.evaluate("document.documentElement.scrollWidth") > width:
        found.append(f"{place} {scheme} {width}: scrolls sideways")
    return [*found, *([f"{place}: status {status}"] if status >= 400 else [])]


def make_datasets(installation: Installation) -> None:
    """A table with consents and a budget, one without consents, one without a budget."""
    table, session = cohort(), server_session(installation)
    for name, start in ((DATASET, 0), (UNCONSENTED, 10_000), (UNPAID, 20_000)):
        renamed = table.set_column(0, "patient_id", pa.array([f"p{start + i}" for i in range(table.num_rows)]))
        import_table(installation, session, records.in_memory(renamed), ImportRequest(name, patient="patient_id"))
        if name != UNCONSENTED:
            consenting = renamed["patient_id"].to_pylist()[:1_000]
            custody.record_consent(installation, session, name, consenting, "synthetic-data")
    for name in (DATASET, UNCONSENTED):
        custody.declare_population(installation, name, epsilon=4.0, delta=1e-8, actor="paul")


def cohort() -> pa.Table:
    """A small table of patients."""
    return made_patients(1_200, 1).select(["patient_id", "age_years", "sex", "smoker"])


def make_run(installation: Installation, folder: Path, limit: float, title: str, by: str = "rita") -> str:
    """A run on the table, decided by a policy with this limit: every run meets 9, none meets −1."""
    policy = folder / f"policy{limit:g}.toml"
    policy.write_text(POLICY.format(name="lenient" if limit > 0 else "strict", limit=limit), encoding="utf-8")
    request = SynthesisRequest(
        epsilon=1.0,
        population=DATASET,
        policy=str(policy),
        by=by,
        column_options=ColumnOptions(patient="patient_id"),
        details=RunDetails(title, "A course on statistics", "Medical school") if title else RunDetails(),
    )
    return flows.synthesize(installation, records.in_memory(cohort()), request).run


def make_runs(installation: Installation, folder: Path) -> dict[str, str]:
    """Runs in every state. Copies of one accepted run stand for the states before a release."""
    runs = {
        "refused": make_run(installation, folder, -1.0, "Cohort for software tests"),
        "signing": make_run(installation, folder, 9.0, "Cohort for teaching"),
        "recalled": make_run(installation, folder, 8.0, "Cohort with an error"),
    }
    requested = installation.facts.one("job", f"run/{runs['signing']}")
    assert requested is not None
    for number, state in enumerate(("signed", "rejected", "released", "unreadable")):
        runs[state] = f"2026010{number + 1}-101500-abcdef"
        shutil.copytree(installation.runs / runs["signing"], installation.runs / runs[state])
        installation.facts.put(Fact("job", f"run/{runs[state]}", "requested", "rita", body=requested.body), quiet=True)
    (installation.runs / runs["unreadable"] / "attestation.json").write_text("{", encoding="utf-8")
    for state in ("signed", "released", "recalled"):
        for name, role in (("paul", "privacy-officer"), ("clara", "clinician")):
            digest = run_status(installation, runs[state]).digest
            sign_off(installation, grown(installation, name), runs[state], role, digest)
    reject_run(installation, grown(installation, "paul"), runs["rejected"], "The purpose is not clear enough.")
    for state in ("released", "recalled"):
        write_release(installation, runs[state], Run(installation, runs[state]).released_folder)
    notice = installation.home / "recalls" / f"{runs['recalled']}.json"
    recall_release(installation, runs["recalled"], "A column was described wrongly.", notice)
    return runs


@contextmanager
def made_jobs(installation: Installation, runs: dict[str, str]) -> Iterator[Content]:
    """Jobs of rita in every state, in the real queue. The running one ends once `end` is set. The queue works in a thread of its own,
    because a browser's event loop runs in this one."""
    content, ready = Content(runs), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(_perform_jobs, installation, content, ready)
        try:
            while not ready.wait(0.1):
                if working.done():
                    working.result()
            yield content
        finally:
            content.end.set()
            content.closed.set()
            working.result()


def _perform_jobs(installation: Installation, content: Content, ready: threading.Event) -> None:
    def step(state: dict[str, Any]) -> dict[str, Any]:
        if state.get("title") == "Running cohort":
            content.end.wait(300)
        return {**state, "done": True, **state.get("result", {})}

    session = grown(installation, "rita")

    def submit(title: str, **result: object) -> str:
        parameters = {"dataset": DATASET, "epsilon": 1.0, "policy": "internal", "title": title, "result": result}
        return submit_job(installation, session, "synthesis", parameters)

    with store.jobs.open_runner(jobs_url(installation), {"synthesis": step, "quality": step}) as runner:
        for state, result in (("failed", {"error": "the table has a column without values."}), ("done", {})):
            content.jobs[state] = submit(f"A cohort, {state}", **result)
        for state, run in content.runs.items():
            content.jobs[state] = submit(f"A cohort, {state}", run=run)
        for job in content.jobs.values():
            runner.wait(job)
        content.jobs["running"] = submit("Running cohort")
        content.jobs["waiting"] = submit("Waiting cohort")
        content.jobs["stopped"] = submit("Stopped cohort")
        stop_job(installation, session, content.jobs["stopped"])
        ready.set()
        content.closed.wait(600)
