"""Pictures and what is said of them, whatever layout they come from. Imports no torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Captioned:
    """A picture and what is said of it."""

    path: Path
    captions: tuple[str, ...]


@dataclass(frozen=True)
class Captions:
    """The captioned pictures of a folder."""

    name: str
    """The layout."""
    items: tuple[Captioned, ...]
    uncaptioned: tuple[Path, ...] = ()
    """Pictures that nothing is said of; they are left out."""
    missing: tuple[str, ...] = ()
    """Files that captions name and that are not there."""
    empty: int = 0
    """Captions without a word, left out."""
    passed: tuple[str, ...] = ()
    """Files that look like captions and could not be used, each with the reason."""

    def shared(self) -> list[tuple[str, int]]:
        """Captions that are said of several pictures, and of how many, most first."""
        spelt: dict[str, str] = {}
        pictures: Counter[str] = Counter()
        for item in self.items:
            own = {normalized(caption): caption for caption in item.captions}
            pictures.update(own.keys())
            for key, caption in own.items():
                spelt.setdefault(key, caption)
        return [(spelt[key], count) for key, count in pictures.most_common() if count > 1]

    def summary(self) -> str:
        """Numbers for people."""
        texts = [caption for item in self.items for caption in item.captions]
        words = [len(text.split()) for text in texts]
        parts = [
            f"{len(self.items)} pictures with {len(texts)} captions of {min(words)} to {max(words)} words "
            f"({sum(words) / len(words):.1f} on average)"
        ]
        if shared := self.shared():
            parts.append(f"{len(shared)} captions are said of several pictures")
        if self.empty:
            parts.append(f"{self.empty} empty captions were left out")
        if self.uncaptioned:
            parts.append(f"{len(self.uncaptioned)} pictures without a caption were left out")
        if self.missing:
            parts.append(f"{len(self.missing)} captions are of files that are not there")
        return "; ".join([*parts, *(f"passed over: {reason}" for reason in self.passed)])


@dataclass(frozen=True)
class Reading:
    """What one layout finds in a folder."""

    name: str
    """The layout."""
    pairs: Sequence[tuple[Path, Sequence[str]]] = ()
    """Pictures and captions of theirs; a picture may come several times."""
    missing: Sequence[str] = ()
    """Files that captions name and that are not there."""
    passed: Sequence[str] = ()
    """Why files that look like captions are not used."""

    def collected(self, pictures: Sequence[Path]) -> Captions:
        """Captions by picture, in the order of the files; each said once of a picture."""
        said: dict[Path, list[str]] = {}
        empty = 0
        for path, texts in self.pairs:
            for text in texts:
                clean = " ".join(text.split())
                if not clean:
                    empty += 1
                elif clean not in said.setdefault(path, []):
                    said[path].append(clean)
        items = tuple(Captioned(path, tuple(said[path])) for path in sorted(said) if said[path])
        told = {item.path for item in items}
        alone = tuple(path for path in pictures if path not in told)
        return Captions(self.name, items, alone, tuple(self.missing), empty, tuple(self.passed))


def normalized(caption: str) -> str:
    """For comparing: lower case, single spaces, no full stop at the end."""
    return " ".join(caption.casefold().split()).rstrip(".")
