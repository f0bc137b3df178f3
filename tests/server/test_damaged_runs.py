"""Pages of runs beside refused, half-written and damaged ones: a run that cannot be read never hides the others."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from galenic import flows, records
from galenic.errors import GalenicError, UnknownNameError
from galenic.generators import SynthesisRequest
from galenic.installation import Installation, open_installation
from galenic.release import Run, finding_text, load_policy, run_status, run_statuses
from made import made_patients
from site_made import Browser, Site, a_site

PLACES = ("/", "/releases", "/releases?state=refused", "/releases?state=unreadable")
ROLES = ("privacy-officer", "clinician", "researcher", "auditor", "security-officer", "integration-engineer")


@pytest.fixture(scope="module")
def with_refused(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """(home, run) of a run that its policy refused, requested by rita."""
    folder = tmp_path_factory.mktemp("refused")
    policy = folder / "strict.toml"
    policy.write_text(
        'name = "strict"\nversion = 1\npurpose = "A test."\nroles = ["clinician", "privacy-officer"]\nidentity = "unverified"\n\n'
        '[[rule]]\nfinding = "fidelity.tvd1.excess"\nat_most = -1.0\nreason = "never met"\n',
        encoding="utf-8",
    )
    installation = open_installation(folder / "home")
    installation.ledger.declare("clinic", epsilon=2.0, delta=1e-8, actor="rita")
    source = records.in_memory(made_patients(1_000, 1).select(["patient_id", "age_years", "sex", "smoker"]))
    request = SynthesisRequest(population="clinic", target="smoker", policy=str(policy), by="rita")
    result = flows.synthesize(installation, source, request)
    assert not result.decision.accepted
    installation.close()
    return folder / "home", result.run


@pytest.fixture
def site(with_refused: tuple[Path, str], tmp_path: Path) -> Iterator[Site]:
    """A console of the test's own over a copy of that home."""
    shutil.copytree(with_refused[0], tmp_path / "home")
    with a_site(tmp_path / "home") as made:
        yield made


def signed_in(site: Site, *roles: str) -> Browser:
    """rita, who requested the run, with roles."""
    rita = site.grown("rita")
    for role in roles:
        site.installation.people.grant("rita", "rita@clinic.example", role, by="sofia", approved="otto")
    return rita


def break_runs(installation: Installation, run: str) -> dict[str, str]:
    """Puts damaged run folders and foreign things beside a run; returns what is wrong by run id."""
    good = installation.runs / run
    wrong = {}
    for number, what in enumerate(("empty", "no JSON", "a list", "no decision", "cut attestation", "a file")):
        bad = installation.runs / f"20990101-00000{number}-abcdef"
        wrong[bad.name] = what
        if what == "a file":
            bad.write_text("x", encoding="utf-8")
        elif what == "empty":
            bad.mkdir()
        else:
            shutil.copytree(good, bad)
            text = {"no JSON": "{", "a list": "[1]", "no decision": "{}", "cut attestation": '{"payload'}[what]
            place = bad / "attestation.json" if what == "cut attestation" else bad / "internal" / "sheet.json"
            place.write_text(text, encoding="utf-8")
    (installation.runs / "2026 notes of somebody").mkdir()
    (installation.runs / "lost+found").mkdir()
    (installation.runs / ".20990101-000000-abcdef.x.aside").mkdir()
    (installation.runs / "2.txt").write_text("x", encoding="utf-8")
    return wrong


@pytest.mark.parametrize("role", ROLES)
def test_a_refused_run_leaves_home_and_releases_open_to_everybody(
    site: Site, with_refused: tuple[Path, str], role: str
) -> None:
    rita = signed_in(site, role)
    assert rita.web.get("/").status_code == 200
    if role not in ("security-officer", "integration-engineer"):
        for place in ("/releases", "/releases?state=refused"):
            assert with_refused[1] in rita.web.get(place).text
        assert with_refused[1] not in rita.web.get("/releases?state=signed").text


def test_whoever_asked_for_a_refused_run_sees_its_evidence_and_why(site: Site, with_refused: tuple[Path, str]) -> None:
    rita = signed_in(site, "researcher")
    page = rita.web.get(f"/releases/{with_refused[1]}")
    assert "strict" in page.text
    assert finding_text("fidelity.tvd1.excess").label in page.text and "not met" in page.text
    assert rita.web.get(f"/releases/{with_refused[1]}/report").status_code == 200


def test_damaged_runs_are_listed_as_damaged_with_the_reason_and_logged(site: Site, with_refused: tuple[Path, str]) -> None:
    wrong = break_runs(site.installation, with_refused[1])
    rita = signed_in(site, "privacy-officer")
    for place in PLACES:
        assert rita.web.get(place).status_code == 200, place
    listed = rita.web.get("/releases").text
    assert with_refused[1] in listed and "somebody" not in listed and "lost+found" not in listed and ".aside" not in listed
    for run, what in wrong.items():
        assert run in rita.web.get("/releases?state=unreadable").text, what
        page = rita.web.get(f"/releases/{run}")
        assert page.status_code == 200 and "Damaged" in page.text, what
        assert rita.web.get(f"/releases/{run}/report").status_code < 500
    states = {s.run: s for s in run_statuses(site.installation)}
    assert {r for r, s in states.items() if s.state == "unreadable"} == set(wrong)
    assert all(states[r].reason for r in wrong)
    log = (site.installation.home / "logs" / "galenic.jsonl").read_text(encoding="utf-8")
    assert all(f'"{r}"' in log for r in wrong)


def test_an_empty_installation_has_a_home_and_no_runs(tmp_path: Path) -> None:
    with a_site(tmp_path / "home") as site:
        rita = signed_in(site, "privacy-officer")
        for place in PLACES:
            assert rita.web.get(place).status_code == 200
        assert "No run" in rita.web.get("/releases").text


def test_a_run_that_failed_leaves_no_folder_and_is_not_listed(with_refused: tuple[Path, str], tmp_path: Path) -> None:
    shutil.copytree(with_refused[0], tmp_path / "home")
    installation = open_installation(tmp_path / "home")
    with pytest.raises(GalenicError), Run.start(installation, "table", load_policy("internal"), requester="rita"):
        raise UnknownNameError("the source is gone.")
    assert [s.run for s in run_statuses(installation)] == [with_refused[1]]
    for name in ("../x", "x", "20990101-000000-abcdef", ""):
        with pytest.raises(UnknownNameError):
            run_status(installation, name)
