"""Makes aligned pairs, line drawing to flat colour, of Microsoft's Fluent emoji (MIT), from two npm packages.

    python datasets/make_pairs.py --out DIR [--size 256]

DIR gets trainA (black lines on white, grey PNG), trainB (flat colour on white, RGB PNG of the same name), valA, valB,
manifest.json and LICENSES.md. Needs resvg-py, and npm or --packages. Stopped, the same command goes on where it was.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fluent_emoji as fluent

SIZE, SAMPLE_SIZE = 256, 128
SAMPLE = 440  # pairs: below 4 MiB also where each file takes whole blocks of 4 KiB
ABOUT = "Aligned pairs: a line drawing (A) and the same emoji in flat colour (B), both on white."
PEOPLE = re.compile(r"\b(?:wo)?m[ae]n\b|\bperson\b|\bpeople\b")


def pair_names(line: dict[str, Any], flat: dict[str, Any]) -> list[str]:
    """The emoji that both sets draw, sorted; of those with a drawing in common only the first."""
    seen: set[str] = set()
    names = []
    for name in sorted(line["icons"].keys() & flat["icons"].keys()):
        drawings = {line["icons"][name]["body"], flat["icons"][name]["body"]}
        if not drawings & seen:
            names.append(name)
        seen |= drawings
    return names


def sample(names: Sequence[str], count: int = SAMPLE) -> list[str]:
    """`count` of the names, chosen by their hash, sorted."""
    return sorted(sorted(names, key=lambda name: fluent.sha256(name.encode()))[:count])


def split(name: str) -> str:
    """``val`` for about a tenth of the names, by hash; man, woman and person of one kind stay together."""
    family = "-".join(filter(None, PEOPLE.sub("", name).split("-"))) or "person"
    return "val" if int(fluent.sha256(family.encode())[:8], 16) % 10 == 0 else "train"


def make(line: fluent.Package, flat: fluent.Package, out: Path, size: int, only: bool, draw: fluent.Draw) -> int:
    """Draw what is not there yet, then write the manifest; how many pairs the set has."""
    lines, flats = line.read("icons.json"), flat.read("icons.json")
    categories = {name: key for key, names in flat.read("metadata.json")["categories"].items() for name in names}
    names = pair_names(lines, flats)
    if only:
        names = sample(names)
    settings = {"size": size, "sample": only, "sources": [line.source(), flat.source()]}
    fluent.begin(out, settings)
    rows = []
    for name in fluent.progress(names, "pairs"):
        folder, side = split(name), max(fluent.height(lines, name), fluent.height(flats, name))
        a, b = (out / f"{folder}{letter}" / f"{name}.png" for letter in "AB")
        if not fluent.is_drawn(a, size):
            fluent.write(a, fluent.png(draw(fluent.svg(lines, name, side), size).convert("L")))
        if not fluent.is_drawn(b, size):
            fluent.write(b, fluent.png(draw(fluent.svg(flats, name, side), size)))
        hashes = {f"sha256_{path.parent.name[-1]}": fluent.sha256(path.read_bytes()) for path in (a, b)}
        rows.append({"name": name, "split": folder, "category": categories.get(name, ""), **hashes})
    about = {
        "description": ABOUT,
        "author": "Microsoft Corporation",
        "licence": "MIT",
        "url": "https://github.com/microsoft/fluentui-emoji",
        "changes": f"drawn at {size}x{size} on white; the lines in black",
        **settings,
        "counts": dict(sorted(Counter(str(row["split"]) for row in rows).items())),
    }
    fluent.finish(out, about, rows, licences([line, flat]))
    return len(rows)


def licences(packages: Sequence[fluent.Package]) -> str:
    """LICENSES.md."""
    table = "\n".join(f"| {package.name} | {package.version} | {package.licence} |" for package in packages)
    return (
        "# Licence of the pairs\n\nAll pictures are Fluent emoji by Microsoft Corporation "
        "(https://github.com/microsoft/fluentui-emoji), MIT licence. Changes: drawn as\npixels on white, the lines in "
        "black. The vector drawings came from these packages of the npm registry, with the\nlicence each states:\n\n"
        f"| package | version | licence |\n| --- | --- | --- |\n{table}\n\n"
        + fluent.MIT.format(copyright=fluent.MICROSOFT)
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    given = fluent.options(__doc__, SIZE, SAMPLE_SIZE).parse_args(arguments)
    draw = fluent.resvg()
    wanted = ("icons.json", "metadata.json")
    line, flat = (fluent.package(name, wanted, given.packages) for name in (fluent.LINE, fluent.FLAT))
    size = given.size or (SAMPLE_SIZE if given.sample else SIZE)
    print(f"{make(line, flat, given.out, size, given.sample, draw)} pairs of {size}x{size} in {given.out}")


if __name__ == "__main__":
    fluent.run(main)
