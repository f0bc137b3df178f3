"""Names of people in prose that consist of ordinary words: after a title, before a degree or a verb of speaking and seeing, or
as a pair."""

import re
from collections.abc import Iterator

from galenic.privacy.text.plausible_names import family_words, given_words, may_be_name
from galenic.privacy.text.vocabulary import is_known
from galenic.schema import TextSpan

_CAPITALIZED = r"[^\W\d_a-zß-öø-ÿ](?:['’][^\W\d_a-zß-öø-ÿ])?[^\W\d_]{1,30}(?:-[^\W\d_]{2,30})?"
_TITLED = re.compile(
    r"\b(?P<title>(?i:dr|drs|prof|mr|mrs|ms|miss|mx|sr|sra|dra|rev|sister|nurse|doctor|doctora|enfermer[oa]|matron|midwife|surgeon|pharmacist"
    r"|therapist|physician|attending|resident|consultant|aunt|uncle|patient|pt|client|caller|paciente|señora?|don|doña|signed|cc|attn))"
    rf"(?:\.|:|,|(?i: is| named| called| by))?[ \t]{{1,3}}(?P<v>{_CAPITALIZED}(?: (?:[A-Z]\.? )?{_CAPITALIZED})?)(?![\w-])"
)
_STRICT = frozenset(("dr", "drs", "mr", "mrs", "ms", "miss", "mx", "dra", "sra"))  # titles that nothing but a name follows
_LOOSE = frozenset(("nurse", "sister", "doctor", "doctora", "matron", "midwife", "aunt", "uncle", "enfermera", "enfermero"))
_PAIR = re.compile(rf"(?<![\w.'’-])(?P<a>{_CAPITALIZED}) (?:[A-Z]\.? )?(?P<b>{_CAPITALIZED})(?![\w-])")
_ACTED = (
    r"(?:saw|visited|phoned|telephoned|rang|spoke|met|came|went|lives?|lived|works?|worked|says?|said|told|asked"
    r"|reports|denies|denied|complains"
    r"|feels|wants|agrees|agreed|attended|called|checked|examined|reviewed|wrote|signed|assessed|counsel+ed|drove|brought|walked|fell|slept|ate"
    r"|took|gave|changed|(?:is|was) (?:here|seen|admitted|brought|discharged|an? |\d))"
)
_BEFORE_VERB = re.compile(
    rf"(?:(?<=[.!?:;\n] )|(?<=\n)|^)(?P<v>{_CAPITALIZED}) (?:(?:has|had|also|then|just|again|first|never) )?{_ACTED}"
)
_KIN = (
    r"(?:mother|father|wife|husband|son|daughter|brother|sister|partner|niece|nephew|cousin|friend|neighbo(?:u?)r|grand\w{3,8})"
)
_RELATED = re.compile(
    rf"\b(?i:{_KIN})(?:,| is| was| named| called)? (?P<v>{_CAPITALIZED})(?![\w-])"
    rf"|(?<![\w-])(?P<w>{_CAPITALIZED}), (?:the |his |her |their |my |an? )?(?:\w{{2,12}} )?{_KIN}\b"
)
_SMALL = re.compile(
    rf"\b(?:(?:nurse|sister|doctor|dr|mr|mrs|ms)\.? (?P<v>[a-z]{{3,20}})|(?P<a>[a-z]{{3,20}}) (?P<b>[a-z]{{3,20}})) (?={_ACTED})"
)
_AND = re.compile(rf",? (?:and|or|&|y) (?P<v>{_CAPITALIZED})(?![\w-])")
_DEGREE = re.compile(
    rf"(?<![\w-])(?P<v>{_CAPITALIZED})(?:,| )\s?(?:M\.?D|D\.?O|R\.?N|N\.?P|P\.?A(?:-C)?|Ph\.?D|MBBS|FRC[SP]|LPN|DPM|PharmD|APRN|CRNA)\b"
)
# words of the lists of names that begin sentences about findings, not about people
_FINDINGS = frozenset(
    """patient nurse pain hand foot head blood rash bone bones weeks day days week month months night noon hurt cure case land list house home
    stones press balance rain rains rush high low cross""".split()  # noqa: SIM905
)
# words that follow a title in notes and are nobody's name
_NO_NAMES = frozenset(
    """appointment appointments appt visit visits office note notes order orders name signature call called phone recommends
    recommended advised said
    says told today yesterday tomorrow consult consultation referral review reviewed clinic hospital list who at in to for and or
    the a an is was
    has had not will aware notified informed paged here there on of with by from saw seen see please wants wanted if when
    contin""".split()  # noqa: SIM905
)


def find_prose_names(text: str) -> Iterator[TextSpan]:
    """Spans of layer "list": names that differ from ordinary words only by their context."""
    for a, b in (*_titled(text), *_pairs(text), *_before_verbs(text), *_beside(text), *_small(text)):
        yield TextSpan(a, b, "name", "list", 0.7)
        joined = _AND.match(text, b)
        if joined and may_be_name(joined["v"].casefold()):
            yield TextSpan(*joined.span("v"), "name", "list", 0.7)


def _titled(text: str) -> Iterator[tuple[int, int]]:
    for m in _TITLED.finditer(text):
        first, *_ = words = m["v"].split()
        if _is_name_after(m["title"], first, text[m.end("title")] == "."):
            yield m.start("v"), m.end("v") if len(words) == 1 or _may_continue(words[-1]) else m.start("v") + len(first)


def _before_verbs(text: str) -> Iterator[tuple[int, int]]:
    for m in _BEFORE_VERB.finditer(text):
        if _is_word_name(m["v"].casefold()):
            yield m.span("v")


def _beside(text: str) -> Iterator[tuple[int, int]]:
    """Beside a degree or a relation."""
    for pattern in (_DEGREE, _RELATED):
        for m in pattern.finditer(text):
            a, b = m.span(str(m.lastgroup))
            if may_be_name(text[a:b].casefold()):
                yield a, b


def _small(text: str) -> Iterator[tuple[int, int]]:
    """In small letters, before a verb of speaking and seeing: behind a title, or as a pair."""
    for m in _SMALL.finditer(text):
        if m["v"] and _is_word_name(m["v"]):
            yield m.span("v")
        elif m["a"] and m["a"] in given_words() and m["b"] in family_words() and m["b"] not in _FINDINGS:
            yield m.start("a"), m.end("b")


def _is_word_name(word: str) -> bool:
    return (word in given_words() or word in family_words()) and word not in _FINDINGS


def _pairs(text: str) -> Iterator[tuple[int, int]]:
    """A given name that is a word before a family name; every word may begin a pair."""
    at = 0
    while m := _PAIR.search(text, at):
        a, b = m["a"].casefold(), m["b"].casefold()
        if a in given_words() and may_be_name(b):
            yield m.span()
            at = m.end()
        else:
            at = m.end("a")


def _is_name_after(title: str, word: str, dotted: bool) -> bool:
    low = word.casefold()
    if title.casefold() in _STRICT:
        if may_be_name(low) or low in _NO_NAMES:
            return may_be_name(low)
        return not is_known(low, "en") or ((dotted or word.istitle()) and not (title == "MS" and not word.isupper()))
    if low in _FINDINGS and title.casefold() not in _LOOSE:
        return False
    return may_be_name(low) or (title.casefold() in _LOOSE and word.istitle() and not is_known(low, "en"))


def _may_continue(word: str) -> bool:
    low = word.casefold()
    return may_be_name(low) or not is_known(low, "en")
