"""The split of a private run is part of its mechanism: independent draws, no seed, and no decision by an exact number."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from galenic import flows, records
from galenic.errors import BudgetError, OptionError
from galenic.generators import SynthesisRequest
from galenic.generators.tables import prepare_related_tables, prepare_table
from galenic.installation import Installation
from galenic.privacy import ColumnOptions
from galenic.schema import Column, NotMeasured, Relation

COLUMNS = (
    Column("patient_id", "identifier", role="patient"),
    Column("sex", "category", categories=("f", "m"), other=False),
    Column("age", "integer", low=0, high=100),
)


def patients(count: int, first: int = 0) -> records.Source:
    numbers = range(first, first + count)
    text = {
        "patient_id": [f"p{i}" for i in numbers],
        "sex": ["fm"[i % 2] for i in numbers],
        "age": [str(i % 90) for i in numbers],
    }
    return records.in_memory(pa.table({name: pa.array(values, pa.string()) for name, values in text.items()}))


def request(epsilon: float = 1.0, **options: object) -> SynthesisRequest:
    return SynthesisRequest(epsilon=epsilon, column_options=ColumnOptions(COLUMNS), **options)  # type: ignore[arg-type]


def test_a_seed_in_a_private_run_is_refused_with_advice() -> None:
    with pytest.raises(OptionError, match=r"takes no seed.*Leave out the seed"):
        request(seed=0)
    assert request(private=False, seed=0).seed == 0


def held_out(data: object) -> list[str]:
    return [v for _, batch in data.held_out.raw(["patient_id"]) for v in batch["patient_id"].to_pylist()]  # type: ignore[attr-defined]


def test_who_knows_the_random_generator_of_a_private_run_does_not_know_who_was_held_out() -> None:
    private, again = (held_out(prepare_table(patients(300), request(), np.random.default_rng(7))) for _ in range(2))
    assert private != again
    seeded, repeated = (
        held_out(prepare_table(patients(300), request(private=False, seed=7), np.random.default_rng(7))) for _ in range(2)
    )
    assert seeded == repeated


def test_related_tables_are_split_by_the_same_unpredictable_draws(tmp_path: Path) -> None:
    relation = Relation("people", (Column("patient_id", "identifier"), *COLUMNS[1:]), "patient_id")
    sizes = set()
    for k in range(8):
        data = prepare_related_tables(
            (relation,), {"people": patients(100)}, tmp_path / str(k), request(), np.random.default_rng(7)
        )
        sizes.add(data.sizes["people.train_rows"])
        assert data.sizes["people.train_rows"] + data.sizes["people.test_rows"] == 100
    assert len(sizes) > 1


@pytest.mark.parametrize("count", [0, 1, 9])
def test_few_patients_are_refused_by_the_paid_count_alone(installation: Installation, count: int) -> None:
    installation.ledger.declare("few", epsilon=1_000, delta=1e-8, actor="test")
    with pytest.raises(BudgetError, match="by its paid, noisy count"):
        flows.synthesize(installation, patients(count), request(900.0, population="few"))
    assert installation.ledger.statement("few").rho_spent > 0


def test_a_run_with_nobody_held_out_is_not_accepted_and_says_why(installation: Installation) -> None:
    installation.ledger.declare("few", epsilon=1_000, delta=1e-8, actor="test")
    result = flows.synthesize(installation, patients(200), request(900.0, population="few", holdout=patients(5)))
    assert not result.decision.accepted
    controls = result.report.get("privacy.controls")
    assert isinstance(controls, NotMeasured)
    assert "half of the patients is empty" in controls.why
