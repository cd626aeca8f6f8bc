"""Makes pictures with captions: Microsoft's flat Fluent emoji (MIT) on white, from two npm packages.

    python datasets/make_emoji.py --out DIR [--size 64] [--no-skin-tones]

DIR gets a PNG an emoji, metadata.jsonl (the imagefolder form of Hugging Face: file_name; text, a list of captions;
category; kind), manifest.json and LICENSES.md. The captions are the emoji's name, and the name with its most common
keywords, from emojibase-data. Needs resvg-py, and npm or --packages. Stopped, the same command goes on where it was.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import fluent_emoji as fluent

SIZE = 64
KEYWORDS = 3  # of the second caption
WORDS = re.compile(r"[A-Za-z]{3,}(?:[ -][A-Za-z]+)*")
NAME_FILES = ("en/data.json", "en/messages.json", "LICENSE")
ABOUT = "Emoji in flat colour on white, each with captions."
# How the kinds of the shipped sample begin: pictures of things, many of a kind, no lettering and no small scenes.
SAMPLE_KINDS = (
    *("face-", "cat-face", "monkey-face", "heart", "animal-", "plant-", "food-", "drink", "clothing", "sport"),
    *("sky-weather", "time", "transport-ground", "transport-water", "transport-air", "hand-fingers-"),
    *("hand-single-finger", "musical-instrument", "geometric", "award-medal"),
)
SAMPLE_WITHOUT = ("middle-finger", "white-square-button", "black-square-button")


@dataclass(frozen=True)
class Emoji:
    """A picture to draw, with its captions; `tone` is whether a skin tone is part of it.

    Files are called by `code`, the Unicode characters: Hugging Face takes train.png and test-tube.png for splits, and
    then nothing else.
    """

    name: str
    code: str
    captions: tuple[str, ...]
    category: str
    kind: str
    tone: bool


def emoji(flat: fluent.Package, names: fluent.Package) -> list[Emoji]:
    """All emoji that have a drawing and a name, sorted by name; of equal drawings only the first."""
    icons = flat.read("icons.json")["icons"]
    by_code = {_code(code): name for code, name in flat.read("chars.json").items() if name in icons}
    messages = names.read("en/messages.json")
    categories = {group["order"]: group["message"] for group in messages["groups"]}
    kinds = {group["order"]: group["key"] for group in messages["subgroups"]}
    data = names.read("en/data.json")
    common = Counter(tag for entry in data if _code(entry["hexcode"]) in by_code for tag in entry.get("tags", ()))
    found = {}
    for base in data:
        for entry in (base, *base.get("skins", ())):
            code = _code(entry["hexcode"])
            name = by_code.get(code)
            if name is not None and "group" in base:
                said = captions(entry["label"], base.get("tags", ()), common)
                category, kind = categories[base["group"]], kinds[base["subgroup"]]
                found[name] = Emoji(name, code, said, category, kind, entry is not base)
    first: dict[str, Emoji] = {}
    for name in sorted(found):
        first.setdefault(icons[name]["body"], found[name])
    return list(first.values())


def captions(label: str, tags: Sequence[str], common: Counter[str]) -> tuple[str, ...]:
    """The name, and the name with those keywords that it does not hold and that most emoji share (words only)."""
    name = label.replace("“", "").replace("”", "").replace("’", "'").replace(": ", ", ")
    words = set(re.findall(r"[\w'-]+", name.lower()))
    new = [tag for tag in tags if common[tag] > 1 and WORDS.fullmatch(tag) and not set(tag.lower().split()) <= words]
    new.sort(key=lambda tag: (-common[tag], tag))
    return (name, ", ".join([name, *new[:KEYWORDS]])) if new else (name,)


def _code(code: str) -> str:
    return code.lower().replace("-fe0f", "")


def make(
    flat: fluent.Package, names: fluent.Package, out: Path, size: int, only: bool, tones: bool, draw: fluent.Draw
) -> int:
    """Draw what is not there yet, then write captions and manifest; how many pictures the set has."""
    icons = flat.read("icons.json")
    chosen = [one for one in emoji(flat, names) if tones or not one.tone]
    if only:
        chosen = [
            one for one in chosen if one.kind.startswith(SAMPLE_KINDS) and not one.name.startswith(SAMPLE_WITHOUT)
        ]
    by_name = {one.name: one for one in chosen}
    settings = {"size": size, "sample": only, "skin_tones": tones, "sources": [flat.source(), names.source()]}
    fluent.begin(out, settings)
    rows, lines = [], []
    for name in fluent.progress(list(by_name), "pictures"):
        one = by_name[name]
        path = out / f"{one.code}.png"
        if not fluent.is_drawn(path, size):
            fluent.write(path, fluent.png(draw(fluent.svg(icons, name, fluent.height(icons, name)), size)))
        rows.append({"file": path.name, "sha256": fluent.sha256(path.read_bytes())})
        said = {"file_name": path.name, "text": one.captions, "category": one.category, "kind": one.kind}
        lines.append(json.dumps(said, ensure_ascii=False))
    metadata = "".join(f"{line}\n" for line in lines).encode()
    fluent.write(out / "metadata.jsonl", metadata)
    about = {
        "description": ABOUT,
        "author": "Microsoft Corporation (pictures); Unicode, Inc. and Miles Johnson (names and keywords)",
        "licence": "MIT (pictures); MIT and Unicode-3.0 (names and keywords)",
        "url": "https://github.com/microsoft/fluentui-emoji",
        "changes": f"drawn at {size}x{size} on white; captions put together from names and keywords",
        **settings,
        "metadata_sha256": fluent.sha256(metadata),
        "counts": dict(Counter(one.category for one in chosen).most_common()),
    }
    fluent.finish(out, about, rows, licences(flat, names))
    return len(rows)


def licences(flat: fluent.Package, names: fluent.Package) -> str:
    """LICENSES.md."""
    table = "\n".join(f"| {package.name} | {package.version} | {package.licence} |" for package in (flat, names))
    notice = next(line for line in names.files["LICENSE"].decode().splitlines() if line.startswith("Copyright"))
    unicode = Path(__file__).with_name("unicode-license-v3.txt").read_text(encoding="utf-8")
    return (
        "# Licences of the emoji and their captions\n\nThe pictures are flat Fluent emoji by Microsoft Corporation "
        "(https://github.com/microsoft/fluentui-emoji), MIT licence; drawn as\npixels on white. The captions are put "
        "together from names and keywords of emojibase-data (MIT licence), which takes them from the\nUnicode Common "
        "Locale Data Repository (Unicode License v3). These packages of the npm registry were used, with the licence "
        f"each states:\n\n| package | version | licence |\n| --- | --- | --- |\n{table}\n\n## Pictures\n\n"
        f"{fluent.MIT.format(copyright=fluent.MICROSOFT)}\n## Names and keywords: emojibase-data\n\n"
        f"{fluent.MIT.format(copyright=notice)}\n## Names and keywords: Unicode\n\n{unicode}"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = fluent.options(__doc__, SIZE, SIZE)
    parser.add_argument("--no-skin-tones", action="store_true", help="leave the variants in five skin tones out")
    given = parser.parse_args(arguments)
    draw = fluent.resvg()
    flat = fluent.package(fluent.FLAT, ("icons.json", "chars.json"), given.packages)
    names = fluent.package(fluent.NAMES, NAME_FILES, given.packages)
    size = given.size or SIZE
    count = make(flat, names, given.out, size, given.sample, not given.no_skin_tones, draw)
    print(f"{count} pictures of {size}x{size} with captions in {given.out}")


if __name__ == "__main__":
    fluent.run(main)
