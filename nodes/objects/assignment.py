"""Pairs rows with columns at the least total cost: which detection is which track.

The Hungarian method as shortest augmenting paths (Jonker and Volgenant, "A shortest augmenting
path algorithm for dense and sparse linear assignment problems", Computing, 1987).

    assign(np.array([[0.1, 0.3], [0.1, 2.0]]), limit=1.0)  # [(0, 1), (1, 0)]
"""

from __future__ import annotations

import numpy as np

from deixis.nodes.objects.source import Array


def assign(cost: Array, limit: float) -> list[tuple[int, int]]:
    """Choose pairs so that the sum of their costs is least, where no pair at all costs ``limit``.

    Args:
        cost: Cost of each pair, shape ``(rows, columns)``; at ``limit`` or above (infinity, too) it
            is never chosen.
        limit: What it costs to leave a row without a column.

    Returns:
        Row and column of each pair, by row.
    """
    rows, columns = cost.shape
    # Each row has a column of its own that stands for "none", so that there always is an answer.
    wide = np.full((rows, columns + rows), np.inf)
    wide[:, :columns] = np.where(cost < limit, cost, np.inf)
    wide[np.arange(rows), columns + np.arange(rows)] = limit
    n = columns + rows
    row_price, column_price = np.zeros(rows), np.zeros(n)
    row_of, column_of = np.full(n, -1), np.full(rows, -1)
    for new in range(rows):
        shortest, before = np.full(n, np.inf), np.full(n, -1)
        done = np.zeros(n, bool)
        row, at, reached = new, -1, 0.0
        while row >= 0:
            # Cheapest way on from this row to each column that is not settled.
            way = reached + wide[row] - row_price[row] - column_price
            better = ~done & (way < shortest)
            shortest[better], before[better] = way[better], row
            at = int(np.where(done, np.inf, shortest).argmin())
            reached = float(shortest[at])
            done[at] = True
            row = int(row_of[at])
        row_price[new] += reached
        for column in np.flatnonzero(done):
            if column != at:
                row_price[row_of[column]] += reached - shortest[column]
                column_price[column] -= reached - shortest[column]
        # Turn the pairs along the path around.
        while True:
            row = int(before[at])
            row_of[at] = row
            column_of[row], at = at, int(column_of[row])
            if row == new:
                break
    return [(row, int(column)) for row, column in enumerate(column_of) if column < columns]
