"""What the examples share: what a training run gives back, and how pictures are drawn."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from autograd_gpu import nn

Report = Callable[[int, float, float], None]  # called with the number of the epoch or step, the loss and the score


@dataclass
class Result:
    """What training gave: the model, its last loss, the score that has a target, the seconds it took, and what to draw."""

    model: nn.Module
    loss: float
    score: float
    seconds: float
    shown: dict[str, Any] = field(default_factory=dict)


def figure(width: float, height: float) -> Any:
    """An empty figure of matplotlib, with no window and no state that others share. Needs the extra `viz`."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save_images(images: Any, path: str | os.PathLike, columns: int, titles: Any = None, title: str = "") -> None:
    """Draw images (n, height, width) in grey or (n, height, width, 3) in colour, `columns` to a row, and save the picture."""
    rows = -(-len(images) // columns)
    drawn = figure(columns * 0.9, rows * (1.1 if titles is not None else 0.9) + 0.4)
    axes = drawn.subplots(rows, columns, squeeze=False)
    for place, axis in enumerate(axes.flat):
        axis.set_axis_off()
        if place < len(images):
            axis.imshow(images[place], cmap="gray_r", vmin=0, vmax=1)
            if titles is not None:
                axis.set_title(titles[place], fontsize=8)
    drawn.suptitle(title, fontsize=10)
    drawn.savefig(path)
