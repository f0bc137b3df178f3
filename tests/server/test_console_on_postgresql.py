"""The console over PostgreSQL: people, pages, a job by the worker and the chain, as over SQLite."""

import re
import time
from pathlib import Path

import pytest

from galenic.flows import serving, work
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


def ended(site: Site, browser: Browser, place: str) -> work.Doing:
    deadline = time.monotonic() + 120
    job = place.rpartition("/")[2]
    while not work.doing(site.house, job).ended and time.monotonic() < deadline:
        assert browser.web.get(f"/jobs/{job}/now").status_code == 200
        time.sleep(0.5)
    return work.doing(site.house, job)


def test_people_pages_and_jobs(postgresql: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GALENIC_DATABASE", postgresql)
    with a_site(tmp_path / "home") as site:
        serving.with_simulated_cohort(site.house, serving.server_session(site.house), count=300)
        assert serving.has_records(site.house, serving.COHORT), "what is there is not simulated again with each start"
        sofia, paul = site.grown("sofia"), site.grown("paul")
        for role in ROLES:
            site.house.people._grant("paul", "paul@clinic.example", role, by="sofia", approved="otto")
        for place in PLACES:
            assert paul.web.get(place).status_code == 200, place
        confirmed(sofia)
        form = {"csrf": sofia.csrf(), "name": "rita", "shown": "Rita", "human": "rita@clinic.example", "role": "researcher"}
        assert re.search(r"/invitation/[\w-]+", sofia.web.post("/people/invite", data=form).text)
        confirmed(paul)
        declared = {"csrf": paul.csrf(), "population": serving.COHORT, "epsilon": "4"}
        assert paul.web.post("/budget", data=declared).status_code == 303
        told = paul.web.post("/synthesis/cost", data={"csrf": paul.csrf(), "dataset": serving.COHORT, "epsilon": "1"})
        assert "ε 1 of the 4 that are left" in told.text
        with work.a_worker(site.house):
            begun = paul.web.post(f"/data/{serving.COHORT}/quality", data={"csrf": paul.csrf()})
            assert begun.status_code == 303, begun.text
            found = ended(site, paul, begun.headers["location"])
            assert found.state == "done", found.what
        assert paul.web.get(f"/data/{serving.COHORT}/quality").status_code == 200
        assert "rows stand as they were written" in paul.web.post("/audit/verify", data={"csrf": paul.csrf()}).text
