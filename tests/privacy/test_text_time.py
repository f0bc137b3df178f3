"""The time to de-identify a text grows linearly with its length, whatever is in it."""

import random
import time
from itertools import product

import pytest

from galenic.privacy import text as deid
from galenic.privacy.text.patterns import PATTERNS, find_patterns

ALPHABET = ["1", "a", "-", ".", " ", "/", ":", "@", "\n", "A", "(", "+", "é", "jan", "mrn", "19", "ninety "]
UNITS = sorted({"".join(t) for n in (1, 2) for t in product(ALPHABET, repeat=n)})
NAMED = ["1.", "1-", "1 ", "a@", "aa.", "www.", "-a", "a1", "mrn ", "plate ", "12/", "Anna ", "é", "αa", "0\u0301"]
STATED = deid.StatedIdentifiers({"name": ("Miller",), "record": ("00482913",)})


def seconds(text: str, detector: deid.Detector) -> float:
    replacer = deid.Replacer(deid.read_policy("safe-harbor"), b"k" * 32)
    start = time.process_time()
    deid.deidentify_text(text, detector, replacer, STATED)
    return time.process_time() - start


@pytest.mark.parametrize("unit", NAMED)
def test_twice_the_length_takes_about_twice_the_time(unit: str) -> None:
    """The smaller of three ratios: a busy machine makes one of them large, a quadratic search all."""
    detector = deid.Detector()
    short, long = (unit * 12_000)[:12_000], (unit * 48_000)[:48_000]
    ratios = [seconds(long, detector) / max(seconds(short, detector), 0.004) for _ in range(3)]
    assert min(ratios) < 9, ratios  # linear: 4; quadratic: 16


@pytest.mark.parametrize(("unit", "length"), [("1.", 200_000), ("1-", 40_000)])
def test_texts_that_took_minutes_take_seconds(unit: str, length: int) -> None:
    assert seconds((unit * length)[:length], deid.load_detector("en")) < 20


def test_no_pattern_takes_more_than_linear_time_on_repetitions() -> None:
    units = random.Random(1).sample(UNITS, 60)
    for one in PATTERNS:
        for unit in units:
            text = (unit * 6_000)[:6_000]
            start = time.process_time()
            sum(1 for _ in one.pattern.finditer(text))
            assert time.process_time() - start < 0.4, (one.kind, unit)


def test_a_long_word_does_not_exhaust_memory_where_names_are_known() -> None:
    assert not list(STATED.find("a" * 300_000))


def test_a_number_of_thousands_of_digits_is_no_failure() -> None:
    replacer = deid.Replacer(deid.read_policy("safe-harbor"), b"k" * 32)
    assert replacer.value("age", "9" * 5_000) == "90 or older"
    assert list(find_patterns("aged " + "9" * 5_000)) is not None


HOSTILE = ("1.", "a ", "(", "1 2-3.", "Dr. ", "Will ", "Nurse A ", "[", "é ", "aged ")


@pytest.mark.parametrize("unit", HOSTILE)
def test_time_is_linear_on_hostile_texts(unit: str) -> None:
    """t(2n) / t(n) in processor time: 2 if linear, 4 if quadratic; the smallest of at most four, since a busy machine enlarges some."""
    detector = deid.load_detector("en")
    short, long = (unit * 6_000)[:6_000], (unit * 12_000)[:12_000]
    seconds(short, detector)
    ratios = (seconds(long, detector) / max(seconds(short, detector), 0.01) for _ in range(4))
    assert any(ratio < 3 for ratio in ratios)
