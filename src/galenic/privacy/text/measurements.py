"""Measurements that a tagger could mistake for dates, ages or places: laboratory lines, numbers after a laboratory word, and
clinical scores."""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import replace

from galenic.privacy.text.plausible_names import may_be_name
from galenic.schema import TextSpan

MAX_AGE = 125
_LAB_NAMES = frozenset(
    """na k cl co2 hco3 bun cr crea glu gluc ca ica mg phos po4 alb ast alt alp ggt tbili dbili bili wbc rbc hgb hb hct hto plt plaq mcv rdw
    inr pt ptt aptt tsh a1c hba1c ldl hdl tg chol ldh ck ckmb trop tropi tnt bnp crp esr psa lip amy lac ph pco2 po2 pao2 paco2 be spo2 sao2
    sato2 hr rr sbp dbp map bp ta fc fr temp gcs wt bmi egfr gfr anc alc got gpt fa pcr vsg leuc uric ferr fe tibc b12 neut lymph eos""".split()  # noqa: SIM905
)
_NOT_LAB = frozenset("mrn ssn tel ext dob doa age edad aged room rm bed cama acct pager page fax nhc zip apt box st rd".split())  # noqa: SIM905
_NUMBER = r"[<>≤≥]?\d{1,4}(?:[.,]\d{1,3})?"
_PAIR = r"(?<![\w.])[A-Za-z][A-Za-z0-9]{0,6}[+-]?[ :=]{1,2}" + _NUMBER + r"%?(?![\w/-]|[.,:]\d)"
_LINE = re.compile(rf"{_PAIR}(?:[ ,;|]{{1,3}}{_PAIR}){{2,60}}")
_LAB_WORD = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_ONE_PAIR = re.compile(_PAIR)
_IS = r"(?:\s?[:=]\s?|\s(?:(?:is|was|level|levels|of|at|now|still|today|only|around|about|score|scale|rated|a|es|de|era|fue|en)\s){0,3})"
_MEASURED = re.compile(
    r"\b(?:sugars?|glucose|glucosa|glucemia|bgl?|fsbs|accu-?checks?|creatinine|creatinina|sodium|sodio|potassium|potasio|cholesterol|colesterol"
    r"|triglycerides|triglic[ée]ridos|ferritina?"
    r"|platelets|plaquetas|hemoglobina?|leuco?citos|urea|bilirubina?|lactate|lipase|albumina?|troponina?"
    r"|heart rate|pulse|pulso|weight|peso|sats?|saturation|saturaci[óo]n|systolic|diastolic|bun|ldl|hdl|tsh|egfr|hba1c|a1c|spo2|hr|rr|wbc|plt)"
    rf"{_IS}{_NUMBER}(?![\w/-]|[.,:]\d)",
    re.I,
)
_OUT_OF = r"(?P<a>\d{1,2}(?:\.5)?)\s?/\s?(?P<b>10|4|5|6|15|30|100)(?![\d/.-]*\d)"
_WHOLES = (
    (re.compile(r"pain|dolor|eva\b|nrs|vas\b|ache|anxiety|mood|fatigue|nausea|distress|intensi", re.I), ("10", "100")),
    (re.compile(r"strength|fuerza|motor|power|mrc", re.I), ("5",)),
    (re.compile(r"reflex|reflejos|rots|dtrs|pulses|pulsos", re.I), ("4",)),
    (re.compile(r"murmur|soplo|systolic", re.I), ("4", "6")),
)
_NOT_ON = "".join(rf"(?<!\b{word} )" for word in ("on", "since", "seen", "from", "until", "by", "el", "del", "dated", "visit"))
_SCORED = (
    r"(?:pain|dolor|eva|nrs|vas|ache|severity|intensity|intensidad|strength|fuerza|motor|power|mrc|reflex(?:es)?|reflejos|rots?|dtrs?|pulses|pulsos"
    r"|murmurs?|soplo|gcs|glasgow|mmse|moca|scored?|scale|escala|rated|rates (?:it|pain)|anxiety|mood|fatigue|nausea|distress)"
)
_LIMB = (
    r"(?:[LR]?[UL]E|[BR]LE|BUE|[MB]{1,2}[IS]{2}|upper|lower|bilaterally|bilat|throughout"
    r"|systolic|diastolic|murmur|soplo|strength|motor|pain|dolor)"
)
_EYE = r"(?:20/(?:1[05]|[2-9]\d|[1-9]\d0)|6/(?:5|6|7\.5|9|12|18|24|36|60))"
_SCORES = (
    re.compile(
        rf"\b{_SCORED}(?:\s?[:=]\s?|,?\s(?:(?:is|was|of|at|now|level|rated|a|scale|score|currently|about|from|es|de)\s){{0,3}}){_OUT_OF}",
        re.I,
    ),
    re.compile(rf"(?<![\d/.-]){_NOT_ON}{_OUT_OF}\s{_LIMB}\b"),
    re.compile(
        rf"(?:\bto |→ ?|, |; |\band )(?<!on ){_OUT_OF}(?=\s(?:after|with|at rest|on movement|on exertion|in the|w/|tras|en reposo)\b)",
        re.I,
    ),
    re.compile(
        rf"\b(?:acuity|vision|visual|agudeza visual"
        rf"|visus|va|av|snellen|o[dsui])\b[\s:=,]{{1,3}}(?:(?:is|was|of|sc|cc|o[dsui])\s){{0,2}}{_EYE}(?!\d|/\d)",
        re.I,
    ),
    re.compile(rf"(?<![\d/.-]){_EYE}\s(?:O[DSUI]|in (?:the |both |each )?(?:right|left|eyes?))\b"),
    re.compile(
        r"\bapgars?(?:\s(?:scores?|de|of|were|was|is))*[\s:=]{1,2}(?:10|\d)\s?(?:/|,|and|y)\s?(?:10|\d)(?:\s?/\s?(?:10|\d))?(?![\d/])",
        re.I,
    ),
    re.compile(
        r"\b(?:Gleason|Child[- ]Pugh|MELD|TIMI|NYHA|Killip|Breslow|FIGO|Ranson|Mallampati|Braden|Caprini|Fitzpatrick"
        r"|Hunt[- ]Hess|Karnofsky|ECOG|Rankin"
        r"|mRS|NIHSS|Barthel|GCS|CURB-?65|HAS-BLED|CHA2DS2-VASc|APACHE|SOFA|PHQ-?9|GAD-?7|Apgar"
        r"|(?:Wells|Clark|Bishop|Norton|Morse|Tanner|Katz)(?= (?i:score|stage|level|class|index|estadio|escala)))"
        r"(?:\s(?i:level|score|class|stage|grade|index|clase|grado|estadio|scale))?[\s:=]{1,2}(?:\d{1,3}(?:\.\d)?(?:\+\d)?(?:\s?=\s?\d{1,2})?|[IV]{1,3}[ABC]?|[ABC])(?![\w/])"
    ),
)


def find_measurements(text: str) -> list[tuple[int, int]]:
    """Positions of measurements, in order, without overlaps."""
    found = sorted({*_lines(text), *(m.span() for m in _MEASURED.finditer(text)), *_scores(text)})
    out: list[tuple[int, int]] = []
    for a, b in found:
        if out and a < out[-1][1]:
            out[-1] = (out[-1][0], max(b, out[-1][1]))
        else:
            out.append((a, b))
    return out


def _scores(text: str) -> Iterator[tuple[int, int]]:
    """Scores: a value is at most the whole that it is a part of."""
    for pattern in _SCORES:
        for m in pattern.finditer(text):
            if "b" not in pattern.groupindex or (float(m["a"]) <= float(m["b"]) and _is_whole_of(m)):
                yield m.span()


def _is_whole_of(m: re.Match[str]) -> bool:
    """True if the number behind the stroke is the whole of such a score: pain is told out of ten, a murmur out of six."""
    return all(m["b"] in wholes for words, wholes in _WHOLES if words.search(m[0]))


def _lines(text: str) -> Iterator[tuple[int, int]]:
    """Short words, each followed by a number, at least half of them names of measurements and none of them a person's."""
    for line in _LINE.finditer(text):
        run: list[tuple[int, int, bool]] = []
        for pair in (*_ONE_PAIR.finditer(text, *line.span()), None):
            word = _LAB_WORD.match(pair[0])[0].casefold() if pair else ""  # type: ignore[index]
            if pair and word not in _NOT_LAB and (word in _LAB_NAMES or not may_be_name(word)):
                run.append((*pair.span(), word in _LAB_NAMES))
                continue
            if len(run) > 2 and 2 * sum(known for _, _, known in run) >= len(run):
                yield run[0][0], run[-1][1]
            run = []


def without_measurements(text: str, spans: Iterable[TextSpan]) -> Iterator[TextSpan]:
    """Guesses without measurements, cut at the bounds of measurements; ages are at most MAX_AGE."""
    spans = list(spans)
    found = find_measurements(text) if spans else []
    starts = [a for a, _ in found]
    for span in spans:
        value = text[span.start : span.end]
        if span.kind == "age" and value.isdecimal() and int(value) > MAX_AGE:
            continue
        at, end = span.start, span.end
        for a, b in found[max(bisect_right(starts, at) - 1, 0) : bisect_right(starts, end)]:
            if b <= at or a >= end:
                continue
            if any(c.isalnum() for c in text[at:a]):
                yield replace(span, start=at, end=a)
            at = max(at, b)
        if at == span.start or any(c.isalnum() for c in text[at:end]):
            yield replace(span, start=at)
