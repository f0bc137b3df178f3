"""Normal form of person IDs, so that each person has one account, and names that are safe to display."""

import re
import unicodedata

from galenic.errors import OptionError

MOST_CHARACTERS = 120
FULL_STOPS = "。．｡․"  # that IDNA and NFKC read as "." (RFC 3490, 3.1)
INVISIBLE = frozenset(
    map(chr, (0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0))
)  # fillers, joiner, blank pattern
SELECTORS = ((0x180B, 0x180F), (0xFE00, 0xFE0F), (0xE0000, 0xE0FFF))  # variation selectors and tags, which are not shown
MARKS = {"’": "'", "‘": "'", "ʼ": "'", "＇": "'"}
ALPHABETS = ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE")  # alphabets with letters that look alike
ADDRESS = re.compile(r"<([^<>]+@[^<>]+)>\Z")  # of "Anna Berg <anna@clinic.example>"
BIDI = frozenset(map(chr, (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))))


def person_id(text: str) -> str:
    """Normal form of a staff number or an email address. Forms that people or mail systems treat as the same are equal.

    Unicode NFKC with case folding; without invisible characters and spaces; any digits, hyphens and full stops as ASCII; an
    address without display name, comment, tag (`+…`) and Punycode.

    >>> person_id("  Renée@Clinic。Example ") == person_id("rene\\u0301e@clinic.example")
    True
    """
    plain, before = _reduced(text), text
    while plain != before:  # removing in one step can create new text for another step; each step shortens the text or ends
        plain, before = _reduced(plain), plain
    if not plain or len(plain) > MOST_CHARACTERS:
        raise OptionError(
            "the person's ID is missing or too long. Expected a staff number or email address of 1 to 120 "
            "characters, the same for all accounts of the person."
        )
    alphabets = {a for a in ALPHABETS if any(unicodedata.name(c, "").startswith(a) for c in plain if c.isalpha())}
    if len(alphabets) > 1:
        raise OptionError(
            f"the person's ID mixes letters of several alphabets ({', '.join(sorted(alphabets)).lower()}). Type it in "
            "one alphabet."
        )
    return plain


def comparable(text: str) -> str:
    """Normal form of a person's ID for comparison; an older ID without one is returned unchanged."""
    try:
        return person_id(text)
    except OptionError:
        return " ".join(text.split()).casefold()


def _reduced(text: str) -> str:
    plain = _folded(text).strip()
    found = ADDRESS.search(plain)
    plain = "".join((found[1] if found else plain).split()).removeprefix("mailto:")
    return _address(plain) if "@" in plain else plain


def _folded(text: str) -> str:
    """NFKC with case folding (Unicode 3.13, toNFKC_Casefold), without invisible characters, and with ASCII digits and
    punctuation."""
    for _ in range(2):  # folding can give characters that NFKC changes again
        text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return "".join(_plain(c) for c in text)


def _plain(character: str) -> str:
    kind, code = unicodedata.category(character), ord(character)
    if character.isspace() or kind in ("Zs", "Zl", "Zp"):
        return " "
    if kind in ("Cc", "Cf", "Cn", "Cs", "Co") or character in INVISIBLE or any(a <= code <= b for a, b in SELECTORS):
        return ""
    if kind == "Nd":
        return str(unicodedata.decimal(character))
    if kind == "Pd" or character == "−":
        return "-"
    return "." if character in FULL_STOPS else MARKS.get(character, character)


def _address(text: str) -> str:
    """An email address as one mailbox: RFC 5322 comments and quotes, tags and Punycode removed."""
    local, _, host = re.sub(r"\([^()]*\)", "", text).rpartition("@")
    host = ".".join(_label(part) for part in host.strip(".").split("."))
    local = local.strip('"').partition("+")[0] or local
    return f"{local}@{host}"


def _label(text: str) -> str:
    if not text.startswith("xn--"):
        return text
    try:
        return _folded(text[4:].encode("ascii").decode("punycode")).strip()
    except (UnicodeError, ValueError):
        return text


def display_name(text: str) -> str:
    """Name that is safe to display. Raise OptionError for characters that control a terminal or the direction of text (UTS 39)."""
    if any(unicodedata.category(c) in ("Cc", "Cs", "Cn", "Zl", "Zp") or c in BIDI for c in text):
        raise OptionError(
            "the full name has characters that are not allowed. Use letters, marks, digits and spaces, without "
            "control or text-direction characters."
        )
    plain = " ".join(unicodedata.normalize("NFC", text).split())
    visible = [c for c in plain if _plain(c).strip()]
    if not visible or len(plain) > MOST_CHARACTERS:
        raise OptionError("the full name is missing or too long. Expected 1 to 120 characters.")
    return plain
