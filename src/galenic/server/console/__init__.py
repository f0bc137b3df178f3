"""The console: what people see in a browser. Pages work without JavaScript; passkeys and live progress need a little of it."""

from galenic.server.console.routes import console_app
from galenic.server.console.session import Console

__all__ = ["Console", "console_app"]
