"""Real lens candidates: fields around them, and how their masks are measured."""

import numpy as np
import pandas as pd
import pytest
from astropy.wcs import WCS
from cutout_server import Survey, quick_service
from galaxy_lvm.core.config.lenses import Candidates, FieldPlan
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.lenses.candidates import inside_fields, plan_fields
from galaxy_lvm.lenses.field_import import Quotas
from galaxy_lvm.lenses.images import from_fluxes
from galaxy_lvm.lenses.mask_scores import box_iou, mask_iou, mask_quality, quality_rows
from galaxy_lvm.lenses.masks import NoMaskError, fluxes_of, measure_mask
from galaxy_lvm.survey.colour import grz_to_rgb
from galaxy_lvm.survey.fields import FieldStore, lens_row, write_fields
from galaxy_lvm.survey.legacysurvey import CutoutService
from galaxy_lvm.survey.positions import sky
from galaxy_lvm.survey.remote import UnreachableError
from import_fields import main as import_fields

SIDE = 96
SIGMA = np.array([0.004, 0.006, 0.015])[:, None, None]


def add_lens(cube, x, y, arc=True):
    """Add a red galaxy at (x, y), pixel edges, and a blue arc; return the arc's pixels."""
    rows, columns = np.indices(cube.shape[1:]) + 0.5
    distance = np.hypot(columns - x, rows - y)
    # Seeing is worse in g than in z.
    for band, (peak, width) in enumerate(((0.04, 2.5), (0.2, 2.45), (0.5, 2.4))):
        cube[band] += peak * np.exp(-0.5 * (distance / width) ** 2)
    angle = np.arctan2(rows - y, columns - x)
    shape = np.exp(-0.5 * ((distance - 8.0) / 1.5) ** 2 - 0.5 * (angle / 0.7) ** 2)
    if arc:
        cube += np.array([0.06, 0.06, 0.07])[:, None, None] * shape
    return shape > 0.15


def noisy(seed=0, side=SIDE):
    return (np.random.default_rng(seed).normal(0, 1, (3, side, side)) * SIGMA).astype(np.float32)


# -------------------------------------------------------------------------------------- masks


@pytest.mark.parametrize("colours", [False, True])
def test_the_mask_of_a_known_arc_is_measured_back(colours):
    cube = noisy()
    truth = add_lens(cube, 40.0, 55.0)
    mask = measure_mask(grz_to_rgb(cube[None])[0] if colours else cube, 41.0, 54.0)
    assert mask_iou(mask, truth) > 0.6
    assert not mask[50:60, 36:41].any()  # not the galaxy


def test_a_red_galaxy_alone_has_no_mask():
    cube = noisy(1)
    add_lens(cube, 48.0, 48.0, arc=False)
    with pytest.raises(NoMaskError, match="no arc of 7 sigma within 4 arcsec"):
        measure_mask(cube, 48.0, 48.0)


def test_an_arc_far_from_the_position_is_none_of_its_own():
    cube = noisy(2)
    add_lens(cube, 25.0, 48.0)
    add_lens(cube, 70.0, 48.0, arc=False)
    assert not measure_mask(cube, 25.0, 48.0)[:, 60:].any()
    with pytest.raises(NoMaskError):
        measure_mask(cube, 70.0, 48.0)


def test_colours_are_turned_back_into_fluxes():
    cube = np.abs(noisy(3)) + 0.01
    back, saturated = fluxes_of(grz_to_rgb(cube[None])[0])
    assert not saturated.any()
    np.testing.assert_allclose(back, cube, atol=0.002, rtol=0.02)


def test_holes_are_filled_and_empty_bands_refused():
    cube = noisy(4)
    add_lens(cube, 48.0, 48.0)
    whole = measure_mask(cube, 48.0, 48.0)
    cube[:, 5:9, 5:9] = np.nan
    assert mask_iou(whole, measure_mask(cube, 48.0, 48.0)) > 0.9
    cube[1] = 0.0
    with pytest.raises(DataError, match="band without any pixel"):
        measure_mask(cube, 48.0, 48.0)
    with pytest.raises(DataError, match="position .120.0, 48.0. in an image of 96 x 96"):
        measure_mask(noisy(), 120.0, 48.0)


def test_boxes_that_share_a_third():
    assert box_iou((0, 0, 2, 2), (1, 0, 3, 2)) == pytest.approx(1 / 3)
    assert box_iou((0, 0, 2, 2), (2, 0, 3, 2)) == 0


def simulated_store(folder, snr=30.0):
    images, lenses = [], []
    for number in range(6):
        cube = noisy(number)
        truth = add_lens(cube, 30.0 + 5 * number, 48.0)
        known = {"arc_snr": snr + number, "einstein_radius_arcsec": 1.8}
        lenses.append(lens_row(number, f"l{number}", truth, **known))
        images.append(grz_to_rgb(cube[None])[0])
    columns = {"id": list("abcdef"), "split": ["train", "train", "val", "test", "test", "test"]}
    write_fields(folder / "fields.h5", np.stack(images), columns, lenses)
    return FieldStore(folder / "fields.h5")


def test_measured_masks_beat_a_disc_on_known_arcs(tmp_path):
    table = mask_quality(simulated_store(tmp_path))
    assert sorted(set(table["split"])) == ["test", "val"] and len(table) == 2 * 4
    mean = table.groupby("model")[["mask_iou", "box_iou"]].mean()
    assert mean.loc["measured", "mask_iou"] > 0.6 > mean.loc["disc", "mask_iou"]
    rows = pd.DataFrame(quality_rows(table, 1))
    test = rows[(rows["condition"] == "test") & (rows["model"] == "measured")]
    assert test.set_index(["task", "metric"])["value"]["mask", "n_lenses"] == 3
    assert set(rows["condition"]) == {"test", "val", "test, S/N 25 to 50", "val, S/N 25 to 50"}


def test_fields_without_known_lenses_cannot_check_masks(tmp_path):
    store = simulated_store(tmp_path)
    store.lenses["arc_snr"] = np.nan
    with pytest.raises(DataError, match="source: mock"):
        mask_quality(store)


# ----------------------------------------------------------------------------------- candidates


def scattered(count=60, seed=3):
    """Candidates over the sky, two of them 8 arcsec apart."""
    rng = np.random.default_rng(seed)
    ra, dec = rng.uniform(0, 360, count), np.degrees(np.arcsin(rng.uniform(-0.9, 0.99, count)))
    ra[1], dec[1] = ra[0], dec[0] + 8 / 3600
    columns = {"id": [f"c{i}" for i in range(count)], "ra": ra, "dec": dec, "grade": "A"}
    return pd.DataFrame({**columns, "table": "t.csv", "row": np.arange(count) + 2, "wanted": True})


def test_lenses_lie_off_centre_inside_their_fields_and_empty_fields_are_empty():
    candidates, settings = scattered(), Candidates(tables=["t.csv"], max_offset=0.6)
    plan = plan_fields(candidates, settings, SIDE, seed=1)
    field, place, x, y = inside_fields(sky(plan), sky(candidates), SIDE)
    own = plan["candidate"].to_numpy()[field] == place
    empty = plan["empty"].to_numpy()
    assert (~empty).sum() == 60 and empty.sum() == 60 and not empty[field].any()
    assert sorted(plan["id"][field[own]]) == sorted(plan["id"][~empty])
    offset = np.abs(np.array([x[own], y[own]]) - SIDE / 2)
    assert offset.max() < 0.6 * SIDE / 2 + 0.1
    assert offset.mean() == pytest.approx(0.3 * SIDE / 2, rel=0.2)  # uniform
    away = sky(plan[empty]).separation(sky(candidates.iloc[plan["candidate"][empty]])).arcsec
    assert away.min() > 90 and away.max() < 300
    pd.testing.assert_frame_equal(plan, plan_fields(candidates, settings, SIDE, seed=1))
    groups = plan.set_index("id")["group"]
    assert groups["lens_c0"] == groups["lens_c1"] and groups.nunique() == len(plan) - 1


def test_places_in_a_field_agree_with_the_wcs_of_the_service():
    candidates = scattered()
    plan = plan_fields(candidates, Candidates(tables=["t.csv"]), SIDE, seed=2)
    for f, place, x, y in list(zip(*inside_fields(sky(plan), sky(candidates), SIDE), strict=True)):
        wcs = frame_wcs(plan["ra"][f], plan["dec"][f], SIDE)
        pixel = wcs.wcs_world2pix([candidates.loc[place, ["ra", "dec"]].to_numpy(float)], 0)[0]
        np.testing.assert_allclose(pixel + 0.5, (x, y), atol=0.01)


def test_splits_fill_together_and_only_as_far_as_wanted():
    quotas = Quotas({"train": 10, "val": 2, "test": 4}, empty_share=0.5)
    taken = []
    while (split := quotas.neediest(False)) is not None:
        assert quotas.take(split, False)
        taken.append(split)
    assert set(taken[:3]) == {"train", "val", "test"}  # none waits for the others
    assert pd.Series(taken).value_counts().to_dict() == {"train": 5, "test": 2, "val": 1}
    assert not quotas.take("train", False) and quotas.room(True) == 8


# --------------------------------------------------------------------------------------- import


def frame_wcs(ra, dec, side):
    """The WCS that the cutout service writes: TAN, north up, its centre in the middle."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval = ["RA---TAN", "DEC--TAN"], [float(ra), float(dec)]
    wcs.wcs.crpix, wcs.wcs.cdelt = [side / 2 + 0.5] * 2, [-0.262 / 3600, 0.262 / 3600]
    return wcs


class LensSky(Survey):
    """A survey whose sky holds lenses at given positions, and no data south of -30 degrees."""

    def __init__(self, candidates):
        super().__init__()
        self.finish = lambda cube: cube
        self.candidates = candidates[["ra", "dec"]].to_numpy(float)
        self.tables, self.n_tables = {}, {}

    def answer(self, request):
        if "?" not in request.path:
            self.n_tables[request.path] = self.n_tables.get(request.path, 0) + 1
            request.send_response(200 if request.path in self.tables else 404)
            request.end_headers()
            request.wfile.write(self.tables.get(request.path, b""))
            return
        query = dict(part.split("=") for part in request.path.split("?")[1].split("&"))
        ra, dec, side = float(query["ra"]), float(query["dec"]), int(query["size"])
        cube = noisy(int(1e4 * ra), side)
        near = np.abs(self.candidates - [ra, dec]).max(axis=1) < 0.1
        for position in self.candidates[near]:
            x, y = frame_wcs(ra, dec, side).wcs_world2pix([position], 0)[0] + 0.5
            add_lens(cube, x, y)
        self.answers[ra] = [np.zeros_like(cube) if dec < -30 else self.finish(cube)]
        super().answer(request)


def run_import(survey, folder, candidates, **fields):
    table = folder / "candidates.csv"
    candidates[["id", "ra", "dec", "grade"]].to_csv(table, index=False)
    counts = {"n_train": 6, "n_val": 2, "n_test": 4, "empty_share": 0.5, **fields}
    fields = FieldPlan(side_pix=SIDE, **counts)
    settings = Candidates(tables=[str(table)]).model_dump()
    service = quick_service(survey.url)
    path, rejected = folder / "fields.h5", folder / "rejected.csv"
    import_fields(path, rejected, folder / "cache", fields, settings, service, seed=1)
    return FieldStore(path), pd.read_csv(rejected, keep_default_na=False)


def test_fields_of_a_survey_are_imported(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    candidates = scattered(40)
    survey = LensSky(candidates)
    store, rejected = run_import(survey, tmp_path, candidates)
    counts = store.columns.groupby(["split", store.columns["n_lenses"] == 0]).size()
    assert counts.to_dict() == {
        **{("train", False): 3, ("train", True): 3, ("val", False): 1, ("val", True): 1},
        **{("test", False): 2, ("test", True): 2},
    }
    assert (store.columns["dec"] > -30.1).all() and len(rejected)
    assert rejected["reason"].str.contains("outside the survey's footprint").all()
    known = candidates.set_index("id")
    for lens in store.lenses.itertuples():
        frame = store.columns.iloc[lens.field]
        where = known.loc[lens.id, ["ra", "dec"]].to_numpy(float)
        x, y = frame_wcs(frame["ra"], frame["dec"], SIDE).wcs_world2pix([where], 0)[0] + 0.5
        # The arc lies eight pixels to the right of its galaxy.
        centre = np.array([lens.x_min_pix + lens.x_max_pix, lens.y_min_pix + lens.y_max_pix]) / 2
        np.testing.assert_allclose(centre, [x + 6.0, y], atol=3.5)
        assert lens.grade == "A"
    asked = len(survey.asked)
    again = run_import(survey, tmp_path, candidates)[0]
    assert len(survey.asked) == asked  # everything came from the cache
    np.testing.assert_array_equal(again.images(range(12)), store.images(range(12)))
    survey.server.shutdown()
    survey.server.server_close()


def test_holes_are_filled_as_in_the_search(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    candidates = scattered(40)
    survey = LensSky(candidates)

    def with_hole(cube):
        cube[:, 2:16, 2:16] += 0.3
        cube[0, 7:10, 7:10], cube[2, 8, 8] = 0.0, np.nan
        return cube

    survey.finish = with_hole
    store, _ = run_import(survey, tmp_path, candidates)
    images = store.images(range(12)).astype(int)
    around = images[:, 5:7, 5:13].mean(axis=(1, 2))
    np.testing.assert_allclose(images[:, 7:10, 7:10].mean(axis=(1, 2)), around, atol=8)
    with CutoutService(quick_service(survey.url), tmp_path / "cache") as service:
        field = store.columns.iloc[0]
        cube = service.cutout(field["ra"], field["dec"], SIDE)
    np.testing.assert_array_equal(images[0], from_fluxes(cube, 0.262).rgb)
    survey.server.shutdown()
    survey.server.server_close()


def test_too_few_candidates_say_so(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    candidates = scattered(12)[2:4]
    survey = LensSky(candidates)
    with pytest.raises(DataError, match="no field with a lens for the .* split; give more"):
        run_import(survey, tmp_path, candidates)
    survey.server.shutdown()
    survey.server.server_close()


def test_a_table_at_an_address_is_fetched_once(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    candidates = scattered(40)
    survey = LensSky(candidates)
    text = candidates[["id", "ra", "dec", "grade"]].to_csv(index=False)
    survey.tables = {"/lists/lenses.csv": text.encode()}
    base = f"http://127.0.0.1:{survey.server.server_port}"
    fields = FieldPlan(side_pix=SIDE, n_train=2, n_val=2, n_test=2, empty_share=0.0)
    survey.tables["/login.csv"] = b"<html>log in first</html>"
    addresses = {"lists/lenses": None, "no": "refused", "login": "could not be .* a web page"}
    for name, problem in addresses.items():
        address = f"{base}/{name}.csv"
        settings = Candidates(tables=[address]).model_dump()
        service = quick_service(survey.url)
        args = (tmp_path / "f.h5", tmp_path / "r.csv", tmp_path / "cache")
        if problem:
            with pytest.raises(DataError, match=f"lenses.candidates.tables: .*{problem}.*a copy"):
                import_fields(*args, fields, settings, service, seed=1)
        else:
            import_fields(*args, fields, settings, service, seed=1)
            import_fields(*args, fields, settings, service, seed=1)
    # A page that asks for a password is no table: it is asked for again, and not kept.
    assert survey.n_tables == {"/lists/lenses.csv": 1, "/no.csv": 1, "/login.csv": 4}
    assert not list((tmp_path / "cache").glob("*login.csv"))
    survey.server.shutdown()
    survey.server.server_close()


def test_without_a_network_the_import_says_so(tmp_path):
    candidates = scattered(40)

    class Nowhere:
        url = "http://127.0.0.1:9/cutout"  # the discard port: nobody listens

    with pytest.raises(UnreachableError, match="Check the network"):
        run_import(Nowhere, tmp_path, candidates)
