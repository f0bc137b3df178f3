"""Sessions of browsers: the current user behind a cookie, protection of forms, step-up, known devices."""

import hmac
import secrets
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

from fastapi import Request
from fastapi.responses import HTMLResponse, Response

from galenic.custody.fhir import FhirRepository
from galenic.errors import AccessDeniedError
from galenic.installation import Installation
from galenic.security import Fact, Session, SessionActivity, User, token_name
from galenic.server.authentication import NotSignedInError
from galenic.server.connections import mark_signed_in
from galenic.server.console.rendering import Message, Renderer

FRESH = 5 * 60  # s


@dataclass(frozen=True)
class CurrentUser:
    """The user of a browser. secret: of the session; it never leaves this process and the cookie.
    now: the time of the request, as decisions see it."""

    session: Session
    fact: Fact
    account: User
    secret: str
    now: str

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles that the user holds now."""
        return self.account.roles

    @property
    def csrf(self) -> str:
        """The token in the forms of this session, without which another site could send them."""
        return hmac.new(self.secret.encode(), b"galenic csrf", sha256).hexdigest()[:40]

    @property
    def stepped_up(self) -> bool:
        """Whether the user authenticated again within the last five minutes."""
        return str(self.fact.get("stepped_up_until", "")) > self.now

    def holds(self, *roles: str) -> bool:
        """Whether the user holds one of these roles."""
        return bool(set(roles) & set(self.roles))


class StepUpRequiredError(AccessDeniedError):
    """The user has to authenticate again first. place: the page to continue at afterwards."""

    def __init__(self, place: str) -> None:
        super().__init__("confirm first that it is you. Open the page again.")
        self.place = place


@dataclass
class Console:
    """State that all pages share. base: the server's address; set_up_code: shown on the terminal until the first account exists."""

    installation: Installation
    repository: FhirRepository
    base: str
    set_up_code: str = field(default_factory=lambda: secrets.token_hex(8))
    renderer: Renderer = field(default_factory=Renderer)
    activity: SessionActivity = field(init=False)

    def __post_init__(self) -> None:
        self.activity = SessionActivity(self.installation.facts)

    @property
    def secure(self) -> bool:
        """Whether the server's address uses TLS."""
        return self.base.startswith("https://")

    @property
    def session_cookie(self) -> str:
        """Name of the session's cookie. Browsers accept __Host- only over TLS and from this host."""
        return "__Host-galenic" if self.secure else "galenic"

    @property
    def relying_party(self) -> str:
        """The relying party id of passkeys: the host of the server's address."""
        return str(urlsplit(self.base).hostname)

    # the current user

    def current_user(self, request: Request) -> CurrentUser | None:
        """The signed-in user: a valid session of this browser that was used within half an hour. None otherwise."""
        secret = request.cookies.get(self.session_cookie, "")
        session_and_fact = self.installation.gate.session(token_name(secret)) if secret else None
        if session_and_fact is None or session_and_fact[1].get("browser") != "yes":
            return None
        session, fact = session_and_fact
        if fact.get("agent") != sha256(f"galenic {request.headers.get('user-agent', '')}".encode()).hexdigest():
            self.installation.audit.append("session.moved", session.who, "denied", actor=session.who)
            self.installation.people.end_sessions(session.who)
            return None
        if not self.activity.use(fact):
            self.installation.gate.end(session)
            return None
        mark_signed_in(request.scope)
        account = self.installation.people.get(session.who)
        return CurrentUser(session, fact, account, secret, self.installation.facts.now()) if account is not None else None

    def require_user(self, request: Request, *roles: str) -> CurrentUser:
        """The signed-in user. NotSignedInError if there is none; AccessDeniedError if the user holds none of the roles."""
        user = self.current_user(request)
        if user is None:
            raise NotSignedInError("sign in first.")
        if roles and not user.holds(*roles):
            raise AccessDeniedError(f"this page is for the role {' or '.join(roles)}.")
        return user

    def require_form(self, request: Request, csrf: str, *roles: str) -> CurrentUser:
        """The signed-in user of a form. AccessDeniedError if it does not come from a page of this session."""
        user = self.require_user(request, *roles)
        self.require_same_site(request)
        if not hmac.compare_digest(csrf.encode(), user.csrf.encode()):
            raise AccessDeniedError("this form belongs to another session. Load the page again, and send the form again.")
        return user

    def require_same_site(self, request: Request) -> None:
        """AccessDeniedError if the request was sent by a page of another site."""
        site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
        if site not in (None, "same-origin", "none") or (origin is not None and origin not in (self.base, "null")):
            raise AccessDeniedError("another website sent this form. Open the page in Galenic, and send it there.")
        if origin == "null" and site is None:
            raise AccessDeniedError("the form came from an unknown website. Open the page in Galenic, and send it there.")

    def require_step_up(self, user: CurrentUser, place: str) -> None:
        """StepUpRequiredError unless the user authenticated again within five minutes."""
        if not user.stepped_up:
            raise StepUpRequiredError(place)

    def require_recent_sign_in(self, user: CurrentUser, place: str) -> None:
        """StepUpRequiredError unless the user stepped up or signed in within five minutes: for changes of one's own credentials."""
        recent = self.installation.facts.clock.ago(FRESH)
        if not user.stepped_up and str(user.fact.get("began", "")) < recent:
            raise StepUpRequiredError(place)

    # responses

    def render(
        self, request: Request, template: str, /, *, message: Message | None = None, status: int = 0, **values: Any
    ) -> HTMLResponse:
        """A page from its template. status: by default 400 with the message of an error, else 200. values: `user`, `form_to`
        (another origin that its forms may lead to), and the variables of the template itself."""
        status = status or (400 if message and message.error else 200)
        values["notices"] = self._notices(values.get("user"))
        return self.renderer.render(request.url.path, template, status, {"message": message, **values})

    def _notices(self, user: CurrentUser | None) -> list[tuple[str, str, str]]:
        """(key, time, text) of the notices that the user has not read."""
        facts = self.installation.gate.cache.about("notice", user.account.name) if user else ()
        return [(f.key, str(f.get("at")), str(f.get("text"))) for f in facts if f.state == "unread"]

    def render_error(self, request: Request, template: str, error: Exception, /, **values: Any) -> HTMLResponse:
        """A page with the message of an error and status 400."""
        return self.render(request, template, message=Message.of_error(error), **values)

    def with_session(self, response: Response, secret: str) -> Response:
        """The response with the cookie of a session."""
        response.set_cookie(self.session_cookie, secret, httponly=True, secure=self.secure, samesite="lax", path="/")
        return response

    def delete_cookie(self, response: Response, name: str, place: str = "/") -> Response:
        """The response that deletes a cookie."""
        response.delete_cookie(name, httponly=True, secure=self.secure, samesite="lax", path=place)
        return response

    # devices that a user has signed in from

    @property
    def device_cookie(self) -> str:
        """Name of the cookie of a known device."""
        return "__Host-galenic-device" if self.secure else "galenic-device"

    def _device_signature(self, name: str, nonce: str) -> str:
        key = self.installation.gate.identity_key()
        return hmac.new(key, f"device {name} {nonce}".encode(), sha256).hexdigest()

    def known_device(self, request: Request, name: str) -> str:
        """The id of this browser if the user has signed in from it before; "" otherwise."""
        nonce, _, signature = request.cookies.get(self.device_cookie, "").partition(".")
        if not nonce or not hmac.compare_digest(signature.encode(), self._device_signature(name, nonce).encode()):
            return ""
        return nonce

    def remember_device(self, response: Response, name: str) -> Response:
        """The response that marks the browser as a known device of the user."""
        nonce = secrets.token_hex(12)
        value = f"{nonce}.{self._device_signature(name, nonce)}"
        response.set_cookie(
            self.device_cookie, value, max_age=90 * 86_400, httponly=True, secure=self.secure, samesite="lax", path="/"
        )
        return response
