"""How strategies of decoding compare: how likely their texts are, how much they vary, and what they say."""
import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from matplotlib.figure import Figure

from transformer.compiled import called
from transformer.decoding import Beams, Contrastive, Greedy, Sample, generate
from transformer.decoding.explained import explained, finding, lines
from transformer.decoding.tree import draw_tree
from transformer.training.experiment import Show

Texts = Sequence[Sequence[int]]


def strategies(count: int) -> dict[str, Any]:
    """All there are, by name; those that draw give `count` texts."""
    drawn: dict[str, dict[str, float]] = {
        "temperature 0.5": {"temperature": 0.5}, "temperature 1": {}, "temperature 1.5": {"temperature": 1.5}, "top-k 10": {"top_k": 10},
        "nucleus 0.9": {"top_p": 0.9}, "min-p 0.1": {"min_p": 0.1}, "typical 0.9": {"typical": 0.9}}
    return {"greedy": Greedy(), "8 beams": Beams(8, length_penalty=0.0), "diverse beams": Beams(8, min(count, 8), 0.0, groups=4, diversity=1.0),
            "contrastive": Contrastive(), **{name: Sample(count=count, **given) for name, given in drawn.items()}}


def best_of(model: Any, prompt: Sequence[int], most: int, vocab: int) -> dict[str, float]:
    """The log-probability of the best text of so many tokens: by greedy search, by beams, and by trying all."""
    everything = list(itertools.product(range(vocab), repeat=most))
    greedy, beams = (generate(model, [prompt], most=most, strategy=way).texts()[0][0] for way in (Greedy(), Beams(4, length_penalty=0.0)))
    return {name: float(likelihood(model, prompt, some).max())
            for name, some in (("greedy", [greedy]), ("beams", [beams]), ("exhaustive", everything))}


def tree_of(prompt: Sequence[int], most: int, strategy: Any, named: Callable[[int], str], root: str) -> Show:
    """What a search weighed at each step, as text and as a picture."""

    def show(model: Any, folder: Path) -> str:
        tree, found = explained(model, prompt, most=most, strategy=strategy)
        says = finding(tree, found, strategy, lambda ids: " ".join(map(named, ids)))
        draw_tree(tree, named, root, says).savefig(folder / "tree.png")
        return "\n".join([says, *lines(tree, lambda id: f" {named(id)}")])

    return show


def distinct(texts: Texts, n: int) -> float:
    """Of all runs of n tokens in these texts, the share that are different ones."""
    grams = [tuple(text[at : at + n]) for text in texts for at in range(len(text) - n + 1)]
    return len(set(grams)) / max(len(grams), 1)


def likelihood(model: Any, prompt: Sequence[int], texts: Texts) -> np.ndarray:
    """The log-probability of each text after the prompt, all of its tokens together."""
    longest = max(map(len, texts))
    rows = np.array([[*prompt, *text, *[0] * (longest - len(text))] for text in texts])
    logs = np.asarray(jax.nn.log_softmax(called(model, rows)))[:, len(prompt) - 1 : -1]
    return np.array([logs[row, np.arange(len(text)), text].sum() for row, text in enumerate(texts)])


def compared(model: Any, prompt: Sequence[int], strategies: Mapping[str, Any], most: int, ends: int,
             good: Callable[[Sequence[int]], bool]) -> dict[str, dict[str, Any]]:
    """Of each strategy its texts, nats per token, distinct pairs of tokens, and the share of texts that are good."""
    found = {}
    for name, strategy in strategies.items():
        texts = generate(model, [prompt], most=most, strategy=strategy, ends=ends, key=jax.random.key(0)).texts()[0]
        scores = likelihood(model, prompt, texts)
        found[name] = {"texts": texts, "score": float(scores.max()), "nats": float(-scores.sum() / sum(map(len, texts))),
                       "distinct_2": distinct(texts, 2), "good": float(np.mean([good(text) for text in texts]))}
    return found


def table(found: Mapping[str, Mapping[str, Any]]) -> str:
    head = f"  {'':16} texts  nats/token  distinct pairs   good   likeliest"
    return "\n".join([head, *(f"  {name:16} {len(one['texts']):5} {one['nats']:11.3f} {one['distinct_2']:15.2f} {one['good']:6.0%} "
                              f"{one['score']:11.2f}" for name, one in found.items())])


def draw(found: Mapping[str, Mapping[str, Any]], folder: Path) -> None:
    """Likely texts are alike, and varied ones unlikely."""
    names = list(found)
    figure = Figure(figsize=(8.5, 0.9 + 0.36 * len(names)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, measure, says, color in ((left, "nats", "nats per token (less is likelier)", "#4477aa"),
                                       (right, "distinct_2", "share of pairs of tokens that are different", "#cc7733")):
        drawn = axes.barh(names, [found[name][measure] for name in names], color=color)
        axes.bar_label(drawn, fmt="%.2f", padding=2, fontsize=8)
        axes.set_xlabel(says)
        axes.margins(x=0.15)
        axes.spines[["top", "right"]].set_visible(False)
    left.invert_yaxis()
    likeliest, varied = (pick(names, key=lambda name: found[name][measure]) for pick, measure in ((min, "nats"), (max, "distinct_2")))
    figure.suptitle(f"{likeliest} is the likeliest, {varied} the most varied", fontsize=11)
    figure.savefig(folder / "strategies.png", dpi=150)
