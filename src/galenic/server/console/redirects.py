"""Redirects after forms, with a message for the next page that no link of another site can forge."""

import hmac
import secrets
from hashlib import sha256
from typing import Annotated
from urllib.parse import quote

from fastapi import Query
from fastapi.responses import RedirectResponse

from galenic.server.console.rendering import Message

MESSAGE_KEY = secrets.token_bytes(32)  # of this process: signs the messages in addresses

SignedMessage = Annotated[str, Query(alias="said")]
"""The message in the address of a page, as `with_message` wrote it."""


def local_path(place: str) -> str:
    """The path if it is one of this server; the home page otherwise."""
    safe = place.startswith("/") and not place.startswith(("//", "/\\")) and all(c.isprintable() and c != "\\" for c in place)
    return place if safe else "/"


def redirect_to(place: str, message: str = "") -> RedirectResponse:
    """A redirect to another page of this server, after a form."""
    return RedirectResponse(with_message(place, message), 303)


def with_message(place: str, message: str) -> str:
    """The address of a page of this server that shows a message. The message is signed, so that no link elsewhere can make a page
    of ours show another text."""
    target = local_path(place)
    if message:
        signature = hmac.new(MESSAGE_KEY, message.encode(), sha256).hexdigest()[:32]
        target += f"{'&' if '?' in target else '?'}said={quote(signature + message)}"
    return target


def read_message(signed_message: str) -> Message | None:
    """The message of an address if this server wrote it; None otherwise."""
    signature, text = signed_message[:32], signed_message[32:]
    genuine = hmac.new(MESSAGE_KEY, text.encode(), sha256).hexdigest()[:32]
    return Message(text) if text and hmac.compare_digest(signature.encode(), genuine.encode()) else None
