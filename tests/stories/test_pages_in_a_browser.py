"""Reports as people see them: in a real browser, light, dark and on paper, read by axe-core and on a narrow screen."""

import shutil
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pyarrow as pa
import pytest

from galenic.cli import run
from galenic.release import decide, load_policy
from galenic.release.card import CardFacts, render_card
from galenic.schema import Column, Finding, Report, Table

sync_api = pytest.importorskip("playwright.sync_api", reason="the test extra brings playwright")
AXE = resources.files("axe_playwright_python") / "axe.min.js"
FOUND = """async () => (await axe.run(document, {resultTypes: ["violations"]})).violations
    .map(v => v.id + ": " + v.nodes.map(n => n.target.join(" ")).slice(0, 3).join(", "))"""


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed (Debian package chromium)")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def pages(finished: tuple[Path, str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every page that a command writes for people to read."""
    home, number, release = finished
    folder = tmp_path_factory.mktemp("pages")
    table = home.parent / "patients.csv"
    assert run(["records", "quality", str(table), "--report", str(folder / "quality.html")]) in (0, 1)
    (folder / "note.txt").write_text("Seen on 3 May 2021 by Dr. Smith, MRN 8834512.\n", encoding="utf-8")
    words = ["deidentify", str(folder / "note.txt"), "--out", str(folder / "out"), "--report", str(folder / "notes.html")]
    assert run(words) == 0
    (internal,) = home.glob(f"runs/{number}/internal/report.html")
    return {
        "report": internal,
        "card": release / "card.html",
        "quality": folder / "quality.html",
        "notes": folder / "notes.html",
        "wide": wide_card(folder),
    }


def wide_card(folder: Path) -> Path:
    """A card of 33 columns with three example rows."""
    columns = tuple(Column(f"laboratory_value_{k}", "category", categories=("normal", "abnormal")) for k in range(33))
    frame = pa.table({c.name: ["normal", "abnormal", "normal"] for c in columns})
    table, policy = Table(frame, columns), load_policy("internal")
    facts = CardFacts("Wide", "3 synthetic rows.", (), engine="e 1", version="1", notes=(), formal=False)
    report = Report("wide", (Finding("privacy.alarms", 0.0, "attacks", audience="public"),))
    html = render_card(facts, report, decide(report, policy), policy, {"data": table}, {"data": (table, None)})
    (folder / "wide.html").write_text(html, encoding="utf-8")
    return folder / "wide.html"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["report", "card", "quality", "notes"])
def test_axe_finds_nothing(browser: object, pages: dict[str, Path], name: str, scheme: str) -> None:
    page = browser.new_page(color_scheme=scheme, viewport={"width": 1200, "height": 900})  # type: ignore[attr-defined]
    page.goto(pages[name].as_uri())
    page.add_script_tag(content=AXE.read_text(encoding="utf-8"))
    assert page.evaluate(FOUND) == []
    page.set_viewport_size({"width": 360, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360, "the page itself never scrolls sideways"
    assert page.evaluate(FOUND) == []
    page.close()


# words of headings and of rows' names that are broken over two lines: a range within one word has one rectangle
BROKEN = """() => [...document.querySelectorAll("th, figcaption, h1, h2, h3")].flatMap(cell => {
  const words = [], walker = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
  for (let node; (node = walker.nextNode());) for (const match of node.data.matchAll(/[\\p{L}]{2,14}/gu)) {
    if (node.parentElement.closest("code")) continue;
    const range = document.createRange();
    range.setStart(node, match.index); range.setEnd(node, match.index + match[0].length);
    if (new Set([...range.getClientRects()].map(r => Math.round(r.top))).size > 1) words.push(match[0]);
  }
  return words; })"""


@pytest.mark.parametrize("name", ["report", "card", "quality", "notes", "wide"])
def test_no_word_of_a_heading_breaks_on_paper(browser: object, pages: dict[str, Path], name: str) -> None:
    page = browser.new_page(viewport={"width": 680, "height": 900})  # type: ignore[attr-defined]  # A4 less its margins
    page.goto(pages[name].as_uri())
    page.emulate_media(media="print")
    assert page.evaluate(BROKEN) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 680
    page.close()


def test_labels_of_charts_are_12_pixels(browser: object, pages: dict[str, Path]) -> None:
    page = browser.new_page(viewport={"width": 375, "height": 800})  # type: ignore[attr-defined]
    page.goto(pages["report"].as_uri())
    sizes = page.evaluate("[...new Set([...document.querySelectorAll('svg text')].map(t => getComputedStyle(t).fontSize))]")
    assert sizes == ["12px"]
    shrunk = (
        "[...document.querySelectorAll('svg')].filter(s => s.getBoundingClientRect().width < s.width.baseVal.value - 1).length"
    )
    assert page.evaluate(shrunk) == 0
    page.close()


@pytest.mark.parametrize("name", ["report", "card", "quality", "notes"])
def test_a_report_prints_with_dark_ink_on_white_and_loses_no_column(browser: object, pages: dict[str, Path], name: str) -> None:
    page = browser.new_page(color_scheme="dark", viewport={"width": 700, "height": 900})  # type: ignore[attr-defined]
    page.goto(pages[name].as_uri())
    page.emulate_media(media="print")
    ink, paper = page.evaluate(
        "[getComputedStyle(document.body).color, getComputedStyle(document.documentElement).backgroundColor]"
    )
    assert ink == "rgb(0, 0, 0)"
    assert paper in ("rgb(255, 255, 255)", "rgba(0, 0, 0, 0)")
    cut = "[...document.querySelectorAll('.scroll, .grid')].filter(e => getComputedStyle(e).overflowX != 'visible').length"
    assert page.evaluate(cut) == 0
    assert page.pdf()[:5] == b"%PDF-"
    page.close()
