"""Protocols of the server: one module each, listed in ENDPOINTS."""

from galenic.server.endpoints.bulk import RateLimitError
from galenic.server.endpoints.endpoint import Endpoint, ServedRepository
from galenic.server.endpoints.fhir import UnsupportedMediaTypeError, refusal
from galenic.server.endpoints.registry import ENDPOINTS
from galenic.server.unroutable import MethodNotAllowedError

__all__ = [
    "ENDPOINTS",
    "Endpoint",
    "MethodNotAllowedError",
    "RateLimitError",
    "ServedRepository",
    "UnsupportedMediaTypeError",
    "refusal",
]
