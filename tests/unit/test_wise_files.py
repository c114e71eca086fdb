"""Real unWISE tiles: a tile that the test renders, cut by position; what is wrong is named."""

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from galaxy_lvm.core.config.wise import WiseCutout, WiseFiles
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.survey.store import CutoutStore
from galaxy_lvm.wise.bands import BANDS, nanomaggies
from galaxy_lvm.wise.files import import_tiles
from galaxy_lvm.wise.photometry import psf_photometry
from galaxy_lvm.wise.render import DISC_NU, Camera, Shapes

SIDE = 160
TILE = "1500p015"
MAGS = np.array([[13.0, 12.9, 11.0], [14.0, 13.0, 9.5], [12.0, 12.0, 12.0]])
# Pixels from the tile's centre.
PLACES = np.array([[-40.3, 20.0], [10.0, -35.2], [75.0, 75.0]])


def frame(scale_arcsec=2.75):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval = ["RA---TAN", "DEC--TAN"], [150.0, 1.5]
    wcs.wcs.crpix = [(SIDE + 1) / 2] * 2
    wcs.wcs.cdelt = [-scale_arcsec / 3600, scale_arcsec / 3600]
    return wcs


def tile(folder, zero_point=22.5, scale_arcsec=2.75, bands=BANDS):
    """Write a coadd with three stars."""
    n = len(PLACES)
    nothing = np.zeros(n)
    shapes = Shapes(*PLACES.T, nothing, nothing + 1, nothing, nothing + DISC_NU)
    image = Camera(SIDE).images(nanomaggies(MAGS), shapes, np.zeros(n, int), 1)[0]
    for k, band in enumerate(BANDS):
        header = frame(scale_arcsec).to_header()
        header["MAGZP"] = zero_point
        plane = image[k] / nanomaggies(zero_point)
        plane[:40, :40] = 0  # no exposure saw this corner
        if band in bands:
            path = folder / TILE[:3] / TILE
            path.mkdir(parents=True, exist_ok=True)
            fits.writeto(path / f"unwise-{TILE}-{band}-img-m.fits.gz", plane, header)
    return folder


def table(path, label="Class", extra=()):
    centre = (SIDE - 1) / 2
    places = np.concatenate([PLACES + centre, np.array(extra, float).reshape(-1, 2)])
    sky = frame().all_pix2world(places, 0)
    names = [f"s{k}" for k in range(len(sky))]
    rows = pd.DataFrame({"id": names, "ra": sky[:, 0], "dec": sky[:, 1], label: "star"})
    rows.assign(plate=7).to_csv(path, index=False)
    return str(path)


@pytest.mark.parametrize("zero_point", [22.5, 20.0])
def test_stars_of_a_tile_are_cut_where_they_are_and_keep_their_magnitudes(tmp_path, zero_point):
    settings = WiseFiles(
        tiles=str(tile(tmp_path / "tiles", zero_point)),
        table=table(tmp_path / "mine.csv", extra=[(20, 20)]),
        label_column="class",
    )
    rejections = import_tiles(settings, WiseCutout(), tmp_path / "cutouts.h5")
    reasons = {r["id"]: r["reason"] for r in rejections}
    assert set(reasons) == {"s2", "s3"}
    assert "no tile covers it whole" in reasons["s2"] and "no data there in w1" in reasons["s3"]
    assert {r["row"] for r in rejections} == {"4", "5"}
    with CutoutStore(tmp_path / "cutouts.h5") as store:
        images, known = store.images[:], store.catalogue()
    assert list(known["id"]) == ["s0", "s1"] and set(known["label"]) == {"star"}
    assert list(known["plate"]) == [7, 7] and set(known["tile"]) == {TILE}
    found = psf_photometry(images, np.array(WiseCutout().depth_mag))
    for k, band in enumerate(BANDS):
        assert found[f"{band}_mag"].to_numpy() == pytest.approx(MAGS[:2, k], abs=0.02)
    for name in ("x_pix", "y_pix"):
        assert found[name].to_numpy() == pytest.approx(known[name], abs=0.07)
        assert known[name].abs().max() <= 0.5


def test_what_is_wrong_with_tiles_or_table_is_named(tmp_path):
    good = table(tmp_path / "mine.csv")

    def refused(words, folder, path=good, **more):
        settings = WiseFiles(tiles=str(folder), table=path, label_column="Class", **more)
        with pytest.raises(DataError, match=words):
            import_tiles(settings, WiseCutout(), tmp_path / "cutouts.h5")
        assert not (tmp_path / "cutouts.h5").exists()

    refused("no tile with w1, w2 and w3", tile(tmp_path / "two", bands=("w1", "w3")))
    refused("pixels of 1.37 arcsec", tile(tmp_path / "fine", scale_arcsec=1.375))
    tiles = tile(tmp_path / "tiles")
    refused("no column 'Class'", tiles, table(tmp_path / "other.csv", label="kind"))
    far = tmp_path / "far.csv"
    far.write_text("id,ra,dec,Class\na,10.0,-3.0,star\n")
    refused("no position can be used; the first one: no tile", tiles, str(far))
    broken = next((tmp_path / "tiles").rglob("*w2*"))
    broken.write_bytes(broken.read_bytes()[:300])
    refused("w2-img-m.fits.gz: cannot be read", tiles)
