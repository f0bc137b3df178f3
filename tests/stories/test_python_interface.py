"""The Python interface on data frames: pandas in and pandas out, progress, save and load, evaluation without an installation."""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

import galenic
from galenic.errors import RecordError, StateError


@pytest.fixture
def cohort() -> pd.DataFrame:
    """2,000 patients."""
    rng = np.random.default_rng(0)
    age = rng.integers(18, 90, 2_000)
    labs = {
        f"lab_{k}": rng.normal(100, 10, 2_000).round(1) for k in range(6)
    }  # rows that differ, so that attacks can be tested
    return pd.DataFrame(
        {
            "patient_id": [f"p{k}" for k in range(2_000)],
            "age": age,
            "sex": pd.Categorical(rng.choice(["f", "m"], 2_000)),
            "smoker": rng.random(2_000) < 0.3,
            "sbp": (100 + age / 3 + rng.normal(0, 10, 2_000)).round(1),
            **labs,
        }
    )


def test_the_public_names_are_listed_for_tab_completion() -> None:
    assert {"Synthesizer", "evaluate", "open", "read", "verify"} <= set(dir(galenic))
    assert all(hasattr(galenic, name) for name in dir(galenic))


@pytest.mark.filterwarnings("ignore::galenic.api.InputWarning")  # whether the policy accepts so few patients is left to chance
def test_a_data_frame_comes_back_in_its_own_types_and_survives_saving(home: Path, tmp_path: Path, cohort: pd.DataFrame) -> None:
    steps: list[float] = []
    model = galenic.Synthesizer(
        epsilon=4, patient="patient_id", home=str(home), progress=lambda _step, share: steps.append(share)
    ).fit(cohort)
    made = model.sample(200, seed=1)
    assert isinstance(made, pd.DataFrame)
    assert list(made.columns) == list(cohort.columns[1:])
    assert str(made.dtypes["age"]) in ("int64", "Int64"), "whole numbers; with missing values if noise made a cell of them"
    assert str(made.dtypes["smoker"]) in ("bool", "boolean")
    assert steps
    assert max(steps) <= 1.0
    model.save(tmp_path / "saved")
    loaded = galenic.Synthesizer.load(str(tmp_path / "saved"))
    pd.testing.assert_frame_equal(loaded.sample(200, seed=1), made)
    assert loaded.report() == model.report().only("public"), "what was computed from real rows stays out of the folder"
    assert {f.audience for f in model.report().findings} == {"public", "internal"}
    model.save(tmp_path / "whole", internal=True)
    assert galenic.Synthesizer.load(tmp_path / "whole").report() == model.report()
    assert loaded.accepted_ == model.accepted_
    assert not list((tmp_path / "saved").rglob("*.pkl"))
    with pytest.raises(StateError, match="already exists"):
        model.save(tmp_path / "saved")


def test_a_refused_fit_warns_and_says_what_to_change(home: Path, cohort: pd.DataFrame) -> None:
    wide = cohort.assign(**{f"code{k}": np.random.default_rng(k).integers(0, 20, 2_000).astype(str) for k in range(6)})
    with pytest.warns(galenic.InputWarning, match="refuses these rows for release"):
        model = galenic.Synthesizer(epsilon=0.7, patient="patient_id", home=home).fit(wide)
    assert not model.accepted_
    assert any("patients at ε" in line for line in model.advice_)


def test_unusual_columns_are_told_before_they_are_learned(home: Path, cohort: pd.DataFrame) -> None:
    cohort["lab"] = ["<0.01", *(f"{k % 9}.5" for k in range(1_999))]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        galenic.Synthesizer(epsilon=4, patient="patient_id", home=home).fit(cohort)
    assert any("'lab'" in str(w.message) and "read as the limit" in str(w.message) for w in caught)


def test_a_synthesizer_can_be_printed_and_cloned() -> None:
    model = galenic.Synthesizer(epsilon=2.0, patient="patient_id")
    assert repr(model) == "Synthesizer(epsilon=2.0, patient='patient_id')"
    assert repr(clone(model)) == repr(model)
    with pytest.raises(StateError, match=r"not fitted. Call fit\(table\) first"):
        model.sample(1)


def test_two_data_frames_are_compared_without_an_installation(home: Path, cohort: pd.DataFrame) -> None:
    report = galenic.evaluate(cohort, cohort.drop(columns="patient_id").sample(500, random_state=0))
    assert report.get("fidelity.tvd1.excess").value < 0.1
    assert not home.exists()


def test_a_folder_without_a_synthesizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"Give the folder that save\(\) wrote"):
        galenic.Synthesizer.load(tmp_path)
