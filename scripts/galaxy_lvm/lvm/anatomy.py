"""What the diagrams say, read from the built modules: sizes, layers, numbers of weights."""

from dataclasses import dataclass

from accelerate import init_empty_weights
from torch import nn

from galaxy_lvm.lvm.model import LVM, PATCH_PIX, LVMConfig, count_parameters
from galaxy_lvm.lvm.swin import SwinStage
from galaxy_lvm.lvm.swin_layer import SwinLayer

_POOLING = {
    "mean": "mean over the map",
    "mean_std": "mean and deviation over the map",
    "stages": "mean and deviation over the map of every stage",
    "attention": "weighted mean over the map",
}


@dataclass(frozen=True)
class Part:
    """One box of a diagram."""

    name: str
    """Heading."""
    side: int
    """Side of the map that it puts out, in tokens or pixels."""
    channels: int
    """Channels of that map."""
    lines: tuple[str, ...]
    """What it consists of."""
    n_parameters: int
    """Trainable weights."""


@dataclass(frozen=True)
class LVMParts:
    """An LVM from the image down to the coarsest map and up again."""

    image_side: int
    """Nominal side of the image in pixels."""
    embed: Part
    """Patch embedding."""
    stages: list[Part]
    """Encoder stages, finest first."""
    downs: list[Part]
    """What lies between them."""
    ups: list[Part]
    """Up-samplings, finest first."""
    joins: list[Part | None]
    """Where encoder maps enter the decoder, finest first; None without skip connections."""
    decoder_stages: list[Part]
    """Decoder stages, finest first."""
    output: Part
    """Last up-sampling and convolution."""
    pooling: str
    """What the feature vector is of the maps, in words."""
    feature_dim: int
    """Length of the pooled feature vector."""
    n_encoder: int
    """Trainable weights of the encoder."""
    n_decoder: int
    """Trainable weights of the decoder."""


@dataclass(frozen=True)
class SwinLayerParts:
    """One Swin layer."""

    dim: int
    """Channels."""
    heads: int
    """Attention heads."""
    window: int
    """Side of a window in tokens."""
    shift: int
    """Shift of the windows in tokens."""
    side: int
    """Side of the map in tokens."""
    hidden: int
    """Hidden units of the MLP."""
    n_attention: int
    """Weights of the attention."""
    n_mlp: int
    """Weights of the MLP."""
    drop_path: float
    """Stochastic-depth rate."""
    conv: str
    """Convolution in front of the layer, for instance "3 × 3, depthwise"; "" for none."""
    n_conv: int
    """Weights of that convolution with its norm."""


def build_empty(config: LVMConfig) -> LVM:
    """Return an LVM without storage for its weights: shapes only, in no time at any size."""
    with init_empty_weights():
        return LVM(config)


def describe_lvm(lvm: LVM) -> LVMParts:
    """Read sizes, layers and numbers of weights from a built LVM."""
    encoder, decoder = lvm.encoder, lvm.decoder
    stages = [
        _stage(f"Encoder stage {i}", stage, count_parameters(norm))
        for i, (stage, norm) in enumerate(zip(encoder.stages, encoder.norms, strict=True), start=1)
    ]
    downs = [
        _resampling("down", d, d.conv.out_channels, s.side // 2)
        for d, s in zip(encoder.downs, stages[:-1], strict=True)
    ]
    n_up = len(decoder.stages)
    mirrored = [_stage(f"Decoder stage {n_up - i}", s) for i, s in enumerate(decoder.stages)][::-1]
    ups = [
        _resampling("up", up, s.channels, s.side)
        for up, s in zip(reversed(decoder.ups), mirrored, strict=True)
    ]
    joins = [_join(j, s) for j, s in zip(reversed(decoder.joins), mirrored, strict=True)]
    return LVMParts(
        image_side=lvm.config.image_side_pix,
        embed=_embedding(lvm),
        stages=stages,
        downs=downs,
        ups=ups,
        joins=joins,
        decoder_stages=mirrored,
        output=_to_the_image(lvm),
        pooling=_POOLING[lvm.config.pooling],
        feature_dim=encoder.feature_dim,
        n_encoder=count_parameters(encoder),
        n_decoder=count_parameters(decoder),
    )


def _embedding(lvm: LVM) -> Part:
    embed = lvm.encoder.embed
    convs = _convolutions(embed)
    height, width = convs[0].kernel_size
    strides = ", ".join(str(conv.stride[0]) for conv in convs)
    lines = f"{len(convs)} convolutions {height} × {width}", f"strides {strides}"
    side = lvm.config.image_side_pix // PATCH_PIX
    return Part("Patch embedding", side, convs[-1].out_channels, lines, count_parameters(embed))


def _to_the_image(lvm: LVM) -> Part:
    decoder, side = lvm.decoder, lvm.config.image_side_pix
    output = decoder.output
    up = _resampling("up", decoder.last_up, output.in_channels, side)
    convs = [*_convolutions(decoder.fine), output]
    chain = " → ".join(str(n) for n in [convs[0].in_channels, *(c.out_channels for c in convs)])
    kernel = " × ".join(str(side) for side in output.kernel_size)
    n_weights = sum(
        count_parameters(m) for m in (decoder.last_up, decoder.norm, decoder.fine, output)
    )
    lines = (*up.lines, f"{kernel} convolutions {chain}")
    return Part("To the image", side, output.out_channels, lines, n_weights)


def _convolutions(module: nn.Module) -> list[nn.Conv2d]:
    return [part for part in module.modules() if isinstance(part, nn.Conv2d)]


def swin_layers(stage: SwinStage) -> list[SwinLayerParts]:
    """Return the Swin layers of a stage, each with the convolution in front of it."""
    result, conv = [], None
    for module in stage.layers:
        if isinstance(module, SwinLayer):
            result.append(_swin_layer(module, conv))
            conv = None
        else:
            conv = module
    return result


def layer_pair(lvm: LVM) -> tuple[int, list[SwinLayerParts]]:
    """Return the first stage (from 1) whose windows shift, and its first two layers.

    Where no stage has shifted windows it is the first with two layers, else the first with one.
    """
    stages = [swin_layers(stage)[:2] for stage in lvm.encoder.stages]

    def interest(item: tuple[int, list[SwinLayerParts]]) -> tuple[bool, int, int]:
        number, layers = item
        return any(layer.shift for layer in layers), len(layers), -number

    return max(enumerate(stages, start=1), key=interest)


def _stage(name: str, stage: SwinStage, n_more: int = 0) -> Part:
    layers = swin_layers(stage)
    first, last = layers[0], layers[min(1, len(layers) - 1)]
    windows = f"window {first.window}" + (f", shift {last.shift}" if last.shift else "")
    if first.window == first.side:
        windows = f"one window of {first.window}"
    heads = f"{first.heads} head" + "s" * (first.heads > 1)
    lines = [f"{len(layers)} Swin layer{'s' * (len(layers) > 1)}, {heads}, {windows}"]
    convs = [layer.conv for layer in layers if layer.conv]
    if convs:
        lines.append(f"{len(convs)} convolution{'s' * (len(convs) > 1)} {convs[0]}")
    n_parameters = count_parameters(stage) + n_more
    return Part(name, first.side, first.dim, tuple(lines), n_parameters)


def _swin_layer(block: SwinLayer, conv: nn.Module | None) -> SwinLayerParts:
    return SwinLayerParts(
        dim=block.norm1.normalized_shape[0],
        heads=block.attn.num_heads,
        window=block.window,
        shift=block.shift,
        side=block.side,
        hidden=block.mlp.fc1.out_features,
        n_attention=count_parameters(block.attn),
        n_mlp=count_parameters(block.mlp),
        drop_path=block.drop_path1.rate,
        conv=_kernel(conv) if conv is not None else "",
        n_conv=count_parameters(conv) if conv is not None else 0,
    )


def _kernel(module: nn.Module) -> str:
    convs = _convolutions(module)
    times = "" if len(convs) == 1 else f"{len(convs)} times "
    depthwise = ", depthwise" if convs[0].groups == convs[0].in_channels else ""
    return f"{times}{convs[0].kernel_size[0]} × {convs[0].kernel_size[1]}{depthwise}"


def _resampling(kind: str, module: nn.Module, channels: int, side: int) -> Part:
    if kind == "down":
        text = (
            f"{module.conv.kernel_size[0]} × {module.conv.kernel_size[1]} convolution, stride "
            f"{module.conv.stride[0]}"
        )
    else:
        scale = next(m for m in module.modules() if isinstance(m, nn.PixelShuffle)).upscale_factor
        text = f"sub-pixel + bilinear, × {scale}"
    return Part(kind, side, channels, (text,), count_parameters(module))


def _join(join: nn.Module, stage: Part) -> Part | None:
    if not isinstance(join, nn.Linear):
        return None
    text = f"concatenate, linear {join.in_features} → {join.out_features}"
    return Part("join", stage.side, join.out_features, (text,), count_parameters(join))
