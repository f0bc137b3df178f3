"""Galenic turns patient records into generative-AI results that are safe to use, and shows the evidence."""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_LAZY = {"Synthesizer": "galenic.flows", "evaluate": "galenic.flows", "verify": "galenic.flows", "read": "galenic.records"}

__all__ = ["Synthesizer", "__version__", "evaluate", "read", "verify"]


def __getattr__(name: str) -> Any:
    """Loads the public names when they are first used (PEP 562), so that `import galenic` stays cheap."""
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'galenic' has no attribute {name!r}")
