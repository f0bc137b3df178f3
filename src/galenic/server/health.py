"""Health and metrics of the server, on a separate listener that only this machine can reach."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from galenic import store
from galenic.custody.fhir import FhirRepository
from galenic.errors import GalenicError


def health_app(repository: FhirRepository) -> Starlette:
    """Application with /live, /ready and /metrics (Prometheus). None of them contains patient data."""

    def live(_request: Request) -> Response:
        return PlainTextResponse("alive")

    def ready(_request: Request) -> Response:
        """True if the database responds, the audit log accepts rows and the search index is up to date."""
        try:
            store.version_numbers(repository.installation.db)
            repository.installation.audit.flush()
            missing = repository.missing_versions()
        except GalenicError as error:
            return PlainTextResponse(f"not ready: {type(error).__name__}", 503)
        if missing > 0:
            return PlainTextResponse(f"not ready: {missing} resources are not yet in the search index", 503)
        return PlainTextResponse("ready")

    def metrics(_request: Request) -> Response:
        return PlainTextResponse(store.telemetry.metrics(), media_type="text/plain; version=0.0.4")

    return Starlette(routes=[Route("/live", live), Route("/ready", ready), Route("/metrics", metrics)])
