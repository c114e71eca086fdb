"""The matrices of a network, and what stands in for one of lower rank."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

# A layer of this name holds queries, keys and values on top of each other.
_STACKED = "qkv"


@dataclass(frozen=True)
class Matrix:
    """Where a matrix lies in a network.

    Attributes
    ----------
    name
        Dotted name of the layer, with q, k or v for a part of one.
    parameter
        Name of the parameter that holds it.
    rows
        Rows of the parameter, flattened behind the first axis.
    kind
        linear, convolution, q, k or v.
    """

    name: str
    parameter: str
    rows: slice
    kind: str

    def read(self, module: nn.Module) -> np.ndarray:
        """Return the matrix (out, in) as float64."""
        weight = module.get_parameter(self.parameter).detach()
        return weight.flatten(1)[self.rows].double().cpu().numpy()

    @torch.no_grad()
    def write(self, module: nn.Module, values: np.ndarray) -> None:
        """Put values (out, in) in its place."""
        weight = module.get_parameter(self.parameter)
        part = torch.from_numpy(values).to(weight)
        weight[self.rows] = part.reshape(weight[self.rows].shape)


def matrices_of(module: nn.Module) -> list[Matrix]:
    """Return every linear, convolution, query, key and value matrix of a network, in its order.

    Convolutions in groups are left out: each group is a small matrix of its own.
    """
    return [matrix for name, layer in module.named_modules() for matrix in _of_layer(name, layer)]


def _of_layer(name: str, layer: nn.Module) -> Iterator[Matrix]:
    if isinstance(layer, nn.MultiheadAttention):
        if layer.in_proj_weight is not None:
            yield from _thirds(name, f"{name}.in_proj_weight", layer.embed_dim)
    elif isinstance(layer, nn.Linear):
        n_out, n_in = layer.weight.shape
        if name.rsplit(".", 1)[-1] == _STACKED and n_out == 3 * n_in:
            yield from _thirds(name, f"{name}.weight", n_in)
        else:
            yield Matrix(name, f"{name}.weight", slice(None), "linear")
    elif isinstance(layer, nn.Conv2d) and layer.groups == 1:
        yield Matrix(name, f"{name}.weight", slice(None), "convolution")


def _thirds(name: str, parameter: str, n: int) -> Iterator[Matrix]:
    for k, kind in enumerate("qkv"):
        yield Matrix(f"{name}.{kind}", parameter, slice(k * n, (k + 1) * n), kind)


def rank_of(share: float, shape: tuple[int, ...]) -> int:
    """Return the rank that is a share of a matrix's smaller side, at least 1."""
    return max(1, round(share * min(shape)))


def truncated(matrix: np.ndarray, rank: int) -> np.ndarray:
    """Return the nearest matrix of a rank (Eckart and Young)."""
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    return (left[:, :rank] * values[:rank]) @ right[:rank]


def projected(matrix: np.ndarray, rank: int, rng: np.random.Generator) -> np.ndarray:
    """Return the matrix behind a projection of its smaller side onto random directions."""
    if matrix.shape[0] < matrix.shape[1]:
        return projected(matrix.T, rank, rng).T
    basis = np.linalg.qr(rng.normal(size=(matrix.shape[1], rank)))[0]
    return matrix @ basis @ basis.T


def pruned(matrix: np.ndarray, rank: int) -> np.ndarray:
    """Return the matrix with its largest numbers alone, as many as two factors of a rank hold.

    Where they stand is not counted, to the good of pruning.
    """
    n_kept = rank * sum(matrix.shape)
    if n_kept >= matrix.size:
        return matrix.copy()
    limit = np.partition(np.abs(matrix).ravel(), matrix.size - n_kept)[matrix.size - n_kept]
    return np.where(np.abs(matrix) >= limit, matrix, 0.0)


def noise_edge(matrix: np.ndarray) -> float:
    """Return the largest singular value of independent numbers of the same mean square.

    The upper edge of Marchenko and Pastur (1967), sigma (sqrt(rows) + sqrt(columns)).
    """
    return float(np.sqrt(np.mean(matrix**2)) * sum(np.sqrt(matrix.shape)))


def effective_rank(values: np.ndarray) -> float:
    """Return the exponential of the entropy of squared singular values (Roy and Vetterli 2007)."""
    share = values**2 / np.sum(values**2)
    share = share[share > 0]
    return float(np.exp(-np.sum(share * np.log(share))))
