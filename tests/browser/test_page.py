"""The labelling page in a real browser: keys, mouse, what is never lost, and how it looks."""

import sqlite3
from importlib.util import find_spec
from pathlib import Path

import pytest
from galaxy_lvm.core.config.survey import Folder
from galaxy_lvm.core.tables import load_table
from galaxy_lvm.survey.folder import import_images
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

PARTS = ("round", "gallery", "progress", "begin", "export")


def stored(server, annotator):
    """Return (id, value) of every row an annotator's labels ever had, and what was taken back."""
    with sqlite3.connect(server.store) as db:
        rows = db.execute(
            "SELECT id, value FROM labels WHERE annotator = ? ORDER BY number", (annotator,)
        ).fetchall()
    db.close()
    return [row for row in rows if row[1]], [row[0] for row in rows if not row[1]]


def next_round(page, *keys):
    number = page.state("state.round")
    page.press(*keys)
    page.until(lambda: page.state("state.round") == number + 1 and len(page.tiles()) == 4)


def test_three_rounds_by_keyboard(server, page):
    page.sign_in("keys")
    expected = []
    for _ in range(3):
        ids = page.ids()
        page.press("1", "2", "2", "3", "3", "3")  # once positive, twice negative, thrice unsure
        page.press(Keys.END)
        page.press(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, "y")
        page.until_kept()
        assert page.values() == ["positive", "negative", "unsure", "positive"]
        assert page.kept() == ["yes"] * 4
        expected += zip(ids, page.values(), strict=True)
        next_round(page, Keys.ENTER)
    current = dict(stored(server, "keys")[0])
    for name, value in expected:
        assert current[name] == value


def test_a_round_by_mouse_and_an_undo(server, page):
    page.sign_in("mouse")
    ids = page.ids()
    for name in ids:
        page.click(name)
    page.until_kept()
    assert page.values() == ["positive"] * 4
    page.push("#undo")
    page.until(lambda: page.values() == ["positive"] * 3 + [""])
    labels, back = stored(server, "mouse")
    assert [name for name, _ in labels if name in ids] == ids and back == ids[3:]
    page.push("#next")
    page.until(lambda: "1 of this round have no label" in page.one("#alarm").text)
    page.push("#rest")
    page.until(lambda: page.state("state.round") == 2)
    assert dict(stored(server, "mouse")[0])[ids[3]] == "negative"


def test_a_reload_in_the_middle_loses_nothing(server, page):
    page.sign_in("reload")
    ids = page.ids()
    page.press("1", "2", "2")
    page.until_kept()
    page.driver.refresh()
    page.until(lambda: len(page.tiles()) == 4)
    assert page.ids() == ids and page.values() == ["positive", "negative", "", ""]
    focused = page.driver.switch_to.active_element.get_attribute("aria-label")
    assert focused == f"3, galaxy {ids[2]}: no label"


def test_a_second_tab_shows_what_the_first_one_kept(server, page):
    page.sign_in("tabs")
    first = page.driver.current_window_handle
    page.driver.switch_to.new_window("tab")
    page.driver.get(server.base)
    page.until(lambda: len(page.tiles()) == 4)
    page.press("1")
    page.until_kept()
    second = page.driver.current_window_handle
    page.driver.switch_to.window(first)
    page.until(lambda: page.values() == ["positive", "", "", ""])
    page.driver.switch_to.window(second)
    page.driver.close()
    page.driver.switch_to.window(first)


def test_a_server_that_is_killed_loses_nothing(server, page):
    page.sign_in("killed")
    ids = page.ids()
    page.press("1")
    page.until_kept()
    server.kill()
    page.press("2", "3", "3")
    page.until(lambda: "kept here" in page.one("#alarm").text)
    assert page.kept() == ["yes", "no", "no", ""] and "3 not saved" in page.one("#saved").text
    page.driver.execute_script("window.stop()")
    server.start()
    page.until_kept()
    assert page.kept() == ["yes", "yes", "yes", ""] and not page.one("#alarm").is_displayed()
    labels, back = stored(server, "killed")
    mine = [row for row in labels if row[0] in ids]
    assert mine == [
        (ids[0], "positive"), (ids[1], "positive"), (ids[2], "positive"), (ids[2], "negative"),
    ] and not back  # fmt: skip
    page.press("4")
    page.until_kept()
    next_round(page, Keys.ENTER)


def test_two_browsers_at_once_get_different_galaxies_and_settle_a_dispute(server, browsers):
    one, two = browsers(0).sign_in("one"), browsers(1).sign_in("two")
    assert not set(one.ids()) & set(two.ids())
    name = one.ids()[0]
    one.press("1")
    one.until_kept()
    two.go("gallery")
    two.until(lambda: name in two.ids("gallery"))
    assert "one: positive" in two.text(name, "gallery")
    for _ in range(2):
        two.click(name, "gallery")
    two.until_kept()
    one.until(lambda: one.one("#disputed").text == "1 disputed")
    one.go("gallery")
    one.one("#filter-value").send_keys("disputed")
    one.until(lambda: one.ids("gallery") == [name])
    one.push(f'#grid-gallery [data-id="{name}"] .settle [data-value="negative"]')
    one.until(lambda: one.ids("gallery") == [])
    assert stored(server, "settled by one")[0] == [(name, "negative")]
    two.go("round")


FIRST_GALLERY_LATE = """
const real = window.fetch;
window.late = 0;
window.fetch = async (...given) => {
  const answer = await real(...given);
  if (String(given[0]).startsWith("/api/gallery") && !window.late) {
    window.late = 1;
    while (window.late < 2) await new Promise((done) => setTimeout(done, 20));
  }
  return answer;
};
"""


def test_at_random_ends_with_the_first_positive(run, server, page, tmp_path):
    page.server = fresh = type(server)(run, tmp_path / "labels.sqlite")
    try:
        page.driver.get(fresh.address)
        page.until(lambda: "so there is nothing to look for" in page.one("#nothing").text)
        shown = {name: page.one(f"#{name}").is_displayed() for name in ("sentence", "next", "rest")}
        assert not any(shown.values()), shown
        page.press(Keys.ENTER)  # does what the first button says
        page.until(lambda: page.one("#part-begin").is_displayed())
        page.go("round")
        page.push("#nothing button:last-of-type")
        page.until(lambda: len(page.tiles()) == 4 and page.one("#next").is_displayed())
        assert page.one("#rule").get_property("value") == "random"
        page.press("1")
        page.until(lambda: page.one("#rule").get_property("value") == "alpha")
        assert "A first galaxy is positive" in page.one("#sentence").text
        page.push("#rest")
        page.until(lambda: page.state("state.round") == 2 and len(page.tiles()) == 4)
        assert page.state("state.asked_by") == "alpha"
        cut = """const name = document.querySelector("#grid-round .name");
            name.querySelector(".start").textContent = "images/a/long/folder/" + "x".repeat(99);
            const end = name.querySelector(".end").getBoundingClientRect();
            return name.closest(".tile").getBoundingClientRect().right - end.right;"""
        assert page.driver.execute_script(cut) > 0  # the score stays on the tile
    finally:
        page.driver.get("about:blank")
        page.server = server
        fresh.kill()


def test_an_answer_that_comes_late_does_not_replace_a_newer_one(page):
    page.sign_in("late")
    page.press("1", "2", "2")
    page.until_kept()
    first, second = page.ids()[:2]
    page.driver.execute_script(FIRST_GALLERY_LATE)
    page.go("gallery")
    page.until(lambda: page.state("late === 1"))
    page.driver.execute_script(
        "const name = document.getElementById('filter-value'); name.value = 'negative';"
        "name.dispatchEvent(new Event('change', { bubbles: true }));"
    )
    page.until(lambda: second in page.ids("gallery"))
    assert first not in page.ids("gallery")
    page.driver.execute_script("window.late = 2")
    page.until(lambda: page.state("new Promise((done) => setTimeout(() => done(true), 200))"))
    assert second in page.ids("gallery") and first not in page.ids("gallery")


def test_a_label_given_while_the_gallery_loads_is_not_undone_on_the_page(page):
    page.sign_in("meanwhile")
    page.press("1")
    page.until_kept()
    name = page.ids()[0]
    page.go("gallery")
    page.until(lambda: name in page.ids("gallery"))
    page.driver.execute_script(FIRST_GALLERY_LATE)
    page.driver.execute_script("showGallery()")
    page.until(lambda: page.state("late === 1"))
    page.click(name, "gallery")
    page.until_kept()
    page.driver.execute_script("window.late = 2")
    page.until(lambda: page.state("new Promise((done) => setTimeout(() => done(true), 200))"))
    page.until(lambda: name in page.ids("gallery"))
    assert dict(zip(page.ids("gallery"), page.values("gallery"), strict=True))[name] == "negative"


def test_the_big_view_draws_the_fluxes(page):
    page.sign_in("view")
    page.press(" ")
    page.until(lambda: page.one("#view-canvas").get_attribute("data-drawn") == "fluxes")
    assert "Legacy Survey" in page.one("#view-about").text
    pictures = {page.state("document.getElementById('view-canvas').toDataURL()")}
    for control, value in (
        ("stretch", "log"),
        ("bands", "2"),
        ("contrast", "1"),
        ("stretch", "linear"),
    ):
        page.driver.execute_script(
            "const c = document.getElementById(arguments[0]); c.value = arguments[1];"
            "c.dispatchEvent(new Event('input'));", control, value,
        )  # fmt: skip
        pictures.add(page.state("document.getElementById('view-canvas').toDataURL()"))
    assert len(pictures) == 5
    page.press("y")  # and on to the next
    page.until(lambda: page.one("#view-title").text == page.ids()[1])
    page.press(Keys.ESCAPE)
    page.until(lambda: page.values()[0] == "positive")


GLANCED = """new Promise(async (done) => {
  for (let i = 0; i < 100; i++) {
    if (!at('glance').hidden && at('glance').dataset.id === '%s') return done(true);
    await wait(50);
  }
  done(false);
})"""


def test_a_mouse_at_rest_sees_the_galaxy_large(page):
    page.sign_in("rest")
    name = page.ids()[1]

    def seen():
        # Away and back: the tile may have been made anew under the mouse.
        for css in ("h1", f'#grid-round [data-id="{name}"] .face'):
            ActionChains(page.driver).move_to_element(page.one(css)).perform()
        return page.state(GLANCED % name)

    page.until(seen)
    drawn = "document.getElementById('glance-canvas')"
    assert page.state(f"{drawn}.width") == 152  # the cutout, not its crop
    page.press("1")
    page.until(lambda: page.state("at('glance').hidden"))
    page.until_kept()
    assert page.values()[0] == "positive"


def test_more_like_it_and_the_next_images_are_there_already(page):
    page.sign_in("like")
    page.press("l")
    page.until(lambda: len(page.tiles("like")) == 30)
    page.press("y")
    page.until_kept()
    assert page.values("like")[0] == "positive"
    page.go("round")
    page.press("1", "2", "3", "4")
    page.until_kept()
    page.until(lambda: not page.state("state.fitting") and page.state("seenImages.size") >= 4)
    loaded = "performance.getEntriesByType('resource').map((e) => new URL(e.name).origin)"
    assert set(page.state(loaded)) == {page.server.base}


def test_what_is_exported_is_read_by_the_folder_source(server, page, tmp_path):
    page.sign_in("export")
    page.press("1", "2", "2", "3", "4")
    page.until_kept()
    page.go("export")
    page.push("#training")
    page.until(lambda: "go on with" in page.one("#trained").text)
    folder = Path(page.one("#trained p").text.split(" images in ")[1].split(" (")[0])
    assert page.one("#trained pre").text.endswith(f"data_dir={folder}")
    table = load_table(folder / "labels.csv")
    rejected = import_images(folder, folder / "labels.csv", tmp_path / "c.h5", Folder())
    assert len(table) >= 4 and not [row for row in rejected if row["row"]]
    assert {"spiral", "not_spiral"} <= set(table["label"])


def check_contrast_and_names(page):
    """Return what axe finds against WCAG 2.1 A and AA."""
    source = Path(find_spec("axe_core_python").origin).with_name("axe.min.js")
    page.driver.execute_script(source.read_text(encoding="utf-8"))
    found = page.driver.execute_async_script(
        "axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice']})"
        ".then(arguments[arguments.length - 1])"
    )
    assert len(found["passes"]) > 10
    return [(rule["id"], [n["html"][:120] for n in rule["nodes"]]) for rule in found["violations"]]


@pytest.mark.parametrize(("width", "height"), [(1280, 900), (3840, 2160), (820, 1180)])
def test_all_parts_are_accessible_and_fit(page, width, height):
    page.driver.set_window_size(width, height)
    page.sign_in(f"looks {width}")
    page.press("1", "2", "2", "3", "3", "3")
    page.until_kept()
    for part in PARTS:
        page.go(part)
        page.until(lambda: page.state("queue.length === 0"))
        assert check_contrast_and_names(page) == [], part
        assert page.state("document.documentElement.scrollWidth <= innerWidth"), part
    page.go("round")
    page.press("?")
    assert page.one("#help").is_displayed() and check_contrast_and_names(page) == []
    page.press(Keys.ESCAPE)
    page.until(lambda: not page.one("#help").is_displayed())
    page.driver.set_window_size(1280, 900)


def test_the_console_is_quiet(page):
    """What is refused on purpose, and a server that was killed, are all that it may tell of."""
    said = [line["message"] for line in page.driver.get_log("browser") if line["level"] == "SEVERE"]
    expected = ("409", "net::ERR_")
    assert [line for line in said if not any(word in line for word in expected)] == []
