"""The tree of a search as a picture: a node for every token that was weighed, the path that was chosen marked.

    draw_tree(tree, shown=str, root="The cat", title="...").savefig("explained.png")
"""
import dataclasses
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, PathPatch
from matplotlib.path import Path as Curve

Path = tuple[int, ...]  # the tokens from the first new one to a node's own: what it is called by
FATES = ("seen", "passed", "kept", "ended", "chosen")  # each outdoes those before it
FILLS = {"passed": "white", "kept": "#e8f0fa", "ended": "#dff0df", "chosen": "#1f5fa8"}
LINES = {"passed": "0.8", "kept": "#7ea6d6", "ended": "#5fa463", "chosen": "#1f5fa8"}
INKS = {"passed": "0.6", "kept": "0.15", "ended": "0.15", "chosen": "white"}
WIDE, HIGH, ACROSS, DOWN = 1.3, 0.44, 1.75, 0.56  # inches: of a node, and from one to the next
LETTERS = 15  # that fit into a node


@dataclasses.dataclass(frozen=True)
class Node:
    """A token in its place."""

    chance: float  # after the tokens before it
    score: float  # log-probability of all tokens up to it
    fate: str  # of FATES: only seen, passed over, kept, at the end of a whole text, part of the chosen one
    drawn: float | None = None  # its chance in what is drawn from, where that is something else


Tree = dict[Path, Node]


def grown(tree: Tree, path: Path, node: Node) -> None:
    """Adds a node, or gives one that is there the better of both fates."""
    before = tree.get(path)
    if before is None or FATES.index(node.fate) > FATES.index(before.fate):
        tree[path] = node


def children(tree: Mapping[Path, Node]) -> dict[Path, list[Path]]:
    """Of every node its children, likeliest first; nodes in the order of their depth."""
    found: dict[Path, list[Path]] = {}
    for path in sorted(tree, key=lambda path: (len(path), -tree[path].chance, path)):
        if path:
            found.setdefault(path[:-1], []).append(path)
    return found


def placed(tree: Mapping[Path, Node]) -> dict[Path, float]:
    """How high each node stands, in steps: near its parent, in an order in which no edges cross, none on another.

    A node's chosen child (or the best of its others) stands level with it, and holds its place the hardest.
    """
    below = children(tree)
    high: dict[Path, float] = {(): 0.0}
    layer: list[Path] = [()]
    while layer:
        wanted: list[tuple[Path, float, float]] = []
        for parent in sorted(layer, key=lambda path: high[path], reverse=True):
            own = below.get(parent, [])
            best = max(range(len(own)), key=lambda at: (FATES.index(tree[own[at]].fate), own[at] in below, -at), default=0)
            wanted += [(child, high[parent] + best - at, 20.0 if tree[child].fate == "chosen" else 1.0) for at, child in enumerate(own)]
        layer = [path for path, _, _ in wanted]
        high.update(zip(layer, _apart([height for _, height, _ in wanted], [weight for *_, weight in wanted]), strict=True))
    return high


def draw_tree(tree: Tree, shown: Callable[[int], str], root: str, title: str, most: int = 16) -> Figure:
    """Time runs to the right, for at most so many steps; under each token its chance and the log-probability so far."""
    tree = {path: node for path, node in tree.items() if node.fate != "seen" and len(path) <= most}
    high, depth = placed(tree), max(map(len, tree))
    top, bottom = max(high.values()), min(high.values())
    across = max((depth + 1) * ACROSS + 0.2, 7.0)
    told = textwrap.fill(title, int(across * 12))
    head = 0.45 + 0.22 * told.count("\n") + 0.25
    figure = Figure((across, (top - bottom + 1) * DOWN + head + 0.1), dpi=110)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, across), ylim=(bottom * DOWN - DOWN / 2 - 0.1, top * DOWN + DOWN / 2 + head))
    axes.axis("off")
    for path in sorted(tree, key=lambda path: FATES.index(tree[path].fate)):
        if path:
            _edge(axes, _corner(path[:-1], high), _corner(path, high), tree[path])
    for path, node in tree.items():
        _node(axes, _corner(path, high), node, shown(path[-1]) if path else root, bool(path))
    y = top * DOWN + DOWN / 2 + head
    axes.text(0.2, y - 0.12, told, fontsize=11, va="top", parse_math=False)
    axes.text(0.2, y - head + 0.13, _legend(tree.values()), fontsize=7.5, color="0.4", va="center", parse_math=False)
    return figure


def _legend(nodes: Iterable[Node]) -> str:
    fates = {node.fate for node in nodes}
    says = {"chosen": "dark: chosen", "ended": "green: ended as a whole text", "kept": "blue: kept", "passed": "pale: passed over"}
    return "in each box: the chance of the token, and the log-probability so far    " + "    ".join(
        text for fate, text in says.items() if fate in fates)


def _corner(path: Path, high: Mapping[Path, float]) -> tuple[float, float]:
    """Where a node's left edge is, and its middle."""
    return 0.2 + len(path) * ACROSS, high[path] * DOWN


def _edge(axes: Axes, start: tuple[float, float], end: tuple[float, float], node: Node) -> None:
    x, y = start[0] + WIDE, start[1]
    middle = (x + end[0]) / 2
    curve = Curve([(x, y), (middle, y), (middle, end[1]), end], [Curve.MOVETO, Curve.CURVE4, Curve.CURVE4, Curve.CURVE4])
    axes.add_patch(PathPatch(curve, fill=False, edgecolor=LINES[node.fate], linewidth=0.6 + 2.4 * node.chance, zorder=1))


def _node(axes: Axes, corner: tuple[float, float], node: Node, text: str, numbered: bool) -> None:
    x, y = corner
    axes.add_patch(FancyBboxPatch((x, y - HIGH / 2), WIDE, HIGH, boxstyle="round,pad=0,rounding_size=0.07", zorder=2,
                                  facecolor=FILLS[node.fate], edgecolor=LINES[node.fate], linewidth=1.0))
    axes.text(x + WIDE / 2, y + (0.08 if numbered else 0), legible(text), fontsize=9, ha="center", va="center",
              color=INKS[node.fate], parse_math=False, zorder=3)
    if numbered:
        chance = f"{node.chance:.1%}" if node.chance >= 0.001 else "<0.1%"
        drawn = "" if node.drawn is None else f"→{node.drawn:.0%}"
        axes.text(x + WIDE / 2, y - 0.12, f"{chance}{drawn}   {node.score:.2f}", fontsize=6.8, ha="center", va="center",
                  color=INKS[node.fate], parse_math=False, zorder=3)


def legible(text: str) -> str:
    """Cut to a node's width; letters that the font does not have by their numbers."""
    drawable = font_manager.get_font(font_manager.findfont("DejaVu Sans")).get_charmap()
    text = "".join(letter if ord(letter) in drawable else f"\\u{ord(letter):x}" for letter in text)
    return text if len(text) <= LETTERS else text[: LETTERS - 1] + "…"


def _apart(wanted: Sequence[float], weights: Sequence[float]) -> list[float]:
    """Heights as near as can be to those wanted, in their order from the top and at least one step apart.

    Less its rank, each height must not exceed the one before: a regression that pools neighbours which would.
    """
    pools: list[tuple[float, float, int]] = []  # mean, weight, how many
    for rank, (height, weight) in enumerate(zip(wanted, weights, strict=True)):
        pools.append((height + rank, weight, 1))
        while len(pools) > 1 and pools[-1][0] > pools[-2][0]:
            (a, v, n), (b, w, m) = pools[-2:]
            pools[-2:] = [((a * v + b * w) / (v + w), v + w, n + m)]
    levels = np.repeat([mean for mean, _, _ in pools], [count for *_, count in pools])
    return [float(level) - rank for rank, level in enumerate(levels)]
