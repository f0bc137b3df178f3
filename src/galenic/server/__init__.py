"""HTTP server: protocol endpoints, console, authentication and listeners."""

from galenic.server.app import make_app
from galenic.server.certificate import fingerprint
from galenic.server.identity_provider import ProviderSettings, add_provider
from galenic.server.listeners import Listener, running_servers, serve
from galenic.server.setup import DATASET
from galenic.server.start import ServerOptions, prepare_server

__all__ = [
    "DATASET",
    "Listener",
    "ProviderSettings",
    "ServerOptions",
    "add_provider",
    "fingerprint",
    "make_app",
    "prepare_server",
    "running_servers",
    "serve",
]
