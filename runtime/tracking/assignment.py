"""Who belongs to whom at the least total cost, exactly: the assignment problem, for the few boxes of a picture."""

import numpy as np
from numpy.typing import NDArray

Costs = NDArray[np.float64]


def assign(costs: Costs, limit: float) -> list[tuple[int, int]]:
    """Return pairs (row, column) of an (n, m) matrix, in the order of rows, whose total cost is the least.

    Leaving a row or a column without partner costs `limit`, so that no pair that costs as much is ever chosen;
    infinity forbids one. Of equal answers it is always the same one.
    """
    allowed = costs < limit
    rows, columns = np.flatnonzero(allowed.any(axis=1)), np.flatnonzero(allowed.any(axis=0))
    if not len(rows):
        return []
    # what is forbidden costs as much as no partner: then everybody may have one, and such pairs are dropped below
    capped = np.minimum(costs[np.ix_(rows, columns)], limit)
    wide = len(rows) <= len(columns)
    column_of = _full_assignment(capped) if wide else _inverse(_full_assignment(capped.T), len(rows))
    pairs = [(int(row), int(columns[place])) for row, place in zip(rows, column_of, strict=True) if place >= 0]
    return [pair for pair in pairs if allowed[pair]]


def _full_assignment(costs: Costs) -> NDArray[np.int64]:
    """Return the column of each row of an (n, m) matrix, n <= m, by shortest augmenting paths.

    R. Jonker and A. Volgenant, A shortest augmenting path algorithm for dense and sparse linear assignment problems,
    Computing 38 (1987), in the rectangular form of D. Crouse, On implementing 2D rectangular assignment algorithms,
    IEEE Transactions on Aerospace and Electronic Systems 52 (2016). Of their first steps only the reduction of rows.
    """
    n, m = costs.shape
    row_price, column_price = costs.min(axis=1), np.zeros(m)
    column_of, row_of = np.full(n, -1), np.full(m, -1)
    for row, column in enumerate(costs.argmin(axis=1)):
        if row_of[column] < 0:
            column_of[row], row_of[column] = column, row
    for free_row in np.flatnonzero(column_of < 0):
        shortest, came_from = np.full(m, np.inf), np.full(m, -1)
        open_columns, visited = np.ones(m, np.bool_), [int(free_row)]
        row, length = int(free_row), 0.0
        while True:
            through = length + costs[row] - row_price[row] - column_price
            better = open_columns & (through < shortest)
            shortest[better], came_from[better] = through[better], row
            column = int(np.argmin(np.where(open_columns, shortest, np.inf)))
            length, open_columns[column] = float(shortest[column]), False
            if row_of[column] < 0:
                break
            row = int(row_of[column])
            visited.append(row)
        row_price[free_row] += length
        row_price[visited[1:]] += length - shortest[column_of[visited[1:]]]
        closed = ~open_columns
        column_price[closed] -= length - shortest[closed]
        while True:
            row = int(came_from[column])
            row_of[column], (column_of[row], column) = row, (column, int(column_of[row]))
            if row == free_row:
                break
    return column_of


def _inverse(row_of: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Return for each of n rows the column whose row it is; -1 for a row that is nobody's."""
    column_of = np.full(n, -1)
    column_of[row_of] = np.arange(len(row_of))
    return column_of
