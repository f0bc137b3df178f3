"""Ages above 89 in numbers and words, which Safe Harbor counts as identifiers (45 CFR 164.514(b)(2)(i)(C))."""

import re
from collections.abc import Iterator

_OLD = r"(?<![\d./-])(?:9\d|1[0-2]\d)"
_UNIT = r"(?:years?|yrs?|y/?o\b|y\.o\.|yo\b|años?|anos?\b|jahre)"
_THEN = r"(?:when (?:he|she|they|his|her|it)|and (?:lives?|still|frail|well)|years|now\b|at (?:the time|death|diagnosis|onset))"
_KIN = (
    r"(?:mother|father|mom|mum|dad|parents?|wife|husband|brother|sister|son|daughter|(?:great-?)?grand\w{2,8}|aunt|uncle|cousin|partner|spouse"
    r"|m(?:at)?gm|m(?:at)?gf|p(?:at)?gm|p(?:at)?gf)"
)
_DIED = r"(?:died|dies|passed(?: away)?|deceased|expired|dead|alive|living|lived to|survived to)"
# words between a relative and a number that is no age; units behind one
_NO_MEASURE = (
    r"(?:(?!\b(?:sats?|sugars?|glucose|hr|bp|temp\w*|fever\w*|weigh\w*|pulse|o2|oxygen|spo2|rate|bgs?|lbs|readings?"
    r"|checks?|notes|room|at \d)\b)"
    r"[^.;\d\n])"
)
_NO_UNIT = (
    r"(?![\w/%°]|[.,:-]\d|\s?(?:%|mm\s?hg|bpm|mg|mcg|ml|kg|lbs?|cm|degrees"
    r"|d[íi]as|days|min|seg|horas|hours|h\b|mes|months|sem|weeks|metros|beats))"
)
NUMBERS = re.compile(
    rf"(?P<years>{_OLD})\s?-?(?={_UNIT})(?!\w+ (?:ago|later|before)\b)"
    rf"|(?P<range>{_OLD})(?=\s?(?:-|–|to|and|or|a|y)\s?\d{{2,3}}\s?-?{_UNIT})"
    rf"|(?P<sex>{_OLD})(?=\s?(?:[MFVH]\b(?![-/°])|(?:fe)?male\b|[wm]an\b|woman\b))"
    rf"|\b(?:edad|de|varón|mujer|hombre|paciente)\s{{0,3}}:?\s{{0,3}}(?P<spanish>{_OLD}\s?a)\b"
    r"|(?<![^\W_])(?:edad|ag(?:ed?|es)|age of|turned|turns)[\s_]{0,3}(?:[:=]|is\b)?\s{0,3}\"?"
    r"(?P<label>(?:9\d|1[0-2]\d)(?:[.,]\d{1,2})?)(?![\d.,/]*[\d%])\b"
    rf"|(?P<birthday>{_OLD}\s?(?:st|nd|rd|th|º|°|ª|\.º|er))(?=\s{{1,3}}(?:birth\s?day|b-?day|cumpleaños|year of (?:life|age)))"
    rf"|\bin (?:his|her|their|my) (?P<year>{_OLD}\s?(?:st|nd|rd|th))(?= year\b)"
    rf"|\b(?:was|were|is|am|are|at|now|only|nearly|almost|about) (?P<when>{_OLD})(?=,? {_THEN})"
    rf"|\b{_KIN}\b{_NO_MEASURE}{{0,60}}?\b(?:at|now|is|was|to|age)\s(?P<kin>{_OLD}){_NO_UNIT}"
    rf"|\b{_DIED}\b{_NO_MEASURE}{{0,40}}?\b(?:at|to|age)\s(?P<died>{_OLD}){_NO_UNIT}"
    rf"|\b(?:s?he|who) (?:is|was|turned) (?:now |only |nearly |almost |already )?(?P<she>{_OLD})(?=[.,;]\s|[.,;]?$| and\b)"
    rf"|\b(?:lived to|a los)\s(?P<los>{_OLD}){_NO_UNIT}"
    r"|(?<![\d./-])(?P<months>10[89]\d|1[1-4]\d\d)(?=\s(?:months?|mos)\b)",
    re.I,
)
_TEMPERATURE = re.compile(r"(?:temp\w*|fever\w*|febrile|tmax|t|°)\W{0,3}(?:\w{1,6}\W{1,3}){0,3}$", re.I)
_ONES = r"(?:one|two|three|four|five|six|seven|eight|nine)"
_TEENS = rf"(?:{_ONES}|ten|eleven|twelve|(?:thir|four|fif|six|seven|eigh|nine)teen|twenty(?:[- ]{_ONES})?)"
_UNOS = r"(?:un[oa]?|dos|tres|cuatro|cinco|seis|siete|ocho|nueve)"
_ORDINALS = (
    r"(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh|twelfth|(?:thir|four|fif|six|seven|eigh|nine)teenth"
    r"|twentieth)"
)
_ORDINALES = (
    r"(?:primer[oa]?|segund[oa]|tercer[oa]?|cuart[oa]|quint[oa]|sext[oa]|s[ée]ptim[oa]|octav[oa]|noven[oa]|d[ée]cim[oa])"
)
_SPELLED = rf"(?:nine|one[- ](?:zero|oh|o|one))[- ](?:zero|oh|o|{_ONES})"
_MEASURED = (
    r"(?![- ](?:percent|per\s?cent|por ciento|%|m[gl]\b|milli\w+|micro\w+|kilo\w+|grams?|gramos?|pounds?|units?|unidades|degrees?|grados"
    r"|minutes?|minutos|seconds?|hours?|horas?|days?|días|weeks?|semanas|months?|meses|beats?|over|sobre|feet|met(?:er"
    r"|re)s?|cent\w+|cc|dollars?|bpm))"
)
WORDS = re.compile(
    rf"\bninet(?:y(?:[- ]{_ONES})?\b(?![- ]{_ONES}){_MEASURED}|ies\b)"
    rf"|\b(?:a|one) hundred(?:(?: and|,)? {_TEENS})?\b(?=[- ]{_UNIT})"
    rf"|\b(?:aged?|is|turned|lived to|edad) (?:of |be )?(?P<v>(?:a|one) hundred(?:(?: and|,)? {_TEENS})?)\b{_MEASURED}"
    rf"|\b1 hundred(?:(?: and|,)? (?:\d{{1,2}}|{_TEENS}))?\b(?=[- ]{_UNIT})"
    rf"|\b(?:ninet(?:ieth|y[- ]{_ORDINALS})|(?:(?:a|one) )?hundred(?:th| and {_ORDINALS}))\b(?= (?:birth\s?day|b-?day|year of (?:life|age)))"
    rf"|\bin (?:his|her|their|my|the) (?P<nth>(?:ninet(?:ieth|y[- ]{_ORDINALS})|(?:one )?hundred(?:th| and {_ORDINALS})))(?= year\b)"
    rf"|\bfour[- ]?score(?: years)? and (?:ten|eleven|twelve|\w{{3,5}}teen)\b"
    rf"|(?<![^\W_])(?:aged?|turned)(?:\s(?:is|of)|\s?[:=])?\s{{1,3}}(?P<spelled>{_SPELLED})\b{_MEASURED}"
    rf"|\b(?:nonag[ée]simo|cent[ée]simo)(?: {_ORDINALES})?(?= (?:cumpleaños|aniversario de (?:su )?nacimiento))"
    rf"|\bnoventa(?: y {_UNOS})?\b(?! y {_UNOS}){_MEASURED}|\b(?:cien|ciento {_UNOS})\b(?= años)"
    r"|\b(?:nona|cente|supercente)(?:genari(?:ans?|[oa]s?)|nari(?:ans?|[oa]s?))\b"
    r"|\b(?:in|into) (?:his|her|their|the)(?: (?:early|mid|late))?[- ](?P<decade>90['’]?s)\b",
    re.I,
)
BIRTH_YEAR = re.compile(r"\b(?:born|birth|dob|b\.|nacid[oa]|nacimiento)\b[^\d\n]{0,20}(?P<v>(?:18|19)\d\d)\b", re.I)
_OVER_89 = re.compile(rf"ninet|hundred|noventa|cien|score|nonag|cent[ée]sim|\b{_SPELLED}\b", re.I)
_SUFFIX = re.compile(r"[- ]?(?:years?|yrs?)\b(?:[- ]?old\b| of age\b)?|[- ]?(?:yo\b|y/o\b|y\.o\.)", re.I)


def find_numbers(text: str) -> Iterator[tuple[int, int, str]]:
    """Ages above 89 in digits, and years of birth."""
    for m in NUMBERS.finditer(text):
        group = str(m.lastgroup)
        if (
            group == "sex"
            and text[m.end() : m.end() + 2].strip()[:1] in "Ff"
            and _TEMPERATURE.search(text[max(0, m.start() - 30) : m.start()])
        ):
            continue  # degrees Fahrenheit
        yield *m.span(group), "age"
    for m in BIRTH_YEAR.finditer(text):
        yield *m.span("v"), "date"


def find_words(text: str) -> Iterator[tuple[int, int]]:
    """Ages above 89 in words."""
    for m in WORDS.finditer(text):
        yield m.span(m.lastgroup or 0)


def is_over_89(value: str) -> bool:
    """True if words state an age above 89."""
    return _OVER_89.search(value) is not None or WORDS.search(value) is not None


def suffix_end(text: str, at: int) -> int:
    """End of "-year-old" and similar words after an age."""
    m = _SUFFIX.match(text, at)
    return m.end() if m else at
