"""``advtasks generate TEXT... -o OUT --model RUN``: pictures of texts."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from advtasks.causes import said
from advtasks.errors import UsageError
from advtasks.seeds import parse_seeds


@dataclass(frozen=True, kw_only=True)
class Generate:
    """Make pictures of texts: for each text and seed OUT/TEXT_seedN.png. The same text, seed and model always give the
    same picture. What is to be said besides the files goes to the standard error."""

    texts: tyro.conf.Positional[tuple[str, ...]] = ()
    """What the pictures show, each in quotes."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Folder to write to; what is there already is left, and named."""
    model: Path
    """Run folder or bundle."""
    prompts: Path | None = None
    """File with more texts, one a line."""
    seeds: str = "0"
    """Like 0-7 or 0,3,5-6."""
    truncation: float = 1.0
    """Below 1: noise nearer to its mean, so pictures are safer and less varied."""
    guidance: float = 1.0
    """Above 1: further along the way from no text to the text; for models that were trained with --caption-dropout."""
    grid: Path | None = None
    """Also write all pictures as one PNG, a row for each text, with the texts below. One that is there is left."""
    between: int = 0
    """Steps of a strip from the first of two texts to the second, or from the first of two seeds to the second;
    written as OUT/between.png and, moving, OUT/between.gif instead of single pictures."""
    encoder: str | None = None
    """Where the model's text encoder lies, if not where it lay in training: transformers:model=FOLDER."""
    device: str = "auto"
    """cpu, cuda, cuda:1; auto takes a GPU where there is one."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print what was made as JSON."""


@dataclass(frozen=True)
class Made:
    """A picture that was written."""

    file: str
    text: str
    seed: int
    cut_tokens: int
    """Of the text, beyond what the encoder takes."""


def main(argv: list[str]) -> int:
    """Run the command; gives its exit code."""
    options = tyro.cli(Generate, prog="advtasks generate", args=argv)
    texts, seeds = [*options.texts, *_file(options.prompts)], parse_seeds(options.seeds)
    _check(options, texts, seeds)

    from advtasks.reporting.pictures import save_picture
    from advtasks_text2image.sampler import Sampler
    from advtasks_text2image.sheet import sheet

    sampler = Sampler.load(options.model, options.device, options.encoder)
    if options.guidance != 1 and not sampler.knows_no_text:
        raise UsageError(
            f"--guidance {options.guidance:g}: {options.model} was trained without --caption-dropout and does not "
            "know what no text is"
        )
    for text in sampler.unknown(texts):
        _say(f"warning: {sampler.encoder.name} knows no word of {text!r}")
    options.out.mkdir(parents=True, exist_ok=True)
    if options.between:
        return _between(options, sampler, texts, seeds)
    grid = options.grid if options.grid is not None and not _is_there(options.grid) else None
    made, rows = [], []
    names = _names(texts)
    for text, name in zip(texts, names, strict=True):
        targets = {seed: options.out / f"{name}_seed{seed}.png" for seed in seeds}
        missing = [seed for seed in seeds if not _is_there(targets[seed])]
        wanted = missing if grid is None else seeds
        if not wanted:
            continue
        pictures = sampler(text, wanted, options.truncation, options.guidance)
        if grid is not None:
            rows.append(pictures)
        cut = sampler.cut(text)
        if cut:
            _say(f"warning: {cut} tokens of {text[:60]!r} are beyond what {sampler.encoder.name} takes")
        for seed, picture in zip(wanted, pictures, strict=True):
            if seed not in missing:
                continue
            save_picture(targets[seed], picture)
            made.append(Made(str(targets[seed]), text, seed, cut))
            if not options.json:
                print(targets[seed])
    if grid is not None:
        import torch

        labels = [text for text in texts for _ in seeds]
        save_picture(grid, sheet(torch.cat(rows), labels, columns=len(seeds)))
    if options.json:
        print(json.dumps([dataclasses.asdict(one) for one in made], indent=2))
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _is_there(target: Path) -> bool:
    found = target.exists()
    if found:
        _say(f"{target} is there already; left as it is")
    return found


def _between(options: Generate, sampler: object, texts: list[str], seeds: list[int]) -> int:
    import numpy as np
    import torch
    from PIL import Image

    from advtasks.atomic import atomic_path
    from advtasks.reporting.pictures import save_picture, to_rgb8
    from advtasks_text2image.sampler import Sampler

    assert isinstance(sampler, Sampler)
    targets = [options.out / f"between{suffix}" for suffix in (".png", ".gif")]
    if [target for target in targets if _is_there(target)]:
        return 0
    ends = [(texts[0], seeds[0]), (texts[-1], seeds[-1])]
    pictures = sampler.between(ends[0], ends[1], options.between, options.truncation, options.guidance)
    save_picture(targets[0], torch.cat(list(pictures), 2))
    frames = [Image.fromarray(np.asarray(to_rgb8(picture))) for picture in pictures]
    frames += frames[-2:0:-1]  # and back
    with atomic_path(targets[1]) as temporary:
        frames[0].save(temporary, format="GIF", save_all=True, append_images=frames[1:], duration=100, loop=0)
    if options.json:
        print(json.dumps([{"file": str(target), "from": ends[0], "to": ends[1]} for target in targets], indent=2))
    else:
        print(*targets, sep="\n")
    return 0


def _file(prompts: Path | None) -> list[str]:
    if prompts is None:
        return []
    try:
        return [line.strip() for line in prompts.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise UsageError(f"--prompts {prompts}: not text in UTF-8 ({error.reason})") from None
    except OSError as error:
        raise UsageError(f"--prompts {prompts}: cannot be read ({said(error)})") from None


def _check(options: Generate, texts: list[str], seeds: list[int]) -> None:
    if not texts:
        raise UsageError('say what to show: advtasks generate "a red apple" -o OUT --model RUN')
    if any(not text.strip() for text in texts):
        raise UsageError("a text is empty: write what the picture shows between the quotes")
    if not 0 < options.truncation <= 1:
        raise UsageError(f"--truncation must lie above 0 and at most at 1, got {options.truncation:g}")
    if not 0 <= options.guidance < math.inf:
        raise UsageError(f"--guidance must be at least 0 and finite, got {options.guidance:g}")
    if options.grid is not None and options.grid.suffix.lower() != ".png":
        raise UsageError(f"--grid {options.grid}: is written as PNG; give a name that ends in .png")
    if options.out.exists() and not options.out.is_dir():
        raise UsageError(f"-o {options.out}: is a file, and pictures go into a folder")
    if options.between:
        if options.grid is not None:
            raise UsageError("--between makes a strip and no --grid: leave one of them out")
        if options.between < 2:
            raise UsageError(f"--between must be at least 2 steps, got {options.between}")
        if (len(texts), len(seeds)) not in ((2, 1), (1, 2), (2, 2)):
            raise UsageError("--between goes from one text to another, or from one seed to another: give two of them")


def _names(texts: list[str]) -> list[str]:
    """File names that texts may have, each once."""
    found: dict[str, None] = {}
    numbers: Counter[str] = Counter()
    for text in texts:
        name = base = re.sub(r"[^\w]+", "-", text.casefold()).strip("-_")[:60] or "text"
        while name in found:
            numbers[base] += 1
            name = f"{base}-{numbers[base] + 1}"
        found[name] = None
    return list(found)
