"""Spectra as text of digits, read by a language model with low-rank adapters (LoRA)."""

import math
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.language_files import DESCRIPTION, contents, language_files
from galaxy_lvm.spectra.digits import BASE, decimal_digits
from galaxy_lvm.spectra.labels import BASIC
from galaxy_lvm.spectra.network import SpectrumNetwork

_KEY = "spectra.pretrain.shape.language_model.path"
_SEPARATOR = ","


@dataclass(frozen=True)
class LanguageArchitecture:
    """What a network around a language model is built of; its card holds it."""

    n_pixels: int
    n_components: int
    path: str
    """Folder of the language model and its tokenizer."""
    files: dict[str, str]
    """Hashes of the contents of its description, weights and tokenizer, by name."""
    patch_pix: int
    n_digits: int
    lora_rank: int
    lora_alpha: float
    lora_dropout: float
    precision: str
    gradient_checkpointing: bool
    width: int
    dropout: float
    token_width: int = 16
    labels: tuple[str, ...] = BASIC


class LanguageNetwork(SpectrumNetwork):
    """A pretrained language model reads a spectrum's numbers, digit by digit; one head reads it.

    Means of `patch_pix` samples of the whitened spectrum are written as decimal digits with commas
    between, in the model's own vocabulary (after Lu et al. 2026). Behind every comma the head reads
    the hidden state. The model's weights stay as they are and are saved nowhere: adapters of low
    rank at its linear layers, and the head, are what is learned and kept.

    Parameters
    ----------
    about
        Sizes, and where the language model lies.

    Raises
    ------
    DataError
        If the packages or the folder are missing, the folder has changed since the card was
        written, its tokenizer has no word for a digit, or it reads fewer words than a spectrum has.
    """

    # Four arrays of an MLP of 11,008 numbers in half precision are 0.1 MB a word.
    tokens_at_once = 2**13

    def __init__(self, about: LanguageArchitecture) -> None:
        super().__init__(about.n_pixels, about.n_components, about.labels)
        self.about = about
        if found := _differing(about.files, files_of(about.path)):
            raise DataError(
                f"{about.path}: another language model or tokenizer than the one that was trained "
                f"with ({found}); put that one back, or train anew"
            )
        n_numbers = math.ceil(about.n_pixels / about.patch_pix)
        self.n_tokens = n_numbers * (about.n_digits + 1)
        self.n_missing = n_numbers * about.patch_pix - about.n_pixels
        self.register_buffer("words", _words(about.path), persistent=False)
        self.model = _adapted(about)
        self._refuse_too_many_words()
        n_hidden = self.model.config.hidden_size
        self.narrow = nn.Sequential(
            nn.LayerNorm(n_hidden), nn.Linear(n_hidden, about.token_width), nn.GELU()
        )
        self.add_head(n_numbers * about.token_width, about.width, about.dropout)
        self._leave_the_base_out()

    def _refuse_too_many_words(self) -> None:
        n_read = getattr(self.model.config, "max_position_embeddings", None)
        if n_read is not None and self.n_tokens > n_read:
            about = self.about
            least = math.ceil(about.n_pixels / max(1, n_read // (about.n_digits + 1)))
            raise DataError(
                f"{about.path}: reads {n_read} words (max_position_embeddings), and a spectrum of "
                f"{about.n_pixels} samples takes {self.n_tokens}; set spectra.pretrain.shape."
                f"patch_pix to {least} or more (it is {about.patch_pix}), or n_digits below "
                f"{about.n_digits}"
            )

    def _leave_the_base_out(self) -> None:
        """Keep the language model's own weights out of what is saved, and of what is loaded."""
        learned = {name for name, value in self.named_parameters() if value.requires_grad}
        own = {name for name in self.state_dict() if name.startswith("model.")} - learned

        def forget(module: nn.Module, state: dict, prefix: str, _: Any) -> None:
            for name in own:
                state.pop(prefix + name, None)

        def allow(module: nn.Module, keys: Any) -> None:
            keys.missing_keys[:] = [name for name in keys.missing_keys if name not in own]

        self.register_state_dict_post_hook(forget)
        self.register_load_state_dict_post_hook(allow)

    def text(self, flux: Tensor) -> Tensor:
        """Return the words (B, numbers x (n_digits + 1)) that spectra (B, L) are written in."""
        size = self.about.patch_pix
        inputs = functional.pad(self.whiten(flux), (0, self.n_missing)).unflatten(1, (-1, size))
        digits = decimal_digits(inputs.mean(dim=2), self.about.n_digits)
        return self.words[functional.pad(digits, (0, 1), value=BASE)].flatten(1)

    def pooled(self, flux: Tensor) -> Tensor:
        """Return a vector (B, numbers x token_width) for spectra (B, L); NaN counts as the mean."""
        found = self.model(input_ids=self.text(flux), use_cache=False).last_hidden_state
        behind = found[:, self.about.n_digits :: self.about.n_digits + 1]
        return self.narrow(behind.float()).flatten(1)


def files_of(path: str) -> dict[str, str]:
    """Return what tells a folder's language model and tokenizer from others; see `contents`.

    Raises
    ------
    DataError
        If there is no such folder, or it holds no language model.
    """
    folder = Path(path)
    if not (folder / DESCRIPTION).is_file():
        what = f"no {DESCRIPTION} in it" if folder.is_dir() else "no such folder"
        raise DataError(
            f"{path}: {what}; {_KEY} names a folder as `save_pretrained` of transformers writes "
            f"it, with {DESCRIPTION}, weights and tokenizer. Nothing is downloaded"
        )
    return contents(language_files(folder))


def _differing(known: dict[str, str], found: dict[str, str]) -> str:
    """Return in words which files differ; nothing where all are the same."""
    kinds = {
        "changed": sorted(n for n in known if n in found and found[n] != known[n]),
        "missing": sorted(set(known) - set(found)),
        "new": sorted(set(found) - set(known)),
    }
    return "; ".join(f"{what}: {', '.join(names)}" for what, names in kinds.items() if names)


def _packages() -> tuple[ModuleType, ModuleType]:
    """Return peft and transformers, which only language models need.

    Raises
    ------
    DataError
        If one is not installed.
    """
    try:
        import peft
        import transformers
    except ModuleNotFoundError as error:
        raise DataError(
            f"{_KEY} needs the package {error.name}; in the project's folder: "
            "pip install '.[language]'"
        ) from error
    return peft, transformers


def _words(path: str) -> Tensor:
    """Return the tokenizer's numbers of the ten digits and the comma (11,)."""
    _, transformers = _packages()
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(path, local_files_only=True)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: no readable tokenizer ({error}); see {_KEY}") from error
    wanted = [*map(str, range(BASE)), _SEPARATOR]
    words = tokenizer.convert_tokens_to_ids(wanted)
    lacking = [
        text
        for text, word in zip(wanted, words, strict=True)
        if word is None or word == tokenizer.unk_token_id
    ]
    if lacking:
        raise DataError(
            f"{path}: the tokenizer has no word for {' '.join(lacking)}; {_KEY} needs a language "
            "model with the ten digits and the comma in its vocabulary"
        )
    return torch.tensor(words)


def _adapted(about: LanguageArchitecture) -> nn.Module:
    """Return the language model with adapters, everything but these fixed."""
    peft, transformers = _packages()
    try:
        model = transformers.AutoModel.from_pretrained(
            about.path, local_files_only=True, dtype=getattr(torch, about.precision)
        )
    except (OSError, ValueError) as error:
        raise DataError(f"{about.path}: no readable language model ({error})") from error
    if about.gradient_checkpointing:
        model.gradient_checkpointing_enable()
        model.enable_input_require_grads()  # else nothing flows back through the first layer
    settings = peft.LoraConfig(
        r=about.lora_rank,
        lora_alpha=about.lora_alpha,
        lora_dropout=about.lora_dropout,
        target_modules="all-linear",
    )
    return peft.get_peft_model(model, settings)
