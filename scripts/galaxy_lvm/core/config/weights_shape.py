"""The shape of the LVM where it comes from weights: their card says it."""

from collections.abc import Mapping
from typing import Any

from galaxy_lvm.core.cards import card_path, read_card
from galaxy_lvm.core.encoder_files import weights_file
from galaxy_lvm.core.errors import ConfigError, DataError

# Of the section `lvm`. Skip connections are the decoder's, and matter while pretraining alone.
SHAPE_KEYS = (
    "embed_dim", "depths", "head_dim", "window", "image_side_pix", "conv", "norm", "pooling",
)  # fmt: skip


def with_shape_of_weights(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config with the keys of `lvm` that the card of `lvm.weights` says.

    Parameters
    ----------
    config
        Merged config, not yet checked; without `lvm.weights` it comes back as it is.

    Raises
    ------
    ConfigError
        If there are no such weights or no usable card, or a key says something else than the card.
    """
    section = config.get("lvm")
    which = section.get("weights") if isinstance(section, Mapping) else None
    if not isinstance(which, str) or not which:
        return dict(config)
    try:
        path = weights_file(which)
        shape = read_card(path).get("architecture")
    except DataError as error:
        raise ConfigError(f"lvm.weights: {error}") from error
    known = {"pooling": "mean", **shape} if isinstance(shape, Mapping) else {}
    if lacking := [key for key in SHAPE_KEYS if key not in known]:
        raise ConfigError(
            f"lvm.weights: {card_path(path)} lacks {', '.join(lacking)} under 'architecture'; "
            "expected the card of an LVM"
        )
    for key in SHAPE_KEYS:
        given = section.get(key)
        if given is not None and _plain(given) != _plain(known[key]):
            raise ConfigError(
                f"lvm.{key}: {given} was given, and the weights {path} have {known[key]}; leave "
                "the key out, or name weights of that shape"
            )
    return {**config, "lvm": {**section, **{key: known[key] for key in SHAPE_KEYS}}}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, list | tuple) else value
