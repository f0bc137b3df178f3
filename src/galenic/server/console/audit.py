"""Pages of the audit log."""

from collections.abc import Iterator
from typing import Annotated
from urllib.parse import urlencode

import orjson
from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from galenic.errors import GalenicError, NotFoundError, VerificationError
from galenic.installation import Installation
from galenic.security import AuditEntry, event_label
from galenic.server.console.paging import page_of, router_of
from galenic.server.console.rendering import Message
from galenic.server.console.session import Console

Text = Annotated[str, Form(max_length=2_000)]
READERS = ("auditor", "privacy-officer", "security-officer")
BLOCK_ROWS = 500  # rows that are read at once


class AuditPages:
    """The pages of the audit log."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.installation = console.installation

    def routes(self) -> APIRouter:
        """Every address."""
        return router_of(
            [
                ("GET", "/audit", self.list_entries),
                ("POST", "/audit/verify", self.verify),
                ("GET", "/audit/{number}/proof", self.show_proof),
            ]
        )

    def list_entries(self, request: Request, page: int = 1, who: str = "", action: str = "") -> Response:
        """Entries, newest first."""
        user = self.console.require_user(request, *READERS)
        size, _root = self.installation.audit.head()
        entries, more = page_of(
            (
                e
                for e in newest_entries(self.installation, size)
                if (not who or e.actor == who) and (not action or e.action.startswith(action))
            ),
            page,
        )
        return self.console.render(
            request,
            "audit.html",
            label=event_label,
            user=user,
            rows=entries,
            size=size,
            page=page,
            more=more,
            who=who,
            action=action,
            query=urlencode({"who": who, "action": action}),
        )

    def verify(self, request: Request, csrf: Text) -> Response:
        """Verifies the whole log."""
        user = self.console.require_form(request, csrf, *READERS)
        try:
            message = Message(f"{verified_rows(self.installation):,} entries were verified. None was changed or removed.")
        except GalenicError as error:
            message = Message.of_error(error)
        size, _root = self.installation.audit.head()
        entries, more = page_of(newest_entries(self.installation, size), 1)
        return self.console.render(
            request,
            "audit.html",
            label=event_label,
            message=message,
            status=200,
            user=user,
            rows=entries,
            size=size,
            page=1,
            more=more,
            who="",
            action="",
            query="",
        )

    def show_proof(self, request: Request, number: int) -> Response:
        """The inclusion proof of one entry, as a file."""
        self.console.require_user(request, *READERS)
        if not 1 <= number <= self.installation.audit.head()[0]:
            raise NotFoundError("the audit log has no such entry.")
        proof = orjson.dumps(self.installation.audit.proof(number), option=orjson.OPT_INDENT_2)
        headers = {"Content-Disposition": f'attachment; filename="audit-{number}.json"'}
        return Response(proof, media_type="application/json", headers=headers)


def newest_entries(installation: Installation, size: int) -> Iterator[AuditEntry]:
    """The first `size` entries of the audit log, newest first."""
    end = size
    while end > 0:
        start = max(end - BLOCK_ROWS, 0)
        block = []
        for entry in installation.audit.entries(start):
            if entry.seq > end:
                break
            block.append(entry)
        yield from reversed(block)
        end = start


def verified_rows(installation: Installation) -> int:
    """The number of entries, all of them verified. VerificationError if one was changed."""
    faults, rows = installation.audit.faults()
    if faults:
        raise VerificationError(
            f"the audit log was changed outside of Galenic: {faults[0]}. Keep the database, and call the security officer."
        )
    return rows
