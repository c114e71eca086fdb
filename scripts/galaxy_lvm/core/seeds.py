"""Seeds: one in the config, all others derived from it."""

import hashlib
import json
from typing import Any


def derive_seed(seed: int, *names: Any) -> int:
    """Return a seed in [0, 2**63) that depends on the config's seed and on what it is for.

    Independent streams without bookkeeping: `derive_seed(1, "mock", 17)`.
    """
    text = json.dumps([int(seed), *[str(name) for name in names]])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
