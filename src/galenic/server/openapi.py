"""OpenAPI 3.1 description of the endpoints. The search parameters of each type are in the CapabilityStatement."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import orjson

from galenic.server.capability import NOT_SERVED
from galenic.version import __version__

FHIR, PATCH, FORM = "application/fhir+json", "application/json-patch+json", "application/x-www-form-urlencoded"
Part = dict[str, Any]
RESOURCE: Part = {"$ref": "#/components/schemas/Resource"}
ID: Part = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "pattern": r"^[A-Za-z0-9\-.]{1,64}$"}}
SECURED: list[Part] = [{"token": []}]


def _query(name: str, schema: Part, about: str) -> Part:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": about}


def _header(name: str, about: str) -> Part:
    return {
        "name": name,
        "in": "header",
        "required": False,
        "schema": {"type": "string", "maxLength": 200},
        "description": about,
    }


SEARCH = [
    _query("_id", {"type": "string"}, "Resource id"),
    _query("_lastUpdated", {"type": "string"}, "Time of the last change, with a prefix, such as ge2026-01-01"),
    _query("_count", {"type": "integer", "minimum": 0, "maximum": 1000}, "Resources per page"),
    _query("_sort", {"type": "string"}, "Search parameters to sort by; a minus sign sorts in descending order"),
    _query("_include", {"type": "string"}, "Also return resources that the matches refer to, such as Observation:subject"),
    _query("_revinclude", {"type": "string"}, "Also return resources that refer to the matches"),
    _query("_has", {"type": "string"}, "Match resources that other resources refer to (reverse chaining)"),
    _query(
        "_summary", {"type": "string", "enum": ["true", "false", "text", "data", "count"]}, "Part of each resource to return"
    ),
    _query("_elements", {"type": "string"}, "Elements of each resource to return, separated by commas"),
    _query("_total", {"type": "string", "enum": ["none", "estimate", "accurate"]}, "Precision of the total count"),
    _query("_cursor", {"type": "string"}, "Position of a page, taken from a next link"),
]
HISTORY = [
    _query("_count", {"type": "integer", "minimum": 0, "maximum": 1000}, "Resources per page"),
    _query("_since", {"type": "string"}, "Only versions written at or after this time"),
    _query("_at", {"type": "string"}, "Only versions that were current at this time or in this period"),
    _query("_cursor", {"type": "string"}, "Position of a page, taken from a next link"),
]
PURPOSE = _header("X-Galenic-Purpose", "Purpose of the request, one of those of the token, such as treatment")
MATCH = _header("If-Match", 'Version that the change is based on, such as W/"3"')
PREFER = _header("Prefer", "Preferences: return=minimal, handling=lenient or respond-async")


MEANING = {
    200: "Done.",
    201: "Created.",
    202: "Accepted; the work goes on in the background.",
    204: "Done, nothing to return.",
    304: "Not changed since the version that the client has.",
    400: "Invalid request.",
    401: "Missing, invalid or expired access token.",
    403: "Not allowed for this client or person.",
    404: "Not found, or hidden from this client.",
    410: "Deleted.",
    412: "A condition or version does not match.",
    422: "The resource is not valid FHIR R4.",
    429: "Too many requests at once; retry later.",
    500: "Failure of the server.",
    503: "Too costly, or busy; retry later.",
}  # HTTP status: plain sentence


def _answers(*statuses: int, kind: Part | None = None) -> Part:
    def answer(status: int) -> Part:
        return {"description": MEANING[status], "content": {FHIR: {"schema": (kind if status < 400 and kind else RESOURCE)}}}

    return {str(status): answer(status) for status in statuses}


def _does(about: str, parameters: list[Part], answers: Part, body: str = "", *, secured: bool = True) -> Part:
    found: Part = {"summary": about, "parameters": parameters, "responses": answers}
    if body:
        schema: Part = RESOURCE if body == FHIR else {"type": "object"}
        if body == PATCH:
            schema = {"type": "array", "items": {"$ref": "#/components/schemas/Change"}}
        found["requestBody"] = {"required": True, "content": {body: {"schema": schema}}}
    if secured:
        found["security"] = SECURED
    return found


WRONG = (400, 401, 403, 404)
LONG = (*WRONG, 429, 503)  # for work that waits for a thread and has a time limit


def _fhir() -> Part:
    from galenic.records.fhir import r4  # noqa: PLC0415

    kinds = sorted(k for k in r4().resources if k not in NOT_SERVED)
    kind: Part = {"name": "type", "in": "path", "required": True, "schema": {"type": "string", "enum": kinds}}
    return _fhir_types(kind) | _fhir_instances(kind)


def _fhir_types(kind: Part) -> Part:
    condition = _header("If-None-Exist", "Search string: create only if no resource matches")
    return {
        "/fhir/metadata": {"get": _does("Return the capability statement", [], _answers(200), secured=False)},
        "/fhir": {"post": _does("Process a batch or a transaction", [PURPOSE, PREFER], _answers(200, *LONG, 422), FHIR)},
        "/fhir/{type}": {
            "get": _does("Search resources of one type", [kind, *SEARCH, PURPOSE, PREFER], _answers(200, *LONG)),
            "post": _does("Create a resource", [kind, PURPOSE, PREFER, condition], _answers(201, 200, *LONG, 412, 422), FHIR),
            "put": _does(
                "Update the resource that matches a search",
                [kind, *SEARCH[:1], PURPOSE, MATCH],
                _answers(200, 201, *LONG, 412, 422),
                FHIR,
            ),
            "delete": _does(
                "Delete the resource that matches a search", [kind, *SEARCH[:1], PURPOSE], _answers(204, *LONG, 412)
            ),
        },
        "/fhir/{type}/_search": {
            "post": _does("Search with parameters in a form", [kind, PURPOSE], _answers(200, *LONG), FORM)
        },
        "/fhir/{type}/$validate": {
            "post": _does("Validate a resource without storing it", [kind], _answers(200, *LONG, 422), FHIR)
        },
    }


def _fhir_instances(kind: Part) -> Part:
    number: Part = {"name": "version", "in": "path", "required": True, "schema": {"type": "string", "pattern": r"^[0-9]{1,9}$"}}
    one = [kind, ID, PURPOSE]
    return {
        "/fhir/{type}/{id}": {
            "get": _does("Read a resource", one, _answers(200, 304, *WRONG, 410)),
            "put": _does(
                "Update a resource, or create it under this id",
                [*one, MATCH, PREFER],
                _answers(200, 201, *WRONG, 412, 422),
                FHIR,
            ),
            "patch": _does("Change a resource by JSON Patch", [*one, MATCH], _answers(200, *WRONG, 412, 422), PATCH),
            "delete": _does("Delete a resource", [*one, MATCH], _answers(204, *WRONG, 412)),
        },
        "/fhir/{type}/{id}/_history": {"get": _does("List the versions of a resource", [*one, *HISTORY], _answers(200, *LONG))},
        "/fhir/{type}/{id}/_history/{version}": {
            "get": _does("Read one version of a resource", [*one, number], _answers(200, *WRONG, 410))
        },
        "/fhir/Patient/{id}/$everything": {
            "get": _does("Return the whole record of a patient", [ID, PURPOSE], _answers(200, *LONG))
        },
    }


def _bulk() -> Part:
    kinds = _query("_type", {"type": "string"}, "Resource types, separated by commas")
    asked = [kinds, _query("_since", {"type": "string"}, "Only resources changed at or after this time"), PREFER, PURPOSE]
    job: Part = {"name": "job", "in": "path", "required": True, "schema": {"type": "string", "maxLength": 64}}
    number: Part = {"name": "number", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 0}}
    begin = {"get": _does("Start a bulk export", asked, _answers(202, *WRONG, 429))}
    manifest = {"description": "Manifest: the list of files.", "content": {"application/json": {"schema": {"type": "object"}}}}
    return {
        "/fhir/$export": begin,
        "/fhir/Patient/$export": begin,
        "/fhir/Group/{id}/$export": {"get": _does("Start a bulk export", [ID, *asked], _answers(202, *WRONG, 429))},
        "/fhir/bulk/{job}": {
            "get": _does(
                "Return the status of a bulk export, or its manifest",
                [job],
                {**_answers(202, *WRONG, 429, 500), "200": manifest},
            ),
            "delete": _does("Cancel a bulk export and delete its files", [job], _answers(202, *WRONG)),
        },
        "/fhir/bulk/{job}/{number}": {"get": _does("Download a file of a bulk export", [job, number], _answers(200, *WRONG))},
    }


def _smart() -> Part:
    token: Part = {
        "summary": "Issue an access token", "parameters": [],
        "responses": {"200": {"description": "Access token."}, "400": {"description": "Refused."}, "401": {"description": "Unknown client."}},
        "requestBody": {"required": True, "content": {FORM: {"schema": {"type": "object", "required": ["grant_type"], "properties": {
            "grant_type": {"type": "string", "enum": ["client_credentials", "authorization_code", "refresh_token"]},
            **{n: {"type": "string"} for n in ("client_assertion_type", "client_assertion", "scope", "code", "redirect_uri",
                                               "code_verifier", "client_id", "refresh_token")}}}}}},
    }  # fmt: skip
    return {
        "/auth/token": {"post": token},
        "/fhir/.well-known/smart-configuration": {
            "get": _does("Return the SMART configuration", [], _answers(200), secured=False)
        },
    }


PATHS: dict[str, Callable[[], Part]] = {"fhir": _fhir, "bulk": _bulk, "smart": _smart}  # by name in ENDPOINTS


@lru_cache(8)
def openapi(base: str) -> bytes:
    """OpenAPI document of the server at a base URL."""
    change: Part = {
        "type": "object", "required": ["op", "path"],
        "properties": {"op": {"enum": ["add", "remove", "replace", "move", "copy", "test"]}, "path": {"type": "string"},
                       "from": {"type": "string"}, "value": {}},
    }  # fmt: skip
    resource: Part = {
        "type": "object", "required": ["resourceType"],
        "properties": {"resourceType": {"type": "string"}, "id": ID["schema"], "meta": {"type": "object"}},
    }  # fmt: skip
    whole = {
        "openapi": "3.1.0",
        "info": {
            "title": "Galenic",
            "version": __version__,
            "description": "FHIR R4 over the encrypted record store. Not a medical device.",
        },
        "servers": [{"url": base}],
        "paths": {path: item for describe in PATHS.values() for path, item in describe().items()},
        "components": {
            "schemas": {"Resource": resource, "Change": change},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }
    return orjson.dumps(whole)
