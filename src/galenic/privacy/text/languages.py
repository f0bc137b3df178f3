"""Languages: the shipped tagger of each, its thresholds and its common words."""

import tomllib
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from galenic.errors import OptionError
from galenic.privacy.text.detector import Detector
from galenic.privacy.text.language_identification import VALIDATED
from galenic.privacy.text.tagger import Tagger
from galenic.privacy.text.vocabulary import common_words

LANGUAGES = VALIDATED


@cache
def _about(language: str) -> dict[str, Any]:
    if language not in LANGUAGES:
        raise OptionError(
            f"no detector exists for language {language!r}. Expected one of {', '.join(LANGUAGES)}; training/deid "
            "trains others."
        )
    place = files("galenic.privacy.text").joinpath(f"data/{language}.toml")
    return tomllib.loads(place.read_text(encoding="utf-8"))


def detector_accuracy(language: str) -> dict[str, Any]:
    """Accuracy of the language's detector on unseen text: recall of characters, share of documents without a missed identifier."""
    return dict(_about(language).get("measured", {}))


@cache
def state_names() -> frozenset[str]:
    """Names and codes of states and countries in lower case: places that Safe Harbor allows."""
    text = files("galenic.privacy.text").joinpath("data/states.txt").read_text(encoding="utf-8")
    return frozenset(line.strip().casefold() for line in text.splitlines() if line.strip() and not line.startswith("#"))


@cache
def load_detector(language: str, model: str = "") -> Detector:
    """The detector for texts of a language. model: path of a tagger that replaces the shipped one (a file of training/deid/train.py)."""
    about, data = _about(language), files("galenic.privacy.text").joinpath("data")
    with data.joinpath(f"{language}.npz").open("rb") as file:
        tagger = Tagger.load(Path(model) if model else file)
    return Detector(tagger, about["thresholds"], common_words(language), about["usual"], about["kinds"], language=language)
