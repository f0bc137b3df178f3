"""Pages of runs in a real browser in every state, and the forms of sign-off: evidence first, question, comment, recall."""

import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from browser_made import SHOTS, Visitor, a_browser
from galenic import release
from galenic.jobs import running_jobs, submit_job
from galenic.release import ARTIFACTS, Run
from galenic.schema import RunDetails
from galenic.security import token_name
from site_made import AGENT, Site, a_site
from toy_made import POLICY, ToyArtifact, ToyContent

PEOPLE = {"rita": "researcher", "paul": "privacy-officer", "clara": "clinician", "petra": "privacy-officer", "aude": "auditor"}
STATES = {
    "refused": "Refused", "damaged": "Damaged", "waiting": "Waiting for signatures", "asked": "Waiting for signatures",
    "rejected": "Rejected", "signed": "Signed", "released": "Released", "recalled": "Recalled", "command line": "Released",
}  # fmt: skip
WORDS = RunDetails("", "To test a dashboard before it sees patients.", "Hospital IT")


class TitledToy(ToyArtifact):
    """A toy whose evidence is a page of its own."""

    def signers_report(self, content: ToyContent, outcome: release.RunOutcome) -> str:
        return "<!doctype html><html lang=en><title>Evidence</title><main><h1>Evidence of a toy</h1></main></html>"


@dataclass
class Pages:
    """A console with a run in each state."""

    site: Site
    browser: Any
    runs: dict[str, Run]

    def secret(self, name: str) -> str:
        """A session of a person who has just confirmed their identity."""
        people = self.site.installation.people
        found = self.site.installation.gate.session(token_name(people.begin(name, "passkey", AGENT)))
        assert found is not None
        return people.step_up(found[0], "passkey")

    def session(self, name: str) -> Any:
        found = self.site.installation.gate.session(token_name(self.secret(name)))
        assert found is not None
        return found[0]

    def client(self, name: str) -> httpx.Client:
        client = self.site.browser().web
        client.cookies.set("galenic", self.secret(name))
        return client

    def send(self, name: str, place: str, **fields: str) -> httpx.Response:
        """Sends a form without a browser; follows its redirect."""
        client = self.client(name)
        page = client.get(place.rpartition("/")[0]).text
        token = page.split('name="csrf" value="')[1].split('"')[0]
        return client.post(place, data={"csrf": token, **fields}, follow_redirects=True)

    def visitor(self, name: str, **given: Any) -> Visitor:
        context = self.browser.new_context(user_agent=AGENT, **given)
        context.add_cookies([{"name": "galenic", "value": self.secret(name), "url": self.site.base}])
        return Visitor(context.new_page(), self.site.base)

    def new(self, score: float = 0.9, title: str = "Toy of the ward", by: str = "rita") -> Run:
        return a_run(self.site, score, title, by)


def a_run(site: Site, score: float, title: str, by: str) -> Run:
    details = RunDetails(title, WORDS.intended_use, WORDS.recipient)
    policy = release.parse_policy(POLICY, "toy")
    with Run.start(site.installation, "toy", policy, requester=by, details=details) as run:
        run.decide_and_write(ToyContent(score))
    return Run.open(site.installation, run.id)


def signed(pages: Pages, run: Run) -> Run:
    for name, role in (("paul", "privacy-officer"), ("clara", "clinician")):
        release.sign_off(pages.site.installation, pages.session(name), run.id, role, run.digest, f"Read by {name}.")
    return run


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setitem(ARTIFACTS, "toy", TitledToy())
        folder = tmp_path_factory.mktemp("pages")
        site = stack.enter_context(a_site(folder / "home"))
        installation = site.installation
        with running_jobs(installation):
            pass  # a worker has run here once, so jobs are taken
        by_keys = a_run(site, 0.9, "command line", "")
        for name, role in (("ada", "privacy-officer"), ("bea", "clinician")):
            installation.keys.create(name, role)
            release.sign_with_key(installation, by_keys.id, name)
        release.write_release(installation, by_keys.id, folder / "out")
        for name, role in PEOPLE.items():
            installation.people.write(name, f"{name}@clinic.example", name.title(), "active")
            installation.people.grant(name, f"{name}@clinic.example", role, by="sofia", approved="otto")
        made = Pages(site, stack.enter_context(a_browser()), {"command line": by_keys})
        states(made)
        yield made


def states(pages: Pages) -> None:
    """Makes a run in each state."""
    installation = pages.site.installation
    made = {name: pages.new(0.1 if name == "refused" else 0.9, name) for name in STATES if name != "command line"}
    pages.runs.update(made)
    for name in ("signed", "released", "recalled"):
        signed(pages, made[name])
    for name in ("released", "recalled"):
        release.write_release(installation, made[name].id, made[name].released_folder, actor="rita")
    notice = installation.home / "recalls" / f"{made['recalled'].id}.json"
    release.recall_release(installation, made["recalled"].id, "Wrong cohort.", notice, actor="paul")
    release.ask_question(installation, pages.session("paul"), made["asked"].id, "Who pays for the toy?")
    release.reject_run(installation, pages.session("paul"), made["rejected"].id, "Not what we agreed on.")
    (made["damaged"].folder / "internal" / "sheet.json").write_text("{")
    submit_job(installation, pages.session("rita"), "synthesis", {"dataset": "ward", "title": "Falls on the ward"})


LOOKS = {"light": {}, "dark": {"color_scheme": "dark"}, "telephone": {"viewport": {"width": 375, "height": 800}}}


@pytest.mark.parametrize("look", LOOKS)
def test_every_state_has_a_page_without_violations(pages: Pages, look: str) -> None:
    paul = pages.visitor("paul", **LOOKS[look])
    for name, label in STATES.items():
        text = paul.go(f"/releases/{pages.runs[name].id}")
        assert label in text, name
        paul.clean()
        wide = paul.page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        assert wide, f"{name} scrolls sideways"
        if SHOTS:
            paul.picture(f"release-{name.replace(' ', '-')}-{look}")
    paul.go("/releases")
    paul.clean()
    paul.picture(f"releases-{look}")


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        pytest.param("refused", ["not met", "Next steps", "0.1", "at least 0.5"], id="refused"),
        pytest.param("waiting", ["Sign as privacy-officer", "I have read the evidence", "Ask back"], id="waiting"),
        pytest.param("asked", ["Who pays for the toy?", "for an answer of rita"], id="asked back"),
        pytest.param("rejected", ["A signer rejected this run: Not what we agreed on."], id="rejected"),
        pytest.param("signed", ["Download with its proof", "Comment: Read by clara."], id="signed"),
        pytest.param("released", ["by rita, to Hospital IT", "Recall"], id="released"),
        pytest.param("recalled", ["Wrong cohort.", "signed recall notice", "Do not use this release"], id="recalled"),
        pytest.param("damaged", ["cannot be read", "Other runs are not affected"], id="damaged"),
        pytest.param("command line", ["to Hospital IT", "Privacy officer: Signed by ada"], id="command line only"),
    ],
)
def test_a_page_tells_the_state_of_its_run(pages: Pages, name: str, parts: list[str]) -> None:
    import re
    from html import unescape

    html = pages.client("paul").get(f"/releases/{pages.runs[name].id}").text
    text = " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split()).lower()
    assert [p for p in parts if p.lower() not in text] == []


def test_the_evidence_stands_above_the_signature(pages: Pages) -> None:
    html = pages.client("paul").get(f"/releases/{pages.runs['waiting'].id}").text
    assert 0 < html.index("<iframe") < html.index('name="evidence_read"') < html.index(">Sign as privacy-officer</button>")


def test_nobody_signs_without_ticking_the_box_and_the_comment_is_not_lost(pages: Pages) -> None:
    run = pages.new(title="Box")
    fields = {"role": "privacy-officer", "digest": run.digest, "comment": "Looks fine to me."}
    for ticked in ({}, {"evidence_read": ""}, {"evidence_read": "no"}):
        answer = pages.send("paul", f"/releases/{run.id}/sign", **fields, **ticked)
        assert answer.status_code == 400
        assert "did not confirm that you have read the evidence" in answer.text
        assert "Looks fine to me.</textarea>" in answer.text
    assert run.signatures == ()
    answer = pages.send("paul", f"/releases/{run.id}/sign", **fields, evidence_read="yes")
    assert "Signed as privacy-officer." in answer.text
    assert "Comment: Looks fine to me." in pages.client("clara").get(f"/releases/{run.id}").text


def test_a_signer_asks_the_requester_answers_and_both_are_told(pages: Pages) -> None:
    run = pages.new(title="Question toy")
    paul, rita = pages.visitor("paul"), pages.visitor("rita")
    paul.go(f"/releases/{run.id}")
    paul.page.get_by_text("Ask back").click()
    paul.fill(question="Which ward gets the toy?")
    assert "Question sent" in paul.press("Ask")
    assert "paul asks about “Question toy”" in rita.go("/")
    rita.page.get_by_role("link", name="Answer about “Question toy”").click()
    rita.clean()
    assert rita.page.get_by_role("button", name="Sign as").count() == 0
    rita.page.fill("#answer-1", "Ward seven gets it.")
    assert "Answered." in rita.press("Answer")
    assert "Your question about “Question toy” was answered" in paul.go("/")
    assert "Ward seven gets it." in paul.go(f"/releases/{run.id}")
    assert "Signed as privacy-officer" in paul.sign("privacy-officer", "The answer is enough.")
    for name in ("clara", "aude"):
        text = pages.client(name).get(f"/releases/{run.id}").text
        assert "Ward seven gets it." in text and "The answer is enough." in text


def test_nobody_but_the_requester_answers(pages: Pages) -> None:
    run = pages.runs["asked"]
    for name in ("paul", "clara", "aude"):
        answer = pages.send(name, f"/releases/{run.id}/answer", number="1", answer="I answer for rita.")
        assert answer.status_code >= 400
    assert pages.send("rita", f"/releases/{run.id}/answer", number="9", answer="No such question.").status_code == 400
    assert release.questions_of(pages.site.installation, run.id)[0].answer == ""


def test_a_download_brings_the_keys_with_which_it_verifies(pages: Pages, tmp_path: Path) -> None:
    run = signed(pages, pages.new(title="Download"))
    answer = pages.send("rita", f"/releases/{run.id}/download")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
        packed.extractall(tmp_path)
    lines = release.check_release(tmp_path / run.id, trust=tmp_path / "trusted-keys.json")
    assert "keys are trusted" in lines
    assert any("by 'Paul' with key" in line for line in lines)
    assert "--trust trusted-keys.json" in (tmp_path / "VERIFY.txt").read_text()
    keys = json.loads((tmp_path / "trusted-keys.json").read_text())
    page = pages.client("rita").get(f"/releases/{run.id}").text
    assert len(keys) == 3 and all(len(k) == 64 and k in page for k in keys)
    assert pages.client("rita").get(f"/releases/{run.id}/trusted-keys").json() == keys


def test_a_recall_is_told_to_everybody_who_downloaded_and_its_notice_is_downloaded(pages: Pages, tmp_path: Path) -> None:
    run = signed(pages, pages.new(title="Recalled toy"))
    answer = pages.send("rita", f"/releases/{run.id}/download")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
        packed.extractall(tmp_path)
    assert pages.client("rita").get(f"/releases/{run.id}/recall-notice").status_code == 400
    assert "Everybody who downloaded" in pages.send("paul", f"/releases/{run.id}/recall", reason="Wrong ward was used.").text
    home = pages.client("rita").get("/").text
    assert "“Recalled toy” was recalled: Wrong ward was used." in home
    assert "“Recalled toy” was recalled" not in pages.client("clara").get("/").text
    (tmp_path / "notice.json").write_bytes(pages.client("rita").get(f"/releases/{run.id}/recall-notice").content)
    with pytest.raises(Exception, match="recalled: Wrong ward was used"):
        release.check_release(tmp_path / run.id, recalls=(tmp_path / "notice.json",))


@pytest.mark.parametrize(
    ("query", "shown", "hidden"),
    [
        pytest.param("state=refused", "refused", "rejected", id="refused"),
        pytest.param("state=unreadable", "damaged", "rejected", id="damaged"),
        pytest.param("state=recalled", "recalled", "rejected", id="recalled"),
        pytest.param("find=REJECT", "rejected", "recalled", id="words of the title"),
        pytest.param("find=hospital&state=rejected", "rejected", "recalled", id="recipient and state"),
    ],
)
def test_the_list_filters_by_state_and_words(pages: Pages, query: str, shown: str, hidden: str) -> None:
    html = pages.client("aude").get(f"/releases?{query}").text
    assert f"/releases/{pages.runs[shown].id}" in html
    assert f"/releases/{pages.runs[hidden].id}" not in html


def test_a_job_without_a_result_is_listed_as_running_to_its_requester(pages: Pages) -> None:
    assert "Falls on the ward" in pages.client("rita").get("/releases?state=running").text
    assert "Falls on the ward" not in pages.client("rita").get("/releases?state=failed").text
    assert "Falls on the ward" not in pages.client("clara").get("/releases").text


def test_a_list_of_many_runs_has_pages(pages: Pages) -> None:
    for number in range(21):
        pages.new(title=f"Many {number}")
    texts = [pages.client("rita").get(f"/releases?find=many&page={number}").text for number in (1, 2)]
    assert "Page 1" in texts[0] and "find=many" in texts[0]
    assert [text.count(">Many ") for text in texts] == [20, 1]


def test_printing_leaves_out_the_frame_and_names_the_page_of_the_evidence(pages: Pages) -> None:
    paul = pages.visitor("paul")
    paul.go(f"/releases/{pages.runs['waiting'].id}")
    paul.page.emulate_media(media="print")
    assert not paul.page.locator("iframe").is_visible()
    assert paul.page.get_by_role("link", name="Open the whole evidence on its own page").is_visible()
    assert paul.page.locator("caption", has_text="Criteria").is_visible()
