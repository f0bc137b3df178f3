"""Systems that call the server: accounts of their own kind, added and widened by two people; tokens act as systems alone."""

import json
import re

import httpx
import pytest
from joserfc.jwk import ECKey

from galenic.errors import AccessDeniedError, GalenicError, OptionError, StateError, UnknownNameError
from galenic.security import Fact, Session, SystemAccess, token_name
from site_made import Browser, Site
from systems_made import add_client, issue_token

ACCESS = {"scope": "system/Patient.rs", "purposes": "treatment", "hours": "8"}


def confirmed(browser: Browser) -> Browser:
    browser.web.post("/confirm", data={"csrf": browser.csrf(), "code": browser.code()})
    return browser


def form(browser: Browser, place: str, **values: str) -> httpx.Response:
    return browser.web.post(place, data={"csrf": browser.csrf(), **values})


def session_of(site: Site, browser: Browser) -> Session:
    found = site.installation.gate.session(token_name(browser.web.cookies["galenic"]))
    assert found
    return found[0]


def with_role(site: Site, name: str, role: str) -> Browser:
    browser = site.grown(name)
    site.installation.people.grant(name, f"{name}@clinic.example", role, by="sofia", approved="otto")
    return confirmed(browser)


@pytest.fixture
def sofia(site: Site) -> Browser:
    return confirmed(site.grown("sofia"))


@pytest.fixture
def petra(site: Site, sofia: Browser) -> Browser:
    return with_role(site, "petra", "privacy-officer")


def names(site: Site) -> list[str]:
    return [s.name for s in site.installation.systems.all()]


def proposal(site: Site, name: str = "lab") -> str:
    return next(f.key for f, _ in site.installation.systems.proposals() if f.purpose == name)


def approved(site: Site, sofia: Browser, petra: Browser, **access: str) -> None:
    form(sofia, "/clients", name="lab", **{**ACCESS, **access})
    assert form(petra, "/clients/decide", key=proposal(site), verb="approve").status_code == 303


def read(site: Site, token: str, path: str = "/fhir/Patient") -> int:
    return site.browser().web.get(path, headers={"Authorization": f"Bearer {token}"}).status_code


def token_in(page: httpx.Response) -> str:
    found = re.search(r"Access token, shown once.*?<code>([\w-]+)</code>", page.text, re.S)
    assert found, page.text
    return found[1]


def test_one_officer_alone_adds_no_system(site: Site, sofia: Browser) -> None:
    """A09: she added one with every scope and issued a token for 90 days."""
    assert form(sofia, "/clients", name="lab", **ACCESS).status_code == 303
    assert names(site) == []
    assert form(sofia, "/clients/token", name="lab", hours="8", scope="system/Patient.rs").status_code == 400
    page = form(sofia, "/clients/decide", key=proposal(site), verb="approve")
    assert page.status_code == 400
    assert "two people" in page.text
    assert names(site) == []


def test_two_people_add_a_system_and_widen_it(site: Site, sofia: Browser, petra: Browser) -> None:
    approved(site, sofia, petra)
    assert names(site) == ["lab"]
    narrow = token_in(form(sofia, "/clients/token", name="lab", hours="8", scope="system/Patient.rs"))
    assert read(site, narrow) == 200
    assert read(site, narrow, "/fhir/Observation") == 403
    wider = (
        {"scope": "system/*.rs"},
        {"scope": "system/Patient.cruds"},
        {"scope": "system/Patient.rs system/Observation.rs"},
        {"purposes": "treatment operations"},
        {"hours": "9"},
    )
    for more in wider:
        page = form(sofia, "/clients/token", name="lab", **{**ACCESS, **more})
        assert page.status_code == 400, more
        assert "Two people" in page.text, more
    form(sofia, "/clients", name="lab", scope="system/*.rs", purposes="treatment", hours="8")
    assert form(sofia, "/clients/token", name="lab", hours="8", scope="system/*.rs").status_code == 400, "only proposed"
    form(petra, "/clients/decide", key=proposal(site), verb="approve")
    assert (
        read(site, token_in(form(sofia, "/clients/token", name="lab", hours="8", scope="system/*.rs")), "/fhir/Observation")
        == 200
    )


def test_new_keys_of_a_system_take_two_people(site: Site, sofia: Browser, petra: Browser) -> None:
    approved(site, sofia, petra)
    key = ECKey.generate_key("P-384", parameters={"kid": "of-sofia", "use": "sig"})
    jwks = json.dumps({"keys": [key.as_dict(private=False)]})
    assert form(sofia, "/clients", name="lab", **ACCESS, jwks=jwks).status_code == 303
    assert site.installation.systems.get("lab").access.jwks == ""
    assert "of-sofia" in petra.web.get("/clients").text, "the second person sees what she approves"
    form(petra, "/clients/decide", key=proposal(site), verb="approve")
    assert "of-sofia" in site.installation.systems.get("lab").access.jwks


def test_an_approval_is_for_what_was_shown(site: Site, sofia: Browser, petra: Browser) -> None:
    form(sofia, "/clients", name="lab", **ACCESS)
    shown = proposal(site)
    form(sofia, "/clients", name="lab", scope="system/*.cruds", purposes="treatment", hours="8784")
    form(petra, "/clients/decide", key=shown, verb="approve")
    assert site.installation.systems.get("lab").access == SystemAccess("system/Patient.rs", ("treatment",), 8 * 3600)
    assert form(petra, "/clients/decide", key=shown, verb="approve").status_code == 400, "once"


def test_a_narrower_access_ends_tokens_that_go_beyond_it(site: Site, sofia: Browser, petra: Browser) -> None:
    approved(site, sofia, petra, scope="system/Patient.rs system/Observation.rs")
    wide = token_in(form(sofia, "/clients/token", name="lab", hours="8", scope="system/Observation.rs"))
    kept = token_in(form(sofia, "/clients/token", name="lab", hours="8", scope="system/Patient.rs"))
    approved(site, sofia, petra)
    assert (read(site, wide), read(site, kept)) == (401, 200)
    assert form(sofia, "/clients/remove", name="lab").status_code == 303
    assert read(site, kept) == 401
    assert names(site) == []


@pytest.mark.parametrize("name", ["paul", "PAUL", "sofia", "galenic-server"])
def test_a_token_never_acts_as_a_person_or_as_the_server(site: Site, sofia: Browser, name: str) -> None:
    """A08/A10: a token for the name of a clinician read and wrote as the clinician."""
    paul = with_role(site, "paul", "clinician")
    assert form(sofia, "/clients/token", name=name, hours="8", scope="system/*.cruds").status_code == 400
    assert form(sofia, "/clients", name=name, **ACCESS).status_code == 400
    with pytest.raises(GalenicError):
        site.installation.systems.register(name, SystemAccess(), proposed_by="sofia")
    assert "service" not in site.installation.people.roles("paul")
    assert paul.web.get("/account").status_code == 200


def test_a_token_that_was_made_for_a_person_before_opens_nothing(site: Site, sofia: Browser) -> None:
    """Facts as the version before wrote them: a role of a system and a token for the account of a person."""
    with_role(site, "paul", "clinician")
    facts, gate = site.installation.facts, site.installation.gate
    facts.put(
        Fact("grant", "paul/service", "given", "paul", label="service", body=(("client", "yes"), ("person", "client paul")))
    )
    about = (("purposes", "treatment"), ("scope", "system/*.cruds"))
    gate.begin("paul", how="issued by sofia", seconds=600, name=token_name("t" * 43), about=about)
    assert read(site, "t" * 43) == 401
    assert "service" not in gate.cache.roles("paul")[0]
    assert names(site) == []


def test_a_key_of_the_command_line_has_its_own_name_and_roles(site: Site, sofia: Browser) -> None:
    from galenic.custody import make_key

    add_client(site.installation, "lab")
    for name in ("sofia", "lab"):
        with pytest.raises(StateError):
            make_key(site.installation, name, "clinician")
    key = site.installation.keys.create("sofia", "clinician")  # of another machine that shares the database
    with pytest.raises(AccessDeniedError):
        site.installation.gate.sign_in(key)


@pytest.mark.parametrize(
    "wrong",
    [
        {"scope": "garbage"}, {"scope": "user/*.rs"}, {"scope": "patient/Patient.rs"}, {"scope": "system/Patient.rs\n"},
        {"scope": "system/Patient."}, {"scope": " "}, {"scope": "system/Nope.rs"}, {"scope": "system/Patient.rs system/observation.rs"},
        {"purposes": "nope"}, {"purposes": " "}, {"hours": "0"}, {"hours": "99999"},
        {"jwks": "{}"}, {"name": "lab\n\n"}, {"name": "../lab"}, {"name": ""},
    ],
)  # fmt: skip
def test_a_system_that_is_not_valid_is_refused(site: Site, sofia: Browser, wrong: dict[str, str]) -> None:
    answer = form(sofia, "/clients", **{"name": "lab", **ACCESS, **wrong})
    valid = wrong.get("scope", "").strip() == "system/Patient.rs" or wrong.get("name", "").strip() == "lab"
    assert (answer.status_code == 303) is valid, "spaces around are none of the value"
    assert names(site) == []


def test_what_a_token_did_leads_to_who_issued_it(site: Site, sofia: Browser, petra: Browser) -> None:
    site.installation.systems.register("ehr", SystemAccess(), proposed_by="x")
    writer = issue_token(site.installation, "ehr")
    site.browser().web.put(
        "/fhir/Patient/one", json={"resourceType": "Patient", "id": "one"}, headers={"Authorization": f"Bearer {writer}"}
    )
    approved(site, sofia, petra)
    token = token_in(form(sofia, "/clients/token", name="lab", hours="8", scope="system/Patient.rs"))
    assert read(site, token, "/fhir/Patient/one") == 200
    site.installation.audit.flush()
    rows = list(site.installation.audit.entries())
    used = [e for e in rows if e.actor == "lab" and e.action == "gate.opened"]
    issued = {e.detail["session"]: e for e in rows if e.action == "token.issued"}
    assert used
    for row in used:
        origin = issued[row.detail["session"]]
        assert (origin.actor, origin.resource) == ("sofia", "lab")
        assert origin.detail["scope"] == "system/Patient.rs"
        assert origin.detail["purposes"] == "treatment"
        assert origin.detail["until"] > origin.time


def test_roles_that_decide_nothing_about_systems_get_no_page(site: Site, sofia: Browser) -> None:
    nora = with_role(site, "nora", "nurse")
    assert nora.web.get("/clients").status_code == 403
    form(sofia, "/clients", name="lab", **ACCESS)
    for place in ("/clients/decide", "/clients/token", "/clients/remove", "/clients"):
        assert form(nora, place, key=proposal(site), verb="approve", name="lab", **ACCESS).status_code == 403, place
    with pytest.raises(AccessDeniedError):
        site.installation.systems.approve(session_of(site, nora), proposal(site))


def test_a_proposal_of_somebody_who_has_left_is_not_approved(site: Site, sofia: Browser, petra: Browser) -> None:
    otto = with_role(site, "otto", "security-officer")
    form(otto, "/clients", name="lab", **ACCESS)
    form(sofia, "/people/leave", name="otto")
    assert form(petra, "/clients/decide", key=proposal(site), verb="approve").status_code == 400
    assert form(petra, "/clients/decide", key=proposal(site), verb="reject").status_code == 303


def test_the_command_line_adds_systems_only_before_there_are_accounts(site: Site) -> None:
    systems = site.installation.systems
    systems.add("lab", SystemAccess(), "root")
    assert systems.get("lab").proposed_by == "command line: root"
    site.grown("sofia")
    for name in ("lab", "registry"):
        with pytest.raises(StateError, match="in the console under Systems"):
            systems.add(name, SystemAccess(), "root")
    assert systems.issue_token("lab", by="command line: root", how="issued on the command line", seconds=600)
    with pytest.raises(UnknownNameError):
        systems.issue_token("sofia", by="command line: root", how="x", seconds=600)
    for wrong in ({"scope": "garbage"}, {"scope": "user/*.rs"}, {"purposes": ("nope",)}, {"seconds": 366 * 86_400}):
        with pytest.raises(OptionError):
            systems.issue_token("lab", **{"by": "root", "how": "x", "seconds": 600, **wrong})  # type: ignore[arg-type]
