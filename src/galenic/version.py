"""The version of Galenic."""

__version__ = "0.2.0"
