"""The errors Galenic raises, drawn as one tree by who can fix them.

Every message has three parts: what is wrong and where (column, row, code), what was expected, what to do now.
A message never holds a cell's value: messages end up in logs, and values are patient data.
"""


class GalenicError(Exception):
    """The root of every error that Galenic raises on purpose."""

    exit_code = 3


class InputError(GalenicError):
    """The person who called can fix it: another file, another description, another option."""

    exit_code = 2


class RecordError(InputError):
    """A file or a table is not what its description says."""


class InvalidResourceError(RecordError):
    """A resource is not what its standard says. issues: severity, code, expression and text of each."""

    def __init__(self, message: str, issues: tuple[tuple[str, str, str, str], ...] = ()) -> None:
        super().__init__(message)
        self.issues = issues


class DescriptionError(InputError):
    """A description of columns, a policy or an option contradicts itself."""


class NotFoundError(InputError):
    """There is nothing of that name, or nothing that this person may know of: the same answer for both."""


class GoneError(NotFoundError):
    """It was here and was deleted; its history may still be read."""


class ConflictError(InputError):
    """Somebody else changed it meanwhile, or a condition that was asked for does not hold."""


class MissingExtraError(InputError):
    """An optional part of Galenic is not installed; the message holds the install line."""


class RefusedError(GalenicError):
    """The gate said no: nothing left, and the refusal is on the audit chain."""

    exit_code = 1


class BudgetError(RefusedError):
    """A privacy budget would be overdrawn, or is too small to say anything."""


class ReleaseRefusedError(RefusedError):
    """Evidence, policy or signatures do not allow the release."""


class VerificationError(RefusedError):
    """A release is not what was signed."""


class AccessDeniedError(RefusedError):
    """The gate did not open, or closed again: no right, no consent, no session, or one that ended."""


class InternalError(GalenicError):
    """The machine or Galenic itself failed: disk full, damaged state, a bug."""

    exit_code = 3


class StoreError(InternalError):
    """State could not be written or read; what stood before still stands."""


class KeyErasedError(StoreError):
    """A key does not exist: never made, or forgotten. Nothing sealed with it can be read again."""
