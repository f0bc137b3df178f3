"""Names that only their context reveals: of relatives in Spanish, in small letters in short notes, letter by letter, and of
places."""

import re
from collections.abc import Iterator

from galenic.privacy.text.plausible_names import family_words, given_words, may_be_name
from galenic.privacy.text.vocabulary import is_clinical, is_known
from galenic.schema import TextSpan

_TITLE_CASE = r"[A-ZÁÉÍÓÚÑÜ][a-záéíóúñüç]{1,20}(?:-[A-ZÁÉÍÓÚÑÜ][a-záéíóúñüç]{1,20})?"
_KIN = (
    r"(?:hij[oa]|mujer|espos[oa]|marido|herman[oa]|madre|padre|mam[áa]|pap[áa]|vecin[oa]|sobrin[oa]|niet[oa]|abuel[oa]"
    r"|t[íi][oa]|prim[oa]|cuñad[oa]"
    r"|suegr[oa]|nuera|yerno|novi[oa]|pareja|amig[oa]|cuidadora?|compañer[oa]|familiar|tutora?|acompañante|viud[oa]|conviviente)"
)
_RELATIVE = re.compile(
    rf"(?:\b(?P<whose>(?i:su|sus|la|el|mi|una?|con))\s)?\b(?i:{_KIN})(?:\s(?i:mayor|menor|pequeñ[oa]|mediana|mediano|únic[oa]|polític[oa]))?"
    rf"(?P<mark>,|:|\s(?i:llamad[oa]|es|se llama|de nombre))?\s\(?(?P<v>{_TITLE_CASE}(?:\s(?:(?:de|del|de la|de los"
    rf"|y)\s)?{_TITLE_CASE}){{0,3}})(?![\w-])"
)
_CLERICAL = "|".join(
    (
        "npo",
        "ok",
        "stable",
        "c/o",
        "reports",
        "denies",
        "refuses",
        "refused",
        "d/c",
        "dc",
        "seen",
        "here",
        "back from",
        "dnr",
        "wants",
    )
)
_ASKED = re.compile(
    r"\b(?:ask|asked|tell|told|call|called|phoned|paged|text|texted|remind|spoke w/|d/w)\s(?P<v>[a-z]{3,20})(?=\s(?:re"
    r"|about|to|that|if|regarding|w/|for)\b)"
    rf"|\b(?:pt|patient|pat)\s(?P<w>[a-z]{{3,20}})(?=\s(?:{_CLERICAL})(?!\w))"
    r"|(?:(?<=\n)|^)(?P<x>[a-z]{3,20}, [a-z])(?=[.:]\s)"
)
# words of the lists of names that are states of patients, places of work, or findings, in small letters
_ORDINARY = frozenset(
    """well still best good keen strong poor hurt sweet moody happy young small large short long true gay ward nurse church school
    bank price police
    patient pain hand foot head blood rash bone bones weeks day days week month months night noon cure case land list house home
    press balance rain
    high low cross nail bed rest may will mark cold fast back free clear cook doctor sister baby mother father""".split()  # noqa: SIM905
)
_SPELLED = re.compile(r"(?<!\S)[^\W\d_](?: [^\W\d_]){2,20}(?: {2,4}[^\W\d_](?: [^\W\d_]){1,20}){0,5}(?![^\s,.;:])")
MAX_ACRONYM = 4  # letters of an abbreviation that may be spelled, as G E R D
_PLACE = re.compile(
    r"\b(?i:came (?:here )?from|comes from|moved (?:here |back |away )?(?:from|to)|drives (?:in |down |up |over )?(?:to"
    r"|from)|drove (?:in )?from"
    rf"|lives (?:on|near|by|outside|over in)|flew (?:in )?from|commutes (?:to|from)|grew up in"
    rf"|raised in)\s(?P<v>{_TITLE_CASE}(?:\s{_TITLE_CASE})?)(?![\w-])"
)
_NO_PLACE = frozenset(
    """home work hospital clinic dialysis radiology surgery church school medicaid medicare disability social emergency
    oncology cardiology urgent
    rehab nursing assisted skilled hospice outside intensive primary""".split()  # noqa: SIM905
)


def find_context_names(text: str) -> Iterator[TextSpan]:
    """Spans of layer "list"."""
    for m in _RELATIVE.finditer(text):
        if end := _relative_end(m):
            yield TextSpan(m.start("v"), end, "name", "list", 0.7)
    for m in _ASKED.finditer(text):
        a, b = m.span(str(m.lastgroup))
        word = text[a:b].partition(",")[0]
        if word not in _ORDINARY and (word in given_words() or word in family_words()):
            yield TextSpan(a, b, "name", "list", 0.7)
    for m in _SPELLED.finditer(text):
        words = [w.replace(" ", "").casefold() for w in re.split(r" {2,4}", m[0])]
        if len(words) == 1 and len(words[0]) <= MAX_ACRONYM and m[0].isupper():
            continue
        if any(map(may_be_name, words)) or (len(words) > 1 and not any(is_known(w, v) for w in words for v in ("en", "es"))):
            yield TextSpan(*m.span(), "name", "list", 0.7)
    for m in _PLACE.finditer(text):
        first = m["v"].split()[0].casefold()
        if first not in _NO_PLACE:
            yield TextSpan(*m.span("v"), "place", "list", 0.7)


def _relative_end(m: re.Match[str]) -> int:
    """The end of a relative's name; 0 if the words are findings. Behind a colon, or without a word such as "su", a name must be listed."""
    end = 0
    for word in re.finditer(r"[^\W\d_]+(?:-[^\W\d_]+)?", m["v"]):
        low = word[0].casefold()
        if word[0][0].islower():
            continue
        listed = may_be_name(low)
        if not (listed or (m["whose"] and m["mark"] != ":" and not is_clinical(low))):
            break
        end = m.start("v") + word.end()
    return end
