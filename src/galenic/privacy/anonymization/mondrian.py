"""Strict multidimensional partitioning of rows into groups, Mondrian (LeFevre, DeWitt, Ramakrishnan 2006)."""

from dataclasses import dataclass

import numpy as np

from galenic.errors import RecordError
from galenic.privacy.anonymization.model import PrivacyModel


def partition_rows(codes: np.ndarray, model: PrivacyModel, sensitive: np.ndarray | None = None) -> np.ndarray:
    """The group of each row, integers from 0. Raise RecordError if the whole table as one group violates the model.

    codes: (rows, columns) of ordered integers. sensitive: (rows,) of integers from 0.
    """
    partition = _Partition(codes, model, sensitive)
    groups = np.zeros(len(codes), np.int64)
    pending, number = [np.arange(len(codes))], 0
    while pending:
        rows = pending.pop()
        halves = partition.split(rows) if len(rows) >= 2 * model.k else None
        if halves is None:
            groups[rows] = number
            number += 1
        else:
            pending += halves
    return groups


@dataclass
class _Partition:
    codes: np.ndarray
    model: PrivacyModel
    sensitive: np.ndarray | None

    def __post_init__(self) -> None:
        n = len(self.codes)
        if n < self.model.k:
            raise RecordError(f"the table has {n} rows, fewer than k = {self.model.k}. Choose a smaller k, or add rows.")
        self.overall: np.ndarray | None = None  # distribution of the sensitive values in the table
        if self.sensitive is not None:
            self.overall = np.bincount(self.sensitive) / n
            if np.count_nonzero(self.overall) < self.model.l:
                raise RecordError(f"the sensitive column has fewer than l = {self.model.l} values. Choose a smaller l.")
        self.width = np.maximum(self.codes.max(0) - self.codes.min(0), 1).astype(float)

    def split(self, rows: np.ndarray) -> list[np.ndarray] | None:
        """The rows in two halves, at the median of the column with the widest range; None if no column allows a split."""
        part = self.codes[rows]
        spread = (part.max(0) - part.min(0)) / self.width
        for column in np.argsort(-spread, kind="stable"):
            if spread[column] == 0:
                return None
            values = part[:, column]
            median = np.partition(values, len(values) // 2)[len(values) // 2]
            for low in (values < median, values <= median):
                size = int(low.sum())
                if min(size, len(rows) - size) < self.model.k:
                    continue
                halves = [rows[low], rows[~low]]
                if all(self._satisfies(half) for half in halves):
                    return halves
        return None

    def _satisfies(self, rows: np.ndarray) -> bool:
        """True if the sensitive values of these rows satisfy l and t."""
        if self.sensitive is None or self.overall is None:
            return True
        share = np.bincount(self.sensitive[rows], minlength=len(self.overall)) / len(rows)
        return bool(np.count_nonzero(share) >= self.model.l and np.abs(share - self.overall).sum() / 2 <= self.model.t)
