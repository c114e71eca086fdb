"""A cutout service on this machine, that does wrong what it is told to; and what a table gives."""

import io
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

import numpy as np
import pandas as pd
from astropy.io import fits
from download_cutouts import main as download
from galaxy_lvm.core.config.survey import Service
from galaxy_lvm.survey.legacysurvey import CutoutService
from galaxy_lvm.survey.store import CutoutStore

QUICK = {"first_wait_s": 0.01, "n_tries": 4, "timeout_s": 5.0}


def quick_service(url, requests_per_second=500.0, **settings):
    """Settings with a rate beyond what a config may ask of a public service."""
    service = Service(base_url=url, **{**QUICK, **settings})
    return service.model_copy(update={"requests_per_second": requests_per_second})


def flux_at(ra, dec, side=16, n_bands=3):
    """A cube that tells the position it was asked for."""
    cube = np.random.default_rng(1).normal(0, 1e-3, (3, side, side)).astype(np.float32)
    return (cube + np.array([ra, dec, 1.0], np.float32)[:, None, None])[:n_bands]


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
    a status, a status with headers, bytes, or an array in place of the usual cube. `bands` are
    those that it has, whatever it is asked for; None gives what is asked for."""

    def __init__(self):
        self.asked, self.answers, self.times, self.delay_s = [], {}, [], 0.0
        self.bands = None
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
        bands = self.bands or query["bands"]
        usual = flux_at(ra, dec, int(query["size"]), len(bands))
        answer = waiting.pop(0) if waiting else usual
        status, headers = (answer, {}) if isinstance(answer, int) else (200, {})
        if isinstance(answer, tuple):
            status, headers = answer
        body = answer if isinstance(answer, bytes) else b""
        if isinstance(answer, np.ndarray):
            body = as_fits(answer, ra, dec, bands, float(query["pixscale"]))
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


def served(monkeypatch):
    """Serve while a test runs; `survey = pytest.fixture(served)` in a module of tests."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    survey = Survey()
    yield survey
    survey.server.shutdown()
    survey.server.server_close()
