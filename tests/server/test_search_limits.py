"""Limits of searches: time, clients that leave, a fair share of the threads, and reads beside them."""

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import httpx
import pytest

from galenic import store
from galenic.custody.fhir import staged_search
from galenic.errors import RecordError, TooCostlyError
from galenic.records.fhir import parse_search
from galenic.schema import SearchScope
from galenic.server import fair_pool
from galenic.server.fair_pool import FairPool, TooManyWaitingError
from galenic.server.thread_switches import SHORT_SECONDS, USUAL_SECONDS
from server_made import Fhir

PATIENTS = 3_000
SLOW = "&".join(["name:contains=" + ",".join([*(f"no{i}" for i in range(199)), "s"])] * 30)  # 18 million comparisons


@pytest.fixture(scope="module", autouse=True)
def crowded(ehr: Fhir) -> None:
    """Many patients in the search index, and one of them readable."""
    assert (
        ehr("PUT", "/Patient/one", {"resourceType": "Patient", "id": "one", "name": [{"family": "Stone"}]}).status_code == 201
    )
    rows = [
        store.IndexEntry(i, "Patient", f"p{i}", i, True, i * 1000, True, texts=[("name", f"s{i}", f"S{i}")])
        for i in range(1_000, 1_000 + PATIENTS)
    ]
    ehr.repository.index.put(rows)


@pytest.fixture
def seconds(ehr: Fhir) -> Iterator[Callable[[float], None]]:
    """Changes the time limit of a search."""
    before = ehr.installation.settings

    def change(limit: float) -> None:
        ehr.installation.settings = replace(before, search_seconds=limit)

    yield change
    ehr.installation.settings = before


def cpu_of_the_next(duration: float) -> float:
    started = time.process_time()
    time.sleep(duration)
    return time.process_time() - started


def test_a_search_over_the_time_limit_is_ended_with_advice(ehr: Fhir, seconds: Callable[[float], None]) -> None:
    seconds(0.3)
    started = time.monotonic()
    answer = ehr("GET", f"/Patient?_summary=count&{SLOW}")
    assert time.monotonic() - started < 3
    assert answer.status_code == 503
    issue = answer.json()["issue"][0]
    assert issue["code"] == "too-costly"
    assert "took longer than 0.3 s" in issue["diagnostics"]
    assert "_count" in issue["diagnostics"]


def test_a_search_in_a_batch_has_the_same_limit(ehr: Fhir, seconds: Callable[[float], None]) -> None:
    seconds(0.3)
    entry = {"request": {"method": "GET", "url": f"Patient?_summary=count&{SLOW}"}}
    answer = ehr("POST", "", {"resourceType": "Bundle", "type": "batch", "entry": [entry]})
    assert [e["response"]["status"] for e in answer.json()["entry"]] == ["503"]


def test_a_search_that_ends_after_a_transaction_has_written_is_an_error_of_its_entry(
    ehr: Fhir, seconds: Callable[[float], None]
) -> None:
    """The whole answer was an error, though the resources were written."""
    seconds(0.3)
    entries = [
        {
            "resource": {"resourceType": "Patient", "id": "written"},
            "request": {"method": "PUT", "url": "Patient/written"},
        },
        {"request": {"method": "GET", "url": f"Patient?_summary=count&{SLOW}"}},
    ]
    answer = ehr("POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert answer.status_code == 200
    assert [e["response"]["status"] for e in answer.json()["entry"]] == ["201", "503"]
    assert ehr("GET", "/Patient/written").status_code == 200


def test_conditions_of_a_transaction_share_one_time_limit(ehr: Fhir, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other writers wait for a transaction, however many conditions it has."""
    monkeypatch.setattr(staged_search, "CONDITIONS_SECONDS", 0.0)
    request = {"method": "POST", "url": "Patient", "ifNoneExist": "family=conditional"}
    entry = {"resource": {"resourceType": "Patient", "name": [{"family": "Conditional"}]}, "request": request}
    answer = ehr("POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": [entry]})
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (503, "too-costly")
    assert ehr.found("Patient?family=conditional") == []


def test_a_search_ends_when_its_client_leaves(ehr: Fhir, seconds: Callable[[float], None]) -> None:
    seconds(60)
    with httpx.Client(base_url=ehr.web.base_url, timeout=0.5, trust_env=False) as web, pytest.raises(httpx.ReadTimeout):
        for _ in range(100):  # one is over before the client has left
            web.get(f"/fhir/Patient?_summary=count&{SLOW}", headers={"Authorization": f"Bearer {ehr.token}"})
    time.sleep(0.5)
    assert cpu_of_the_next(1.0) < 0.5


def test_reads_are_answered_beside_hostile_searches(
    ehr: Fhir, served: Callable[..., Fhir], seconds: Callable[[float], None]
) -> None:
    seconds(0.5)
    hostile, stop, took = served("hostile"), threading.Event(), list[float]()

    def search() -> None:
        with httpx.Client(base_url=ehr.web.base_url, timeout=60, trust_env=False) as web:
            while not stop.is_set():
                web.get(f"/fhir/Patient?_summary=count&{SLOW}", headers={"Authorization": f"Bearer {hostile.token}"})

    with ThreadPoolExecutor(12) as clients:
        for _ in range(12):
            clients.submit(search)
        time.sleep(0.5)
        for _ in range(60):
            started = time.monotonic()
            assert ehr("GET", "/Patient/one").status_code == 200
            took.append(time.monotonic() - started)
        assert ehr.found("Patient?_id=one") == ["one"], "another client's small search has a thread of its own"
        stop.set()
    assert sorted(took)[len(took) // 2] < 0.2


def test_more_searches_of_one_client_than_may_wait_are_refused(
    ehr: Fhir, seconds: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds(1)
    monkeypatch.setattr(fair_pool, "WAITING_OF_CLIENT", 1)

    def search(_number: int) -> httpx.Response:
        with httpx.Client(base_url=ehr.web.base_url, timeout=120, trust_env=False) as web:
            return web.get(f"/fhir/Patient?_summary=count&{SLOW}", headers={"Authorization": f"Bearer {ehr.token}"})

    with ThreadPoolExecutor(12) as clients:
        answers = list(clients.map(search, range(12)))
    refused = [a for a in answers if a.status_code == 429]
    assert refused
    assert all(a.headers["Retry-After"] and a.json()["issue"][0]["code"] == "throttled" for a in refused)


def test_a_thousand_values_of_a_parameter_are_searched_at_once(ehr: Fhir) -> None:
    ids = ",".join(["one", *(f"absent{i}" for i in range(999))])
    assert ehr.found(f"Patient?_id={ids}") == ["one"]
    assert ehr.found(f"Patient?family={ids.replace('one', 'stone')}") == ["one"]
    assert ehr.found(f"Patient?_id=one&identifier={ids}") == []


@pytest.mark.parametrize(
    ("resource_type", "name", "values"),
    [
        pytest.param("Patient", "_id", 1_001, id="ids"),
        pytest.param("Patient", "identifier", 1_001, id="codes"),
        pytest.param("Observation", "focus", 200, id="references that may name any type"),
        pytest.param("Observation", "focus.identifier", 200, id="chains through any type"),
    ],
)
def test_more_values_than_a_search_may_compare_are_refused(resource_type: str, name: str, values: int) -> None:
    with pytest.raises(RecordError, match=r"at most 1,000|more than 20,000"):
        parse_search(resource_type, [(name, ",".join(f"v{i}" for i in range(values)))])


@pytest.mark.parametrize(
    "given",
    [
        pytest.param([("shoe-size", "44")] * 50_000, id="parameters"),
        pytest.param([("_include", "Patient:organization")] * 51, id="includes"),
        pytest.param([("_sort", "name,birthdate,_id"), ("_sort", ",".join(["name"] * 8))], id="keys of a sort"),
        pytest.param([("name", "s")] * 31, id="conditions"),
    ],
)
def test_more_parameters_than_a_search_may_have_are_refused(given: list[tuple[str, str]]) -> None:
    started = time.perf_counter()
    with pytest.raises(RecordError, match=r"at most|more than"):
        parse_search("Patient", given)
    assert time.perf_counter() - started < 0.5


# the pool and the limit alone


async def never() -> None:
    await asyncio.Event().wait()


def test_one_client_never_occupies_all_threads() -> None:
    pool, free = FairPool("test", 3), threading.Event()

    async def main() -> None:
        many = [asyncio.ensure_future(pool.run("a", free.wait, store.QueryLimit(), never)) for _ in range(9)]
        await asyncio.sleep(0.1)
        assert await asyncio.wait_for(pool.run("b", lambda: "served", store.QueryLimit(), never), 5) == "served"
        free.set()
        assert all(await asyncio.gather(*many))

    asyncio.run(main())


def work_hard() -> None:
    """Uses CPU time of its thread."""
    started = time.thread_time()
    while time.thread_time() - started < 0.3:
        pass


def test_heavy_clients_leave_the_last_thread_to_light_ones() -> None:
    pool, free = FairPool("test", 3), threading.Event()

    async def main() -> None:
        for name in "abc":
            await pool.run(name, work_hard, store.QueryLimit(), never)
        held = [asyncio.ensure_future(pool.run(n, free.wait, store.QueryLimit(), never)) for n in "abc"]
        await asyncio.sleep(0.1)
        for _ in range(5):
            assert await asyncio.wait_for(pool.run("light", lambda: "served", store.QueryLimit(), never), 5) == "served"
        assert sum(h.done() for h in held) == 0
        free.set()
        await asyncio.gather(*held)

    asyncio.run(main())


def test_a_long_search_on_the_last_thread_makes_room_and_begins_again() -> None:
    pool, free, began = FairPool("test", 2, slice_seconds=0.1), threading.Event(), list[float]()

    async def main() -> None:
        held = asyncio.ensure_future(pool.run("a", free.wait, store.QueryLimit(), never))
        await asyncio.sleep(0.05)
        limit = store.QueryLimit()

        def search() -> str:
            began.append(time.monotonic())
            while not free.is_set():
                limit.require()
                time.sleep(0.01)
            return "found"

        long = asyncio.ensure_future(pool.run("unknown", search, limit, never))
        await asyncio.sleep(0.3)
        assert await asyncio.wait_for(pool.run("light", lambda: "served", store.QueryLimit(), never), 5) == "served"
        assert (len(began), long.done()) == (1, False)
        free.set()
        await held
        assert await long == "found"
        assert len(began) == 2

    asyncio.run(main())


def test_the_client_with_the_least_work_is_next() -> None:
    pool, free, order = FairPool("test", 2), threading.Event(), list[str]()

    async def main() -> None:
        await pool.run("heavy", work_hard, store.QueryLimit(), never)
        held = asyncio.ensure_future(pool.run("x", free.wait, store.QueryLimit(), never))
        also = asyncio.ensure_future(pool.run("y", free.wait, store.QueryLimit(), never))
        await asyncio.sleep(0.05)
        names = ("heavy", "heavy", "heavy", "light")
        work = [asyncio.ensure_future(pool.run(n, lambda n=n: order.append(n), store.QueryLimit(), never)) for n in names]
        await asyncio.sleep(0.05)
        free.set()
        await asyncio.gather(held, also, *work)

    asyncio.run(main())
    assert order[0] == "light"


def test_a_client_that_leaves_while_it_waits_gives_its_place_back() -> None:
    pool, free = FairPool("test", 2), threading.Event()

    async def main() -> None:
        held = asyncio.ensure_future(pool.run("a", free.wait, store.QueryLimit(), never))
        await asyncio.sleep(0.05)
        with pytest.raises(TooManyWaitingError):
            await pool.run("a", lambda: "never", store.QueryLimit(), partial(asyncio.sleep, 0.1))
        free.set()
        await held
        assert await pool.run("a", lambda: "next", store.QueryLimit(), never) == "next"

    asyncio.run(main())


def test_an_ended_search_leaves_no_half_set_of_visible_subjects(tmp_path: Path) -> None:
    """A scope whose insertion is interrupted must be inserted again, or the next search would miss patients in silence."""
    index = store.ResourceIndex(tmp_path / "index.db", b"k" * 32)
    index.put([store.IndexEntry(i, "Patient", f"p{i}", i, True, i, True) for i in range(1, 5_001)])
    request = replace(parse_search("Patient", []), scope=scope_of(5_000))
    limit = store.QueryLimit()
    limit.cancel()
    with index.limited(limit), pytest.raises(TooCostlyError):
        index.count(index.compile(request))
    assert index.count(index.compile(request)) == 5_000


def scope_of(subjects: int) -> SearchScope:
    return SearchScope(frozenset(range(1, subjects + 1)), "some")


def test_threads_give_way_sooner_while_long_work_is_done() -> None:
    pool, seen = FairPool("test", 3), list[float]()

    def long() -> None:
        for _ in range(2):
            seen.append(sys.getswitchinterval())
            time.sleep(0.3)

    async def main() -> None:
        await asyncio.gather(*(pool.run(n, long, store.QueryLimit(), never) for n in "ab"))
        await pool.run("c", lambda: seen.append(sys.getswitchinterval()), store.QueryLimit(), never)

    asyncio.run(main())
    assert sorted(seen[2:4]) == pytest.approx([SHORT_SECONDS] * 2)
    assert seen[-1] == pytest.approx(USUAL_SECONDS)


def test_a_request_whose_time_to_wait_is_over_takes_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fair_pool, "WAIT_SECONDS", 0.1)
    pool, free = FairPool("test", 2), threading.Event()

    async def main() -> None:
        held = asyncio.ensure_future(pool.run("a", free.wait, store.QueryLimit(), never))
        waits = [asyncio.ensure_future(pool.run("a", lambda: "never", store.QueryLimit(), never)) for _ in range(5)]
        given_up = await asyncio.gather(*waits, return_exceptions=True)
        assert all(isinstance(e, TooManyWaitingError) for e in given_up)
        free.set()
        await held
        assert await pool.run("a", lambda: "next", store.QueryLimit(), never) == "next"

    asyncio.run(main())


def test_a_turn_that_was_given_up_or_cancelled_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, free = FairPool("test", 2), threading.Event()

    async def main() -> None:
        held = asyncio.ensure_future(pool.run("a", free.wait, store.QueryLimit(), never))
        gone = asyncio.ensure_future(pool.run("a", lambda: "never", store.QueryLimit(), never))
        await asyncio.sleep(0.05)
        gone.cancel()
        pool._start()  # between the cancellation and the end of its wait
        free.set()
        await held
        assert await pool.run("a", lambda: "next", store.QueryLimit(), never) == "next"
        assert pool._running.total() == 0

    asyncio.run(main())
