"""Planted privacy bugs (privacy_bugs.toml): how many do the closest tests of `make test` catch, and which test catches each?

Each bug is planted in a copy of the package; the working tree is only read. A bug whose text is not found exactly once ends the run: the code
moved, and the bug must be written again. A test counts that fails with the bug and passes without it; a module that cannot be imported
does not.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import local
from time import monotonic

ROOT = Path(__file__).parents[1]
SOURCE = Path("src/galenic")
LIMIT_S = float(os.environ.get("PRIVACY_BUGS_LIMIT", "240"))  # for one bug; three times as much for the tests without one
JOBS = int(os.environ.get("PRIVACY_BUGS_JOBS", "2"))
ONLY = os.environ.get("PRIVACY_BUGS_ONLY", "")  # ids, with commas between them
_thread = local()


@dataclass(frozen=True)
class Bug:
    """One bug. edits: (file, text before, text after). tests: the closest files. reviewed: whether reviewers from outside planted it."""

    ident: str
    what: str
    tests: tuple[str, ...]
    edits: tuple[tuple[str, str, str], ...]
    reviewed: bool


def read_bugs() -> list[Bug]:
    """The bugs of privacy_bugs.toml."""
    found = tomllib.loads((ROOT / "benchmarks" / "privacy_bugs.toml").read_text(encoding="utf-8"))["bug"]
    return [
        Bug(
            b["id"],
            b["what"],
            tuple(b["tests"]),
            tuple((e["file"], e["before"], e["after"]) for e in b["edits"]),
            b.get("reviewed", False),
        )
        for b in found
    ]


def edited(bug: Bug) -> dict[str, str]:
    """File -> its text with the bug."""
    texts: dict[str, str] = {}
    for name, before, after in bug.edits:
        text = texts.get(name) or (_place[0] / SOURCE / name).read_text(encoding="utf-8")
        if text.count(before) != 1:
            raise SystemExit(
                f"Bug {bug.ident!r}: its text stands {text.count(before)} times in {name}, not once. Write it again in privacy_bugs.toml."
            )
        texts[name] = text.replace(before, after)
        compile(texts[name], name, "exec")
    return texts


def copy(folder: Path) -> None:
    """Copies what the tests need."""
    for name in ("src", "tests", "pyproject.toml"):
        source, target = ROOT / name, folder / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)


def run(folder: Path, arguments: list[str], limit: float = LIMIT_S) -> tuple[int | None, str]:
    """(exit status of Python in the copy, or None after `limit` seconds; its output)."""
    environment = {
        "GALENIC_DATA": str(ROOT.parent / "shared" / "data"),
        **os.environ,
        "PYTHONPATH": str(folder / "src"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "CI": "true",
    }
    command = [sys.executable, *arguments]
    try:
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        return None, ""
    return done.returncode, done.stdout + done.stderr


def run_tests(folder: Path, tests: tuple[str, ...], limit: float = LIMIT_S) -> tuple[int | None, str]:
    """pytest up to the first failure, in the order of the files."""
    return run(folder, ["-m", "pytest", "-x", "-p", "no:randomly", "-p", "no:cacheprovider", "--tb=no", "-rf", *tests], limit)


def caught_by(bug: Bug) -> str:
    """The test that fails with the bug; "" if none does."""
    folder = _own_copy()
    begun = monotonic()
    texts = edited(bug)
    for name, text in texts.items():
        (folder / SOURCE / name).write_text(text, encoding="utf-8")
    try:
        status, output = run_tests(folder, bug.tests)
        modules = [name.removesuffix(".py").replace("/", ".") for name in texts]
        code, said = run(folder, ["-c", f"import {', '.join(f'galenic.{m}' for m in modules)}"])
        if code != 0:
            raise SystemExit(f"Bug {bug.ident!r} cannot be imported, so any test would catch it: {said[-300:]}")
    finally:
        for name in texts:
            shutil.copy(_place[0] / SOURCE / name, folder / SOURCE / name)
    found = re.search(r"^FAILED (\S+)", output, re.MULTILINE)
    test = found.group(1) if status == 1 and found else ""
    verdict = test or ("no test in time" if status is None else "NOT CAUGHT")
    print(f"{bug.ident:<22} {monotonic() - begun:5.0f} s  {bug.what}: {verdict}", flush=True)
    return test


def _own_copy() -> Path:
    """A copy for each thread."""
    if not hasattr(_thread, "folder"):
        _thread.folder = Path(tempfile.mkdtemp(prefix="bugs-", dir=_place[0].parent))
        shutil.copytree(_place[0], _thread.folder, dirs_exist_ok=True)
    return Path(_thread.folder)


_place: list[Path] = []  # a copy of the working tree when the run began


def measure(row) -> list[dict]:
    """Rows of results/privacy.json."""
    bugs = [b for b in read_bugs() if not ONLY or b.ident in ONLY.split(",")]
    with tempfile.TemporaryDirectory(prefix="galenic-bugs-") as folder:
        clean = Path(folder) / "clean"
        clean.mkdir()
        copy(clean)
        _place[:] = [clean]
        for bug in bugs:
            edited(bug)  # all are checked before anything runs
        files = tuple(sorted({f for b in bugs for f in b.tests}))
        begun = monotonic()
        status, output = run_tests(clean, files, 3 * LIMIT_S)
        print(f"without a bug: {'pass' if status == 0 else 'FAIL'} in {monotonic() - begun:.0f} s", flush=True)
        if status != 0:
            raise SystemExit(f"The tests do not pass without a bug: {output[-800:]}")
        with ThreadPoolExecutor(JOBS) as pool:
            caught = dict(zip([b.ident for b in bugs], pool.map(caught_by, bugs), strict=True))
    groups = [[b for b in bugs if b.reviewed], [b for b in bugs if not b.reviewed]]
    found = []
    for ident, what, group in zip(
        ("privacy.bugs", "privacy.bugs.further"), ("planted by reviewers", "further ones"), groups, strict=True
    ):
        missed = [b.ident for b in group if not caught[b.ident]]
        what = f"planted privacy bugs caught by the closest fast tests, {what}; not caught: {', '.join(missed) or 'none'}"
        ours = len(group) - len(missed)
        if ident == "privacy.bugs":
            what += " (before: 13, counted by the review of commit 15b757e, not measured here)"
        found.append(row(ident, what, f"of {len(group)}", ours, str(len(group)), not missed))
    return found
