"""Trees of programs as pictures: each node as wide as what is below it, its parent above."""
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from transformer.data.trees import END, KINDS

COLORS = ("#bcd9f5", "#c6ecc0", "#eeeeee", "#ffd9a8", "#f7f0a5", "#efc4e3", "#d5cbf2")


def draw_tree(path: Path, rows: Sequence[str], kinds: dict[str, str], title: str) -> None:
    """Events as boxes, coloured by the kind of each type."""
    boxes, waiting = [], []
    for at, event in enumerate(rows):
        if event == END:
            first, name = waiting.pop()
            boxes.append((first, at, len(waiting), name))
        else:
            waiting.append((at, event))
    depth = 1 + max(level for _, _, level, _ in boxes)
    figure = Figure((12, 1.0 + 0.28 * depth), dpi=120, layout="constrained")
    axes = figure.subplots()
    for first, last, level, name in boxes:
        color = COLORS[KINDS.index(kinds[name]) % len(COLORS)] if kinds.get(name) in KINDS else "white"
        axes.add_patch(Rectangle((first, level), last - first + 1, 1, facecolor=color, edgecolor="white", linewidth=0.6))
        room = int(1.15 * (last - first + 1) * 150 / len(rows))  # letters that fit
        if room > 2:
            axes.text((first + last + 1) / 2, level + 0.5, name[:room], ha="center", va="center", fontsize=6)
    axes.set(xlim=(0, len(rows)), ylim=(depth, 0))
    axes.axis("off")
    figure.suptitle(title, fontsize=11)
    figure.savefig(path)
