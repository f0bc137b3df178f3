"""Words that identify nobody: the positive list that is used to recognize a table value as a category."""

import re
import tomllib
import unicodedata
from functools import cache, lru_cache
from importlib.resources import files

from galenic.errors import MissingExtraError
from galenic.privacy import text
from galenic.privacy.deidentification.rules.coded_words import terminology_words
from galenic.records import terminology

_WORD = re.compile(r"[^\W\d_]+")
_POSSESSIVE = re.compile(r"(?<=[a-z])['’]s\b")
_MIN_PART = 4  # letters of the shortest part of a compound
_LINKS = ("", "s", "es", "n", "en", "o")
# endings of medical terms in several languages, long enough for no surname; counted only where a header announces clinical content
_ENDINGS = re.compile(
    r"(?:[a-z]{3,}(?:itis|osis|opathy|opathie|opatia|emia|aemia|amie|ectomy|ektomie|ectomie|ectomia|algia|algie|algies|uria|urie|plegia|plegie|sclerosis|sklerose|"
    r"sclerose|esclerosis|graphy|graphie|grafie|grafia|scopy|skopie|scopie|scopia|therapy|therapie|terapia|plasty|plastik|plastie|plastia|otomy|otomie|otomia|"
    r"karzinom|carcinoma|carcinome|sarcoma|lymphoma|lymphom|linfoma|insuffizienz|insufficiency|insuffisance|insuficiencia|entzundung|entzuendung|schmerzen|schmerz|storung))"
)
_DRUG_ENDINGS = re.compile(
    r"[a-z]{2,}(?:olol|sartan|statin|cillin|mycin|floxacin|prazol|conazol|oxetin|triptan|setron|zepam|gliptin|gliflozin|glutid|parin|cyclin|thiazid|semid|dipin|tinib|"
    r"ciclib|zumab|ximab|tidin|azosin|caserin|cain|fenac|profen|xaban|gatran|grel|lukast|dronat|terol|tropium|sonid|solon|nacin|fibrat|glitazon)"
)


def fold(word: str) -> str:
    """The word in lower case, without accents, ß as ss."""
    low = unicodedata.normalize("NFKD", word.casefold().replace("ß", "ss"))
    return "".join(c for c in low if not unicodedata.combining(c))


def words_of(value: str) -> list[str]:
    """The words of a value, folded."""
    return _WORD.findall(_POSSESSIVE.sub("", fold(value)))


def _lines(name: str) -> list[str]:
    content = files("galenic.privacy.deidentification.rules").joinpath(name).read_text(encoding="utf-8")
    return [fold(w) for line in content.splitlines() if not line.startswith("#") for w in line.split()]


@cache
def word_set(name: str) -> frozenset[str]:
    """A set of words of word_sets.toml."""
    content = files("galenic.privacy.deidentification.rules").joinpath("word_sets.toml").read_text(encoding="utf-8")
    return frozenset(tomllib.loads(content)[name].split())


@cache
def clinical_words() -> frozenset[str]:
    """Words of clinical and administrative categories, and of the shipped terminologies."""
    return frozenset(_lines("clinical_words.txt")) | {fold(w) for w in terminology.ordinary_words()}


@cache
def _listed_words() -> frozenset[str]:
    """Words of the file alone: terminologies also hold words of accidents and places."""
    return frozenset(_lines("clinical_words.txt"))


@cache
def header_vocabulary() -> frozenset[str]:
    """Words of headers that announce clinical content."""
    content = files("galenic.privacy.deidentification.rules").joinpath("column_headers.toml").read_text(encoding="utf-8")
    kinds = tomllib.loads(content)
    return frozenset(w for kind in ("category", "measure", "drug", "code") for w in kinds[kind]["words"].split())


@cache
def drug_names() -> frozenset[str]:
    """Common drugs, without the endings by which languages differ."""
    return frozenset(_without_ending(w) for w in _lines("drug_names.txt"))


@cache
def state_words() -> frozenset[str]:
    """Words of the names of states and countries."""
    return frozenset(w for name in text.state_names() for w in words_of(name))


def _without_ending(word: str) -> str:
    return re.sub(r"(?:um|[aeo])$", "", word) if len(word) > 5 else word


@lru_cache(200_000)
def is_known(word: str) -> bool:
    """True if a folded word is on the positive list."""
    return word in clinical_words() or (len(word) > 4 and _without_ending(word) in drug_names()) or _is_ordinary(word)


def _is_ordinary(word: str) -> bool:
    """True if a word of ordinary text, of terminology or of headers is no name, listed or made of an ordinary word."""
    if len(word) < 3 or not (word in text.common_words("en") or word in terminology_words() or word in header_vocabulary()):
        return False
    return not (text.may_be_name(word) or is_name(word) or word in terminology.capitalized_words())


@lru_cache(200_000)
def is_clinical_term(word: str) -> bool:
    """True if a folded word has the form of a medical term, a drug or a compound of known words: only under a clinical header."""
    return bool(
        _ENDINGS.fullmatch(word) or _DRUG_ENDINGS.fullmatch(_without_ending(word)) or _is_compound(word) or _is_plural(word)
    )


def _is_plural(word: str) -> bool:
    return len(word) > 5 and any(
        word.endswith(e) and word[: -len(e)] in clinical_words() for e in ("s", "es", "n", "en", "e", "er")
    )


def _is_compound(word: str) -> bool:
    listed = _listed_words()
    for i in range(_MIN_PART, len(word) - _MIN_PART + 1):
        for link in _LINKS:
            head, tail = word[: i - len(link)], word[i:]
            if len(head) >= _MIN_PART and word[i - len(link) : i] == link and head in listed and tail in listed:
                return True
    return False


@lru_cache(200_000)
def is_name(word: str) -> bool:
    """True if a folded word is a listed name of people; False without the lists."""
    try:
        return len(word) > 2 and text.is_listed_name(word)
    except MissingExtraError:
        return False


def has_eponym(words: list[str]) -> bool:
    """True if an ICD-10-CM eponym stands next to a word such as disease (Crohn's disease)."""
    return any(w in word_set("diseases") for w in words) and any(w in terminology.capitalized_words() for w in words)


def is_eponym(word: str) -> bool:
    """True if a folded word is capitalized everywhere in ICD-10-CM."""
    return word in terminology.capitalized_words()
