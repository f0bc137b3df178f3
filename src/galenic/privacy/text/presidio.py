"""Galenic's finder as a recogniser of Presidio, for those who run its pipelines (presidio-analyzer 2.2; not needed here)."""

from typing import Any

from galenic.errors import MissingExtraError
from galenic.privacy.text.detector import Detector
from galenic.privacy.text.languages import load_detector
from galenic.privacy.text.policy import identifier_kinds

ENTITIES = {  # by kind: what Presidio calls it; the others keep their own name in capitals
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


def _called(kind: str) -> str:
    kind = identifier_kinds()[kind].of or kind
    return ENTITIES.get(kind, kind.upper())


def recognizer(language: str = "en", detector: Detector | None = None) -> Any:
    """An EntityRecognizer to add to a registry: analyzer.registry.add_recognizer(recognizer()). MissingExtra without presidio-analyzer."""
    try:
        from presidio_analyzer import EntityRecognizer, RecognizerResult  # noqa: PLC0415  # optional
    except ImportError:
        raise MissingExtraError("presidio-analyzer is not installed: pip install presidio-analyzer.") from None
    own = detector or load_detector(language)

    class Galenic(EntityRecognizer):  # type: ignore[misc]  # presidio is optional
        """All layers of Galenic's finder."""

        def load(self) -> None:
            """Nothing: the finder is at hand."""

        def analyze(self, text: str, entities: list[str], nlp_artifacts: Any = None) -> list[Any]:
            """Presidio's results for the entities that are asked for; score: the tagger's, 1 for forms and known values."""
            del nlp_artifacts  # its tokens are not needed
            found = [(s, _called(s.kind)) for s in own.find(text)]
            return [RecognizerResult(e, s.start, s.end, s.score or 1.0) for s, e in found if not entities or e in entities]

    return Galenic(
        supported_entities=sorted({_called(k) for k in identifier_kinds()}), name="Galenic", supported_language=language
    )
