"""A real browser and a real server, which tests may kill."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from made_run import make_run
from selenium import webdriver
from selenium.common.exceptions import (
    ElementClickInterceptedException,
    ElementNotInteractableException,
    NoSuchElementException,
    StaleElementReferenceException,
)
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

ROOT = Path(__file__).parents[2]
# Two slow cores that others use as well.
PATIENCE_S = 180
# The page makes tiles anew at any moment: what was found may be gone, covered or not there yet.
NOT_YET = (
    StaleElementReferenceException, ElementNotInteractableException,
    ElementClickInterceptedException, NoSuchElementException,
)  # fmt: skip
BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")


def pytest_collection_modifyitems(items):
    """Without a browser the tests wait, with a reason; on CI they fail."""
    if BROWSER and DRIVER or os.environ.get("CI"):
        return
    reason = "no chromium and chromedriver (Debian: chromium, chromium-driver); make test installs"
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("results"), n_galaxies=120)


class Server:
    """The page, started as a user does it."""

    def __init__(self, run: Path, store: Path, per_round: int = 4) -> None:
        self.per_round = per_round
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.run, self.store, self.process = run, store, None
        self.start()

    def start(self) -> None:
        options = ["--run", self.run, "--target", "spiral", "--store", self.store]
        options += ["--per-round", self.per_round, "--port", self.port, "--no-browser"]
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-m", "galaxy_lvm.ui", *map(str, options)],
            stdout=subprocess.PIPE, text=True, cwd=self.store.parent,
            env={**os.environ, "PYTHONPATH": str(ROOT / "scripts"), "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        self.address = re.search(r"http://\S+", self.process.stdout.readline())[0]

    @property
    def base(self) -> str:
        return self.address.split("/login")[0]

    @property
    def token(self) -> str:
        return self.address.split("token=")[1]

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture(scope="session")
def server(run, tmp_path_factory):
    made = Server(run, tmp_path_factory.mktemp("labels") / "labels.sqlite")
    yield made
    made.kill()


class Page:
    """One browser on the page."""

    def __init__(self, server: Server, folder: Path) -> None:
        assert BROWSER and DRIVER, "chromium and chromedriver are missing"
        options = webdriver.ChromeOptions()
        options.binary_location = BROWSER
        flags = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")
        for flag in (*flags, "--window-size=1280,900", "--hide-scrollbars"):
            options.add_argument(flag)
        options.add_experimental_option("prefs", {"download.default_directory": str(folder)})
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        service = webdriver.ChromeService(DRIVER)
        self.server, self.driver = server, webdriver.Chrome(options=options, service=service)

    def sign_in(self, name: str, n_tiles: int = 4) -> "Page":
        """Come in as an annotator with no round yet, and with examples where none are there."""
        # The page that is open asks for news every few seconds: it is left before it is signed out.
        self.driver.get(f"{self.server.base}/login")
        self.driver.delete_all_cookies()
        self.driver.get(f"{self.server.base}/login")
        self.one("#token").send_keys(self.server.token)
        self.one("#name").clear()
        self.one("#name").send_keys(name)
        self.push("form button")
        self.until(lambda: self.state("typeof state === 'object' && 'n_pool' in state"))
        if self.state("state.n_positive") == 0:
            self.go("begin")
            self.push("#by-class button")
            self.until(lambda: "labelled positive" in self.one("#told").text)
            self.go("round")
        self.until(lambda: len(self.tiles()) == n_tiles)
        return self

    def one(self, css):
        return self.driver.find_element(By.CSS_SELECTOR, css)

    def state(self, expression):
        return self.driver.execute_script(f"return {expression}")

    def tiles(self, grid="round"):
        return self.driver.find_elements(By.CSS_SELECTOR, f"#grid-{grid} .tile")

    def click(self, name, grid="round"):
        """Click on a galaxy's tile."""
        self.push(f'#grid-{grid} .tile[data-id="{name}"] .face')

    def push(self, css):
        """Click on what the page shows, on the one made anew where it was replaced just now."""
        self.until(lambda: self.one(css).click() or True)

    def text(self, name, grid="round"):
        """Return what stands on a galaxy's tile, in one call."""
        return self.state(
            f"""document.querySelector('#grid-{grid} [data-id="{name}"]').textContent"""
        )

    def values(self, grid="round"):
        return self._of_tiles(grid, "value")

    def kept(self):
        return self._of_tiles("round", "kept")

    def _of_tiles(self, grid, name):
        # In one call: tiles may be made anew at any moment.
        script = (
            "return [...document.querySelectorAll(arguments[0])]"
            ".map((tile) => tile.dataset[arguments[1]] || '')"
        )
        return self.driver.execute_script(script, f"#grid-{grid} .tile", name)

    def ids(self, grid="round"):
        return self.state(f"grids.{grid}.map((tile) => tile.galaxy.id)")

    def go(self, part):
        self.push(f'nav button[data-part="{part}"]')
        self.until(lambda: self.one(f"#part-{part}").is_displayed())

    def press(self, *keys):
        for key in keys:
            ActionChains(self.driver, duration=20).send_keys(key).perform()

    def until(self, condition):
        waiting = WebDriverWait(self.driver, PATIENCE_S, 0.05, ignored_exceptions=NOT_YET)
        return waiting.until(lambda _: condition())

    def until_kept(self):
        """Wait until the page says that all labels of the round are on disk."""
        self.until(lambda: self.state("queue.length === 0 && !saving"))
        assert self.one("#saved").text in ("all labels are on disk",) or "taken back" in (
            self.one("#saved").text
        )


@pytest.fixture(scope="session")
def browsers(server, tmp_path_factory):
    """Return browsers as they are asked for, and close them at the end."""
    made = []

    def get(number: int) -> Page:
        while len(made) <= number:
            made.append(Page(server, tmp_path_factory.mktemp("downloads")))
        return made[number]

    yield get
    for page in made:
        page.driver.quit()


@pytest.fixture
def page(browsers):
    return browsers(0)
