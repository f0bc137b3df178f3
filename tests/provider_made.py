"""A small identity provider that really is one: Authlib's authorization server on Flask, with one person, PKCE and signed ID tokens."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import grants
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core import OpenIDCode, UserInfo
from flask import Flask, jsonify
from joserfc import jwt
from joserfc.jwk import RSAKey
from werkzeug.serving import make_server

SECRET = "the-secret-of-the-client"


class Client:
    """The one client that it knows."""

    client_id = "galenic"

    def __init__(self, back: str) -> None:
        self.back = back

    def get_client_id(self) -> str:
        return self.client_id

    def get_default_redirect_uri(self) -> str:
        return self.back

    def get_allowed_scope(self, scope: str) -> str:
        return scope

    def check_redirect_uri(self, uri: str) -> bool:
        return uri == self.back

    def check_client_secret(self, secret: str) -> bool:
        return secret == SECRET

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == "client_secret_post"

    def check_response_type(self, kind: str) -> bool:
        return kind == "code"

    def check_grant_type(self, kind: str) -> bool:
        return kind == "authorization_code"


class Code:
    """An authorization code. Authlib asks it by these names."""

    def __init__(self, code: str, asked: Any, who: "Human") -> None:
        self.code, self.user, self.auth_time = code, who, int(time.time())
        self.redirect_uri, self.scope = asked.payload.redirect_uri, asked.payload.scope
        self.code_challenge, self.code_challenge_method = asked.payload.data.get("code_challenge"), "S256"
        self.nonce = asked.payload.data.get("nonce")

    def is_expired(self) -> bool:
        return False

    def get_redirect_uri(self) -> str:
        return str(self.redirect_uri)

    def get_scope(self) -> str:
        return str(self.scope)

    def get_nonce(self) -> str:
        return str(self.nonce)

    def get_auth_time(self) -> int:
        return self.auth_time

    def get_acr(self) -> None:
        return None

    def get_amr(self) -> list[str]:
        return self.user.amr


class Human:
    def __init__(self) -> None:
        self.subject, self.amr = "248289761001", ["pwd"]

    def get_user_id(self) -> str:
        return self.subject


def _grant(provider: "Provider") -> type:
    class Grant(grants.AuthorizationCodeGrant):  # type: ignore[misc]
        TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_post",)

        def save_authorization_code(self, code: str, asked: Any) -> None:
            provider.codes[code] = Code(code, asked, provider.human)

        def query_authorization_code(self, code: str, _client: Any) -> Code | None:
            return provider.codes.get(code)

        def delete_authorization_code(self, code: Code) -> None:
            provider.codes.pop(code.code)

        def authenticate_user(self, code: Code) -> Human:
            return code.user

    return Grant


def _open(provider: "Provider") -> type:
    class Open(OpenIDCode):  # type: ignore[misc]
        def exists_nonce(self, _nonce: str, _request: Any) -> bool:
            return False

        def resolve_client_private_key(self, _client: Any) -> Any:
            return provider.key

        def get_client_claims(self, _client: Any) -> dict[str, Any]:
            return {"iss": provider.issuer}

        def get_client_algorithm(self, _client: Any) -> str:
            return "RS256"

        def generate_user_info(self, user: Human, _scope: str) -> UserInfo:
            return UserInfo(sub=user.subject)

        def encode_id_token(self, token: Any, asked: Any) -> str:
            honest = str(super().encode_id_token(token, asked))
            claims = dict(jwt.decode(honest, provider.key, algorithms=["RS256"]).claims)
            return str(provider.said(claims)) if provider.said else honest

    return Open


class Provider:
    """The provider. human: who is in front of it; said: makes what is sent in place of the ID token of these claims; metadata:
    in place of what it says of itself."""

    def __init__(self, issuer: str, back: str) -> None:
        self.issuer, self.human = issuer, Human()
        self.key = RSAKey.generate_key(2048, parameters={"kid": "one", "use": "sig"})
        self.other = RSAKey.generate_key(2048, parameters={"kid": "one", "use": "sig"})
        self.said: Any = None
        self.metadata: dict[str, str] = {}
        self.codes: dict[str, Code] = {}
        self.app = Flask("provider")
        client = Client(back)
        server = AuthorizationServer(
            self.app,
            query_client=lambda own: client if own == client.client_id else None,
            save_token=lambda _token, _request: None,
        )
        self._grants(server)
        self._server(server)

    def _grants(self, server: AuthorizationServer) -> None:
        server.register_grant(_grant(self), [_open(self)(require_nonce=True), CodeChallenge(required=True)])

    def _server(self, server: AuthorizationServer) -> None:
        @self.app.get("/.well-known/openid-configuration")
        def discovery() -> Any:
            base = self.issuer
            found = {
                "authorization_endpoint": f"{base}/authorize",
                "token_endpoint": f"{base}/token",
                "jwks_uri": f"{base}/keys",
            }
            return jsonify({"issuer": base, **found, **self.metadata})

        @self.app.get("/keys")
        def keys() -> Any:
            return jsonify({"keys": [self.key.as_dict(private=False)]})

        @self.app.get("/authorize")
        def authorize() -> Any:
            grant = server.get_consent_grant(end_user=self.human)
            return server.create_authorization_response(grant=grant, grant_user=self.human)

        @self.app.post("/token")
        def token() -> Any:
            return server.create_token_response()

    def signed(self, claims: dict[str, Any], *, header: dict[str, Any] | None = None, key: Any = None) -> str:
        """A token with these claims, by the key that it publishes unless another is given."""
        return str(jwt.encode({"alg": "RS256", "kid": "one", **(header or {})}, claims, key or self.key))


@contextmanager
def a_provider(port: int, back: str) -> Iterator[Provider]:
    """A provider at a port of this machine, for one client."""
    provider = Provider(f"http://127.0.0.1:{port}", back)
    server = make_server("127.0.0.1", port, provider.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join(5)
