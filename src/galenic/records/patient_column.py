"""Recognition of the column that identifies patients, by its name in several languages and by repeated values."""

import re
import unicodedata

import pyarrow as pa
import pyarrow.compute as pc

from galenic.records.source import Source


def words_of_name(name: str) -> list[str]:
    """The words of a name in small letters, without accents: at capitals, signs and digits."""
    apart = re.sub(r"(?<=[a-zß-ÿ])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    decomposed = unicodedata.normalize("NFKD", apart).casefold()
    without = "".join(c for c in decomposed if not ("\u0300" <= c <= "\u036f"))
    return [w for w in re.split(r"[\s_\W\d]+", unicodedata.normalize("NFC", without).translate(_LETTERS)) if w]


def _plain(name: str) -> str:
    return "".join(words_of_name(name))


def _any_of(words: str) -> str:
    """A pattern of any of the words, as `_plain` writes them, longest first."""
    return "|".join(sorted((_plain(w) for w in words.split()), key=len, reverse=True))


_LETTERS = str.maketrans({"ø": "o", "æ": "ae", "ł": "l", "ı": "i", "ß": "ss", "đ": "d"})
_PATIENTS = _any_of(
    "patientinnen patienten patients patientin patiente patient paciente pacienta pacient paziente pazienti pasienten pasient pacjenta "
    "pacjent potilaan potilas paciens beteg hasta pasien usubj subjects subject subj proband probanden person persons personne persona "
    "pessoa persoon pats pat pts pt 患者 病人 病患 환자 пациента пациент пацієнта пацієнт ασθενούς ασθενή ασθενής مريض المريض بیمار रोगी मरीज "
    "ผู้ป่วย bệnhnhân"
)
_PEOPLE = _any_of(  # alone it may be a yes/no column
    "participants participant participante teilnehmer members member mitglied beneficiary beneficiario bene insured versicherten "
    "versicherte versicherung assuré utente client cliente klient kunde kunden customer respondent resident individual"
)
_IDS = _any_of(
    "identifier identificador identifiant identifikator identifikation ids id number nummern nummer número numéro numer numar číslo szám "
    "num nbr nr no key schlüssel schluessel clave clé chiave kennung kennzeichen code código codice kod kodu kode mrn seqn seq guid uuid "
    "pseudonym hash 番号 编号 編號 識別番号 号 號 번호 номер код идентификатор αριθμός κωδικός رقم شماره क्रमांक เลขที่"
)
_NEUTRAL = _any_of(
    "source value unique study trial research internal anon anonymous pseudo master record the of der des de del della du da do di"
)
# Numbers that belong to one person each, and keys of well-known research data sets; the whole name.
_PERSON_NUMBERS = _any_of(
    "nhs nhsnumber nhsno chinumber ssn socialsecurity socialsecuritynumber mrn medicalrecord medicalrecordnumber hospitalnumber nino "
    "personnummer pnr personnr fødselsnummer fnr cpr cprnummer cprnr hetu henkilötunnus pesel cnp rodnécislo bsn insz niss nir cpf curp "
    "dni nie codicefiscale svnr kvnr egn oib jmbg emso aadhaar tckimlik tckn ppsn empi eid pid patid hn enrolid desynpufid usubjid subjid "
    "cédula"
)
_BARE = _any_of("id ids number nummer numero nbr nr no key seqn guid uuid kennung")
_NAME = re.compile(
    rf"(?:{_IDS}|{_NEUTRAL})*(?:{_PATIENTS})(?:{_IDS}|{_PATIENTS}|{_NEUTRAL})*"
    rf"|(?:{_NEUTRAL})*(?:{_PEOPLE})(?:{_NEUTRAL})*(?:{_IDS})|(?:{_IDS})(?:{_NEUTRAL})*(?:{_PEOPLE})"
    rf"|{_BARE}|{_PERSON_NUMBERS}"
)
_PERSON = re.compile(rf"(?:{_PATIENTS}|{_PEOPLE})")
_NUMBER_WORD = re.compile(
    r"(?:id|ids|nr|no|nbr|number|nummer|numero|key|mrn|ssn|nhs|guid|uuid|pseudonym|identifier|email|mail|phone|name)|.*(?:nr|nummer|number)"
)
# Things other than people that rows repeat; a number of one of them is not a second patient column.
_OTHERS = re.compile(
    r"encounter|visit|besuch|fall|visita|visite|sejour|stay|hadm|admission|row|zeile|record|line|event|order|claim|hospital|ward|station|"
    r"provider|doctor|physician|arzt|medico|medecin|nurse|staff|practice|practitioner|site|cent(?:er|re)|clinic|klinik|unit|device|drug|"
    r"med|product|payer|plan|zip|postal|plz|postcode|region|county|country|state|batch|lab|test|icd|loinc|snomed|diag|proc|type|class|"
    r"group|room|bed|department|abteilung|company|employer|facility|org|version|year|month|week|day|time|date"
)
_SMALLEST_SHARE = 0.05  # share of the rows: a column with fewer distinct values repeats like a category, not like patients


def may_tell_patients_apart(name: str) -> bool:
    """True if a column's name is that of a patient identifier, in one of several languages."""
    return _NAME.fullmatch(_plain(name)) is not None


def patient_columns(names: tuple[str, ...]) -> tuple[str, ...]:
    """Columns that could identify patients, by their names; only the header is read."""
    return tuple(n for n in names if may_tell_patients_apart(n))


def repeated_instead(source: Source, chosen: str) -> str | None:
    """Column that repeats like patients with several rows, while the chosen one has a different value in every row; None if the
    chosen one repeats, or no other does. Reads the values of columns whose names may be identifiers."""
    others = [n for n in source.names if n != chosen and (may_tell_patients_apart(n) or _may_identify(n))]
    if not others:
        return None
    counts = _distinct(source, [chosen, *others])
    rows, distinct = counts[chosen]
    if distinct < rows:
        return None
    return next((n for n in others if _SMALLEST_SHARE * counts[n][0] <= counts[n][1] < counts[n][0]), None)


def _may_identify(name: str) -> bool:
    words = words_of_name(name)
    named = any(_NUMBER_WORD.fullmatch(w) for w in words) or _PERSON.fullmatch(_plain(name)) is not None
    return named and not any(_OTHERS.match(w) for w in words)


def _distinct(source: Source, names: list[str]) -> dict[str, tuple[int, int]]:
    """(present values, distinct ones) of columns."""
    present, values = dict.fromkeys(names, 0), {name: set[str]() for name in names}
    for _, batch in source.raw(names):
        for name in names:
            text = batch[name].cast(pa.string()).drop_null()
            text = text.filter(pc.not_equal(text, ""))
            present[name] += len(text)
            values[name].update(pc.unique(text).to_pylist())
    return {name: (present[name], len(values[name])) for name in names}
