"""Python's syntax trees, node by node; with its grammar as a guide, every tree that is drawn is a program.

    python -m experiments syntax_trees                   two cores: .62 nats an event and less than a 9-gram; all of the guided samples
                                                         parse, of those without a guide few do
    python -m experiments syntax_trees --folder mine     on your own .py files (--skip: without those that do not parse)
"""
import ast
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from transformer.data import code
from transformer.data.examples import windows
from transformer.data.ngrams import babbled, witten_bell
from transformer.data.syntax import Grammar, Syntax
from transformer.data.trees import events, kind_of, parses, tree, written
from transformer.decoding import Sample, generate
from transformer.decoding.guided import guided
from transformer.losses import next_token
from transformer.models.llama import Llama, Size
from transformer.shows.trees import draw_tree
from transformer.training.experiment import Expectation, Experiment
from transformer.training.optimizers import muon, warmup_cosine
from transformer.training.run import main

SMOKE = {"layers": 1, "embed": 32, "heads": 2, "mlp": 48, "length": 64, "files": 6, "unseen": 2000, "samples": 2, "most": 24}


def experiment(layers: int = 4, embed: int = 128, heads: int = 4, mlp: int = 320, length: int = 256, rows: int = 8, rate: float = 1e-2,
               steps: int = 1100, files: int = 168, unseen: int = 60_000, samples: int = 50, most: int = 200,
               folder: Path | None = None, skip: bool | None = None) -> Experiment:
    rows_of = [[event for text in some for event in events(ast.parse(text))] for some in code.modules(folder, bool(skip), files)]
    names = sorted({*Grammar().events}.union(*rows_of))
    place = {name: number for number, name in enumerate(names)}
    learned, held = (np.asarray([place[event] for event in part], np.int32) for part in rows_of)
    held, first = held[:unseen], place["Module"]
    model = Llama.of(Size(len(names), layers, embed, heads, heads, mlp), tied=True)
    nine_gram = witten_bell(learned, held, 9)
    common = {"most": most, "strategy": Sample(), "ends": first, "key": jax.random.key(0)}

    def said(texts: Sequence[Sequence[int]]) -> list[list[str]]:
        return [["Module", *(names[token] for token in text if token != first)] for text in texts]

    def drawn(model: Any, guide: bool) -> list[list[str]]:
        begin = [[first]] * samples
        found = guided(model, begin, Syntax(names), **common) if guide else generate(model, begin, **common)
        return said([text for (text,) in found.texts()])

    def verdict(model: Any, values: Mapping[str, float]) -> dict[str, float]:
        return {name: float(np.mean([*map(parses, drawn(model, guide))])) for name, guide in (("parsed", True), ("unguided", False))}

    def by_counting() -> float:
        return float(np.mean([*map(parses, said(babbled(learned[:200_000], first, first, samples, 5, seed=0, longest=most)))]))

    def shown(model: Any, place: Path) -> str:
        found = drawn(model, guide=True)
        kinds = {type(node).__name__: kind_of(node) for rows in found for node in ast.walk(tree(rows))}
        draw_tree(place / "tree.png", max(found, key=len), kinds, "A program that was drawn node by node, its names and values left out")
        return "\n\n".join(written(rows) for rows in found[:3])

    return Experiment(
        model=model,
        loss=next_token,
        data=windows(learned, length, stride=length // 2),
        held_out=windows(held, length),
        rows=rows,
        steps=steps,
        optimizer=muon(model, warmup_cosine(rate, steps, warmup=steps // 10), adam=0.3),
        measures=[verdict],
        corpus=f"syntax trees of {folder.name}" if folder else "the standard library's syntax trees",
        expects=[Expectation("nats", None if folder else min(0.62, nine_gram), baseline=nine_gram),
                 Expectation("parsed", 1.0, by_counting, above=True)],
        shows=[shown])


if __name__ == "__main__":
    main(experiment)
