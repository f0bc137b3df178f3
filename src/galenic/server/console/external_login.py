"""Sign-in by the site's identity provider, and applications that somebody lets read as them."""

import time
from collections import OrderedDict
from typing import Annotated
from urllib.parse import parse_qsl, urlencode, urlsplit

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from galenic.errors import AccessDeniedError
from galenic.security import App, IdTokenClaims
from galenic.server import identity_provider
from galenic.server.console.session import Console, SignedIn, local_path, redirect_to
from galenic.server.console.sign_in import HALF, SignIn, Word
from galenic.server.scopes import describe_scopes, granted_scopes

BEGUN, MINUTE, MOST_PLACES = 30, 60.0, 10_000  # sign-ins with a provider that one address may begin in a minute
KEPT = "galenic-provider"  # the cookie of a sign-in that was begun
Long = Annotated[str, Form(max_length=2_000)]


class ExternalLogin:
    """Pages that lead to other systems, and back."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.installation = console.installation
        self.people = console.installation.people
        self.begun: OrderedDict[str, list[float]] = OrderedDict()

    def routes(self) -> APIRouter:
        """Every address."""
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/sign-in/with/{name}", self.begin, methods=["GET"], response_model=None)
        router.add_api_route("/sign-in/with/{name}/back", self.back, methods=["GET"], response_model=None)
        router.add_api_route("/invitation/{secret}/with/{name}", self.accept, methods=["GET"], response_model=None)
        router.add_api_route("/account/link", self.link, methods=["POST"], response_model=None)
        router.add_api_route("/authorize", self.ask, methods=["GET"], response_model=None)
        router.add_api_route("/authorize", self.allow, methods=["POST"], response_model=None)
        return router

    # the site's identity provider

    def _out(self, request: Request, name: str, purpose: str, place: str) -> Response:
        self._not_too_often(SignIn.place_of(request))
        back = self._back(name)
        there, kept = identity_provider.begin(
            self.installation, self.console.repository.session, name, back, purpose, local_path(place)
        )
        answer = RedirectResponse(there, 303)
        answer.set_cookie(
            KEPT, kept, max_age=600, httponly=True, secure=self.console.secure, samesite="lax", path="/sign-in/with"
        )
        return answer

    def _not_too_often(self, place: str) -> None:
        """Who is not signed in makes the server call the provider: so often a minute from one address, and no more."""
        now = time.monotonic()
        recent = [t for t in self.begun.pop(place, []) if now - t < MINUTE]
        self.begun[place] = [*recent, now]
        if len(self.begun) > MOST_PLACES:
            self.begun.popitem(last=False)
        if len(recent) >= BEGUN:
            raise AccessDeniedError("too many sign-ins were begun from here. Wait a minute.")

    def _back(self, name: str) -> str:
        return f"{self.console.base}/sign-in/with/{name}/back"

    def begin(self, request: Request, name: str, next: str = "/") -> Response:
        """On to the provider."""
        return self._out(request, name, "sign-in", next)

    def accept(self, request: Request, secret: str, name: str) -> Response:
        """The invited person signs in there, and has no password here."""
        return self._out(request, name, f"invitation/{secret}", "/")

    def link(self, request: Request, csrf: Word, name: Word) -> Response:
        """Links one's own account to the provider's."""
        signed = self.console.posted(request, csrf)
        self.console.confirmed(signed, "/account")
        return self._out(request, name, f"link/{signed.person.name}", "/account")

    def back(self, request: Request, name: str) -> Response:
        """Back from the provider."""
        given = dict(parse_qsl(request.url.query))
        kept = request.cookies.get(KEPT, "")
        known = identity_provider.finish(
            self.installation, self.console.repository.session, name, self._back(name), kept, given
        )
        answer = self._come(request, known)
        return self.console.forget(answer, KEPT, "/sign-in/with")

    def _come(self, request: Request, known: IdTokenClaims) -> Response:
        kind, _, about = known.purpose.partition("/")
        if kind == "link":
            signed = self.console.required(request)
            if signed.person.name != about or not signed.stepped:
                raise AccessDeniedError("this was begun by somebody else, or too long ago.")
            self.installation.openid.link(about, known)
            return redirect_to("/account", f"Linked to {known.provider.shown}.")
        if kind == "invitation":
            who = self.people.accept_linked(about, lambda name: self.installation.openid.link(name, known)).name
        else:
            who = self.installation.openid.person(known) or ""
        if not who:
            self.installation.audit.append("session.refused", known.provider.name, "denied", why="nobody is linked")
            raise AccessDeniedError(
                f"nobody here is linked to this account of {known.provider.shown}. Sign in another way and link it under Account, or ask "
                "for an invitation."
            )
        agent = request.headers.get("user-agent", "")
        if known.several:
            session = self.people.begin(who, f"{known.provider.shown}, with a second factor there", agent)
            return self.console.remember(self.console.with_session(redirect_to(known.next), session), who)
        answer = redirect_to(f"/sign-in/second?{urlencode({'next': local_path(known.next)})}")
        secret = self.people.begin_half(who)
        answer.set_cookie(HALF, secret, max_age=600, httponly=True, secure=self.console.secure, samesite="lax", path="/sign-in")
        return answer

    # applications

    def _asked(self, given: dict[str, str]) -> App:
        """The application of a request, once it is sure that what is answered goes to it."""
        app = self.installation.apps.get(given.get("client_id", ""))
        if given.get("redirect_uri", "") not in app.redirects:
            raise AccessDeniedError("the application is not known by the address that it wants to be answered at.")
        return app

    def _refused(self, app: App, given: dict[str, str]) -> str:
        """Why a request is not one that somebody could allow; "" where it is."""
        if given.get("response_type") != "code":
            return "unsupported_response_type"
        if given.get("aud", "").rstrip("/") != f"{self.console.base}/fhir":
            return "invalid_request"  # the application must mean this server (SMART App Launch 2.0, 2.0.9)
        if given.get("code_challenge_method") != "S256" or "code_challenge" not in given or not given.get("state"):
            return "invalid_request"
        return "" if self._scope(app, given) else "invalid_scope"

    @staticmethod
    def _scope(app: App, given: dict[str, str]) -> str:
        asked = given.get("scope", "")
        kept = [s for s in ("offline_access", "online_access") if s in asked.split() and s in app.scope.split()]
        resources = granted_scopes(asked, app.scope, "user")
        return " ".join([resources, *kept]) if resources else ""

    def _answer(self, given: dict[str, str], **said: str) -> Response:
        query = urlencode({**said, "state": given.get("state", ""), "iss": self.console.base})  # iss: RFC 9207
        there = given["redirect_uri"]
        return RedirectResponse(f"{there}{'&' if '?' in there else '?'}{query}", 303)

    def ask(self, request: Request) -> Response:
        """What an application asks somebody for."""
        given = dict(parse_qsl(request.url.query))
        app = self._asked(given)
        signed = self.console.required(request)
        refused = self._refused(app, given)
        if refused:
            return self._answer(given, error=refused)
        scope = self._scope(app, given)
        parts = urlsplit(given["redirect_uri"])
        return self.console.page(
            request, "authorize.html", signed=signed, app=app, words=describe_scopes(scope), query=request.url.query, place=parts.hostname,
            form_to=f"{parts.scheme}://{parts.netloc}",
        )  # fmt: skip

    def allow(self, request: Request, csrf: Word, query: Long, verdict: Word) -> Response:
        """What somebody said to it."""
        signed: SignedIn = self.console.posted(request, csrf)
        given = dict(parse_qsl(query))
        app = self._asked(given)
        refused = self._refused(app, given)
        if refused or verdict != "allow":
            return self._answer(given, error=refused or "access_denied")
        scope = self._scope(app, given)
        code = self.installation.apps.allow(signed.person.name, app, given["redirect_uri"], scope, given["code_challenge"])
        return self._answer(given, code=code)
