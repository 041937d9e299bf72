"""Pictures classified by texts: the class whose description lies nearest, though no class was ever learned."""
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from transformer.data.images import Pictures, nearest
from transformer.training.experiment import Measure, Show

Tokens = Callable[[Sequence[str]], Any]  # texts -> tokens [n, t], and which of them are there


def vectors_of(model: Any, wordings: Sequence[Sequence[str]], tokens: Tokens) -> jax.Array:
    """One vector for each class: the mean of those of its descriptions, of length one [classes, d]."""
    ids, present = map(jnp.asarray, tokens([text for texts in wordings for text in texts]))
    rows = model.embed_text(ids, present=present)
    mean = rows.reshape(len(wordings), -1, rows.shape[-1]).mean(1)
    return mean / jnp.linalg.norm(mean, axis=-1, keepdims=True)


def likeness(model: Any, pictures: Pictures, wordings: Sequence[Sequence[str]], tokens: Tokens) -> np.ndarray:
    """The cosine of each picture and each class [n, classes]."""
    seen = jax.jit(lambda model, images: model.embed_image(images))(model, pictures.pixels.astype(np.float32) / (pictures.levels - 1))
    return np.asarray(seen @ vectors_of(model, wordings, tokens).T)


def zero_shot(wordings: Sequence[Sequence[str]], tokens: Tokens, **asked: Pictures) -> Measure:
    """How often the nearest description is that of the picture's class, by each kind of pictures."""

    def measure(model: Any, values: Any) -> dict[str, float]:
        return {name: float((likeness(model, some, wordings, tokens).argmax(1) == some.labels).mean()) for name, some in asked.items()}

    return measure


def nearest_class(learned: Pictures, asked: Pictures, most: int = 200) -> float:
    """How often the nearest picture that was learned from is of the same class."""
    near, _ = nearest(asked.pixels[:most], learned.pixels)
    return float((learned.labels[near] == asked.labels[:most]).mean())


def found(pictures: Pictures, wordings: Sequence[Sequence[str]], classes: Sequence[int], tokens: Tokens, count: int = 8) -> Show:
    """The pictures that each of some texts finds among all, the nearest first; those of another class are framed."""

    def show(model: Any, folder: Path) -> str:
        near = likeness(model, pictures, wordings, tokens)
        figure = Figure(figsize=(0.75 * count + 2.2, 0.82 * len(classes) + 0.5), layout="constrained")
        lines, right = [], 0
        for row, number in zip(figure.subplots(len(classes), count, squeeze=False), classes, strict=True):
            best = np.argsort(-near[:, number])[:count]
            there = min(int((pictures.labels == number).sum()), count)
            own = pictures.labels[best] == number
            right += int(own[:there].sum() == there)
            for axes, at, fine in zip(row, best, own, strict=False):
                axes.imshow(pictures.pixels[at])
                for spine in axes.spines.values():
                    spine.set(edgecolor="black" if fine else "red", linewidth=1 if fine else 3)
            for axes in row:
                axes.set(xticks=[], yticks=[])
            row[0].set_ylabel(wordings[number][0], rotation=0, ha="right", va="center", fontsize=9)
            lines.append(f"  {wordings[number][0]!r} finds {own.sum()} of its own among the first {count}")
        title = f"Texts find pictures: {right} of {len(classes)} put all of their own first"
        figure.suptitle(title, fontsize=9)
        figure.savefig(folder / "found.png", dpi=120)
        return "\n".join([title, *lines])

    return show
