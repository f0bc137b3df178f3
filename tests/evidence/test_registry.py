"""Every evaluator in the registry is complete."""

import inspect

import pytest

from galenic.evidence import EVALUATORS, Evaluator


@pytest.mark.parametrize("kind", EVALUATORS)
def test_every_evaluator_is_complete(kind: str) -> None:
    declared = inspect.signature(Evaluator.measure).parameters
    method = inspect.signature(EVALUATORS[kind].measure).parameters
    assert list(method) == list(declared)[1:]
    assert EVALUATORS[kind].measure.__doc__
