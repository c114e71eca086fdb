"""How users' texts are drawn: names of classes, their colours and markers, identifiers, files.

A figure takes a text for more than it is: `$` begins mathematics, a leading `_` hides an entry of a
legend, and characters that the font lacks all look the same. `class_texts` makes names that tell
the classes apart, `drawn` makes any text safe at the point where it is drawn.
"""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from matplotlib import font_manager
from matplotlib.textpath import text_to_path

from galaxy_lvm.report import style
from galaxy_lvm.report.style import CLASS_COLOURS, CLASS_MARKERS, CLASS_NAMES, COLOURS, SEQUENCE

NO_CLASS = "no class"
_LONGEST = 28
# What a line of the smallest type needs, and names of 16 characters beside a matrix.
_LINE_PT, _NAMES_PT = 9.2, 70
# Frames lie on a dark sky: olive takes the place of black.
_PALETTE = (*[colour for colour in SEQUENCE if colour != COLOURS["black"]], "#999933")
_OTHER_MARKERS = ("o", "v", "P", "X", "*", "p", "<")
_LINES = ("-", "--", ":", "-.")
# Fonts that hold what the style's own lacks, where they are installed.
_FALLBACKS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Source Han Sans SC", "WenQuanYi Micro Hei",
    "Droid Sans Fallback", "Microsoft YaHei", "PingFang SC", "Arial Unicode MS",
)  # fmt: skip


@dataclass(frozen=True)
class Look:
    """How one class is drawn; no two of twenty classes have the same colour and marker."""

    text: str
    """Name, safe to draw."""
    colour: str
    marker: str
    line: str
    """Line style, where there is no marker; it changes with the marker."""


@cache
def _fonts() -> list:
    """Return the style's font, then the fallbacks that are installed; the style then uses all."""
    installed = set(font_manager.fontManager.get_font_names())
    names = ["DejaVu Sans", *[name for name in _FALLBACKS if name in installed]]
    style.plt.rcParams["font.family"] = names
    return [font_manager.get_font(font_manager.findfont(name)) for name in names]


def _shown(character: str) -> str:
    code = ord(character)
    if character == "\n" or any(font.get_char_index(code) for font in _fonts()):
        return character
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def drawn(text: str) -> str:
    """Return a text so that a figure shows it as it is: no mathematics, nothing hidden."""
    shown = "".join(map(_shown, str(text))).replace("$", r"\$")
    # A character without width: legends leave out what begins with an underscore.
    return f"\u200b{shown}" if shown.startswith("_") else shown


def shortened(text: str, longest: int) -> str:
    """Return a text without its middle where it is too long; ends tell identifiers apart."""
    if len(text) <= longest:
        return text
    kept = max(2, longest - 1)
    return f"{text[: kept // 2]}…{text[len(text) - (kept - kept // 2) :]}"


def fitting(text: str, width_pt: float, size_pt: float = style.SMALL_PT) -> str:
    """Return a text, safe to draw, in lines no wider than a place.

    Parameters
    ----------
    text
        What to write; two spaces are where a line may break.
    width_pt, size_pt
        Width of the place and size of the type in points. A line without a break loses its middle.
    """
    lines: list[str] = []
    for part in text.split("  "):
        longer = f"{lines[-1]}  {part}" if lines else part
        if lines and _width_pt(longer, size_pt) <= width_pt:
            lines[-1] = longer
        else:
            lines.append(_narrowed(part, width_pt, size_pt))
    return drawn("\n".join(lines))


def _narrowed(text: str, width_pt: float, size_pt: float) -> str:
    # No character is narrower than a quarter of the type's size.
    longest = min(len(text), int(4 * width_pt / size_pt))
    while longest > 3 and _width_pt(shortened(text, longest), size_pt) > width_pt:
        longest -= 1
    return shortened(text, longest)


def _width_pt(text: str, size_pt: float) -> float:
    _fonts()
    properties = font_manager.FontProperties(family=style.plt.rcParams["font.family"], size=size_pt)
    shown = "".join(map(_shown, text))
    return text_to_path.get_text_width_height_descent(shown, properties, ismath=False)[0]


def class_texts(
    names: Iterable[str], readable: Mapping[str, str] = CLASS_NAMES, longest: int = _LONGEST
) -> dict[str, str]:
    """Return a text for each class that no other has.

    Parameters
    ----------
    names
        All classes of the figure, as the table writes them; "" is `NO_CLASS`.
    readable
        Better names of known ones, used where no other class of the figure has that text.
    longest
        Characters.
    """
    names = list(dict.fromkeys(str(name) for name in names))
    better = {name: readable.get(name, name or NO_CLASS) for name in names}
    folded = [text.casefold() for text in better.values()]
    # As written where a better name would be another class's.
    texts = {n: t if folded.count(t.casefold()) == 1 else n for n, t in better.items()}
    taken: set[str] = set()
    for name, text in texts.items():
        short = new = shortened(" ".join(text.split()) or repr(name), longest)
        for number in itertools.count(2):
            if new not in taken:
                break
            new = f"{short} ({number})"
        taken.add(new)
        texts[name] = new
    return texts


def class_looks(names: Iterable[str]) -> dict[str, Look]:
    """Return a look per class in the order of the figures, "" (no class, grey) last.

    Parameters
    ----------
    names
        Classes of all galaxies of a figure, or one of each; gaps are no class.
    """
    found = {"" if name is None or name != name else str(name) for name in names}
    order = [name for name in CLASS_COLOURS if name in found]
    order += sorted(found - {*order, ""})
    texts = class_texts([*order, ""])
    looks = {
        name: Look(drawn(texts[name]), CLASS_COLOURS[name], CLASS_MARKERS[name], _LINES[0])
        for name in order
        if name in CLASS_COLOURS
    }
    free = [colour for colour in _PALETTE if colour not in [look.colour for look in looks.values()]]
    # All colours that are left with one marker, then every colour with the next.
    pairs = [(0, colour) for colour in free]
    pairs += itertools.product(range(1, len(_OTHER_MARKERS)), _PALETTE)
    others = [name for name in order if name not in looks]
    for name, (turn, colour) in zip(others, itertools.cycle(pairs), strict=False):
        line = _LINES[turn % len(_LINES)]
        looks[name] = Look(drawn(texts[name]), colour, _OTHER_MARKERS[turn], line)
    if "" in found:
        looks[""] = Look(NO_CLASS, COLOURS["grey"], "o", _LINES[0])
    return looks


def matrix_columns(n_classes: int, n_matrices: int, most: int, cell_pt: float = _LINE_PT) -> int:
    """Return how many confusion matrices beside each other leave every name of a class legible.

    Parameters
    ----------
    n_classes, n_matrices
        Size of a matrix, and how many there are.
    most
        Columns where classes are few.
    cell_pt
        Smallest side of a cell in points.
    """
    room_pt = 72 * style.PAGE_WIDTH_INCH - _NAMES_PT
    columns = max(1, min(most, n_matrices, int(room_pt / (n_classes * cell_pt))))
    return -(-n_matrices // -(-n_matrices // columns))  # rows of the same length, where it goes
