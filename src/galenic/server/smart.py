"""SMART App Launch 2.0 for systems: discovery, and access tokens for clients that sign with a key of their own."""

from urllib.parse import parse_qs

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from galenic.errors import AccessDenied, GalenicError
from galenic.flows import House, serving
from galenic.security import client_of
from galenic.server.door import body_of
from galenic.server.scopes import granted

BEARER_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
SECONDS = 300


class Smart:
    """Discovery and the token endpoint. base: the server's address."""

    def __init__(self, house: House, base: str) -> None:
        self.house, self.base = house, base

    def routes(self) -> list[Route]:
        """Every address."""
        return [
            Route("/fhir/.well-known/smart-configuration", self.configuration, methods=["GET"]),
            Route("/auth/token", self.token, methods=["POST"]),
        ]

    async def configuration(self, _request: Request) -> Response:
        """What SMART clients look for first (5.2)."""
        found = {
            "token_endpoint": f"{self.base}/auth/token",
            "token_endpoint_auth_methods_supported": ["private_key_jwt"],
            "token_endpoint_auth_signing_alg_values_supported": ["RS384", "ES384"],
            "grant_types_supported": ["client_credentials"],
            "scopes_supported": ["system/*.rs", "system/*.cruds"],
            "capabilities": ["client-confidential-asymmetric", "permission-v2", "permission-v1"],
        }
        return Response(orjson.dumps(found), media_type="application/json")

    async def token(self, request: Request) -> Response:
        """An access token for a signed assertion (RFC 6749, 4.4; RFC 7523)."""
        if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            return _error("invalid_request", "expected application/x-www-form-urlencoded.")
        try:
            given = parse_qs((await body_of(request, 20_000)).decode(), strict_parsing=True, max_num_fields=10)
        except (ValueError, GalenicError):
            return _error("invalid_request", "the form can not be read.")
        if any(len(v) > 1 for v in given.values()):
            return _error("invalid_request", "a parameter stands twice.")
        one = {k: v[0] for k, v in given.items()}
        if one.get("grant_type") != "client_credentials":
            return _error("unsupported_grant_type", "expected client_credentials.")
        if one.get("client_assertion_type") != BEARER_TYPE:
            return _error("invalid_client", "expected a client assertion of type jwt-bearer.", 401)
        return await run_in_threadpool(self._issue, one)

    def _issue(self, given: dict[str, str]) -> Response:
        try:
            client = client_of(self.house.gate, given.get("client_assertion", ""), f"{self.base}/auth/token")
        except AccessDenied as error:
            return _error("invalid_client", str(error), 401)
        scope = granted(given.get("scope", ""), str(client.get("scope", "")))
        if not scope:
            return _error("invalid_scope", "none of these scopes is the client's.")
        secret = serving.issue_token(self.house, client.who, seconds=SECONDS, scope=scope, how="private_key_jwt")
        found = {"access_token": secret, "token_type": "bearer", "expires_in": SECONDS, "scope": scope}
        return Response(orjson.dumps(found), media_type="application/json")


def _error(code: str, text: str, status: int = 400) -> Response:
    return Response(orjson.dumps({"error": code, "error_description": text}), status, media_type="application/json")
