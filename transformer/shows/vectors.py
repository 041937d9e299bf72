"""What vectors of words know: which lie near each other, which kinds they form, which differ alike; a map of them all."""
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from transformer.training.experiment import Measure, Show

Analogy = tuple[str, str, str, str]


def cosines(vectors: np.ndarray) -> np.ndarray:
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return unit @ unit.T


def geometry(words: Sequence[str], kinds: np.ndarray, analogies: Sequence[Analogy], alike: tuple[str, str]) -> Measure:
    """`purity`: of the five nearest words of each, the share of its own kind. `analogies`: a is to b as c is to d, the share
    of d found. `alike`: the share of all words that are not more like the first of these two than the second is."""

    def measure(model: Any, values: Mapping[str, float]) -> dict[str, float]:
        table = cosines(np.asarray(model.vectors()))
        named = np.flatnonzero(kinds >= 0)
        inside = table[np.ix_(named, named)] - 2 * np.eye(len(named))
        nearest = np.argsort(-inside, axis=1)[:, :5]
        own = kinds[named]
        one, other = (list(words).index(word) for word in alike)
        return {"purity": float((own[nearest] == own[:, None]).mean()),
                "analogies": float(np.mean([found == d for (*_, d), found in zip(
                    analogies, solved(np.asarray(model.vectors()), words, analogies), strict=True)])),
                "alike": float((table[one, named[named != one]] <= table[one, other]).mean())}

    return measure


def solved(vectors: np.ndarray, words: Sequence[str], analogies: Sequence[Analogy]) -> list[str]:
    """The word nearest to b - a + c, other than these three."""
    place = {word: number for number, word in enumerate(words)}
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    found = []
    for a, b, c, _ in analogies:
        scores = unit @ (unit[place[b]] - unit[place[a]] + unit[place[c]])
        scores[[place[a], place[b], place[c]]] = -np.inf
        found.append(words[int(scores.argmax())])
    return found


def correlation(name: str, exact: np.ndarray, trusted: np.ndarray, given: Callable[[Any], Any]) -> Measure:
    """How well what a model says of pairs of words agrees with what is known of them, where it is `trusted`."""

    def measure(model: Any, values: Mapping[str, float]) -> dict[str, float]:
        return {name: float(np.corrcoef(np.asarray(given(model))[trusted], exact[trusted])[0, 1])}

    return measure


def atlas(words: Sequence[str], kinds: np.ndarray, names: Sequence[str], analogies: Sequence[Analogy], asked: Sequence[str],
          measure: Measure) -> Show:
    """A flat map of all words by their two main directions, coloured by kind, with some analogies drawn in; neighbours."""

    def show(model: Any, folder: Path) -> str:
        from matplotlib.figure import Figure

        vectors, table = np.asarray(model.vectors()), cosines(np.asarray(model.vectors()))
        named = np.flatnonzero(kinds >= 0)
        unit = vectors[named] / np.maximum(np.linalg.norm(vectors[named], axis=1, keepdims=True), 1e-9)
        middle = unit - unit.mean(0)
        flat = middle @ np.linalg.svd(middle, full_matrices=False)[2][:2].T
        where = {words[int(word)]: point for word, point in zip(named, flat, strict=True)}
        values = measure(model, {})
        figure = Figure(figsize=(10, 7.5), layout="constrained")
        axes = figure.subplots()
        for place, name in enumerate(names):
            own = kinds[named] == place
            axes.scatter(*flat[own].T, s=12, color=f"C{place}", label=name)
        for word, point in where.items():
            axes.annotate(word, point, fontsize=7.5, xytext=(3, 2), textcoords="offset points", color=f"C{kinds[list(words).index(word)]}")
        for a, b, _, _ in analogies:
            axes.annotate("", where[b], where[a], arrowprops={"arrowstyle": "->", "color": "#999999", "lw": 0.8})
        axes.set(title=f"Words lie by their kind: of the five nearest {values['purity']:.0%} are of the same; "
                       f"{values['analogies']:.0%} of the analogies come out", xticks=[], yticks=[],
                 xlabel="first direction", ylabel="second direction")
        axes.legend(frameon=False, loc="upper right")
        figure.savefig(folder / "map.png", dpi=130)
        lines = []
        for word in asked:
            scores = table[list(words).index(word)].copy()
            nearest = [int(other) for other in np.argsort(-scores) if words[int(other)] != word][:5]
            lines.append(f"{word}: " + ", ".join(f"{words[other]} {scores[other]:.2f}" for other in nearest))
        some = list(analogies)[:: max(len(analogies) // 4, 1)]
        lines += [f"{a} : {b} = {c} : {found}{'' if found == d else f' (truly {d})'}"
                  for (a, b, c, d), found in zip(some, solved(vectors, words, some), strict=True)]
        return "\n".join(lines)

    return show
