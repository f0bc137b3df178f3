"""Title, intended use and recipient of a run, as the person who requests it words them."""

import unicodedata
from dataclasses import dataclass, fields

from galenic.errors import OptionError

LONGEST = {"title": 100, "intended_use": 500, "recipient": 200}  # characters
LABELS = {"title": "title", "intended_use": "intended use", "recipient": "recipient"}


@dataclass(frozen=True)
class RunDetails:
    """Descriptive texts of a run, all optional. They are public: the card and the signed statement of a release contain them.

    title: short name of the result. intended_use: task that the recipient needs it for; it differs from the purpose of access.
    recipient: person or organization that receives it. OptionError for a text that is too long or contains control characters.
    Runs of spaces and line breaks become one space.
    """

    title: str = ""
    intended_use: str = ""
    recipient: str = ""

    def __post_init__(self) -> None:
        for field in fields(self):
            object.__setattr__(self, field.name, plain_line(getattr(self, field.name), LABELS[field.name], LONGEST[field.name]))


def plain_line(text: str, label: str, longest: int) -> str:
    """Text on one line, in Unicode form NFC. Raise OptionError, without the text, if it may not be displayed."""
    line = " ".join(unicodedata.normalize("NFC", text).split())
    if any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn") and c not in "\u200c\u200d" for c in line):
        raise OptionError(
            f"the {label} contains a control character or an invisible one. Expected letters, digits, punctuation and spaces. "
            "Type the text again."
        )
    if len(line) > longest:
        raise OptionError(f"the {label} has {len(line)} characters. Expected at most {longest}. Shorten it.")
    return line


NO_DETAILS = RunDetails()
