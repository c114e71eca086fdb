"""Bring what a finished run says of itself into the documents; of the study, into README as well.

python benchmarks/write_readme_table.py results/study

The summary comes to docs/NAME_summary.md, the study's figures to docs/images/study/. Every number
and verdict of README's table stands in the study's summary, the page that the run wrote itself; a
test compares the two.
"""

import argparse
import json
import math
import re
import shutil
import sys
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
IN_README = "study"
SUMMARY = ROOT / "docs" / f"{IN_README}_summary.md"
MARKS = ("<!-- results -->", "<!-- /results -->")
HEAD = ("claim of the paper", "paper", IN_README, f"in the {IN_README}")

# What is claimed; its picture; rows of the summary (item, models) and its claim. Of items and
# claims whose name begins or ends as said, `first` and `last` choose one: sizes differ from run to
# run. Pictures of galaxies are kept as JPEG, plots as PNG.
FEW_LABELS = "labels a class: lvm_finetuned above ResNet18, from scratch"
HEADLINES = (
    ("multi_active classifies best: accuracy of multi_active, multi_uniform, pre_train",
     "classification.png",
     "table 1", ("multi_active", "multi_uniform", "pre_train"), "multi_active classifies best"),
    ("restoration: multi_active > multi_uniform > pre_train > blurred, PSNR [dB]",
     "restoration_examples.jpg",
     "table 2", ("multi_active", "multi_uniform", "pre_train", "blurred"),
     "restoration: multi_active > multi_uniform > pre_train > blurred"),
    ("reconstruction: multi_active > multi_uniform > pre_train > masked, PSNR [dB]",
     "fig04_reconstruction.jpg",
     "table 3", ("multi_active", "multi_uniform", "pre_train", "masked"),
     "reconstruction: multi_active > multi_uniform > pre_train > masked"),
    ("{item}: LVM fine-tuned above ResNet18 from scratch, accuracy",
     "fig05_few_shot.png",
     "first figure 5,", ("lvm_finetuned", "resnet18"), "first " + FEW_LABELS),
    ("{item}: the same",
     "fig05_few_shot.png",
     "last figure 5,", ("lvm_finetuned", "resnet18"), "last " + FEW_LABELS),
    ("strong lenses: Mask R-CNN on the LVM above that on ResNet50, AP of boxes",
     "fig06_lens_detection.jpg",
     "last figure 6,", ("lvm", "resnet50"), "lenses: lvm above resnet50, AP of boxes"),
    ("one step of the loop (20 labels) above 30 labels without, AUPR",
     "fig10_hitl.png",
     (("figure 10, 20 labels", "lvm_hitl"), ("figure 10, 30 labels", "lvm")), (),
     "LVM + HITL above LVM, train=30"),
    ("one step of the loop (20 labels) above ResNet18 with 100, AUPR",
     "fig10_hitl.png",
     (("figure 10, 20 labels", "lvm_hitl"), ("figure 10, 100 labels", "resnet18")), (),
     "LVM + HITL above ResNet18, train=100"),
)  # fmt: skip


def cells(line: str) -> list[str]:
    """Return the cells of a line of a Markdown table."""
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def read_summary(text: str) -> tuple[dict[tuple[str, str], list[str]], dict[str, str]]:
    """Return (item, model) -> [metric, ours, interval, paper], and claim -> verdict."""
    numbers, verdicts = {}, {}
    for line in text.splitlines():
        row = cells(line) if line.startswith("|") else []
        if len(row) == 6:
            numbers[tuple(row[:2])] = row[2:]
        elif len(row) == 3:
            verdicts[row[0]] = row[1]
    return numbers, verdicts


def chosen(names: list[str], wanted: str) -> str:
    """Return the name that is meant; see HEADLINES."""
    place, _, part = wanted.partition(" ")
    if place not in ("first", "last"):
        return wanted
    found = [name for name in names if name.startswith(part) or name.endswith(part)]
    return found[0 if place == "first" else -1]


def headline(numbers: dict, verdicts: dict, about: tuple) -> tuple[str, ...]:
    """Return one row of README's table."""
    what, picture, items, models, claim = about
    claim = chosen(list(verdicts), claim)
    if models:
        item = chosen([name for name, _ in numbers], items)
        what, places = what.format(item=item), [(item, model) for model in models]
    else:
        places = items
    found = [numbers[place] for place in places]
    printed = [row[3] for row in found]
    paper = "-" if set(printed) == {"-"} else ", ".join(printed)
    what = f"[{what}](docs/images/{IN_README}/{picture})"
    return what, paper, ", ".join(row[1] for row in found), verdicts[claim]


def table_of(summary: str) -> str:
    """Return README's table, of the page that a run wrote of itself."""
    numbers, verdicts = read_summary(summary)
    rows = [headline(numbers, verdicts, about) for about in HEADLINES]
    return "\n".join("| " + " | ".join(line) + " |" for line in (HEAD, ("---",) * 4, *rows))


def copy_pictures(figures: Path, folder: Path) -> None:
    """Bring the figures that the rows lead to, those of galaxies a fifth of their size."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in {picture for _, picture, *_ in HEADLINES}:
        source = figures / Path(name).with_suffix(".png")
        if name.endswith(".png"):
            shutil.copyfile(source, folder / name)
        else:
            Image.open(source).convert("RGB").save(folder / name, quality=85, optimize=True)


def origin(run: Path) -> str:
    """Return in a sentence which run a summary is of."""
    record = json.loads((run / "tables" / "provenance.json").read_text(encoding="utf-8"))
    about, machine = record["Run"], record["Machine that made this page"]
    seconds = [rule["cpu_s"] for rule in record["costs"]]
    minutes = sum(s for s in seconds if s is not None and not math.isnan(s)) / 60
    return (
        f"What `config/{run.name}.yaml` gives, as the run wrote it: commit {about['commit'][:7]}, "
        f"ended {about['last job ended']}, {machine['cores']} cores ({machine['instructions']}), "
        f"at least {minutes:.0f} minutes of CPU in its jobs.\n\n"
    )


def main(run: Path) -> None:
    """Write all three."""
    summary = (run / "tables" / "summary.md").read_text(encoding="utf-8")
    page = ROOT / "docs" / f"{run.name}_summary.md"
    page.write_text(origin(run) + summary, encoding="utf-8")
    if run.name != IN_README:
        return
    copy_pictures(run / "figures", ROOT / "docs" / "images" / run.name)
    table = table_of(SUMMARY.read_text(encoding="utf-8"))
    readme = ROOT / "README.md"
    found = re.sub(
        f"(?s){MARKS[0]}.*{MARKS[1]}",
        lambda _: f"{MARKS[0]}\n{table}\n{MARKS[1]}",
        readme.read_text(encoding="utf-8"),
    )
    readme.write_text(found, encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    sys.exit(main(parser.parse_args().run))
