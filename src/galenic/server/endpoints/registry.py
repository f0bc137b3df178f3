"""Registry of the protocols that the server supports."""

from galenic.server.endpoints.bulk import BulkEndpoint
from galenic.server.endpoints.endpoint import Endpoint
from galenic.server.endpoints.fhir import FhirEndpoint
from galenic.server.endpoints.smart import SmartEndpoint

ENDPOINTS: dict[str, type[Endpoint]] = {  # in the order of matching: the routes of "fhir" are the most general
    "smart": SmartEndpoint,
    "bulk": BulkEndpoint,
    "fhir": FhirEndpoint,
}
