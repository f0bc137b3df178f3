"""The spine's figures: fidelity and cost against MST, the raw diabetes table, racing budgets, attacks, installation.

Every figure of Galenic's comes from its command line, run as a user runs it. `spine.py ID ...` runs some rows only.
"""

import json
import multiprocessing
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
from scipy.stats import beta

import diabetes
from galenic import records, store
from galenic.errors import BudgetError
from galenic.evidence.tables import (
    AttackPool,
    any_alarm,
    attack_planted_leaks,
    bin_column,
    encode_columns,
    leak_rows,
    mean_tvd,
    noisy_copy,
)
from galenic.privacy import Ledger
from galenic.schema import Codes, Column, Table
from rows import galenic, peer, row, write, zcdp_rho

DELTA = 2e-10  # 1 / n^2
NEIGHBOURS = "delta = 2e-10, add/remove one row"


def score(made: Codes, held: Codes, sizes: np.ndarray) -> tuple[float, float]:
    """(mean 2-way TVD over all pairs, mean 3-way TVD over the same 300 random triples for every method)."""
    d = len(sizes)
    random = np.random.RandomState(0)
    triples = [tuple(sorted(random.choice(d, 3, replace=False).tolist())) for _ in range(300)]
    return mean_tvd(made, held, list(combinations(range(d), 2)), sizes), mean_tvd(made, held, triples, sizes)


def comparison(folder: Path) -> list[dict]:
    """spine.tvd2, spine.tvd3, spine.cpu: the same rows, bins, rho and held-out rows for Galenic and MST."""
    train, test, description, columns = diabetes.comparison(folder)
    sizes = np.array([c.levels for c in columns])
    real, held = (encode_columns(records.read(p).table(columns), columns) for p in (train, test))
    rho = zcdp_rho(1.0, DELTA)  # MST selects by the exponential mechanism, so it is accounted by zCDP
    np.savez(folder / "codes.npz", codes=real, sizes=sizes)
    used = subprocess.run(
        [
            peer("marginals"),
            Path(__file__).parent / "peers" / "marginals.py",
            "MST",
            folder / "codes.npz",
            folder / "mst.npz",
            str(rho),
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    # OpenDP gives every column a level for values outside its keys, one row in 10,000: counted as missing
    mst = {}
    with np.load(folder / "mst.npz") as arrays:
        for method in ("sample", "round"):
            made = arrays[method].astype(float)
            mst[method] = score(np.where(np.isnan(made), sizes - 1, made).astype(np.int64), held, sizes)
    tvds, cpu = [], []
    for seed in range(3):
        home = folder / f"home-{seed}"
        galenic(home, "budget", "comparison", "--epsilon", 1, "--delta", DELTA)
        words = [
            "--holdout",
            test,
            "--columns",
            description,
            "--unit",
            "row",
            "--rows",
            real.shape[0],
            "--target",
            "readmitted",
        ]
        ran = galenic(home, "synthesize", train, *words, "--epsilon", 1, "--delta", DELTA, "--population", "comparison")
        made = records.read(Path(ran["folder"]) / "artefact" / "data.csv").table(columns)
        tvds.append(score(encode_columns(made, columns), held, sizes))
        cpu.append(json.loads((Path(ran["folder"]) / "internal" / "sheet.json").read_text())["cpu_seconds_to_sample"])
    floor = score(real, held, sizes)
    low, mean, high = np.min(tvds, 0), np.mean(tvds, 0), np.max(tvds, 0)
    rows = []
    for k, (name, way, target) in enumerate((("spine.tvd2", 2, 0.020), ("spine.tvd3", 3, 0.046))):
        what = (
            f"mean {way}-way TVD against held-out rows, 14 columns, epsilon = 1, {NEIGHBOURS}, n_syn = n_train, mean of 3 fits"
        )
        # its default, "round", orders rows alike in every column, which ties unrelated columns together: "sample" is the fair one
        peers = {
            "MST (opendp 0.16.0, method sample, 1 fit)": round(mst["sample"][k], 4),
            "MST (opendp 0.16.0, default method round, same fit)": round(mst["round"][k], 4),
            "real-vs-real": round(floor[k], 4),
        }
        interval = [round(float(low[k]), 4), round(float(high[k]), 4)]
        ours = round(float(mean[k]), 4)
        rows.append(row(name, what, "TVD", ours, f"<= {target}", ours <= target, interval=interval, peers=peers))
    what = "CPU seconds to the sampled table, self and children, whole process from its start (reading and imports included)"
    seconds, peak = float(used[0]), float(used[1])
    peers = {"MST (opendp 0.16.0)": round(seconds, 1), "MST peak MB": round(peak)}
    ours = round(float(np.mean(cpu)), 1)
    rows.append(
        row("spine.cpu", what, "s", ours, "<= 10", ours <= 10, interval=[round(min(cpu), 1), round(max(cpu), 1)], peers=peers)
    )
    return rows


def raw(folder: Path) -> list[dict]:
    """spine.real.*: the raw CSV, the patient as unit, everything bought, against held-out patients."""
    table = diabetes.raw_csv(folder)
    start = time.monotonic()
    words = ["--patient", "patient_nbr", "--drop", "encounter_id", "--target", "readmitted", "--epsilon", 1, "--delta", DELTA]
    ran = galenic(folder / "home-raw", "synthesize", table, *words, accept=(0, 1))
    seconds = time.monotonic() - start
    found = {f["name"]: f for f in ran["findings"]}
    value = {k: round(f["value"], 4) for k, f in found.items() if "value" in f}
    what = "48 columns of the raw CSV, patient as unit, domain bought, delta = 2e-10, held-out patients, through galenic table synthesize"
    floor = {"real-vs-real": value["fidelity.tvd2.floor"]}
    verdict = ran["decision"]["accepted"]
    rows = [
        row(
            "spine.real.tvd2",
            f"mean 2-way TVD (exact categories, 20 quantiles), {what}",
            "TVD",
            value["fidelity.tvd2"],
            "shown",
            None,
            peers=floor,
        )
    ]
    for family in ("logistic", "boosting"):
        detail = found[f"utility.tstr.{family}"]["detail"]["real"]
        rows.append(
            row(
                f"spine.real.gap.{family}",
                f"AUROC lost for readmission by training on synthetic rows ({family}), {what}",
                "AUROC",
                value[f"utility.gap.{family}"],
                "shown",
                None,
                interval=[round(v, 4) for v in found[f"utility.gap.{family}"]["interval"]],
                peers={"trained on real rows": round(detail, 4)},
            )
        )
    rows.append(
        row(
            "spine.real.seconds",
            f"wall seconds with all evidence, accepted by internal: {verdict}",
            "s",
            round(seconds, 1),
            "< 300",
            seconds < 300,
        )
    )
    return rows


def _race(url: str, attempts: int, taken: "multiprocessing.Queue[int]") -> None:
    ledger, won = Ledger(store.Database(url)), 0
    for _ in range(attempts):
        try:
            ledger.reserve("race", epsilon=0.01, delta=1e-12, purpose="race", actor="bench")
            won += 1
        except BudgetError:
            pass
    taken.put(won)


def race(folder: Path) -> list[dict]:
    """spine.race: 64 processes make 10,000 reservations where far fewer fit."""
    url = f"sqlite:///{folder / 'race.db'}"
    ledger = Ledger(store.Database(url))
    ledger.declare("race", epsilon=1.0, delta=1e-9, actor="bench")
    taken: multiprocessing.Queue[int] = multiprocessing.Queue()
    counts = [157] * 16 + [156] * 48
    crowd = [multiprocessing.Process(target=_race, args=(url, n, taken)) for n in counts]
    for process in crowd:
        process.start()
    won = sum(taken.get() for _ in crowd)
    for process in crowd:
        process.join()
    s = ledger.statement("race")
    overdrafts = max(0, round((s.rho_spent - s.rho_limit) * 1e12)) + abs(won - len(s.charges))
    what = f"overdrafts (or grants without a row) after {sum(counts)} reservations by 64 processes; {won} were granted"
    return [row("spine.race", what, "overdrafts", overdrafts, "0", overdrafts == 0 and won > 0)]


def _patients(folder: Path) -> tuple[Table, tuple[Column, ...]]:
    """One row per patient of the raw table, without identifiers."""
    source = records.read(diabetes.raw_csv(folder))
    split = records.split_by_patient(source, "patient_nbr", np.random.default_rng(0))
    described = tuple(c for c in records.describe(source, "patient_nbr") if c.role == "value")
    both = [half.table(described) for half in (split.train, split.test)]
    return Table(pa.concat_tables([t.frame for t in both]), described), described


def attack(folder: Path) -> list[dict]:
    """spine.attack: planted leaks found, and how often fresh real patients are called a leak."""
    every, described = _patients(folder)
    size, flagged, draws, found = 3_000, 0, 200, {"copy": 0, "noise": 0, "leak": 0}
    for draw in range(draws):
        rng = np.random.default_rng(1000 + draw)
        picked = rng.permutation(every.rows)[: 4 * size]
        parts = [Table(every.frame.take(pa.array(picked[i * size : (i + 1) * size])), described) for i in range(4)]
        columns = tuple(bin_column(parts[0], c) for c in described)
        lineup = AttackPool(columns, parts[0], parts[1], parts[2], parts[3])
        if draw < 20:
            controls = attack_planted_leaks(lineup, parts[3], parts[3], rng)
            for name in found:
                found[name] += any_alarm(controls[name])
        flagged += any_alarm(lineup.attack(parts[3], is_spare=True))
    upper = float(beta.ppf(0.95, flagged + 1, draws - flagged))
    peers = _anonymeter(folder, every, described)
    what = (
        "planted leaks (copy, copy with 1 % noise, 1 % of rows leaked) found in all of 20 draws each, 3,000 diabetes patients"
    )
    kinds = sum(n == 20 for n in found.values())
    rows = [row("spine.attack.found", f"{what}; found {found}", "of 3", kinds, "3", kinds == 3, peers=peers)]
    what = f"fresh held-out patients flagged by any attack, {flagged} of {draws} draws; upper 95 % bound (Clopper-Pearson)"
    rows.append(row("spine.attack.false", what, "share", round(upper, 4), "<= 0.05", upper <= 0.05))
    return rows


def _anonymeter(folder: Path, every: Table, described: tuple[Column, ...]) -> dict:
    """Anonymeter's singling-out risk on the same leaks: clean rows, a copy, a copy with 1 % noise, 1 % leaked."""
    rng = np.random.default_rng(0)
    real, control, clean = (Table(every.frame.slice(i * 3_000, 3_000), described) for i in range(3))
    tables = {
        "clean": clean,
        "copy": real,
        "1 % noise": noisy_copy(real, described, rng),
        "1 % leak": leak_rows(clean, real, rng),
    }
    pacsv.write_csv(real.frame, folder / "real.csv")
    pacsv.write_csv(control.frame, folder / "control.csv")
    risks = {}
    for name, table in tables.items():
        pacsv.write_csv(table.frame, folder / "tried.csv")
        script = Path(__file__).parent / "peers" / "anonymeter.py"
        done = subprocess.run(
            [peer("anonymeter"), script, folder / "real.csv", folder / "tried.csv", folder / "control.csv"],
            capture_output=True,
            text=True,
            check=False,
        )
        words = done.stdout.split()
        risks[f"Anonymeter 1.1.0 singling-out risk, {name}"] = (
            f"{float(words[0]):.3f} [{float(words[1]):.3f}, {float(words[2]):.3f}]"
            if done.returncode == 0
            else f"failed: {done.stderr[-120:]}"
        )
    return risks


def install(folder: Path) -> list[dict]:
    """spine.install: pip install . into an empty environment."""
    python = folder / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    before = _megabytes(folder / "venv")
    copy = folder / "source"
    root = Path(__file__).parents[1]
    shutil.copytree(root, copy, ignore=shutil.ignore_patterns(".venv*", ".git", "galenic-demo"))
    start = time.monotonic()
    subprocess.run([python, "-m", "pip", "install", "-q", "--no-cache-dir", "."], check=True, cwd=copy)
    seconds = time.monotonic() - start
    megabytes = _megabytes(folder / "venv") - before
    has_torch = subprocess.run([python, "-c", "import torch"], capture_output=True, check=False).returncode == 0
    works = subprocess.run([folder / "venv" / "bin" / "galenic", "version"], capture_output=True, check=False).returncode == 0
    known = {"synthcity (not run here)": "6,900 MB"}
    return [
        row(
            "spine.install.seconds",
            f"pip install . into an empty environment; runs: {works}; torch: {has_torch}",
            "s",
            round(seconds, 1),
            "< 120",
            seconds < 120 and works and not has_torch,
        ),
        row(
            "spine.install.mb",
            "size of what was installed, with .pyc",
            "MB",
            round(megabytes),
            "< 1,000",
            megabytes < 1000,
            peers=known,
        ),
    ]


def _megabytes(folder: Path) -> float:
    return sum(p.lstat().st_size for p in folder.rglob("*") if p.is_file() and not p.is_symlink()) / 1e6


PARTS = {"comparison": comparison, "raw": raw, "race": race, "attack": attack, "install": install}


def main(wanted: list[str]) -> None:
    rows = []
    for name in wanted or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            rows += PARTS[name](Path(folder))
        write("spine", rows)  # after each part, so that a long run that is cut keeps what it measured


if __name__ == "__main__":
    main(sys.argv[1:])
