"""From a fresh installation to a signed release, all of it in the browser, as docs/walk-through.md tells it with these pictures."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from browser_made import Site, Visitor, a_browser, approve_all, invited
from galenic import jobs
from galenic.installation import open_installation
from galenic.release import verify
from galenic.server import ServerOptions, prepare_server, running_servers, setup
from server_made import free_port
from site_made import PASSWORD

WAIT = 120_000  # ms


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """What `galenic serve` serves from an empty home: simulated patients, a cohort, and a worker process without network."""
    with ExitStack() as stack:
        browser = stack.enter_context(a_browser())
        installation = open_installation(tmp_path_factory.mktemp("walk") / "home")
        stack.callback(installation.close)
        port = free_port()
        base = f"http://localhost:{port}"
        codes: list[str] = []
        options = ServerOptions(port=port, base=base, plain=True, simulated=20)
        pairs = stack.enter_context(prepare_server(installation, options, tell=codes.append))
        stack.enter_context(running_servers(pairs))
        made = Site(base, installation, None, browser)  # type: ignore[arg-type]  # no story of it looks inside
        made.code = codes[0]
        yield made


def by_passkey(visitor: Visitor) -> None:
    visitor.go("/sign-in")
    visitor.page.get_by_role("button", name="Sign in with a passkey").click()
    visitor.page.wait_for_url(visitor.base + "/")


def test_from_a_fresh_installation_to_a_signed_release(site: Site, tmp_path: Path) -> None:
    sofia = site.visitor("sofia")
    sofia.go("/")
    sofia.picture("walk-01-set-up")
    sofia.fill(code=site.code, name="sofia", shown="Sofia", human="sofia@clinic.example", password=PASSWORD)
    sofia.press("Set up")
    sofia.enrol()
    sofia.add_passkey()
    invited(site, "sofia", "otto", "security-officer")
    for name, role in (
        ("rita", "researcher"),
        ("paul", "privacy-officer"),
        ("clara", "clinician"),
        ("ines", "integration-engineer"),
    ):
        invited(site, "sofia", name, role)
    sofia.go("/people")
    sofia.picture("walk-02-people")
    by_passkey(site.visitor("otto"))
    approve_all(site, "otto")
    for name in ("rita", "paul", "clara", "ines"):
        by_passkey(site.visitor(name))
    rita, paul, clara = (site.visitor(n) for n in ("rita", "paul", "clara"))

    # the privacy officer promises a limit
    def declare() -> str:
        paul.go("/budget")
        paul.fill(population=setup.COHORT, epsilon="4")
        return paul.press("Declare")

    assert "may use ε 4 at most" in paul.surely(declare)
    paul.clean()

    # the researcher looks at the data, and asks
    rita.go("/data")
    assert setup.COHORT in rita.text
    rita.clean()
    with rita.page.expect_navigation():
        rita.page.get_by_role("row", name=re.compile(setup.COHORT)).get_by_role("button", name="Measure quality").click()
    rita.page.get_by_role("link", name="Read the report").wait_for(timeout=WAIT)
    rita.go("/data")
    assert "Report of" in rita.text
    rita.picture("walk-03-data")
    rita.go(f"/synthesis?dataset={setup.COHORT}")
    rita.page.select_option("#target", "hypertension")
    rita.fill(epsilon="9", title="Teaching cohort", recipient="Medical school", intended_use="A course on statistics")
    assert "The budget is too small" in rita.press("Check cost and consents")
    rita.fill(epsilon="1")
    text = rita.press("Check cost and consents")
    assert "ε 1 of the 4 that are left of 4" in text
    assert "10,000 rows" in text
    rita.clean()
    rita.picture("walk-04-cost")
    rita.press("Use the budget and start")
    assert "Teaching cohort" in rita.text
    rita.page.get_by_text("running", exact=True).wait_for(timeout=WAIT)
    rita.clean()
    rita.picture("walk-05-progress")
    job = rita.page.url.rpartition("/")[2]
    rita.page.get_by_role("link", name="Open the run and its evidence").wait_for(timeout=WAIT)
    assert rita.page.url.endswith(job), "the page told it without being loaded again"
    assert "waiting for signatures" in rita.text
    rita.go("/jobs")
    rita.clean()
    assert "this job does not exist" in paul.go(f"/jobs/{job}"), "jobs are their asker's"
    assert "is for the role" in clara.go(f"/jobs/{job}")
    run = str(jobs.job_status(site.installation, job).data["run"])
    rita.go(f"/releases/{run}")
    assert "You requested this run. Two other people sign it." in rita.text

    # two people sign
    paul.go(f"/releases/{run}")
    paul.page.frame_locator("iframe").locator("main").wait_for()
    paul.picture("walk-06-evidence")
    assert "Signed as privacy-officer" in paul.sign("privacy-officer")
    clara.go(f"/releases/{run}")
    assert "Signed as clinician" in clara.sign("clinician")
    clara.picture("walk-07-signed")

    # it leaves with its proof, and a recipient verifies it
    released = rita.download(run, tmp_path)
    lines = verify(released)
    assert sum("verified identity" in line and "signed as" in line for line in lines) == 2
    (released / "data.csv").write_text("swapped\n")
    with pytest.raises(Exception, match="data"):
        verify(released)
    sofia.go("/keys")
    sofia.clean()
    sofia.picture("walk-08-keys")
    brings_a_table_in(site, tmp_path)


def brings_a_table_in(site: Site, tmp_path: Path) -> None:
    """The integration engineer's part; what is wrong with a table is said, and nothing of it stays."""
    ines = site.visitor("ines")
    rows = "\n".join(f"p{i},{20 + i % 60},{'yes' if i % 2 else 'no'}" for i in range(200))
    (tmp_path / "ward.csv").write_text(f"patient,age,agreed\n{rows}\n")
    ines.go("/data")
    ines.clean()
    ines.fill(name="ward", patient="patient", agreed="agreed")
    ines.page.set_input_files("#table", tmp_path / "ward.csv")
    assert "Imported 200 rows of 200 patients as ward. 100 patients agreed" in ines.press("Import")
    ines.fill(name="../ward", patient="patient")
    ines.page.set_input_files("#table", tmp_path / "ward.csv")
    assert "is not a valid data set name" in ines.press("Import")
    ines.fill(name="ward2", patient="nobody")
    ines.page.set_input_files("#table", tmp_path / "ward.csv")
    assert "The table has no column 'nobody'" in ines.press("Import")
    assert not list((site.installation.home / "incoming").iterdir()), "nothing of what was sent stays outside custody"
