"""People in front of a real browser, each with an authenticator of their own."""

import os
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from galenic.installation import Installation
from galenic.server.console import Console
from server_made import next_code
from site_made import PASSWORD

AXE = resources.files("axe_playwright_python") / "axe.min.js"
FOUND = """async () => (await axe.run(document, {resultTypes: ["violations"]})).violations
    .map(v => v.id + ": " + v.nodes.map(n => n.target.join(" ")).slice(0, 3).join(", "))"""
AUTHENTICATOR = {
    "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True, "isUserVerified": True,
    "automaticPresenceSimulation": True,
}  # fmt: skip
SHOTS = os.environ.get("GALENIC_SCREENSHOTS")  # a folder: pages are pictured on the way


@dataclass
class Visitor:
    """A browser of one person, with an authenticator of their own."""

    page: Any
    base: str
    secret: str = ""
    console: list[str] = field(default_factory=list)
    used: list[str] = field(default_factory=list)

    def go(self, place: str) -> str:
        """Opens a page; returns its text."""
        self.page.goto(self.base + place)
        return self.text

    @property
    def text(self) -> str:
        return str(self.page.inner_text("body"))

    def fill(self, **values: str) -> None:
        for name, value in values.items():
            self.page.fill(f"#{name}", value)

    def press(self, label: str) -> str:
        """Sends the form of a button; returns the text of the page that it leads to."""
        with self.page.expect_navigation():
            self.page.get_by_role("button", name=label, exact=True).first.click()
        return self.text

    def surely(self, act: Callable[[], str]) -> str:
        """Does what wants to know that it is them: where that is asked, confirms it and does it again."""
        text = act()
        if "Confirm that it is you" in text:
            self.page.get_by_role("button", name="Confirm with a passkey").click()
            self.page.wait_for_url(lambda url: "/confirm" not in url)
            text = act()
        return text

    def sign(self, role: str, comment: str = "") -> str:
        """Signs the run of the open page: ticks the box, confirms the person where that is asked."""

        def act() -> str:
            self.page.locator(f"#evidence_read-{role}").check()
            self.page.fill(f"#comment-{role}", comment)
            return self.press(f"Sign as {role}")

        return self.surely(act)

    def code(self) -> str:
        return next_code(self.secret, self.used)

    def enrol(self) -> None:
        """Sets up the authenticator that the page shows, and keeps the recovery codes."""
        self.secret = self.page.inner_text("code").strip()
        self.fill(code=self.code())
        self.press("Sign in")
        assert "recovery codes" in self.text
        self.codes = self.page.locator("ul.mono li").all_inner_texts()
        self.page.get_by_role("link", name="I have saved these codes").click()

    def download(self, run: str, folder: Path) -> Path:
        """Takes a release with its proof, having confirmed that it is them; returns where it was unpacked."""
        self.go(f"/confirm?next=/releases/{run}")
        self.page.get_by_role("button", name="Confirm with a passkey").click()
        self.page.wait_for_url(f"**/releases/{run}")
        with self.page.expect_download() as download:
            self.page.get_by_role("button", name="Download with its proof").click()
        with zipfile.ZipFile(download.value.path()) as packed:
            packed.extractall(folder)
        return folder / run

    def add_passkey(self) -> None:
        self.go("/account")
        self.fill(**{"passkey-name": "ward tablet"})
        self.page.get_by_role("button", name="Add a passkey").click()
        self.page.wait_for_url("**/account?said=**")
        assert "ward tablet" in self.text

    def picture(self, name: str) -> None:
        if SHOTS:
            before = self.page.viewport_size
            self.page.evaluate("window.scrollTo(0, 0)")
            height = self.page.evaluate("document.documentElement.scrollHeight")
            self.page.set_viewport_size(
                {"width": 1280, "height": min(int(height), 4_000)}
            )  # frames outside of it are not painted
            self.page.wait_for_timeout(2_500 if self.page.locator("iframe").count() else 200)
            self.page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)
            self.page.set_viewport_size(before)

    def clean(self) -> None:
        """axe-core finds nothing on the page, and it does not scroll sideways on a telephone."""
        self.page.add_script_tag(url="/static/htmx.min.js")  # what the page's policy allows
        self.page.evaluate(AXE.read_text(encoding="utf-8"))
        assert self.page.evaluate(FOUND) == [], self.page.url


@dataclass
class Site:
    base: str
    installation: Installation
    console: Console
    browser: Any
    visitors: dict[str, Visitor] = field(default_factory=dict)
    code: str = ""

    def visitor(self, name: str, **given: Any) -> Visitor:
        """A browser of its own."""
        if name not in self.visitors:
            context = self.browser.new_context(bypass_csp=False, **given)
            page = context.new_page()
            session = context.new_cdp_session(page)
            session.send("WebAuthn.enable")
            session.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
            found = self.visitors[name] = Visitor(page, self.base)
            page.on("console", lambda m: found.console.append(m.text) if m.type == "error" else None)
        return self.visitors[name]


@contextmanager
def a_browser() -> Iterator[Any]:
    """Debian's Chromium."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="the test extra brings playwright")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed (Debian package chromium)")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def invite(admin: Visitor, name: str, shown: str, human: str, *roles: str) -> str:
    """Fills the form of an invitation, and sends it."""
    admin.go("/people")
    admin.fill(name=name, shown=shown, human=human)
    for role in roles:
        admin.page.get_by_label(role, exact=True).check()
    return admin.press("Invite")


def invited(site: Site, by: str, name: str, *roles: str) -> Visitor:
    """Invites somebody through the form, and lets them in."""
    admin = site.visitor(by)
    admin.surely(lambda: invite(admin, name, name.title(), f"{name}@clinic.example", *roles))
    link = re.search(r"http://\S+/invitation/\S+", admin.text)
    assert link, admin.text
    guest = site.visitor(name)
    guest.page.goto(link[0])
    guest.fill(password=PASSWORD)
    guest.press("Continue")
    guest.enrol()
    guest.add_passkey()
    return guest


def approve_all(site: Site, by: str) -> None:
    officer = site.visitor(by)

    def approve() -> str:
        officer.go("/people")
        return officer.press("Approve") if officer.page.get_by_role("button", name="Approve", exact=True).count() else ""

    while officer.surely(approve):
        pass
