"""Cutouts of the DESI Legacy Imaging Surveys from the survey's public cutout service.

The service answers `ra, dec, layer, pixscale, bands, size` with a FITS cube (bands, size, size) in
nanomaggies, north up and east to the left, its first row in the south (Dey et al. 2019). What was
fetched stays in a cache on disk, so that nothing is fetched twice.
"""

import hashlib
import io
import logging
import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
from astropy.io import fits

from galaxy_lvm.core.config.survey import Service
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.logs import progress
from galaxy_lvm.core.state import atomic_path
from galaxy_lvm.core.user_tables import LINE
from galaxy_lvm.survey import cubes
from galaxy_lvm.survey.pixels import missing_pixels
from galaxy_lvm.survey.positions import read_positions
from galaxy_lvm.survey.rejected import rejection
from galaxy_lvm.survey.remote import (
    Pace,
    RefusedError,
    ServiceError,
    UnreachableError,
    check_is_data,
    fetch,
)
from galaxy_lvm.survey.store import (
    BANDS,
    CUTOUT_SIDE_PIX,
    PIXEL_SCALE_ARCSEC,
    CutoutWriter,
    stored_names,
)

log = logging.getLogger("galaxy_lvm.legacysurvey")

# Positions in a row without a connection: at the start there is no network, later it went away.
_UNREACHABLE_AT_START, _UNREACHABLE_LATER = 3, 20
# So many positions, the first ones, that are all refused alike: the request is wrong, not they.
_REFUSED_AT_START = 20
_AHEAD_PER_WORKER = 4
_CHUNK_IMAGES = 64
# Names that the store itself uses.
_RESERVED = {"images", "images_rgb", "box", "flag", "row"}
# Degrees with six decimals: 0.004 arcsec, far below a pixel.
_DECIMALS = 6


class UncoveredError(RefusedError):
    """The survey has no usable data at the position."""


def read_cube(content: bytes, side_pix: int) -> np.ndarray:
    """Return the fluxes (3, side, side) float32 of the service's FITS file, bands g, r, z.

    Raises
    ------
    ServiceError
        If the file is damaged or cut short, empty, or a web page.
    RefusedError
        If it is another kind of file, or holds other bands or another size than asked for.
    """
    check_is_data(content)
    if not content.startswith(b"SIMPLE"):
        text = " ".join(content[:120].decode("utf-8", "replace").split())
        raise RefusedError(f"the service sent no FITS file but {text!r}")
    asked = f"asked for {''.join(BANDS)!r}, {side_pix} x {side_pix}"
    try:
        cube, _ = cubes.read_cube(io.BytesIO(content))
        _check_whole(content)
    except cubes.DamagedError as error:
        raise ServiceError(f"a damaged FITS file: it {error}") from error
    except ServiceError:
        raise
    except DataError as error:
        raise RefusedError(f"the service sent a file that {error}; {asked}") from error
    if cube.shape[1:] != (side_pix, side_pix):
        raise RefusedError(
            f"the service sent {cube.shape[2]} x {cube.shape[1]} pixels, {asked}; a smaller frame "
            "means that this is the largest one it gives"
        )
    return cube


def _check_whole(content: bytes) -> None:
    """Refuse a file whose end is missing, be it only its filling: astropy only warns of that."""
    with fits.open(io.BytesIO(content), memmap=False) as hdus:
        needed = hdus[0].fileinfo()["datLoc"] + hdus[0].size
    if len(content) < needed:
        raise ServiceError(f"a FITS file cut short: {len(content)} of {needed} bytes")


def check_coverage(cube: np.ndarray, max_bad_fraction: float) -> None:
    """Refuse a cutout (3, H, W) that the survey does not cover.

    Raises
    ------
    UncoveredError
        If a band is empty, or lacks more than `max_bad_fraction` of its pixels.
    """
    share = missing_pixels(cube).mean(axis=(1, 2))
    empty = [band for band, value in zip(BANDS, share, strict=True) if value == 1]
    if empty:
        raise UncoveredError(
            f"no data in {', '.join(empty)}: outside the survey's footprint; remove the position"
        )
    if share.max() > max_bad_fraction:
        shares = ", ".join(f"{b} {value:.0%}" for b, value in zip(BANDS, share, strict=True))
        raise UncoveredError(
            f"lacks too many pixels ({shares}; max_bad_fraction = {max_bad_fraction:.0%}): at the "
            "edge of the survey; remove the position"
        )


def fetch_cutout(
    client: httpx.Client,
    ra: float,
    dec: float,
    side_pix: int,
    settings: Service,
    pace: Pace | None = None,
    cached: Path | None = None,
) -> np.ndarray:
    """Return one cutout, from the cache where it is there.

    Parameters
    ----------
    client
        HTTP client.
    ra, dec
        Centre in degrees.
    side_pix
        Side in pixels of 0.262 arcsec.
    settings
        Address, layer, tries.
    pace
        Rate limit that requests share; None makes one for this request.
    cached
        File to keep the answer in; None keeps nothing.

    Returns
    -------
    numpy.ndarray
        float32, shape (3, side_pix, side_pix), bands g, r, z in nanomaggies, first row south. Some
        pixels may be missing (0 or NaN), at most `settings.max_bad_fraction` of a band.

    Raises
    ------
    RefusedError
        If the survey has no usable data there.
    ServiceError
        If the service does not answer.
    """
    if cached is not None and cached.exists():
        try:
            cube = read_cube(cached.read_bytes(), side_pix)
        except (DataError, OSError) as error:
            # Only good answers are kept: what is wrong with this one came later.
            log.warning("%s: %s; fetched again", cached, error)
        else:
            check_coverage(cube, settings.max_bad_fraction)
            return cube
    params = {"ra": f"{ra:.{_DECIMALS}f}", "dec": f"{dec:.{_DECIMALS}f}", "layer": settings.layer}
    params |= {"pixscale": PIXEL_SCALE_ARCSEC, "bands": "".join(BANDS), "size": side_pix}
    pace = pace or Pace(settings.requests_per_second)

    def whole(body: bytes) -> object:
        return read_cube(body, side_pix)

    content = fetch(client, settings.base_url, settings, pace, params, whole)
    if cached is not None:
        with atomic_path(cached) as unfinished:
            unfinished.write_bytes(content)
    cube = read_cube(content, side_pix)
    check_coverage(cube, settings.max_bad_fraction)
    return cube


class CutoutService:
    """Fetch cutouts of many positions; a context manager.

    Parameters
    ----------
    settings
        Address, layer, workers, rate, tries.
    cache_dir
        Folder of what was fetched. It may be deleted when the store is complete.
    transport
        Takes the place of the network in tests.
    """

    def __init__(
        self,
        settings: Service,
        cache_dir: str | os.PathLike,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.settings = settings
        self.cache_dir = Path(cache_dir)
        self.pace = Pace(settings.requests_per_second)
        self.client = httpx.Client(
            timeout=settings.timeout_s,
            follow_redirects=True,
            transport=transport,
            event_hooks={"response": [self._answered]},
        )
        self._reached, self._unreachable, self._failed = False, 0, 0
        # How often the service has refused alike from its first answer on; None: it did not.
        self._refusals: int | None = 0
        self._refusal = ""

    def __enter__(self) -> "CutoutService":
        return self

    def __exit__(self, *error: object) -> None:
        self.client.close()

    def _answered(self, response: httpx.Response) -> None:
        self._reached, self._unreachable = True, 0

    def cached(self, ra: float, dec: float, side_pix: int) -> Path:
        """Return the file that keeps a cutout; 256 folders share the files."""
        name = f"{ra:.{_DECIMALS}f}_{dec:+.{_DECIMALS}f}"
        folder = hashlib.sha256(name.encode()).hexdigest()[:2]
        return self.cache_dir / f"{self.settings.layer}_{side_pix}pix" / folder / f"{name}.fits"

    def cutout(self, ra: float, dec: float, side_pix: int) -> np.ndarray:
        """Return one cutout; see `fetch_cutout`."""
        cached = self.cached(ra, dec, side_pix)
        return fetch_cutout(self.client, ra, dec, side_pix, self.settings, self.pace, cached)

    def cutouts(
        self, positions: Sequence[tuple[float, float]], side_pix: int
    ) -> Iterator[np.ndarray | RefusedError | ServiceError]:
        """Yield the cutout of every position (ra, dec), or what is wrong with it, in order.

        Raises
        ------
        ServiceError
            If the service cannot be reached, gave no answer for more than
            `settings.max_failed_share` of the positions, or refuses the first ones all alike. What
            was fetched stays in the cache.
        """
        self._failed, total = 0, len(positions)
        ahead = _AHEAD_PER_WORKER * self.settings.n_workers
        pending: deque[Future] = deque()
        self.pace.stopped.clear()
        pool = ThreadPoolExecutor(self.settings.n_workers)
        try:
            for ra, dec in positions:
                pending.append(pool.submit(self._attempt, ra, dec, side_pix))
                if len(pending) > ahead:
                    yield self._checked(pending.popleft().result(), total)
            while pending:
                yield self._checked(pending.popleft().result(), total)
        finally:
            self.pace.stopped.set()
            pool.shutdown(cancel_futures=True)

    def _attempt(self, ra: float, dec: float, side_pix: int) -> np.ndarray | DataError:
        try:
            return self.cutout(ra, dec, side_pix)
        except UnreachableError as error:
            self._unreachable += 1
            return error
        except (RefusedError, ServiceError) as error:
            return error

    def _checked(self, result: np.ndarray | DataError, total: int) -> np.ndarray | DataError:
        """Return the result; stop a download that the service does not answer."""
        if isinstance(result, UnreachableError):
            limit = _UNREACHABLE_LATER if self._reached else _UNREACHABLE_AT_START
            if self._unreachable >= min(limit, total):
                raise UnreachableError(
                    f"{result}. Check the network and legacysurvey.base_url, then start again: "
                    "what was fetched is kept. Without a network use the simulated survey (source "
                    "mock) or files of your own (source folder)"
                )
        self._count_refusals(result)
        self._failed += isinstance(result, ServiceError)
        allowed = max(1.0, self.settings.max_failed_share * total)
        if self._failed > (allowed if self._reached else _UNREACHABLE_AT_START):
            raise ServiceError(
                f"{self._failed} of {total} cutouts got no answer; the last one {result}. Start "
                "again later: what was fetched is kept; or raise legacysurvey.max_failed_share to "
                "go on without them"
            )
        return result

    def _count_refusals(self, result: np.ndarray | DataError) -> None:
        """Stop a download whose first answers are all the same refusal."""
        if self._refusals is None or isinstance(result, ServiceError):
            return
        # A survey without data there has understood the request.
        refused = isinstance(result, RefusedError) and not isinstance(result, UncoveredError)
        if not refused or (self._refusals and str(result) != self._refusal):
            self._refusals = None
            return
        self._refusals, self._refusal = self._refusals + 1, str(result)
        if self._refusals >= _REFUSED_AT_START:
            raise ServiceError(
                f"the first {self._refusals} positions were all refused alike: {result}. Check "
                f"legacysurvey.layer ({self.settings.layer!r}) and legacysurvey.base_url "
                f"({self.settings.base_url})"
            )


def download_cutouts(
    table: str | os.PathLike,
    cutouts: str | os.PathLike,
    service: CutoutService,
    side_pix: int = CUTOUT_SIDE_PIX,
) -> list[dict[str, object]]:
    """Fetch the cutouts of a table of positions into a cutout store.

    Parameters
    ----------
    table
        CSV, TSV or parquet with `id`, `ra`, `dec` (degrees), perhaps `label`; see
        `positions.read_positions`. All columns go into the store, those whose names it uses
        itself as `table_...`; `row` is the line in the table.
    cutouts
        HDF5 file to write: `images` float32 (N, 3, S, S) in nanomaggies, in the table's order.
    service
        Where they come from.
    side_pix
        Side S of the cutouts at 0.262 arcsec per pixel.

    Returns
    -------
    list of dict
        The rejections, for `rejected.write_rejected`.

    Raises
    ------
    DataError
        If the table cannot be read, nothing can be used, or the service does not answer.
    """
    rows, rejections = read_positions(table)
    if "label" not in rows:
        rows["label"] = ""
    rows = rows.rename(columns=stored_names(list(rows), _RESERVED) | {LINE: "row"})
    results = service.cutouts(list(zip(rows["ra"], rows["dec"], strict=True)), side_pix)
    kept, images = [], []
    attributes = {"source": "legacysurvey", "layer": service.settings.layer}
    with CutoutWriter(cutouts, False, side_pix, side_pix, attributes) as writer:
        for number, result in enumerate(progress(results, len(rows), "download", "cutouts")):
            if isinstance(result, DataError):
                row = rows.iloc[number]
                line = rejection("import", str(result), row["id"], Path(table).name, row["row"])
                rejections.append(line)
                continue
            images.append(result)
            kept.append(number)
            if len(images) == _CHUNK_IMAGES:
                _append(writer, images, rows.iloc[kept[-_CHUNK_IMAGES:]])
                images = []
        if images:
            _append(writer, images, rows.iloc[kept[-len(images) :]])
        if not kept:
            reasons = "; ".join(f"line {r['row']}: {r['reason']}" for r in rejections[:3])
            raise DataError(f"{table}: no cutout can be used. First reasons: {reasons}")
    log.info("%d cutouts, %d rejected", len(kept), len(rejections))
    return rejections


def _append(writer: CutoutWriter, images: list[np.ndarray], rows: pd.DataFrame) -> None:
    writer.append(np.stack(images), {name: rows[name].tolist() for name in rows})
