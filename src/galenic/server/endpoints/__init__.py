"""The protocols that the server speaks: one module each, listed in ENDPOINTS."""

from galenic.server.endpoints.bulk import BulkEndpoint, RateLimitError
from galenic.server.endpoints.endpoint import Endpoint, ServedRepository
from galenic.server.endpoints.fhir import FhirEndpoint, MethodNotAllowedError, UnsupportedMediaTypeError, refusal
from galenic.server.endpoints.smart import SmartEndpoint

ENDPOINTS: dict[str, type[Endpoint]] = {  # in the order of matching: the addresses of "fhir" are the most general
    "smart": SmartEndpoint,
    "bulk": BulkEndpoint,
    "fhir": FhirEndpoint,
}

__all__ = [
    "ENDPOINTS",
    "Endpoint",
    "MethodNotAllowedError",
    "RateLimitError",
    "ServedRepository",
    "UnsupportedMediaTypeError",
    "refusal",
]
