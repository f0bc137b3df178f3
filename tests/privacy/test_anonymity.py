"""Nobody stands alone: every group has its k rows, its l values, and is no further than t from everybody."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from galenic.errors import RecordError
from galenic.privacy.anonymization import PrivacyModel, partition_rows

TABLES = arrays(np.int32, st.tuples(st.integers(20, 120), st.integers(1, 4)), elements=st.integers(0, 9))


@given(TABLES, st.integers(1, 12))
def test_every_group_has_k_rows_and_every_row_a_group(codes: np.ndarray, k: int) -> None:
    sizes = np.bincount(partition_rows(codes, PrivacyModel(k)))
    assert sizes.min() >= k
    assert sizes.sum() == len(codes)


@given(TABLES, st.integers(2, 6), st.integers(2, 3), st.sampled_from([0.3, 0.5, 1.0]))
def test_every_group_has_l_values_and_stays_within_t(codes: np.ndarray, k: int, distinct: int, t: float) -> None:
    sensitive = np.arange(len(codes)) % 3
    whole = np.bincount(sensitive) / len(codes)
    found = partition_rows(codes, PrivacyModel(k, distinct, t), sensitive)
    for group in range(found.max() + 1):
        values = np.bincount(sensitive[found == group], minlength=3)
        assert np.count_nonzero(values) >= distinct
        assert np.abs(values / values.sum() - whole).sum() / 2 <= t + 1e-12


def test_groups_are_boxes_that_rows_of_others_stay_out_of() -> None:
    codes = np.random.default_rng(1).integers(0, 50, (2_000, 2))
    found = partition_rows(codes, PrivacyModel(5))
    boxes = [(codes[found == g].min(0), codes[found == g].max(0)) for g in range(found.max() + 1)]
    for g, (low, high) in enumerate(boxes):
        inside = ((codes >= low) & (codes <= high)).all(1)
        assert (found[inside] == g).all()
    assert len(boxes) > 200  # of at most 400


@pytest.mark.parametrize("wanted", [PrivacyModel(100), PrivacyModel(2, 4)])
def test_what_no_grouping_can_give_is_refused(wanted: PrivacyModel) -> None:
    codes = np.zeros((50, 2), np.int32)
    with pytest.raises(RecordError, match=r"k = 100|l = 4"):
        partition_rows(codes, wanted, np.arange(50) % 3)
