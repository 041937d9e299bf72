"""One number of several systems, side by side."""
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from transformer.training.experiment import Measure, Show


def bars(others: Mapping[str, float], name: str, measure: str, own: Measure, unit: str, above: bool = False) -> Show:
    """What others reached, and this model, whose number is the one called `measure` of its `own`; `above`: more is better."""

    def show(model: Any, folder: Path) -> str:
        values = {**others, name: own(model, {})[measure]}
        best = (max if above else min)(others, key=lambda other: others[other])
        title = f"{name} {values[name]:.3f} {unit}, {best} {values[best]:.3f}"
        figure = Figure(figsize=(6.6, 1.2 + 0.45 * len(values)), layout="constrained")
        axes = figure.subplots()
        axes.barh(list(values), list(values.values()), color=["#bbbbbb"] * len(others) + ["tab:blue"])
        for place, value in enumerate(values.values()):
            axes.text(value, place, f" {value:.3f}", va="center", fontsize=9)
        axes.set(xlabel=unit, xlim=(0, 1.15 * max(values.values())))
        figure.suptitle(title, fontsize=11)
        figure.savefig(folder / "bars.png", dpi=130)
        return "; ".join(f"{other} {value:.3f}" for other, value in values.items()) + f" ({unit})"

    return show


def draw_bars(path: Path, values: Mapping[str, float], title: str, across: str, level: tuple[str, float] | None = None) -> None:
    """A bar for each, with its number, from the top down; a level is drawn across all of them."""
    figure = Figure((7.0, 1.3 + 0.34 * len(values)), dpi=110, layout="constrained")
    axes = figure.subplots()
    places = range(len(values))[::-1]
    axes.barh(places, list(values.values()), color="C0", height=0.7)
    for place, value in zip(places, values.values(), strict=True):
        axes.text(value, place, f" {value:.3g}", va="center", fontsize=9)
    axes.set_yticks(places, list(values), fontsize=9)
    axes.set(title=title, xlabel=across, xlim=(0, 1.12 * max([*values.values(), level[1] if level else 0, 1e-9])))
    if level:
        axes.axvline(level[1], color="0.4", linestyle="--", linewidth=1, label=level[0])
        figure.legend(frameon=False, fontsize=9, loc="outside lower right")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)
