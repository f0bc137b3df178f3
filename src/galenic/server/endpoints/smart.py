"""SMART App Launch 2.0: discovery, and access tokens for backend services with a key of their own and for applications that a person
has authorized."""

from urllib.parse import parse_qs

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from galenic.errors import AccessDeniedError, GalenicError
from galenic.security import App, Fact, client_of
from galenic.server.authentication import address_of, body_of
from galenic.server.capability import CapabilityPart
from galenic.server.endpoints.endpoint import ServedRepository
from galenic.server.request_bodies import ServerBusyError, SlowBodyError
from galenic.server.scopes import granted_scopes

BEARER_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
SECONDS = 300


class SmartEndpoint:
    """Discovery and the token endpoint."""

    def __init__(self, served: ServedRepository) -> None:
        self.installation, self.base = served.repository.installation, served.url

    def routes(self) -> list[Route]:
        """Every address."""
        return [
            Route("/fhir/.well-known/smart-configuration", self.configuration, methods=["GET"]),
            Route("/auth/token", self.token, methods=["POST"]),
        ]

    @staticmethod
    def capability() -> CapabilityPart:
        """Authorization methods for clients of the FHIR endpoint."""
        system = "http://terminology.hl7.org/CodeSystem/restful-security-service"
        return CapabilityPart(
            security={
                "cors": False,
                "service": [{"coding": [{"system": system, "code": "SMART-on-FHIR"}]}],
                "description": "Each access to a record is decided for one patient and recorded in the audit log.",
            }
        )

    async def configuration(self, _request: Request) -> Response:
        """The configuration document (section 5.2)."""
        found = {
            "token_endpoint": f"{self.base}/auth/token",
            "authorization_endpoint": f"{self.base}/authorize",
            "token_endpoint_auth_methods_supported": ["private_key_jwt", "none"],
            "token_endpoint_auth_signing_alg_values_supported": ["RS384", "ES384"],
            "grant_types_supported": ["client_credentials", "authorization_code", "refresh_token"],
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
            "issuer": self.base,
            "scopes_supported": [
                "system/*.rs",
                "system/*.cruds",
                "user/*.rs",
                "user/*.cruds",
                "offline_access",
                "online_access",
            ],
            "capabilities": [
                "launch-standalone",
                "client-public",
                "client-confidential-asymmetric",
                "permission-user",
                "permission-offline",
                "permission-online",
                "permission-v2",
                "permission-v1",
            ],
        }
        return Response(orjson.dumps(found), media_type="application/json")

    async def token(self, request: Request) -> Response:
        """The token endpoint (RFC 6749, 3.2)."""
        if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            return _error("invalid_request", "expected the Content-Type application/x-www-form-urlencoded.")
        try:
            form = parse_qs((await body_of(request, 20_000)).decode(), strict_parsing=True, max_num_fields=10)
        except (ServerBusyError, SlowBodyError):
            raise
        except (ValueError, GalenicError):
            return _error("invalid_request", "the form data cannot be parsed.")
        if any(len(v) > 1 for v in form.values()):
            return _error("invalid_request", "a parameter is given twice. Give each once.")
        given = {k: v[0] for k, v in form.items()}
        if given.get("grant_type") in ("authorization_code", "refresh_token"):
            return await run_in_threadpool(self._app_token, given, address_of(request))
        if given.get("grant_type") != "client_credentials":
            return _error("unsupported_grant_type", "expected client_credentials, authorization_code or refresh_token.")
        if given.get("client_assertion_type") != BEARER_TYPE:
            return _error("invalid_client", "expected a client assertion of type jwt-bearer.", 401)
        return await run_in_threadpool(self._service_token, given, address_of(request))

    def _app_token(self, given: dict[str, str], address: str) -> Response:
        """Tokens for an authorization code, or for a refresh token (RFC 6749, 4.1.3 and 6)."""
        apps = self.installation.apps
        try:
            app = self._app(given, address)
        except AccessDeniedError as error:
            return _error("invalid_client", str(error), 401)
        try:
            if given["grant_type"] == "refresh_token":
                tokens = apps.refresh(app, given.get("refresh_token", ""))
            else:
                tokens = apps.redeem(app, given.get("code", ""), given.get("redirect_uri", ""), given.get("code_verifier", ""))
        except AccessDeniedError as error:
            return _error("invalid_grant", str(error))
        found = {"access_token": tokens.access, "token_type": "bearer", "expires_in": tokens.seconds, "scope": tokens.scope}
        if tokens.refresh:
            found["refresh_token"] = tokens.refresh
        return Response(orjson.dumps(found), media_type="application/json")

    def _app(self, given: dict[str, str], address: str) -> App:
        """The application: authenticated by its key; a public one is named only, which PKCE makes sufficient."""
        if given.get("client_assertion_type") == BEARER_TYPE:
            client = self._client(given, address, "app")
            return self.installation.apps.get(client.key)
        app = self.installation.apps.get(given.get("client_id", ""))
        if not app.public:
            raise AccessDeniedError("this application must authenticate with its key.")
        return app

    def _client(self, given: dict[str, str], address: str, kind: str) -> Fact:
        assertion, audience = given.get("client_assertion", ""), f"{self.base}/auth/token"
        return client_of(self.installation.gate, assertion, audience, kind, address=address)

    def _service_token(self, given: dict[str, str], address: str) -> Response:
        """A token for a signed assertion (RFC 6749, 4.4; RFC 7523)."""
        try:
            client = self._client(given, address, "grant")
        except AccessDeniedError as error:
            return _error("invalid_client", str(error), 401)
        scope = granted_scopes(given.get("scope", ""), str(client.get("scope", "")))
        if not scope:
            return _error("invalid_scope", "the client is not registered for any of these scopes.")
        try:
            systems = self.installation.systems
            secret = systems.issue_token(client.who, by=client.who, how="private_key_jwt", seconds=SECONDS, scope=scope)
        except GalenicError as error:
            return _error("invalid_client", str(error), 401)
        found = {"access_token": secret, "token_type": "bearer", "expires_in": SECONDS, "scope": scope}
        return Response(orjson.dumps(found), media_type="application/json")


def _error(code: str, text: str, status: int = 400) -> Response:
    return Response(orjson.dumps({"error": code, "error_description": text}), status, media_type="application/json")
