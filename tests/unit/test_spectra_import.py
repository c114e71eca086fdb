"""Spectra in files and stores: one grid, what is odd marked, what is bad refused."""

import h5py
import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from galaxy_lvm.core.config.spectra import (
    Spectra,
    SpectrumFiles,
    SpectrumNoise,
)
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.spectra.importing import import_spectra
from galaxy_lvm.spectra.simulate import simulate_stars
from galaxy_lvm.spectra.stars import read_stars
from galaxy_lvm.spectra.store import SpectrumStore, write_spectra
from galaxy_lvm.spectra.wavelengths import (
    grid_wavelengths,
    vacuum_to_air,
)

XP = grid_wavelengths("xp")


def raw_files(path, flux, **more):
    np.savez(path, flux=flux, **more)
    return SpectrumFiles(path=str(path), min_good_share=0.8)


def test_bad_spectra_are_refused_by_name_and_odd_ones_marked(tmp_path):
    good = 1 + 0.1 * np.sin(XP / 500)
    flux = np.array([good, 0 * good, np.full_like(good, np.nan), -good, good, good])
    flux[4, 100:110] = np.nan
    flux[5, :3] = -0.01
    settings = raw_files(
        tmp_path / "s.npz",
        flux[:, ::-1],
        wave_nm=XP[::-1] / 10,
        id=list("abcdef"),
        teff=np.arange(6.0),
    )
    rejected = import_spectra(settings.path, "xp", settings, tmp_path / "s.h5")
    assert {line["id"]: line["reason"][:22] for line in rejected} == {
        "b": "all fluxes are zero or",
        "c": "all fluxes are zero or",
        "d": "the median flux is not",
    }
    with SpectrumStore(tmp_path / "s.h5") as store:
        table, kept = store.catalogue().set_index("id"), store.flux()
    assert list(table.index) == ["a", "e", "f"]
    assert list(table["n_bad_pixels"]) == [0, 10, 0] and list(table["n_negative_pixels"]) == [
        0,
        0,
        3,
    ]
    assert table["notes"].str.contains("descending").all()
    assert table["notes"].str.contains("no errors").all()
    assert kept[0] == pytest.approx(good, rel=1e-5) and list(table["teff"]) == [0, 4, 5]


def lamost_file(path, wave, flux, vacuum=True, name="LAMOST J1", **more):
    ivar = np.full(len(wave), 400.0)
    image = np.array([flux, ivar, wave, 0 * wave, 0 * wave], dtype=np.float32)
    header = fits.Header({"VACUUM": vacuum, "DESIG": name, "SUBCLASS": "G2", **more})
    fits.PrimaryHDU(image, header).writeto(path)


def test_lamost_and_sdss_files_of_several_lengths_come_onto_one_grid(tmp_path):
    wanted = grid_wavelengths("lamost")
    wave = 10 ** np.arange(3.58, 3.78, 1e-4)

    def line(at):
        return 1 - 0.5 * np.exp(-(((at - 4862.69) / 8) ** 2))

    lamost_file(tmp_path / "a.fits", wave, line(wave))
    lamost_file(tmp_path / "b.fits", vacuum_to_air(wave), line(wave), False, "LAMOST J2")
    lamost_file(tmp_path / "short.fits", wave[:900], line(wave[:900]), name="LAMOST J3")
    columns = [
        fits.Column(name, "E", array=values.astype(np.float32))
        for name, values in (
            ("flux", line(wave)),
            ("loglam", np.log10(wave)),
            ("ivar", np.full(len(wave), 100.0)),
        )
    ]
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns)]).writeto(
        tmp_path / "sdss.fits"
    )
    (tmp_path / "not.fits").write_text("nothing")
    settings = SpectrumFiles(path=str(tmp_path))
    rejected = import_spectra(tmp_path, "lamost", settings, tmp_path / "out.h5")
    reasons = {line["file"]: line["reason"] for line in rejected}
    assert set(reasons) == {"short.fits", "not.fits"}
    assert "min_good_share" in reasons["short.fits"] and "not a spectrum" in reasons["not.fits"]
    with SpectrumStore(tmp_path / "out.h5") as store:
        flux, error, table = store.flux(), store.error(), store.catalogue()
    assert list(table["id"]) == ["LAMOST J1", "LAMOST J2", "sdss.fits"]
    for spectrum in flux:  # float32 wavelengths: the line's place is good to a hundredth of a pixel
        assert spectrum == pytest.approx(line(wanted), abs=3e-3)
    assert error[0] == pytest.approx(0.05) and error[2] == pytest.approx(0.1)


def test_nothing_is_made_up_in_a_gap(tmp_path):
    wave = XP[(XP < 6300) | (XP > 6600)]
    settings = raw_files(tmp_path / "s.npz", np.ones((1, len(wave))), wavelength=wave, id=["a"])
    assert import_spectra(settings.path, "xp", settings, tmp_path / "s.h5") == []
    with SpectrumStore(tmp_path / "s.h5") as store:
        lost = np.isnan(store.flux()[0])
    assert lost[(XP > 6300) & (XP < 6600)].all() and not lost[(XP < 6280) | (XP > 6620)].any()


def test_gaia_samples_need_no_wavelengths_and_coefficients_are_sent_to_gaiaxpy(tmp_path):
    cells = "(" + ", ".join(["1.5", "null", *["2e-16"] * 341]) + ")"
    (tmp_path / "xp.csv").write_text(f'source_id,flux,teff\n4545469030156206080,"{cells}",5000\n')
    settings = SpectrumFiles(path=str(tmp_path / "xp.csv"))
    import_spectra(settings.path, "xp", settings, tmp_path / "s.h5")
    with SpectrumStore(tmp_path / "s.h5") as store:
        assert store.catalogue()["id"][0] == "4545469030156206080"
        assert np.isnan(store.flux()[0, 1]) and store.catalogue()["teff"][0] == 5000
    (tmp_path / "c.csv").write_text('source_id,bp_coefficients\n1,"(1, 2)"\n')
    with pytest.raises(DataError, match="GaiaXPy"):
        import_spectra(tmp_path / "c.csv", "xp", settings, tmp_path / "c.h5")


def test_a_store_refuses_what_does_not_fit(tmp_path):
    table = pd.DataFrame({"id": ["a"], "flux": [1.0]})
    with pytest.raises(DataError, match="need another name"):
        write_spectra(tmp_path / "s.h5", XP, np.ones((1, 343)), np.ones((1, 343)), table)
    with pytest.raises(DataError, match="do not go together"):
        write_spectra(tmp_path / "s.h5", XP, np.ones((1, 9)), np.ones((1, 9)), table[["id"]])
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["images"] = np.zeros(3)
    with pytest.raises(DataError, match=r"no flux and no wavelength in it, but \['images'\]"):
        SpectrumStore(tmp_path / "other.h5")


def test_a_label_that_no_star_has_is_left_out_and_none_is_refused(tmp_path):
    flux, error, table = simulate_stars(40, "xp", SpectrumNoise(), 1)
    table.loc[3, "logg"] = np.nan
    write_spectra(tmp_path / "s.h5", XP, flux, error, table)
    stars = read_stars(tmp_path / "s.h5", ("teff", "logg", "alpha_m"))
    assert stars.label_names == ("teff", "logg") and len(stars) == 39
    with pytest.raises(DataError, match="none of the labels alpha_m is a column of numbers"):
        read_stars(tmp_path / "s.h5", ("alpha_m",))


def test_files_need_a_path():
    with pytest.raises(ValueError, match=r"files.path: needed by source 'files'"):
        Spectra(source="files")


@pytest.fixture
def receding():
    """A simulated star on LAMOST's grid, and its wavelengths as seen at 240 km/s."""
    flux, _, _ = simulate_stars(1, "lamost", SpectrumNoise(snr_min=1e6, snr_max=2e6), 4)
    wanted = grid_wavelengths("lamost")
    return flux[0].astype(float), wanted, wanted * (1 + 0.0008)


def imported(path, folder, **given):
    settings = SpectrumFiles(path=str(path), **given)
    rejected = import_spectra(path, "lamost", settings, folder / "out.h5")
    assert rejected == []
    with SpectrumStore(folder / "out.h5") as store:
        return store.flux(), store.catalogue()["notes"].tolist()


def apart(found, wanted):
    """Root mean square over the pixels that both have."""
    return np.sqrt(np.nanmean((found - wanted) ** 2))


def sdss_file(path, wave, flux, redshift):
    spectrum = [
        fits.Column(name, "D", array=values)
        for name, values in (
            ("flux", flux), ("loglam", np.log10(wave)), ("ivar", np.full(len(wave), 100.0)),
        )
    ]  # fmt: skip
    about = [fits.Column("CLASS", "6A", array=["STAR"]), fits.Column("Z", "E", array=[redshift])]
    tables = [fits.BinTableHDU.from_columns(part) for part in (spectrum, about)]
    fits.HDUList([fits.PrimaryHDU(), *tables]).writeto(path)


def test_lamost_and_sdss_files_are_brought_to_rest_by_their_redshift(tmp_path, receding, caplog):
    flux, wanted, seen = receding
    folder = tmp_path / "files"
    folder.mkdir()
    lamost_file(folder / "a.fits", seen, flux, Z=0.0008)
    lamost_file(folder / "b.fits", vacuum_to_air(seen), flux, False, Z=0.0008)
    sdss_file(folder / "c.fits", seen, flux, 0.0008)
    lamost_file(folder / "d.fits", seen, flux, Z=-9999.0)
    lamost_file(folder / "e.fits", seen, flux, Z=0.3)
    lamost_file(folder / "f.fits", seen, flux)
    with caplog.at_level("INFO", "galaxy_lvm"):
        found, notes = imported(folder, tmp_path)
    moved = [apart(one, flux) for one in found]
    assert max(moved[:3]) < 1e-3 < 20e-3 < min(moved[3:])
    assert [("brought to rest" in note, "left as observed" in note) for note in notes] == [
        *[(True, False)] * 3, *[(False, True)] * 2, (False, False)
    ]  # fmt: skip
    assert "3 spectra: brought to rest by its redshift" in caplog.text
    assert "2 spectra: no redshift of a star, left as observed" in caplog.text
    assert "air to vacuum" in notes[1]
    as_observed, notes = imported(folder, tmp_path, redshift_column="none")
    assert min(apart(one, flux) for one in as_observed) > 20e-3 and not any(
        "rest" in note for note in notes
    )


def test_a_table_is_brought_to_rest_by_a_column_that_is_named_and_by_no_other(tmp_path, receding):
    flux, wanted, seen = receding
    table = {"flux": [flux, flux], "wavelength": seen, "id": ["a", "b"]}
    path = tmp_path / "s.npz"
    np.savez(path, **table, z=[0.0008, np.nan], name=["x", "y"])
    plain, notes = imported(path, tmp_path)
    assert min(apart(one, flux) for one in plain) > 20e-3 and notes == ["no errors"] * 2
    named, notes = imported(path, tmp_path, redshift_column="Z")
    assert apart(named[0], flux) < 1e-3 and apart(named[1], flux) > 20e-3
    assert "brought to rest" in notes[0] and "left as observed" in notes[1]
    for column, told in (("rv", "no column rv; set spectra.files.redshift_column"),
                         ("name", "the redshift .*x.* is no number")):  # fmt: skip
        with pytest.raises(DataError, match=told):
            imported(path, tmp_path, redshift_column=column)
