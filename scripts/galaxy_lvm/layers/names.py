"""What methods and matrices are called."""

import re

METHOD_NAMES = {
    "svd": "leading directions (SVD)",
    "projected": "random directions",
    "pruned": "largest numbers, equal size",
}
# Parts of the networks of spectra, by the last of their dotted names.
_PARTS = {
    "embed": "embedding", "narrow.1": "narrowing", "head.0": "head, first", "head.3": "head, last",
    "q": "queries", "k": "keys", "v": "values", "out_proj": "attention, output",
    "linear1": "MLP, first", "linear2": "MLP, second",
}  # fmt: skip


def layer_text(name: str) -> str:
    """Return what a matrix of a spectra network does, "block 1: keys"; else its dotted name."""
    if name in _PARTS:
        return _PARTS[name]
    found = re.fullmatch(r"layers\.layers\.(\d+)\.(?:self_attn\.)?(\w+)", name)
    if found and found[2] in _PARTS:
        return f"block {int(found[1]) + 1}: {_PARTS[found[2]]}"
    return name
