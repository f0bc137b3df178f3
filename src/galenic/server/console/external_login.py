"""Sign-in with an external identity provider, and links of accounts to it."""

import time
from collections import OrderedDict
from typing import Annotated
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from galenic.errors import AccessDeniedError
from galenic.security import IdTokenClaims, limits_of, link_fact
from galenic.server import identity_provider
from galenic.server.authentication import address_of
from galenic.server.console.paging import router_of
from galenic.server.console.redirects import local_path, redirect_to
from galenic.server.console.session import Console
from galenic.server.console.sign_in import PENDING_COOKIE

Text = Annotated[str, Form(max_length=400)]
MOST_STARTS, WINDOW_SECONDS = 120, 60.0  # sign-ins with a provider that one address may start in a minute
MOST_ADDRESSES = 10_000  # that are remembered
STATE_COOKIE = "galenic-provider"  # of a sign-in that was started


class ExternalLogin:
    """Pages that lead to an identity provider and back."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.installation = console.installation
        self.people = console.installation.people
        self.starts: OrderedDict[str, list[float]] = OrderedDict()

    def routes(self) -> APIRouter:
        """Every address."""
        return router_of(
            [
                ("GET", "/sign-in/with/{name}", self.sign_in),
                ("GET", "/sign-in/with/{name}/back", self.callback),
                ("GET", "/invitation/{secret}/with/{name}", self.accept_invitation),
                ("POST", "/account/link", self.link),
            ]
        )

    def _start(self, request: Request, name: str, purpose: str, place: str) -> Response:
        """A redirect to the provider. purpose: of the sign-in, told when the browser comes back; place: the page afterwards."""
        self._limit(address_of(request))
        address, state = identity_provider.begin(
            self.installation, self.console.repository.session, name, self._callback(name), purpose, local_path(place)
        )
        response = RedirectResponse(address, 303)
        response.set_cookie(
            STATE_COOKIE, state, max_age=600, httponly=True, secure=self.console.secure, samesite="lax", path="/sign-in/with"
        )
        return response

    def _limit(self, address: str) -> None:
        """AccessDeniedError after too many starts: each makes the server call the provider, without anybody being signed in."""
        now, full = time.monotonic(), False
        for network, most in limits_of(address, MOST_STARTS).items():
            recent = [t for t in self.starts.pop(network, []) if now - t < WINDOW_SECONDS]
            self.starts[network] = [*recent, now][-most - 1 :]
            full |= len(recent) >= most
        while len(self.starts) > MOST_ADDRESSES:
            self.starts.popitem(last=False)
        if full:
            raise AccessDeniedError("too many sign-ins were begun from here. Wait a minute.")

    def _callback(self, name: str) -> str:
        return f"{self.console.base}/sign-in/with/{name}/back"

    def sign_in(self, request: Request, name: str, next: str = "/") -> Response:
        """Leads to the provider, for a sign-in."""
        return self._start(request, name, "sign-in", next)

    def accept_invitation(self, request: Request, secret: str, name: str) -> Response:
        """Leads an invited user to the provider, instead of setting a password here."""
        return self._start(request, name, f"invitation/{secret}", "/")

    def link(self, request: Request, csrf: Text, name: Text) -> Response:
        """Leads to the provider, to link the user's account."""
        user = self.console.require_form(request, csrf)
        self.console.require_step_up(user, "/account")
        return self._start(request, name, f"link/{user.account.name}", "/account")

    def callback(self, request: Request, name: str) -> Response:
        """The provider's redirect back: signs in, links the account, or accepts the invitation."""
        parameters = dict(parse_qsl(request.url.query))
        state = request.cookies.get(STATE_COOKIE, "")
        claims = identity_provider.finish(
            self.installation, self.console.repository.session, name, self._callback(name), state, parameters
        )
        return self.console.delete_cookie(self._finish(request, claims), STATE_COOKIE, "/sign-in/with")

    def _finish(self, request: Request, claims: IdTokenClaims) -> Response:
        kind, _, subject = claims.purpose.partition("/")
        if kind == "link":
            return self._link(request, claims, subject)
        if kind == "invitation":
            link = self.installation.invitations.accept_linked
            name = link(subject, lambda facts, account: link_fact(facts, account, claims)).name
        else:
            name = self._linked_account(claims)
        if claims.several:
            agent = request.headers.get("user-agent", "")
            session = self.people.begin(name, f"{claims.provider.shown}, with a second factor there", agent)
            response = self.console.with_session(redirect_to(claims.next), session)
            return self.console.remember_device(response, name)
        return self._ask_second_factor(name, claims.next)

    def _link(self, request: Request, claims: IdTokenClaims, account: str) -> Response:
        user = self.console.require_user(request)
        if user.account.name != account or not user.stepped_up:
            raise AccessDeniedError("this was begun by somebody else, or too long ago.")
        self.installation.openid.link(account, claims)
        return redirect_to("/account", f"Linked to {claims.provider.shown}.")

    def _linked_account(self, claims: IdTokenClaims) -> str:
        name = self.installation.openid.person(claims)
        if not name:
            self.installation.audit.refusals.add("session.refused", claims.provider.name, "", why="nobody is linked")
            raise AccessDeniedError(
                f"nobody here is linked to this account of {claims.provider.shown}. Sign in another way and link it under Account, "
                "or ask for an invitation."
            )
        return name

    def _ask_second_factor(self, name: str, place: str) -> Response:
        response = redirect_to(f"/sign-in/second?{urlencode({'next': local_path(place)})}")
        secret = self.people.begin_half(name)
        response.set_cookie(
            PENDING_COOKIE, secret, max_age=600, httponly=True, secure=self.console.secure, samesite="lax", path="/sign-in"
        )
        return response
