"""Set-up, sign-in, invitations, confirmation and one's own account."""

import hmac
from typing import Annotated, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import segno
from fastapi import APIRouter, Form, Header, Request
from fastapi.responses import JSONResponse, Response
from markupsafe import Markup
from pydantic import BaseModel, ConfigDict

from galenic.errors import AccessDeniedError, GalenicError, OptionError
from galenic.security import Provider
from galenic.server.console.session import Console, SignedIn, clean_message, local_path, redirect_to, with_message

Word = Annotated[str, Form(max_length=400)]
HALF = "galenic-half"


class Answered(BaseModel):
    """What a browser answers with a passkey."""

    model_config = ConfigDict(extra="forbid")
    credential: dict[str, Any]
    next: str = "/"
    name: str = "passkey"


class SignIn:
    """Sign-in and what belongs to it."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.people = console.installation.people
        self.credentials = console.installation.people.credentials

    def routes(self) -> APIRouter:
        """Every address."""
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/set-up", self.set_up_page, methods=["GET"], response_model=None)
        router.add_api_route("/set-up", self.set_up, methods=["POST"], response_model=None)
        router.add_api_route("/sign-in", self.sign_in_page, methods=["GET"], response_model=None)
        router.add_api_route("/sign-in", self.sign_in, methods=["POST"], response_model=None)
        router.add_api_route("/sign-in/second", self.second_page, methods=["GET"], response_model=None)
        router.add_api_route("/sign-in/second", self.second, methods=["POST"], response_model=None)
        router.add_api_route("/sign-in/passkey/begin", self.passkey_begin, methods=["POST"], response_model=None)
        router.add_api_route("/sign-in/passkey", self.passkey, methods=["POST"], response_model=None)
        router.add_api_route("/sign-out", self.sign_out, methods=["POST"], response_model=None)
        router.add_api_route("/invitation/{secret}", self.invitation_page, methods=["GET"], response_model=None)
        router.add_api_route("/invitation/{secret}", self.invitation, methods=["POST"], response_model=None)
        router.add_api_route("/confirm", self.confirm_page, methods=["GET"], response_model=None)
        router.add_api_route("/confirm", self.confirm, methods=["POST"], response_model=None)
        router.add_api_route("/confirm/passkey/begin", self.confirm_begin, methods=["POST"], response_model=None)
        router.add_api_route("/confirm/passkey", self.confirm_passkey, methods=["POST"], response_model=None)
        router.add_api_route("/account", self.account, methods=["GET"], response_model=None)
        router.add_api_route("/account/sessions", self.end_others, methods=["POST"], response_model=None)
        router.add_api_route("/account/password", self.change_password, methods=["POST"], response_model=None)
        router.add_api_route("/account/apps", self.revoke, methods=["POST"], response_model=None)
        router.add_api_route("/account/codes", self.new_codes, methods=["POST"], response_model=None)
        router.add_api_route("/account/passkey/begin", self.make_begin, methods=["POST"], response_model=None)
        router.add_api_route("/account/passkey", self.make_finish, methods=["POST"], response_model=None)
        return router

    def providers(self) -> list[Provider]:
        """Identity providers that people may sign in with."""
        return self.console.installation.openid.all()

    @staticmethod
    def place_of(request: Request) -> str:
        """Where a request comes from."""
        return request.client.host if request.client else ""

    def again(self, request: Request, page: str, error: GalenicError, **given: Any) -> Response:
        """The same page, with what did not work."""
        return self.console.page(request, page, status=400, said={"text": str(error), "bad": True}, **given)

    def set_up_page(self, request: Request) -> Response:
        """The form of the first person."""
        if self.people.any():
            return redirect_to("/sign-in")
        return self.console.page(request, "set_up.html", given={})

    def set_up(self, request: Request, code: Word, name: Word, shown: Word, human: Word, password: Word) -> Response:
        """Makes the first person, who administers."""
        self.console.same_site(request)
        try:
            if not hmac.compare_digest(code.strip().encode(), self.console.set_up_code.encode()):
                raise AccessDeniedError("this is not the set-up code. The server printed it when it started.")
            self.people.set_up(name.strip(), human, shown, password)
        except GalenicError as error:
            return self.again(request, "set_up.html", error, given={"name": name, "shown": shown, "human": human})
        return self._half(request, name.strip(), password, "/people")

    def sign_in_page(self, request: Request, next: str = "/") -> Response:
        """The first form of sign-in."""
        if not self.people.any():
            return redirect_to("/set-up")
        return self.console.page(request, "sign_in.html", next=local_path(next), given={}, providers=self.providers())

    def sign_in(self, request: Request, name: Word, password: Word, next: Word = "/") -> Response:
        """Name and password: half a session."""
        self.console.same_site(request)
        try:
            return self._half(request, name.strip(), password, next)
        except GalenicError as error:
            return self.again(
                request, "sign_in.html", error, next=local_path(next), given={"name": name}, providers=self.providers()
            )

    def _half(self, request: Request, name: str, password: str, place: str) -> Response:
        secret = self.people.try_password(name, password, self.place_of(request), self.console.device(request, name))
        answer = redirect_to(f"/sign-in/second?{urlencode({'next': local_path(place)})}")
        answer.set_cookie(HALF, secret, max_age=600, httponly=True, secure=self.console.secure, samesite="lax", path="/sign-in")
        return answer

    def _whose_half(self, request: Request) -> tuple[str, str]:
        secret = request.cookies.get(HALF, "")
        name = self.people.half(secret)
        if name is None:
            raise AccessDeniedError("sign-in took too long. Begin again.")
        return secret, name

    def _enrol(self, name: str) -> dict[str, Any]:
        address = self.credentials.begin_totp(name)
        picture = segno.make(address, error="m").svg_inline(scale=4, dark="#000", light="#fff")
        return {"enrol": True, "qr": Markup(picture), "secret": parse_qs(urlsplit(address).query)["secret"][0]}  # nosec B704  # noqa: S704  # ours

    def second_page(self, request: Request, next: str = "/") -> Response:
        """The second factor, or its set-up where there is none."""
        try:
            _secret, name = self._whose_half(request)
        except AccessDeniedError:
            return redirect_to("/sign-in")
        given = {"enrol": False} if "totp" in self.credentials.kinds(name) else self._enrol(name)
        return self.console.page(request, "second.html", next=local_path(next), **given)

    def second(self, request: Request, code: Word, next: Word = "/") -> Response:
        """The second factor: a whole session."""
        self.console.same_site(request)
        secret, name = self._whose_half(request)
        agent = request.headers.get("user-agent", "")
        if "totp" not in self.credentials.kinds(name):
            try:
                self.credentials.confirm_totp(name, code)
            except GalenicError as error:
                return self.again(request, "second.html", error, next=local_path(next), **self._enrol(name))
            codes = self.credentials.new_recovery_codes(name)
            session = self.people.finish_half(secret, "password and time code", agent)
            answer: Response = self.console.page(request, "codes.html", codes=codes, next=local_path(next))
        else:
            try:
                session = self.people.try_code(secret, code, self.place_of(request), self.console.device(request, name), agent)
            except GalenicError as error:
                return self.again(request, "second.html", error, next=local_path(next), enrol=False)
            answer = redirect_to(next)
        self.console.forget(answer, HALF, "/sign-in")
        return self.console.remember(self.console.with_session(answer, session), name)

    def passkey_begin(self, request: Request) -> Response:
        """What a browser needs to answer with a passkey."""
        self.console.same_site(request)
        return Response(self.credentials.ask_passkey("sign-in", self.console.rp), media_type="application/json")

    def passkey(self, request: Request, given: Answered) -> Response:
        """A passkey of anybody: a whole session."""
        self.console.same_site(request)
        name = self.credentials.passkey_of("sign-in", given.credential, self.console.rp, self.console.base)
        session = self.people.begin(name, "passkey", request.headers.get("user-agent", ""))
        answer = JSONResponse({"next": local_path(given.next)})
        return self.console.remember(self.console.with_session(answer, session), name)

    def sign_out(self, request: Request, csrf: Word) -> Response:
        """Ends the session."""
        signed = self.console.posted(request, csrf)
        self.console.installation.gate.end(signed.session)
        answer = self.console.forget(redirect_to("/sign-in"), self.console.cookie)
        answer.headers["Clear-Site-Data"] = '"cache", "storage"'
        return answer

    def invitation_page(self, request: Request, secret: str) -> Response:
        """Where an invitation leads."""
        return self.console.page(request, "accept.html", secret=secret, providers=self.providers())

    def invitation(self, request: Request, secret: str, password: Word) -> Response:
        """The invited person's password."""
        self.console.same_site(request)
        try:
            person = self.people.accept(secret, password)
        except GalenicError as error:
            return self.again(request, "accept.html", error, secret=secret, providers=self.providers())
        return self._half(request, person.name, password, "/")

    # confirmation, and one's own account

    def confirm_page(self, request: Request, next: str = "/") -> Response:
        """Where it is confirmed that it is them."""
        return self.console.page(request, "confirm.html", signed=self.console.required(request), next=local_path(next))

    def confirm(self, request: Request, csrf: Word, code: Word, next: Word = "/") -> Response:
        """A time code confirms."""
        signed = self.console.posted(request, csrf)
        name = signed.person.name
        try:
            self.people.may_confirm(
                name, self.place_of(request), self.console.device(request, name), self.credentials.totp_is(name, code)
            )
        except GalenicError as error:
            return self.again(request, "confirm.html", error, signed=signed, next=local_path(next))
        return self.console.with_session(redirect_to(next), self.people.step_up(signed.session, "time code"))

    def confirm_begin(self, request: Request, x_csrf: Annotated[str, Header()] = "") -> Response:
        """What a browser needs to confirm with a passkey."""
        signed = self.console.posted(request, x_csrf)
        name = signed.person.name
        return Response(self.credentials.ask_passkey(f"confirm/{name}", self.console.rp, name), media_type="application/json")

    def confirm_passkey(self, request: Request, given: Answered, x_csrf: Annotated[str, Header()] = "") -> Response:
        """A passkey of this person confirms."""
        signed = self.console.posted(request, x_csrf)
        name = signed.person.name
        if self.credentials.passkey_of(f"confirm/{name}", given.credential, self.console.rp, self.console.base) != name:
            raise AccessDeniedError("this passkey is somebody else's.")
        return self.console.with_session(
            JSONResponse({"next": local_path(given.next)}), self.people.step_up(signed.session, "passkey")
        )

    def account(self, request: Request, said: str = "") -> Response:
        """One's own account."""
        said = clean_message(said)
        signed = self.console.required(request)
        return self._account(request, signed, said)

    def _account(self, request: Request, signed: SignedIn, said: str = "", *, bad: bool = False) -> Response:
        name = signed.person.name
        now = self.console.installation.facts.now()
        standing = [f for f in self.console.installation.facts.of("session", who=name) if f.stands("open", now)]
        sessions = [(str(f.get("how")), str(f.get("began", "")), f.key == signed.session.id) for f in standing]
        facts = self.console.installation.facts
        linked = [f for f in facts.of("credential", who=name, label="openid") if f.state == "active"]
        links = [f.key.rpartition("/")[2] for f in linked]
        providers = [p for p in self.providers() if p.name not in links]
        origins = [o for f in facts.of("destination") if f.key in {p.name for p in providers} for o in f.get("origins")]
        return self.console.page(
            request, "account.html", signed=signed, how=signed.fact.get("how", ""), passkeys=self.credentials.passkeys(name),
            sessions=sessions, apps=self.console.installation.apps.allowed_by(name), links=links, providers=providers,
            form_to=" ".join(dict.fromkeys(origins)),
            said={"text": said, "bad": bad} if said else None, status=400 if bad else 200,
            has_password="password" in self.credentials.kinds(name),
        )  # fmt: skip

    def end_others(self, request: Request, csrf: Word) -> Response:
        """Ends all sessions but this one."""
        signed = self.console.posted(request, csrf)
        ended = self.people.end_sessions(signed.person.name, but=signed.session.id)
        return redirect_to("/account", f"{ended} other sessions are ended.")

    def change_password(self, request: Request, csrf: Word, old: Word, new: Word) -> Response:
        """A new password, for who knows the one before."""
        signed = self.console.posted(request, csrf)
        device = self.console.device(request, signed.person.name)
        try:
            self.people.change_password(signed.session, old, new, self.place_of(request), device)
        except GalenicError as error:
            return self._account(request, signed, str(error), bad=True)
        return redirect_to("/account", "The password is changed, and your other sessions are ended.")

    def revoke(self, request: Request, csrf: Word, app: Word) -> Response:
        """Takes back what an application was let do."""
        signed = self.console.posted(request, csrf)
        self.console.installation.apps.revoke(signed.person.name, app)
        return redirect_to("/account", f"{app} reads as you no more.")

    def new_codes(self, request: Request, csrf: Word) -> Response:
        """New recovery codes in place of those before."""
        signed = self.console.posted(request, csrf)
        self.console.confirmed(signed, "/account")
        codes = self.credentials.new_recovery_codes(signed.person.name)
        return self.console.page(request, "codes.html", signed=signed, codes=codes, next="/account")

    def make_begin(self, request: Request, x_csrf: Annotated[str, Header()] = "") -> Response:
        """What a browser needs to make a passkey."""
        signed = self.console.posted(request, x_csrf)
        self.console.fresh(signed, "/account")
        options = self.credentials.begin_passkey(signed.person.name, signed.person.shown, self.console.rp)
        return Response(options, media_type="application/json")

    def make_finish(self, request: Request, given: Answered, x_csrf: Annotated[str, Header()] = "") -> Response:
        """Keeps a passkey."""
        signed = self.console.posted(request, x_csrf)
        if len(given.name) > 64:
            raise OptionError("the name of a device has at most 64 characters.")
        self.credentials.finish_passkey(signed.person.name, given.name, given.credential, self.console.rp, self.console.base)
        return JSONResponse({"next": with_message("/account", "The passkey is kept.")})
