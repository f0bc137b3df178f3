"""The doors for people and systems: FHIR, sign-in, the console, and the listeners behind them."""

from galenic.server.app import make_app
from galenic.server.serve import Listening, running, serve

__all__ = ["Listening", "make_app", "running", "serve"]
