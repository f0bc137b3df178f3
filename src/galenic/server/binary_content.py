"""Content of Binary resources in its own format (R4, Binary, 2.31.6): the bytes instead of FHIR JSON."""

import base64
import re
from collections.abc import Mapping
from dataclasses import replace

import orjson
from starlette.requests import Request

from galenic.custody.fhir import FhirResponse

MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+\-]{1,127}/[A-Za-z0-9!#$&^_.+\-]{1,127}(?:\s*;[\x20-\x7e]{1,200})?\Z")
FHIR_TYPES = ("application/fhir+json", "application/json", "text/json", "*/*", "application/*")
SECURITY_CONTEXT = "x-security-context"
# uploaded content must never be displayed by a browser as a page of this server
SHELTER = {"Content-Disposition": "attachment", "Content-Security-Policy": "default-src 'none'; sandbox"}


def wants_content(request: Request) -> bool:
    """True if a read of a Binary asks for its content: its Accept header names formats, and FHIR JSON is none of them."""
    if request.query_params.get("_format"):
        return False
    wanted = [part.partition(";")[0].strip().lower() for part in request.headers.get("accept", "").split(",")]
    named = [w for w in wanted if w]
    return bool(named) and not any(w in FHIR_TYPES or w.startswith("application/fhir+") for w in named)


def content_of(answer: FhirResponse) -> tuple[FhirResponse, str]:
    """(response with the content of a Binary and its headers, media type of the content)."""
    binary = orjson.loads(answer.body)
    media_type = str(binary.get("contentType", ""))
    headers: dict[str, str] = {**answer.headers, **SHELTER}
    context = binary.get("securityContext", {}).get("reference", "")
    if context and context.isascii() and context.isprintable():
        headers["X-Security-Context"] = context
    body = base64.b64decode(str(binary.get("data", "")))
    known = media_type if MEDIA_TYPE.match(media_type) else "application/octet-stream"
    return replace(answer, body=body, headers=headers), known


def binary_of(content: bytes, headers: Mapping[str, str], resource_id: str = "") -> bytes:
    """Binary resource from uploaded raw bytes."""
    binary = {"resourceType": "Binary", "contentType": headers.get("content-type", "").strip()}
    context = headers.get(SECURITY_CONTEXT)
    return orjson.dumps(
        {
            **binary,
            **({"id": resource_id} if resource_id else {}),
            **({"securityContext": {"reference": context}} if context else {}),
            **({"data": base64.b64encode(content).decode()} if content else {}),
        }
    )
