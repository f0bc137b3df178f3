"""What stands in the place of identifiers: policies, surrogates, dates that move together."""

import re
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from galenic.errors import ConfigurationError
from galenic.privacy import text as deid
from galenic.privacy.text.dates import shift_date
from galenic.schema import TextSpan

DAYS = st.integers(-4_000, 4_000)
WRITTEN = st.dates(date(1905, 1, 1), date(2090, 1, 1))


def replacer(policy: str, key: bytes = b"k" * 32) -> deid.Replacer:
    return deid.Replacer(deid.read_policy(policy), key, deid.state_names())


@given(WRITTEN, DAYS, st.sampled_from(["%Y-%m-%d", "%m/%d/%Y", "%B %d, %Y", "%d %b %Y", "%Y%m%d", "%d-%b-%Y", "%A, %B %d, %Y"]))
def test_a_date_moves_in_the_form_in_which_it_was_written(day: date, days: int, form: str) -> None:
    new = day + timedelta(days)
    if not 1900 <= new.year <= 2099:
        return
    if "%A" in form:
        days -= days % 7
        new = day + timedelta(days)
    if "%b" in form and 5 in (day.month, new.month):  # May is written out either way
        return
    moved = shift_date(day.strftime(form), days).text or ""
    assert re.sub(r"\b0", "", moved) == re.sub(r"\b0", "", new.strftime(form))  # 10/10/2000 does not say how 9 is written


@given(WRITTEN, WRITTEN, st.binary(min_size=32, max_size=32))
def test_intervals_and_weekdays_stay_and_every_date_moves_by_more_than_a_year(a: date, b: date, key: bytes) -> None:
    r = replacer("expert", key)
    new = [date.fromisoformat(r.value("date", d.isoformat())) for d in (a, b)]
    assert new[1] - new[0] == b - a
    assert new[0].weekday() == a.weekday()
    assert (a - new[0]).days > 365


@pytest.mark.parametrize(
    ("written", "moved"),
    [
        ("03/04/1931", "02/26/1930"), ("12 March 2023", "6 March 2022"), ("May 2019", "May 2018"), ("4/21", "4/15"), ("the 12th of May", "the 6th of May"),
        ("Jan. 3, 2001", "Dec. 29, 1999"), ("Friday", "Friday"), ("06/2011", "06/2010"), ("5-Mar-19", "27-Feb-18"), ("3 de mayo de 2020", "28 de abril de 2019"),
        ("13.4.98", "7.4.97"), ("Easter", None), ("31/31/2020", None),
    ],
)  # fmt: skip
def test_dates_as_people_write_them(written: str, moved: str | None) -> None:
    assert shift_date(written, -371).text == moved


@pytest.mark.parametrize(
    ("kind", "value", "safe"),
    [
        ("date", "03/04/1981", "1981"), ("date", "03/04/1931", "[DATE]"), ("date", "born 1931", "[DATE]"), ("date", "March 4", "[DATE]"), ("date", "1981", "1981"), ("age", "89", "89"), ("age", "90", "90 or older"),
        ("age", "104", "90 or older"), ("place", "94612", "946"), ("place", "03601", "000"), ("place", "94612-1234", "946"), ("place", "Oakland", "[PLACE]"),
        ("place", "California", "California"), ("place", "Oakland, CA 94612", "CA 946"), ("place", "12 Elm St, Oakland, California", "California"), ("name", "Ana", "[NAME]"), ("ssn", "219-09-9999", "[SSN]"), ("date", "5/6/21", "2021"),
    ],
)  # fmt: skip
def test_safe_harbor_keeps_years_and_ages_that_tell_no_old_age_and_large_zip_areas(kind: str, value: str, safe: str) -> None:
    assert replacer("safe-harbor").value(kind, value) == safe


def test_the_year_that_tells_an_age_past_89_goes_and_the_one_after_it_stays() -> None:
    r, now = replacer("safe-harbor"), date.today().year
    assert (r.value("date", f"3/4/{now - 90}"), r.value("date", f"3/4/{now - 89}")) == ("[DATE]", str(now - 89))


def test_a_limited_data_set_keeps_dates_and_ages() -> None:
    r = replacer("limited-data-set")
    assert (r.value("date", "03/04/1931"), r.value("age", "93"), r.value("name", "Ana")) == ("03/04/1931", "93", "[NAME]")


def test_the_same_name_has_the_same_surrogate_however_it_is_written() -> None:
    r = replacer("expert")
    whole, listed, upper, plain = (r.value("name", n) for n in ("María López", "López, María", "MARIA LOPEZ", "Lopez"))
    assert listed == ", ".join(reversed(whole.split()))
    assert upper == whole.upper()
    assert plain == whole.split()[1]
    assert not {"maria", "lopez"} & set(whole.casefold().split())


def test_an_address_is_replaced_part_by_part() -> None:
    street, town, area = replacer("expert").value("place", "12 Elm Street, Oakland, CA 94612").split(", ")
    assert street.split()[0].isdigit() and street != "12 Elm Street"
    assert town.isalpha() and town != "Oakland"
    assert area.startswith("CA 946") and area != "CA 94612"


def test_another_key_gives_other_surrogates() -> None:
    assert replacer("expert").value("name", "María López") != replacer("expert", b"x" * 32).value("name", "María López")


def test_surrogate_numbers_are_nobodys() -> None:
    r = replacer("expert")
    assert r.value("ssn", "219-09-9999")[0] == "9"  # never issued
    assert r.value("phone", "(415) 286-2671")[6:9] == "555"
    assert r.value("email", "ana@gmail.com").endswith("@example.org")
    assert r.value("ip", "8.8.8.8").startswith("203.0.113.")
    assert r.value("record", "MR-004829") != "MR-004829"
    assert [c.isdigit() for c in r.value("record", "MR-004829")] == [c.isdigit() for c in "MR-004829"]


def test_text_between_identifiers_is_left_as_it_is() -> None:
    text = "Ana came.\r\n\tShe left."
    assert replacer("safe-harbor").replace(text, [TextSpan(0, 3, "name", "rule")]) == "[NAME] came.\r\n\tShe left."


def test_masking_keeps_the_shape(tmp_path: Path) -> None:
    place = tmp_path / "mine.toml"
    place.write_text('like = "safe-harbor"\n[treat]\nname = "mask"\n')
    assert deid.Replacer(deid.read_policy(str(place)), b"k" * 32).value("name", "Ana López") == "*** *****"


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ('[treat]\nname = "redact"\n', "has no treatment for"), ('like = "safe-harbor"\n[treat]\nnames = "redact"\n', "not kinds"),
        ('like = "safe-harbor"\n[treat]\nname = "hide"\n', "unknown treatment"), ("[treat", "not valid TOML"),
    ],
)  # fmt: skip
def test_a_policy_that_says_too_little_or_nonsense_is_refused(tmp_path: Path, toml: str, says: str) -> None:
    (tmp_path / "mine.toml").write_text(toml)
    with pytest.raises(ConfigurationError, match=says):
        deid.read_policy(str(tmp_path / "mine.toml"))


@pytest.mark.parametrize("name", deid.BUILT_IN)
def test_every_built_in_policy_treats_every_kind(name: str) -> None:
    assert set(deid.read_policy(name).treat) == set(deid.identifier_kinds())


def test_clinicians_relatives_and_employers_go_by_a_policy_of_their_own(tmp_path: Path) -> None:
    detector = deid.load_detector("en")
    said = "Her daughter Ana Quillfeather called Dr. Whitlock. She works at Brightwater Logistics. Seen by Tom Ashgrove, RN. Mrs. Penhaligon left."
    kinds = {said[s.start : s.end]: s.kind for s in detector.find(said)}
    assert kinds["Ana Quillfeather"] == "relative"
    assert kinds["Whitlock"] == "clinician"
    assert kinds["Tom Ashgrove"] == "clinician"
    assert kinds["Brightwater Logistics"] == "employer"
    assert kinds["Penhaligon"] == "name"
    (tmp_path / "p.toml").write_text('like = "safe-harbor"\n[treat]\nclinician = "keep"\nrelative = "mask"\n')
    replacer = deid.Replacer(deid.read_policy(str(tmp_path / "p.toml")), b"k" * 32)
    clean = deid.deidentify_text(said, detector, replacer)
    assert clean == (
        "Her daughter *** ************ called Dr. Whitlock. She works at [ORGANISATION]. Seen by Tom Ashgrove, RN. Mrs. [NAME] left."
    )
    (tmp_path / "q.toml").write_text('like = "safe-harbor"\n[treat]\nname = "surrogate"\n')
    assert deid.read_policy(str(tmp_path / "q.toml"))["clinician"] == "surrogate"


@pytest.mark.parametrize(("kind", "value"), [("name", "Roland"), ("name", "María"), ("name", "Turner"), ("place", "Dover")])
def test_nothing_stands_in_its_own_place(kind: str, value: str) -> None:
    made = [replacer("expert", key.to_bytes(32, "big")).value(kind, value) for key in range(3_000)]
    assert value.casefold() not in {m.casefold() for m in made}
    assert len(set(made)) > 50
