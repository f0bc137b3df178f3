"""For those who run the server: whether it lives, whether it can work, and its numbers. A listener of its own, on this machine."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from galenic import store
from galenic.custody.fhir import FhirRepository
from galenic.errors import GalenicError


def health_app(repository: FhirRepository) -> Starlette:
    """/live, /ready and /metrics (Prometheus). None of them holds anything of a patient."""

    def live(_request: Request) -> Response:
        return PlainTextResponse("alive")

    def ready(_request: Request) -> Response:
        """The database answers, the audit chain takes rows, the index can be asked."""
        try:
            store.version_numbers(repository.installation.db)
            repository.installation.audit.flush()
            repository.index.through()
        except GalenicError as error:
            return PlainTextResponse(f"not ready: {type(error).__name__}", 503)
        return PlainTextResponse("ready")

    def metrics(_request: Request) -> Response:
        return PlainTextResponse(store.telemetry.metrics(), media_type="text/plain; version=0.0.4")

    return Starlette(routes=[Route("/live", live), Route("/ready", ready), Route("/metrics", metrics)])
