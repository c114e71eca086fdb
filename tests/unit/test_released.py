"""The encoder that this version comes with."""

import galaxy_lvm
import numpy as np
from galaxy_lvm.core.encoder_files import released_weights
from galaxy_lvm.lvm.weights import read_card
from small_images import galaxy

MEGABYTE = 1e6


def noisy_views(n, side=96):
    """Return galaxies, and the same turned, mirrored, moved and on other noise."""
    rng = np.random.default_rng(0)
    images = np.stack([galaxy(k, side) for k in range(n)])
    turned = np.rot90(images, axes=(1, 2))[:, :, ::-1]
    moved = np.stack([np.roll(one, (2, -3), axis=(0, 1)) for one in turned])
    return images, np.clip(moved + rng.normal(0, 3, moved.shape), 0, 255).astype(np.uint8)


def test_it_is_small_and_its_card_says_what_it_is():
    path = released_weights()
    assert path.stat().st_size <= 25 * MEGABYTE
    card = read_card(path)
    for key in ("data", "objective", "cost", "not_good_for", "licence_of_the_images", "git_commit"):
        assert card[key], key
    scores = {(row["condition"], row["metric"]): row for row in card["scores"]}
    best = scores["n=200", "accuracy"]
    assert best["low95"] < best["mean"] < best["high95"] and best["n_seeds"] >= 5


def test_it_knows_a_galaxy_again():
    """Seen in another way, a galaxy is nearer to itself than to any other."""
    first, second = noisy_views(12)
    features = galaxy_lvm.load_encoder("released").embed(np.concatenate([first, second])).features
    assert np.isfinite(features).all()
    scaled = (features - features.mean(axis=0)) / (features.std(axis=0) + 1e-6)
    unit = scaled / np.linalg.norm(scaled, axis=1, keepdims=True)
    alike = unit[:12] @ unit[12:].T
    assert (alike.argmax(axis=1) == np.arange(12)).sum() >= 10  # by chance one
