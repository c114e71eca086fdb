"""The cutout service: what is asked for, what is asked for again, kept, refused, given up."""

import io
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qs, urlparse

import httpx
import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from download_cutouts import main as download
from galaxy_lvm.core.config import check_config
from galaxy_lvm.core.config.survey import Service
from galaxy_lvm.core.errors import ConfigError, DataError
from galaxy_lvm.survey.journal import Journal, states
from galaxy_lvm.survey.legacysurvey import CutoutService, fetch_cutout
from galaxy_lvm.survey.positions import read_positions
from galaxy_lvm.survey.remote import (
    RefusedError,
    ServiceError,
    UnreachableError,
)
from galaxy_lvm.survey.store import CutoutStore

QUICK = {"first_wait_s": 0.01, "n_tries": 4, "timeout_s": 5.0}


def quick_service(url, requests_per_second=500.0, **settings):
    """Settings with a rate beyond what a config may ask of a public service."""
    service = Service(base_url=url, **{**QUICK, **settings})
    return service.model_copy(update={"requests_per_second": requests_per_second})


def flux_at(ra, dec, side=16):
    """A cube that tells the position it was asked for."""
    cube = np.random.default_rng(1).normal(0, 1e-3, (3, side, side)).astype(np.float32)
    return cube + np.array([ra, dec, 1.0], np.float32)[:, None, None]


def as_fits(cube, ra, dec, bands="grz", scale_arcsec=0.262):
    buffer = io.BytesIO()
    cards = {
        "BANDS": bands,
        "CTYPE1": "RA---TAN",
        "CTYPE2": "DEC--TAN",
        "CRVAL1": ra,
        "CRVAL2": dec,
    }
    for axis, side, sign in ((1, cube.shape[2], -1), (2, cube.shape[1], 1)):
        cards[f"CRPIX{axis}"] = (side + 1) / 2
        cards[f"CD{axis}_{axis}"] = sign * scale_arcsec / 3600
    header = fits.Header(cards)
    fits.PrimaryHDU(np.asarray(cube, np.float32), header).writeto(buffer)
    return buffer.getvalue()


class Survey:
    """A cutout service on this machine. `answers` holds what it does before it serves a position:
    a status, a status with headers, bytes, or an array in place of the usual cube."""

    def __init__(self):
        self.asked, self.answers, self.times, self.delay_s = [], {}, [], 0.0
        survey = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                survey.answer(self)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/viewer/fits-cutout"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, request):
        query = {key: value[0] for key, value in parse_qs(urlparse(request.path).query).items()}
        self.asked.append(query)
        self.times.append(time.monotonic())
        time.sleep(self.delay_s)
        ra, dec = float(query["ra"]), float(query["dec"])
        waiting = self.answers.get(ra, [])
        if waiting and waiting[0] is None:
            waiting.pop(0)
            request.close_connection = True
            return
        answer = waiting.pop(0) if waiting else flux_at(ra, dec, int(query["size"]))
        status, headers = (answer, {}) if isinstance(answer, int) else (200, {})
        if isinstance(answer, tuple):
            status, headers = answer
        body = answer if isinstance(answer, bytes) else b""
        body = as_fits(answer, ra, dec) if isinstance(answer, np.ndarray) else body
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)

    @property
    def n_positions(self):
        return len({query["ra"] for query in list(self.asked)})

    @property
    def n_requests(self):
        return Counter(float(query["ra"]) for query in self.asked)


@pytest.fixture
def survey(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    survey = Survey()
    yield survey
    survey.server.shutdown()
    survey.server.server_close()


def service_of(survey, folder, **settings):
    return CutoutService(quick_service(survey.url, **settings), folder / "cache")


def table_of(folder, rows, header="id,ra,dec,label,redshift"):
    path = folder / "positions.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def run(survey, folder, rows, header="id,ra,dec,label,redshift", **settings):
    """Run the script; return the store's images, its catalogue and the rejections."""
    cutouts, rejected = folder / "out" / "c.h5", folder / "out" / "r.csv"
    settings = quick_service(survey.url, **settings)
    download(table_of(folder, rows, header), cutouts, rejected, folder / "cache", settings)
    with CutoutStore(cutouts) as store:
        return store.images[:], store.catalogue(), pd.read_csv(rejected, keep_default_na=False)


def test_the_service_is_asked_as_it_wants_to_be(survey, tmp_path):
    with service_of(survey, tmp_path) as service:
        cube = service.cutout(150.1234567, -2.5, 16)
    assert cube.shape == (3, 16, 16) and cube.dtype == np.float32
    np.testing.assert_allclose(cube.mean(axis=(1, 2)), [150.123457, -2.5, 1.0], atol=1e-3)
    assert survey.asked == [
        {"ra": "150.123457", "dec": "-2.500000", "layer": "ls-dr9", "pixscale": "0.262"}
        | {"bands": "grz", "size": "16"}
    ]


def test_cutouts_have_the_side_that_was_asked_for(survey, tmp_path):
    table = table_of(tmp_path, ["a,1.0,0.0"], "id,ra,dec")
    cutouts, settings = tmp_path / "c.h5", quick_service(survey.url)
    download(table, cutouts, tmp_path / "r.csv", tmp_path / "cache", settings, 192)
    with CutoutStore(cutouts) as store:
        assert store.images.shape == (1, 3, 192, 192)
    assert survey.asked[0]["size"] == "192"


def test_cutouts_arrive_in_order_whatever_goes_wrong_on_the_way(survey, tmp_path):
    cut_short = as_fits(flux_at(2.0, 0.0), 2.0, 0.0)[:4000]
    survey.answers = {1.0: [500, 503], 2.0: [cut_short], 5.0: [(429, {"Retry-After": "0"})]}
    positions = [(float(ra), 0.0) for ra in range(12)]
    with service_of(survey, tmp_path) as service:
        cubes = list(service.cutouts(positions, 16))
    np.testing.assert_allclose([c[0].mean() for c in cubes], range(12), atol=1e-3)
    assert survey.n_requests == Counter(range(12)) + Counter({1.0: 2, 2.0: 1, 5.0: 1})


def test_what_is_in_the_cache_is_not_fetched_again(survey, tmp_path):
    positions = [(float(ra), 0.0) for ra in range(20)]
    with service_of(survey, tmp_path, n_workers=2) as service:
        stream = service.cutouts(positions, 16)
        first = [next(stream) for _ in range(4)]
        stream.close()  # as a kill would: what is under way is lost, what is there stays
    half = len(survey.asked)
    assert 4 <= half < 20
    with service_of(survey, tmp_path) as service:
        again = list(service.cutouts(positions, 16))
    assert max(survey.n_requests.values()) == 1 and len(survey.asked) == 20
    np.testing.assert_array_equal(first, again[:4])


def test_a_damaged_file_in_the_cache_is_replaced(survey, tmp_path):
    with service_of(survey, tmp_path) as service:
        service.cutout(1.0, 2.0, 16)
        cached = service.cached(1.0, 2.0, 16)
        cached.write_bytes(cached.read_bytes()[:3000])
        cube = service.cutout(1.0, 2.0, 16)
    np.testing.assert_allclose(cube[1].mean(), 2.0, atol=1e-3)
    assert len(survey.asked) == 2 and len(cached.read_bytes()) % 2880 == 0


def test_the_state_of_the_service_is_not_held_against_a_position(survey, tmp_path):
    statuses = [401, 403, 407, 408, 425, 204]
    survey.answers = {float(ra): [status] for ra, status in enumerate(statuses)}
    pages = [b"", b"<html>log in</html>", b"\xef\xbb\xbf\n<!DOCTYPE html>", b" \n"]
    survey.answers |= {float(ra): [page] for ra, page in enumerate(pages, len(statuses))}
    positions = [(float(ra), 0.0) for ra in range(10)]
    with service_of(survey, tmp_path) as service:
        cubes = list(service.cutouts(positions, 16))
    np.testing.assert_allclose([c[0].mean() for c in cubes], range(10), atol=1e-3)
    assert set(survey.n_requests.values()) == {2}


@pytest.mark.parametrize("answer", [403, b"<html>closed for maintenance</html>", b""])
def test_a_service_that_lets_nobody_in_stops_the_download(survey, tmp_path, answer):
    survey.answers = {float(ra): [answer] * 9 for ra in range(40)}
    positions = [(float(ra), 0.0) for ra in range(40)]
    with service_of(survey, tmp_path, n_tries=2) as service:
        stream = service.cutouts(positions, 16)
        with pytest.raises(ServiceError, match="got no answer.*(403|maintenance|empty answer)"):
            list(stream)
    assert len(survey.asked) < 2 * 40


@pytest.mark.parametrize("answer", [404, b"no such layer"])
def test_a_wrong_layer_stops_the_download_early(survey, tmp_path, answer):
    survey.answers = {float(ra): [answer] for ra in range(200)}
    with service_of(survey, tmp_path, layer="ls-dr99", n_workers=2) as service:
        stream = service.cutouts([(float(ra), 0.0) for ra in range(200)], 16)
        with pytest.raises(ServiceError, match="first 20 .*(404|no such).*layer .'ls-dr99'"):
            list(stream)
    assert 20 <= len(survey.asked) < 40


@pytest.mark.parametrize("first", ["good", "other", "uncovered"])
def test_refusals_of_positions_do_not_stop_the_download(survey, tmp_path, first):
    survey.answers = {float(ra): [404] for ra in range(30)}
    if first == "uncovered":  # the request was understood: all lie outside the footprint
        survey.answers = {float(ra): [np.zeros((3, 16, 16))] for ra in range(30)}
    elif first == "good":
        del survey.answers[0.0]
    else:
        survey.answers[19.0] = [410]
    with service_of(survey, tmp_path) as service:
        results = list(service.cutouts([(float(ra), 0.0) for ra in range(31)], 16))
    refused = sum(isinstance(result, RefusedError) for result in results)
    assert refused == (29 if first == "good" else 30) and isinstance(results[30], np.ndarray)


def test_other_sizes_and_layers_have_their_own_place_in_the_cache(survey, tmp_path):
    with service_of(survey, tmp_path) as dr9, service_of(survey, tmp_path, layer="x") as other:
        names = {dr9.cached(1, 2, 16), dr9.cached(1, 2, 32), other.cached(1, 2, 16)}
    assert len(names) == 3


def test_a_pause_that_the_service_asks_for_is_kept_by_all_workers(survey, tmp_path):
    survey.answers = {0.0: [(429, {"Retry-After": "1"})]}
    with service_of(survey, tmp_path, n_workers=1) as service:
        assert len(list(service.cutouts([(0.0, 0.0), (1.0, 0.0)], 16))) == 2
    refused, *later = survey.times
    assert min(later) - refused > 0.95


def test_a_pause_beyond_the_limit_is_not_waited_for(survey, tmp_path):
    survey.answers = {0.0: [(503, {"Retry-After": "3600"})]}
    with service_of(survey, tmp_path) as service, pytest.raises(ServiceError, match="3600 s"):
        service.cutout(0.0, 0.0, 16)
    assert len(survey.asked) == 1


def test_the_rate_is_limited_over_all_workers(survey, tmp_path):
    with service_of(survey, tmp_path, n_workers=8, requests_per_second=20.0) as service:
        list(service.cutouts([(float(ra), 0.0) for ra in range(8)], 16))
    assert survey.times[-1] - survey.times[0] > 0.9 * 7 / 20


def test_positions_without_data_are_listed_and_the_rest_is_kept(survey, tmp_path):
    blank, half = np.zeros((3, 152, 152)), flux_at(4.0, 0.0, 152)
    half[1, :, :40] = np.nan
    survey.answers = {1.0: [blank], 2.0: [404], 3.0: [np.full((3, 152, 152), np.nan)], 4.0: [half]}
    survey.answers[5.0] = [b"no such layer"]
    images, table, rejected = run(
        survey, tmp_path, [f"g{ra},{ra},0.5,spiral,0.{ra}" for ra in range(7)]
    )
    assert list(table["id"]) == ["g0", "g6"] and list(table["redshift"]) == [0.0, 0.6]
    assert images.shape == (2, 3, 152, 152)
    np.testing.assert_allclose(images[1, 0].mean(), 6.0, atol=1e-3)
    reasons = dict(zip(rejected["row"], rejected["reason"], strict=True))
    assert list(reasons) == [3, 4, 5, 6, 7]
    assert "no data in g, r, z" in reasons[3] and "no data" in reasons[5]
    assert "HTTP 404" in reasons[4] and "no such layer" in reasons[7]
    assert "r 26%" in reasons[6] and "max_bad_fraction = 10%" in reasons[6]


def test_bad_rows_of_the_table_are_named_with_their_line(survey, tmp_path):
    rows = ["a,10,0", "b,370,0", "c,10,91", "d,10:00:24,2", "a,12,0", ",13,0", "e,,1", "f,14,-1"]
    _, table, rejected = run(survey, tmp_path, rows, "Name,RA,Dec")
    assert list(table["id"]) == ["a", "f"] and list(table["label"]) == ["", ""]
    reasons = dict(zip(rejected["row"], rejected["reason"], strict=True))
    assert sorted(reasons) == [3, 4, 5, 6, 7, 8]
    assert "0 and 360" in reasons[3] and "-90 and 90" in reasons[4]
    assert "10:00:24" in reasons[5] and "line 2" in reasons[6] and "id is empty" in reasons[7]


def test_names_beside_ids_and_two_spellings(survey, tmp_path):
    rows = ["NGC 1,a,10,77,1", "NGC 2,b,11,78,2"]
    _, table, _ = run(survey, tmp_path, rows, "name,id,ra,RA,dec")
    assert list(table["id"]) == ["a", "b"] and list(table["name"]) == ["NGC 1", "NGC 2"]
    assert list(table["ra"]) == [10, 11] and list(table["RA"]) == [77, 78]
    for header, columns in (
        ("Name,ID,ra,x,dec", "'Name', 'ID' could all be 'id'"),
        ("id,x,RA,Ra,dec", "'RA', 'Ra' could all be 'ra'"),
        ("id, x,ra,x ,dec", "several columns are called 'x'"),
    ):
        with pytest.raises(DataError, match=f"positions.csv: .*{columns}; rename"):
            run(survey, tmp_path, rows, header)


def test_columns_with_the_stores_own_names_are_kept_beside_them(survey, tmp_path):
    rows = ["a,400,0,1,2,3,4", "b,10,0,5,6,7,8"]
    _, table, rejected = run(survey, tmp_path, rows, "id,ra,dec,row,table_row,x/y,x_y")
    assert list(rejected["row"]) == [2] and list(table["row"]) == [3]  # lines of the file
    columns = ["table_row_", "table_row", "x_y_", "x_y"]
    assert table[columns].to_numpy().tolist() == [[5, 6, 7, 8]]


def test_rows_without_an_id_at_one_position_are_copies(tmp_path):
    rows = ["10,1,", "10.000001,1.0,", "10,1,named", "0,-0.000001,", "360,0,", "abc,1,"]
    table, rejections = read_positions(table_of(tmp_path, rows, "ra,dec,id"), make_ids=True)
    assert list(table["id"]) == ["10.00000+1.00000", "named", "0.00000+0.00000"]
    assert [(line["row"], line["reason"][:19]) for line in rejections] == [
        ("3", "a duplicate: line 2"),
        ("6", "a duplicate: line 5"),
        ("7", "ra 'abc' is no numb"),
    ]


def test_ids_and_labels_of_a_parquet_table_are_as_written(tmp_path):
    columns = {
        "id": [1.0, None, 3.0],
        "ra": [10.5, 11.0, 12.0],
        "dec": 0.0,
        "label": [2.0, 2.0, None],
    }
    pd.DataFrame(columns).to_parquet(tmp_path / "t.parquet")
    table, rejections = read_positions(tmp_path / "t.parquet")
    assert list(table["id"]) == ["1", "3"] and list(table["label"]) == ["2", ""]
    assert [(line["row"], line["reason"][:15]) for line in rejections] == [("3", "the id is empty")]


def test_a_table_without_positions_says_what_it_needs(survey, tmp_path):
    with pytest.raises(DataError, match="no column 'dec', 'ra'"):
        run(survey, tmp_path, ["a,b"], "id,x")
    with pytest.raises(DataError, match="no cutout can be used.*line 2.*0 and 360"):
        run(survey, tmp_path, ["a,400,0"], "id,ra,dec")


def test_a_frame_of_another_size_or_other_bands_is_refused(survey, tmp_path):
    survey.answers = {
        1.0: [flux_at(1.0, 0.0, 8)],
        2.0: [as_fits(flux_at(2.0, 0.0), 2.0, 0.0, "gri")],
    }
    with service_of(survey, tmp_path) as service:
        for ra in (1.0, 2.0):
            with pytest.raises(RefusedError, match="asked for 'grz', 16 x 16"):
                service.cutout(ra, 0.0, 16)
    assert len(survey.asked) == 2  # asking again would change nothing


def test_frames_of_another_place_or_scale_do_not_count(survey, tmp_path):
    pixel = 0.262 / 3600
    cube = flux_at(1.0, 60.0)
    survey.answers = {
        1.0: [as_fits(cube, 1.0 + 2.2 * pixel, 60.0)],  # 1.1 pixels on the sky
        2.0: [as_fits(cube, 3.0, 60.0), as_fits(cube, 2.0, 60.0 - 1.1 * pixel)],
        0.0: [as_fits(flux_at(0.0, 60.0), 360 - 1.8 * pixel, 60.0)],  # 0.9 pixels, over 0 h
        4.0: [as_fits(cube, 4.0, 60.0, scale_arcsec=0.3)],
        5.0: [fits_without_place(cube)],
    }
    with service_of(survey, tmp_path) as service:
        results = list(service.cutouts([(float(ra), 60.0) for ra in range(6)], 16))
    for ra in range(4):
        np.testing.assert_allclose(results[ra].mean(axis=(1, 2))[:2], [ra, 60.0], atol=1e-3)
    assert "pixels of 0.3 arcsec, asked for 0.262" in str(results[4])
    assert "does not say where on the sky" in str(results[5])
    assert survey.n_requests == {0.0: 1, 1.0: 2, 2.0: 3, 3.0: 1, 4.0: 1, 5.0: 1}


def fits_without_place(cube):
    buffer = io.BytesIO()
    fits.PrimaryHDU(cube, fits.Header({"BANDS": "grz"})).writeto(buffer)
    return buffer.getvalue()


def test_what_was_refused_is_not_asked_for_again(survey, tmp_path):
    survey.answers = {1.0: [404], 2.0: [500] * 4, 3.0: [np.zeros((3, 16, 16))]}
    positions = [(float(ra), 0.0) for ra in range(5)]
    with service_of(survey, tmp_path) as service:
        first = list(service.cutouts(positions, 16))
        journal = service.journal(16).path
    assert states(journal) == {"stored": 2, "refused": 2, "again": 1}
    asked = survey.n_requests
    with journal.open("a", encoding="utf-8") as file:
        file.write('["0.000000_+0.000000", "refu')  # cut short by a kill
    with service_of(survey, tmp_path) as service:
        again = list(service.cutouts(positions, 16))
    assert survey.n_requests == asked + Counter({2.0: 1})
    assert str(again[1]) == str(first[1]) and "no data" in str(again[3])
    assert states(journal) == {"stored": 3, "refused": 2}
    mirror = Journal(journal, "https://mirror.example")
    mirror.close()
    assert mirror.refusal("1.000000_+0.000000") is None


def test_a_cutout_kept_just_before_a_kill_is_written_down_by_the_next_run(survey, tmp_path):
    places = [(1.0, 0.0), (2.0, 0.0), (3.0, 0.0)]
    survey.answers = {2.0: [500] * 4}
    with service_of(survey, tmp_path) as service:
        list(service.cutouts(places, 16))
        # Killed between the file and its line: of one nothing is known, of the other "again".
        kept = service.cached(*places[1], 16)
        kept.parent.mkdir(exist_ok=True)
        kept.write_bytes(as_fits(flux_at(*places[1]), *places[1]))
    journal = next(tmp_path.rglob("journal.jsonl"))
    lines = [line for line in journal.read_text().splitlines() if "1.000000_" not in line]
    journal.write_text("\n".join(lines) + "\n")
    assert states(journal) == {"stored": 1, "again": 1}
    for _ in range(2):
        with service_of(survey, tmp_path) as service:
            list(service.cutouts(places, 16))
        assert states(journal) == {"stored": 3}
    assert len(journal.read_text().splitlines()) == len(lines) + 2


def test_one_may_ask_ones_own_mirror_as_fast_as_it_answers():
    mirror = Service(base_url="http://127.0.0.1:8000/cutout", requests_per_second=500, n_workers=64)
    assert mirror.requests_per_second == 500
    for key, value in (("requests_per_second", 21), ("n_workers", 17)):
        for host in ("www.legacysurvey.org", "legacysurvey.org"):
            section = {"base_url": f"https://{host}/viewer", key: value}
            config = {"run": "x", "datasets": {"a": {"source": "mock"}}, "legacysurvey": section}
            with pytest.raises(ConfigError, match=rf"legacysurvey\.{key}: {value} is above"):
                check_config(config)


def test_a_download_that_does_not_fit_on_the_disk_is_not_begun(survey, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=20_000))
    with pytest.raises(DataError, match=r"3 cutouts of 16 pixels need 3.* GB, and 2e-05 GB"):
        table = table_of(tmp_path, ["a,1,0", "b,2,0", "c,3,0"], "id,ra,dec")
        download(table, tmp_path / "c.h5", tmp_path / "r.csv", tmp_path / "cache",
                 quick_service(survey.url), 16)  # fmt: skip
    assert survey.asked == []


def test_a_large_table_is_stored_shard_by_shard(survey, tmp_path):
    rows = [f"g{ra},{ra},1.5" for ra in range(11)]
    table = table_of(tmp_path, rows, "id,ra,dec")
    survey.answers = {4.0: [404], 9.0: [404], 10.0: [404]}
    one, many = tmp_path / "one", tmp_path / "many"
    out = (one / "c.h5", one / "r.csv", tmp_path / "cache1")
    download(table, *out, quick_service(survey.url), 16)
    survey.answers = {4.0: [404], 6.0: [500] * 99, 7.0: [500] * 99, 9.0: [404], 10.0: [404]}
    out = (many / "c.h5", many / "r.csv", tmp_path / "cache2")
    settings = quick_service(survey.url, shard_galaxies=3, n_tries=2, n_workers=1)
    with pytest.raises(ServiceError, match="got no answer"):
        download(table, *out, settings, 16)
    done = sorted(path.name[13:] for path in (many / "shards").iterdir())
    assert done == ["000_cutouts.h5", "000_rejected.csv", "001_cutouts.h5", "001_rejected.csv"]
    kept = {path.name[:1] for path in (tmp_path / "cache2").rglob("*.fits")}
    assert kept <= {"8"}  # complete shards have left the cache
    survey.answers = {9.0: [404], 10.0: [404]}
    before = survey.n_requests
    download(table, *out, settings, 16)
    news = survey.n_requests - before
    assert set(news) <= {6.0, 7.0, 8.0, 9.0, 10.0} and set(news.values()) == {1}
    assert (one / "r.csv").read_text() == (many / "r.csv").read_text()
    with CutoutStore(one / "c.h5") as whole, CutoutStore(many / "c.h5") as parts:
        np.testing.assert_array_equal(whole.images[:], parts.images[:])
        pd.testing.assert_frame_equal(whole.catalogue(), parts.catalogue())
    old = {path.name for path in (many / "shards").iterdir()}
    table_of(tmp_path, rows[:9], "id,ra,dec")
    download(table, *out, settings, 16)
    assert not old & {path.name for path in (many / "shards").iterdir()}


def test_without_a_network_the_download_stops_and_says_so(tmp_path):
    tries = []

    def no_network(request):
        tries.append(request)
        raise httpx.ConnectError("name or service not known")

    settings = quick_service("http://survey.invalid/cutout", n_tries=2)
    positions = [(float(ra), 0.0) for ra in range(200)]
    with CutoutService(settings, tmp_path, httpx.MockTransport(no_network)) as service:
        with pytest.raises(UnreachableError, match="Check the network.*source mock"):
            list(service.cutouts(positions, 16))
    assert len(tries) < 2 * 4 * 6


def test_a_service_that_fails_for_too_many_stops_the_download(survey, tmp_path):
    survey.answers = {float(ra): [500] * 9 for ra in range(2, 40)}
    positions = [(float(ra), 0.0) for ra in range(40)]
    with service_of(survey, tmp_path, n_tries=2) as service:
        stream = service.cutouts(positions, 16)
        with pytest.raises(ServiceError, match="what was fetched is kept"):
            list(stream)
        assert service.cached(0.0, 0.0, 16).exists()


def test_one_cutout_needs_no_cache(survey):
    with httpx.Client() as client:
        cube = fetch_cutout(client, 3.0, 1.0, 24, quick_service(survey.url))
    assert cube.shape == (3, 24, 24)


FAULTS = {  # share of the positions, and what the service does before it serves one
    "error": (0.05, lambda ra: 500),
    "dropped": (0.05, lambda ra: None),
    "cut": (0.03, lambda ra: as_fits(flux_at(ra, 1.5), ra, 1.5)[:3000]),
    "page": (0.02, lambda ra: b"<html>busy</html>"),
    "pause": (0.02, lambda ra: (429, {"Retry-After": "0"})),
    "elsewhere": (0.01, lambda ra: as_fits(flux_at(ra, 1.5), ra, 1.6)),
}
NOTHING = {"size": lambda ra: flux_at(ra, 1.5, 8), "outside": lambda ra: np.zeros((3, 16, 16))}


def with_faults(n):
    """Return answers of positions 0 to n - 1: faults that pass, and what never becomes good."""
    order = np.random.default_rng(0).permutation(n).tolist()
    answers, refused = {}, []
    for share, fault in FAULTS.values():
        for _ in range(round(share * n)):
            ra = float(order.pop())
            answers[ra] = [fault(ra)]
    for nothing in NOTHING.values():
        for _ in range(n // 100):
            ra = float(order.pop())
            answers[ra] = [nothing(ra)] * 9
            refused.append(ra)
    return answers, refused


def test_a_download_with_faults_kills_and_a_full_disk_comes_out_as_an_undisturbed_one(
    survey, tmp_path
):
    n, workers, kills = 200, 2, (25, 60, 95, 130, 165)
    table = table_of(tmp_path, [f"g{ra},{ra},1.5" for ra in range(n)], "id,ra,dec")
    answers, refused = with_faults(n)
    survey.answers = {ra: list(answers[ra]) for ra in refused}
    whole, killed, cache = tmp_path / "whole", tmp_path / "killed", tmp_path / "cache2"
    settings = quick_service(survey.url, n_workers=workers)
    download(table, whole / "c.h5", whole / "r.csv", tmp_path / "cache1", settings, 16)

    survey.asked.clear()
    survey.answers, survey.delay_s = answers, 0.005
    settings = Service(base_url=survey.url, requests_per_second=100, n_workers=workers,
                       shard_galaxies=60, first_wait_s=0.01, n_tries=4, timeout_s=60.0)  # fmt: skip
    outputs = [str(killed / "c.h5"), str(killed / "r.csv"), str(cache)]
    code = "import json, sys\nfrom download_cutouts import Service, main\n"
    code += "main(*sys.argv[1:5], Service(**json.loads(sys.argv[5])), 16)"
    given = [str(table), *outputs, settings.model_dump_json()]
    command = [sys.executable, "-c", code, *given]
    # Files of a few kilobytes at most: the disk is full for a cutout.
    full = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n" + code
    folder = Path(__file__).parents[2] / "scripts"
    stopped = subprocess.run([sys.executable, "-c", full, *given], cwd=folder,
                             capture_output=True, text=True)  # fmt: skip
    assert stopped.returncode == 1 and "make room on the disk" in stopped.stderr
    assert not list(cache.rglob("*.fits"))
    for n_stored in kills:
        process = subprocess.Popen(command, cwd=folder)
        deadline = time.monotonic() + 120
        while survey.n_positions < n_stored and time.monotonic() < deadline:
            time.sleep(0.002)
        assert process.poll() is None
        process.kill()
        process.wait()
    subprocess.run(command, cwd=folder, check=True)

    names = [path.name for root in (killed, cache) for path in root.rglob("*") if path.is_file()]
    assert not [name for name in names if name.startswith(".") or name.endswith(".fits")]
    assert states(next(cache.rglob("journal.jsonl"))) == {
        "stored": n - len(refused), "refused": len(refused),
    }  # fmt: skip
    assert (whole / "r.csv").read_text() == (killed / "r.csv").read_text()
    with CutoutStore(whole / "c.h5") as first, CutoutStore(killed / "c.h5") as second:
        np.testing.assert_array_equal(first.images[:], second.images[:])
        pd.testing.assert_frame_equal(first.catalogue(), second.catalogue())
    # Whoever was stored is left alone: a kill loses what is under way, the full disk what it got.
    again = sum(count - 1 for ra, count in survey.n_requests.items())
    passing = sum(round(share * n) for share, _ in FAULTS.values())
    assert passing <= again <= passing + len(kills) * 2 * workers + 6 * workers
