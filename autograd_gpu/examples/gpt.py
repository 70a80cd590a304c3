"""A small GPT writes like Python's own documentation, character by character.

It is a decoder of transformer layers (A. Radford et al., 2019): learned positions, normalisation before each part, attention that
only looks back. It reads the topics of pydoc, which come with every Python; any other text can be given.

Target: at most 1.7 nats a character (2.5 bits) on a part of the text that it has not read. Takes about 32 s on two cores.

from autograd_gpu.examples import gpt
result = gpt.train(steps=1000, seed=0)
print(result.shown["sample"])
"""

from __future__ import annotations

import os
import textwrap
import time

import autograd_gpu as ag
from autograd_gpu import nn, optim
from autograd_gpu.data import Blocks, CharVocabulary, DataLoader, random_blocks, read_text, split_tokens
from autograd_gpu.nn import functional as F

from .common import Report, Result, figure

CONTEXT = 64  # characters that it looks back on
LEAST = 10 * (CONTEXT + 1)  # characters of a text: a tenth is held back


class Block(nn.Module):
    """Attention over the characters before, then a small network for each, both added to what comes in."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def attention(self, x: ag.Tensor) -> ag.Tensor:
        """Each position takes from those before it what its query finds."""
        n, length, width = x.shape
        qkv = self.qkv(x).view(n, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(*qkv.unbind(0), is_causal=True)
        return self.out(mixed.transpose(1, 2).reshape(n, length, width))

    def forward(self, x: ag.Tensor) -> ag.Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class GPT(nn.Module):
    """Characters (n, length) to logits of the character after each: (n, length, vocabulary)."""

    def __init__(self, vocabulary: int, width: int = 96, heads: int = 4, layers: int = 2) -> None:
        super().__init__()
        self.characters = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(CONTEXT, width)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary)
        self.apply(self._initialize)

    @staticmethod
    def _initialize(module: nn.Module) -> None:
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=0.02)
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)

    def forward(self, x: ag.Tensor) -> ag.Tensor:
        places = ag.arange(x.shape[1], device=x.device)
        return self.head(self.norm(self.blocks(self.characters(x) + self.positions(places))))

    @ag.no_grad()
    def write(self, start: ag.Tensor, length: int, temperature: float = 0.8) -> ag.Tensor:
        """`start` (1, n) and `length` characters more, each drawn by its chance."""
        text = start
        for _ in range(length):
            logits = self(text[:, -CONTEXT:])[:, -1]
            text = ag.cat([text, ag.multinomial(F.softmax(logits / temperature, -1), 1)], dim=1)
        return text


def pydoc_topics() -> str:
    """What `help("topics")` knows: some 700,000 characters."""
    from pydoc_data.topics import topics

    return "\n".join(topics[name] for name in sorted(topics))


def train(
    steps: int = 1000, seed: int = 0, device: str = "cpu", batch: int = 16, lr: float = 3e-3,
    text: str | os.PathLike | None = None, report: Report | None = None,
) -> Result:  # fmt: skip
    """Train on the file `text`, or on pydoc's topics. `report(step, loss, nats a character on the part held back)` is called
    after each tenth step; what is held back is read after each hundredth."""
    started = time.perf_counter()
    ag.manual_seed(seed)
    written = pydoc_topics() if text is None else read_text(text)
    if len(written) < LEAST:
        raise ValueError(f"a text of {len(written)} characters is too short: at least {LEAST} are needed")
    vocabulary = CharVocabulary(written)
    read, held_back = split_tokens(vocabulary.encode(written).to(device), 0.9)
    tests = Blocks(held_back, CONTEXT, stride=max(1, len(held_back) // 64))

    model = GPT(len(vocabulary)).to(device)
    optimizer = optim.AdamW(model.parameters(), lr=lr, betas=(0.9, 0.99), weight_decay=0.1)
    scheduler = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=lr, total_steps=steps, pct_start=0.1)

    def loss_of(characters: ag.Tensor, following: ag.Tensor) -> ag.Tensor:
        return F.cross_entropy(model(characters).flatten(0, 1), following.flatten())

    losses, loss_value, score = [], float("nan"), float("nan")
    for step in range(1, steps + 1):
        loss = loss_of(*random_blocks(read, CONTEXT, batch))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
        if step % 100 == 0 or step == steps:
            with ag.no_grad():
                score = ag.stack([loss_of(*pieces) for pieces in DataLoader(tests, batch_size=32)]).mean().item()
        if report is not None and (step % 10 == 0 or step == steps):
            loss_value = sum(losses[-10:]) / len(losses[-10:])
            report(step, loss_value, score)
    sample = vocabulary.decode(model.write(read[:1].unsqueeze(0), 600))
    return Result(model, losses[-1], score, time.perf_counter() - started, {"losses": losses, "sample": sample})


def picture(result: Result, path: str | os.PathLike) -> None:
    """The loss by step, and what the network writes."""
    drawn = figure(10, 4)
    left, right = drawn.subplots(1, 2)
    left.plot(result.shown["losses"], linewidth=0.7)
    left.set(xlabel="step", ylabel="nats a character", title=f"{result.score:.2f} on text that it has not read")
    right.set_axis_off()
    lines = [
        part for line in result.shown["sample"].splitlines() for part in textwrap.wrap(line, 64, drop_whitespace=False) or [""]
    ]
    written = "\n".join(lines[:24])
    right.text(0, 1, written, family="monospace", fontsize=8, va="top", transform=right.transAxes, parse_math=False)
    drawn.savefig(path)
