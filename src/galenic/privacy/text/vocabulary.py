"""Vocabulary: words of ordinary and clinical text, which distinguish validated languages and identify nobody."""

import re
from functools import cache, lru_cache
from importlib.resources import files

_SHORT = 4  # letters of a short abbreviation
WORD = re.compile(r"[^\W\d_]{2,}")
# Stems of non-proprietary names of drugs (USAN, INN) and endings of clinical terms
_STEMS = re.compile(
    r"\w{2,}(?:statin|pril|sartan|olol|dipine|azole|cillin|mycin|floxacin|cycline|prazole|tidine|gliptin|gliflozin|glutide|parin|xaban"
    r"|vir|tinib|ciclib|limus|thiazide|semide|triptan|setron|azepam|zolam|barbital|caine|sone|solone|olone|dronate|fibrate|platin|rubicin"
    r"|taxel|steride|terol|tropium|lukast|zumab|ximab|umab|mab|itis|osis|oses|emia|ectomy|ostomy|otomy|oscopy|plasty|opathy|algia|megaly"
    r"|graphy|ology|ological|plegia|pnea|uria|cyte|cytes|oma|omas|philia|penia|rrhea|rrhagia|lysis|cytosis|genic)",
    re.I,
)


@cache
def _words(name: str) -> frozenset[str]:
    text = files("galenic.privacy.text").joinpath(f"data/{name}.txt").read_text(encoding="utf-8")
    return frozenset(word for line in text.splitlines() if not line.startswith("#") for word in line.split())


@cache
def common_words(language: str) -> frozenset[str]:
    """Words of ordinary text in a validated language, in lower case."""
    return _words(f"{language}.common")


@lru_cache(100_000)
def is_known(word: str, language: str) -> bool:
    """True if a word belongs to the ordinary vocabulary of a language, or, in English, to clinical vocabulary."""
    return word.casefold() in common_words(language) or (language == "en" and is_clinical(word))


def is_clinical(word: str) -> bool:
    """True if a word is a clinical term, an abbreviation, or the name of a drug."""
    low = word.casefold()
    return low in _words("clinical") or is_note_word(word)


def is_note_word(word: str) -> bool:
    """True if a word is one of clinical notes, an abbreviation of them, or the name of a drug."""
    return word.casefold() in _words("note_words") or is_neutral(word)


def is_neutral(word: str) -> bool:
    """True if a word does not show its language: an abbreviation of notes, or the name of a drug."""
    low = word.casefold()
    return low in _words("brand_names") or is_abbreviation(word) or (len(low) > 6 and _STEMS.fullmatch(low) is not None)


def is_abbreviation(word: str) -> bool:
    """True if a word is an abbreviation of notes; a short one in capitals or small letters, not with one capital as a name."""
    return word.casefold() in _words("abbreviations") and (len(word) > _SHORT or word.isupper() or word.islower())
