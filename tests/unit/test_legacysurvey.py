"""The cutout service: what is asked for, what is asked for again, kept, refused, given up."""

import io
from collections import Counter

import httpx
import numpy as np
import pytest
from astropy.io import fits
from cutout_server import as_fits, flux_at, quick_service, served, service_of
from galaxy_lvm.core.config import check_config
from galaxy_lvm.core.config.survey import Service
from galaxy_lvm.core.errors import ConfigError
from galaxy_lvm.survey.journal import Journal, states
from galaxy_lvm.survey.legacysurvey import CutoutService, fetch_cutout
from galaxy_lvm.survey.remote import (
    RefusedError,
    ServiceError,
    UnreachableError,
)

survey = pytest.fixture(served)


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


def test_a_frame_of_another_size_or_other_bands_is_refused(survey, tmp_path):
    survey.answers = {
        1.0: [flux_at(1.0, 0.0, 8)],
        2.0: [as_fits(flux_at(2.0, 0.0), 2.0, 0.0, "gri")],
    }
    with service_of(survey, tmp_path) as service:
        for ra in (1.0, 2.0):
            with pytest.raises(RefusedError, match="asked for g, r, z, 16 x 16"):
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
