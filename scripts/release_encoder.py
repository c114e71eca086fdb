"""Write the run's encoder in half precision, with a card that says what it is."""

from typing import Any

from galaxy_lvm.core.config import section
from galaxy_lvm.core.config.release import Release
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.logs import job_log, log
from galaxy_lvm.lvm.weights import load_encoder_of, read_card, save_encoder
from galaxy_lvm.report.results import read_results, summarise

# Of the card of the weights: what the training was and cost.
KEPT = ("pretrain", "seed", "crops", "n_crops", "seconds", "final_loss", "taken_from")
# Models of the long tables that read frozen features of the run's encoder.
FROZEN = ("lvm_frozen", "lvm", "exact")
MEGABYTE = 1e6


def main(
    weights: str,
    scores: list[str],
    released: str,
    variant: str,
    release: Release,
    features: dict[str, Any],
    crop: dict[str, Any],
    run: str,
    config_hash: str,
) -> None:
    """Write the encoder alone and its card.

    Parameters
    ----------
    weights
        The run's LVM.
    scores
        Long tables of the run; the card quotes what they say of the frozen encoder.
    released
        File to write (safetensors), the card beside it.
    variant
        Name of the pretraining in `objectives.csv`.
    release
        The config's section `release`.
    features, crop
        How images are to be seen by it: sections `features` (views) and `crop`.
    run, config_hash
        Which run it comes from.

    Raises
    ------
    DataError
        If half precision cannot hold the weights, or the file is larger than allowed.
    """
    encoder, about = load_encoder_of(weights), read_card(weights)
    megabytes = 2 * sum(p.numel() for p in encoder.parameters()) / MEGABYTE
    if megabytes > release.max_megabytes:
        raise DataError(
            f"{weights}: its encoder has {megabytes:.1f} MB in half precision, more than "
            f"release.max_megabytes = {release.max_megabytes:g}; raise that, or train a smaller one"
        )
    settings = about.get("pretrain") or {}
    card = {
        "what": "encoder of a large vision model for galaxy images; images to feature vectors",
        "data": release.data,
        "licence_of_the_images": release.licence,
        "not_good_for": release.limits,
        "objective": settings.get("objective"),
        "cost": {"steps": (settings.get("optim") or {}).get("steps"), "seconds": about["seconds"]}
        if "seconds" in about
        else None,
        "scores": quoted(scores, (variant, *FROZEN)),
        "features": features,
        "crop": crop,
        "run": run,
        "config_hash": config_hash,
        **{key: about[key] for key in KEPT if key in about},
    }
    save_encoder(released, encoder, card)
    log.info("%s: %.1f MB, %d scores on its card", released, megabytes, len(card["scores"]))


def quoted(paths: list[str], models: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return what the tables say of these models: means with 95 % intervals over seeds.

    A single seed has no such interval; `f1_low95` and its like, over test galaxies, are there.
    """
    if not paths:
        return []
    table = summarise(read_results(paths))
    of_training = table["metric"].str.startswith("chosen_") | (table["metric"] == "loss_val")
    chosen = table[table["model"].isin(models) & ~of_training]
    rows = chosen.astype(object).where(chosen.notna(), None).to_dict("records")
    return [{**row, "n_seeds": int(row["n_seeds"])} for row in rows]


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            weights=snakemake.input.weights,  # noqa: F821
            scores=list(snakemake.input.scores),  # noqa: F821
            released=snakemake.output.weights,  # noqa: F821
            variant=snakemake.params.variant,  # noqa: F821
            release=section(Release, snakemake.params.release, "release"),  # noqa: F821
            features=snakemake.params.features,  # noqa: F821
            crop=snakemake.params.crop,  # noqa: F821
            run=snakemake.params.run,  # noqa: F821
            config_hash=snakemake.params.config_hash,  # noqa: F821
        )
