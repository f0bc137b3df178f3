"""Everything public that a private run leaves, in a form that can be compared: files with their names and contents, messages, exit codes.

The random inputs of a run are replaced by repeatable ones, here and only here: noise is zero, simulation is seeded, and the side of each
patient in the split is stated by the test. No option, setting or argument of Galenic does any of this.
"""

import base64
import contextlib
import io
import json
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pytest

from answer_log import AnswerLog
from galenic import cli
from galenic.generators.tables import engine, mixture
from galenic.privacy import PrivateRows, measurement
from galenic.records import Source, split

Row = dict[str, str]
POLICY = """name = "any"
version = 1
purpose = "To compare releases."
roles = ["privacy-officer", "clinician"]
identity = "unverified"
[[rule]]
finding = "privacy.epsilon"
at_most = 100
reason = "Every private run."
"""
# what differs between any two runs, whatever the rows are; digests of public files are compared by their contents
RUN_ID, TIME = r"\d{8}-\d{6}-[0-9a-f]{6}", r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d+)?\+00:00)"
ESTIMATE = r"About\d+sand\d+MB"  # from the size of the file, to whoever holds it
EXPLAINED = ((RUN_ID, "RUN"), (TIME, "TIME"), (r"\b[0-9a-f]{64}\b", "SHA256"), (ESTIMATE, "ESTIMATE"))


@dataclass(frozen=True)
class Patient:
    """Rows of one patient, and whether the patient is held out."""

    rows: tuple[Row, ...]
    held_out: bool = False


@dataclass(frozen=True)
class PublicRun:
    """public: by path or command, what leaves. real: training rows, for counting again. log: the paid questions, where recorded."""

    public: Mapping[str, str]
    real: Source
    log: AnswerLog | None


def write_table(patients: list[Patient], path: Path, name: Callable[[int], str] = "P{:05d}".format) -> None:
    """The patients as CSV, in this order, with their ids."""
    rows = [{"patient_id": name(k), **row} for k, p in enumerate(patients) for row in p.rows]
    pacsv.write_csv(pa.Table.from_pylist(rows), path)


def steady(patch: pytest.MonkeyPatch, sides: list[bool]) -> None:
    """Repeatable random inputs; sides: of the patients, in the order of the file."""
    patch.setattr(measurement, "discrete_gaussian", lambda _sigma2, size: np.zeros(size, dtype=np.int64))
    patch.setattr(measurement, "discrete_gaussians", lambda _sigma2s, sizes: np.zeros(sum(sizes), dtype=np.int64))
    patch.setattr(engine, "new_rng", lambda _seed=None: np.random.default_rng(3))
    patch.setattr(mixture, "MOST_STEPS", 60)
    patch.setattr(engine, "MOST_MEMBERS", 1)
    patch.setattr(engine, "MODEL_ROWS", 500)

    def stated(count: int, _rng: object, *, share: float) -> Any:
        assert 0 < share < 1
        assert count == len(sides)
        return np.array(sides)

    patch.setattr(split, "draw_held_out", stated)


def publish(table: Path, home: Path, patch: pytest.MonkeyPatch, answers: AnswerLog | None = None) -> PublicRun:
    """Describes, synthesizes, signs, releases and verifies by the command line. home: a copy of a prepared one. answers: those of another
    run, given again instead of new ones."""
    place = home.parent
    patch.setenv("GALENIC_HOME", str(home))
    (place / "policy.toml").write_text(POLICY)
    real: list[Source] = []
    recorded = None if answers else AnswerLog().record(patch)
    playback = answers.play(patch) if answers else None
    made = PrivateRows.__init__

    def watched(self: Any, source: Source, *more: Any, **named: Any) -> None:
        real.append(source)
        made(self, source, *more, **named)

    patch.setattr(PrivateRows, "__init__", watched)
    public: dict[str, str] = {}

    def run(*words: object) -> None:
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            code = cli.run([str(w) for w in words])
        message = "".join(said.getvalue().split())  # lines are broken by the length of paths
        public[f"$ galenic {words[0]} {words[-1] if words[0] == 'sign' else ''}"] = f"{code} {message}"

    columns = place / "columns.toml"
    assert cli.run(["table", "describe", str(table), "--out", str(columns)]) == 0
    run("table", "synthesize", table, "--columns", columns, "--buy", "--epsilon", 20, "--delta", 1e-6, "--population", "p",
        "--policy", place / "policy.toml")  # fmt: skip
    name = next(iter(sorted(p.name for p in (home / "runs").glob("2*"))), "none")
    for who in ("ada", "bea"):
        run("release", "sign", name, "--key", who)
    run("release", "write", name, place / "release", "--trust-out", place / "trust.json")
    run("verify", place / "release", "--trust", place / "trust.json")
    for path in sorted(p for p in (place / "release").rglob("*") if p.is_file()):
        public[path.relative_to(place).as_posix()] = _contents(path)
    public["trust.json"] = (place / "trust.json").read_text() if (place / "trust.json").is_file() else "absent"
    assert playback is None or playback.left == []
    cleaned = {_cleaned(k, place): _cleaned(v, place) for k, v in public.items()}
    return PublicRun(cleaned, real[0], recorded)


def prepare_home(home: Path, patch: pytest.MonkeyPatch) -> Path:
    """A home with two signers and a budget."""
    patch.setenv("GALENIC_HOME", str(home))
    assert cli.run(["budget", "declare", "p", "--epsilon", "20", "--delta", "1e-6"]) == 0
    for who, role in (("ada", "privacy-officer"), ("bea", "clinician")):
        assert cli.run(["keys", "create", who, "--role", role]) == 0
    return home


def copy_of(home: Path, place: Path) -> Path:
    """The home, copied into a folder of its own."""
    return Path(shutil.copytree(home, place / "home"))


def _contents(path: Path) -> str:
    """Text of a file. Of a signed statement the payload, without the salted digest of the signers' sheet and the signature over it."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".json" or '"payloadType"' not in text:
        return text
    statements = json.loads(text)
    for envelope in statements if isinstance(statements, list) else [statements]:
        envelope["payload"] = json.loads(base64.b64decode(envelope["payload"]))
        for signature in envelope["signatures"]:
            signature["sig"] = "SIGNATURE"
    return json.dumps(statements, indent=1)


def _cleaned(text: str, place: Path) -> str:
    text = text.replace(str(place), "PLACE")
    for pattern, word in EXPLAINED:
        text = re.sub(pattern, word, text)
    return text
