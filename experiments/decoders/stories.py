"""Stories: a decoder tells new ones, and the grammar that made those it read can read them too.

    python -m experiments stories        two cores: .975 of the stories read well, and all are new; of a
                                         5-gram's none does. Drawn from the nucleus: plainly drawn, .925 read well
"""
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from transformer.data import tokenizers
from transformer.data.examples import padded, shifted
from transformer.data.made.stories import parses, stories
from transformer.data.ngrams import babbled
from transformer.decoding import Sample, generate
from transformer.losses import next_token
from transformer.models.llama import Llama, Size
from transformer.training.experiment import Expectation, Experiment
from transformer.training.optimizers import muon, warmup_cosine
from transformer.training.run import main

SMOKE = {"layers": 1, "embed": 32, "heads": 2, "mlp": 48, "texts": 100, "unseen": 20, "samples": 4}


def experiment(layers: int = 3, embed: int = 96, heads: int = 4, mlp: int = 256, rows: int = 24, rate: float = 3e-3,
               steps: int = 2200, texts: int = 48_000, unseen: int = 200, samples: int = 200) -> Experiment:
    read, apart = stories(texts, seed=0), stories(unseen, seed=1, held_out=True)
    tokenizer = tokenizers.words(read + apart, 256)
    model = Llama.of(Size(tokenizer.size, layers, embed, heads, heads, mlp))

    def rows_of(some: list[str]) -> np.ndarray:
        return padded([np.array([tokenizer.start, *tokens]) for tokens in tokenizer.documents(some)], 72)

    def told(model: Any, count: int) -> list[str]:
        generated = generate(model, [[tokenizer.start]] * count, most=100, strategy=Sample(top_p=0.95), ends=tokenizer.end, key=jax.random.key(0))
        return [tokenizer.decode(text) for (text,) in generated.texts()]

    def verdict(model: Any, values: Mapping[str, float]) -> dict[str, float]:
        found = told(model, samples)
        return {"parsed": float(np.mean([parses(text) for text in found])), "novel": 1 - len({*found} & {*read}) / samples}

    def five_gram() -> float:
        counted = np.concatenate([np.array([tokenizer.start, *tokens]) for tokens in tokenizer.documents(read[:2000])])
        found = babbled(counted, tokenizer.start, tokenizer.end, samples, order=5, seed=0)
        return float(np.mean([parses(tokenizer.decode(text)) for text in found]))

    def shown(model: Any, folder: Path) -> str:
        return "\n".join(f"{'reads well' if parses(text) else 'is no story'}: {text}" for text in told(model, 5))

    tokens, tested = rows_of(read), rows_of(apart)
    return Experiment(
        model=model,
        loss=next_token,
        data=shifted(tokens, tokens > 0),
        held_out=shifted(tested, tested > 0),
        rows=rows,
        steps=steps,
        optimizer=muon(model, warmup_cosine(rate, steps, warmup=steps // 10), adam=0.75),
        measures=[verdict],
        corpus="stories told by a grammar",
        expects=[Expectation("parsed", threshold=0.95, baseline=five_gram, above=True),
                 Expectation("novel", threshold=0.5, baseline=0.0, above=True)],
        shows=[shown])


if __name__ == "__main__":
    main(experiment)
