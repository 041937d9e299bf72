"""Programs from descriptions: what is asked of a list of numbers, as a Python expression, which is run to judge it.

    python -m experiments programs        two cores: .95 of the expressions do what was asked, in combinations never seen, at the
                                          first attempt; the expression of the request with most words in common does it seldom
"""
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from transformer.data import tokenizers
from transformer.data.made.programs import nearest, outcome, requests, right
from transformer.data.pairs import prefixed
from transformer.decoding import generate
from transformer.losses import next_token
from transformer.models.llama import Llama, Size
from transformer.shows.bars import draw_bars
from transformer.training.experiment import Expectation, Experiment
from transformer.training.optimizers import muon, warmup_cosine
from transformer.training.run import main

SMOKE = {"layers": 1, "embed": 32, "heads": 2, "mlp": 48, "examples": 200, "unseen": 8}
NUMBERS = [3, -4, 8, 0, -7, 8, 5]


def experiment(layers: int = 3, embed: int = 96, heads: int = 4, mlp: int = 256, rows: int = 64, rate: float = 1e-2, steps: int = 800,
               examples: int = 20_000, unseen: int = 400) -> Experiment:
    learned, apart = requests(examples, seed=0), requests(unseen, seed=1, held_out=True)
    tokenizer = tokenizers.spaced([text for one in learned + apart for text in (one.words, one.expression)])
    model = Llama.of(Size(tokenizer.size, layers, embed, heads, heads, mlp))
    data, test = (prefixed([one.words for one in some], [one.expression for one in some], tokenizer) for some in (learned, apart))

    def written(model: Any) -> list[str]:
        prompts = [[*tokenizer.encode(one.words), tokenizer.start] for one in apart]
        return [tokenizer.decode(text) for (text,) in generate(model, prompts, most=40, ends=tokenizer.end).texts()]

    def passed(expressions: list[str]) -> float:
        return float(np.mean([right(said, one.expression) for said, one in zip(expressions, apart, strict=True)]))

    def verdict(model: Any, values: Mapping[str, float]) -> dict[str, float]:
        said = written(model)
        return {"passed": passed(said), "runs": float(np.mean([outcome(one, NUMBERS) is not None for one in said]))}

    def shown(model: Any, folder: Path) -> str:
        said, near = written(model), nearest(learned, apart)
        draw_bars(folder / "passed.png", {"the request most alike": passed(near), "the decoder": passed(said)},
                  "Requests never seen in their combination: expressions that do what was asked", "share", own="the decoder")
        lines = [f"{one.words}\n  {answer}\n  of {NUMBERS}: {outcome(answer, NUMBERS)}{'' if right(answer, one.expression) else '  WRONG'}"
                 for one, answer in zip(apart[:6], said, strict=False)]
        return "\n".join(lines)

    return Experiment(
        model=model,
        loss=next_token,
        data=data,
        held_out=test,
        tokenizer=tokenizer,
        rows=rows,
        steps=steps,
        optimizer=muon(model, warmup_cosine(rate, steps, warmup=steps // 10), adam=0.3),
        measures=[verdict],
        corpus="requests, and expressions",
        expects=[Expectation("passed", 0.95, lambda: passed(nearest(learned, apart)), above=True)],
        shows=[shown])


if __name__ == "__main__":
    main(experiment)
