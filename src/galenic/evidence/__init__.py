"""Measurements and attacks of results, with intervals, by evaluators that are tested on planted leaks."""

from galenic.evidence.evaluator import Evaluator
from galenic.evidence.registry import EVALUATORS
from galenic.evidence.request import EvaluationRequest

__all__ = ["EVALUATORS", "EvaluationRequest", "Evaluator"]
