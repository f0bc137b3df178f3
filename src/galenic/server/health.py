"""Health and metrics of the server, on a listener of their own for this machine alone."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from galenic import store
from galenic.custody.fhir import FhirRepository
from galenic.errors import GalenicError


def health_app(repository: FhirRepository) -> Starlette:
    """/live, /ready and /metrics (Prometheus). None contains patients' data."""

    def live(_request: Request) -> Response:
        return PlainTextResponse("alive")

    def ready(_request: Request) -> Response:
        """Whether the database answers, the audit log accepts rows and the index is up to date."""
        try:
            store.version_numbers(repository.installation.db)
            repository.installation.audit.flush()
            missing = repository.missing_versions()
        except GalenicError as error:
            return PlainTextResponse(f"not ready: {type(error).__name__}", 503)
        if missing > 0:
            return PlainTextResponse(f"not ready: {missing} resources are not in the search index yet", 503)
        return PlainTextResponse("ready")

    def metrics(_request: Request) -> Response:
        return PlainTextResponse(store.telemetry.metrics(), media_type="text/plain; version=0.0.4")

    return Starlette(routes=[Route("/live", live), Route("/ready", ready), Route("/metrics", metrics)])
