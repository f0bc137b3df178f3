"""One module per protocol that the server speaks."""

from galenic.server.endpoints.bulk import RateLimitError
from galenic.server.endpoints.fhir import (
    FhirEndpoint,
    MethodNotAllowedError,
    NotAcceptableError,
    UnsupportedMediaTypeError,
    refusal,
)
from galenic.server.endpoints.smart import SmartEndpoint

__all__ = [
    "FhirEndpoint",
    "MethodNotAllowedError",
    "NotAcceptableError",
    "RateLimitError",
    "SmartEndpoint",
    "UnsupportedMediaTypeError",
    "refusal",
]
