"""More of the table engine: the patient as unit, domains that are paid, scale, fits without noise, several tables, attacks, audit."""

import csv
import gzip
import json
import subprocess
import time
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

import diabetes
import support2
from galenic import records
from galenic.evidence.tables import bin_column, encode_columns, leak_rows, mean_tvd, measure_membership, noisy_copy
from galenic.generators.tables import describe_relations, shipped_audit
from galenic.records import own_columns, to_toml
from galenic.schema import Column, Finding, Relation, Table
from rows import galenic, peer, row
from visits import write_patients

Compared = Callable[..., list[dict]]
GIBLEED = """version = 1
[[table]]
name = "person"
file = "person.csv"
key = "person_id"
order = "birth_datetime"
format = "%Y-%m-%d %H:%M:%S"
keep = ["gender_source_value", "race_source_value", "ethnicity_source_value"]
[[table]]
name = "visit"
file = "visit_occurrence.csv"
key = "visit_occurrence_id"
parent = "person"
foreign_key = "person_id"
order = "visit_start_date"
since = "parent"
keep = ["visit_concept_id", "visit_end_date"]
kinds = { visit_concept_id = "category" }
most = 4
[[table]]
name = "condition"
file = "condition_occurrence.csv"
key = "condition_occurrence_id"
parent = "person"
foreign_key = "person_id"
order = "condition_start_date"
since = "parent"
keep = ["condition_concept_id", "condition_end_date"]
kinds = { condition_concept_id = "category" }
links = { visit_occurrence_id = "visit" }
most = 60
"""


def by_patient(folder: Path, paths: tuple, most: int) -> tuple[Path, Path, Path, tuple[Column, ...]]:
    """The prepared table split 70/30 by patient, at most `most` rows of each patient, the first ones; the patient in a column."""
    _train, _test, _description, columns = paths
    with diabetes.raw_csv(folder).open(newline="") as file:
        who = [r["patient_nbr"] for r in csv.DictReader(file)]
    order = np.random.RandomState(0).permutation(len(who))  # as the prepared files were split
    cut = int(0.7 * len(who))
    frames = [pacsv.read_csv(p, convert_options=_text(columns)) for p in paths[:2]]
    frame = pa.concat_tables(frames).take(pa.array(np.argsort(np.r_[order[:cut], order[cut:]])))
    ids = np.unique(who, return_inverse=True)[1]
    taken, seen = np.zeros(len(who), dtype=bool), np.zeros(ids.max() + 1, dtype=int)
    for place, patient in enumerate(ids):
        taken[place] = seen[patient] < most
        seen[patient] += 1
    inside = (np.random.RandomState(1).permutation(ids.max() + 1) < 0.7 * (ids.max() + 1))[ids]
    frame = frame.append_column("patient", pa.array(ids.astype(str)))
    place = folder / f"by-patient-{most}"
    place.mkdir(exist_ok=True)
    for name, mask in (("train.csv", inside & taken), ("test.csv", ~inside & taken)):
        pacsv.write_csv(frame.filter(pa.array(mask)), place / name)
    described = (*columns, Column("patient", "identifier", role="patient"))
    (place / "columns.toml").write_text(to_toml(described), encoding="utf-8")
    return place / "train.csv", place / "test.csv", place / "columns.toml", columns


def _text(columns: tuple[Column, ...]) -> pacsv.ConvertOptions:
    return pacsv.ConvertOptions(column_types={c.name: pa.string() for c in columns}, strings_can_be_null=False)


def patient(folder: Path, compared: Compared) -> list[dict]:
    """The patient as unit at one row and at three, and each row as unit on the same split by patient, with MST and the floor there."""
    found = []
    for name, prepared, peers in (("d14", diabetes.comparison, ("MST",)), ("d36", diabetes.wide, ())):
        paths = prepared(folder)
        rows = {}
        for label, most, unit in (("row", 3, "row"), ("one", 1, "patient"), ("three", 3, "patient")):
            part = by_patient(folder, paths, most)
            with_peers = peers if label == "one" else ()
            more = {"unit": unit, "rows_per_patient": most if unit == "patient" else 1, "seeds": 3, "with_peers": with_peers}
            home = folder / f"{name}-{label}"
            home.mkdir()
            rows[label] = compared(home, f"tables.patient.{name}.{label}", part, "readmitted", "yes", 1e-10, {}, **more)
        excess = {k: r[0]["ours"] - r[0]["peers"]["real-vs-real"] for k, r in rows.items()}
        for label in ("one", "three"):
            first = rows[label][0]
            times = excess[label] / excess["row"]
            what = f"{first['what']}; excess over the floor {excess[label]:.4f}, {times:.2f} times that of the row as unit, same split"
            aim = ("excess <= 2 x the row unit's", bool(times <= 2)) if label == "one" else ("shown", None)
            found += [{**first, "what": what, "target": aim[0], "met": aim[1]}, *rows[label][1:3]]
        found.append(rows["row"][0])
    return found


def paid(folder: Path, compared: Compared) -> list[dict]:
    """Bounds and categories bought from the same budget; only kinds are declared."""
    found = []
    for ident, name, prepared, seeds in (("paid", "d14", diabetes.comparison, 5), ("paid.d36", "d36", diabetes.wide, 3)):
        train, test, description, columns = prepared(folder)
        bare = tuple(c.but(edges=(), categories=(), low=None, high=None, other=not c.binned) for c in columns)
        description.write_text(to_toml(bare), encoding="utf-8")
        public = next((r["ours"] for r in _results("tables") if r["id"] == f"tables.{name}.tvd2"), None)
        home = folder / ident
        home.mkdir()
        rows = compared(
            home,
            f"tables.{ident}",
            (train, test, description, columns),
            "readmitted",
            "yes",
            2e-10,
            {},
            delta_run=1e-9,
            seeds=seeds,
        )
        if public is not None:
            rows[0]["target"] = f"<= 1.15 x public bins ({public})"
            rows[0]["met"] = bool(rows[0]["ours"] <= 1.15 * public)
        found += rows[:3]
    return found


def scale(
    folder: Path, compared: Compared, times: int = 16, name: str = "1m", most: tuple[float, float] = (60, 2)
) -> list[dict]:
    """The wide table many times over, through the command line: each row is a unit of its own."""
    train, test, description, columns = diabetes.wide(folder)
    big = folder / "big.csv"
    lines = train.read_bytes().split(b"\n", 1)
    with big.open("wb") as file:
        file.write(lines[0] + b"\n")
        for _ in range(times):
            file.write(lines[1])
    count = records.read(train).count() * times
    small = records.read(train).count()
    paths = (big, test, description, columns)
    found = compared(
        folder, f"tables.scale.{name}", paths, "readmitted", "yes", 2e-10, {}, seeds=1, rows=small, floor_from=train
    )
    by_id = {r["id"].split(".")[-1]: r for r in found}
    seconds, megabytes = by_id["cpu"]["ours"], by_id["mb"]["ours"]
    chi2 = by_id["cpu"]["peers"].pop("chi-square per cell")
    excess = by_id["tvd2"]["ours"] - by_id["tvd2"]["peers"]["real-vs-real"]
    what = f"{count} rows x {len(columns)} columns, epsilon 1, to {small} sampled rows, whole process"
    at_71k = next((r for r in _results("tables") if r["id"] == "tables.d36.tvd2"), None)
    before = at_71k["ours"] - at_71k["peers"]["real-vs-real"] if at_71k else None
    return [
        row(f"tables.scale.{name}.s", f"CPU seconds, {what}", "s", seconds, f"< {most[0]:g}", seconds < most[0]),
        row(
            f"tables.scale.{name}.gb",
            f"peak memory, {what}",
            "GB",
            round(megabytes / 1024, 2),
            f"< {most[1]:g}",
            megabytes / 1024 < most[1],
        ),
        row(f"tables.scale.{name}.chi2", f"chi-square per measured cell, {what}", "", round(chi2, 3), "<= 1.2", chi2 <= 1.2),
        row(
            f"tables.scale.{name}.excess",
            f"mean 2-way TVD over the floor, {what}",
            "TVD",
            round(excess, 4),
            "no worse than at 71k rows",
            None if before is None else excess <= before,
            peers={"at 71k rows": None if before is None else round(before, 4)},
        ),
    ]


def _results(name: str) -> list[dict]:
    place = Path(__file__).parent / "results" / f"{name}.json"
    return json.loads(place.read_text()) if place.exists() else []


def scale10m(folder: Path, compared: Compared) -> list[dict]:
    return scale(folder, compared, 140, "10m", (900, 4))


def without_noise(folder: Path) -> list[dict]:
    """SUPPORT2 without a budget: usefulness, membership and a discriminator together, by the report's own judges."""
    train, test, _description, _columns = support2.split(folder)
    found: dict[str, list[float]] = {"tstr": [], "mia": [], "discriminator": []}
    accepted = 0
    for seed in range(5):
        words = [
            "--no-privacy",
            "--unit",
            "row",
            "--holdout",
            test,
            "--target",
            "hospdead",
            "--rows",
            records.read(train).count(),
        ]
        ran = galenic(folder / f"home-{seed}", "synthesize", train, *words, accept=(0, 1))
        accepted += ran["decision"]["accepted"]
        value = {f["name"]: f.get("value") for f in ran["findings"]}
        found["tstr"].append(max(value[f"utility.tstr.{f}"] for f in ("logistic", "boosting")))
        found["mia"].append(max(value[f"privacy.{a}"] for a in ("nearest", "density", "outlier")))
        found["discriminator"].append(value["fidelity.discriminator"])
    what = {
        "tstr": ("AUROC for hospdead, better of logistic regression and boosting", ">= 0.875", lambda v: v >= 0.875),
        "mia": ("strongest membership attack (nearest, density, outlier), AUC", "<= 0.55", lambda v: v <= 0.55),
        "discriminator": ("AUC of boosting that tells synthetic from held-out rows", "<= 0.90", lambda v: v <= 0.90),
    }
    known = {
        "tstr": {"prototype": ".885 (at MIA .75)"},
        "mia": {"prototype": ".75"},
        "discriminator": {"all that were tried": ">= .997"},
    }
    about = (
        f"SUPPORT2, {records.read(train).count()} rows, no noise, mean of 5 fits, {accepted} of 5 accepted by policy internal"
    )
    return [
        row(
            f"tables.open.{k}",
            f"{text}, {about}",
            "AUC",
            round(float(np.mean(found[k])), 4),
            target,
            bool(met(np.mean(found[k]))),
            interval=[round(min(found[k]), 4), round(max(found[k]), 4)],
            peers=known[k],
        )
        for k, (text, target, met) in what.items()
    ]


def multi(folder: Path) -> list[dict]:
    """Foreign keys, distances of parent-child pairs beside pairs of one table, seconds."""
    source = diabetes.DATA / "ehr" / "omop-eunomia" / "gibleed"
    place = folder / "gibleed"
    place.mkdir()
    for name in ("person", "visit_occurrence", "condition_occurrence"):
        (place / f"{name}.csv").write_bytes(gzip.decompress((source / f"{name}.csv.gz").read_bytes()))
    (place / "tables.toml").write_text(GIBLEED, encoding="utf-8")
    found = _several(folder, "gibleed", place / "tables.toml", ["--no-privacy"], "shared GiBleed, 2,694 patients, no noise")
    made = write_patients(folder / "made", 100_000)
    galenic(folder / "home-100k", "budget", "bench", "--epsilon", 1, "--delta", 1e-9)
    words = ["--population", "bench", "--epsilon", 1, "--delta", 1e-9]
    return [*found, *_several(folder, "100k", made, words, "100,000 made patients, epsilon 1, delta 1e-9, unit patient", 300)]


def _several(folder: Path, name: str, tables: Path, words: list[object], about: str, most: float | None = None) -> list[dict]:
    began = time.monotonic()
    ran = galenic(folder / f"home-{name}", "synthesize-related", tables, *words, "--seed", 1, accept=(0, 1))
    seconds = time.monotonic() - began
    relations, sources, _ = describe_relations(tables, private="--no-privacy" not in words)
    out = Path(ran["folder"]) / "artefact"
    if not out.is_dir():
        raise SystemExit(f"refused: {ran['decision']['refusals']}")
    made = {r.name: records.read(out / f"{r.name}.csv") for r in relations}
    valid = _valid(relations, made)
    sides = [(_described(relations, s, made=k == 1), s) for k, s in enumerate((sources, made))]
    flat = [records.flatten(described, s, folder / f"flat-{name}-{k}") for k, (described, s) in enumerate(sides)]
    crossed, single = [], []
    for r in relations:
        if not r.parent:
            continue
        own = {c.name for c in own_columns(r, relations) if not c.name.startswith(("@left", "@more"))}
        names = [n for n in flat[1][r.name].names if n not in ("@patient", "@nth") and not n.startswith("@previous.")]
        columns = tuple(Column(n, _kind(flat[0][r.name], n)) for n in names)
        tables_ = [f[r.name].table(columns) for f in flat]
        columns = tuple(bin_column(tables_[0], c) for c in columns)
        codes, sizes = [encode_columns(t, columns) for t in tables_], np.array([c.levels for c in columns])
        for i, j in combinations(range(len(names)), 2):
            tvd = mean_tvd(codes[1], codes[0], [(i, j)], sizes)
            (crossed if (names[i] in own) != (names[j] in own) else single if names[i] in own else []).append(tvd)
    ratio = float(np.mean(crossed) / np.mean(single))
    parts = f"between a child's column and an ancestor's ({np.mean(crossed):.4f}) over that of two of the child's ({np.mean(single):.4f})"
    what = f"{about}: mean 2-way TVD {parts}"
    wall = f"{about}: wall seconds from files to judged and decided tables, {', '.join(f'{n} {k} rows' for n, k in ran['rows'].items())}"
    known = {"SDV HMA": "hours, open issues (published)"}
    return [
        row(
            f"tables.multi.{name}.keys",
            f"{about}: foreign keys and links that name a row of the same patient",
            "share",
            valid,
            "1",
            valid == 1,
        ),
        row(f"tables.multi.{name}.tvd", what, "ratio", round(ratio, 3), "<= 2", ratio <= 2),
        row(
            f"tables.multi.{name}.s",
            wall,
            "s",
            round(seconds, 1),
            f"< {most:g}" if most else "shown",
            seconds < most if most else None,
            peers=known,
        ),
    ]


def _described(relations: tuple[Relation, ...], sources: dict, *, made: bool) -> tuple[Relation, ...]:
    """Descriptions of the columns that a set of files has; what is made writes dates as 2020-12-31."""
    found = []
    for r in relations:
        there = [c for c in r.columns if c.name in sources[r.name].names]
        columns = tuple(c.but(format="") if c.kind == "date" and made else c for c in there)
        found.append(Relation(**{**r.__dict__, "columns": columns}))
    return tuple(found)


def _kind(source: records.Source, name: str) -> str:
    kind = next(batch[name].type for _, batch in source.raw([name]))
    if pa.types.is_date(kind):
        return "date"
    return "numeric" if pa.types.is_integer(kind) or pa.types.is_floating(kind) else "category"


def _valid(relations: tuple[Relation, ...], made: dict) -> float:
    """Share of foreign keys and links that name a row of the same patient."""
    frames = {n: pa.concat_tables([b for _, b in s.raw(None)]).to_pydict() for n, s in made.items()}
    owner: dict[str, dict[str, str]] = {}
    good = total = 0
    for r in relations:
        keys, up = frames[r.name][r.key], frames[r.name].get(r.foreign_key)
        owner[r.name] = {k: k if up is None else owner[r.parent].get(up[i], "") for i, k in enumerate(keys)}
        if up is not None:
            total += len(up)
            good += sum(u in owner[r.parent] for u in up)
        for link, other in r.links.items():
            named = [(k, v) for k, v in zip(keys, frames[r.name][link], strict=True) if v not in ("", None)]
            total += len(named)
            good += sum(owner[other].get(v) == owner[r.name][k] for k, v in named)
    return good / total


def attacks(folder: Path) -> list[dict]:
    """The whole attack suite on 5,000 x 15: seconds, planted leaks, and false alarms over 200 draws of fresh patients."""
    train, _test, _description, columns = diabetes.wide(folder)
    columns = columns[:15]
    every = records.read(train).table(columns)
    rng = np.random.default_rng(0)
    found, flagged, seconds, draws = {"copy": 0, "1 % noise": 0, "1 % leak": 0}, 0, [], 200
    for draw in range(draws):
        place = rng.permutation(every.rows)
        real, held, fresh = (Table(every.frame.take(pa.array(place[k * 5_000 : (k + 1) * 5_000])), columns) for k in range(3))
        coded = tuple(bin_column(real, c) for c in columns)
        began = time.process_time()
        flagged += _alarms(real, held, fresh, coded, rng)
        seconds.append(time.process_time() - began)
        if draw < 5:
            leaks = {"copy": real, "1 % noise": noisy_copy(real, coded, rng), "1 % leak": leak_rows(fresh, real, rng)}
            for name, leaky in leaks.items():
                found[name] += _alarms(real, held, leaky, coded, rng)
        if not draw:
            pacsv.write_csv(real.frame, folder / "real.csv")
            pacsv.write_csv(held.frame, folder / "control.csv")
            pacsv.write_csv(fresh.frame, folder / "tried.csv")
    kinds = sum(n == 5 for n in found.values())
    script = Path(__file__).parent / "peers" / "anonymeter.py"
    began = time.monotonic()
    words = [peer("anonymeter"), script, folder / "real.csv", folder / "tried.csv", folder / "control.csv"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    theirs = round(time.monotonic() - began, 1) if not done.returncode else f"failed: {done.stderr[-80:]}"
    about = "5,000 training rows x 15 columns (diabetes), 5,000 held out, 5,000 synthetic"
    mean = float(np.mean(seconds))
    return [
        row(
            "tables.attacks.s",
            f"CPU seconds of all eight attacks with their planted leaks, {about}",
            "s",
            round(mean, 1),
            "<= 15",
            mean <= 15,
            interval=[round(min(seconds), 1), round(max(seconds), 1)],
            peers={"Anonymeter 1.1.0, singling out alone, wall": theirs},
        ),
        row("tables.attacks.found", f"planted leaks found in all of 5 draws, {about}; {found}", "of 3", kinds, "3", kinds == 3),
        row(
            "tables.attacks.false",
            f"share of {draws} draws in which fresh patients raised an alarm, {about}",
            "share",
            flagged / draws,
            "<= 0.05",
            flagged / draws <= 0.05,
        ),
    ]


def _alarms(real: Table, held: Table, made: Table, columns: tuple[Column, ...], rng: np.random.Generator) -> bool:
    alarms = next(f for f in measure_membership(real, held, made, columns, rng) if f.name == "privacy.alarms")
    return isinstance(alarms, Finding) and alarms.value > 0


def audit(_folder: Path) -> list[dict]:
    """The audit that ships with this engine version, and the planted bugs that tests/evidence/test_engine_audit.py lets it catch."""
    shipped = shipped_audit()
    if shipped is None:
        raise SystemExit("this engine version ships without an audit: galenic table audit-engine --runs 400")
    step = shipped["steps"]["measuring"]
    test = Path(__file__).parents[1] / "tests" / "evidence" / "test_engine_audit.py"
    done = subprocess.run(
        ["python", "-m", "pytest", "-q", "-p", "no:randomly", "-rA", test, "-k", "planted_bug"],
        capture_output=True,
        text=True,
        check=False,
    )
    caught = sum(line.startswith("PASSED") for line in done.stdout.splitlines())
    missed = sum(line.startswith(("FAILED", "ERROR")) for line in done.stdout.splitlines())
    share = step["low"] / step["claimed"]
    about = f"{step['runs']} runs with {step['canaries']} canaries, table of 10 x 12 levels, two rows a patient"
    exceed = 100 * step["exceeding"] / step["runs"]
    known = {"MST, AIM": ".43 of .45 (published)"}
    return [
        row(
            "tables.audit.mu",
            f"lower 95 % bound of mu over the claimed mu, measuring, {about}",
            "share",
            round(share, 3),
            ">= 0.7",
            share >= 0.7,
            peers=known,
        ),
        row(
            "tables.audit.exceed",
            f"one-run audits in 100 whose bound exceeds the claim, {about}",
            "of 100",
            round(exceed, 1),
            "<= 5",
            exceed <= 5,
        ),
        row(
            "tables.audit.bugs",
            f"planted bugs caught of {caught + missed}",
            "share",
            caught / max(caught + missed, 1),
            "1",
            missed == 0 and caught >= 6,
        ),
    ]


COMPARED = {"patient": patient, "paid": paid, "scale": scale}  # parts that compare as tables.py does
ALONE = {"open": without_noise, "multi": multi, "attacks": attacks, "audit": audit}
SLOW = {"scale10m": scale10m}
