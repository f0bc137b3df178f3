"""Cost of a synthesis before it starts: the fit, its shadow fits and the evaluation."""

from dataclasses import replace

from galenic.evidence.tables import evaluation_cost
from galenic.generators import GENERATORS, SynthesisRequest
from galenic.records import Source
from galenic.schema import FitCost


def estimate_cost(source: Source, request: SynthesisRequest) -> FitCost:
    """Time, memory and epsilon of a request, from the table's size only."""
    return cost_of(len(source.names), source.count(), request)


def cost_of(columns: int, rows: int, request: SynthesisRequest) -> FitCost:
    """Estimated cost for a number of columns and rows."""
    fit = GENERATORS["table"](request).cost(columns, rows)
    evaluation = evaluation_cost(columns, rows)
    seconds = fit.seconds * (1 + request.shadows) + evaluation.seconds
    return replace(fit, seconds=seconds, megabytes=fit.megabytes + evaluation.megabytes)
