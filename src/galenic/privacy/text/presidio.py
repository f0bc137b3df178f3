"""Galenic's detector as a recognizer for Presidio pipelines (presidio-analyzer 2.2; optional)."""

from typing import Any

from galenic.errors import MissingExtraError
from galenic.privacy.text.detector import Detector
from galenic.privacy.text.languages import load_detector
from galenic.privacy.text.policy import identifier_kinds

ENTITIES = {  # Presidio's entity by kind; other kinds keep their own name in capitals
    "name": "PERSON",
    "place": "LOCATION",
    "organisation": "ORGANIZATION",
    "date": "DATE_TIME",
    "phone": "PHONE_NUMBER",
    "fax": "PHONE_NUMBER",
    "email": "EMAIL_ADDRESS",
    "ssn": "US_SSN",
    "licence": "MEDICAL_LICENSE",
    "ip": "IP_ADDRESS",
    "other": "ID",
}


def _entity(kind: str) -> str:
    kind = identifier_kinds()[kind].parent or kind
    return ENTITIES.get(kind, kind.upper())


def recognizer(language: str = "en", detector: Detector | None = None) -> Any:
    """EntityRecognizer to add to a registry: analyzer.registry.add_recognizer(recognizer()). Raise MissingExtraError without
    presidio-analyzer."""
    try:
        from presidio_analyzer import EntityRecognizer, RecognizerResult  # noqa: PLC0415  # optional
    except ImportError:
        raise MissingExtraError("the package presidio-analyzer is not installed", "presidio") from None
    own = detector or load_detector(language)

    class Galenic(EntityRecognizer):  # type: ignore[misc]  # presidio is optional
        """All layers of Galenic's detector."""

        def load(self) -> None:
            """Does nothing: the detector is already loaded."""

        def analyze(self, text: str, entities: list[str], nlp_artifacts: Any = None) -> list[Any]:
            """Results for the requested entities; score: the tagger's probability, 1 for patterns and stated identifiers."""
            del nlp_artifacts  # its tokens are not needed
            entities_found = [(s, _entity(s.kind)) for s in own.find(text)]
            return [
                RecognizerResult(e, s.start, s.end, s.score or 1.0) for s, e in entities_found if not entities or e in entities
            ]

    return Galenic(
        supported_entities=sorted({_entity(k) for k in identifier_kinds()}), name="Galenic", supported_language=language
    )
