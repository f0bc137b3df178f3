# ruff: noqa: E501  tables of words
"""Made tables for privacy_tables: 12 kinds, 6 languages, identifiers planted under many headers, and columns that identify nobody.

Names and towns are made of syllables or come from lists that Galenic does not ship. Headers were written before and apart from Galenic's lists.
"""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta

from faker import Faker

LANGUAGES = ("en", "de", "fr", "es", "it", "pt")
KINDS = (
    "admissions", "laboratory", "demographics", "registry", "survey", "billing", "devices", "pharmacy", "pedigree", "contacts", "imaging", "research",
)  # fmt: skip
LOCALES = {"en": "en_NZ", "de": "de_AT", "fr": "fr_CA", "es": "es_CO", "it": "hr_HR", "pt": "pt_PT"}
ONSETS = (
    "Br",
    "Zo",
    "Kel",
    "Tu",
    "Vri",
    "Mor",
    "Ha",
    "Dre",
    "Lu",
    "Qui",
    "Sta",
    "Pel",
    "Gor",
    "Ny",
    "Fe",
    "Wil",
    "Cha",
    "Ro",
    "Ilv",
    "Ost",
)
MIDDLES = ("an", "el", "ov", "ir", "und", "ast", "em", "or", "ach", "ul", "eph", "ild", "arv", "ost")
ENDS = (
    "wick",
    "ova",
    "heim",
    "quist",
    "ello",
    "mann",
    "tier",
    "ides",
    "ura",
    "berg",
    "enko",
    "aux",
    "ilho",
    "ario",
    "sen",
    "ley",
)
TOWN_ENDS = ("stadt", "ville", "burgo", "polis", "dorf", "mouth", "haven", "acqua", "monte", "feld")
Values = list[str]


@dataclass
class Made:
    """One table. planted: (kind, header, values) of identifiers. clean: (header, values) of columns that identify nobody."""

    name: str
    kind: str
    language: str
    columns: dict[str, Values] = field(default_factory=dict)
    planted: list[tuple[str, str, Values]] = field(default_factory=list)
    clean: list[str] = field(default_factory=list)


class People:
    """Makes people, half of syllables, half of lists."""

    def __init__(self, language: str, rng: random.Random) -> None:
        self.rng, self.language = rng, language
        self.lists = Faker(LOCALES[language])
        self.lists.seed_instance(rng.random())

    def made(self) -> str:
        return self.rng.choice(ONSETS) + "".join(self.rng.choices(MIDDLES, k=self.rng.randint(1, 2))) + self.rng.choice(ENDS)

    def family(self) -> str:
        return self.made() if self.rng.random() < 0.5 else self.lists.last_name()

    def given(self) -> str:
        return self.made()[:7].capitalize() if self.rng.random() < 0.5 else self.lists.first_name()

    def town(self) -> str:
        return self.made() + self.rng.choice(TOWN_ENDS) if self.rng.random() < 0.7 else self.lists.city()

    def whole(self) -> str:
        form = self.rng.choice(("{g} {f}", "{f}, {g}", "{F} {G}", "{g} {i}. {f}", "{fl}, {gl}"))
        g, f = self.given(), self.family()
        return form.format(g=g, f=f, F=f.upper(), G=g.upper(), i=self.rng.choice("ABCDEGH"), fl=f.lower(), gl=g.lower())

    def day(self, low: int, high: int) -> date:
        return date(low, 1, 1) + timedelta(self.rng.randrange(365 * (high - low)))


MONTHS = {
    "en": "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec",
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "it": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
    "pt": "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
}


def date_forms(day: date, language: str) -> list[str]:
    """The usual written forms of a day."""
    month = MONTHS[language].split()[day.month - 1]
    of = " de " if language in ("es", "pt") else " "
    return [
        day.isoformat(), f"{day.month}/{day.day}/{day.year % 100:02d}", f"{day:%d.%m.%y}", f"{day:%d/%m/%Y}", f"{day:%Y%m%d}", f"{month} {day.day}, {day.year}",
        f"{day.day}{of}{month}{of}{day.year}", f"{day.isoformat()}T08:15:00Z", f"{day.isoformat()} 14:05:33+02:00", f"{day:%d-%b-%Y}",
        str((day - date(1899, 12, 30)).days), f"{day:%d.%m.%Y}",
    ]  # fmt: skip


def written_dates(days: list[date], language: str, rng: random.Random) -> Values:
    """Days in one form, in mixed forms, or with words between."""
    how = rng.random()
    form = rng.randrange(12)
    mixed = [date_forms(d, language)[rng.choice((0, 1, 2, 3, 5, 6)) if how < 0.3 else form] for d in days]
    return [UNKNOWN[language] if how < 0.5 and rng.random() < 0.1 and form != 10 else v for v in mixed]


UNKNOWN = {"en": "unknown", "de": "unbekannt", "fr": "inconnu", "es": "desconocido", "it": "sconosciuto", "pt": "desconhecido"}
Maker = Callable[[People, random.Random, int], Values]


def pooled(make: Callable[[], str], rng: random.Random, n: int) -> Values:
    """Values of few people, as of those who work on a ward, or of one for each row."""
    pool = [make() for _ in range(rng.choice((2, 3, 7, n)))]
    return [rng.choice(pool) for _ in range(n)] if len(pool) < n else pool


def names(p: People, rng: random.Random, n: int) -> Values:
    return pooled(rng.choice((p.whole, p.family, p.given, p.whole)), rng, n)


def staff(p: People, rng: random.Random, n: int) -> Values:
    title = {"en": "Dr ", "de": "Dr. ", "fr": "Dr ", "es": "Dra. ", "it": "Dott. ", "pt": "Dr. "}[p.language]
    return pooled(lambda: rng.choice((title, "", title)) + p.family(), rng, n)


def towns(p: People, rng: random.Random, n: int) -> Values:
    return pooled(p.town, rng, n)


def streets(p: People, rng: random.Random, n: int) -> Values:
    return [
        f"{p.family()} {rng.choice(('St', 'strasse', 'rue', 'Calle', 'Via', 'Rua'))} {rng.randint(1, 250)}" for _ in range(n)
    ]


def births(p: People, rng: random.Random, n: int) -> Values:
    few = [p.day(1930, 2005) for _ in range(rng.choice((2, 3, n)))]
    return written_dates([rng.choice(few) for _ in range(n)], p.language, rng)


def visits(p: People, rng: random.Random, n: int) -> Values:
    few = [p.day(2015, 2024) for _ in range(rng.choice((1, 2, n)))]
    return written_dates([rng.choice(few) for _ in range(n)], p.language, rng)


def digits(low: int, high: int, form: str = "{}") -> Maker:
    return lambda _p, rng, n: [form.format(rng.randint(low, high)) for _ in range(n)]


def phones(_p: People, rng: random.Random, n: int) -> Values:
    form = rng.choice(("0{a} {b}", "+49 {a} {b}", "({a}) {c}-{d}", "{a}{b}", "00 {a} {c} {d}"))
    return [
        form.format(
            a=rng.randint(211, 989), b=rng.randint(1_000_000, 9_999_999), c=rng.randint(200, 999), d=rng.randint(1000, 9999)
        )
        for _ in range(n)
    ]


def mails(p: People, _rng: random.Random, n: int) -> Values:
    return [f"{p.made()}.{p.made()}@mailbox.example".lower() for _ in range(n)]


def latitudes(_p: People, rng: random.Random, n: int) -> Values:
    return [f"{rng.uniform(44.1, 48.9):.5f}" for _ in range(n)]


def longitudes(_p: People, rng: random.Random, n: int) -> Values:
    return [f"{rng.uniform(6.1, 9.9):.6f}" for _ in range(n)]


def keys(p: People, rng: random.Random, n: int) -> Values:
    return [f"{p.family()[:6]}-{p.day(1930, 2005):%Y%m%d}-{rng.choice('MF')}" for _ in range(n)]


def files(p: People, rng: random.Random, n: int) -> Values:
    return [f"{p.family()}_{p.given()}_{rng.randint(1, 9)}.{rng.choice(('pdf', 'dcm', 'jpg'))}" for _ in range(n)]


def nested(p: People, _rng: random.Random, n: int) -> Values:
    return [json.dumps({"surname": p.made(), "born": p.day(1930, 2005).isoformat()}) for _ in range(n)]


REMARKS = {
    "en": ("see {d}", "lives in {t}", "spoke to {n}, will call back", "moved from {t}", "daughter {n} present", "ok"),
    "de": ("siehe {d}", "wohnt in {t}", "Rücksprache mit {n}", "zugezogen aus {t}", "Tochter {n} anwesend", "ok"),
    "fr": ("voir {d}", "habite à {t}", "vu avec {n}", "vient de {t}", "fille {n} présente", "ok"),
    "es": ("ver {d}", "vive en {t}", "hablado con {n}", "viene de {t}", "hija {n} presente", "ok"),
    "it": ("vedi {d}", "abita a {t}", "parlato con {n}", "viene da {t}", "figlia {n} presente", "ok"),
    "pt": ("ver {d}", "mora em {t}", "falado com {n}", "vem de {t}", "filha {n} presente", "ok"),
}


def remarks(p: People, rng: random.Random, n: int) -> Values:
    return [rng.choice(REMARKS[p.language]).format(d=f"Dr {p.made()}", t=p.made() + "dorf", n=p.made()) for _ in range(n)]


def plates(p: People, rng: random.Random, n: int) -> Values:
    return [f"{p.made()[:2].upper()}-{rng.choice('ABCDEFG')}{rng.choice('KLMN')} {rng.randint(1000, 9999)}" for _ in range(n)]


def addresses(_p: People, rng: random.Random, n: int) -> Values:
    return [f"10.{rng.randint(16, 250)}.{rng.randint(16, 250)}.{rng.randint(16, 250)}" for _ in range(n)]


def links(p: People, _rng: random.Random, n: int) -> Values:
    return [f"https://portal.example/{p.made().lower()}/{p.made().lower()}" for _ in range(n)]


def old_ages(_p: People, rng: random.Random, n: int) -> Values:
    return [str(rng.choice((34, 58, 71, 91, 94, 97, 101))) for _ in range(n)]


@dataclass(frozen=True)
class Planted:
    """A kind of identifier. headers: by language; any: headers that say nothing or mislead."""

    make: Maker
    headers: dict[str, str]
    any: str = ""


MISLEADING = "var17 misc code field_9 x12 flag2 info status group category_b"
PLANTED: dict[str, Planted] = {
    "name": Planted(names, {
        "en": "client_nm surname legal_name sibling emergency_person accompanied_by billed_to", "de": "Name_Pat Zuname Rufname Begleitperson Sorgeberechtigte gesetzl_Vertreter", "fr": "nom_usuel nom_naissance personne_de_confiance tuteur_legal",
        "es": "primer_apellido nombre_completo acompañante persona_contacto", "it": "nominativo cognome_nome accompagnatore persona_riferimento", "pt": "nome_completo acompanhante nome_social filiacao",
    }, MISLEADING),
    "staff": Planted(staff, {
        "en": "rounds_with triaged_by attdg on_call", "de": "Stationsarzt abgezeichnet_von Visite_mit", "fr": "vu_par med_traitant interne_garde", "es": "valorado_por med_tratante", "it": "visto_da med_curante", "pt": "atendido_por med_assistente",
    }, MISLEADING),
    "town": Planted(towns, {
        "en": "hometown settlement lives_at", "de": "Ortschaft Herkunft Wohnsitz", "fr": "commune_res localite", "es": "localidad_res pueblo_origen", "it": "paese_res frazione", "pt": "concelho freguesia",
    }, MISLEADING),
    "street": Planted(streets, {"en": "addr_1 mailing", "de": "Str_Nr Anschrift_1", "fr": "adresse_1 voie", "es": "domicilio_1", "it": "indirizzo_1", "pt": "morada_1"}),
    "birth": Planted(births, {
        "en": "born_on d_o_b birthdt bdate2", "de": "geb_am GebDat geboren", "fr": "ne_le ddn date_naiss", "es": "nacido_el f_nac", "it": "nato_il dt_nascita", "pt": "nascido_em dt_nasc",
    }, MISLEADING),
    "visit": Planted(visits, {"en": "seen_on enc_dt came_in", "de": "Aufn_Dat gesehen_am", "fr": "vu_le dt_entree", "es": "visto_el f_ingreso", "it": "visto_il dt_ricovero", "pt": "visto_em dt_internamento"}, MISLEADING),
    "record": Planted(digits(1_000_000, 9_999_999), {"en": "chart_ref unit_no hosp_no", "de": "Fall_Nr PatNr", "fr": "no_dossier ipp_2", "es": "n_historia nhc_2", "it": "n_cartella", "pt": "n_processo"}, MISLEADING),
    "long": Planted(digits(100_000_000, 999_999_999), {"en": "ss_no", "de": "SV_Nummer", "fr": "num_secu", "es": "num_afiliacion", "it": "cod_fiscale", "pt": "n_utente"}, MISLEADING),
    "insurance": Planted(digits(10_000_000, 99_999_999, "K{}"), {"en": "insurer_id", "de": "Vers_Nr", "fr": "num_mutuelle", "es": "num_poliza", "it": "n_polizza", "pt": "n_apolice"}, MISLEADING),
    "zip": Planted(digits(20_111, 89_999), {"en": "zipcd", "de": "Plz_Ort_Nr", "fr": "cp_res", "es": "cod_post", "it": "cap_res", "pt": "cod_postal"}, MISLEADING),
    "phone": Planted(phones, {"en": "ph_home reach_at", "de": "Rufnr erreichbar_unter", "fr": "tel_dom joindre_au", "es": "telef_casa", "it": "recapito", "pt": "telemovel"}, MISLEADING),
    "mail": Planted(mails, {"en": "e_mail_addr", "de": "Mailadr", "fr": "courriel_pat", "es": "correo_e", "it": "posta_el", "pt": "correio_e"}, MISLEADING),
    "lat": Planted(latitudes, {"en": "home_lat", "de": "geo_breite", "fr": "lat_dom", "es": "lat_casa", "it": "lat_dom", "pt": "lat_casa"}, MISLEADING),
    "lon": Planted(longitudes, {"en": "home_lng", "de": "geo_laenge", "fr": "lon_dom", "es": "lon_casa", "it": "lon_dom", "pt": "lon_casa"}, MISLEADING),
    "key": Planted(keys, {"en": "linkage", "de": "Verknuepfung", "fr": "cle_lien", "es": "clave", "it": "chiave", "pt": "chave"}, MISLEADING),
    "file": Planted(files, {"en": "scan_src", "de": "Dateiname", "fr": "fichier", "es": "archivo", "it": "nome_file", "pt": "ficheiro"}, MISLEADING),
    "json": Planted(nested, {"en": "payload", "de": "Rohdaten", "fr": "donnees", "es": "datos", "it": "dati", "pt": "dados"}, MISLEADING),
    "remark": Planted(remarks, {"en": "fyi remarks_free", "de": "Hinweis Vermerk", "fr": "precisions", "es": "aclaraciones", "it": "annotazioni", "pt": "notas_livres"}, MISLEADING),
    "plate": Planted(plates, {"en": "car_tag", "de": "Kfz_Kz", "fr": "plaque_auto", "es": "placa_auto", "it": "targa_auto", "pt": "matricula_auto"}, MISLEADING),
    "serial": Planted(digits(100_000, 999_999, "SN{}X"), {"en": "pump_sn", "de": "Geraete_SN", "fr": "no_serie_app", "es": "n_serie_eq", "it": "matricola_disp", "pt": "n_serie_eq"}, MISLEADING),
    "ip": Planted(addresses, {"en": "src_host", "de": "Rechner", "fr": "poste", "es": "equipo_red", "it": "postazione", "pt": "posto"}, MISLEADING),
    "url": Planted(links, {"en": "portal", "de": "Portal_Link", "fr": "lien", "es": "enlace", "it": "collegamento", "pt": "ligacao"}, MISLEADING),
    "age": Planted(old_ages, {"en": "age_yrs", "de": "Alter_J", "fr": "age_ans", "es": "edad_a", "it": "eta_anni", "pt": "idade_anos"}, "var17 misc"),
}  # fmt: skip

OF_KIND = {
    "admissions": "name birth visit record town staff zip remark", "laboratory": "record visit name staff serial key", "demographics": "name birth town street zip phone mail age long",
    "registry": "key birth town visit name lat lon insurance age", "survey": "mail visit ip remark town name", "billing": "insurance long name visit street phone record", "devices": "serial ip visit name url record",
    "pharmacy": "name staff visit insurance record phone", "pedigree": "name birth town key age remark", "contacts": "name phone mail street town plate birth", "imaging": "record name birth staff file visit json",
    "research": "key visit birth lat lon json file zip url",
}  # fmt: skip


def make_planted(kind: str, people: People, rng: random.Random, n: int) -> tuple[str, Values]:
    """A header, misleading in three of ten cases, and its values."""
    about = PLANTED[kind]
    headers = about.any if about.any and rng.random() < 0.3 else about.headers[people.language]
    return rng.choice(headers.split()), about.make(people, rng, n)
