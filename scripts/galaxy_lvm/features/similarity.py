"""Similarity search: exact in blocks, or by an index that lies compressed in memory.

The index (faiss; Johnson, Douze and Jegou 2021) groups principal components of the vectors around
centres and keeps 8 bits per component. A search visits the groups next to the query and ranks the
candidates again by their full vectors, which are read from the features file.
"""

import os
from pathlib import Path

import faiss
import numpy as np

from galaxy_lvm.core.config.extensions import Similarity
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.logs import log, progress
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.core.state import atomic_path, state_folder
from galaxy_lvm.features.space import FeatureSpace
from galaxy_lvm.features.store import FeatureStore
from galaxy_lvm.survey.rows import row_blocks, sample_rows

METRICS = ("cosine", "euclidean")
# Vectors per centre that faiss asks for, and what the centres are trained on.
_LEAST_PER_CENTRE, _TRAINED_PER_CENTRE = 39, 128
_CENTRES_PER_ROOT = 4  # centres are about this many times the root of the number of vectors
_MOST_CENTRES = 16384
_SEGMENT_ROWS = 4_000_000
_QUERIES_AT_A_TIME = 256


class SimilaritySearch:
    """Nearest neighbours among the vectors of a features file.

    Parameters
    ----------
    store
        The vectors to search in.
    settings
        How.
    seed
        The run's seed.
    rows
        Rows that are searched, one shard's of a dataset in several files; None for all. Scaling
        and components are taken from all vectors, so that distances compare between shards.
    """

    def __init__(
        self, store: FeatureStore, settings: Similarity, seed: int, rows: slice | None = None
    ) -> None:
        self.store, self.settings, self.seed = store, settings, seed
        self.rows = slice(0, len(store)) if rows is None else rows
        rows = sample_rows(len(store), settings.n_fit, derive_seed(seed, "similarity", "fit"))
        self.space = FeatureSpace(
            store.rows[rows], settings.n_components, unit=settings.metric == "cosine"
        )
        self.index: faiss.Index | None = None

    def __len__(self) -> int:
        return self.rows.stop - self.rows.start

    def _blocks(self, size: int) -> list[slice]:
        """Return the rows that are searched in pieces."""
        first = self.rows.start
        return [slice(first + b.start, first + b.stop) for b in row_blocks(len(self), size)]

    def exact(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Compare with every vector, block by block.

        Parameters
        ----------
        queries
            Feature vectors (n, D), not yet standardised.
        k
            Neighbours wanted.

        Returns
        -------
        rows : numpy.ndarray
            int64 (n, k), the nearest first; a vector that is in the file finds itself.
        distances : numpy.ndarray
            float32 (n, k): 1 - cosine, or Euclidean.
        """
        k = min(k, len(self))
        wanted = self.space.standardise(queries)
        best = np.full((len(wanted), k), np.inf, np.float32)
        rows = np.full((len(wanted), k), -1, np.int64)
        blocks = self._blocks(self.settings.block_rows)
        for block in progress(blocks, desc="exact search", unit="blocks"):
            values = self.space.standardise(self.store.rows[block])
            numbers = np.arange(block.start, block.stop)
            for part in row_blocks(len(wanted), _QUERIES_AT_A_TIME):
                squared = _squared_distances(wanted[part], values)
                squared = np.hstack([best[part], squared])
                labels = np.hstack(
                    [rows[part], np.broadcast_to(numbers, (len(squared), len(numbers)))]
                )
                best[part], rows[part] = _smallest(squared, labels, k)
        return rows, self._distance(best)

    def train(self, path: str | os.PathLike, rows_each: int, threads: int = 1) -> None:
        """Write an index without vectors, with the centres that shards of `rows_each` share."""
        faiss.omp_set_num_threads(threads)
        _write_index(self._trained(rows_each), Path(path))

    def build_index(
        self,
        state_root: str | os.PathLike,
        recipe_version: int,
        threads: int = 1,
        trained: str | os.PathLike | None = None,
    ) -> Path:
        """Build the index, or take it from the state folder; goes on after a kill.

        Parameters
        ----------
        state_root
            Folder with one sub-folder per combination of features and settings.
        recipe_version
            Of the rule; what other versions left unfinished is not taken up.
        threads
            CPU threads.
        trained
            What `train` wrote; None finds centres of its own.

        Returns
        -------
        Path
            The index file. It is kept: later searches for other galaxies use it again.
        """
        faiss.omp_set_num_threads(threads)
        layout = self.settings.metric, self.settings.n_components, self.settings.n_fit
        settings = self.seed, layout, self.rows.start, self.rows.stop
        files = [self.store.path.resolve(), trained]
        folder = state_folder(state_root, recipe_version, settings, files)
        path = folder / "index.faiss"
        if not path.exists():
            self._build(folder, path, trained)
        self.index = _read_index(path)
        return path

    def _build(self, folder: Path, path: Path, trained: str | os.PathLike | None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        own = folder / "trained.faiss"
        if trained is None and not own.exists():
            _write_index(self._trained(len(self)), own)
        segments = []
        for number, segment in enumerate(self._blocks(_SEGMENT_ROWS)):
            segments.append(folder / f"segment_{number:05d}.faiss")
            if not segments[-1].exists():
                index = _read_index(own if trained is None else Path(trained))
                self._add(index, segment)
                _write_index(index, segments[-1])
        whole = _read_index(segments[0])
        for segment in segments[1:]:
            whole.merge_from(_read_index(segment), 0)
        _write_index(whole, path)
        for file in segments:
            file.unlink()
        own.unlink(missing_ok=True)

    def _trained(self, n: int) -> faiss.Index:
        """Return an empty index with the centres for n vectors."""
        n_centres = min(int(_CENTRES_PER_ROOT * np.sqrt(n)), _MOST_CENTRES, n // _LEAST_PER_CENTRE)
        n_centres = max(1, n_centres)
        seed = derive_seed(self.seed, "similarity", "centres")
        n_trained = min(_TRAINED_PER_CENTRE * n_centres, n)
        # Of one shard from itself; for what shards share, from all of them.
        inside = self.rows if n == len(self) else slice(0, len(self.store))
        rows = inside.start + sample_rows(inside.stop - inside.start, n_trained, seed)
        parts = [
            self.space(self.store.rows[rows[block]])
            for block in row_blocks(len(rows), self.settings.block_rows)
        ]
        vectors = np.concatenate(parts)
        index = faiss.index_factory(vectors.shape[1], f"IVF{n_centres},SQ8")
        index.cp.seed = derive_seed(self.seed, "similarity", "k-means") % 2**31
        index.train(vectors)
        log.info("index: %d centres, trained on %d vectors", n_centres, len(rows))
        return index

    def _add(self, index: faiss.Index, segment: slice) -> None:
        blocks = list(row_blocks(segment.stop - segment.start, self.settings.block_rows))
        for block in progress(blocks, desc=f"index from row {segment.start}", unit="blocks"):
            numbers = np.arange(segment.start + block.start, segment.start + block.stop)
            vectors = self.space(self.store.rows[numbers[0] : numbers[-1] + 1])
            index.add_with_ids(np.ascontiguousarray(vectors), numbers)

    def approximate(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Search by the index of `build_index`; arguments and result as in `exact`.

        Where the visited groups hold fewer than `k` vectors, rows are -1 and distances infinite.
        """
        k = min(k, len(self))
        self.index.nprobe = min(self.settings.n_probes, self.index.nlist)
        n_candidates = min(self.settings.rerank_factor * k, len(self))
        vectors = np.ascontiguousarray(self.space(queries))
        candidates = self.index.search(vectors, n_candidates)[1]
        wanted = self.space.standardise(queries)
        rows = np.full((len(wanted), k), -1, np.int64)
        best = np.full((len(wanted), k), np.inf, np.float32)
        for i, found in enumerate(candidates):
            found = np.sort(found[found >= 0])  # rising rows: the file is read in one direction
            values = self.space.standardise(self.store.rows[found])
            squared = _squared_distances(wanted[i : i + 1], values)
            near, numbers = _smallest(squared, found[None], min(k, len(found)))
            best[i, : near.shape[1]], rows[i, : near.shape[1]] = near[0], numbers[0]
        return rows, self._distance(best)

    def _distance(self, squared: np.ndarray) -> np.ndarray:
        return squared / 2 if self.space.unit else np.sqrt(squared)


def _squared_distances(queries: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return (n, m) float32, 0 at least."""
    squared = np.square(queries).sum(axis=1)[:, None] + np.square(values).sum(axis=1)
    squared -= 2 * (queries @ values.T)
    return np.maximum(squared, 0, out=squared)


def _smallest(squared: np.ndarray, labels: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the k smallest of every row, rising, and their labels; ties by the label."""
    near = np.argpartition(squared, k - 1, axis=1)[:, :k]
    values = np.take_along_axis(squared, near, axis=1)
    names = np.take_along_axis(labels, near, axis=1)
    order = np.lexsort((names, values), axis=1)
    return np.take_along_axis(values, order, axis=1), np.take_along_axis(names, order, axis=1)


def _read_index(path: Path) -> faiss.Index:
    try:
        return faiss.read_index(str(path))
    except RuntimeError as error:
        reason = " ".join(str(error).split())[-200:]
        raise DataError(
            f"{path}: damaged ({reason}); remove it, it is built again at the next search"
        ) from error


def _write_index(index: faiss.Index, path: Path) -> None:
    with atomic_path(path) as temporary:
        faiss.write_index(index, str(temporary))


def neighbour_recall(exact: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Return, for every query, the share (n,) of its true neighbours (n, k) that were found."""
    return np.array([np.isin(a, b).mean() for a, b in zip(exact, found, strict=True)])


def drop_self(
    rows: np.ndarray, distances: np.ndarray, own: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the k nearest without the query itself.

    Parameters
    ----------
    rows, distances
        (n, k + 1), as found.
    own
        Row of every query, (n,); -1 for a query from elsewhere.
    k
        Neighbours wanted; where there are fewer the row is -1.
    """
    keep = rows != own[:, None]
    order = np.argsort(~keep, axis=1, kind="stable")[:, :k]  # strangers first, in their order
    # Of k that are all that there is the query itself may be the last.
    found = np.take_along_axis(np.where(keep, rows, -1), order, axis=1)
    return found, np.take_along_axis(distances, order, axis=1)
