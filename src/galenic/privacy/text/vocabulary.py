"""Vocabulary: words of ordinary and clinical text, which tell validated languages from others and identify nobody."""

import re
from functools import cache, lru_cache
from importlib.resources import files

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
    return frozenset(line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#"))


@cache
def common_words(language: str) -> frozenset[str]:
    """Words of ordinary text in a validated language, in lower case."""
    return _words(f"{language}.common")


@lru_cache(100_000)
def is_known(word: str, language: str) -> bool:
    """Whether a word belongs to the ordinary vocabulary of a language, or, in English, to clinical vocabulary."""
    low = word.casefold()
    return low in common_words(language) or (language == "en" and is_clinical(low))


def is_clinical(word: str) -> bool:
    """Whether a word is a clinical term, an abbreviation, or the non-proprietary name of a drug."""
    low = word.casefold()
    return low in _words("clinical") or (len(low) > 6 and _STEMS.fullmatch(low) is not None)
