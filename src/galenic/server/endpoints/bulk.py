"""Bulk Data Access 2.0 over HTTP: kick-off, status, manifest, files, deletion."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from galenic.custody.fhir import FhirRepository, RequestContext, operation_outcome, outcome_issue
from galenic.errors import DescriptionError, RecordError
from galenic.jobs import bulk_export
from galenic.server.authentication import bearer, body_of, request_context
from galenic.server.scopes import require_scope

NDJSON = "application/fhir+ndjson"
FORMATS = (NDJSON, "application/ndjson", "ndjson")
KNOWN = ("_outputFormat", "_since", "_type", "patient")
POLLS, WINDOW = 10, 10.0  # polls of one export in so many seconds; more are too many
SHA256 = "https://galenic.dev/fhir/bulk/sha256"
RELEASE = "https://galenic.dev/fhir/bulk/release"
JSON = "application/fhir+json; fhirVersion=4.0"


class RateLimitError(DescriptionError):
    """It was asked again too soon."""


class BulkEndpoint:
    """The addresses of bulk export. base: of the FHIR door; run: does work in a thread."""

    def __init__(self, repository: FhirRepository, base: str, run: Callable[..., Any]) -> None:
        self.repository, self.base, self.run = repository, base, run
        self.polls: OrderedDict[str, list[float]] = OrderedDict()

    def routes(self) -> list[Route]:
        """Every address."""
        return [
            Route("/fhir/$export", self.begin, methods=["GET", "POST"]),
            Route("/fhir/Patient/$export", self.begin, methods=["GET", "POST"]),
            Route("/fhir/Group/{own:str}/$export", self.begin, methods=["GET", "POST"]),
            Route("/fhir/bulk/{job:str}", self.status, methods=["GET", "DELETE"]),
            Route("/fhir/bulk/{job:str}/{number:int}", self.file, methods=["GET"]),
        ]

    def _asking(self, request: Request) -> RequestContext:
        return request_context(request, bearer(self.repository.installation, request), self.base)

    async def begin(self, request: Request) -> Response:
        """Kick-off: 202 with where its status is."""
        group = str(request.path_params.get("own", ""))
        level = "Group" if group else "Patient" if request.url.path.startswith("/fhir/Patient/") else "system"
        given = await _given(request)
        if "respond-async" not in request.headers.get("prefer", ""):
            raise RecordError("$export is answered later alone. Send the header Prefer: respond-async.")
        strange = sorted(n for n in given if n not in KNOWN)
        if strange and "handling=lenient" not in request.headers.get("prefer", ""):
            names = ", ".join(n for n in strange if n.isascii() and n.isprintable())[:200]
            raise RecordError(f"$export knows {', '.join(KNOWN)}, not: {names}. Or pass over it with Prefer: handling=lenient.")
        if given.get("_outputFormat", [NDJSON])[0] not in FORMATS:
            raise RecordError(f"_outputFormat is {NDJSON}, and no other.")
        kinds = tuple(k for v in given.get("_type", []) for k in v.split(",") if k)
        people = tuple(p.removeprefix("Patient/") for p in given.get("patient", []))
        address = f"{self.base}{request.url.path.removeprefix('/fhir')}" + (
            f"?{request.url.query}" if request.url.query else ""
        )

        def work() -> str:
            asked = self._asking(request)
            return bulk_export.request_export(
                self.repository, asked, address, level=level, group=group, kinds=kinds, since=given.get("_since", [""])[0], patients=people
            )  # fmt: skip

        job = await self.run(work)
        body = operation_outcome(
            outcome_issue("information", "informational", "the export begins; ask for its status at Content-Location.")
        )
        return Response(body, 202, {"Content-Location": f"{self.base}/bulk/{job}"}, JSON)

    async def status(self, request: Request) -> Response:
        """How it stands; or, by DELETE, its end."""
        job = str(request.path_params["job"])
        if request.method == "DELETE":
            await self.run(lambda: self._drop(request, job))
            return Response(
                operation_outcome(
                    outcome_issue("information", "informational", "it is stopped, and what was made is deleted.")
                ),
                202,
                media_type=JSON,
            )
        export: bulk_export.ExportStatus = await self.run(
            lambda: bulk_export.export_status(self.repository, self._asking(request), job)
        )
        if export.state == "running":
            self._not_too_often(job)
            progress = f"{100 * export.share:.0f}%: {export.what or 'waiting'}"[:100]
            return Response(b"", 202, {"X-Progress": progress.encode("ascii", "replace").decode(), "Retry-After": "2"})
        if export.state == "failed":
            return Response(
                operation_outcome(outcome_issue("error", "processing", export.what or "the export failed. Ask again.")),
                500,
                media_type=JSON,
            )
        until = datetime.fromisoformat(export.at) + timedelta(days=1)
        return Response(self._manifest(export), 200, {"Expires": format_datetime(until, usegmt=True)}, "application/json")

    def _drop(self, request: Request, job: str) -> None:
        asked = self._asking(request)
        bulk_export.export_status(self.repository, asked, job)
        bulk_export.drop_export(self.repository, asked, job)

    def _not_too_often(self, job: str) -> None:
        now = time.monotonic()
        seen = [t for t in self.polls.pop(job, []) if now - t < WINDOW]
        self.polls[job] = [*seen, now]
        if len(self.polls) > 1_000:
            self.polls.popitem(last=False)
        if len(seen) >= POLLS:
            raise RateLimitError("the status was asked too often. Wait as long as Retry-After says.")

    def _manifest(self, export: bulk_export.ExportStatus) -> bytes:
        output = [
            {"type": f.kind, "url": f"{self.base}/bulk/{export.job}/{n}", "count": f.count, "extension": {SHA256: f.sha256}}
            for n, f in enumerate(export.files)
        ]
        whole: dict[str, Any] = {
            "transactionTime": export.at, "request": export.request, "requiresAccessToken": True, "output": output, "deleted": [],
            "error": [],
        }  # fmt: skip
        if export.run:
            whole["extension"] = {RELEASE: export.run}
        return orjson.dumps(whole)

    async def file(self, request: Request) -> Response:
        """One file, as it is unsealed."""
        job, number = str(request.path_params["job"]), int(request.path_params["number"])

        def work() -> Any:
            caller = bearer(self.repository.installation, request)
            asked = request_context(request, caller, self.base)
            export = bulk_export.export_status(self.repository, asked, job)
            if 0 <= number < len(export.files):
                require_scope(caller.scopes, export.files[number].kind, "rs")
            return bulk_export.read_file(self.repository, asked, job, number)

        parts = await self.run(work)
        return StreamingResponse(parts, media_type=NDJSON)


async def _given(request: Request) -> dict[str, list[str]]:
    """Parameters of the address, or of a Parameters resource."""
    found: dict[str, list[str]] = {}
    if request.method != "POST":
        for name, value in parse_qsl(request.url.query, keep_blank_values=True):
            found.setdefault(name, []).append(value)
        if "patient" in found:
            raise RecordError("patient is given by POST, so that it stays out of logs of addresses.")
        return found
    try:
        whole = orjson.loads(await body_of(request, 2**20))
        for one in whole["parameter"]:
            value = next(v for k, v in one.items() if k.startswith("value"))
            found.setdefault(str(one["name"]), []).append(
                str(value.get("reference", "")) if isinstance(value, dict) else str(value)
            )
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError, StopIteration):
        raise RecordError('expected a Parameters resource: {"resourceType": "Parameters", "parameter": [...]}.') from None
    return found


async def in_thread(pool: Any, work: Callable[[], Any]) -> Any:
    """Work in a thread of the door's own."""
    return await asyncio.get_running_loop().run_in_executor(pool, work)
