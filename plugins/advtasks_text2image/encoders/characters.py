"""A character CNN-RNN that is trained on the data set itself and needs nothing else (Reed et al. 2016, CVPR)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, max_pool1d

from advtasks.errors import UsageError
from advtasks.features.weight_files import weights_hash
from advtasks.regularizers import contrastive_loss
from advtasks_text2image.encoders.text_encoder import Encoded, TextEncoder, padded, scaled

LENGTH = 160
"""Bytes of UTF-8 of a text; more are cut."""
_POOLED = 8
"""Bytes a state."""
_BATCH = 64


class CharacterReader(nn.Module):
    """Bytes to an embedding: three convolutions with pooling, a gated recurrent layer, one linear layer, the mean. The
    paper's is of the same shape, wider, and reads 70 letters of English.

    Args:
        width: of the embedding.
        inner: channels of all layers between.
    """

    def __init__(self, width: int, inner: int = 128) -> None:
        super().__init__()
        self.letters = nn.Embedding(256, inner // 2, padding_idx=0)
        sizes = ((inner // 2, inner, 5), (inner, inner, 5), (inner, inner, 3))
        self.convolutions = nn.ModuleList(nn.Conv1d(i, o, kernel, padding=kernel // 2) for i, o, kernel in sizes)
        self.recurrent = nn.GRU(inner, inner, batch_first=True)
        self.last = nn.Linear(inner, width)
        self.register_buffer("mean", torch.zeros(width))

    def forward(self, letters: Tensor) -> tuple[Tensor, Tensor]:
        """Bytes (N, L), 0 behind the end, to embeddings (N, width) and the states before the mean (N, L / 8, width), 0
        behind the end; how far the zeros go on does not matter."""
        x = self.letters(letters).transpose(1, 2)
        there = (letters > 0)[:, None].to(x)
        for convolution in self.convolutions:
            x = max_pool1d(leaky_relu(convolution(x), 0.2) * there, 2)
            there = max_pool1d(there, 2)
        states, _ = self.recurrent(x.transpose(1, 2))
        there = there.transpose(1, 2)
        states = (self.last(states) - self.get_buffer("mean")) * there
        return states.sum(1) / there.sum(1).clamp_min(1), states


class CharacterEncoder(TextEncoder):
    """Learns from the captions and pictures of the data set, before the generator begins, which belong together
    (symmetric contrastive loss against pooled features of a frozen network, where the paper has a margin). The
    bundle carries it.

    Args:
        width: of the embedding.
        steps: of its training, of 64 pictures with a caption each.
    """

    reader: CharacterReader

    def __init__(self, width: int = 128, steps: int = 600) -> None:
        if width < 8 or steps < 1:
            raise UsageError(f"characters: width must be at least 8 and steps at least 1, got {width} and {steps}")
        self.width = self.state_width = width
        self.steps = steps
        self.name = f"characters-{width}-{steps}"
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(0)
            self.reader = CharacterReader(width).eval().requires_grad_(False)

    @property
    def fingerprint(self) -> str:
        """Of the weights at present."""
        return weights_hash(self.reader)

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> Encoded:
        """In batches; any script."""
        found, cut = self._read(texts)
        sentences = [self.reader(part)[0] for part in found.split(_BATCH)]
        return Encoded(scaled(torch.cat(sentences)).clone(), cut)

    @torch.inference_mode()
    def states(self, texts: Sequence[str], count: int) -> Tensor:
        """A state for eight bytes each."""
        found, _ = self._read(texts)
        return padded(torch.cat([self.reader(part)[1] for part in found.split(_BATCH)]), count)

    def learn(
        self,
        captions: Sequence[Sequence[str]],
        features: Tensor,
        identities: Tensor,
        watch: Callable[[int, int], None] = lambda done, of: None,
    ) -> None:
        """Train the reader; what comes out depends on the arguments alone.

        Args:
            captions: of each picture.
            features: (N, d) of the pictures.
            identities: (N,), equal for equal pictures.
            watch: told how many steps are done.
        """
        draws = torch.Generator().manual_seed(0)
        features = (features - features.mean(0)) / features.std(0).clamp_min(1e-6)
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(0)
            head = nn.Linear(features.shape[1], self.width)
            self.reader.requires_grad_(True).train()
            optimizer = torch.optim.Adam([*self.reader.parameters(), *head.parameters()], lr=1e-3, fused=True)
            for step in range(self.steps):
                rows = torch.randperm(len(captions), generator=draws)[:_BATCH]
                picked = [captions[row][int(torch.randint(len(captions[row]), (), generator=draws))] for row in rows]
                same = [[one.casefold() == other.casefold() for other in picked] for one in picked]
                wrong = (identities[rows][:, None] != identities[rows]) & ~torch.tensor(same)
                loss = contrastive_loss(head(features[rows]), self.reader(self._read(picked)[0])[0], wrong)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                watch(step + 1, self.steps)
        self.reader.requires_grad_(False).eval()
        with torch.no_grad():  # what all texts share says nothing, and would make all of them alike
            texts = [text for several in captions for text in several]
            means = [
                self.reader(self._read(texts[start : start + _BATCH])[0])[0].sum(0)
                for start in range(0, len(texts), _BATCH)
            ]
            self.reader.get_buffer("mean").copy_(torch.stack(means).sum(0) / len(texts))

    @staticmethod
    def _read(texts: Sequence[str]) -> tuple[Tensor, list[int]]:
        """Bytes (N, L), and how many of each text are beyond them."""
        raw = [text.casefold().strip().encode() for text in texts]
        longest = min(max(map(len, raw)), LENGTH)
        found = torch.zeros(len(raw), max(-(-longest // _POOLED), 1) * _POOLED, dtype=torch.long)
        for row, letters in enumerate(raw):
            kept = letters[:LENGTH]
            found[row, : len(kept)] = torch.tensor(list(kept), dtype=torch.long)
        return found, [max(len(letters) - LENGTH, 0) for letters in raw]
