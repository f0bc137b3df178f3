"""Models that predict for a patient: risk, survival, treatment effects, forecasts."""

from galenic.predictors.predictor import Predictor
from galenic.predictors.registry import PREDICTORS

__all__ = ["PREDICTORS", "Predictor"]
