"""From one model to many texts: a trap into which greedy search walks and beams do not, then all strategies on stories.

    python -m experiments decoding        two cores: beams must gain 1.5 nats on greedy search, of 2.17 to be had, and miss
                                          nothing that trying all texts finds
"""
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from transformer.data import tokenizers
from transformer.data.examples import padded, shifted
from transformer.data.made import traps
from transformer.data.made.stories import parses, stories
from transformer.decoding import Beams
from transformer.losses import next_token
from transformer.models.gpt2 import GPT2, Size
from transformer.shows.strategies import best_of, compared, draw, strategies, table, tree_of
from transformer.training.experiment import Expectation, Experiment, Stages
from transformer.training.optimizers import muon, warmup_cosine
from transformer.training.run import main

SMOKE = {"layers": 1, "embed": 32, "heads": 2, "texts": 100, "unseen": 20, "count": 2}

def experiment(layers: int = 2, embed: int = 64, heads: int = 4, rows: int = 32, rate: float = 1e-2, steps: int = 400,
               texts: int = 6000, unseen: int = 100, trap_steps: int = 200, count: int = 8) -> Stages:
    apart = traps.traps(64, seed=1, held_out=True)
    prompt = apart[0, : traps.BEFORE + 1].tolist()

    def searched(model: Any, values: Mapping[str, float]) -> dict[str, float]:
        """The best way that each search finds, and the best there is."""
        scores = best_of(model, prompt, 2, traps.TOKENS)
        return {**scores, "gain": scores["beams"] - scores["greedy"], "missed": scores["exhaustive"] - scores["beams"]}

    model = GPT2.of(Size(traps.TOKENS, 32, layers, embed, heads))
    yield Experiment(
        stage="trap",
        model=model,
        loss=next_token,
        data=shifted(traps.traps(8000, seed=0)),
        held_out=shifted(apart),
        rows=rows,
        steps=trap_steps,
        optimizer=muon(model, warmup_cosine(rate, trap_steps, warmup=trap_steps // 10), adam=0.3),
        measures=[searched],
        corpus="texts with a trap",
        expects=[Expectation("gain", threshold=1.5, baseline=0.0, above=True),
                 Expectation("missed", threshold=1e-3, baseline=float(np.log(0.35 / 0.04)))],
        shows=[tree_of(prompt, 3, Beams(4, length_penalty=0.0), traps.named, "START")])

    read, told = stories(texts, seed=0), stories(unseen, seed=1, held_out=True)
    tokenizer = tokenizers.words(read + told, 256)
    model = GPT2.of(Size(tokenizer.size, 72, layers, embed, heads))
    begun = [tokenizer.start, *tokenizer("One morning").tolist()]
    found: dict[str, dict[str, Any]] = {}  # by measuring, to be shown

    def measured(model: Any, values: Mapping[str, float]) -> dict[str, float]:
        found.update(compared(model, begun, strategies(count), 69, tokenizer.end,
                              lambda text: parses("One morning" + tokenizer.decode(text))))
        return {"beam_gain": found["8 beams"]["score"] - found["greedy"]["score"],
                "variety": found["temperature 1"]["distinct_2"] - found["temperature 0.5"]["distinct_2"]}

    def shown(model: Any, folder: Path) -> str:
        draw(found, folder)
        return "\n".join([table(found), *(f"{name}: One morning{tokenizer.decode(one['texts'][0])}" for name, one in found.items())])

    tokens, tested = (padded([np.array([tokenizer.start, *ids]) for ids in tokenizer.documents(some)], 73) for some in (read, told))
    yield Experiment(
        stage="stories",
        model=model,
        loss=next_token,
        data=shifted(tokens, tokens > 0),
        held_out=shifted(tested, tested > 0),
        rows=rows,
        steps=steps,
        optimizer=muon(model, warmup_cosine(rate, steps, warmup=steps // 10), adam=0.3),
        measures=[measured],
        corpus="stories told by a grammar",
        expects=[Expectation("beam_gain", threshold=0.3, baseline=0.0, above=True),
                 Expectation("variety", threshold=0.0, baseline=0.0, above=True)],
        shows=[shown])


if __name__ == "__main__":
    main(experiment)
