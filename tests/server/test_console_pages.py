"""Pages of the console in every state of an installation, in a real browser: empty, full, refused, running, failed, narrow, dark."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from browser_made import Site, a_browser
from console_made import (
    PEOPLE,
    UNCONSENTED,
    UNPAID,
    Content,
    made_jobs,
    make_datasets,
    make_people,
    make_run,
    make_runs,
    page_faults,
    places_of,
    served,
    signed_in,
)
from galenic.security import token_name

WAIT = 60_000  # ms


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with a_browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def empty(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """An installation with people and nothing else."""
    with served(browser, tmp_path_factory.mktemp("empty") / "home") as site:
        make_people(site.installation)
        yield site


@pytest.fixture(scope="module")
def full(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Content]]:
    """An installation that the command line used before anybody had an account; then people, runs and jobs in every state."""
    folder = tmp_path_factory.mktemp("full")
    with served(browser, folder / "home") as site:
        make_datasets(site.installation)
        first = make_run(site.installation, folder, -2.0, "", by="")
        assert "Set up this installation" in site.visitor("stranger").go("/")
        make_people(site.installation)
        runs = {**make_runs(site.installation, folder), "command line": first}
        with made_jobs(site.installation, runs) as content:
            yield site, content


def states_of(content: Content) -> list[str]:
    return [state for state in content.runs if state != "command line"]


def test_home_names_every_state_of_a_run(full: tuple[Site, Content]) -> None:
    site, content = full
    rita = signed_in(site, "rita")
    text = rita.go("/releases")
    for state in states_of(content):
        assert {"signing": "waiting for signatures", "unreadable": "damaged"}.get(state, state) in text
    assert "“Cohort for teaching”: it is signed and can be downloaded" in rita.go("/")
    assert "Cohort with an error" in rita.text
    rita.picture("console-home-researcher")


@pytest.mark.parametrize("name", [*PEOPLE])
def test_each_person_has_a_home_in_a_full_and_in_an_empty_installation(
    full: tuple[Site, Content], empty: Site, name: str
) -> None:
    for site in (full[0], empty):
        person = signed_in(site, name)
        text = person.go("/")
        assert f"Welcome, {name}" in text
        assert "failed" not in person.page.title()
        assert ("You have no role yet" in text) == (name == "newcomer")
        if name in ("sofia", "paul"):
            assert "First steps of this installation" in text


def test_the_checklist_shows_what_is_done(full: tuple[Site, Content], empty: Site) -> None:
    officer = signed_in(empty, "paul")
    assert "2 of 8 done" in officer.go("/")
    officer.picture("console-first-steps")
    assert officer.page.get_by_role("link", name="Open: Declare a privacy budget").get_attribute("href") == "/budget"
    assert "5 of 8 done" in signed_in(full[0], "paul").go("/")


@pytest.mark.slow
def test_axe_finds_nothing_on_any_page_in_light_and_dark(full: tuple[Site, Content], empty: Site) -> None:
    site, content = full
    faults: list[str] = []
    seen: set[str] = set()
    for name in ("paul", "sofia", "clara", "ines", "newcomer"):
        for place in places_of(name):
            if place in seen and place != "/":
                continue
            seen.add(place)
            for shown in (site, empty):
                faults += page_faults(signed_in(shown, name), place, "light", 1280)
            faults += page_faults(signed_in(site, name), place, "dark", 375)
    details = [f"/releases/{content.runs[s]}" for s in content.runs] + [f"/jobs/{content.jobs[s]}" for s in content.jobs]
    for number, place in enumerate(details):
        scheme, width = (("light", 1280), ("dark", 375))[number % 2]
        faults += page_faults(signed_in(site, "rita"), place, scheme, width)
    for place in ("/sign-in",):
        faults += page_faults(site.visitor("stranger"), place, "dark", 375)
    assert not faults


@pytest.mark.parametrize(
    ("typed", "error"),
    [
        pytest.param("-1", "ε is not above 0", id="below zero"),
        pytest.param("0", "ε is not above 0", id="zero"),
        pytest.param("1,5", "Use a point for decimals: 1.5", id="decimal comma"),
        pytest.param("much", "ε is not a number", id="a word"),
        pytest.param("nan", "ε is out of range", id="not a number"),
        pytest.param("99", "ε is out of range", id="more than a guarantee can bear"),
    ],
)
def test_a_wrong_epsilon_is_refused_at_its_field(full: tuple[Site, Content], typed: str, error: str) -> None:
    rita = signed_in(full[0], "rita")
    rita.go("/synthesis?dataset=clinic")
    rita.fill(epsilon=typed, title="Cohort of a course")
    assert "Nothing was started" in rita.press("Check cost and consents")
    field = rita.page.locator("#epsilon")
    assert field.get_attribute("aria-invalid") == "true"
    assert error in rita.page.inner_text(f"#{str(field.get_attribute('aria-describedby')).split()[0]}")
    assert rita.page.evaluate("document.activeElement.id") == "epsilon"
    assert rita.page.input_value("#title") == "Cohort of a course"
    assert rita.page.title().startswith("Error:")
    assert not rita.page.get_by_role("button", name="Use the budget and start").count()


def test_an_identifier_is_no_column_to_predict(full: tuple[Site, Content]) -> None:
    rita = signed_in(full[0], "rita")
    rita.go("/synthesis?dataset=clinic")
    options = rita.page.locator("#target option").all_inner_texts()
    assert "smoker" in options
    assert "patient_id" not in options
    rita.page.evaluate("document.querySelector('#target option:last-child').value = 'patient_id'")
    rita.page.select_option("#target", "patient_id")
    assert "This column is an identifier" in rita.press("Check cost and consents")


def test_the_cost_names_consents_budget_and_guarantee(full: tuple[Site, Content]) -> None:
    rita = signed_in(full[0], "rita")
    rita.go("/synthesis?dataset=clinic")
    text = rita.press("Check cost and consents")
    assert "1,000 of 1,200 patients agreed" in text
    assert "at most 2.7 times" in text
    assert "chance that the release check accepts the result" in text
    assert rita.page.evaluate("document.activeElement.id") == "cost"
    rita.page.select_option("#policy", "public")
    rita.fill(epsilon="0.05")
    assert "A refusal is likely" in rita.press("Check cost and consents")
    rita.go(f"/synthesis?dataset={UNCONSENTED}")
    text = rita.press("Check cost and consents")
    assert "0 of 1,200 patients agreed" in text
    assert "A privacy officer records consents" in text
    assert not rita.page.get_by_role("button", name="Use the budget and start").count()
    rita.go(f"/synthesis?dataset={UNPAID}")
    assert f"No budget is declared for {UNPAID}" in rita.press("Check cost and consents")


def test_the_list_of_jobs_shows_the_state_of_each_run_now(full: tuple[Site, Content]) -> None:
    site, content = full
    rita = signed_in(site, "rita")
    rita.go("/jobs")
    later = {"running": "done", "waiting": "done"} if content.end.is_set() else {}  # another test may have ended them
    shown = {"signing": "waiting for signatures", "command line": "refused", "unreadable": "damaged", **later}
    for state, job in content.jobs.items():
        row = rita.page.get_by_role("row").filter(has=rita.page.locator(f'a[href="/jobs/{job}"]')).inner_text()
        assert shown.get(state, state) in row, state
    rita.go(f"/jobs/{content.jobs['failed']}")
    assert "a column without values" in rita.text
    assert "Start again" in rita.text
    assert "Stop the job" not in rita.text


def test_a_job_cannot_be_stopped_after_its_end(full: tuple[Site, Content]) -> None:
    site, content = full
    rita = signed_in(site, "rita")
    rita.go(f"/jobs/{content.jobs['running']}")
    rita.page.get_by_text("running", exact=True).wait_for(timeout=WAIT)
    stop = rita.page.get_by_role("button", name="Stop the job")
    assert stop.is_visible()
    content.end.set()
    rita.page.get_by_text("done", exact=True).wait_for(timeout=WAIT)
    assert not stop.count(), "the page updated itself"


def test_a_budget_shows_who_used_it_for_which_run(full: tuple[Site, Content]) -> None:
    site, content = full
    paul = signed_in(site, "paul")
    text = paul.go("/budget")
    rows = paul.page.get_by_role("region", name="Timeline of clinic").get_by_role("row").all_inner_texts()
    assert len(rows) == 5, "four runs"
    assert re.search(r"Cohort with an error\s+recalled\s+rita", rows[1])
    assert "at most 1 in 100,000,000" in text
    assert paul.page.locator("svg.chart circle").count() == 4
    paul.picture("console-budget")
    paul.page.get_by_role("link", name="Cohort with an error").click()
    assert paul.page.url.endswith(content.runs["recalled"])


def test_a_budget_is_not_declared_with_wrong_values(full: tuple[Site, Content]) -> None:
    site, _ = full
    secret = site.installation.people.step_up(*_session_of(site, "paul"))
    paul = signed_in(site, "paul@stepped-up")
    paul.page.context.add_cookies([{"name": "galenic", "value": secret, "url": site.base}])
    paul.go("/budget")
    paul.fill(population="clinic", epsilon="4,5")
    text = paul.press("Declare")
    assert "has a budget already" in text
    assert "Use a point for decimals: 4.5" in text
    assert paul.page.evaluate("document.activeElement.id") == "population"
    assert site.installation.ledger.statement("clinic").epsilon_limit == 4.0


def _session_of(site: Site, name: str) -> tuple[Any, str]:
    agent = site.visitor("stranger").page.evaluate("navigator.userAgent")
    opened = site.installation.gate.session(token_name(site.installation.people.begin(name, "passkey", agent)))
    assert opened is not None
    return opened[0], "passkey"


def test_empty_pages_say_what_to_do_next(empty: Site) -> None:
    for name, place, sentence in (
        ("rita", "/synthesis", "An integration engineer imports one"),
        ("rita", "/jobs", "Start one on the Synthesis or the Data sets page"),
        ("paul", "/budget", "Declare the first one below"),
        ("rita", "/budget", "A privacy officer declares it"),
        ("sofia", "/keys", "galenic backup create FOLDER"),
        ("aude", "/audit?who=nobody", "Remove a filter"),
        ("rita", "/glossary?find=zzzz", "Try another word"),
    ):
        assert sentence in signed_in(empty, name).go(place), place


def test_times_are_local_and_in_one_format(full: tuple[Site, Content]) -> None:
    site, _ = full
    aude = signed_in(site, "aude@tokyo", timezone_id="Asia/Tokyo")
    aude.go("/audit")
    shown = aude.page.locator("time").first
    stored = str(shown.get_attribute("datetime"))
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d", shown.inner_text())
    hours = (int(shown.inner_text()[11:13]) - int(stored[11:13])) % 24
    assert hours == 9
    plain = signed_in(site, "aude@plain", java_script_enabled=False)
    assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", plain.go("/audit"))


def test_the_menu_opens_by_keyboard_and_without_javascript(full: tuple[Site, Content]) -> None:
    site, _ = full
    paul = signed_in(site, "paul@phone", java_script_enabled=False, viewport={"width": 375, "height": 700})
    paul.go("/")
    link = paul.page.get_by_role("link", name="Budget", exact=True)
    assert not link.is_visible()
    paul.page.get_by_role("button", name="Menu", exact=True).focus()
    paul.page.keyboard.press("Enter")
    assert link.is_visible()
    paul.picture("console-menu-phone")
    link.press("Enter")
    paul.page.wait_for_url("**/budget")


def test_a_numeric_address_leads_to_the_name_that_passkeys_need(full: tuple[Site, Content]) -> None:
    site, _ = full
    stranger = site.visitor("stranger")
    stranger.page.goto(site.base.replace("localhost", "127.0.0.1") + "/sign-in?next=/jobs")
    assert stranger.page.url == f"{site.base}/sign-in?next=/jobs"


def test_the_rest_reference_lists_operations(full: tuple[Site, Content]) -> None:
    ines = signed_in(full[0], "ines")
    assert "/fhir/{type}/{id}/_history" in ines.go("/rest-api")
    ines.page.get_by_text("Search resources of one type").first.click()
    assert "_revinclude" in ines.text


def test_a_page_that_does_not_exist_leads_home(full: tuple[Site, Content]) -> None:
    paul = signed_in(full[0], "paul")
    assert "This page does not exist" in paul.go("/nowhere")
    paul.page.get_by_role("main").get_by_role("link", name="Home").click()
    assert "Welcome" in paul.text
