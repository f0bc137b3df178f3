"""Names to plant: from the detector's lists, from other lists, and composed of syllables."""

from collections.abc import Iterator
from functools import cache
from importlib import import_module

import numpy as np

# locales by script; of Latin script those whose lists are used for surrogates and gazetteers, and others
LISTED = ("en_US", "es_ES", "de_DE", "fr_FR", "it_IT", "pt_BR", "nl_NL", "pl_PL", "sv_SE", "tr_TR", "en_IN")
UNLISTED = ("cs_CZ", "da_DK", "en_KE", "et_EE", "hr_HR", "id_ID", "lt_LT", "lv_LV", "no_NO", "sk_SK", "sl_SI", "yo_NG", "zu_ZA")
SCRIPTS = {
    "Han": ("zh_CN",),
    "Kana": ("ja_JP",),
    "Hangul": ("ko_KR",),
    "Cyrillic": ("ru_RU", "uk_UA"),
    "Greek": ("el_GR",),
    "Arabic": ("ar_SA",),
    "Hebrew": ("he_IL",),
    "Thai": ("th_TH",),
    "Devanagari": ("hi_IN",),
    "Bengali": ("bn_BD",),
    "Tamil": ("ta_IN",),
    "Georgian": ("ka_GE",),
    "Armenian": ("hy_AM",),
}
_ONSETS = ("b", "br", "d", "dr", "f", "g", "gl", "h", "k", "kl", "l", "m", "n", "p", "r", "s", "st", "t", "tr", "v", "w", "z")
_VOWELS = ("a", "e", "i", "o", "u", "ai", "ei", "ou")
_CODAS = ("", "", "l", "n", "r", "s", "nd", "rt", "ck", "m")


@cache
def _list_of(locale: str, part: str) -> tuple[str, ...]:
    """Given ("first") or family ("last") names of a locale; empty where the lists are not installed or have none."""
    try:
        provider = import_module(f"faker.providers.person.{locale}").Provider
    except ModuleNotFoundError:
        return ()
    attributes = [a for a in dir(provider) if a.startswith((f"{part}_names", f"{part}_name_pairs"))]
    attributes += [a for a in dir(provider) if a.startswith(f"{part}_name_") and a.endswith("pairs")]
    names = {name for a in attributes for name in _strings(getattr(provider, a))}
    least = 3 if locale in (*LISTED, *UNLISTED) else 1
    return tuple(sorted(n for n in names if n.isalpha() and len(n) >= least))


@cache
def _all_listed() -> str:
    """Listed names of Latin script, which surrogates have too, each between spaces."""
    names = {name.casefold() for locale in LISTED for part in ("first", "last") for name in _list_of(locale, part)}
    return "".join(f" {name} " for name in names)


def is_part_of_others(name: str) -> bool:
    """True if a name is part of longer listed ones, or could be one of a token's letters, so that a match would not prove the
    planted one."""
    word = name.casefold()
    return set(word) <= set("abcdef") or _all_listed().count(word) > _all_listed().count(f" {word} ")


def _strings(listed: object) -> Iterator[str]:
    for name in listed if isinstance(listed, tuple | list | dict) else ():
        if isinstance(name, str):
            yield name
        elif isinstance(name, tuple) and name:
            yield str(name[0])


def full_name(rng: np.random.Generator, script: str = "Latin") -> tuple[str, str]:
    """(given name, family name) in a script; composed of syllables where no list has any."""
    locales = _latin_locales(rng) if script == "Latin" else SCRIPTS.get(script, ())
    for place in rng.permutation(len(locales)):
        given, family = _list_of(locales[place], "first"), _list_of(locales[place], "last")
        if given and family:
            return given[rng.integers(len(given))], family[rng.integers(len(family))]
    return composed(rng), composed(rng)


def _latin_locales(rng: np.random.Generator) -> tuple[str, ...]:
    """Half of the names from lists that the detector has, and every tenth from none."""
    return LISTED if rng.random() < 0.5 else UNLISTED if rng.random() < 0.8 else ()


def composed(rng: np.random.Generator) -> str:
    """A name of two or three syllables that no list has."""
    syllables = (_ONSETS[rng.integers(len(_ONSETS))] + _VOWELS[rng.integers(len(_VOWELS))] for _ in range(rng.integers(2, 4)))
    return ("".join(syllables) + _CODAS[rng.integers(len(_CODAS))]).capitalize()
