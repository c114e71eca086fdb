"""Spectra as digits: the words, the own Transformer on them, a language model with LoRA."""

import builtins
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from galaxy_lvm.core.config.spectra import (
    Finetuning,
    LanguageModel,
    SimulatedSpectra,
    SpectrumOptim,
    SpectrumPretraining,
    SpectrumSplits,
    TransformerShape,
)
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.spectra.digits import DigitTokens, decimal_digits
from galaxy_lvm.spectra.labels import BASIC
from galaxy_lvm.spectra.networks import architecture, build, load_network, save_network
from galaxy_lvm.spectra.simulate import write_simulated
from galaxy_lvm.spectra.stars import read_stars, split_stars
from galaxy_lvm.spectra.train import StarFeed, finetune, pretrain
from galaxy_lvm.training.job import JobFiles
from safetensors.torch import load_file

ROOT = Path(__file__).parents[2]
N_PIXELS = 343
NOISE = SimulatedSpectra(n_stars=60, extinction_mean_mag=0)


@pytest.mark.parametrize(
    ("value", "digits"),
    [(-10, "000"), (0, "500"), (0.019, "500"), (0.021, "501"), (9.99, "999"), (50, "999"),
     (-50, "000"), (-3.01, "349")],
)  # fmt: skip
def test_a_number_is_written_with_its_most_significant_digit_first(value, digits):
    found = decimal_digits(torch.tensor([[value]]), 3)
    assert "".join(map(str, found[0, 0].tolist())) == digits


def test_six_digits_of_a_number_are_right():
    values = torch.linspace(-9.9, 9.9, 1001)
    number = decimal_digits(values, 6) @ (10 ** torch.arange(5, -1, -1))
    back = (number.double() + 0.5) * 2e-5 - 10
    assert (back - values.double()).abs().max() <= 1.01e-5


def test_sums_of_digits_can_say_what_a_linear_map_says():
    """A token that is the patch's first number, written into the embeddings by hand."""
    tokens = DigitTokens(2, 3, 1)
    with torch.no_grad():
        tokens.words.weight.zero_()
        places = torch.tensor([2.0, 0.2, 0.02])[:, None] * torch.arange(10)
        tokens.words.weight[:30, 0] = places.flatten()
    values = torch.rand(4, 5, 2) * 16 - 8
    assert (tokens(values)[..., 0] - 10 - values[..., 0]).abs().max() < 0.021


def test_every_place_of_a_patch_has_words_of_its_own():
    torch.manual_seed(0)
    tokens = DigitTokens(3, 2, 4)
    values = torch.tensor([[[1.0, -4.0, 6.0]]])
    assert not torch.allclose(tokens(values), tokens(values.flip(2)))
    assert tokens.words.weight.shape == (3 * 2 * 10, 4)


def shape(**given):
    sizes = {"patch_pix": 49, "width": 16, "depth": 1, "n_heads": 2, "n_components": 10}
    return TransformerShape(tokens="digits", n_digits=3, **sizes, **given)


def optim(steps, **given):
    return SpectrumOptim(steps=steps, learning_rate=0.005, **given)


@pytest.fixture(scope="module")
def stars(tmp_path_factory):
    path = tmp_path_factory.mktemp("digits") / "stars.h5"
    write_simulated(path, NOISE.n_stars, "xp", NOISE, 1, "stars")
    return path, split_stars(read_stars(path, BASIC), SpectrumSplits(), 1)


def files(folder):
    return JobFiles(folder / "state", 1, folder / "w.safetensors", folder / "w.csv")


def test_digits_go_through_both_stages_and_come_back_from_their_card(tmp_path, stars):
    store, split = stars
    first, second = files(tmp_path / "first"), files(tmp_path / "second")
    settings = SpectrumPretraining(shape=shape(), batch_size=16, optim=optim(3))
    pretrain("xp", NOISE, settings, 1, first)
    training = Finetuning(batch_size=16, optim=optim(30))
    finetune(split, first.weights, store, training, 0, 1, second)
    module = load_network(second.weights)
    assert isinstance(module.embed, DigitTokens)
    mean, sigma = module.estimate(split.train.flux)
    # It has learned the temperature of the stars that it saw.
    error = np.abs(mean[:, 0] - split.train.labels[:, 0]).mean()
    assert error < 0.8 * np.abs(split.train.labels[:, 0] - split.train.labels[:, 0].mean()).mean()
    assert (sigma > 0).all()


@pytest.fixture(scope="module")
def language_model(tmp_path_factory):
    """A folder as save_pretrained writes it: a tiny Llama of random weights, with a tokenizer."""
    folder = tmp_path_factory.mktemp("language_model")
    write_tokenizer(folder, "9876543210")
    write_llama(folder, seed=0)
    return folder


def write_tokenizer(folder, digits):
    transformers = pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    words = {word: k for k, word in enumerate(["<unk>", "flux", *digits, ","])}
    inner = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, "<unk>"))
    transformers.PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="<unk>").save_pretrained(
        folder
    )


def write_llama(folder, seed, n_positions=64):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(seed)
    settings = transformers.LlamaConfig(
        vocab_size=13, hidden_size=16, intermediate_size=24, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=n_positions,
    )  # fmt: skip
    transformers.LlamaModel(settings).save_pretrained(folder)


def named(folder, **given):
    return shape(language_model=LanguageModel(path=str(folder), lora_rank=2, **given))


def test_the_text_has_the_digits_of_means_in_the_models_own_words(language_model):
    pixels = named(language_model).model_copy(update={"n_components": 0})
    module = build(architecture(pixels, N_PIXELS))
    flux = torch.full((1, N_PIXELS), 0.01)
    flux[0, :49], flux[0, 49:98] = 1.01, torch.linspace(-4.03, -3.99, 49)
    words = ["<unk>", "flux", *"9876543210", ","]
    text = "".join(words[k] for k in module.text(flux)[0])
    assert text == "550,299," + "500," * 5


@pytest.mark.parametrize("checkpointing", [False, True])
def test_adapters_and_head_learn_and_the_language_model_stays(
    language_model, tmp_path, stars, checkpointing
):
    store, split = stars
    shape = named(language_model, gradient_checkpointing=checkpointing)
    before = {p.name: p.read_bytes() for p in language_model.iterdir()}
    out = files(tmp_path)
    training = Finetuning(batch_size=16, optim=optim(12))
    finetune(split, shape, store, training, 0, 1, out)
    saved = load_file(out.weights)
    assert not [name for name in saved if "base_layer" in name or "embed_tokens" in name]
    assert {name.split(".")[0] for name in saved} == {
        "model", "head", "narrow", "whiten", "label_centre", "label_width"
    }  # fmt: skip
    # Matrices b of the adapters begin at 0: what is not 0 was learned.
    second = [value for name, value in saved.items() if "lora_B" in name]
    assert len(second) == 14 and all(value.abs().max() > 0 for value in second)
    assert {p.name: p.read_bytes() for p in language_model.iterdir()} == before
    kept = load_file(language_model / "model.safetensors")
    inside = {
        name.replace(".base_layer", "").removeprefix("model.base_model.model."): value
        for name, value in load_network(out.weights).named_parameters()
    }
    assert all(torch.equal(inside[name], value) for name, value in kept.items())
    history = np.genfromtxt(out.history, delimiter=",", names=True)
    assert history["absolute"][-3:].mean() < history["absolute"][:3].mean()


def test_a_language_model_in_half_precision_learns_adapters_in_float32(
    language_model, tmp_path, stars
):
    store, split = stars
    out = files(tmp_path)
    training = Finetuning(batch_size=16, optim=optim(4, precision="bfloat16"))
    finetune(split, named(language_model, precision="bfloat16"), store, training, 0, 1, out)
    assert {value.dtype for value in load_file(out.weights).values()} == {torch.float32}
    module = load_network(out.weights)
    base = [p for name, p in module.model.named_parameters() if "lora" not in name]
    assert {value.dtype for value in base} == {torch.bfloat16}
    assert np.isfinite(module.estimate(split.test.flux)).all()


class Killed(Exception):
    pass


def test_a_training_of_adapters_that_was_killed_ends_with_the_same_weights(
    language_model, tmp_path, stars, monkeypatch
):
    store, split = stars
    training = Finetuning(batch_size=8, optim=optim(6, ema_decay=0.9))
    whole, broken = files(tmp_path / "a"), files(tmp_path / "b")
    finetune(split, named(language_model), store, training, 0, 1, whole)
    batch = StarFeed.batch

    def killed_at_4(feed, step, device="cpu"):
        if step == 4:
            raise Killed
        return batch(feed, step, device)

    settings = {**training.optim.model_dump(), "checkpoint_seconds": 1e-9}
    often = training.model_copy(update={"optim": SpectrumOptim(**settings)})
    monkeypatch.setattr(StarFeed, "batch", killed_at_4)
    with pytest.raises(Killed):
        finetune(split, named(language_model), store, often, 0, 1, broken)
    taken = []
    monkeypatch.setattr(StarFeed, "batch", lambda *given: taken.append(given[1]) or batch(*given))
    finetune(split, named(language_model), store, often, 0, 1, broken)
    assert taken == [4, 5]
    one, other = load_file(whole.weights), load_file(broken.weights)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_spectra_are_read_as_many_at_once_as_there_is_room_for_their_words(
    language_model, monkeypatch
):
    torch.manual_seed(0)
    module = build(architecture(named(language_model), N_PIXELS))
    flux = np.random.default_rng(0).normal(1, 0.1, (11, N_PIXELS)).astype(np.float32)
    whole = module.estimate(flux)
    asked = []
    hook = module.model.register_forward_pre_hook(
        lambda _, given, named: asked.append(tuple(named["input_ids"].shape)), with_kwargs=True
    )
    monkeypatch.setattr(type(module), "tokens_at_once", 100)
    parts = module.estimate(flux)
    # Seven numbers of three digits and a comma: three spectra have 84 words, four 112.
    assert asked == [(3, 28), (3, 28), (3, 28), (2, 28)]
    monkeypatch.setattr(type(module), "tokens_at_once", 1)
    module.estimate(flux[:2])
    assert asked[4:] == [(1, 28), (1, 28)]
    hook.remove()
    assert all(np.allclose(a, b, rtol=1e-5) for a, b in zip(whole, parts, strict=True))


def test_a_missing_folder_and_one_that_holds_something_else_are_named(tmp_path):
    for folder, what in ((tmp_path / "nowhere", "no such folder"), (tmp_path, "no config.json")):
        with pytest.raises(DataError, match=f"{folder}: {what}.*language_model.path"):
            architecture(named(folder), N_PIXELS)


@pytest.fixture
def own_copy(language_model, tmp_path):
    return shutil.copytree(language_model, tmp_path / "copy")


@pytest.mark.parametrize(
    ("swap", "told"),
    [
        (lambda folder: write_llama(folder, seed=7), "changed: model.safetensors"),
        (lambda folder: write_tokenizer(folder, "0123456789"), "changed: tokenizer.json"),
        (lambda folder: (folder / "more.safetensors").write_bytes(b"1"), "new: more.safetensors"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "missing: tokenizer.json"),
    ],
)
def test_another_model_or_tokenizer_than_the_one_trained_with_is_refused(
    own_copy, tmp_path, swap, told
):
    """Weights of the same shapes, digits with other numbers, a file more, a file less."""
    save_network(tmp_path / "w.safetensors", build(architecture(named(own_copy), N_PIXELS)), {})
    load_network(tmp_path / "w.safetensors")
    (own_copy / "README.md").write_text("a note changes nothing")
    load_network(tmp_path / "w.safetensors")
    swap(own_copy)
    with pytest.raises(DataError, match=rf"{own_copy}: another language model.*\({told}\)"):
        load_network(tmp_path / "w.safetensors")


def test_a_killed_training_does_not_go_on_with_another_language_model(
    own_copy, tmp_path, stars, monkeypatch
):
    store, split = stars
    training = Finetuning(batch_size=8, optim=optim(3, checkpoint_seconds=1e-9))
    batch, taken = StarFeed.batch, []

    def killed_at_2(feed, step, device="cpu"):
        if step == 2:
            raise Killed
        return batch(feed, step, device)

    monkeypatch.setattr(StarFeed, "batch", killed_at_2)
    with pytest.raises(Killed):
        finetune(split, named(own_copy), store, training, 0, 1, files(tmp_path))
    write_llama(own_copy, seed=7)
    monkeypatch.setattr(StarFeed, "batch", lambda *given: taken.append(given[1]) or batch(*given))
    finetune(split, named(own_copy), store, training, 0, 1, files(tmp_path))
    assert taken == [0, 1, 2]


def test_a_model_or_tokenizer_written_anew_reruns_what_was_trained_on_it(own_copy, tmp_path):
    """Snakemake's plan; what lies there of the run is older than the tokenizer and nothing else."""
    made = [tmp_path / f"results/lm/models/spectra/pretrained.{end}" for end in
            ("safetensors", "json", "csv")]  # fmt: skip
    made[0].parent.mkdir(parents=True)
    for age, paths in ((3000, own_copy.iterdir()), (2000, made)):
        for path in paths:
            path.touch()
            os.utime(path, (path.stat().st_mtime - age,) * 2)
    (own_copy / "tokenizer.json").touch()
    shape = f"{{tokens: digits, language_model: {{path: {own_copy}}}}}"
    given = ["run=lm", f"spectra={{pretrain: {{shape: {shape}}}}}"]
    command = [sys.executable, "-m", "snakemake", "-n", "--directory", str(tmp_path)]
    command += ["--snakefile", str(ROOT / "Snakefile"), str(made[0].relative_to(tmp_path))]
    plan = subprocess.run([*command, "--config", *given], capture_output=True, text=True)
    told = plan.stdout + plan.stderr
    assert plan.returncode == 0, told
    reason = next(line for line in told.splitlines() if "reason:" in line)
    assert "Updated input files" in reason and str(own_copy / "tokenizer.json") in reason
    assert "model.safetensors" not in reason


def test_a_tokenizer_without_digits_is_refused(language_model, tmp_path):
    for file in language_model.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    tokenizer = tmp_path / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text().replace('"7"', '"seven"'))
    with pytest.raises(DataError, match="no word for 7"):
        build(architecture(named(tmp_path), N_PIXELS))


def write_gpt2(folder, n_positions):
    """Positions with a weight each: what lies beyond them has none."""
    transformers = pytest.importorskip("transformers")
    settings = transformers.GPT2Config(
        vocab_size=13, n_embd=16, n_layer=1, n_head=2, n_positions=n_positions
    )
    transformers.GPT2Model(settings).save_pretrained(folder)


@pytest.mark.parametrize(
    "write", [write_gpt2, lambda folder, n_positions: write_llama(folder, 0, n_positions)]
)
def test_a_language_model_that_reads_fewer_words_than_a_spectrum_has_is_refused(own_copy, write):
    write(own_copy, 27)
    told = (
        r"reads 27 words \(max_position_embeddings\), and a spectrum of 343 samples takes 28; "
        r"set spectra.pretrain.shape.patch_pix to 58 or more \(it is 49\)"
    )
    with pytest.raises(DataError, match=told):
        build(architecture(named(own_copy), N_PIXELS))
    write(own_copy, 28)
    module = build(architecture(named(own_copy), N_PIXELS))
    assert np.isfinite(module.estimate(np.ones((2, N_PIXELS), np.float32))).all()
    write(own_copy, 27)
    wider = named(own_copy).model_copy(update={"patch_pix": 58})
    assert build(architecture(wider, N_PIXELS)).n_tokens == 24


def test_a_missing_package_names_what_to_install(language_model, monkeypatch):
    plain = builtins.__import__

    def without(name, *more):
        if name == "peft":
            raise ModuleNotFoundError("no", name="peft")
        return plain(name, *more)

    about = architecture(named(language_model), N_PIXELS)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(DataError, match=r"peft; .*pip install '\.\[language\]'"):
        build(about)


def test_a_language_model_that_nothing_would_read_is_refused():
    with pytest.raises(ValueError, match="tokens: 'patches', but a language_model reads 'digits'"):
        TransformerShape(language_model=LanguageModel(path="somewhere"))
