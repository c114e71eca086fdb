"""Cutouts per second from a server on this machine that allows any rate, the store included.

Run as `python benchmarks/bench_download.py`; writes benchmarks/results/download.json. The server
has a process of its own and answers with cutouts of noise around the position that was asked for;
the client is the rule download_cutouts. `again` stores the same cutouts from the cache.
"""

import argparse
import io
import json
import multiprocessing
import os
import re
import sys
import tempfile
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlparse

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["NO_PROXY"] = "127.0.0.1"
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

import numpy as np  # noqa: E402
from astropy.io import fits  # noqa: E402
from galaxy_lvm.core.config.survey import Service  # noqa: E402
from galaxy_lvm.survey.legacysurvey import CutoutService  # noqa: E402
from galaxy_lvm.survey.table_cutouts import store_table  # noqa: E402

SIDE_PIX = 152
N_WORKERS = 2  # more share one interpreter: 4 gave a tenth less, 8 an eighth


def template() -> bytes:
    """Return a cutout as the service sends it."""
    header = fits.Header({"BANDS": "grz", "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN"})
    header.update(CRVAL1=0.0, CRVAL2=0.0)
    for axis, sign in ((1, -1), (2, 1)):
        header[f"CRPIX{axis}"] = (SIDE_PIX + 1) / 2
        header[f"CD{axis}_{axis}"] = sign * 0.262 / 3600
    header.update(CD1_2=0.0, CD2_1=0.0)
    for number, band in enumerate("grz"):
        header[f"BAND{number}"] = band
    cube = np.random.default_rng(1).normal(0, 0.02, (3, SIDE_PIX, SIDE_PIX)).astype(np.float32)
    buffer = io.BytesIO()
    fits.PrimaryHDU(cube, header).writeto(buffer)
    return buffer.getvalue()


class Handler(BaseHTTPRequestHandler):
    """Answers with the template, its position set to what was asked for."""

    protocol_version = "HTTP/1.1"
    body = template()

    def do_GET(self) -> None:  # noqa: N802
        """Answer one request."""
        asked, body = parse_qs(urlparse(self.path).query), self.body
        for axis, key in ((1, "ra"), (2, "dec")):
            card = f"CRVAL{axis}  = {float(asked[key][0]):20.6f}".encode()
            body = re.sub(rb"CRVAL%d  = .{20}" % axis, card, body, count=1)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *about: object) -> None:
        """Say nothing."""


def serve(port: multiprocessing.Queue) -> None:
    """Serve until the process is ended; say where."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    port.put(server.server_port)
    server.serve_forever()


def timed(table: Path, folder: Path, settings: Service) -> dict[str, float]:
    """Download a table; return cutouts per second by the clock and of CPU."""
    wall, cpu = time.perf_counter(), time.process_time()
    with CutoutService(settings, folder / "cache") as service:
        rejections = store_table(table, folder / "cutouts.h5", service, SIDE_PIX)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    if rejections:
        raise RuntimeError(f"{len(rejections)} rejected: {rejections[0]}")
    count = sum(1 for _ in table.open()) - 1
    return {"per_s": round(count / wall, 1), "per_cpu_s": round(count / cpu, 1)}


def main(count: int) -> None:
    """Measure and write the results."""
    context = multiprocessing.get_context("spawn")
    port = context.Queue()
    server = context.Process(target=serve, args=(port,), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{port.get(timeout=120)}/viewer/fits-cutout"
    settings = Service(base_url=url, n_workers=N_WORKERS, requests_per_second=1e6)
    with tempfile.TemporaryDirectory() as name:
        rng = np.random.default_rng(2)
        places = zip(rng.uniform(0, 360, count), rng.uniform(-30, 30, count), strict=True)
        lines = [f"g{row},{ra:.6f},{dec:.6f}" for row, (ra, dec) in enumerate(places)]
        table = Path(name) / "positions.csv"
        table.write_text("\n".join(["id,ra,dec", *lines]) + "\n")
        results = {"cutouts": count, "side_pix": SIDE_PIX, "workers": N_WORKERS}
        results["download"] = timed(table, Path(name), settings)
        results["again"] = timed(table, Path(name), settings)
    server.terminate()
    server.join()
    results |= {"cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1)}
    path = ROOT / "benchmarks" / "results" / "download.json"
    path.write_text(json.dumps(results, indent=2) + "\n")
    print(path.read_text())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cutouts", type=int, default=3000)
    main(parser.parse_args().cutouts)
