"""Taggers against text that others annotated or wrote; and that what the benchmark plants was in no list and no template of training."""

import sys
from pathlib import Path

import pytest

from conftest import DATA, no_data
from galenic.privacy import text as deid
from galenic.privacy.text.surrogate_names import _name_index

ROOT = Path(__file__).parents[2]
GUARD = DATA / "guard"
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT / "training" / "deid")]

import meddocan  # noqa: E402

import deid_planted  # noqa: E402

needs_guard = pytest.mark.skipif(not GUARD.is_dir(), reason=no_data(GUARD))


@needs_guard
def test_what_is_planted_is_in_no_gazetteer() -> None:
    planted = deid_planted.planted(GUARD)
    names = {
        w.casefold()
        for text, spans in planted
        for a, b, kind in spans
        if kind == "NAME"
        for w in text[a:b].replace(",", "").replace(".", "").split()
    }
    names = {n for n in names if len(n) > 3}
    assert len(names) > 300
    assert not names & set(_name_index())
    assert not names & deid_planted.listed()


def test_no_context_of_the_benchmark_is_a_template_of_training() -> None:
    templates = {
        deid_planted.SLOT.sub("{}", line).casefold()
        for file in (ROOT / "training" / "deid" / "templates").glob("*.txt")
        for line in file.read_text(encoding="utf-8").splitlines()
    }
    contexts = {deid_planted.SLOT.sub("{}", c).casefold() for c in (*deid_planted.NOTE, *deid_planted.TALK, *deid_planted.HEAD)}
    assert len(templates) > 500
    assert not templates & contexts


@needs_guard
def test_spanish_cases_keep_hardly_anything() -> None:
    detector = deid.load_detector("es")
    assert detector.tagger is not None
    right = wrong = lost = 0
    for case in meddocan.cases(GUARD, "dev")[:60]:
        bounds, p = detector.tagger.tag(case.text)
        found, gold = set(deid.decode_spans(detector.tagger.labels, bounds, p)), set(case.spans)
        right, wrong, lost = right + len(gold & found), wrong + len(found - gold), lost + len(gold - found)
    assert 2 * right / (2 * right + wrong + lost) > 0.93


@needs_guard
def test_planted_identifiers_are_found_in_notes_that_nobody_here_wrote() -> None:
    detector = deid.load_detector("en")
    every = found = 0
    for text, spans in deid_planted.planted(GUARD)[:80]:
        red = {i for s in detector.find(text) for i in range(s.start, s.end)}
        own = [i for a, b, _ in spans for i in range(a, b) if text[i].isalnum()]
        every, found = every + len(own), found + len(red & set(own))
    assert found / every > 0.93
