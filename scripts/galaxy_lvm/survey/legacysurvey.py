"""Cutouts of the DESI Legacy Imaging Surveys, and of other surveys, from their cutout service.

The service answers `ra, dec, layer, pixscale, bands, size` with a FITS cube (bands, size, size),
of most layers in nanomaggies, north up and east to the left, its first row in the south (Dey et al.
2019). What was fetched stays in a cache on disk, so that nothing is fetched twice.
"""

import hashlib
import logging
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np

from galaxy_lvm.core.config.sky_survey import Survey, asked_bands, pixels_key
from galaxy_lvm.core.config.survey import Service
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.state import atomic_path
from galaxy_lvm.survey.answers import UncoveredError, check_coverage, read_cube
from galaxy_lvm.survey.journal import NO_DATA, Journal
from galaxy_lvm.survey.remote import (
    Pace,
    RefusedError,
    ServiceError,
    UnreachableError,
    fetch,
)
from galaxy_lvm.survey.store import LEGACY

log = logging.getLogger("galaxy_lvm.legacysurvey")

# Positions in a row without a connection: at the start there is no network, later it went away.
_UNREACHABLE_AT_START, _UNREACHABLE_LATER = 3, 20
# So many positions, the first ones, that are all refused alike: the request is wrong, not they.
_REFUSED_AT_START = 20
_AHEAD_PER_WORKER = 4
# Of a FITS file beside its pixels: header and filling.
_FITS_BYTES = 2 * 2880
# Degrees with six decimals: 0.004 arcsec, far below a pixel.
_DECIMALS = 6


def fetch_cutout(
    client: httpx.Client,
    ra: float,
    dec: float,
    side_pix: int,
    settings: Service,
    pace: Pace | None = None,
    cached: Path | None = None,
    survey: Survey = LEGACY,
) -> np.ndarray:
    """Return one cutout, from the cache where it is there.

    Parameters
    ----------
    client
        HTTP client.
    ra, dec
        Centre in degrees.
    side_pix
        Side in pixels of the survey.
    settings
        Address, layer, tries.
    pace
        Rate limit that requests share; None makes one for this request.
    cached
        File to keep the answer in; None keeps nothing.
    survey
        Bands, pixel scale and zero point.

    Returns
    -------
    numpy.ndarray
        float32, shape (bands, side_pix, side_pix) in nanomaggies, first row south. Some pixels may
        be missing (0 or NaN), at most `settings.max_bad_fraction` of a band.

    Raises
    ------
    RefusedError
        If the survey has no usable data there.
    ServiceError
        If the service does not answer.
    """
    if cached is not None and cached.exists():
        try:
            cube = read_cube(cached.read_bytes(), side_pix, (ra, dec), survey)
        except (DataError, OSError) as error:
            # Only good answers are kept: what is wrong with this one came later.
            log.warning("%s: %s; fetched again", cached, error)
        else:
            check_coverage(cube, settings.max_bad_fraction, survey.bands)
            return cube
    params = {"ra": f"{ra:.{_DECIMALS}f}", "dec": f"{dec:.{_DECIMALS}f}", "layer": settings.layer}
    bands = asked_bands(settings.layer, survey.bands)
    params |= {"pixscale": survey.pixel_scale_arcsec, "bands": bands, "size": side_pix}
    pace = pace or Pace(settings.requests_per_second)

    read: list[np.ndarray] = []

    def whole(body: bytes) -> None:
        read[:] = [read_cube(body, side_pix, (ra, dec), survey)]

    content = fetch(client, settings.base_url, settings, pace, params, whole)
    if cached is not None:
        with atomic_path(cached) as unfinished:
            unfinished.write_bytes(content)
    check_coverage(read[0], settings.max_bad_fraction, survey.bands)
    return read[0]


def _name(ra: float, dec: float) -> str:
    """Return what a position is called on disk: as the service is asked for it."""
    return f"{ra:.{_DECIMALS}f}_{dec:+.{_DECIMALS}f}"


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
    survey
        Bands, pixel scale and zero point of the layer's images.
    """

    def __init__(
        self,
        settings: Service,
        cache_dir: str | os.PathLike,
        transport: httpx.BaseTransport | None = None,
        survey: Survey = LEGACY,
    ) -> None:
        self.settings, self.survey = settings, survey
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
        self._journals: dict[int, Journal] = {}

    @property
    def shard_galaxies(self) -> int:
        """Positions of a file."""
        return self.settings.shard_galaxies

    @property
    def attributes(self) -> dict[str, object]:
        """What a store of the cutouts says of their origin."""
        return {"source": "legacysurvey", "layer": self.settings.layer}

    def key(self, side_pix: int) -> list[object]:
        """Return what the cutouts of a position depend on."""
        about = [self.settings.layer, self.settings.max_bad_fraction, side_pix]
        return [*about, self.settings.shard_galaxies, *pixels_key(self.survey)]

    def needed_bytes(
        self, positions: Iterable[tuple[float, float]], side_pix: int
    ) -> dict[Path, int]:
        """Return by folder what fetching positions takes of the disk beside the store."""
        self.cache_dir.mkdir(parents=True, exist_ok=True)
        missing = sum(not self.cached(*place, side_pix).exists() for place in positions)
        one = 4 * len(self.survey.bands) * side_pix**2 + _FITS_BYTES
        return {self.cache_dir: missing * one}

    def __enter__(self) -> "CutoutService":
        return self

    def __exit__(self, *error: object) -> None:
        self.client.close()
        for journal in self._journals.values():
            journal.close()

    def _answered(self, response: httpx.Response) -> None:
        self._reached, self._unreachable = True, 0

    def cached(self, ra: float, dec: float, side_pix: int) -> Path:
        """Return the file that keeps a cutout; 256 folders share the files."""
        name = _name(ra, dec)
        folder = hashlib.sha256(name.encode()).hexdigest()[:2]
        return self._folder(side_pix) / folder / f"{name}.fits"

    def _folder(self, side_pix: int) -> Path:
        name = f"{self.settings.layer}_{side_pix}pix"
        if pixels_key(self.survey):
            about = (*self.survey.bands, f"{self.survey.pixel_scale_arcsec:g}arcsec")
            name = "_".join([name, *about])
        return self.cache_dir / name

    def forget(self, positions: Iterable[tuple[float, float]], side_pix: int) -> None:
        """Remove cutouts that are kept elsewhere by now from the cache."""
        for ra, dec in positions:
            self.cached(ra, dec, side_pix).unlink(missing_ok=True)

    def journal(self, side_pix: int) -> Journal:
        """Return what became of every position that was asked for (`journal.jsonl`)."""
        if side_pix not in self._journals:
            path = self._folder(side_pix) / "journal.jsonl"
            self._journals[side_pix] = Journal(path, self.settings.base_url)
        return self._journals[side_pix]

    def cutout(self, ra: float, dec: float, side_pix: int) -> np.ndarray:
        """Return one cutout; see `fetch_cutout`."""
        cached = self.cached(ra, dec, side_pix)
        return fetch_cutout(
            self.client, ra, dec, side_pix, self.settings, self.pace, cached, self.survey
        )

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
        self.journal(side_pix)
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
        journal, name = self.journal(side_pix), _name(ra, dec)
        refusal = self._refusal_of(journal, name)
        if refusal is not None and not self.cached(ra, dec, side_pix).exists():
            return refusal
        try:
            cube = self.cutout(ra, dec, side_pix)
        except UnreachableError as error:
            self._unreachable += 1
            return error
        except UncoveredError as error:
            limit = error.max_bad_fraction
            journal.put(name, "refused", str(error), NO_DATA if limit is None else limit)
            return error
        except RefusedError as error:
            journal.put(name, "refused", str(error))
            return error
        except ServiceError as error:
            if not self.pace.stopped.is_set():
                journal.put(name, "again", str(error))
            return error
        # A kill may have come between the file and its line: the line is asked for, not the file.
        if not journal.is_stored(name):
            journal.put(name, "stored")
        return cube

    def _refusal_of(self, journal: Journal, name: str) -> RefusedError | None:
        """Return what the journal says against a position, by the settings of now."""
        reason, cause = journal.refusal(name) or (None, None)
        if reason is None or cause not in (None, NO_DATA, self.settings.max_bad_fraction):
            return None
        if cause is None:
            return RefusedError(reason)
        return UncoveredError(reason, None if cause == NO_DATA else float(cause))

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
