"""Pictures drawn from captions, and how many of them are exactly what was asked for."""
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from transformer.data.made import shapes
from transformer.decoding import Greedy, generate
from transformer.training.experiment import Measure, Show

Paint = Callable[[Any, Sequence[str]], np.ndarray]  # a model, captions -> pixels [n, height, width, 3]


def by_codes(painter: Any, asked: Callable[[Sequence[str]], np.ndarray], words: int, count: int) -> Paint:
    """Says so many codes after each caption, the likeliest after the likeliest, and draws them by an autoencoder."""

    def paint(model: Any, captions: Sequence[str]) -> np.ndarray:
        codes = generate(model, asked(captions), most=count, strategy=Greedy()).tokens[:, 0] - words
        drawn = painter.drawn(codes.clip(0, len(painter.codes.table) - 1))
        return (np.asarray(drawn).clip(0, 1) * 255).round().astype(np.uint8)

    return paint


def exact(paint: Paint, **asked: Sequence[shapes.Placed]) -> Measure:
    """The share of pictures that are right to the pixel, of each kind of captions."""

    def measure(model: Any, values: Any) -> dict[str, float]:
        return {name: float(shapes.exactly(paint(model, [str(one) for one in things]), things).mean()) for name, things in asked.items()}

    return measure


def painted(paint: Paint, things: Sequence[shapes.Placed], columns: int = 6) -> Show:
    """What is drawn for each caption, above what should have been; a mistake is framed in red."""

    def show(model: Any, folder: Path) -> str:
        drawn, truth = paint(model, [str(one) for one in things]), np.stack([one.drawn() for one in things])
        right = shapes.exactly(drawn, things)
        lines = -(-len(things) // columns)
        figure = Figure(figsize=(1.5 * columns, 3.1 * lines + 0.5), layout="constrained")
        grid = figure.subplots(2 * lines, columns, squeeze=False)
        for axes in grid.flat:
            axes.set(xticks=[], yticks=[], frame_on=False)
        for at, one in enumerate(things):
            above, below = grid[at // columns * 2, at % columns], grid[at // columns * 2 + 1, at % columns]
            words = str(one).split()
            for axes, pixels in ((above, drawn[at]), (below, truth[at])):
                axes.imshow(pixels)
                axes.set(frame_on=True)
            above.set_title(" ".join(words[:4]) + "\n" + " ".join(words[4:]), fontsize=7)
            for spine in above.spines.values():
                spine.set(edgecolor="black" if right[at] else "red", linewidth=1 if right[at] else 3)
        title = f"Drawn from captions never seen, above the truth: {right.sum()} of {len(things)} are right to the pixel"
        figure.suptitle(title, fontsize=10)
        figure.savefig(folder / "painted.png", dpi=110)
        return "\n".join([title, *(f"  {'right' if fine else 'WRONG'}: {one}" for one, fine in zip(things, right, strict=True))])

    return show
