"""The cutout service: what is asked for, what is asked for again, kept, refused, given up."""

import io
import subprocess
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import httpx
import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from download_cutouts import main as download
from galaxy_lvm.core.config.survey import Service
from galaxy_lvm.core.errors import DataError
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


def as_fits(cube, bands="grz"):
    buffer = io.BytesIO()
    header = fits.Header({"BANDS": bands, "CRVAL1": 0.0, "CRVAL2": 0.0})
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
        answer = waiting.pop(0) if waiting else flux_at(ra, dec, int(query["size"]))
        status, headers = (answer, {}) if isinstance(answer, int) else (200, {})
        if isinstance(answer, tuple):
            status, headers = answer
        body = answer if isinstance(answer, bytes) else b""
        body = as_fits(answer) if isinstance(answer, np.ndarray) else body
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)

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
    cut_short = as_fits(flux_at(2.0, 0.0))[:4000]
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
    survey.answers = {1.0: [flux_at(1.0, 0.0, 8)], 2.0: [as_fits(flux_at(2.0, 0.0), "gri")]}
    with service_of(survey, tmp_path) as service:
        for ra in (1.0, 2.0):
            with pytest.raises(RefusedError, match="asked for 'grz', 16 x 16"):
                service.cutout(ra, 0.0, 16)
    assert len(survey.asked) == 2  # asking again would change nothing


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


def test_a_download_that_is_killed_thrice_comes_out_as_an_undisturbed_one(survey, tmp_path):
    n, rng = 150, np.random.default_rng(0)
    faults = [500, 503, (429, {"Retry-After": "0"}), as_fits(flux_at(0.0, 0.0))[:3000]]
    survey.delay_s = 0.005
    table = table_of(tmp_path, [f"g{ra},{ra},1.5" for ra in range(n)], "id,ra,dec")
    settings = Service(base_url=survey.url, **{**QUICK, "n_workers": 2})
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    download(table, whole / "c.h5", whole / "r.csv", tmp_path / "cache1", settings, 16)
    survey.answers = {
        float(ra): [faults[rng.integers(4)]] for ra in range(n) if rng.uniform() < 0.17
    }
    n_faults = len(survey.answers)
    arguments = [str(table), str(killed / "c.h5"), str(killed / "r.csv"), str(tmp_path / "cache2")]
    code = "import json, sys\nfrom download_cutouts import Service, main\n"
    code += "main(*sys.argv[1:5], Service.model_construct(**json.loads(sys.argv[5])), 16)"
    command = [sys.executable, "-c", code, *arguments, settings.model_dump_json()]
    for n_asked in (30, 60, 90):
        process = subprocess.Popen(command, cwd=Path(__file__).parents[2] / "scripts")
        deadline = time.monotonic() + 60
        while len(survey.asked) < n + n_asked and time.monotonic() < deadline:
            time.sleep(0.002)
        assert process.poll() is None and len(survey.asked) < 2 * n
        process.kill()
        process.wait()
        assert [name.suffix for name in killed.iterdir()] == [".h5"]  # the unfinished store
    subprocess.run(command, cwd=Path(__file__).parents[2] / "scripts", check=True)
    assert sorted(path.name for path in killed.iterdir()) == ["c.h5", "r.csv"]
    leftover = [path for path in (tmp_path / "cache2").rglob("*") if path.name.startswith(".")]
    assert not leftover and 15 <= n_faults <= 40 and not any(survey.answers.values())
    with CutoutStore(whole / "c.h5") as first, CutoutStore(killed / "c.h5") as second:
        np.testing.assert_array_equal(first.images[:], second.images[:])
        pd.testing.assert_frame_equal(first.catalogue(), second.catalogue())
    assert len(survey.asked) <= 2 * n + n_faults + 3 * 2  # a kill loses what is under way
