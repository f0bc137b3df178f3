"""Several tables of the same patients: a model of each flat table, and rows made parent by parent, one after another.

A row is drawn given its ancestors and the row before it; the number of rows is a column of its parent. So foreign
keys hold by construction, and one patient's rows in one table are what the privacy of that table's model protects.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from galenic.errors import BudgetError, RecordError
from galenic.generators.tables.engine import MixtureTables, new_rng
from galenic.generators.tables.mixture import MOST_MEMBERS, Marginal
from galenic.generators.tables.model_files import dataclass_fields
from galenic.generators.tables.related_constraints import (
    Days,
    RelatedConstraints,
    add_values_for_descendants,
    ancestor_values,
    check_relation_constraints,
    with_dates_and_totals,
)
from galenic.generators.tables.request_checks import refuse_few_rows
from galenic.privacy import MIN_PATIENTS, Budget, Domain, PrivateRows, buy_domain, domain_share
from galenic.records import Source, ancestor_column, inherited, own_columns, previous_column, previous_row
from galenic.schema import ARROW_TYPES, PATIENT, Column, Constraint, Relation, Table, ancestors, children, in_order

Progress = Callable[[str, float], None]
TRIAL, REHEARSALS = 3_000, 3  # patients, and how often the models of a table are fitted to what they lead to
CONFIDENT = 2.5  # standard deviations above zero: a count without patients passes in one fit of a hundred
MEMBERS = 4  # fits that are averaged: each row of a child table weighs every component of them


def private_table(r: Relation, flat: Source, budget: Budget | None, share: Fraction) -> PrivateRows:
    """A flat table behind the budget that all tables share: one patient has as many of its rows as are declared."""
    return PrivateRows(flat, PATIENT, r.rows_of_a_patient, budget, share=share)


class RelatedTables:
    """Learns several tables of the same patients and makes new ones, patient by patient."""

    def __init__(self, relations: tuple[Relation, ...], *, least: int = MIN_PATIENTS, seed: int | None = None) -> None:
        self.relations = in_order(relations)
        check_relation_constraints(self.relations)
        self.least = least
        self.seed = seed
        self.models: dict[str, MixtureTables] = {}
        self.rules = {r.name: RelatedConstraints(r) for r in self.relations}
        self.reach: dict[str, int] = {}  # most rows of one parent in each child table that answers tell from noise
        self.bound = any(rules.rules for rules in self.rules.values())
        self.patients = 0

    def fit(self, flat: Mapping[str, Source], budget: Budget | None, *, progress: Progress | None = None) -> "RelatedTables":
        """Learns from the flat tables (records.flatten) of training patients. Each table's model costs the same part of rho; a patient
        may be in all of them, so their prices add up."""
        tell = progress or (lambda _what, _share: None)
        rng = new_rng(self.seed)
        trial: dict[str, pa.Table] = {}
        bought: dict[str, tuple[Column, ...]] = {}
        count = len(self.relations)
        for place, r in enumerate(self.relations):
            tell(f"learning {r.name}", place / count)
            protected = private_table(r, flat[r.name], budget, Fraction(1, count - place))
            delta = budget.threshold_delta / count if budget else Fraction(0)
            own = own_columns(r, self.relations)
            domain = buy_domain(protected, own, protected.rho * domain_share(own), delta, min_patients=self.least)
            bought[r.name] = domain.columns
            if not place:
                self.patients = domain.rows
            self.models[r.name] = self._fit_table(r, protected, domain, bought)
            trial[r.name] = self._rehearse(r, trial, rng)
        return self

    def _rehearse(self, r: Relation, trial: Mapping[str, pa.Table], rng: np.random.Generator) -> pa.Table:
        """Rows of a table for trial patients. Each row leads to the next, so small errors grow; the columns' models are fitted again to
        the same paid counts, on the rows that they lead to, until the known columns are distributed as they will be (as in imitation
        learning, Ross, Gordon & Bagnell 2011)."""
        if not r.parent:
            return self._roots(r, min(self.patients, TRIAL), rng)
        model = self.models[r.name]
        for _ in range(REHEARSALS if model.autoregressive.targets else 0):
            seen: list[NDArray[np.int64]] = []
            self._children(r, trial[r.parent], rng, seen)
            if seen:
                with threadpool_limits(1):
                    model.autoregressive = model.relearn(np.concatenate(seen), before=model.autoregressive)
        return self._children(r, trial[r.parent], rng)

    def _fit_table(
        self, r: Relation, protected: PrivateRows, domain: Domain, bought: dict[str, tuple[Column, ...]]
    ) -> MixtureTables:
        again = set(previous_row(r, self.relations))
        known = [
            ancestor_column(c, up) for up in ancestors(r, self.relations) for c in bought[up.name] if c.coded and inherited(c)
        ]
        known += [previous_column(c) for c in domain.columns if c.name in again and c.coded]
        members = MEMBERS if r.parent else MOST_MEMBERS
        worked_out = (*(c.name for c in known), *(("@age", "@left", "@more") if r.parent else ()))
        model = MixtureTables(members=members, least=self.least, seed=self.seed, refine=not r.parent, known=worked_out)
        try:
            if not r.parent:
                refuse_few_rows(domain.rows, private=protected.private)
            model.fit(protected, replace(domain, columns=(*domain.columns, *known)))
        except BudgetError as error:
            raise BudgetError(f"table {r.name!r}: {error}") from None
        for child in children(r, self.relations):
            place = model.names.index(f"@n.{child.name}")
            self.reach[child.name] = _reach(model.columns[place], model.marginals.ones[place])
        return model

    def save(self, folder: Path) -> None:
        """Writes every table's model into a folder of its own, and how they belong together. The folder must not exist."""
        folder.mkdir()
        about = {
            "patients": self.patients,
            "least": self.least,
            "reach": self.reach,
            "relations": [asdict(r) for r in self.relations],
        }
        (folder / "relations.json").write_text(json.dumps(about), encoding="utf-8")
        for name, model in self.models.items():
            model.save(folder / name)

    @classmethod
    def load(cls, folder: Path) -> "RelatedTables":
        """The models that `save` wrote; RecordError if there are none, or of another engine or version."""
        place = folder / "relations.json"
        if not place.is_file():
            raise RecordError(
                f"{folder} holds no models of related tables. Name the folder `model` of a run of synthesize-related."
            )
        about = json.loads(place.read_text(encoding="utf-8"))
        model = cls(tuple(_relation(r) for r in about["relations"]), least=about["least"])
        model.patients, model.reach = about["patients"], about["reach"]
        model.models = {r.name: MixtureTables.load(folder / r.name) for r in model.relations}
        return model

    def sample(self, patients: int, rng: np.random.Generator | None = None) -> dict[str, Table]:
        """Tables of that many new patients."""
        rng = rng or new_rng()
        flat: dict[str, pa.Table] = {}
        for r in self.relations:
            self.rules[r.name].reset()
            flat[r.name] = self._children(r, flat[r.parent], rng) if r.parent else self._roots(r, patients, rng)
        return {r.name: self._finish_table(r, flat) for r in self.relations}

    def _roots(self, r: Relation, patients: int, rng: np.random.Generator) -> pa.Table:
        """A row for each new patient, with how many rows follow in each child table."""
        frame, day = self.rules[r.name].whole(lambda n: self._root_rows(r, n, rng), patients)
        keys = pa.array(np.arange(1, patients + 1))
        for name, values in (("@key", keys), (PATIENT, keys), ("@day", pa.array(day)), ("@root", pa.array(day))):
            frame = frame.append_column(name, values)
        return add_values_for_descendants(frame, r, day, ancestor_values(frame)) if self.bound else frame

    def _root_rows(self, r: Relation, n: int, rng: np.random.Generator) -> tuple[pa.Table, Days]:
        frame = self._limit_counts(r, self.models[r.name].sample(n, rng=rng).frame, rng)
        return frame, _filled(frame[r.order].cast(pa.int32()).cast(pa.int64())) if r.order else np.zeros(n, dtype=np.int64)

    def _children(
        self, r: Relation, parents: pa.Table, rng: np.random.Generator, seen: list[NDArray[np.int64]] | None = None
    ) -> pa.Table:
        """Rows of a child table: the first of every parent, then the second of those that have one, and so on."""
        model, counts = self.models[r.name], _filled(parents[f"@n.{r.name}"])
        inherited_values, root = self._above(r, parents), _filled(parents["@root"])
        day = _filled(parents["@day"]).copy()
        if r.order:
            first = _days(parents[f"@first.{r.name}"], counts, rng)
            # nothing happens to a patient who is not born
            day = np.maximum(first, root) if r.since == "calendar" else day + first
        end = day + (np.maximum(_days(parents[f"@span.{r.name}"], counts, rng), 0) if r.order else 0)
        above, last = ancestor_values(parents), None
        parts: list[pa.Table] = []
        who = np.flatnonzero(counts >= 1)
        for step in range(1, int(counts.max(initial=0)) + 1):
            at = {"@age": day[who] - root[who], "@left": end[who] - day[who], "@more": counts[who] - step}
            known = self._known(r, inherited_values.take(pa.array(who)), at, last)
            draw = _NextRows(model, known, day[who], end[who], counts[who] == step, rng, seen)
            rows, day[who], fine = self.rules[r.name].lines(draw, who.size, above.take(pa.array(who)))
            if "@age" in known.column_names:
                rows = rows.append_column("@age", known["@age"])
            rows = rows.append_column("@day", pa.array(day[who])).append_column("@place", pa.array(who))
            parts.append(rows.append_column("@step", pa.array(np.full(who.size, step))).filter(pa.array(fine)))
            stay = fine & (counts[who] > step)
            last, who = rows.filter(pa.array(stay)), who[stay]
        frame = self._limit_counts(r, pa.concat_tables(parts) if parts else _no_rows(model), rng)
        frame = frame.take(pc.sort_indices(frame, sort_keys=[("@place", "ascending"), ("@step", "ascending")]))
        place = frame["@place"]
        frame = frame.append_column("@key", pa.array(np.arange(1, frame.num_rows + 1)))
        for name in ("@root", PATIENT):
            frame = frame.append_column(name, parents[name].take(place))
        for name in inherited_values.column_names:
            frame = frame.append_column(name, inherited_values[name].take(place))
        frame = frame.append_column("@up", parents["@key"].take(place))
        return add_values_for_descendants(frame, r, _filled(frame["@day"]), above.take(place)) if self.bound else frame

    def _known(
        self, r: Relation, inherited_values: pa.Table, at: dict[str, NDArray[np.int64]], last: pa.Table | None
    ) -> pa.Table:
        """Known columns of each row before it is drawn: of its ancestors, of the row before it (none before the first), and its place in
        its line."""
        model, known = self.models[r.name], inherited_values
        for name in previous_row(r, self.relations):
            if f"@previous.{name}" in model.names:
                described = model.columns[model.names.index(f"@previous.{name}")]
                nothing = pa.nulls(inherited_values.num_rows, ARROW_TYPES[described.kind])
                known = known.append_column(described.name, nothing if last is None else last[name])
        for name, days in at.items():
            if name in model.names:
                known = known.append_column(name, pa.array(days.astype(np.int64)))
        if "@gap" in model.names and last is None:
            known = known.append_column("@gap", pa.nulls(inherited_values.num_rows, pa.float64()))
        return known

    def _limit_counts(self, r: Relation, frame: pa.Table, rng: np.random.Generator) -> pa.Table:
        """The rows with counts of children that are more than noise: one beyond reach becomes another row's. Noise on counts that nobody
        has is cut at 0, so what is left of it would add rows: a tenth of all conditions of 100,000 made patients."""
        for child in children(r, self.relations):
            name = f"@n.{child.name}"
            counts = _filled(frame[name])
            far = counts > self.reach[child.name]
            if far.any():
                able = counts[~far] if not far.all() else np.zeros(1, dtype=np.int64)
                counts = np.where(far, rng.choice(able, counts.size), counts)
                frame = frame.set_column(frame.column_names.index(name), name, pa.array(counts))
        return frame

    def _above(self, r: Relation, parents: pa.Table) -> pa.Table:
        """Columns of the ancestors that a child's model knows, a row for each parent."""
        parent = ancestors(r, self.relations)[0]
        own = {ancestor_column(c, parent).name: c.name for c in own_columns(parent, self.relations)}
        names = [n for n in self.models[r.name].names if n in own or (n in parents.column_names and not n.startswith("@"))]
        return pa.table({n: parents[own.get(n, n)] for n in names})

    def _finish_table(self, r: Relation, flat: Mapping[str, pa.Table]) -> Table:
        """A table as the real one is: keys, dates and links put back; columns that were never learned are not there."""
        arrays: list[pa.ChunkedArray] = []
        columns: list[Column] = []
        frame = with_dates_and_totals(r, flat[r.name], _filled(flat[r.name]["@day"]))
        for c in r.columns:
            array = None
            if c.name == r.key:
                array = frame["@key"].cast(pa.string())
            elif c.name == r.foreign_key:
                array = frame["@up"].cast(pa.string())
            elif c.name in r.links:
                array = _linked(frame, flat[r.links[c.name]], f"@link.{c.name}")
            elif c.name in frame.column_names:
                array = frame[c.name]
            if array is not None:
                learned = next((m for m in self.models[r.name].columns if m.name == c.name), None)
                c = c.but(kind="numeric") if c.kind == "unknown" and learned is None else c  # an undescribed total
                kind = "identifier" if c.name in (r.key, r.foreign_key, *r.links) else "date" if c.kind == "date" else None
                arrays.append(array)
                columns.append(learned or c.but(kind=kind or c.kind, role="value", edges=(), anchor=""))
        return Table(pa.table(arrays, names=[c.name for c in columns]), tuple(columns))


@dataclass(frozen=True)
class _NextRows:
    """Draws the next row of some lines of rows (the rows of one parent). known: of each line's next row. day: of its last row so far.
    end: of its last row at all. is_last: whether the next row is the last. seen: gets the coarse levels of drawn rows."""

    model: MixtureTables
    known: pa.Table
    day: Days
    end: Days
    is_last: NDArray[np.bool_]
    rng: np.random.Generator
    seen: list[NDArray[np.int64]] | None

    def __call__(self, which: NDArray[np.intp]) -> tuple[pa.Table, Days]:
        """(the next rows of these lines, their days)."""
        # rows that are drawn again because of a constraint do not count twice among the rows that are seen
        seen = self.seen if which.size == self.known.num_rows else None
        rows = self.model.sample_remaining(self.known.take(pa.array(which)), self.rng, seen)
        if "@gap" not in rows.column_names:
            return rows, self.day[which].copy()
        part = np.nan_to_num(np.asarray(rows["@gap"].to_numpy(), dtype=np.float64))
        passed = np.rint(np.clip(part, 0, 1) * (self.end[which] - self.day[which])).astype(np.int64)
        return rows.drop_columns(["@gap"]), np.where(self.is_last[which], self.end[which], self.day[which] + passed)


def _relation(about: dict[str, Any]) -> Relation:
    columns = tuple(Column(**dataclass_fields(c)) for c in about.pop("columns"))
    return Relation(
        columns=columns, constraints=tuple(Constraint(**dataclass_fields(c)) for c in about.pop("constraints")), **about
    )


def _linked(frame: pa.Table, others: pa.Table, flag: str) -> pa.Array:
    """The key of the same patient's row of another table that is nearest in time, where the flag says that there is one."""
    order = pc.sort_indices(others, sort_keys=[(PATIENT, "ascending"), ("@day", "ascending")])
    others = others.take(order)
    theirs, their_day, key = _filled(others[PATIENT]), _filled(others["@day"]), _filled(others["@key"])
    mine, my_day = _filled(frame[PATIENT]), _filled(frame["@day"])
    span = 1 << 22  # days: more than any calendar holds
    at = np.searchsorted(theirs * span + their_day, mine * span + my_day)
    found = np.full(mine.size, -1, dtype=np.int64)
    far = np.full(mine.size, np.iinfo(np.int64).max)
    for side in (at - 1, at) if theirs.size else ():
        inside = np.clip(side, 0, theirs.size - 1)
        off = np.abs(their_day[inside] - my_day)
        better = (side >= 0) & (side < theirs.size) & (theirs[inside] == mine) & (off < far)
        found, far = np.where(better, key[inside], found), np.where(better, off, far)
    wanted = np.asarray(pc.equal(frame[flag], "yes").to_numpy(zero_copy_only=False), dtype=np.bool_)
    return pa.array(found, mask=~wanted | (found < 0)).cast(pa.string())


def _reach(column: Column, answer: Marginal) -> int:
    """The largest count up to which each paid answer, or that of all counts from there on, is above zero by CONFIDENT standard deviations."""
    cells = np.asarray(answer.counts)[: len(column.edges) - 1]
    noise = np.sqrt(np.broadcast_to(answer.variance, cells.shape))
    above, spread = np.cumsum(cells[::-1])[::-1], np.sqrt(np.cumsum(noise[::-1] ** 2)[::-1])
    nobody = np.flatnonzero((above <= CONFIDENT * spread) & (cells <= CONFIDENT * noise))
    return int(column.edges[int(nobody[0]) if nobody.size else cells.size])


def _days(stated: pa.ChunkedArray, counts: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Days that each parent has for its rows; where it has rows and no days, those of another parent with rows."""
    days, there = _filled(stated), np.asarray(stated.is_valid().to_numpy(), dtype=np.bool_)
    able = days[there & (counts > 0)]
    return np.where(there, days, rng.choice(able, days.size)) if able.size else days


def _filled(array: pa.ChunkedArray) -> NDArray[np.int64]:
    """Whole numbers, 0 where there is none."""
    return np.asarray(pc.fill_null(array, 0).to_numpy(), dtype=np.int64)


def _no_rows(model: MixtureTables) -> pa.Table:
    """An empty table, where no patient has rows."""
    fields = [
        (c.name, ARROW_TYPES[c.kind]) for c in model.columns if not c.name.startswith(("@previous.", "@gap", "@left", "@more"))
    ]
    fields += [(n, pa.int64()) for n in ("@day", "@place", "@step")]
    return pa.schema(fields).empty_table()
