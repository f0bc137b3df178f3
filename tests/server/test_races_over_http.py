"""Two browsers of one person send the same at once."""

from collections.abc import Callable
from functools import partial

import httpx
import pytest

from galenic import release
from galenic.release import ARTIFACTS, run_status
from galenic.security import token_name
from races import FEW, race
from site_made import AGENT, Site
from toy_made import ToyArtifact, toy_run


def signed_in(site: Site, name: str) -> Callable[..., httpx.Response]:
    """Sends forms as a person who has just confirmed."""
    people, gate = site.installation.people, site.installation.gate
    begun = gate.session(token_name(people.begin(name, "passkey", AGENT)))
    assert begun is not None
    browser = site.browser()
    browser.web.cookies.set(site.console.session_cookie, people.step_up(begun[0], "passkey"))
    csrf = browser.csrf()
    return lambda place, **fields: browser.web.post(place, data={"csrf": csrf, **fields})


def test_one_person_who_signs_in_two_roles_at_once_releases_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ARTIFACTS, "toy", ToyArtifact())
    site.grown("sofia")
    people = site.installation.people
    for name, roles in (("paul", ("privacy-officer", "clinician")), ("rita", ("researcher",))):
        people.write(name, f"{name}@clinic.example", name, "active")
        for role in roles:
            people.grant(name, f"{name}@clinic.example", role, by="sofia", approved="otto")
    one, two = signed_in(site, "paul"), signed_in(site, "paul")
    for _ in range(FEW):
        run = toy_run(site.installation, 0.9, "rita")[0].id
        digest = run_status(site.installation, run).digest
        answers = race(
            partial(one, f"/releases/{run}/sign", role="privacy-officer", digest=digest, evidence_read="yes"),
            partial(two, f"/releases/{run}/sign", role="clinician", digest=digest, evidence_read="yes"),
        )
        assert sorted(a.status_code for a in answers) == [303, 400]  # type: ignore[attr-defined]
        assert one(f"/releases/{run}/download").status_code == 400
    assert release.list_releases(site.installation) == []
