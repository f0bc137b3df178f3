"""Whose browser it is: the session behind its cookie, what binds it, and pages made for it."""

import hmac
import secrets
import time
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import jinja2
from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from galenic.custody.fhir import FhirRepository
from galenic.errors import AccessDeniedError
from galenic.installation import Installation
from galenic.security import Fact, Session, User, token_name
from galenic.server.authentication import NotSignedInError
from galenic.version import __version__

SAYS = secrets.token_bytes(32)  # of this process: what pages were sent to say
IDLE, FRESH = 30 * 60, 5 * 60  # s
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; "
    "frame-src 'self'; frame-ancestors 'none'; base-uri 'none'"
)
PAPER = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; sandbox"  # for reports
NAV: tuple[tuple[str, str, frozenset[str]], ...] = (  # place, name, roles that see it (empty: everybody)
    ("/", "Home", frozenset()),
    ("/patients", "Patients", frozenset({"clinician", "nurse", "pharmacist"})),
    ("/data", "Data", frozenset({"researcher", "data-scientist", "privacy-officer", "integration-engineer", "auditor"})),
    ("/synthesis", "Synthesis", frozenset({"researcher", "data-scientist", "privacy-officer"})),
    (
        "/jobs",
        "Jobs",
        frozenset({"researcher", "data-scientist", "privacy-officer", "integration-engineer", "auditor", "security-officer"}),
    ),
    (
        "/releases",
        "Releases",
        frozenset({"researcher", "data-scientist", "privacy-officer", "clinician", "ethics-board", "auditor"}),
    ),
    ("/budget", "Budget", frozenset({"researcher", "data-scientist", "privacy-officer", "auditor"})),
    ("/consent", "Consent", frozenset({"privacy-officer"})),
    ("/reviews", "Emergencies", frozenset({"privacy-officer"})),
    ("/audit", "Audit", frozenset({"auditor", "privacy-officer", "security-officer"})),
    ("/policy", "Policy", frozenset({"security-officer", "privacy-officer", "auditor"})),
    ("/keys", "Keys", frozenset({"security-officer", "auditor"})),
    ("/clients", "Systems", frozenset({"security-officer"})),
    ("/people", "People", frozenset({"security-officer", "privacy-officer"})),
)


@dataclass(frozen=True)
class SignedIn:
    """Somebody who is signed in. secret: of the session, which never leaves this process and the cookie."""

    session: Session
    fact: Fact
    person: User
    secret: str

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles held now."""
        return self.person.roles

    @property
    def csrf(self) -> str:
        """What forms of this session carry, so that no other site can send them."""
        return hmac.new(self.secret.encode(), b"galenic csrf", sha256).hexdigest()[:40]

    @property
    def stepped(self) -> bool:
        """Whether it was confirmed a moment ago that it is them."""
        return str(self.fact.get("stepped_up_until", "")) > time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())

    def holds(self, *roles: str) -> bool:
        """Whether one of these roles is held."""
        return bool(set(roles) & set(self.roles))


class StepUpRequired(AccessDeniedError):
    """It must be confirmed first that it is them; next: where to go on."""

    def __init__(self, place: str) -> None:
        super().__init__("confirm first that it is you.")
        self.place = place


@dataclass
class Console:
    """What pages need. base: the server's address; set_up_code: shown on the terminal while nobody has an account."""

    installation: Installation
    repository: FhirRepository
    base: str
    set_up_code: str = field(default_factory=lambda: secrets.token_hex(8))
    _seen: dict[str, float] = field(default_factory=dict)
    _pages: jinja2.Environment = field(init=False)

    def __post_init__(self) -> None:
        loader = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
        self._pages = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)

    @property
    def secure(self) -> bool:
        """Whether the address is one of TLS."""
        return self.base.startswith("https://")

    @property
    def cookie(self) -> str:
        """The cookie's name: a browser takes __Host- over TLS from this very host alone."""
        return "__Host-galenic" if self.secure else "galenic"

    @property
    def rp(self) -> str:
        """The host that passkeys are for."""
        return str(urlsplit(self.base).hostname)

    # who it is

    def signed(self, request: Request) -> SignedIn | None:
        """Whoever is signed in: a session that stands, of this browser, that was used within half an hour."""
        secret = request.cookies.get(self.cookie, "")
        found = self.installation.gate.session(token_name(secret)) if secret else None
        if found is None or found[1].get("browser") != "yes":
            return None
        session, fact = found
        now, last = time.monotonic(), self._seen.get(session.id)
        if fact.get("agent") != sha256(f"galenic {request.headers.get('user-agent', '')}".encode()).hexdigest():
            self.installation.audit.append("session.moved", session.who, "denied", actor=session.who)
            self.installation.people.end_sessions(session.who)
            return None
        if last is not None and now - last > IDLE:
            self.installation.gate.end(session)
            return None
        if len(self._seen) > 10_000:
            self._seen.clear()
        self._seen[session.id] = now
        person = self.installation.people.get(session.who)
        return SignedIn(session, fact, person, secret) if person is not None else None

    def required(self, request: Request, *roles: str) -> SignedIn:
        """Whoever is signed in, in one of the roles where some are named. NotSignedIn or AccessDenied otherwise."""
        found = self.signed(request)
        if found is None:
            raise NotSignedInError("sign in first.")
        if roles and not found.holds(*roles):
            raise AccessDeniedError(f"this page is for people in the role of {' or '.join(roles)}.")
        return found

    def posted(self, request: Request, csrf: str, *roles: str) -> SignedIn:
        """The same for a form: it must come from a page of this session."""
        found = self.required(request, *roles)
        self.same_site(request)
        if not hmac.compare_digest(csrf.encode(), found.csrf.encode()):
            raise AccessDeniedError("this form is not of your session. Go back, load the page again, and send it again.")
        return found

    def same_site(self, request: Request) -> None:
        """AccessDenied for what another site's page sends."""
        site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
        if site not in (None, "same-origin", "none") or (origin is not None and origin not in (self.base, "null")):
            raise AccessDeniedError("this was sent by another site's page.")
        if origin == "null" and site is None:
            raise AccessDeniedError("this was sent by a page of unknown origin.")

    def confirmed(self, signed: SignedIn, place: str) -> None:
        """Unconfirmed unless it was confirmed within five minutes that it is them."""
        if not signed.stepped:
            raise StepUpRequired(place)

    def fresh(self, signed: SignedIn, place: str) -> None:
        """Unconfirmed unless it was confirmed, or they signed in, within five minutes: for one's own credentials."""
        began = str(signed.fact.get("began", ""))
        recent = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(time.time() - FRESH))
        if not signed.stepped and began < recent:
            raise StepUpRequired(place)

    # pages

    def page(self, request: Request, template: str, /, *, status: int = 200, **given: Any) -> HTMLResponse:
        """A page by its template. form_to: an origin that its forms may lead to besides this one."""
        signed = given.pop("signed", None)
        policy = POLICY.replace("form-action 'self'", f"form-action 'self' {given.pop('form_to', '')}".rstrip())
        nav = [(p, n) for p, n, roles in NAV if signed and (not roles or signed.holds(*roles))]
        here = next((p for p, _ in reversed(nav) if request.url.path == p or (p != "/" and request.url.path.startswith(p))), "")
        about = {"signed": signed, "nav": nav, "here": here, "version": __version__, "said": given.pop("said", None)}
        text = self._pages.get_template(template).render(**about, **given)
        return HTMLResponse(text, status, {"Content-Security-Policy": policy})

    def with_session(self, answer: Response, secret: str) -> Response:
        """An answer that carries a session's cookie."""
        answer.set_cookie(self.cookie, secret, httponly=True, secure=self.secure, samesite="lax", path="/")
        return answer

    def forget(self, answer: Response, name: str, place: str = "/") -> Response:
        """An answer that takes a cookie away."""
        answer.delete_cookie(name, httponly=True, secure=self.secure, samesite="lax", path=place)
        return answer

    # devices that somebody has signed in from

    @property
    def device_cookie(self) -> str:
        """The name of the cookie that marks a device as known."""
        return "__Host-galenic-device" if self.secure else "galenic-device"

    def _device_mark(self, name: str, nonce: str) -> str:
        key = self.installation.gate.identity_key()
        return hmac.new(key, f"device {name} {nonce}".encode(), sha256).hexdigest()

    def device(self, request: Request, name: str) -> str:
        """What marks this browser as one that this person has signed in from; "" for a stranger's."""
        nonce, _, mark = request.cookies.get(self.device_cookie, "").partition(".")
        return nonce if nonce and hmac.compare_digest(mark.encode(), self._device_mark(name, nonce).encode()) else ""

    def remember(self, answer: Response, name: str) -> Response:
        """Marks the browser as known."""
        nonce = secrets.token_hex(12)
        value = f"{nonce}.{self._device_mark(name, nonce)}"
        answer.set_cookie(
            self.device_cookie, value, max_age=90 * 86_400, httponly=True, secure=self.secure, samesite="lax", path="/"
        )
        return answer


def local_path(place: str) -> str:
    """A place to go on to, if it is one of this server; the first page otherwise."""
    safe = place.startswith("/") and not place.startswith(("//", "/\\")) and all(c.isprintable() and c != "\\" for c in place)
    return place if safe else "/"


def redirect_to(place: str, said: str = "") -> RedirectResponse:
    """On to another page of this server, after a form."""
    return RedirectResponse(with_message(place, said), 303)


def with_message(place: str, said: str) -> str:
    """A page of this server that says something when it comes: marked, so that no link of others makes a page of ours say theirs."""
    target = local_path(place)
    if said:
        mark = hmac.new(SAYS, said.encode(), sha256).hexdigest()[:32]
        target += f"{'&' if '?' in target else '?'}said={quote(mark + said)}"
    return target


def clean_message(said: str) -> str:
    """What a page is to say, if it was this server that sent the browser there; "" otherwise."""
    mark, text = said[:32], said[32:]
    right = hmac.new(SAYS, text.encode(), sha256).hexdigest()[:32]
    return text if hmac.compare_digest(mark.encode(), right.encode()) else ""
