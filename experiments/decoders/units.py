"""One text and one budget, in characters, words, byte pairs and Unigram's pieces: what does a character cost in each?

    python -m experiments units        two cores: 1.23 nats a character in byte pairs, 1.24 in Unigram's pieces, 1.31 in characters,
                                       1.84 in words; a character 5-gram reaches 1.41
"""
import math
from collections.abc import Mapping
from functools import partial
from typing import Any

from transformer.data import sources, tokenizers
from transformer.data.examples import windows
from transformer.data.ngrams import witten_bell
from transformer.data.tokenizers import Tokenizer
from transformer.losses import next_token
from transformer.models.llama import Llama, Size
from transformer.shows.bars import bars
from transformer.training.experiment import Expectation, Experiment, Stages
from transformer.training.optimizers import muon, warmup_cosine
from transformer.training.run import main

SMOKE = {"layers": 1, "embed": 32, "heads": 2, "mlp": 48, "length": 32, "vocab": 320, "words": 200}


def experiment(layers: int = 3, embed: int = 128, heads: int = 4, mlp: int = 384, length: int = 128, rows: int = 16,
               vocab: int = 1024, words: int = 4096, rate: float = 1e-2, steps: int = 400) -> Stages:
    learned, held_out = ("".join(texts) for texts in sources.split(["".join(sources.python_reference())]))
    learned, chosen = ("".join(texts) for texts in sources.split([learned]))  # the weights kept are the best on these
    letters = tokenizers.characters([learned, chosen, held_out])
    five_gram = witten_bell(letters(learned), letters(held_out), 5)
    units = {"characters": letters, "words": tokenizers.words(learned, words),
             "unigram": tokenizers.unigrams([learned], vocab), "byte_pairs": tokenizers.byte_pairs(learned, vocab)}
    costs: dict[str, float] = {}
    before = {"5-gram": five_gram}  # what the stages before came to

    def per_character(name: str, tokenizer: Tokenizer, model: Any, values: Mapping[str, float]) -> dict[str, float]:
        """A letter of an unknown word costs what it costs one who knows nothing of it."""
        ids = tokenizer(held_out)
        unknown = [piece for piece, id in zip(tokenizer.pieces(held_out), ids, strict=True) if id == tokenizer.unknown]
        spelt = len("".join(unknown)) * math.log(letters.tokens)
        costs[name] = (values["nats"] * (len(ids) - 1) + spelt) / len(held_out)
        return {"nats_per_character": costs[name], "best": min(costs.values()), "unknown": len(unknown) / len(ids)}

    for name, tokenizer in units.items():
        model = Llama.of(Size(tokenizer.size, layers, embed, heads, heads, mlp), tied=True)
        last = name == "byte_pairs"
        trained = yield Experiment(
            stage=name,
            model=model,
            loss=next_token,
            data=windows(tokenizer(learned), length, stride=length // 4),
            validation=windows(tokenizer(chosen), length),
            held_out=windows(tokenizer(held_out), length),
            rows=rows,
            steps=steps,
            optimizer=muon(model, warmup_cosine(rate, steps, warmup=steps // 10), adam=0.3),
            measures=[partial(per_character, name, tokenizer)],
            corpus=f"the Python reference in {name.replace('_', ' ')}",
            expects=[Expectation("best", threshold=1.32, baseline=five_gram)] if last else [],
            shows=[bars(before, name, name, lambda model, values: costs, "nats per character")] if last else [])
        costs[name] = before[name] = trained.values["nats_per_character"]  # also of a stage that was done before


if __name__ == "__main__":
    main(experiment)
