"""Galaxies cut from coadded bricks: the same sky as a frame around each, and what falls out."""

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from cut_bricks import main as cut_bricks
from galaxy_lvm.core.config import check_config
from galaxy_lvm.core.config.bricks import BrickPlace
from galaxy_lvm.core.config.sky_survey import OwnSurvey, survey_of
from galaxy_lvm.core.errors import ConfigError, DataError
from galaxy_lvm.survey.bricks import BrickFiles, all_bricks, frame_wcs, lanczos3
from galaxy_lvm.survey.store import CutoutStore

RA, DEC = 150.1, 40.1  # far enough from the equator that north turns across a brick
SIDE_PIX, ARCSEC = 420, 0.262
BRICK = str(all_bricks().brickname(RA, DEC))
# Offsets from the brick's centre in arcsec, width in arcsec, flux per pixel at the peak in g, r, z.
SOURCES = [(0, 0, 1.2, 1.0), (14.3, -9.7, 0.9, 2.0), (-21.0, 6.2, 2.0, 0.5), (3.1, 17.9, 1.5, 0.8)]
COLOURS = {"g": 0.3, "r": 0.6, "z": 1.0}


def centre():
    ra, dec = all_bricks().brick_radec(np.array([RA]), np.array([DEC]))
    return float(ra[0]), float(dec[0])


def scene(wcs, shape, colour):
    """Render the sources where a WCS has them, each in its own tangential plane."""
    rows, columns = np.indices(shape)
    ra, dec = wcs.pixel_to_world_values(columns, rows)
    ra0, dec0 = centre()
    flux = np.zeros(shape)
    for east, north, width, peak in SOURCES:
        dec1 = dec0 + north / 3600
        ra1 = ra0 + east / 3600 / np.cos(np.radians(dec0))
        away = np.hypot((ra - ra1) * np.cos(np.radians(dec1)), dec - dec1) * 3600
        flux += colour * peak * np.exp(-0.5 * (away / width) ** 2)
    return flux.astype(np.float32)


def write_brick(root, bands="grz", scale=ARCSEC, hole=None):
    folder = root / "coadd" / BRICK[:3] / BRICK
    folder.mkdir(parents=True)
    wcs = frame_wcs(*centre(), SIDE_PIX, scale)
    for band in bands:
        image = scene(wcs, (SIDE_PIX, SIDE_PIX), COLOURS[band]) + np.float32(1e-4)
        if hole is not None:
            image[hole] = 0.0
        hdu = fits.CompImageHDU(image, wcs.to_header(), compression_type="GZIP_2",
                                tile_shape=(100, 100), quantize_level=0)  # fmt: skip
        hdu.writeto(folder / f"legacysurvey-{BRICK}-image-{band}.fits.fz")
    return root


def at(east, north):
    ra, dec = centre()
    return ra + east / 3600 / np.cos(np.radians(dec)), dec + north / 3600


def place_of(root, **settings):
    return BrickPlace(
        path=str(root), **{"max_bad_fraction": 0.1, "shard_galaxies": 100, **settings}
    )


def table_of(folder, places):
    rows = [f"g{i},{ra:.7f},{dec:.7f},x" for i, (ra, dec) in enumerate(places)]
    path = folder / "positions.csv"
    path.write_text("\n".join(["id,ra,dec,label", *rows]) + "\n")
    return path


def test_the_kernel_is_lanczos_of_seven_pixels():
    image = np.random.default_rng(0).normal(size=(1, 20, 20)).astype(np.float32)
    np.testing.assert_allclose(
        lanczos3(image, np.array([8.0]), np.array([11.0])), [[image[0, 11, 8]]]
    )
    x, y = 9.37, 10.81
    kernel = lambda d: 3 * np.sin(np.pi * d) * np.sin(np.pi * d / 3) / (np.pi * d) ** 2  # noqa: E731
    total = weight = 0.0
    for row in range(8, 14):
        for column in range(7, 13):
            w = kernel(x - column) * kernel(y - row)
            total, weight = total + w * image[0, row, column], weight + w
    found = lanczos3(image, np.array([x]), np.array([y]))[0, 0]
    assert found == pytest.approx(total / weight, abs=1e-5)


def test_a_cutout_is_the_sky_around_its_galaxy_as_the_service_frames_it(tmp_path):
    place = place_of(write_brick(tmp_path))
    ra, dec = at(17.13, -11.58)  # between pixels of the brick
    with BrickFiles(place) as bricks:
        found = bricks.cutout(ra, dec, 152)
    wcs = frame_wcs(ra, dec, 152, ARCSEC)
    for plane, colour in zip(found, COLOURS.values(), strict=True):
        expected = scene(wcs, (152, 152), colour) + 1e-4
        # The kernel's own error is 3 in 1000; a shift by a twentieth of a pixel would be seen.
        assert np.abs(plane - expected).max() < 4e-3 * expected.max()
    shifted = scene(frame_wcs(ra, dec + 0.05 * ARCSEC / 3600, 152, ARCSEC), (152, 152), 1.0)
    assert np.abs(found[2] - shifted).max() > 6e-3 * shifted.max()
    assert found.dtype == np.float32 and found.shape == (3, 152, 152)


def test_what_cannot_be_cut_is_counted_by_reason_and_the_rest_is_kept(tmp_path):
    hole = np.s_[150:290, 150:290]
    root = write_brick(tmp_path / "dr9", hole=hole)
    places = [at(30, 30), at(49, 0), at(0, 0), (10.0, 10.0)]
    out = tmp_path / "c.h5", tmp_path / "r.csv"
    cut_bricks(table_of(tmp_path, places), *out, place_of(root), 96)
    with CutoutStore(out[0]) as store:
        assert list(store.catalogue()["id"]) == ["g0"]
        assert store.attributes["source"] == "bricks" and store.bands == ("g", "r", "z")
    lost = pd.read_csv(out[1]).set_index("id")["reason"]
    assert f"on the edge of brick {BRICK}: a frame of 96 pixels" in lost["g1"]
    assert "no data in g, r, z" in lost["g2"]
    assert lost["g3"].startswith("brick 0100p100: not on disk")


def test_shards_that_are_complete_are_not_cut_again(tmp_path, monkeypatch):
    root = write_brick(tmp_path / "dr9")
    places = [at(east, 0) for east in (0, 3, 6, 9, 12)]
    table, whole, parts = table_of(tmp_path, places), tmp_path / "whole", tmp_path / "parts"
    cut_bricks(table, whole / "c.h5", whole / "r.csv", place_of(root), 64)
    cut, done = BrickFiles.cutout, []

    def killed_at_the_fourth(self, *given):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(given)
        return cut(self, *given)

    def counted(self, *given):
        done.append(given)
        return cut(self, *given)

    given = table, parts / "c.h5", parts / "r.csv", place_of(root, shard_galaxies=2), 64
    monkeypatch.setattr(BrickFiles, "cutout", killed_at_the_fourth)
    with pytest.raises(KeyboardInterrupt):
        cut_bricks(*given)
    done.clear()
    monkeypatch.setattr(BrickFiles, "cutout", counted)
    cut_bricks(*given)
    assert len(done) == 3  # of five; the first shard, of two, was complete
    with CutoutStore(whole / "c.h5") as one, CutoutStore(parts / "c.h5") as many:
        np.testing.assert_array_equal(one.images[:], many.images[:])


def test_bricks_that_are_none_are_named(tmp_path):
    with pytest.raises(DataError, match="no folder coadd in it; set datasets.*bricks"):
        BrickFiles(place_of(tmp_path))
    with BrickFiles(place_of(write_brick(tmp_path / "gr", "gr"))) as bricks:
        with pytest.raises(DataError, match=f"brick {BRICK}: no image in z"):
            bricks.cutout(*at(0, 0), 64)
    with BrickFiles(place_of(write_brick(tmp_path / "coarse", scale=0.4))) as bricks:
        with pytest.raises(
            DataError, match="pixels of 0.4 arcsec, survey.pixel_scale_arcsec is 0.262"
        ):
            bricks.cutout(*at(0, 0), 64)
    with BrickFiles(place_of(write_brick(tmp_path / "cut"))) as bricks:
        path = bricks.file(BRICK, "r")
        path.write_bytes(path.read_bytes()[:9000])
        with pytest.raises(DataError, match="legacysurvey-.*-image-r.fits.fz: .*copy it again"):
            bricks.cutout(*at(0, 0), 64)
    own = survey_of(OwnSurvey(bands=("g", "z")))
    with BrickFiles(place_of(tmp_path / "cut"), own) as bricks:
        assert bricks.cutout(*at(0, 0), 64).shape == (2, 64, 64)


def test_a_dataset_of_bricks_needs_their_folder():
    dataset = {"source": "bricks", "data_dir": "x"}
    with pytest.raises(ConfigError, match="datasets.a.bricks: needed by source 'bricks'"):
        check_config({"run": "x", "tasks_dataset": "a", "datasets": {"a": dataset}})
