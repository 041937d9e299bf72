"""Pictures that a model has looked at, or drawn: beside real ones, finished from their upper half, with what was attended to."""
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from grain import MapDataset
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from transformer.compiled import called, encoded
from transformer.data.batches import held_out_batches
from transformer.data.codes import Centres
from transformer.data.images import Pictures, grid, nearest
from transformer.data.pixels import as_pixels, as_rows
from transformer.decoding import Sample, generate
from transformer.looking import attention_maps
from transformer.shows.texts import draw_confusion
from transformer.training.experiment import Show

Draw = Callable[[Any, int], np.ndarray]  # a model, how many -> pixels [n, height, width, channels], of the pictures' own levels


def confusion(labels: Sequence[str], dataset: MapDataset, rows: int, others: Callable[[], Mapping[str, float]]) -> Show:
    """How often each true class was given each class, beside what `others` get right."""

    def show(model: Any, folder: Path) -> str:
        table = np.zeros((len(labels), len(labels)), int)
        for batch in held_out_batches(dataset, rows):
            there, given = batch["weights"] > 0, np.asarray(called(model, batch["images"])).argmax(-1)
            np.add.at(table, (batch["label"][there], given[there]), 1)
        scores = {**others(), "transformer": float(np.trace(table) / max(table.sum(), 1))}
        said = ", ".join(f"{name} {score:.1%}" for name, score in scores.items())
        draw_confusion(folder / "confusion.png", labels, table, scores, f"Of {table.sum()} pictures never seen: {said}")
        off = table - np.diag(np.diag(table))
        worst = np.dstack(np.unravel_index(np.argsort(-off, axis=None)[:3], off.shape))[0]
        return f"right: {said}; most often " + ", ".join(f"{labels[true]} taken for {labels[given]} ({off[true, given]})" for true, given in worst)

    return show


def looked_at(dataset: MapDataset, count: int = 8) -> Show:
    """Where the token that stands for the whole picture looks, layer by layer, over the patches of some pictures."""

    def show(model: Any, folder: Path) -> str:
        images = np.stack([row["images"] for at in range(count) if (row := dataset[at])])
        (maps,) = attention_maps(model, jnp.asarray(images)).values()
        weights = np.asarray(maps.mean(2))[:, :, 0, 1:]  # [layer, picture, patch]
        weights = weights / weights.sum(-1, keepdims=True)
        wide = np.exp(-(weights * np.log(np.maximum(weights, 1e-9))).sum(-1)).mean(1)
        side = int(weights.shape[-1] ** 0.5)
        title = (f"Of {side * side} patches the first layer looks at {wide[0]:.1f}, the last at {wide[-1]:.1f}")
        figure = Figure(figsize=(1.1 * count + 0.6, 1.15 * (len(weights) + 1) + 0.4), layout="constrained")
        lines = figure.subplots(len(weights) + 1, count, squeeze=False)
        for column, image in enumerate(images):
            _shown(lines[0, column], image, 1.0)
            for layer, line in enumerate(lines[1:]):
                spread = weights[layer, column].reshape(side, side).repeat(image.shape[0] // side, 0).repeat(image.shape[1] // side, 1)
                line[column].imshow(spread, cmap="inferno", vmin=0)
                _shown(line[column], image, 1.0, alpha=0.3)
                if column == 0:
                    line[column].set_ylabel(f"layer {layer + 1}", fontsize=9)
        figure.suptitle(title, fontsize=10)
        figure.savefig(folder / "attention.png", dpi=110)
        return title

    return show


def gallery(learned: Pictures, real: Pictures, draw: Draw, count: int = 36) -> Show:
    """What the model draws beside real pictures that it has not seen, and how far both are from the nearest that it has."""

    def show(model: Any, folder: Path) -> str:
        drawn, some = draw(model, count), real.pixels[:count]
        near = [nearest(pixels, learned.pixels)[1] for pixels in (some, drawn)]
        copies = int((near[1] == 0).sum())
        title = (f"From the nearest picture learned from, real ones are {np.median(near[0]):.2f} levels a pixel away, drawn ones "
                 f"{np.median(near[1]):.2f}; {copies} of {len(drawn)} are copies")
        figure = Figure(figsize=(9, 5.4), layout="constrained")
        for axes, pixels, name in zip(figure.subplots(1, 2), (some, drawn), ("real, never seen", "drawn by the model"), strict=True):
            _shown(axes, page(pixels, learned.levels), 255)
            axes.set_title(name, fontsize=10)
        figure.suptitle(title, fontsize=10)
        figure.savefig(folder / "drawn.png", dpi=110)
        return title

    return show


def rebuilt(real: Pictures, count: int = 12) -> Show:
    """Pictures never seen, and under each what an autoencoder makes of it again."""

    def show(model: Any, folder: Path) -> str:
        given = real.pixels[:count].astype(np.float32) / (real.levels - 1)
        told = encoded(model, given)
        again = np.asarray(model.draw(told[0] if isinstance(told, tuple) else model.codes(model.nearest(told)))).clip(0, 1)
        variance = np.square(given - given.mean(0, keepdims=True)).mean()
        title = f"Above: never seen; below: rebuilt, {1 - np.square(given - again).mean() / variance:.1%} of what differs between them is kept"
        figure = Figure(figsize=(0.75 * count, 2.0), layout="constrained")
        axes = figure.subplots()
        pixels = (np.concatenate([given, again]) * (real.levels - 1)).round()
        _shown(axes, page(pixels, real.levels, len(given)), 255)
        axes.set_title(title, fontsize=9)
        figure.savefig(folder / "rebuilt.png", dpi=120)
        return title

    return show


def completed(real: Pictures, colours: Centres, count: int = 8, ways: int = 4) -> Show:
    """The upper halves of pictures never seen, finished in several ways; the truth is in the last column."""

    def show(model: Any, folder: Path) -> str:
        shape = real.pixels.shape[1:3]
        rows = as_rows(real.take(np.arange(min(count, len(real)))), colours)
        half = shape[0] // 2 * shape[1]
        found = generate(model, rows[:, :1 + half], most=shape[0] * shape[1] - half, strategy=Sample(count=ways)).tokens
        found = np.minimum(found, len(colours.table) - 1)
        given = np.repeat(rows[:, None, 1:1 + half], ways, 1)
        whole = np.concatenate([given, found], -1).reshape(-1, shape[0] * shape[1])
        lines = as_pixels(whole, colours, shape).reshape(len(rows), ways, *real.pixels.shape[1:])
        above = as_pixels(rows[:, 1:1 + half], colours, shape)[:, None]
        pages = np.concatenate([above, lines, real.pixels[:len(rows), None]], 1)
        figure = Figure(figsize=(0.9 * (ways + 2), 0.9 * len(rows) + 0.6), layout="constrained")
        axes = figure.subplots()
        _shown(axes, page(pages.reshape(-1, *real.pixels.shape[1:]), real.levels, ways + 2), 255)
        axes.set_title(f"The upper half is given, finished {ways} times; right: the truth", fontsize=9)
        figure.savefig(folder / "completed.png", dpi=120)
        right = float((found == rows[:, None, 1 + half:]).mean())
        return f"of the lower halves {right:.0%} of the pixels are exactly right"

    return show


def pixel_by_pixel(colours: Centres, shape: tuple[int, int]) -> Draw:
    """Draws by a decoder of pixels."""

    def draw(model: Any, count: int) -> np.ndarray:
        start = len(colours.table)
        codes = generate(model, [[start]] * count, most=shape[0] * shape[1], strategy=Sample()).tokens[:, 0]
        return as_pixels(np.minimum(codes, start - 1), colours, shape)

    return draw


def page(pixels: np.ndarray, levels: int, columns: int | None = None) -> np.ndarray:
    """Pictures of so many levels side by side, on a page of 0 to 255."""
    return grid((pixels.astype(np.float32) * (255 / (levels - 1))).astype(np.uint8), columns or max(1, round(len(pixels) ** 0.5)))


def _shown(axes: Axes, image: np.ndarray, most: float, alpha: float = 1.0) -> None:
    axes.imshow(image[..., 0] if image.shape[-1] == 1 else image, cmap="gray", vmin=0, vmax=most, alpha=alpha)
    axes.set(xticks=[], yticks=[])
