"""The picture of the page in README: simulated galaxies, a round half labelled by their truth.

PYTHONPATH=scripts:tests:tests/browser python tests/browser/take_picture.py FILE.png [--run FOLDER]
"""

import argparse
import tempfile
from pathlib import Path

from conftest import Page, Server
from galaxy_lvm.ui.workplace import open_run
from made_run import make_run
from PIL import Image
from selenium.webdriver.common.keys import Keys

N_COLOURS = 256


def main(picture: Path, run: Path | None = None) -> None:
    """Label a round and a half, and save what the browser shows."""
    with tempfile.TemporaryDirectory() as folder:
        run = run or make_run(Path(folder), n_galaxies=140)
        place = open_run(str(run), "spiral")
        truth = dict(zip(place.catalogue["id"], place.truth, strict=True))
        server = Server(run, Path(folder) / "labels.sqlite", per_round=12)
        page = Page(server, Path(folder))
        try:
            page.sign_in("Ada", n_tiles=12)
            label(page, truth, 12)
            number = page.state("state.round")
            page.press(Keys.ENTER)
            page.until(lambda: page.state("state.round") == number + 1)
            label(page, truth, 7)
            page.until(lambda: page.state("refresh().then(() => !state.fitting)"))
            page.driver.save_screenshot(str(picture))
        finally:
            page.driver.quit()
            server.kill()
    # A palette: photographs of noise do not pack, and README is read over slow lines too.
    Image.open(picture).convert("RGB").quantize(N_COLOURS).save(picture, optimize=True)


def label(page: Page, truth: dict[str, bool], n: int) -> None:
    """Label the first n galaxies of the round as they are."""
    for name in page.ids()[:n]:
        page.press("y" if truth[name] else "n")
    page.until_kept()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--run", type=Path)
    arguments = parser.parse_args()
    main(arguments.picture, arguments.run)
