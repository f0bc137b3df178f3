"""A hospital in the console: staff with roles, signed in and just confirmed, and simulated patients."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from galenic.custody import server_session
from galenic.security import token_name
from galenic.server import setup
from site_made import Browser, Site, a_site


@dataclass
class Hospital:
    """A console with an integration engineer, two clinicians and a privacy officer; 12 simulated patients."""

    site: Site
    browsers: dict[str, Browser]

    def get(self, who: str, place: str) -> str:
        return self.browsers[who].web.get(place, follow_redirects=True).text

    def post(self, who: str, place: str, **data: Any) -> str:
        browser = self.browsers[who]
        files = data.pop("files", None)
        answer = browser.web.post(place, data={"csrf": browser.csrf(), **data}, files=files, follow_redirects=True)
        return answer.text


ROLES = {
    "sofia": ("security-officer",),
    "ines": ("integration-engineer",),
    "clara": ("clinician",),
    "carl": ("clinician", "integration-engineer"),
    "paul": ("privacy-officer",),
    "nina": ("nurse",),
    "nell": ("nurse",),
    "noah": ("nurse",),
}


def staff(site: Site) -> Hospital:
    """People with roles, signed in and just confirmed."""
    browsers = {}
    for name, roles in ROLES.items():
        browsers[name] = site.grown(name)
        for role in roles:
            site.installation.people.grant(name, f"{name}@clinic.example", role, by="sofia", approved="otto")
    for name in ROLES:
        step_up(site, browsers[name], name)
    return Hospital(site, browsers)


def step_up(site: Site, browser: Browser, name: str) -> None:
    """Confirms the identity of a signed-in person."""
    secret = browser.web.cookies[site.console.session_cookie]
    found = site.installation.gate.session(token_name(secret))
    assert found is not None
    browser.web.cookies.set(site.console.session_cookie, site.installation.people.step_up(found[0], "passkey"))


@contextmanager
def a_hospital(folder: Path, patients: int = 12) -> Iterator[Hospital]:
    """A console of its own with simulated patients and staff."""
    with a_site(folder / "home") as site, pytest.MonkeyPatch.context() as slow:
        slow.setattr("galenic.security.people.STEP_UP_SECONDS", 3_600)  # a loaded machine takes its time
        session = server_session(site.installation)
        setup.import_simulated_records(site.installation, session, folder, count=patients, seed=7)
        yield staff(site)
