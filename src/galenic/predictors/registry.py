"""Registry of predictors. It is empty: the first predictors come with the clinical areas that validate them."""

from galenic.predictors.predictor import Predictor

PREDICTORS: dict[str, type[Predictor]] = {}
