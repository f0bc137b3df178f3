"""Galenic turns patient records into generative-AI results that are safe to use, and shows the evidence."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from galenic.version import __version__

if TYPE_CHECKING:
    from galenic.api import EvaluationRequest as EvaluationRequest
    from galenic.api import InputWarning as InputWarning
    from galenic.api import Synthesizer as Synthesizer
    from galenic.api import evaluate as evaluate
    from galenic.api import open as open
    from galenic.api import read as read
    from galenic.api import verify as verify

__all__ = ["EvaluationRequest", "InputWarning", "Synthesizer", "__version__", "evaluate", "open", "read", "verify"]


def __getattr__(name: str) -> Any:
    """Loads the public names when they are first used (PEP 562), so that `import galenic` stays cheap."""
    if name in __all__:
        return getattr(import_module("galenic.api"), name)
    raise AttributeError(f"module 'galenic' has no attribute {name!r}")


def __dir__() -> list[str]:
    """The public names, for tab completion."""
    return sorted(__all__)
