"""The cheapest pairs, against all that there are and against SciPy."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgevit.runtime.tracking.assignment import assign


def _gain(costs: np.ndarray, pairs: list[tuple[int, int]], limit: float) -> float:
    """Return what pairs save against everybody alone."""
    return float(sum(limit - costs[pair] for pair in pairs))


def _best_gain(costs: np.ndarray, limit: float) -> float:
    """Return the same of the best of all sets of pairs."""
    n, m = costs.shape
    best = 0.0
    for columns in itertools.product([None, *range(m)], repeat=n):
        taken = [column for column in columns if column is not None]
        if len(taken) == len(set(taken)):
            pairs = [(row, column) for row, column in enumerate(columns) if column is not None]
            best = max(best, _gain(costs, pairs, limit))
    return best


@st.composite
def _matrices(draw: st.DrawFn) -> np.ndarray:
    n, m = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    # few different values: ties are what goes wrong
    values = st.one_of(st.integers(0, 4).map(float), st.floats(0, 3), st.just(np.inf))
    return np.array(draw(st.lists(values, min_size=n * m, max_size=n * m))).reshape(n, m)


@given(_matrices(), st.sampled_from([0.5, 2.0, 3.5]))
@settings(max_examples=300)
def test_no_other_pairs_cost_less(costs: np.ndarray, limit: float) -> None:
    pairs = assign(costs, limit)
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
    assert all(costs[pair] < limit for pair in pairs)
    assert _gain(costs, pairs, limit) == pytest.approx(_best_gain(costs, limit))


@pytest.mark.parametrize("shape", [(1, 1), (7, 7), (30, 12), (12, 30), (60, 60)])
def test_total_is_that_of_scipy(shape: tuple[int, int]) -> None:
    optimize = pytest.importorskip("scipy.optimize")
    draw = np.random.default_rng(shape[0] + 100 * shape[1])
    for _ in range(20):
        costs = draw.random(shape)
        pairs = assign(costs, 2.0)
        assert len(pairs) == min(shape)
        rows, columns = optimize.linear_sum_assignment(costs)
        assert sum(costs[pair] for pair in pairs) == pytest.approx(costs[rows, columns].sum())


def test_greed_would_cost_more() -> None:
    # the cheapest pair, 0-0, would leave 1 with 9: 1 + 9 > 2 + 2
    assert assign(np.array([[1.0, 2.0], [2.0, 9.0]]), 10.0) == [(0, 1), (1, 0)]


def test_nobody_is_paired_above_the_limit() -> None:
    assert assign(np.array([[0.9, np.inf]]), 0.9) == []
    assert assign(np.array([[0.8, np.inf]]), 0.9) == [(0, 0)]
    assert assign(np.zeros((0, 3)), 1.0) == assign(np.zeros((3, 0)), 1.0) == []
