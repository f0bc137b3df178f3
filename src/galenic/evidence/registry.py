"""Registry of evaluators."""

from galenic.evidence.evaluator import Evaluator
from galenic.evidence.tables import RelatedTablesEvaluator, TableEvaluator

EVALUATORS: dict[str, Evaluator] = {"table": TableEvaluator(), "related-tables": RelatedTablesEvaluator()}
