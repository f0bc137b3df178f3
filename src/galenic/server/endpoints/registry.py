"""Registry of the protocols that the server speaks."""

from galenic.server.endpoints.bulk import BulkEndpoint
from galenic.server.endpoints.endpoint import Endpoint
from galenic.server.endpoints.fhir import FhirEndpoint
from galenic.server.endpoints.smart import SmartEndpoint

ENDPOINTS: dict[str, type[Endpoint]] = {  # in the order of matching: the addresses of "fhir" are the most general
    "smart": SmartEndpoint,
    "bulk": BulkEndpoint,
    "fhir": FhirEndpoint,
}
