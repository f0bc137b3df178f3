"""Presidio's recognisers that need no model (none is packaged): texts as JSON on stdin, spans and seconds as JSON on stdout."""

import json
import sys
import time

import spacy
from presidio_analyzer import AnalyzerEngine
from presidio_analyzer.nlp_engine import SpacyNlpEngine


class Blank(SpacyNlpEngine):
    """spaCy's English tokeniser alone."""

    def __init__(self) -> None:
        super().__init__(models=[{"lang_code": "en", "model_name": "blank"}])
        self.nlp = {"en": spacy.blank("en")}


engine = AnalyzerEngine(nlp_engine=Blank(), supported_languages=["en"])
texts = json.load(sys.stdin)
engine.analyze("warm", language="en")
start = time.perf_counter()
found = [[[r.start, r.end] for r in engine.analyze(t, language="en")] for t in texts]
json.dump({"spans": found, "seconds": time.perf_counter() - start}, sys.stdout)
