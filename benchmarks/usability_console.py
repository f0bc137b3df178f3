"""Pages of the console in a real browser: accessibility, time to answer, and states that the pages were looked at in.

measure(row) returns rows of results/usability.json. The installation is the one of tests/server/test_console_pages.py.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))
from browser_made import Site, a_browser  # noqa: E402  # the tests' own installation and browser
from console_made import (  # noqa: E402
    PEOPLE,
    Content,
    made_jobs,
    make_datasets,
    make_people,
    make_runs,
    page_faults,
    places_of,
    served,
    signed_in,
)

LOOKS = (("light", 1280), ("dark", 1280), ("light", 375), ("dark", 375))
TRIES = 20  # requests of each page
Row = Callable[..., dict[str, Any]]


def measure(row: Row) -> list[dict[str, Any]]:
    """The rows of the console."""
    with a_browser() as browser, tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with served(browser, folder / "empty") as site:
            make_people(site.installation)
            empty = check_pages(site, once({name: places_of(name) for name in PEOPLE}), LOOKS[::3])
        with served(browser, folder / "full") as site:
            make_people(site.installation)
            make_datasets(site.installation)
            with made_jobs(site.installation, make_runs(site.installation, folder)) as content:
                pages = once({name: places_of(name) for name in PEOPLE} | {"rita": [*places_of("rita"), *details(content)]})
                full = check_pages(site, pages, LOOKS)
                seconds = answer_seconds(site, pages)
                states = sorted({*content.runs, *(f"job {state}" for state in content.jobs), "empty installation"})
    slowest, p95 = worst_page(seconds)
    pages_seen, faults = checked(pages), empty + full
    return [
        row(
            "console_axe",
            f"axe-core violations on {pages_seen} pages and homes, light and dark, 1280 and 375 px, full and empty",
            "violations",
            len(faults),
            "0",
            not faults,
        ),
        row(
            "console_p95",
            f"slowest page ({slowest}), 95th percentile of {TRIES} requests",
            "ms",
            round(1000 * p95, 1),
            "≤ 50",
            p95 <= 0.05,
        ),
        row(
            "console_states",
            f"states of runs, jobs and pages in browser tests: {', '.join(states)}",
            "states",
            len(states),
            "all",
            True,
        ),
    ]


def details(content: Content) -> list[str]:
    """Pages of every run and every job."""
    return [f"/releases/{run}" for run in content.runs.values()] + [f"/jobs/{job}" for job in content.jobs.values()]


def once(pages: dict[str, list[str]]) -> dict[str, list[str]]:
    """Each page for the first person who sees it, and the home page for everybody."""
    seen: set[str] = set()
    chosen: dict[str, list[str]] = {}
    for name, places in pages.items():
        chosen[name] = [place for place in places if place == "/" or place not in seen]
        seen |= set(places)
    return chosen


def checked(pages: dict[str, list[str]]) -> int:
    """The number of pages, with the home page of each person."""
    return sum(len(places) for places in pages.values())


def check_pages(site: Site, pages: dict[str, list[str]], looks: tuple[tuple[str, int], ...]) -> list[str]:
    """Faults of each page in these looks."""
    return [
        fault
        for name, places in pages.items()
        for place in places
        for scheme, width in looks
        for fault in page_faults(signed_in(site, name), place, scheme, width)
    ]


def answer_seconds(site: Site, pages: dict[str, list[str]]) -> dict[str, list[float]]:
    """Seconds of the server for each page, in requests one after the other."""
    seconds: dict[str, list[float]] = {}
    for name, places in pages.items():
        visitor = signed_in(site, name)
        cookies = {c["name"]: c["value"] for c in visitor.page.context.cookies()}
        agent = {"User-Agent": visitor.page.evaluate("navigator.userAgent")}
        with httpx.Client(base_url=site.base, cookies=cookies, headers=agent, trust_env=False, timeout=60) as web:
            for place in places:
                for _ in range(TRIES):
                    begin = time.perf_counter()
                    assert web.get(place).status_code == 200, (name, place)
                    seconds.setdefault(f"{name} {place}", []).append(time.perf_counter() - begin)
    return seconds


def worst_page(seconds: dict[str, list[float]]) -> tuple[str, float]:
    """(the page with the largest 95th percentile, that percentile in seconds)."""
    p95 = {page: statistics.quantiles(values, n=20)[-1] for page, values in seconds.items()}
    slowest = max(p95, key=lambda page: p95[page])
    return slowest, p95[slowest]
