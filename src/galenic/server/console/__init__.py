"""The console: pages for users in a browser. They work without JavaScript, except passkeys and live progress."""

from galenic.server.console.datasets import IMPORTERS
from galenic.server.console.routes import console_app
from galenic.server.console.session import Console

__all__ = ["IMPORTERS", "Console", "console_app"]
