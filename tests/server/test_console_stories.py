"""The console in a real browser: from an installation without anybody to a release that two people signed."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from browser_made import Site, a_browser, approve_all, invite, invited
from galenic import custody, release
from galenic.custody import server_session
from galenic.custody.access import record_care_relation
from galenic.errors import ReleaseRefusedError
from galenic.flows.demonstration import POPULATION
from galenic.flows.synthesis import synthesize
from galenic.generators import SynthesisRequest
from galenic.installation import open_installation
from galenic.records import demo_columns, demo_table
from galenic.release import verify
from galenic.server import Listener, make_app, running_servers, setup
from galenic.server.console import Console
from server_made import free_port, observation
from site_made import PASSWORD
from systems_made import add_client, issue_token


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with ExitStack() as stack:
        browser = stack.enter_context(a_browser())
        installation = open_installation(tmp_path_factory.mktemp("site") / "home")
        repository = setup.open_served(installation)
        stack.callback(installation.close)
        stack.callback(repository.close)
        port = free_port()
        base = f"http://localhost:{port}"  # a secure context without TLS: passkeys work
        console = Console(installation, repository, base)
        stack.enter_context(running_servers([(make_app(repository, base, console), Listener("127.0.0.1", port))]))
        yield Site(base, installation, console, browser)


@pytest.fixture(scope="module")
def staffed(site: Site) -> Site:
    """Set up by its first person: two security officers, a researcher, a privacy officer, a clinician, an auditor."""
    sofia = site.visitor("sofia")
    assert "Set up this installation" in sofia.go("/")
    sofia.picture("console-01-set-up")
    sofia.clean()
    sofia.fill(code="wrong", name="sofia", shown="Sofia", human="sofia@clinic.example", password=PASSWORD)
    assert "not the set-up code" in sofia.press("Set up")
    sofia.fill(code=site.console.set_up_code, password="password1234")
    assert "is easy to guess" in sofia.press("Set up")
    sofia.fill(code=site.console.set_up_code, password=PASSWORD)
    assert "Protect your account" in sofia.press("Set up")
    sofia.picture("console-02-second-factor")
    sofia.enrol()
    sofia.add_passkey()
    sofia.picture("console-03-account")
    invited(site, "sofia", "otto", "security-officer")
    for name, role in (("rita", "researcher"), ("paul", "privacy-officer"), ("clara", "clinician"), ("aude", "auditor")):
        invited(site, "sofia", name, role)
    otto = site.visitor("otto")
    otto.page.goto(site.base + "/sign-in")
    otto.page.get_by_role("button", name="Sign in with a passkey").click()
    otto.page.wait_for_url(site.base + "/")
    assert "Proposed by sofia" in otto.text
    otto.picture("console-04-what-waits")
    approve_all(site, "otto")
    for name in ("rita", "paul", "clara", "aude"):  # their sessions ended with the change of roles
        guest = site.visitor(name)
        guest.go("/sign-in")
        guest.page.get_by_role("button", name="Sign in with a passkey").click()
        guest.page.wait_for_url(site.base + "/")
    return site


def test_everybody_is_who_two_people_say(staffed: Site) -> None:
    sofia = staffed.visitor("sofia")
    text = sofia.go("/people")
    assert "rita@clinic.example" in text
    assert "give rita" not in text, "her role was approved"
    sofia.picture("console-05-people")
    assert staffed.installation.people.roles("rita") == ("researcher",)
    for fact in staffed.installation.facts.of("grant", who="rita"):
        assert (fact.get("proposed_by"), fact.get("approved_by")) == ("sofia", "otto")


def test_one_human_has_one_account(staffed: Site) -> None:
    sofia = staffed.visitor("sofia")
    text = sofia.surely(lambda: invite(sofia, "rita2", "Rita again", "Rita@Clinic.example", "clinician"))
    assert "already has an account" in text


@pytest.fixture(scope="module")
def run(staffed: Site) -> str:
    """A run that rita asked for."""
    from galenic.privacy import ColumnOptions

    staffed.installation.ledger.declare(POPULATION, epsilon=1.0, delta=1e-9, actor="rita")
    column_options = ColumnOptions(description=demo_columns())
    request = SynthesisRequest(
        epsilon=1.0, delta=1e-9, population=POPULATION, column_options=column_options, target="mdvis", by="rita"
    )
    result = synthesize(staffed.installation, demo_table(), request)
    assert result.decision.accepted
    return str(result.run)


def test_a_release_leaves_once_two_people_have_signed_it(staffed: Site, run: str, tmp_path: Path) -> None:
    rita, paul, clara = (staffed.visitor(n) for n in ("rita", "paul", "clara"))
    with pytest.raises(ReleaseRefusedError, match="console"):  # nobody signs past it with a file of a key
        release.sign_with_key(staffed.installation, run, "anybody")
    assert "You requested this run. Two other people sign it." in rita.go(f"/releases/{run}")
    assert rita.page.get_by_role("button", name=re.compile("^Sign as")).count() == 0
    assert "waits for your signature" in paul.go("/")
    paul.page.get_by_role("link", name=re.compile("Read the evidence of")).click()
    evidence = paul.page.frame_locator("iframe").locator("main")
    evidence.wait_for()
    assert "Every limit of the policy" in evidence.inner_text()
    paul.picture("console-06-evidence")
    paul.clean()
    assert "Signed as privacy-officer" in paul.sign("privacy-officer")
    assert paul.page.get_by_role("button", name=re.compile("^Sign as")).count() == 0
    clara.go(f"/releases/{run}")
    assert "Signed as clinician" in clara.sign("clinician")
    clara.picture("console-07-signed")
    assert "it is signed and can be downloaded" in rita.go("/")
    rita.go(f"/releases/{run}")
    released = rita.download(run, tmp_path)
    lines = verify(released)
    assert [line for line in lines if "verified identity" in line and "signed as" in line].__len__() == 2
    rows = [e for e in staffed.installation.audit.entries() if e.action == "signed"]
    assert {(e.actor, e.detail["role"], e.detail["how"]) for e in rows} == {
        ("paul", "privacy-officer", "passkey"), ("clara", "clinician", "passkey")}  # fmt: skip
    asked = next(e for e in staffed.installation.audit.entries() if e.action == "synthesize.requested")
    assert asked.actor == "rita"
    assert asked.seq < rows[0].seq

    def recall() -> str:
        paul.go(f"/releases/{run}")
        paul.page.get_by_text("Recall", exact=True).first.click()
        paul.page.fill("#why", "a column was named wrongly in the description")
        return paul.press("Recall")

    assert "recalled" in paul.surely(recall)


def test_an_auditor_verifies_the_chain(staffed: Site) -> None:
    aude = staffed.visitor("aude")
    aude.go("/audit")
    assert "None was changed or removed" in aude.press("Verify the whole log")
    aude.picture("console-08-audit")
    with aude.page.expect_download() as download:
        aude.page.get_by_role("link", name=re.compile("^Proof of entry")).first.click()
    assert '"path"' in Path(download.value.path()).read_text()


EVIL = "<img src=x onerror=alert(1)><script>alert(2)</script>"


@pytest.fixture(scope="module")
def treated(staffed: Site) -> Site:
    """Two patients, one with a name and a value that are an attack; clara treats that one."""
    installation = staffed.installation
    add_client(installation, "ehr")
    token = issue_token(installation, "ehr")
    with httpx.Client(base_url=f"{staffed.base}/fhir", headers={"Authorization": f"Bearer {token}"}, trust_env=False) as ehr:
        for own, name in (("evil", EVIL), ("other", "Somebody Else")):
            patient = {"resourceType": "Patient", "id": own, "name": [{"text": name}], "gender": "female", "text": {
                "status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml"><p>seen</p></div>'}}  # fmt: skip
            about = {**observation(own), "id": f"of-{own}", "valueString": EVIL, "effectiveDateTime": "2026-05-01"}
            del about["valueQuantity"]
            for resource in (patient, about):
                place, kind = f"/{resource['resourceType']}/{resource['id']}", "application/fhir+json"
                assert ehr.put(place, json=resource, headers={"Content-Type": kind}).status_code == 201
    record_care_relation(installation, server_session(installation), "records", "evil", "clara")
    return staffed


def test_a_clinician_sees_whom_she_treats_and_nothing_runs(treated: Site) -> None:
    clara = treated.visitor("clara")
    dialogs: list[str] = []
    clara.page.on("dialog", lambda d: (dialogs.append(d.message), d.dismiss()))
    text = clara.go("/patients")
    assert EVIL in text
    assert "Somebody Else" not in text
    clara.page.get_by_role("link", name=EVIL).first.click()
    assert "Timeline" in clara.text
    assert f"Systolic blood pressure: {EVIL}" in clara.text
    clara.picture("console-10-patient")
    clara.clean()
    assert not dialogs
    assert "is not in your care" in clara.go("/patients/other")
    assert "is not in your care" in clara.go("/patients/nobody")
    assert "No patient in your care matches" in clara.go("/patients?name=somebody")


def test_the_glass_is_broken_and_somebody_else_looks_at_it(treated: Site) -> None:
    clara, paul = treated.visitor("clara"), treated.visitor("paul")

    def open_it() -> str:
        clara.go("/patients")
        clara.page.get_by_role("link", name="Emergency access").click()
        if "Confirm that it is you" in clara.text:
            return clara.text
        clara.fill(identifier="other", why="unconscious, no papers, allergic reaction")
        clara.picture("10b-emergency")
        clara.clean()
        return clara.press("Open the record")

    text = clara.surely(open_it)
    assert "Reason: unconscious" in text
    assert "Somebody Else" in text
    clara.clean()
    assert "is not in your care" in clara.go("/patients/other"), "once"
    assert "emergency access by clara" in paul.go("/")
    paul.go("/reviews")
    paul.clean()

    def justified() -> str:
        paul.go("/reviews")
        paul.page.get_by_role("link", name=re.compile("Review access")).click()
        paul.page.get_by_label("Comment").wait_for()
        assert "unconscious, no papers" in paul.text
        assert "Somebody Else" in paul.text
        paul.clean()
        paul.picture("10c-review")
        paul.fill(comment="The ward confirmed it.")
        return paul.press("Justified")

    assert "justified" in paul.surely(justified)
    assert "No review is due" in paul.text
    assert "The ward confirmed it." in paul.text


def test_a_patient_withdraws_consent_and_sees_who_used_the_data(treated: Site) -> None:
    installation, paul = treated.installation, treated.visitor("paul")
    session = server_session(installation)
    custody.record_consent(installation, session, "records", ["evil"], "research")
    custody.withdraw_consent(installation, session, "records", ["evil"], "research")
    treated.visitor("clara").go("/patients/evil")
    paul.go("/consent")
    paul.fill(patient="evil")
    text = paul.press("Look up")
    assert re.search(r"research\s+clinical\s+withdrawn", text)
    assert "clara" in text
    assert "treatment" in text
    paul.picture("console-11-consent")
    paul.clean()
    paul.fill(who="nobody-here")
    assert "No accesses by this account" in paul.press("Filter")
    paul.fill(who="clara")
    assert "clara" in paul.press("Filter")
    for _ in range(25):
        treated.visitor("clara").page.request.get(f"{treated.base}/patients/evil")
    paul.go("/consent")
    paul.fill(patient="evil")
    assert "Page 1" in paul.press("Look up")
    assert "Page 2" in paul.press("Older")
    paul.go("/consent")
    paul.fill(patient="never-was")
    assert "no patient with this identifier" in paul.press("Look up")


def test_a_policy_takes_two_people_and_shows_what_it_changes(staffed: Site) -> None:
    sofia, paul = staffed.visitor("sofia"), staffed.visitor("paul")
    sofia.go("/policy")
    changed = (
        sofia.page.input_value("#text")
        .replace("version = 1", "version = 2")
        .replace('roles = ["auditor", "privacy', 'roles = ["privacy')
    )
    sofia.page.fill("#text", changed)
    assert "would change from refused to allowed" in sofia.press("Test on the last 30 days")
    sofia.picture("console-09-policy")
    assert staffed.installation.policies.active().version == 1

    def propose() -> str:
        sofia.page.fill("#text", changed)
        return sofia.press("Propose")

    assert "A second officer activates it" in sofia.surely(propose)
    name = next(f.key for f in staffed.installation.facts.of("policy") if f.state == "proposed")
    assert sofia.page.get_by_role("button", name=f"Activate {name}").count() == 0

    def put_in_force() -> str:
        paul.go("/policy")
        return paul.press(f"Activate {name}")

    paul.surely(put_in_force)
    assert staffed.installation.policies.active().version == 2
    sofia.page.fill("#text", "this is no policy")
    assert "not valid TOML" in sofia.press("Test on the last 30 days")


def test_who_leaves_is_out_at_once(staffed: Site) -> None:
    guest = invited(staffed, "sofia", "leo", "nurse")
    assert "You have no role yet" in guest.go("/")
    sofia = staffed.visitor("sofia")

    def let_go() -> str:
        sofia.go("/people")
        sofia.page.get_by_text("Change leo", exact=True).click()
        return sofia.press("Deactivate leo")

    sofia.surely(let_go)
    assert "Sign in" in guest.go("/")
    guest.page.get_by_role("button", name="Sign in with a passkey").click()
    guest.page.get_by_text("not registered here").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_any_page(staffed: Site, scheme: str) -> None:
    pages = {
        "sofia": ("/", "/people", "/clients", "/account", "/audit", "/policy", "/keys", "/jobs"),
        "paul": ("/releases", "/budget", "/consent", "/reviews", "/data", "/synthesis", "/jobs"),
        "clara": ("/patients",),
    }
    for name, places in pages.items():
        visitor = staffed.visitor(name)
        visitor.page.emulate_media(color_scheme=scheme)
        visitor.console.clear()  # refusals that other stories saw
        for place in places:
            visitor.go(place)
            visitor.clean()
            visitor.page.set_viewport_size({"width": 360, "height": 800})
            assert visitor.page.evaluate("document.documentElement.scrollWidth") <= 360, place
            visitor.page.set_viewport_size({"width": 1280, "height": 800})
        assert not visitor.console


def test_pages_read_without_javascript(staffed: Site) -> None:
    context = staffed.browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(staffed.base + "/sign-in")
    page.fill("#name", "aude")
    page.fill("#password", PASSWORD)
    page.get_by_role("button", name="Continue").click()
    aude = staffed.visitor("aude")
    page.fill("#code", aude.codes[0])
    page.get_by_role("button", name="Sign in").click()
    assert "Next steps" in page.inner_text("body")
    page.goto(staffed.base + "/audit")
    page.get_by_role("button", name="Verify the whole log").click()
    assert "None was changed" in page.inner_text("body")
    context.close()
