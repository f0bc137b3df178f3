"""Dates and numbers as people write them: the second half of the values that are planted."""

import random
import string
from collections.abc import Callable
from datetime import date, timedelta

from values import World

MONTHS = "January February March April May June July August September October November December".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
D, U = string.digits, string.ascii_uppercase


def digits(rng: random.Random, n: int) -> str:
    return "".join(rng.choice(D) for _ in range(n))


def pattern(rng: random.Random, text: str) -> str:
    """# a digit, @ a capital, ? either."""
    return "".join(
        rng.choice(D) if c == "#" else rng.choice(U) if c == "@" else rng.choice(D + U) if c == "?" else c for c in text
    )


def day(rng: random.Random, first: int = 1930, last: int = 2027) -> date:
    return date(first, 1, 1) + timedelta(rng.randrange((last - first) * 365))


def ordinal(n: int) -> str:
    return f"{n}{'th' if 10 <= n % 100 <= 20 else {1: 'st', 2: 'nd', 3: 'rd'}.get(n % 10, 'th')}"


def a_date(rng: random.Random, when: date | None = None) -> str:
    """A date with a day, in one of thirty forms."""
    d = when or day(rng)
    month, short = MONTHS[d.month - 1], MONTHS[d.month - 1][:3]
    y2, sep = f"{d.year % 100:02d}", rng.choice("/-./")
    whole = [
        f"{d.month}/{d.day}/{d.year}", f"{d.month:02d}{sep}{d.day:02d}{sep}{d.year}", f"{d.day:02d}{sep}{d.month:02d}{sep}{d.year}",
        f"{d.month}/{d.day}/{y2}", f"{d.month}-{d.day}-{y2}", f"{d.month:02d}/{d.day:02d}/{y2}", d.isoformat(), d.isoformat(),
        f"{month} {d.day}, {d.year}", f"{month} {d.day} {d.year}", f"{d.day} {month} {d.year}", f"{short} {d.day}, {d.year}",
        f"{d.day}-{short}-{d.year}", f"{d.day}{short}{d.year}", f"{short}. {d.day}, {d.year}", f"{month} {ordinal(d.day)}, {d.year}",
        f"the {ordinal(d.day)} of {month}", f"{ordinal(d.day)} {month} {d.year}", f"{d.day} {short} {y2}", f"{d.year}/{d.month:02d}/{d.day:02d}",
        f"{rng.choice(DAYS)}, {month} {d.day}, {d.year}", f"{rng.choice(DAYS)} {d.day} {month}", f"{rng.choice(DAYS)[:3]} {d.month}/{d.day}",
        f"{d.strftime('%Y%m%d')}", f"{month} {d.day}", f"{month} {ordinal(d.day)}", f"{d.month}/{d.day}", f"{d.day} {short}", f"{d.day}.{d.month}.{y2}",
        f"{short} {d.day}", f"{d.day}. {month} {d.year}",
    ]  # fmt: skip
    return rng.choice(whole)


def a_time(rng: random.Random) -> str:
    h, m = rng.randrange(24), rng.randrange(60)
    half = rng.choice(("am", "pm", " AM", " PM", " a.m.", " p.m."))
    return rng.choice((f"{h:02d}:{m:02d}", f"{h % 12 or 12}:{m:02d}{half}", f"{h % 12 or 12}{half}", f"{h:02d}{m:02d} hrs"))


def part_of_date(rng: random.Random) -> str:
    """A month with a year, a month, a year, a weekday, a holiday, a season with its year."""
    d = day(rng)
    month = MONTHS[d.month - 1]
    y2 = f"{d.year % 100:02d}"
    return rng.choice((
        f"{month} {d.year}", f"{month} of {d.year}", f"{month[:3]} {d.year}", f"{d.month:02d}/{d.year}", f"{d.month}/{y2}", month, month, str(d.year),
        str(d.year), str(d.year), rng.choice(DAYS), rng.choice(DAYS), f"the {d.year // 10 * 10}s", f"{rng.choice(('spring', 'summer', 'fall', 'winter'))} {d.year}",
        f"early {month}", f"late {month} {d.year}", rng.choice(("Christmas", "Thanksgiving", "Easter", "New Year's Eve", "Labor Day", "Memorial Day")), f"'{y2}",
    ))  # fmt: skip


def phone(world: World) -> str:
    rng = world.rng
    if rng.random() < 0.35:
        return world._pick("phone_number", world.locale())
    a, b, c = f"{rng.randrange(200, 990)}", digits(rng, 3), digits(rng, 4)
    text = rng.choice((f"({a}) {b}-{c}", f"{a}-{b}-{c}", f"{a}.{b}.{c}", f"{a}{b}{c}", f"+1 {a} {b} {c}", f"1-{a}-{b}-{c}", f"{a} {b} {c}", f"({a}){b}-{c}", f"{b}-{c}", f"+{pattern(rng, '## ### ######')}", f"0{pattern(rng, '#### ######')}", f"x{digits(rng, 4)}", f"{pattern(rng, '## ## ## ##')}", f"{pattern(rng, '###-###-##')}"))  # fmt: skip
    return text + (f" x{digits(rng, 3)}" if rng.random() < 0.08 else "")


def email(world: World) -> str:
    rng = world.rng
    first, last = (w.lower().replace(" ", "").replace("'", "") for w in world.person())
    host = rng.choice(
        (
            "gmail.com",
            "yahoo.com",
            "hotmail.com",
            "outlook.com",
            "aol.com",
            "nhs.net",
            f"{world.place.make(rng).lower()}.{rng.choice(('org', 'com', 'edu', 'net', 'co.uk', 'de', 'hu', 'dk'))}",
        )
    )
    return rng.choice((f"{first}.{last}", f"{first}{last}", f"{first[0]}{last}", f"{first}_{last}{digits(rng, 2)}", f"{last}{digits(rng, 3)}", f"{first.capitalize()}{last.capitalize()}")) + "@" + host  # fmt: skip


def url(world: World) -> str:
    rng = world.rng
    host = f"{world.place.make(rng)}{rng.choice(('', 'Health', 'clinic', '-care', 'Policy'))}.{rng.choice(('com', 'org', 'net', 'ch', 'io', 'de', 'co.uk', 'edu'))}"
    host = host.lower() if rng.random() < 0.7 else host
    return rng.choice((f"http://{host}/", f"https://www.{host}", f"www.{host}", host, f"https://{host}/patients/{digits(rng, 6)}", f"{host}/{world.last.make(rng).lower()}"))  # fmt: skip


def ip(world: World) -> str:
    rng = world.rng
    if rng.random() < 0.2:
        return ":".join(f"{rng.randrange(65536):x}" for _ in range(8))
    return ".".join(str(rng.randrange(1, 255)) for _ in range(4))


def ssn(world: World) -> str:
    rng = world.rng
    return rng.choice((pattern(rng, "###-##-####"), pattern(rng, "###-##-####"), pattern(rng, "### ## ####"), pattern(rng, "#########"), pattern(rng, "xxx-xx-####"), pattern(rng, "###.##.####")))  # fmt: skip


IDS = "####### ###### ######## ########## ##### ###-##-## @###### @@###### @@-###### MR###### MRN####### #-###-### ####-#### @@@-####-@ ###-####-### ?????????? @##-##### H######### @@#######@ ########@ ??-????-???? ####### ######## #########"


def number(world: World) -> str:
    """A number of a record, an account, a plan, a licence, a device: by its context."""
    return pattern(world.rng, world.rng.choice(IDS.split()))


def card(world: World) -> str:
    rng = world.rng
    plain = world.us.credit_card_number()
    return rng.choice((plain, plain, plain, " ".join(plain[i : i + 4] for i in range(0, len(plain), 4)), "-".join(plain[i : i + 4] for i in range(0, len(plain), 4))))  # fmt: skip


def iban(world: World) -> str:
    rng = world.rng
    text = rng.choice("GB DE FR ES IT NL CH AT BE PL".split()) + pattern(rng, "##") + rng.choice((pattern(rng, "@@@@##############"), pattern(rng, "##################")))  # fmt: skip
    return text if rng.random() < 0.7 else " ".join(text[i : i + 4] for i in range(0, len(text), 4))


def plate(world: World) -> str:
    rng = world.rng
    return pattern(rng, rng.choice(("@@@ ####", "#@@@###", "@@## @@@", "@@@-###", "@@-###-@@", "### @@@")))


def vin(world: World) -> str:
    return "".join(world.rng.choice("ABCDEFGHJKLMNPRSTUVWXYZ0123456789") for _ in range(17))


def age(world: World) -> str:
    rng = world.rng
    return str(rng.choice((rng.randrange(1, 100), rng.randrange(18, 100), rng.randrange(60, 106))))


SLOTS: dict[str, tuple[str, Callable[[World], str]]] = {
    "name": ("NAME", lambda w: w.name()),
    "full": ("NAME", lambda w: " ".join(w.person())),
    "first": ("NAME", lambda w: w.first_name(w.locale())),
    "last": ("NAME", lambda w: w.last_name(w.locale())),
    "lastfirst": ("NAME", lambda w: "{1}, {0}".format(*w.person())),
    "initials": ("NAME", lambda w: pattern(w.rng, w.rng.choice(("@@", "@.@.", "@.", "@@@")))),
    "user": ("NAME", lambda w: (w.first_name("en_US")[0] + w.last_name("en_US")).lower().replace(" ", "") + w.rng.choice(("", digits(w.rng, 2)))),
    "street": ("LOCATION", lambda w: w.street()),
    "address": ("LOCATION", lambda w: w.address()),
    "city": ("LOCATION", lambda w: w.town()),
    "citystate": ("LOCATION", lambda w: f"{w.town()}, {w.rng.choice((w.us.state_abbr(), w.rng.choice(w.states)))}"),
    "state": ("LOCATION", lambda w: w.rng.choice(w.states)),
    "country": ("LOCATION", lambda w: w.country()),
    "zip": ("LOCATION", lambda w: w.zip()),
    "hospital": ("ORGANIZATION", lambda w: w.hospital()),
    "org": ("ORGANIZATION", lambda w: w.company()),
    "date": ("DATE", lambda w: a_date(w.rng)),
    "dob": ("DATE", lambda w: a_date(w.rng, day(w.rng, 1925, 2010))),
    "when": ("DATE", lambda w: part_of_date(w.rng)),
    "datetime": ("DATE", lambda w: a_date(w.rng)),
    "age": ("AGE", age),
    "phone": ("CONTACT", phone),
    "email": ("CONTACT", email),
    "url": ("CONTACT", url),
    "ip": ("CONTACT", ip),
    "ssn": ("ID", ssn),
    "id": ("ID", number),
    "card": ("ID", card),
    "iban": ("ID", iban),
    "nhs": ("ID", lambda w: pattern(w.rng, "### ### ####")),
    "plate": ("ID", plate),
    "vin": ("ID", vin),
}  # fmt: skip
PLAIN: dict[str, Callable[[World], str]] = {  # filled in, and nobody's: the hard negatives
    "time": lambda w: a_time(w.rng),
    "n": lambda w: str(w.rng.randrange(1, 10)),
    "nn": lambda w: str(w.rng.randrange(10, 100)),
    "nnn": lambda w: str(w.rng.randrange(100, 400)),
    "dec": lambda w: f"{w.rng.randrange(0, 20)}.{w.rng.randrange(0, 10)}",
    "bp": lambda w: f"{w.rng.randrange(90, 190)}/{w.rng.randrange(50, 110)}",
    "job": lambda w: w.rng.choice(w.jobs).lower(),
    "money": lambda w: f"${w.rng.randrange(5, 5000)}",
}
