"""URLs that identify nobody: canonical URLs of HL7 and of publishers of terminology, made of known words."""

import re
from functools import cache, lru_cache
from urllib.parse import urlsplit

from galenic.privacy.deidentification.rules.coded_words import is_plain
from galenic.privacy.deidentification.rules.codes import known_words, published_system
from galenic.records.fhir import r4

_VERSION = re.compile(r"\d{1,2}(?:\.\d{1,2}){0,2}")


@cache
def _type_words() -> frozenset[str]:
    return frozenset(name.casefold() for name in (*r4().resources, *(t for t in r4().types if "." not in t)))


@lru_cache(20_000)
def is_published_url(url: str, common: frozenset[str]) -> bool:
    """True if a URL, possibly with a version after |, is one that HL7 or a publisher of terminology has assigned."""
    if published_system(url) is not None:
        return True
    plain, bar, version = url.partition("|")
    try:
        parts = urlsplit(plain)
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or parts.netloc not in known_words("hosts") or parts.query:
        return False
    if bar and not _VERSION.fullmatch(version):
        return False
    segments = [s for s in (*parts.path.split("/"), parts.fragment) if s]
    return all(_is_known(segment, common) for segment in segments) and sum(c.isdigit() for c in plain) <= 6


def _is_known(segment: str, common: frozenset[str]) -> bool:
    extension = segment.rpartition("/")[2] in r4().extensions
    return extension or all(word.casefold() in _type_words() or is_plain(word, common) for word in re.split(r"[-_.]", segment))


def is_language(tag: str) -> bool:
    """True if a text is an ISO 639-1 language, optionally with a region or script (BCP 47)."""
    return re.fullmatch(r"[a-z]{2}(?:-(?:Hans|Hant|Latn|Cyrl|Arab))?(?:-[A-Z]{2})?", tag) is not None


def media_type(value: str) -> str | None:
    """A registered media type without its parameters; None if it is not a known one."""
    plain = value.partition(";")[0].strip().casefold()
    return plain if plain in known_words("media") else None
