"""The documentation site builds without a warning, has a search, and shows pictures that tests record."""

import json
import os
import re
import shutil
import subprocess
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from matplotlib.image import imread

import galenic
from galenic.server.openapi import openapi

ROOT = Path(__file__).parents[1]
IMAGES = sorted((ROOT / "docs" / "images").glob("*.png"))
RECORDED = {
    name
    for test in (ROOT / "tests").rglob("*.py")
    for name in re.findall(r'picture\(\s*"([\w-]+)"', test.read_text(encoding="utf-8"))
}


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves a folder without writing each request to the terminal."""

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, as `make docs` builds it."""
    folder = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT / "src"), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def test_every_page_is_in_the_site_and_in_its_search(site: Path) -> None:
    found = {
        entry["location"].split("#")[0] for entry in json.loads((site / "search" / "search_index.json").read_text())["docs"]
    }
    for page in (ROOT / "docs").rglob("*.md"):
        assert str(page.relative_to(ROOT / "docs").with_suffix(".html")) in found, page


def test_no_page_of_the_site_loads_anything_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        loaded = re.findall(r"<(?:script|img|link)[^>]+(?:src|href)=\"?(https?://[^\"> ]+)", page.read_text(encoding="utf-8"))
        assert [url for url in loaded if "squidfunk" not in url] == [], page


def test_no_page_shows_the_marks_of_a_code_block(site: Path) -> None:
    for page in site.rglob("*.html"):
        shown = re.sub(r"<pre.*?</pre>|<code>.*?</code>", "", page.read_text(encoding="utf-8"), flags=re.S)
        assert "```" not in shown, page


def test_the_python_reference_has_every_public_name(site: Path) -> None:
    text = (site / "reference" / "python.html").read_text(encoding="utf-8")
    for name in galenic.__all__:
        assert name.startswith("__") or f"galenic.{name}" in text, name
    for name in ("fit", "sample"):
        assert f"Synthesizer.{name}" in text


def test_the_rest_reference_has_every_route(site: Path) -> None:
    text = (site / "reference" / "rest.html").read_text(encoding="utf-8")
    paths = json.loads(openapi("https://localhost:8443"))["paths"]
    assert len(paths) > 10
    for path, item in paths.items():
        for method in item:
            assert f"{method.upper()} {path}" in text


def test_every_route_and_parameter_has_a_sentence() -> None:
    for path, item in json.loads(openapi("https://localhost:8443"))["paths"].items():
        for method, operation in item.items():
            assert re.match(r"[A-Z]\w+ ", operation["summary"]), (path, method)
            for parameter in operation["parameters"]:
                assert parameter["in"] == "path" or parameter["description"][0].isupper(), (path, parameter["name"])


@pytest.mark.parametrize("picture", IMAGES, ids=lambda p: p.stem)
def test_a_picture_is_recorded_by_a_test_and_is_not_blank(picture: Path) -> None:
    assert picture.stem in RECORDED, "no test records it"
    pixels = imread(picture)[..., :3]
    assert pixels.shape[0] >= 200
    assert pixels.shape[1] >= 320
    assert float(np.std(pixels)) > 0.02, "one color"
    dark = float((pixels.min(axis=2) < 0.5).mean())
    assert dark > 0.002, "nothing is written on it"
    middle = pixels[:, pixels.shape[1] // 4 : pixels.shape[1] * 19 // 20]
    empty = np.std(middle, axis=(1, 2)) < 0.005
    longest = max((len(run) for run in "".join("x" if e else " " for e in empty).split()), default=0)
    assert longest < 400, "a frame was not painted"


def test_every_picture_is_shown_on_a_page() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
    for picture in [*IMAGES, *(ROOT / "docs" / "images").glob("*.svg")]:
        assert picture.name in text or picture.name == "favicon.svg", picture


def test_a_blank_picture_would_be_noticed() -> None:
    assert float(np.std(np.ones((400, 600, 3)))) < 0.02


def test_a_reader_searches_the_site_in_a_browser(site: Path) -> None:
    sync_api = pytest.importorskip("playwright.sync_api", reason="the test extra brings playwright")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(site)))
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        with sync_api.sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1300, "height": 900})
            elsewhere: list[str] = []
            page.on("request", lambda request: elsewhere.append(request.url) if "127.0.0.1" not in request.url else None)
            page.goto(f"http://127.0.0.1:{server.server_port}/index.html")
            page.get_by_role("textbox", name="Search").fill("privacy.controls refused")
            page.locator(".md-search-result__item", has_text="After a refusal").first.wait_for(timeout=20_000)
            assert elsewhere == []
            browser.close()
    finally:
        server.shutdown()
        server.server_close()
