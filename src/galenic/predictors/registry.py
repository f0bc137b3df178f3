"""Registry of predictors. It is empty until the clinical packages add and validate the first ones."""

from galenic.predictors.predictor import Predictor

PREDICTORS: dict[str, type[Predictor]] = {}
