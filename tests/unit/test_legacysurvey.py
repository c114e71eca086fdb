"""The cutout service: what is asked for, what is asked for again, kept, refused, given up."""

import io
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

import httpx
import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from download_cutouts import main as download
from galaxy_lvm.data.legacysurvey import CutoutService, fetch_cutout
from galaxy_lvm.data.remote import (
    RefusedError,
    ServiceError,
    ServiceSettings,
    UnreachableError,
)
from galaxy_lvm.data.store import CutoutStore
from galaxy_lvm.errors import ConfigError, DataError

QUICK = {"requests_per_second": 500.0, "first_wait_s": 0.01, "n_tries": 4, "timeout_s": 5.0}


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
        self.asked, self.answers, self.times = [], {}, []
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
    return CutoutService(ServiceSettings(survey.url, **{**QUICK, **settings}), folder / "cache")


def table_of(folder, rows, header="id,ra,dec,label,redshift"):
    path = folder / "positions.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def run(survey, folder, rows, header="id,ra,dec,label,redshift", **settings):
    """Run the script; return the store's images, its catalogue and the rejections."""
    cutouts, rejected = folder / "out" / "c.h5", folder / "out" / "r.csv"
    settings = {"base_url": survey.url, **QUICK, **settings}
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
    survey.answers[5.0] = [b"<html>no such layer</html>"]
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

    settings = ServiceSettings("http://survey.invalid/cutout", **{**QUICK, "n_tries": 2})
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


def test_impossible_settings_name_their_key():
    with pytest.raises(ConfigError, match="legacysurvey.base_url"):
        ServiceSettings("ftp://somewhere")
    with pytest.raises(ConfigError, match="legacysurvey.n_workers"):
        ServiceSettings("http://somewhere", n_workers=0)


def test_one_cutout_needs_no_cache(survey):
    with httpx.Client() as client:
        cube = fetch_cutout(client, 3.0, 1.0, 24, ServiceSettings(survey.url, **QUICK))
    assert cube.shape == (3, 24, 24)
