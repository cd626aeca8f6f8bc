"""What make_pairs.py and make_emoji.py share: packages of the npm registry, drawing Fluent emoji, and writing a set."""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

Draw = Callable[[str, int], Image.Image]  # an SVG and a side in pixels give a square RGB picture on white

FLAT = "@iconify-json/fluent-emoji-flat"
LINE = "@iconify-json/fluent-emoji-high-contrast"
NAMES = "emojibase-data"
VERSIONS = {FLAT: "1.2.6", LINE: "1.2.6", NAMES: "17.0.0"}
BEGUN = ".begun.json"
MICROSOFT = "Copyright (c) Microsoft Corporation."
MIT = """    MIT License

    {copyright}

    Permission is hereby granted, free of charge, to any person obtaining a copy
    of this software and associated documentation files (the "Software"), to deal
    in the Software without restriction, including without limitation the rights
    to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
    copies of the Software, and to permit persons to whom the Software is
    furnished to do so, subject to the following conditions:

    The above copyright notice and this permission notice shall be included in all
    copies or substantial portions of the Software.

    THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
    IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
    FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
    AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
    LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
    OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
    SOFTWARE.
"""


@dataclass(frozen=True)
class Package:
    """An npm package: name, version, licence as its package.json says, and the bytes of the files asked for."""

    name: str
    version: str
    licence: str
    files: dict[str, bytes]

    def read(self, file: str) -> Any:
        """The content of a JSON file."""
        return json.loads(self.files[file])

    def source(self) -> dict[str, Any]:
        """How the manifest names the package."""
        hashes = {file: sha256(data) for file, data in sorted(self.files.items())}
        return {"package": f"{self.name} (npm)", "version": self.version, "licence": self.licence, "sha256": hashes}


def sha256(data: bytes) -> str:
    """Hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def package(name: str, files: Sequence[str], folder: Path | None) -> Package:
    """The package from `folder` (unpacked, or as `npm pack` writes it, in any sub-folder), else through npm."""
    if folder is None:
        with tempfile.TemporaryDirectory() as temporary:
            return _from_tarball(_npm_pack(name, Path(temporary)), files)
    for found in sorted(folder.rglob("package.json")):
        try:
            about = json.loads(found.read_bytes())
        except ValueError:  # somebody's test data
            continue
        if isinstance(about, dict) and about.get("name") == name:
            missing = [file for file in files if not (found.parent / file).is_file()]
            if missing:
                raise SystemExit(f"{found.parent}: {missing[0]} of {name} is not there")
            data = {file: (found.parent / file).read_bytes() for file in files}
            return Package(name, about["version"], about.get("license", ""), data)
    flat_name = name.replace("@", "").replace("/", "-")
    for found in sorted(folder.rglob(f"{flat_name}-[0-9]*.tgz")):
        return _from_tarball(found, files)
    raise SystemExit(f"{folder}: {name} is not in this folder, neither unpacked nor as {flat_name}-VERSION.tgz")


def _npm_pack(name: str, folder: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise SystemExit(
            "npm is not installed. It comes with Node.js (Debian: apt-get install npm); or fetch the packages "
            f"elsewhere with `npm pack {name}@{VERSIONS[name]}` and give their folder with --packages"
        )
    print(f"npm pack {name}@{VERSIONS[name]}", file=sys.stderr)
    done = subprocess.run(
        [npm, "pack", f"{name}@{VERSIONS[name]}", "--pack-destination", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    tarballs = sorted(folder.glob("*.tgz"))
    if done.returncode or not tarballs:
        said = "\n".join(done.stderr.strip().splitlines()[-5:])
        raise SystemExit(f"npm could not fetch {name}@{VERSIONS[name]}:\n{said}")
    return tarballs[0]


def _from_tarball(path: Path, files: Sequence[str]) -> Package:
    data = {}
    try:
        with tarfile.open(path) as archive:
            for file in ("package.json", *files):
                if (member := archive.extractfile(f"package/{file}")) is None:
                    raise KeyError(f"{file} is not a file")
                data[file] = member.read()
    except (tarfile.TarError, EOFError, OSError, KeyError) as error:
        raise SystemExit(f"{path} is broken or not the package expected: {error}") from None
    about = json.loads(data.pop("package.json"))
    return Package(about["name"], about["version"], about.get("license", ""), data)


def height(icons: dict[str, Any], name: str) -> int:
    """Of the drawing, in its own units: 32, rarely more."""
    return int(icons["icons"][name].get("height", icons.get("height", 32)))


def svg(icons: dict[str, Any], name: str, side: int) -> str:
    """The drawing in a square of `side` units, at the top and in the middle; `currentColor` is black."""
    wide = int(icons["icons"][name].get("width", icons.get("width", 32)))
    body = icons["icons"][name]["body"].replace("currentColor", "#000000")
    box = f"{(wide - side) / 2:g} 0 {side} {side}"
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}" width="{side}" height="{side}">{body}</svg>'


def resvg() -> Draw:
    """Draws with resvg-py."""
    try:
        from resvg_py import svg_to_bytes
    except ImportError:
        raise SystemExit("resvg-py draws the emoji and is not installed: pip install resvg-py") from None

    def draw(drawing: str, side: int) -> Image.Image:
        data = svg_to_bytes(svg_string=drawing, background="#ffffff", width=side, height=side, skip_system_fonts=True)
        return Image.open(io.BytesIO(data)).convert("RGB")

    return draw


def write(path: Path, data: bytes) -> None:
    """Write atomically: a reader, or the next run, sees the whole file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def png(picture: Image.Image) -> bytes:
    """A compressed PNG without metadata."""
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return file.getvalue()


def is_drawn(path: Path, side: int) -> bool:
    """Whether an earlier run wrote this picture."""
    try:
        with Image.open(path) as picture:
            return picture.size == (side, side)
    except (FileNotFoundError, UnidentifiedImageError):
        return False


def begin(out: Path, settings: dict[str, Any]) -> None:
    """Note in `out` what is being made; a folder of something else is refused, one begun alike is gone on with."""
    for name in (BEGUN, "manifest.json"):
        if (out / name).is_file():
            before = json.loads((out / name).read_bytes())
            if {key: before.get(key) for key in settings} != settings:
                raise SystemExit(f"{out} holds a set of other settings or versions ({name}); give another --out")
            break
    else:
        if out.is_dir() and any(out.iterdir()):
            raise SystemExit(f"{out} is not empty and not begun by this script; give a new folder with --out")
    write(out / BEGUN, json.dumps(settings, indent=2).encode())


def finish(out: Path, about: dict[str, Any], rows: Iterable[dict[str, Any]], licences: str) -> None:
    """Write manifest.json (a line an entry of ``pictures``) and LICENSES.md."""
    head = json.dumps(about, indent=2, ensure_ascii=False)[:-2]
    lines = ",\n".join("    " + json.dumps(row, ensure_ascii=False) for row in rows)
    write(out / "LICENSES.md", licences.encode())
    write(out / "manifest.json", f'{head},\n  "pictures": [\n{lines}\n  ]\n}}\n'.encode())
    (out / BEGUN).unlink(missing_ok=True)
    for left in out.rglob(".*.tmp"):  # by a run that was killed
        left.unlink()


def progress(names: Sequence[str], what: str) -> Iterator[str]:
    """The names one by one, with a line on standard error: a live one on a terminal, else every tenth part."""
    start, live = time.monotonic(), sys.stderr.isatty()
    for count, name in enumerate(names, 1):
        yield name
        left = (time.monotonic() - start) / count * (len(names) - count)
        if live:
            ending = "\n" if count == len(names) else ""
            print(f"\r{count}/{len(names)} {what}, {left:.0f} s left  ", end=ending, file=sys.stderr, flush=True)
        elif count * 10 // len(names) > (count - 1) * 10 // len(names):
            print(f"{count}/{len(names)} {what}, {left:.0f} s left", file=sys.stderr)


def options(about: str | None, size: int, sample_size: int) -> argparse.ArgumentParser:
    """The options of both makers."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder to make; run again to go on after a stop")
    parser.add_argument("--size", type=side, help=f"side in pixels (default {size}; of the sample {sample_size})")
    parser.add_argument("--packages", type=Path, metavar="DIR", help="npm packages on disk, unpacked or as .tgz")
    parser.add_argument("--sample", action="store_true", help="only the sample that the repository ships")
    return parser


def side(text: str) -> int:
    """A picture's side."""
    if not text.isdecimal() or not 8 <= int(text) <= 2048:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 8 to 2048")
    return int(text)


def run(main: Callable[[Sequence[str] | None], None]) -> None:
    """Call `main`; interrupted, say how to go on and exit 130; a full disk or the like is one line and exit 1."""
    try:
        main(None)
    except OSError as error:
        raise SystemExit(f"{error}; the same command goes on from here") from None
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from here", file=sys.stderr)
        raise SystemExit(130) from None
