"""Pictures drawn from captions, and captions written under pictures: how many are exactly right, and where each word looked."""
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from grain import MapDataset
from matplotlib.figure import Figure

from transformer.data.examples import example
from transformer.data.images import Pictures, nearest
from transformer.data.made import shapes
from transformer.data.tokenizers import Tokenizer
from transformer.decoding import Greedy, generate
from transformer.looking import attention_maps
from transformer.training.answers import exactly, written
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


def nearest_captions(learned: Pictures, texts: Sequence[str], asked: Pictures, captions: Sequence[str], most: int = 100) -> float:
    """How often the caption of the nearest picture learned from is the right one."""
    near, _ = nearest(asked.pixels[:most], learned.pixels)
    return float(np.mean([texts[at] == caption for at, caption in zip(near, captions, strict=False)]))


def read(tokenizer: Tokenizer, dataset: MapDataset, kind: str, count: int = 4) -> Show:
    """What is written under pictures, and where the last layer looked for each word."""

    def show(model: Any, folder: Path) -> str:
        some = dataset[:4 * count]
        wrote, right = written(model, some), exactly(model, some)
        texts = [tokenizer.decode(row[:int((row == tokenizer.end).argmax()) or None]).strip() for row in wrote]
        rows = [example(some, at) for at in range(min(count, len(some)))]
        fed = np.stack([np.append(rows[at]["target"][:1], wrote[at][:-1]) for at in range(len(rows))])
        source = np.stack([row["source"] for row in rows])
        looked = np.asarray(attention_maps(model, jnp.asarray(source), jnp.asarray(fed))["cross"][-1].mean(1))[..., 1:]
        side = round(looked.shape[-1] ** 0.5)
        most = max(6, *(len(tokenizer.encode(text)) for text in texts[:count]))
        figure = Figure(figsize=(1.1 * (most + 1), 1.35 * len(rows) + 0.5), layout="constrained")
        for line, image, text, maps in zip(figure.subplots(len(rows), most + 1, squeeze=False), source, texts, looked, strict=False):
            for axes in line:
                axes.set(xticks=[], yticks=[], frame_on=False)
            line[0].imshow(image)
            for axes, word, weights in zip(line[1:], tokenizer.pieces(text), maps, strict=False):
                axes.imshow(image)
                axes.imshow(np.kron(weights.reshape(side, side), np.ones((len(image) // side,) * 2)), cmap="gray", alpha=0.65, vmin=0)
                axes.set_title(word, fontsize=8)
        title = f"{kind.replace('_', ' ')}: of {len(some)} captions {right.sum()} are right; where each word looked"
        figure.suptitle(title, fontsize=10)
        figure.savefig(folder / f"{kind}.png", dpi=110)
        truth = (tokenizer.decode(example(some, at)["labels"]).strip() for at in range(len(some)))
        lines = (f"  {text}" if fine else f"  {text}   [truly {true}]" for text, true, fine in zip(texts, truth, right, strict=True))
        return "\n".join([title, *lines])

    return show
