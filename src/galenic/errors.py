"""Errors that Galenic raises on purpose, as one tree by who can act.

Every message has three parts: what is wrong and where (column, row, code), what was expected, what to do now.
A message never contains a cell's value: messages end up in logs, and values are patient data.
"""

from galenic.version import __version__


class GalenicError(Exception):
    """The root of all errors that Galenic raises on purpose."""

    exit_code = 3


class InputError(GalenicError):
    """The caller can fix it: with another file, description, option, name or setting."""

    exit_code = 2


class RecordError(InputError):
    """A file, a table or a resource does not match its format or its description."""


class InvalidResourceError(RecordError):
    """A resource violates its standard. issues: severity, code, expression and text of each violation."""

    def __init__(self, message: str, issues: tuple[tuple[str, str, str, str], ...] = ()) -> None:
        super().__init__(message)
        self.issues = issues


class DescriptionError(InputError):
    """A description of tables, columns, constraints, mappings or views is incomplete or contradicts itself."""


class OptionError(InputError):
    """An option, an argument or a form field has a value that is not allowed, or does not go with another one."""


class UnknownNameError(OptionError):
    """A data set, run, job, key, column, kind or policy is named that does not exist; the message says how to list them."""


class ConfigurationError(InputError):
    """A setting, an environment variable, a policy file or a certificate is wrong; an administrator can fix it."""


class StateError(InputError):
    """The operation needs another state: something exists already, was decided already, is not ready or is still in use."""


class TooCostlyError(InputError):
    """A request took more time than one request may, and was ended; a narrower one may succeed."""


class NotFoundError(InputError):
    """Nothing by that name exists, or the caller may not know of it: the same answer for both."""


class GoneError(NotFoundError):
    """The resource was deleted; its history may still be readable."""


class ConflictError(InputError):
    """Somebody else changed it in the meantime, or a precondition of the request does not hold."""


class MissingExtraError(InputError):
    """An optional dependency is not installed; the message contains the install commands, for a checkout and for a wheel."""

    def __init__(self, need: str, extra: str = "") -> None:
        wheel = f"galenic-{__version__}-py3-none-any.whl"
        commands = f" In the checkout run: pip install '.[{extra}]'. With a wheel: pip install './{wheel}[{extra}]'."
        super().__init__(f"{need.rstrip('.')}.{commands}" if extra else need)


class RefusedError(GalenicError):
    """The gate refused: nothing was handed out, and the refusal is in the audit log."""

    exit_code = 1


class BudgetError(RefusedError):
    """A privacy budget would be exceeded, or is too small for a useful result."""


class ReleaseRefusedError(RefusedError):
    """Evidence, policy or signatures do not allow the release."""


class VerificationError(RefusedError):
    """A release differs from what was signed."""


class AccessDeniedError(RefusedError):
    """The gate denied access or ended it: no permission, no consent, or no valid session."""


class InternalError(GalenicError):
    """The machine or Galenic itself failed: disk full, damaged state, a bug."""

    exit_code = 3


class StoreError(InternalError):
    """State could not be written or read; the state before the operation is unchanged."""


class KeyErasedError(StoreError):
    """A key does not exist: it was never made, or it was destroyed. Data encrypted with it cannot be read again."""
