"""SUPPORT2, 32 columns: without identifiers, outcomes, other models' predictions, orders not to resuscitate, hday and adlsc."""

import csv
import os
from pathlib import Path

import numpy as np

from galenic.records import to_toml
from galenic.schema import Column

DATA = Path(os.environ.get("GALENIC_DATA", Path(__file__).parents[1] / ".." / "shared" / "data"))
LEFT_OUT = (
    *(
        "",
        "id",
        "death",
        "slos",
        "d.time",
        "charges",
        "totcst",
        "totmcst",
        "surv2m",
        "surv6m",
        "prg2m",
        "prg6m",
        "dnr",
        "dnrday",
    ),
    *("sfdm2", "hday", "adlsc"),
)
CATEGORIES = ("dzgroup", "dzclass", "income", "race", "sex", "hospdead", "diabetes", "dementia", "ca")


def split(folder: Path) -> tuple[Path, Path, Path, tuple[Column, ...]]:
    """(train.csv, test.csv, columns.toml, columns): 6,373 and 2,732 patients, 20 public quantile bins for each number."""
    with (DATA / "tabular" / "support2.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = [n for n in rows[0] if n not in LEFT_OUT and not n.startswith("Unnamed")]
    order = np.random.RandomState(0).permutation(len(rows))
    cut = int(0.7 * len(rows))
    columns = tuple(_column(n, [rows[i][n] for i in order[:cut]], [r[n] for r in rows]) for n in names)
    paths = []
    for name, places in (("train.csv", order[:cut]), ("test.csv", order[cut:])):
        with (folder / name).open("w", newline="", encoding="utf-8") as out:
            writer = csv.writer(out)
            writer.writerow(names)
            writer.writerows([[rows[i][n] for n in names] for i in places])
        paths.append(folder / name)
    (folder / "columns.toml").write_text(to_toml(columns), encoding="utf-8")
    return paths[0], paths[1], folder / "columns.toml", columns


def _column(name: str, train: list[str], every: list[str]) -> Column:
    missing = Column("x").missing_tokens
    if name in CATEGORIES:
        return Column(name, "category", categories=tuple(sorted({v for v in every if v not in missing})), missing=True)
    numbers = np.array([float(v) for v in train if v not in missing])
    distinct = np.unique(numbers)
    inner = (
        (distinct[1:] + distinct[:-1]) / 2 if distinct.size <= 20 else np.unique(np.quantile(numbers, np.arange(1, 20) / 20))
    )
    whole = bool((numbers == np.rint(numbers)).all())
    all_numbers = np.array([float(v) for v in every if v not in missing])
    edges = np.unique(np.r_[all_numbers.min() - 0.5, inner, all_numbers.max() + 0.5])
    return Column(
        name, "integer" if whole else "numeric", edges=tuple(edges.tolist()), step=1.0 if whole else None, missing=True
    )
