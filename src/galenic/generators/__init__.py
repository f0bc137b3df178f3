"""Models that learn from patients and generate new data: tables first."""

from galenic.generators.generator import Generator, Refittable
from galenic.generators.registry import GENERATORS
from galenic.generators.request import SynthesisRequest

__all__ = ["GENERATORS", "Generator", "Refittable", "SynthesisRequest"]
