"""Every predictor in the registry is complete; a prediction is a value with an interval, or a refusal with its reason."""

import inspect

import pytest

from galenic.errors import InputError
from galenic.evidence import EVALUATORS
from galenic.predictors import PREDICTORS, Predictor
from galenic.release import ARTIFACTS
from galenic.schema import Prediction

METHODS = [
    name
    for name, _member in inspect.getmembers(Predictor, inspect.isroutine)
    if not name.startswith("_") and name in vars(Predictor)
]


def test_every_predictor_is_complete() -> None:
    assert {"cost", "fit", "predict", "explain", "save", "load"} <= set(METHODS)
    for kind, predictor in PREDICTORS.items():
        assert kind in EVALUATORS
        assert predictor.artifact in ARTIFACTS
        for name in METHODS:
            assert getattr(predictor, name).__doc__


def test_a_prediction_has_a_value_with_an_interval() -> None:
    assert Prediction(0.2, (0.1, 0.3)).value == 0.2


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({}, id="neither a value nor a refusal"),
        pytest.param({"value": 0.2, "interval": (0.1, 0.3), "refusal": "too old"}, id="both"),
        pytest.param({"value": 0.2}, id="a value without an interval"),
    ],
)
def test_a_prediction_that_says_too_little_or_too_much_is_refused(fields: dict) -> None:
    with pytest.raises(InputError):
        Prediction(**fields)


def test_a_refusal_has_its_reason() -> None:
    assert Prediction(refusal="no blood pressure in two years").value is None
