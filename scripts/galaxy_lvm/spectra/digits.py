"""Numbers of a spectrum as decimal digits: words of a vocabulary of ten."""

import torch
from torch import Tensor, nn

BASE = 10
# Standardised numbers lie within so many standard deviations; `Whitening` cuts pixels there.
_REACH = 10.0


def decimal_digits(values: Tensor, n_digits: int) -> Tensor:
    """Return the digits (..., n_digits) of standardised numbers, the most significant first.

    The range from -10 to 10 standard deviations is counted from 00...0 to 99...9: with three digits
    a step is 0.02 standard deviations. Numbers outside of it have the digits of its end.

    Parameters
    ----------
    values
        Any shape, of about unit variance.
    n_digits
        Digits of each.
    """
    n_steps = BASE**n_digits
    # In double: a number of 6 digits and a shift by 10 leave float32 no digit to spare.
    number = (values.double() + _REACH) * (n_steps / (2 * _REACH))
    number = number.floor().long().clamp(0, n_steps - 1)
    powers = BASE ** torch.arange(n_digits - 1, -1, -1, device=values.device)
    return number[..., None] // powers % BASE


class DigitTokens(nn.Module):
    """Tokens of patches of numbers, each the sum of its digits' embeddings.

    Each of the ten digits has a vector of its own for every decimal place of every sample of a
    patch; that 4 lies between 3 and 5 is not told. One token a digit would make a spectrum of 343
    samples more than a thousand tokens long. The sum keeps the sequence as long as that of
    continuous patches, so that the two differ in how a number is written and in nothing else: a
    linear map of the numbers is one such sum.

    Parameters
    ----------
    patch_pix
        Numbers of a patch.
    n_digits
        Digits of a number.
    width
        Numbers of a token.
    """

    def __init__(self, patch_pix: int, n_digits: int, width: int) -> None:
        super().__init__()
        self.n_digits = n_digits
        n_places = patch_pix * n_digits
        self.words = nn.EmbeddingBag(n_places * BASE, width, mode="sum")
        nn.init.normal_(self.words.weight, std=n_places**-0.5)
        self.register_buffer("first_word", BASE * torch.arange(n_places), persistent=False)

    def forward(self, values: Tensor) -> Tensor:
        """Return tokens (B, T, width) of patches (B, T, patch_pix)."""
        words = decimal_digits(values, self.n_digits).flatten(2) + self.first_word
        return self.words(words.flatten(0, 1)).unflatten(0, values.shape[:2])
