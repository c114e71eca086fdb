"""The search of new images: nothing lost or found twice at tiles' borders, right on the sky."""

import json
import multiprocessing
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import detect_lenses
import numpy as np
import pandas as pd
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from cutout_server import as_fits
from galaxy_lvm.core.config.lens_search import ImageReading, Search, Tiles
from galaxy_lvm.core.config.survey import Service
from galaxy_lvm.core.errors import ConfigError, DataError
from galaxy_lvm.lenses import detect
from galaxy_lvm.lenses.images import from_fluxes, read_sky_image, tangent_wcs
from galaxy_lvm.lenses.search import gallery_images, search_items
from galaxy_lvm.lenses.sources import folder_items, load_files, load_positions, position_items
from galaxy_lvm.report.results import long_rows, write_results
from galaxy_lvm.survey.fields import BOX_COLUMNS
from galaxy_lvm.survey.rejected import read_rejected
from PIL import Image
from spots import Found, SpotFinder, sky

SHARED = Path(
    os.environ.get("GALAXY_LVM_SHARED", Path(__file__).parents[2].parent / "shared" / "data")
)
needs_shared = pytest.mark.skipif(
    not SHARED.is_dir(), reason="no real images: set GALAXY_LVM_SHARED to their folder"
)
TILES = Tiles(tile_side_pix=96, overlap_pix=32, batch_size=3)


def write_fits(path, cube, scale_arcsec=0.262, ra=150.0, dec=2.0, bands="grz"):
    height, width = cube.shape[1:]
    header = fits.Header()
    header["CTYPE1"], header["CTYPE2"] = "RA---TAN", "DEC--TAN"
    header["CRVAL1"], header["CRVAL2"] = ra, dec
    header["CRPIX1"], header["CRPIX2"] = width / 2 + 0.5, height / 2 + 0.5
    header["CD1_1"], header["CD2_2"] = -scale_arcsec / 3600, scale_arcsec / 3600
    header["CD1_2"] = header["CD2_1"] = 0.0
    if bands:
        header["BANDS"] = bands
    fits.PrimaryHDU(cube.astype(np.float32), header).writeto(path)


def fluxes(height, width, spots, seed=0):
    cube = np.random.default_rng(seed).normal(0, 1e-4, (3, height, width))
    for x, y, side in spots:
        cube[:, y : y + side, x : x + side] += 0.5
    return cube


def search_folder(folder, detector, settings=None, **options):
    settings = settings or ImageReading()
    return search_items(
        detector,
        folder_items(folder, settings),
        lambda items: load_files(items, folder, settings),
        options.pop("tiles", TILES),
        options.pop("score_threshold", 0.1),
        **options,
    )


@pytest.mark.parametrize("scale", [0.262, 0.1, 0.5])
def test_a_known_position_comes_back_to_0_3_arcsec(tmp_path, scale):
    side = round(16 * 0.262 / scale)
    x, y = 120, 60
    write_fits(tmp_path / "a.fits", fluxes(180, 200, [(x, y, side)]), scale)
    table, rejections = search_folder(tmp_path, SpotFinder(), score_threshold=0.3)
    assert not rejections and len(table) == 1
    row = table.iloc[0]
    # By hand: offsets from the reference position, RA growing to the left.
    dx, dy = (x + side / 2 - 100) * scale, (y + side / 2 - 90) * scale
    expected = SkyCoord(150, 2, unit="deg").spherical_offsets_by(-dx * u.arcsec, dy * u.arcsec)
    assert expected.separation(SkyCoord(row["ra"], row["dec"], unit="deg")).arcsec < 0.3
    edges = [x, y, x + side, y + side]
    np.testing.assert_allclose(
        row[list(BOX_COLUMNS)].astype(float), edges, atol=1.5 * 0.262 / scale
    )
    assert row["half_size_arcsec"] == pytest.approx(8 * 0.262, abs=0.3)
    assert row["id"] == "a.fits#1"


def test_colour_images_are_brought_to_the_surveys_scale(tmp_path):
    image = sky(340, 300, [(150, 100, 60)])
    Image.fromarray(image).save(tmp_path / "b.png")
    settings = ImageReading(pixel_scale_arcsec=0.0655)
    detector = SpotFinder()
    table, _ = search_folder(tmp_path, detector, settings)
    assert detector.shapes == [(1, 96, 96, 3)]  # 75 x 85 pixels, padded
    np.testing.assert_allclose(
        table.iloc[0][list(BOX_COLUMNS)].astype(float), [150, 100, 210, 160], atol=4
    )
    assert np.isnan(table["ra"][0])
    with pytest.raises(ConfigError, match="1 JPEG or PNG images.*--pixel-scale"):
        search_folder(tmp_path, detector)


def test_what_cannot_be_searched_is_listed_with_its_reason(tmp_path):
    write_fits(tmp_path / "good.fits", fluxes(100, 100, [(40, 40, 12)]))
    write_fits(tmp_path / "blank.fits", np.full((3, 100, 100), np.nan))
    write_fits(tmp_path / "no_z.fits", fluxes(100, 100, []) * np.array([1, 1, 0])[:, None, None])
    write_fits(tmp_path / "coarse.fits", fluxes(100, 100, []), 1.0)
    (tmp_path / "cut.fits").write_bytes((tmp_path / "good.fits").read_bytes()[:40000])
    (tmp_path / "text.jpg").write_text("no image")
    Image.fromarray(sky(80, 80, [])).save(tmp_path / "flat.png")
    Image.fromarray(sky(80, 80, [])[..., 0]).save(tmp_path / "grey.png")
    (tmp_path / "notes.txt").write_text("left out")
    settings = ImageReading(pixel_scale_arcsec=0.2)
    table, rejections = search_folder(tmp_path, SpotFinder(), settings)
    assert table["file"].unique().tolist() == ["good.fits"]
    reasons = {line["file"]: line["reason"] for line in rejections}
    expected = {
        "blank.fits": "no valid pixel in g, r, z",
        "no_z.fits": "no valid pixel in z",
        "coarse.fits": "coarser than",
        "cut.fits": "damaged or cut short",
        "text.jpg": "cannot be decoded",
        "flat.png": "no valid pixel",
        "grey.png": "has one channel",
    }
    assert reasons.keys() == expected.keys()
    for name, reason in expected.items():
        assert reason in reasons[name]
    with pytest.raises(DataError, match="no such folder"):
        folder_items(tmp_path / "nowhere", settings)


def test_holes_are_no_objects_and_detections_on_them_are_left_out(tmp_path):
    cube = fluxes(128, 128, [(20, 20, 12), (80, 80, 12)])
    cube[:, 60:, 60:] = np.nan  # hides the second
    cube[1, 10:14, 100:104] = 0  # a small hole in one band
    image = from_fluxes(cube.astype(np.float32), 0.262)
    assert image.missing.sum() == 68 * 68 + 16
    assert image.rgb[60:, 60:].max() < 60 and image.rgb[8:16, 98:106].max() < 60
    write_fits(tmp_path / "a.fits", cube)
    assert len(search_folder(tmp_path, SpotFinder())[0]) == 1

    class Everywhere(SpotFinder):
        def _one(self, image):
            return Found(np.array([[70, 70, 90, 90], [10, 10, 30, 30]]), np.array([0.9, 0.8]))

    tiles = Tiles(tile_side_pix=128, overlap_pix=32)
    table, _ = search_folder(tmp_path, Everywhere(), tiles=tiles)
    assert table["score"].tolist() == [0.8]


def test_an_interrupted_search_goes_on_and_gives_the_same(tmp_path):
    folder, state = tmp_path / "images", tmp_path / "state" / "done.jsonl"
    folder.mkdir()
    for i in range(4):
        write_fits(folder / f"{i}.fits", fluxes(100, 100, [(20 + 10 * i, 30, 12)]))
    expected, _ = search_folder(folder, SpotFinder())

    class Killed(SpotFinder):
        def detect(self, images):
            if self.calls == 4:
                raise KeyboardInterrupt
            return super().detect(images)

    with pytest.raises(KeyboardInterrupt):
        search_folder(folder, Killed(), state=state, tiles=TILES)
    with open(state, "a") as file:
        file.write('{"name": "2.fi')  # half a line
    detector = SpotFinder()
    table, _ = search_folder(folder, detector, state=state)
    pd.testing.assert_frame_equal(table, expected)
    assert 0 < detector.calls < 8
    (folder / "0.fits").unlink()
    write_fits(folder / "0.fits", fluxes(100, 100, [(60, 60, 20)]))
    changed, _ = search_folder(folder, SpotFinder(), state=state)
    row = changed[changed["file"] == "0.fits"].iloc[0]
    assert row["x_min_pix"] == pytest.approx(60, abs=1)


def test_positions_are_searched_in_cutouts_and_bad_ones_listed(tmp_path):
    path = tmp_path / "positions.csv"
    path.write_text("id,ra,dec\na,150.0,2.0\nb,151.0,2.0\nc,abc,2.0\n,152.0,-3.0\n")
    items, rejections = position_items(path, 128)
    assert [item.name for item in items] == ["a", "b", "152.00000-3.00000"]
    assert [line["id"] for line in rejections] == ["c"]

    def fetch(positions, side_pix):
        for ra, _ in positions:
            if ra == 151.0:
                yield DataError("no data in g, r, z: outside the survey's footprint")
            else:
                yield fluxes(side_pix, side_pix, [(56, 76, 16)]).astype(np.float32)

    table, refused = search_items(
        SpotFinder(), items, lambda chosen: load_positions(chosen, 128, fetch), TILES, 0.3
    )
    assert [(line["id"], line["reason"][:7]) for line in refused] == [("b", "no data")]
    row = table[table["file"] == "a"].iloc[0]
    assert row["ra"] == pytest.approx(150.0, abs=1e-5)
    assert 3600 * (row["dec"] - 2.0) == pytest.approx(20 * 0.262, abs=0.3)


def test_the_gallery_shows_the_surroundings_of_every_box(tmp_path):
    write_fits(tmp_path / "a.fits", fluxes(100, 120, [(5, 5, 10), (80, 60, 14)]))
    items = folder_items(tmp_path, ImageReading())

    def load(chosen):
        return load_files(chosen, tmp_path, ImageReading())

    table, _ = search_items(SpotFinder(), items, load, TILES, 0.1)
    pictures = gallery_images(table, items, load, 48)
    assert len(pictures) == 2
    for picture, box in pictures:
        assert picture.shape == (48, 48, 3)
        x0, y0, x1, y1 = box.astype(int)
        assert picture[y0:y1, x0:x1].min() > 120 and picture[: y0 - 1].max() < 100
    # The first rows of a FITS file are the lowest: below them is only padding.
    low = int(np.flatnonzero(table["y_min_pix"] < 50)[0])
    assert pictures[low][0][-10:].std(axis=(0, 1)).max() == 0
    assert pictures[low][0][:10].std() > 0


def run_tool(monkeypatch, *options):
    monkeypatch.setattr("sys.argv", ["detect_lenses.py", *map(str, options)])
    detect_lenses.command_line()


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """A detector in a run's folder, with its card; its spots stand for a trained network."""
    path = tmp_path / "run" / "models" / "lenses" / "lvm_30_0.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    card = {"architecture": {"backbone": "lvm"}, "n_train": 30, "seed": 4}
    path.with_suffix(".json").write_text(json.dumps(card))

    class Movable(SpotFinder):
        def to(self, device):
            return self

    monkeypatch.setattr(detect, "load_detector", lambda path: Movable())
    return path


def test_the_tool_on_the_command_line(tmp_path, monkeypatch, weights):
    folder, out = tmp_path / "images", tmp_path / "out"
    (folder / "deep").mkdir(parents=True)
    write_fits(folder / "a.fits", fluxes(100, 120, [(5, 5, 10), (80, 60, 14)]))
    write_fits(folder / "deep" / "b.fits", np.full((3, 100, 100), np.nan))
    given = ("--weights", weights, "--images", folder, "--output", out)
    with pytest.raises(ConfigError, match="no score threshold.*--score-threshold"):
        run_tool(monkeypatch, *given)
    run_tool(monkeypatch, *given, "--score-threshold", 0.1)
    table = pd.read_csv(out / "lenses.csv")
    assert table["id"].tolist() == ["a.fits#1", "a.fits#2"]
    assert table["score"].is_monotonic_decreasing and table["ra"].notna().all()
    rejected = read_rejected(out / "rejected.csv")
    assert rejected[["stage", "file"]].to_numpy().tolist() == [["search", "deep/b.fits"]]
    assert (out / "gallery.png").stat().st_size > 5000
    assert "1 images searched, 1 rejected; 2 detections" in (out / "detect_lenses.log").read_text()
    # The scores of the run that the weights lie in give the threshold of this very detector.
    scores = [long_rows("lenses", "boxes", "lvm", "train=30", seed, {"threshold": value})
              for seed, value in ((4, 0.3), (5, 0.9))]  # fmt: skip
    write_results(tmp_path / "run" / "metrics" / "lenses.csv", sum(scores, []))
    run_tool(monkeypatch, *given)
    assert pd.read_csv(out / "lenses.csv")["id"].tolist() == ["a.fits#1"]
    run_tool(monkeypatch, *given, "--score-threshold", 1)
    assert pd.read_csv(out / "lenses.csv").empty and (out / "gallery.pdf").exists()


def search_twice(tmp_path, weights, monkeypatch, changes):
    """Search, then again with changed settings; return how often the detector was called."""
    images = tmp_path / "images"
    images.mkdir()
    write_fits(images / "a.fits", fluxes(100, 120, [(5, 5, 10), (80, 60, 14)]))
    detector = detect.load_detector(weights)
    monkeypatch.setattr(detect, "load_detector", lambda path: detector)
    files = [tmp_path / name for name in ("found.csv", "rejected.csv", "gallery.pdf")]
    first = {"images": str(images), "score_threshold": 0.1}
    calls = []
    for search, service in (({}, {}), changes):
        settings, remote = Search(**{**first, **search}), Service(**service)
        detect_lenses.main(weights, *files, settings, tmp_path / "state", 1, service=remote)
        calls.append(detector.calls)
    return calls


@pytest.mark.parametrize(
    "changes", [({"n_gallery": 1}, {}), ({"backbone": "resnet18"}, {}), ({}, {"n_tries": 9})]
)
def test_settings_that_find_nothing_else_search_no_image_again(
    tmp_path, weights, monkeypatch, changes
):
    first, both = search_twice(tmp_path, weights, monkeypatch, changes)
    assert first == both > 0


@pytest.mark.parametrize(
    "changed", [{"overlap_pix": 32}, {"score_threshold": 0.2}, {"pixel_scale_arcsec": 0.3}]
)
def test_settings_that_find_something_else_search_again(tmp_path, weights, monkeypatch, changed):
    first, both = search_twice(tmp_path, weights, monkeypatch, (changed, {}))
    assert both == 2 * first


class SlowSky(BaseHTTPRequestHandler):
    """A cutout service whose answers arrive in pieces: two searches meet in the middle of them."""

    def do_GET(self):
        query = {key: value[0] for key, value in parse_qs(urlparse(self.path).query).items()}
        number = round(10 * (float(query["ra"]) - 150))
        side = int(query["size"])
        cube = fluxes(side, side, [(20 + number, 30, 10 + 4 * (number % 2))]).astype(np.float32)
        content = as_fits(cube, float(query["ra"]), float(query["dec"]))
        self.send_response(200)
        self.end_headers()
        for start in range(0, len(content), 40000):
            self.wfile.write(content[start : start + 40000])
            time.sleep(0.01)

    def log_message(self, *args):
        pass


@pytest.fixture
def sky_service(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), SlowSky)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/fits-cutout"
    yield Service(base_url=url, n_workers=2).model_copy(update={"requests_per_second": 500.0})
    server.shutdown()
    server.server_close()


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")  # fork
def test_two_searches_at_once_share_cutouts_and_leave_each_other_alone(
    tmp_path, weights, sky_service
):
    positions = tmp_path / "positions.csv"
    lines = [f"p{i},{150 + i / 10},2.0" for i in range(12)]
    positions.write_text("\n".join(["id,ra,dec", *lines]) + "\n")

    def start(name, state, threshold):
        files = [tmp_path / name / file for file in ("found.csv", "rejected.csv", "gallery.pdf")]
        search = Search(
            positions=str(positions), score_threshold=threshold, side_pix=128, n_gallery=1
        )
        process = multiprocessing.get_context("fork").Process(
            target=detect_lenses.main,
            args=(weights, *files, search, tmp_path / state, 1),
            kwargs={"service": sky_service},
        )
        process.start()
        return process

    def end(*processes):
        for process in processes:
            process.join(300)
            process.kill()
            assert process.exitcode == 0

    # Half of the spots score 0.25, half 0.49. The first two searches differ in their threshold; the
    # third does what the first does.
    end(start("a", "shared", 0.1), start("b", "shared", 0.4), start("c", "shared", 0.1))
    end(start("again", "shared", 0.1), start("alone", "own", 0.1))
    expected = pd.read_csv(tmp_path / "alone" / "found.csv")
    assert len(expected) == 12 and (expected["score"] < 0.4).sum() == 6
    above = {"a": 0.1, "b": 0.4, "c": 0.1, "again": 0.1}
    for name, threshold in above.items():
        found = pd.read_csv(tmp_path / name / "found.csv")
        pd.testing.assert_frame_equal(found, expected[expected["score"] >= threshold])
        assert len(read_rejected(tmp_path / name / "rejected.csv")) == 0
    kept = [path for path in (tmp_path / "shared" / "cutouts").rglob("*") if path.is_file()]
    assert sum(path.suffix == ".fits" for path in kept) == 12
    assert {path.name for path in kept if path.suffix != ".fits"} == {"journal.jsonl"}
    assert not [path.name for path in kept if path.name.startswith(".")]


@needs_shared
@pytest.mark.filterwarnings("ignore:File may have been truncated")
def test_real_cutouts_know_where_they_are():
    for name, side in [("native_509px.fits", 509), ("fine_424px.fits", 162)]:
        image = read_sky_image(SHARED / "fits" / name, ImageReading())
        assert image.rgb.shape == (side, side, 3)
        header = fits.getheader(SHARED / "fits" / name)
        middle = image.sky(np.array([[0, 0, side, side]]))[0]
        assert middle == pytest.approx([header["CRVAL1"], header["CRVAL2"]], abs=1e-4)
    own = tangent_wcs(header["CRVAL1"], header["CRVAL2"], 162)
    assert own.all_pix2world([[80.5, 80.5]], 0)[0] == pytest.approx(middle, abs=1e-6)
    with pytest.raises(DataError, match="damaged or cut short"):
        read_sky_image(SHARED / "fits" / "truncated.fits", ImageReading())
