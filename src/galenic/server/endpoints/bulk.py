"""Bulk Data Access 2.0 over HTTP: kick-off, status, manifest, files, deletion."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from galenic.custody.fhir import RequestContext, operation_outcome, outcome_issue
from galenic.errors import RecordError, StateError
from galenic.jobs import ExportRequest, ExportStatus, drop_export, export_status, read_file, request_export
from galenic.server.authentication import authenticate, body_of
from galenic.server.capability import JSON, CapabilityPart
from galenic.server.endpoints.endpoint import ServedRepository

NDJSON = "application/fhir+ndjson"
FORMATS = (NDJSON, "application/ndjson", "ndjson")
KNOWN = ("_outputFormat", "_since", "_type", "patient")
POLLS, WINDOW = 10, 10.0  # status requests allowed for one export, within a number of seconds
MOST_POLLED = 1_000  # number of exports with counted status requests
SHA256 = "https://galenic.dev/fhir/bulk/sha256"
RELEASE = "https://galenic.dev/fhir/bulk/release"
T = TypeVar("T")
OPERATIONS = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition"


class RateLimitError(StateError):
    """The status was requested again too soon."""


class BulkEndpoint:
    """Endpoint of bulk export."""

    def __init__(self, served: ServedRepository) -> None:
        self.repository, self.threads, self.base = served.repository, served.threads, f"{served.url}/fhir"
        self.polls: OrderedDict[str, list[float]] = OrderedDict()

    def routes(self) -> list[Route]:
        """Routes of bulk export."""
        return [
            Route("/fhir/$export", self.begin, methods=["GET", "POST"]),
            Route("/fhir/Patient/$export", self.begin, methods=["GET", "POST"]),
            Route("/fhir/Group/{group:str}/$export", self.begin, methods=["GET", "POST"]),
            Route("/fhir/bulk/{job:str}", self.status, methods=["GET", "DELETE"]),
            Route("/fhir/bulk/{job:str}/{number:int}", self.file, methods=["GET"]),
        ]

    @staticmethod
    def capability() -> CapabilityPart:
        """The export operations."""
        names = ("export", "patient-export", "group-export")
        return CapabilityPart(
            operations=tuple((name, f"{OPERATIONS}/{name}") for name in names),
            instantiates=("http://hl7.org/fhir/uv/bulkdata/CapabilityStatement/bulk-data",),
        )

    async def _run(self, work: Callable[..., T], *arguments: Any) -> T:
        """Runs blocking work in one of the threads."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, work, *arguments)

    def _context(self, request: Request) -> RequestContext:
        return authenticate(self.repository.installation, request, self.base)

    async def begin(self, request: Request) -> Response:
        """Kick-off: 202 with the URL of the status."""
        export = await self._export_request(request)
        job = await self._run(lambda: request_export(self.repository, self._context(request), export))
        text = "the export was started. Request its status at the URL in Content-Location."
        body = operation_outcome(outcome_issue("information", "informational", text))
        return Response(body, 202, {"Content-Location": f"{self.base}/bulk/{job}"}, JSON)

    async def _export_request(self, request: Request) -> ExportRequest:
        given, prefer = await _parameters(request), request.headers.get("prefer", "")
        if "respond-async" not in prefer:
            raise RecordError("$export is asynchronous only. Send the header Prefer: respond-async.")
        unknown = sorted(n for n in given if n not in KNOWN)
        if unknown and "handling=lenient" not in prefer:
            names = ", ".join(n for n in unknown if n.isascii() and n.isprintable())[:200]
            raise RecordError(
                f"$export supports the parameters {', '.join(KNOWN)}, not: {names}. To ignore unknown parameters, "
                "send Prefer: handling=lenient."
            )
        if given.get("_outputFormat", [NDJSON])[0] not in FORMATS:
            raise RecordError(f"_outputFormat must be {NDJSON}.")
        group, path, query = str(request.path_params.get("group", "")), request.url.path, request.url.query
        return ExportRequest(
            url=f"{self.base}{path.removeprefix('/fhir')}" + (f"?{query}" if query else ""),
            level="Group" if group else "Patient" if path.startswith("/fhir/Patient/") else "system",
            group=group,
            resource_types=tuple(t for v in given.get("_type", []) for t in v.split(",") if t),
            since=given.get("_since", [""])[0],
            patients=tuple(p.removeprefix("Patient/") for p in given.get("patient", [])),
        )

    async def status(self, request: Request) -> Response:
        """Status of the export; with DELETE, cancels or deletes it."""
        job = str(request.path_params["job"])
        if request.method == "DELETE":
            await self._run(self._drop, request, job)
            text = "the export was canceled, and its files were deleted."
            body = operation_outcome(outcome_issue("information", "informational", text))
            return Response(body, 202, media_type=JSON)
        export = await self._run(lambda: export_status(self.repository, self._context(request), job))
        if export.state == "running":
            self._limit_polls(job)
            progress = f"{100 * export.share:.0f}%: {export.what or 'waiting'}"[:100]
            return Response(b"", 202, {"X-Progress": progress.encode("ascii", "replace").decode(), "Retry-After": "2"})
        if export.state == "failed":
            text = export.what or "the export failed. Start it again."
            return Response(operation_outcome(outcome_issue("error", "processing", text)), 500, media_type=JSON)
        until = datetime.fromisoformat(export.at) + timedelta(days=1)
        return Response(self._manifest(export), 200, {"Expires": format_datetime(until, usegmt=True)}, "application/json")

    def _drop(self, request: Request, job: str) -> None:
        context = self._context(request)
        export_status(self.repository, context, job)
        drop_export(self.repository, context, job)

    def _limit_polls(self, job: str) -> None:
        now = time.monotonic()
        recent = [t for t in self.polls.pop(job, []) if now - t < WINDOW]
        self.polls[job] = [*recent, now]
        if len(self.polls) > MOST_POLLED:
            self.polls.popitem(last=False)
        if len(recent) >= POLLS:
            raise RateLimitError("the status was requested too often. Wait for the number of seconds in Retry-After.")

    def _manifest(self, export: ExportStatus) -> bytes:
        output: list[dict[str, Any]] = []
        deleted: list[dict[str, Any]] = []
        for n, f in enumerate(export.files):
            item = {
                "type": f.kind,
                "url": f"{self.base}/bulk/{export.job}/{n}",
                "count": f.count,
                "extension": {SHA256: f.sha256},
            }
            (deleted if f.is_of_deletions else output).append(item)
        manifest: dict[str, Any] = {
            "transactionTime": export.at, "request": export.request, "requiresAccessToken": True, "output": output,
            "deleted": deleted, "error": [],
        }  # fmt: skip
        if export.run:
            manifest["extension"] = {RELEASE: export.run}
        return orjson.dumps(manifest)

    async def file(self, request: Request) -> Response:
        """One file, decrypted while it is sent."""
        job, number = str(request.path_params["job"]), int(request.path_params["number"])

        def work() -> Iterator[bytes]:
            context = self._context(request)
            export = export_status(self.repository, context, job)
            if 0 <= number < len(export.files):
                file = export.files[number]
                for resource_type in export.about["kinds"] if file.is_of_deletions else (file.kind,):
                    context.require(resource_type, "rs")
            return read_file(self.repository, context, job, number)

        return StreamingResponse(await self._run(work), media_type=NDJSON)


async def _parameters(request: Request) -> dict[str, list[str]]:
    """Parameters from the URL, or from a Parameters resource."""
    found: dict[str, list[str]] = {}
    if request.method != "POST":
        for name, value in parse_qsl(request.url.query, keep_blank_values=True):
            found.setdefault(name, []).append(value)
        if "patient" in found:
            raise RecordError("send the parameter patient in a POST request, so that it does not appear in logs of URLs.")
        return found
    try:
        whole = orjson.loads(await body_of(request, 2**20))
        for one in whole["parameter"]:
            value = next(v for k, v in one.items() if k.startswith("value"))
            text = value.get("reference", "") if isinstance(value, dict) else value
            found.setdefault(str(one["name"]), []).append(str(text))
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError, StopIteration):
        raise RecordError(
            'the body is not a Parameters resource. Expected {"resourceType": "Parameters", "parameter": [...]}.'
        ) from None
    return found
