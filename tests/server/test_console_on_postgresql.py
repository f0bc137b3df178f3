"""The console over PostgreSQL: people, pages, a job by the worker and the chain, as over SQLite."""

import re
import time
from pathlib import Path

import pytest

from galenic import jobs
from galenic.custody import server_session
from galenic.server import setup
from site_made import Browser, Site, a_site

PLACES = (
    "/",
    "/data",
    "/synthesis",
    "/jobs",
    "/releases",
    "/budget",
    "/consent",
    "/audit",
    "/policy",
    "/people",
    "/keys",
    "/clients",
    "/account",
)
ROLES = ("privacy-officer", "auditor", "security-officer")


def confirmed(browser: Browser) -> Browser:
    browser.web.post("/confirm", data={"csrf": browser.csrf(), "code": browser.code()})
    return browser


def ended(site: Site, browser: Browser, place: str) -> jobs.JobStatus:
    deadline = time.monotonic() + 120
    job = place.rpartition("/")[2]
    while not jobs.job_status(site.installation, job).ended and time.monotonic() < deadline:
        assert browser.web.get(f"/jobs/{job}/now").status_code == 200
        time.sleep(0.5)
    return jobs.job_status(site.installation, job)


def test_people_pages_and_jobs(postgresql: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GALENIC_DATABASE", postgresql)
    with a_site(tmp_path / "home") as site:
        setup.import_simulated_cohort(site.installation, server_session(site.installation), count=300)
        assert setup.has_records(site.installation, setup.COHORT), "what is there is not simulated again with each start"
        sofia, paul = site.grown("sofia"), site.grown("paul")
        for role in ROLES:
            site.installation.people.grant("paul", "paul@clinic.example", role, by="sofia", approved="otto")
        for place in PLACES:
            assert paul.web.get(place).status_code == 200, place
        confirmed(sofia)
        form = {"csrf": sofia.csrf(), "name": "rita", "shown": "Rita", "human": "rita@clinic.example", "role": "researcher"}
        assert re.search(r"/invitation/[\w-]+", sofia.web.post("/people/invite", data=form).text)
        confirmed(paul)
        declared = {"csrf": paul.csrf(), "population": setup.COHORT, "epsilon": "4"}
        assert paul.web.post("/budget", data=declared).status_code == 303
        told = paul.web.post("/synthesis/cost", data={"csrf": paul.csrf(), "dataset": setup.COHORT, "epsilon": "1"})
        assert "ε 1 of the 4 that are left" in told.text
        with jobs.worker_process(site.installation):
            begun = paul.web.post(f"/data/{setup.COHORT}/quality", data={"csrf": paul.csrf()})
            assert begun.status_code == 303, begun.text
            found = ended(site, paul, begun.headers["location"])
            assert found.state == "done", found.message
        assert paul.web.get(f"/data/{setup.COHORT}/quality").status_code == 200
        assert "None was changed or removed" in paul.web.post("/audit/verify", data={"csrf": paul.csrf()}).text
