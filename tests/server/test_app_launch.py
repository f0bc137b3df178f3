"""SMART App Launch, standalone: an application reads as a person who lets it, what that person may read, and nobody takes its tokens."""

import base64
import hashlib
import json
import re
import secrets
import time
import uuid
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwk, jwt

from galenic.custody import server_session
from galenic.custody.access import record_care_relation
from galenic.errors import OptionError
from site_made import Browser, Site
from systems_made import add_client, issue_token

JSON = "application/fhir+json"
BACK = "https://growth.example.org/back"
KEY = jwk.ECKey.import_key(ec.generate_private_key(ec.SECP384R1()), {"kid": "app-1"})


class Launch:
    """An application in somebody's browser."""

    def __init__(self, site: Site, person: Browser, app: str = "growth") -> None:
        self.site, self.person, self.app = site, person, app
        self.verifier = secrets.token_urlsafe(48)
        digest = hashlib.sha256(self.verifier.encode()).digest()
        self.challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")

    def asked(self, **more: str) -> dict[str, str]:
        given = {
            "response_type": "code", "client_id": self.app, "redirect_uri": BACK, "scope": "user/*.rs offline_access",
            "state": "the-state", "aud": f"{self.site.base}/fhir", "code_challenge": self.challenge, "code_challenge_method": "S256",
            **more,
        }  # fmt: skip
        return {k: v for k, v in given.items() if v}

    def allow(self, verdict: str = "allow", **more: str) -> dict[str, str]:
        """What the application gets at its address."""
        page = self.person.web.get("/authorize", params=self.asked(**more))
        if page.status_code == 303:
            return answered(page)
        assert page.status_code == 200, page.text
        query = re.search(r'name="query" value="([^"]+)"', page.text)
        assert query
        form = {"csrf": self.person.csrf(), "query": query[1].replace("&amp;", "&"), "verdict": verdict}
        return answered(self.person.web.post("/authorize", data=form))

    def token(self, **given: str) -> Any:
        whole = {
            "grant_type": "authorization_code",
            "client_id": self.app,
            "redirect_uri": BACK,
            "code_verifier": self.verifier,
            **given,
        }
        return self.person.web.post("/auth/token", data={k: v for k, v in whole.items() if v}, headers={"Cookie": ""})

    def refresh(self, token: str, **given: str) -> Any:
        whole = {"grant_type": "refresh_token", "client_id": self.app, "refresh_token": token, **given}
        return self.person.web.post("/auth/token", data=whole, headers={"Cookie": ""})

    def read(self, token: str, place: str) -> Any:
        return self.person.web.get(f"/fhir{place}", headers={"Authorization": f"Bearer {token}", "Cookie": ""})


def answered(answer: Any) -> dict[str, str]:
    there = urlsplit(answer.headers["location"])
    assert f"{there.scheme}://{there.netloc}{there.path}" == BACK
    return {k: v[0] for k, v in parse_qs(there.query).items()}


@pytest.fixture
def clara(site: Site) -> Browser:
    """A clinician with one patient of hers and one of nobody's."""
    site.grown("sofia")
    found = site.grown("clara")
    people = site.installation.people
    people.grant("clara", "clara@clinic.example", "clinician", by="sofia", approved="otto")
    add_client(site.installation, "ehr")
    token = issue_token(site.installation, "ehr")
    for own in ("hers", "other"):
        patient = json.dumps({"resourceType": "Patient", "id": own, "gender": "female"})
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/fhir+json", "Cookie": ""}
        assert found.web.put(f"/fhir/Patient/{own}", content=patient, headers=headers).status_code == 201
    record_care_relation(site.installation, server_session(site.installation), "records", "hers", "clara")
    site.installation.apps.add("growth", (BACK,), "user/*.rs offline_access", shown="Growth chart", by="sofia")
    return found


def test_an_application_reads_what_the_person_may_read(site: Site, clara: Browser) -> None:
    found = clara.web.get("/fhir/.well-known/smart-configuration").json()
    assert found["authorization_endpoint"] == f"{site.base}/authorize"
    assert {"launch-standalone", "client-public", "permission-user"} <= set(found["capabilities"])
    launch = Launch(site, clara)
    page = clara.web.get("/authorize", params=launch.asked())
    assert "Growth chart" in page.text
    assert "read, search: records of any type" in page.text
    assert "form-action 'self' https://growth.example.org;" in page.headers["content-security-policy"]
    back = launch.allow()
    assert (back["state"], back["iss"]) == ("the-state", site.base)
    answer = launch.token(code=back["code"])
    assert answer.status_code == 200, answer.text
    got = answer.json()
    assert got["scope"] == "user/*.rs offline_access"
    assert launch.read(got["access_token"], "/Patient/hers").status_code == 200
    assert launch.read(got["access_token"], "/Patient/other").status_code == 404
    made = clara.web.post(
        "/fhir/Patient", content="{}", headers={"Authorization": f"Bearer {got['access_token']}", "Cookie": "", "Content-Type": JSON}
    )  # fmt: skip
    assert made.status_code == 403
    rows = [e for e in site.installation.audit.entries() if e.action == "gate.opened" and e.actor == "clara"]
    assert rows, "what it reads is on the chain under her name"
    renewed = launch.refresh(got["refresh_token"]).json()
    assert launch.read(renewed["access_token"], "/Patient/hers").status_code == 200
    site.installation.people.end_sessions("clara")
    assert launch.read(renewed["access_token"], "/Patient/hers").status_code == 401
    assert launch.refresh(renewed["refresh_token"]).status_code == 400, (
        "who leaves, or changes a role, takes applications along"
    )


def test_a_code_counts_once_and_ends_what_came_of_it_when_shown_again(site: Site, clara: Browser) -> None:
    launch = Launch(site, clara)
    code = launch.allow()["code"]
    got = launch.token(code=code).json()
    assert launch.read(got["access_token"], "/Patient/hers").status_code == 200
    assert launch.token(code=code).json()["error"] == "invalid_grant"
    assert launch.read(got["access_token"], "/Patient/hers").status_code == 401
    assert launch.refresh(got["refresh_token"]).status_code == 400
    assert "session.replayed" in {e.action for e in site.installation.audit.entries()}


def test_a_refresh_token_counts_once_and_ends_its_line_when_shown_again(site: Site, clara: Browser) -> None:
    launch = Launch(site, clara)
    first = launch.token(code=launch.allow()["code"]).json()
    second = launch.refresh(first["refresh_token"]).json()
    assert launch.read(second["access_token"], "/Patient/hers").status_code == 200
    assert launch.refresh(first["refresh_token"]).json()["error"] == "invalid_grant"
    assert launch.read(second["access_token"], "/Patient/hers").status_code == 401
    assert launch.refresh(second["refresh_token"]).status_code == 400


@pytest.mark.parametrize(
    "wrong",
    [
        {"code_verifier": "w" * 60}, {"code_verifier": ""}, {"code_verifier": "short"}, {"redirect_uri": "https://growth.example.org/other"},
        {"redirect_uri": ""}, {"client_id": "another"}, {"client_id": "nobody"}, {"code": "A" * 43},
    ],
    ids=["another verifier", "no verifier", "short verifier", "another address", "no address", "another application", "nobody", "another code"],
)  # fmt: skip
def test_a_code_is_worth_nothing_to_others(site: Site, clara: Browser, wrong: dict[str, str]) -> None:
    site.installation.apps.add("another", (BACK,), "user/*.rs", by="sofia")
    launch = Launch(site, clara)
    answer = launch.token(**{"code": launch.allow()["code"], **wrong})
    assert answer.status_code in (400, 401), answer.text
    assert "access_token" not in answer.text


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"), ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"), ({"aud": "https://evil.example/fhir"}, "invalid_request"),
        ({"aud": ""}, "invalid_request"), ({"state": ""}, "invalid_request"), ({"scope": "system/*.cruds"}, "invalid_scope"),
        ({"scope": "user/*.cruds"}, "invalid_scope"), ({"scope": "patient/*.rs openid"}, "invalid_scope"),
    ],
)  # fmt: skip
def test_what_can_not_be_allowed_is_said_to_the_application(
    site: Site, clara: Browser, wrong: dict[str, str], error: str
) -> None:
    assert Launch(site, clara).allow(**wrong)["error"] == error


@pytest.mark.parametrize(
    "wrong", [{"redirect_uri": "https://evil.example/back"}, {"redirect_uri": f"{BACK}/../x"}, {"client_id": "nobody"}]
)
def test_nobody_is_sent_to_an_address_that_is_not_the_applications(site: Site, clara: Browser, wrong: dict[str, str]) -> None:
    launch = Launch(site, clara)
    answer = clara.web.get("/authorize", params=launch.asked(**wrong))
    assert answer.status_code == 403
    assert "location" not in answer.headers


def test_who_says_no_and_who_is_not_signed_in(site: Site, clara: Browser) -> None:
    launch = Launch(site, clara)
    assert launch.allow("deny")["error"] == "access_denied"
    stranger = site.browser()
    answer = stranger.web.get("/authorize", params=launch.asked())
    there = urlsplit(answer.headers["location"])
    assert there.path == "/sign-in"
    assert "client_id=growth" in parse_qs(there.query)["next"][0], "sign-in leads back to the application's request"
    form = {"csrf": "no", "query": "&".join(f"{k}={v}" for k, v in launch.asked().items()), "verdict": "allow"}
    assert clara.web.post("/authorize", data=form).status_code == 403, "nobody allows for somebody else (CSRF)"


def test_an_application_with_a_key_proves_itself_by_it(site: Site, clara: Browser) -> None:
    public = json.dumps({"keys": [KEY.as_dict(private=False)]})
    site.installation.apps.add("kept", (BACK,), "user/Patient.rs", jwks=public, by="sofia")
    launch = Launch(site, clara, "kept")
    code = launch.allow(scope="user/Patient.rs offline_access")["code"]
    assert launch.token(code=code).status_code == 401, "its name alone is not enough"

    said = {
        "iss": "kept",
        "sub": "kept",
        "aud": f"{site.base}/auth/token",
        "exp": int(time.time()) + 120,
        "jti": uuid.uuid4().hex,
    }
    proof = jwt.encode({"alg": "ES384", "kid": "app-1"}, said, KEY, algorithms=["ES384"])
    kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    answer = launch.token(code=code, client_id="", client_assertion=proof, client_assertion_type=kind)
    assert answer.status_code == 200, answer.text
    assert answer.json()["scope"] == "user/Patient.rs"
    assert "refresh_token" not in answer.json()


@pytest.mark.parametrize(
    "place",
    [
        "http://growth.example.org/back",
        "https://*.example.org/back",
        "https://growth.example.org/#x",
        "javascript:alert(1)",
        "https://",
    ],
)
def test_an_address_that_anybody_could_take_is_not_registered(site: Site, place: str) -> None:
    with pytest.raises(OptionError, match="redirect URI"):
        site.installation.apps.add("growth", (place,), "user/*.rs")


def test_an_application_that_is_removed_is_none_at_once(site: Site, clara: Browser) -> None:
    launch = Launch(site, clara)
    got = launch.token(code=launch.allow()["code"]).json()
    site.installation.apps.remove("growth", by="sofia")
    assert launch.read(got["access_token"], "/Patient/hers").status_code == 401
    assert launch.refresh(got["refresh_token"]).status_code == 401
    assert clara.web.get("/authorize", params=launch.asked()).status_code == 403


def test_somebody_takes_back_what_an_application_was_let_do(site: Site, clara: Browser) -> None:
    launch = Launch(site, clara)
    got = launch.token(code=launch.allow()["code"]).json()
    assert "Remove access of Growth chart" in clara.web.get("/account").text
    assert clara.web.post("/account/apps", data={"csrf": clara.csrf(), "app": "growth"}).status_code == 303
    assert launch.read(got["access_token"], "/Patient/hers").status_code == 401
    assert launch.refresh(got["refresh_token"]).status_code == 400
    assert "Remove access of" not in clara.web.get("/account").text
