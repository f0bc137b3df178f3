"""The version of Galenic."""

__version__ = "0.1.0"
