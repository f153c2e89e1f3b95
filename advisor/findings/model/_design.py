"""Linear algebra of a sparse design matrix, of which every row has a few columns."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Design:
    """A sparse design matrix: every row has its few columns, padded with weight 0 on column 0."""

    columns: Integers
    weights: Array

    @classmethod
    def of(cls, rows: Sequence[Sequence[tuple[int, float]]]) -> "Design":
        """The matrix whose rows are given as (column, weight)."""
        width = max((len(row) for row in rows), default=0)
        columns = np.zeros((len(rows), width), dtype=np.int64)
        weights = np.zeros((len(rows), width))
        for i, row in enumerate(rows):
            for j, (column, weight) in enumerate(row):
                columns[i, j], weights[i, j] = column, weight
        return cls(columns, weights)

    def dense(self, size: int) -> Array:
        """The matrix itself, shape (n, size)."""
        x = np.zeros((len(self.columns), size))
        for i, (columns, weights) in enumerate(zip(self.columns, self.weights, strict=True)):
            np.add.at(x[i], columns, weights)
        return x

    def blocks(self, labels: Integers, size: int) -> Integers:
        """The one label that all rows of a column have, -1 where they have several; shape (size,)."""
        used = self.weights != 0
        rows, columns = np.nonzero(used)[0], self.columns[used]
        least, most = np.full(size, len(labels)), np.full(size, -1)
        np.minimum.at(least, columns, labels[rows])
        np.maximum.at(most, columns, labels[rows])
        return np.asarray(np.where(least == most, most, -1))

    def times(self, coefficients: Array) -> Array:
        """X b, shape (n,)."""
        return np.asarray(np.einsum("nk,nk->n", self.weights, coefficients[self.columns]))

    def transposed_times(self, values: Array, size: int) -> Array:
        """X' y, shape (size,)."""
        return sums(self.columns.ravel(), (self.weights * values[:, None]).ravel(), size)

    def gram(self, precision: Array, size: int) -> Array:
        """X' diag(precision) X, shape (size, size)."""
        products = self.weights[:, :, None] * (self.weights * precision[:, None])[:, None, :]
        cells = self.columns[:, :, None] * size + self.columns[:, None, :]
        return sums(cells.ravel(), products.ravel(), size * size).reshape(size, size)

    def quadratic(self, matrix: Array) -> Array:
        """x' M x of every row x, shape (n,)."""
        out = np.empty(len(self.columns))
        for i, (columns, weights) in enumerate(zip(self.columns, self.weights, strict=True)):
            out[i] = weights @ matrix[columns[:, None], columns] @ weights
        return out


def leave_out(design: Design, covariance: Array, residual: Array, total2: Array) -> tuple[Array, Array]:
    """Errors, and their variances, of rows L of a linear model when all of them are left out.

    That needs no refit: with H = X C X' and W = diag(1 / total2), the errors are (I - H_L W_L)^-1 r_L and
    their covariance is (W_L - W_L H_L W_L)^-1.

    Args:
        design: the rows.
        covariance: of the coefficients, with the rows in the fit.
        residual: of the rows in the fit, shape (n,).
        total2: their noise and residual variance, shape (n,).
    """
    x = design.dense(len(covariance))
    rest = np.eye(len(residual)) - x @ covariance @ x.T / total2
    variance = np.diag(np.linalg.solve(rest, np.diag(total2)))
    return np.asarray(np.linalg.solve(rest, residual)), np.asarray(np.maximum(variance, 1e-9))


def sums(places: Integers, values: Array, size: int) -> Array:
    """Sums of the values that share a place, shape (size,)."""
    return np.asarray(np.bincount(places, values, size), dtype=np.float64)


def solve(
    matrix: Array, vector: Array, blocks: Integers, *, whole: bool = True
) -> tuple[Array, Array, float]:
    """Solution, inverse and log determinant of a symmetric positive-definite system of an arrow's shape.

    Columns of different blocks do not touch: all that belongs to one language meets another's only through
    the columns that languages share. Blocks are eliminated one by one, so that only what is shared costs
    its cube.

    Args:
        matrix: shape (p, p).
        vector: shape (p,).
        blocks: of each column, shape (p,); -1 for the shared ones.
        whole: whether the inverse between two blocks is wanted too; else it is 0.
    """
    shared = np.flatnonzero(blocks < 0)
    own = [np.flatnonzero(blocks == block) for block in np.unique(blocks[blocks >= 0])]
    inner = [_inverse(matrix[np.ix_(block, block)]) for block in own]
    across = [matrix[np.ix_(block, shared)] for block in own]
    solved = [inverted @ side for (inverted, _), side in zip(inner, across, strict=True)]
    columns, sides = np.concatenate([shared[:0], *own]), np.vstack([np.empty((0, len(shared))), *solved])
    outer, log_determinant = _inverse(
        matrix[np.ix_(shared, shared)] - matrix[np.ix_(shared, columns)] @ sides
    )
    solution, out = np.empty_like(vector), np.zeros_like(matrix)
    solution[shared] = outer @ (vector[shared] - sides.T @ vector[columns])
    out[np.ix_(shared, shared)] = outer
    for block, (inverted, log), side in zip(own, inner, solved, strict=True):
        solution[block] = inverted @ vector[block] - side @ solution[shared]
        mixed = side @ outer
        out[np.ix_(block, shared)] = -mixed
        out[np.ix_(shared, block)] = -mixed.T
        others, rows = (columns, sides) if whole else (block, side)
        out[np.ix_(block, others)] = mixed @ rows.T
        out[np.ix_(block, block)] += inverted
        log_determinant += log
    return solution, out, log_determinant


def _inverse(matrix: Array) -> tuple[Array, float]:
    """Inverse and log determinant of a symmetric positive-definite matrix, by its Cholesky factor."""
    from scipy.linalg import lapack

    factor, failed = lapack.dpotrf(matrix, lower=1)
    if failed:
        raise np.linalg.LinAlgError("the precision matrix is not positive definite")
    log_determinant = 2 * float(np.log(np.diag(factor)).sum())
    lower = np.tril(lapack.dpotri(factor, lower=1)[0])
    return np.asarray(lower + np.tril(lower, -1).T), log_determinant
