"""One module per protocol that the server speaks."""

from galenic.server.endpoints.bulk import RateLimitError
from galenic.server.endpoints.fhir import Fhir, MethodNotAllowedError, NotAcceptableError, UnsupportedMediaTypeError, refusal
from galenic.server.endpoints.smart import Smart

__all__ = [
    "Fhir",
    "MethodNotAllowedError",
    "NotAcceptableError",
    "RateLimitError",
    "Smart",
    "UnsupportedMediaTypeError",
    "refusal",
]
