"""Every generator in the registry is complete, and an evaluator and an artifact exist for its kind."""

import inspect
from pathlib import Path

import pytest

from galenic.evidence import EVALUATORS
from galenic.generators import GENERATORS, Generator, Refittable, SynthesisRequest
from galenic.release import ARTIFACTS

METHODS = [
    name
    for name, _member in inspect.getmembers(Generator, inspect.isroutine)
    if not name.startswith("_") and name in vars(Generator)
]


@pytest.mark.parametrize("kind", GENERATORS)
def test_every_generator_is_complete(kind: str) -> None:
    generator = GENERATORS[kind]
    assert {"cost", "fit", "sample", "save", "load"} <= set(METHODS)
    for name in METHODS:
        declared, method = (inspect.signature(getattr(cls, name)) for cls in (Generator, generator))
        assert len(method.parameters) == len(declared.parameters), name
        assert getattr(generator, name).__doc__
    assert generator.name
    assert generator.version
    assert generator(SynthesisRequest()).cost(10, 1_000).seconds > 0


@pytest.mark.parametrize("kind", GENERATORS)
def test_every_kind_that_is_generated_is_measured_and_can_be_released(kind: str) -> None:
    assert kind in EVALUATORS
    assert GENERATORS[kind].artifact in ARTIFACTS


def test_tables_can_be_attacked_by_shadow_models() -> None:
    assert isinstance(GENERATORS["table"](SynthesisRequest()), Refittable)


def test_a_model_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    from galenic.errors import RecordError

    for generator in GENERATORS.values():
        with pytest.raises(RecordError):
            generator.load(tmp_path)
