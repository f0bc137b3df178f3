"""The doors for people and systems: FHIR, sign-in, the console, and the listeners behind them."""

from galenic.server.app import make_app
from galenic.server.certificate import fingerprint
from galenic.server.serve import Listening, running, serve
from galenic.server.start import Options, prepared

__all__ = ["Listening", "Options", "fingerprint", "make_app", "prepared", "running", "serve"]
