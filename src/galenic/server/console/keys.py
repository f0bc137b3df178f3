"""The page of keys."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from galenic import store
from galenic.custody import rotate_keys
from galenic.server.console.paging import router_of
from galenic.server.console.redirects import SignedMessage, read_message, redirect_to
from galenic.server.console.session import Console


class KeyPages:
    """The page of keys."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.installation = console.installation

    def routes(self) -> APIRouter:
        """Every address."""
        return router_of([("GET", "/keys", self.list_keys), ("POST", "/keys/rotate", self.rotate)])

    def list_keys(self, request: Request, message: SignedMessage = "") -> Response:
        """The keys by their fingerprints; no page shows a key."""
        user = self.console.require_user(request, "security-officer", "auditor")
        copies = self.installation.escrow.copies()
        return self.console.render(
            request,
            "keys.html",
            message=read_message(message),
            user=user,
            gate=self.installation.keys.gate(),
            keys=[self.installation.keys.get(n) for n in self.installation.keys.names()],
            copies=[created.isoformat(timespec="minutes") for created, _sealed, _slot in copies],
            backups=store.backups(self.installation.db),
            keeper=type(self.installation.tree.keeper).__name__,
        )

    def rotate(self, request: Request, csrf: Annotated[str, Form(max_length=400)]) -> Response:
        """Replaces the root key and wraps all keys below it again."""
        user = self.console.require_form(request, csrf, "security-officer")
        self.console.require_step_up(user, "/keys")
        count = rotate_keys(self.installation, user.session)
        return redirect_to("/keys", f"The root key was replaced. {count:,} keys were encrypted again.")
