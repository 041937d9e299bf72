"""How often a decoder is right in each group of targets, beside what knows nothing: a line of text each, and a picture."""
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
from grain import MapDataset
from matplotlib.figure import Figure

from transformer.data.batches import held_out_batches
from transformer.losses import next_token_right
from transformer.training.experiment import Show


def right_by_group(data: MapDataset, groups: tuple[str, ...], what: str, baseline: Sequence[float], name: str, rows: int = 256) -> Show:
    """`what` is said of the groups; `baseline` has a number for each, of what is called `name`."""

    def show(model: Any, folder: Path) -> str:
        batch = held_out_batches(data[:rows], rows)[0] or {}
        _, _, metrics = jax.jit(partial(next_token_right, groups=groups))(model, batch)
        right = [float(total / weight) for total, weight in (metrics[f"right_{group}"] for group in groups)]
        labels = [group.replace("_", " ") for group in groups]
        title = f"{what}: {labels[0]} {right[0]:.0%}, {labels[-1]} {right[-1]:.0%}"
        figure = Figure(figsize=(7, 4), layout="constrained")
        axes = figure.subplots()
        bars = axes.bar(labels, right, color="#4477aa", label="model")
        axes.bar_label(bars, [f"{share:.0%}" for share in right], padding=2)
        axes.plot(labels, baseline, "o--", color="#cc3311", label=name)
        axes.set_title(title, fontsize=11, loc="left")
        axes.set(ylabel="share right", ylim=(0, 1.12))
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=2, frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
        figure.savefig(folder / "groups.png", dpi=150)
        rest = (f"  {label:20} {share:6.1%}   {name} {known:6.1%}" for label, share, known in zip(labels, right, baseline, strict=True))
        return "\n".join([title, *rest])

    return show
