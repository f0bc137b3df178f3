"""Subject of a question or of an observation code: age, year of birth, name, address or number of a person."""

import re
from typing import Any

from galenic.privacy.deidentification.rules.quantities import AGE_CODES, OLDEST
from galenic.privacy.deidentification.rules.vocabulary import fold, word_set
from galenic.privacy.text import reveals_age_over_89

_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
_AGE = re.compile(
    r"\b(?:age|aged|ages|edad|alter|lebensalter|patientenalter|eta|idade|leeftijd|alder|wiek|varsta|kor|yas|ika|how old|yob|dob|born)\b"
    r"|\b(?:years?|date) of birth\b|\bbirth ?(?:year|date)\b|\bgeburts(?:jahr|datum)\b|\bgeboren\b|\bgeboorte(?:jaar|datum)\b"
    r"|\b(?:ano|fecha|annee|date|anno|data) (?:de|di) (?:nacimiento|naissance|nascita|nascimento)\b|возраст|年[龄齢]"
)
_NO_AGE = re.compile(r"gestation|menstrual|percentile|\bfor age\b|\bper age\b|average|coverage")
_PERSON = re.compile(
    r"\b(?:names?|surname|nickname|alias|nombres?|apellidos?|vorname|nachname|familienname|nom|prenom|cognome|sobrenome|naam|achternaam)\b"
    r"|\b(?:address|street|city|town|village|county|zip"
    r"|post(?:al)? ?code|hometown|direccion|ciudad|calle|adresse|anschrift|wohnort|stadt|strasse)\b"
    r"|\b(?:ville|rue|indirizzo|citta|endereco|cidade|adres|woonplaats|birthplace|geburtsort|lives? in|where do you live|residence)\b"
    r"|\b(?:place|city|country|lugar|lieu|luogo) (?:of|de|di) (?:birth|nacimiento|naissance|nascita)\b"
    r"|\b(?:employer|workplace|phone|telephone|telefon|telefono|mobile"
    r"|fax|e ?mail|emergency contact|contact (?:person|details)|next of kin|guardian|ssn|mrn|passport)\b"
)
_NINETIES = re.compile(
    r"ninet|nonagen|centen|hundred"
    r"|hundert|neunzig|novent|novant"
    r"|quatre-vingt-(?:dix|onze|douze|treize|quatorze|quinze|seize)|\bcien|\bcent\b|negentig"
)


def _plain(text: str) -> str:
    return re.sub(r"[\s_-]+", " ", fold(_HUMP.sub(" ", text)))


def asks_age(texts: list[str], codes: list[str]) -> bool:
    """True if a question asks for the age or birth of a person."""
    plain = [_plain(t) for t in texts]
    return any(c in AGE_CODES for c in codes) or any(_AGE.search(t) and not _NO_AGE.search(t) for t in plain)


def asks_person(texts: list[str]) -> bool:
    """True if a question asks for the name, address or number of a person, not of a drug or a test."""
    plain = [_plain(t) for t in texts]
    return any(_PERSON.search(t) and not any(w in word_set("named_things") for w in t.split()) for t in plain)


def reveals_old_age(number: float) -> bool:
    """True if a number without a unit of time reveals an age above 89, because an age or year of birth was asked for."""
    year = 1800 <= number <= 2100 and number == int(number)
    return reveals_age_over_89(int(number)) if year else number > OLDEST


def states_old_age(text: str) -> bool:
    """True if a text may state an age above 89, in digits or words, because an age or birth was asked for."""
    return _NINETIES.search(text.casefold()) is not None or any(reveals_old_age(float(n)) for n in re.findall(r"\d{1,9}", text))


def texts_and_codes(node: Any) -> tuple[list[str], list[str]]:
    """The texts and codes of a CodeableConcept."""
    if not isinstance(node, dict):
        return [], []
    codings = [c for c in node.get("coding", ()) if isinstance(c, dict)]
    return [str(node.get("text", "")), *(str(c.get("display", "")) for c in codings)], [str(c.get("code")) for c in codings]
