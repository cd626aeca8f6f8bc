"""Makes datasets/photos from the original files of the packages that manifest.json names.

    python datasets/make_photos.py FOLDER

FOLDER holds the unpacked packages, in any sub-folders: Debian's lomiri-wallpapers-16.04 and -20.04, and the wheels of
scikit-image and scikit-learn. Each original is turned upright, shrunk to a long side of 1024 pixels where it is larger,
and written as JPEG of quality 90 without chroma subsampling and without metadata.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

from PIL import Image, ImageOps

LONGEST = 1024
QUALITY = 90
WALLPAPERS = "lomiri-wallpapers 20.04.0-2 (Debian)"
SCIKIT_IMAGE = "scikit-image 0.26.0 (PyPI)"
SCIKIT_LEARN = "scikit-learn 1.9.1 (PyPI)"

# file, title, author, licence, package, original file name
PICTURES = [
    ("bridge-cables.jpg", "Bridge", "Sander Klootwijk", "CC-BY-SA-4.0", WALLPAPERS, "Bridge_by_Sander_Klootwijk.jpg"),
    ("dragonfly.jpg", "Dragonfly", "Bolly", "CC-BY-SA-4.0", WALLPAPERS, "Dragonfly_by_Bolly.jpg"),
    ("fig-in-bowl.jpg", "Picture 0B", 'Trevor "Freespace"', "CC-BY-4.0", WALLPAPERS, "Picture_0B_by_freespace.jpg"),
    ("paint-brushes.jpg", "Picture 1A", 'Trevor "Freespace"', "CC-BY-4.0", WALLPAPERS, "Picture_1A_by_freespace.jpg"),
    ("drum-and-wine.jpg", "Wine", "Jakub Mede", "CC-BY-4.0", WALLPAPERS, "Wine_by_Jakkub_Mede.jpg"),
    (
        "autumn-ridge.jpg",
        "Aitzgorri",
        "Aitzol Berasategi",
        "CC-BY-4.0",
        WALLPAPERS,
        "aitzgorri_by_Aitzol_Berasategi.jpg",
    ),
    ("lamp-bird.jpg", "Free", "Peter Nerlich", "CC-BY-SA-4.0", WALLPAPERS, "free_by_Peter_Nerlich.jpg"),
    ("two-dogs.jpg", "Friends", "Aitzol Berasategi", "CC-BY-4.0", WALLPAPERS, "friends_by_Aitzol_Berasategi.jpg"),
    ("wall-clock.jpg", "Greentock", "Peter Nerlich", "CC-BY-SA-4.0", WALLPAPERS, "greentock_by_Peter_Nerlich.jpg"),
    ("forest-stream.jpg", "Life", "Aitzol Berasategi", "CC-BY-4.0", WALLPAPERS, "life_by_Aitzol_Berasategi.jpg"),
    (
        "mountain-path.jpg",
        "Picos de Europa",
        "Aitzol Berasategi",
        "CC-BY-4.0",
        WALLPAPERS,
        "picosdeeuropa_by_Aitzol_Berasategi.jpg",
    ),
    ("dandelions.jpg", "Seeding", "Clemens Engelhardt", "CC0-1.0", WALLPAPERS, "seeding_by_Clements_Engelhardt.jpg"),
    ("sunset-hill.jpg", "Sunset", "Aitzol Berasategi", "CC-BY-4.0", WALLPAPERS, "sunset_by_Aitzol_Berasategi.jpg"),
    ("nuthatch.jpg", "Kleiber", "Lukas Baubkus", "CC-BY-SA-3.0", WALLPAPERS, "Kleiber_by_Lukas_Baubkus.jpg"),
    ("astronaut.jpg", "Eileen Collins", "NASA", "public domain", SCIKIT_IMAGE, "astronaut.png"),
    ("cat.jpg", "Chelsea", "Stéfan van der Walt", "CC0-1.0", SCIKIT_IMAGE, "chelsea.png"),
    ("espresso.jpg", "Coffee", "Rachel Michetti", "CC0-1.0", SCIKIT_IMAGE, "coffee.png"),
    ("rocket.jpg", "Rocket launch", "SpaceX", "public domain", SCIKIT_IMAGE, "rocket.jpg"),
    ("palace.jpg", "China", "danielbuechele", "CC-BY-2.0", SCIKIT_LEARN, "china.jpg"),
]
URLS = {  # where the packages' own files name an original
    "astronaut.jpg": "https://flic.kr/p/r9qvLn",
    "rocket.jpg": "https://www.flickr.com/photos/spacexphotos/16511594820/",
    "palace.jpg": "https://www.flickr.com/photos/danielbuechele/6061409035/",
}
LICENCES = {
    "CC0-1.0": "https://creativecommons.org/publicdomain/zero/1.0/",
    "CC-BY-2.0": "https://creativecommons.org/licenses/by/2.0/",
    "CC-BY-4.0": "https://creativecommons.org/licenses/by/4.0/",
    "CC-BY-SA-3.0": "https://creativecommons.org/licenses/by-sa/3.0/",
    "CC-BY-SA-4.0": "https://creativecommons.org/licenses/by-sa/4.0/",
    "public domain": "",
}


def make(originals: Path, out: Path) -> None:
    """Write the pictures, manifest.json and LICENSES.md."""
    entries = []
    for name, title, author, licence, package, original in PICTURES:
        found = sorted(originals.rglob(original))
        if not found:
            raise SystemExit(f"{original} of {package} is not below {originals}")
        source = found[0]
        with Image.open(source) as image:
            upright = ImageOps.exif_transpose(image).convert("RGB")
        before = upright.size
        upright.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
        upright.save(out / name, "JPEG", quality=QUALITY, subsampling=0, optimize=True)
        resized = "" if upright.size == before else f"resized from {before[0]}x{before[1]}, "
        entries.append(
            {
                "file": name,
                "title": title,
                "author": author,
                "licence": licence,
                "licence_text": LICENCES[licence],
                "source": f"{package}: {original}",
                "url": URLS.get(name, ""),
                "changes": f"{resized}encoded as JPEG of quality {QUALITY}",
                "width": upright.width,
                "height": upright.height,
                "sha256": hashlib.sha256((out / name).read_bytes()).hexdigest(),
            }
        )
    text = "Photographs with clear redistribution rights, for training, examples and tests. Licence per file."
    (out / "manifest.json").write_text(
        json.dumps({"description": text, "pictures": entries}, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    lines = ["# Licences of the photographs", "", text, "", "| file | title, author | licence | source | changes |"]
    lines.append("| --- | --- | --- | --- | --- |")
    for entry in entries:
        source = f"[{entry['source']}]({entry['url']})" if entry["url"] else entry["source"]
        licence = f"[{entry['licence']}]({entry['licence_text']})" if entry["licence_text"] else entry["licence"]
        lines.append(
            f'| {entry["file"]} | "{entry["title"]}" by {entry["author"]} | {licence} | {source} | {entry["changes"]} |'
        )
    (out / "LICENSES.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    make(Path(sys.argv[1]), Path(__file__).with_name("photos"))
