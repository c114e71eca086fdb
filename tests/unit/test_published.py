"""Published catalogues: the right file, its columns by name, its rows by position."""

import gzip
import hashlib
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest
import take_catalogue
from galaxy_lvm.core.config.schemes import own_schemes
from galaxy_lvm.core.config.survey import Service
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.tables import load_table
from galaxy_lvm.survey.published import SEPARATION, put_beside, read_published
from galaxy_lvm.survey.sources import Source, check_file, obtain, read_sources

ROOT = Path(__file__).parents[2]
SOURCES = read_sources(ROOT / "config" / "sources.csv")
ARCSEC = 1 / 3600
OBJID = 587722981736120347  # above 2^53: a float would lose its last digits


def test_the_projects_own_sources_name_what_they_are():
    assert {"galaxy_zoo_2", "galaxy_zoo_decals", "neuralens_new", "bright_galaxies"} < set(SOURCES)
    for source in SOURCES.values():
        assert source.addresses and source.reference and source.found_in, source.name
        assert all(address.startswith("https://") for address in source.addresses)


def test_a_sources_table_with_a_mistake_names_the_row(tmp_path):
    table = pd.read_csv(ROOT / "config" / "sources.csv", dtype=str, keep_default_na=False)
    for column, value, message in (
        ("checksum", "md5:12", "line 3: checksum 'md5:12'"),
        ("size_mb", "big", "line 3: size_mb 'big' is no number"),
        ("name", "galaxy_zoo_2", "line 3: 'galaxy_zoo_2' stands twice"),
    ):
        wrong = table.copy()
        wrong.loc[1, column] = value
        wrong.to_csv(tmp_path / "s.csv", index=False)
        with pytest.raises(DataError, match=message):
            read_sources(tmp_path / "s.csv")
    table.drop(columns="checksum").to_csv(tmp_path / "s.csv", index=False)
    with pytest.raises(DataError, match=r"no column \['checksum'\]"):
        read_sources(tmp_path / "s.csv")


BODY = b"id,ra,dec\na,1,2\n"


def source(addresses=("https://one.example/t.csv", "https://two.example/t.csv"), **other):
    fields = {"name": "mine", "file": "t.csv", "version": "1", "addresses": addresses,
              "size_mb": None, "checksum": f"md5:{hashlib.md5(BODY).hexdigest()}",
              "id_column": "id", "columns": (), "reference": "r", "found_in": "f"}  # fmt: skip
    return Source(**{**fields, **other})


@pytest.fixture
def service():
    return Service(n_tries=2, first_wait_s=0, requests_per_second=20)


def answers(**by_host):
    asked = []

    def answer(request):
        asked.append(request.url.host)
        found = by_host[request.url.host.split(".")[0]]
        return (
            httpx.Response(found) if isinstance(found, int) else httpx.Response(200, content=found)
        )

    return httpx.MockTransport(answer), asked


@pytest.mark.parametrize("bad", [404, 500, BODY[:-4], b"<html>moved</html>", b""])
def test_a_mirror_is_asked_where_the_first_address_does_not_have_the_file(tmp_path, service, bad):
    transport, asked = answers(one=bad, two=BODY)
    path = obtain(source(), tmp_path, service, transport)
    assert path.read_bytes() == BODY
    assert asked[0] == "one.example" and asked[-1] == "two.example"
    n = len(asked)
    assert obtain(source(), tmp_path, service, transport) == path and len(asked) == n
    path.write_bytes(BODY[:5])
    with pytest.raises(DataError, match="was cut short or is another version: fetch it again from"):
        obtain(source(), tmp_path, service, transport)


def test_a_catalogue_that_nobody_gives_leaves_nothing_behind(tmp_path, service):
    transport, _ = answers(one=404, two=BODY + b"more")
    with pytest.raises(DataError, match=r"one\.example.*two\.example.*another file than md5"):
        obtain(source(), tmp_path, service, transport)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(DataError, match="no single file"):
        obtain(source(file=""), tmp_path, service, transport)


def test_a_file_without_a_published_checksum_is_taken_with_a_word(tmp_path, caplog):
    (tmp_path / "t.csv").write_bytes(BODY)
    check_file(tmp_path / "t.csv", source(checksum=""))
    assert "nothing published tells whether it is whole" in caplog.text


def zoo_2(n=4, **columns):
    """Return rows as Hart et al. 2016 publish them, with the columns of the clean samples."""
    steps = [condition.column for rule in own_schemes()["galaxy_zoo_2_clean"]
             for condition in rule.where]  # fmt: skip
    table = pd.DataFrame({"dr7objid": [OBJID + i for i in range(n)], "ra": 195.45 + np.arange(n),
                          "dec": 14.23, "rastring": "13:01:48.00", "decstring": "+14:13:48.0",
                          "sample": "original", "gz2_class": "Ei", "total_votes": 40})  # fmt: skip
    for column in steps:
        table[column] = 0.0
        table[column.replace("debiased", "count")] = 3
    for part, values in columns.items():
        (column,) = [c for c in table if part in c and c.endswith("debiased")]
        table[column] = values
    return table


@pytest.mark.parametrize("form", ["gz2.csv.gz", "gz2.csv", "gz2.parquet", "gz2.tsv"])
def test_galaxy_zoo_2_is_read_in_any_form_and_order(tmp_path, form):
    table = zoo_2(a01_smooth=[0.5, 0.469, 0.4, np.nan])
    table = table[list(reversed(table.columns))]
    path = tmp_path / form
    if form.endswith("parquet"):
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False, sep="\t" if form.endswith("tsv") else ",")
    found = read_published(path, SOURCES["galaxy_zoo_2"])
    galaxies = found.galaxies
    assert galaxies["id"].tolist() == [str(OBJID + i) for i in range(4)]
    assert galaxies["ra"].tolist() == [195.45, 196.45, 197.45, 198.45]
    smooth = galaxies["t01_smooth_or_features_a01_smooth_debiased"].to_numpy(float)
    np.testing.assert_array_equal(smooth, [0.5, 0.469, 0.4, np.nan])
    assert "rastring" not in galaxies and not any(name.endswith("count") for name in galaxies)
    assert found.rejections == []


def wrong(**columns):
    return zoo_2(8).assign(**columns)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (zoo_2().rename(columns={"dr7objid": "objid"}), "no column 'dr7objid'.*nearest: objid"),
        (zoo_2().rename(columns=str.upper), "no column 'dr7objid'"),
        (zoo_2().rename(columns=lambda c: c.replace("debiased", "d")), r"no column 't\*_debiased'"),
        (zoo_2().rename(columns={"ra": "alpha"}), "'dec' is the declination, but no column"),
        (zoo_2().rename(columns={"ra": "dec", "dec": "ra"}), "ra and dec look swapped"),
        (wrong(dec=np.nan, ra=np.nan), "no row can be used.*line 2: the row has no position"),
    ],
)  # fmt: skip
def test_a_catalogue_in_another_form_says_what_it_lacks(tmp_path, table, message):
    for name, save in (("t.csv", lambda path: table.to_csv(path, index=False)),
                       ("t.parquet", table.to_parquet)):  # fmt: skip
        save(tmp_path / name)
        with pytest.raises(DataError, match=message):
            read_published(tmp_path / name, SOURCES["galaxy_zoo_2"])


def test_ids_that_lost_their_digits_are_refused(tmp_path):
    wrong(dr7objid=lambda t: t["dr7objid"].astype(float)).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataError, match="whose last digits are lost"):
        read_published(tmp_path / "t.parquet", SOURCES["galaxy_zoo_2"])


def test_a_packed_catalogue_that_was_cut_short_is_named(tmp_path):
    path = tmp_path / "gz2.csv.gz"
    whole = gzip.compress(zoo_2(2000).to_csv(index=False).encode())
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"gz2\.csv\.gz: cannot be read.*fetch it again"):
        read_published(path, SOURCES["galaxy_zoo_2"])


def test_what_falls_out_is_counted_by_reason(tmp_path):
    table = zoo_2(9)
    table = table.astype({"ra": object, "dec": object})
    table.loc[1, "ra"] = 195.45 + 0.5 * ARCSEC  # the first one again, under another name
    table.loc[2, "dr7objid"] = OBJID
    table.loc[3, "ra"] = np.nan
    table.loc[4, "dec"] = 91
    table.loc[5, ["ra", "dec"]] = ["13:01:48.00", "+14:13:48.0"]  # the first one, in words
    table.to_csv(tmp_path / "t.csv", index=False)
    found = read_published(tmp_path / "t.csv", SOURCES["galaxy_zoo_2"])
    assert found.galaxies["id"].tolist() == [str(OBJID + i) for i in (0, 6, 7, 8)]
    assert sum(found.counts().values()) == len(found.rejections) == 5
    assert found.counts()["within ... arcsec of ..."] == 2


def sky_table(ra, dec=0.0, **columns):
    ra = np.asarray(ra, float)
    return pd.DataFrame({"id": [f"g{i}" for i in range(len(ra))], "ra": ra, "dec": dec, **columns})


def test_every_row_of_a_catalogue_serves_one_galaxy_the_nearest():
    # Across 0 h: the first galaxy lies 1 arcsec west of its counterpart at 359.9999 degrees.
    catalogue = sky_table([360 - ARCSEC, 10, 20], votes=[0.1, 0.2, 0.3])
    mine = sky_table(
        [0, 10 + 1.5 * ARCSEC, 10 - 0.5 * ARCSEC, 20 + 5 * ARCSEC, 100], mag=[1, 2, 3, 4, 5]
    )
    found = put_beside(mine, catalogue, 2.0)
    assert found.galaxies["id"].tolist() == ["g0", "g2"]
    assert found.galaxies["catalogue_id"].tolist() == ["g0", "g1"]
    assert found.galaxies["votes"].tolist() == [0.1, 0.2]
    assert found.galaxies["mag"].tolist() == [1, 3]
    np.testing.assert_allclose(found.galaxies[SEPARATION], [1.0, 0.5], rtol=1e-6)
    assert found.counts() == {
        "no counterpart within ... arcsec": 2, "its counterpart ... is nearer to ...": 1,
    }  # fmt: skip
    with pytest.raises(DataError, match=r"none of 5 .* the nearest pair is 0\.5 arcsec apart"):
        put_beside(mine, catalogue, 0.1)


def test_the_script_writes_positions_with_classes_and_what_fell_out(tmp_path):
    table = zoo_2(5, a01_smooth=[0.6, 0.6, 0.1, 0.1, 0.45], a16=[0.7, 0.2, 0, 0, 0.9],
                  a18=[0.1, 0.6, 0, 0, 0], a02=[0.1, 0.1, 0.8, 0.8, 0.1], a04=[0, 0, 0.7, 0.2, 0],
                  a05=[0, 0, 0.3, 0.8, 0], a08=[0, 0, 0, 0.62, 0])  # fmt: skip
    table.to_csv(tmp_path / "mine.csv", index=False)
    out = tmp_path / "positions.csv"
    take_catalogue.main(SOURCES["galaxy_zoo_2"], out, tmp_path / "mine.csv", "galaxy_zoo_2_clean")
    written = load_table(out)
    assert written["label"].tolist() == ["smooth_round", "smooth_cigar", "edge_on", "spiral"]
    lost = load_table(tmp_path / "positions_rejected.csv")
    assert lost["id"].tolist() == [str(OBJID + 4)] and lost["row"].astype(int).tolist() == [6]
    mine = sky_table([197.45], 14.23, extra=[7])
    mine.to_csv(tmp_path / "galaxies.csv", index=False)
    take_catalogue.main(SOURCES["galaxy_zoo_2"], out, tmp_path / "mine.csv",
                        match=tmp_path / "galaxies.csv")  # fmt: skip
    assert load_table(out)["catalogue_id"].astype(str).tolist() == [str(OBJID + 2)]


def test_a_file_of_the_published_name_must_be_the_published_one(tmp_path):
    path = tmp_path / "gz_decals_volunteers_5.parquet"
    zoo_2().to_parquet(path)
    with pytest.raises(DataError, match="expected 364d0b598b7d2958553350c5ce0ffc14"):
        take_catalogue.main(SOURCES["galaxy_zoo_decals"], tmp_path / "p.csv", path)
