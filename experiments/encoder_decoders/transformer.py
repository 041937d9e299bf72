"""The transformer of 2017: English into French by a grammar of genders and plurals, and where each French word came from.

    python -m experiments transformer                         two cores: 0.98 and more of unseen sentences
                                                              exactly right, and the mission's own; word by word 0.04
    python -m experiments transformer --file pairs.tsv        from your own pairs of texts, one a line with a tab between
"""
import dataclasses
from functools import partial
from pathlib import Path

from transformer.data import tokenizers
from transformer.data.examples import example
from transformer.data.made import translation
from transformer.data.pairs import pairs, parallel
from transformer.losses import sequence_to_sequence
from transformer.models.transformer import Size, transformer
from transformer.shows.alignment import agreement, attended, erased, mapped, trace
from transformer.training.answers import exact_match
from transformer.training.experiment import Expectation, Experiment, Stages
from transformer.training.optimizers import adamw, inverse_root
from transformer.training.run import main

SMOKE = {"sentences": 100, "held_out": 10, "layers": 1, "embed": 32, "heads": 2, "mlp": 48, "rows": 8}


def experiment(layers: int = 2, embed: int = 128, heads: int = 4, mlp: int = 256, sentences: int = 20_000, held_out: int = 300,
               rows: int = 64, rate: float = 2e-3, warmup: int = 100, smoothing: float = 0.1, dropout: float = 0.1,
               steps: int = 500, file: Path | None = None) -> Stages:
    unseen = translation.sentences(held_out, seed=2)
    learned = translation.sentences(sentences, seed=1, but=frozenset(one.source for one in unseen))
    texts = parallel(file) if file else [([one.source for one in part], [one.target for one in part]) for part in (learned, unseen)]
    every = [text for part in texts for side in part for text in side]
    tokenizer = tokenizers.byte_pairs(every, 8192) if file else tokenizers.spaced(every)
    data, test = (pairs(*part, tokenizer) for part in texts)
    size = Size(tokenizer.size, layers, embed, heads, mlp)
    shared = {"loss": partial(sequence_to_sequence, smoothing=smoothing), "data": data, "held_out": test, "rows": rows, "tokenizer": tokenizer,
              "optimizer": adamw(inverse_root(rate, warmup), betas=(0.9, 0.98), epsilon=1e-9, decay=0.0), "steps": steps,
              "corpus": "pairs of a file" if file else "an English-French grammar"}
    if file:
        yield Experiment(model=transformer(size, dropout=dropout), measures=[exact_match(test)],
                         shows=[trace(tokenizer, texts[1][0][0], most=100)], **shared)
        return
    english, french = translation.MISSION
    said = pairs([english], [french], tokenizer)
    gold, content = ([getattr(one, field) for one in unseen] for field in ("gold", "content"))
    maps = {"attention": attended, "erasure": erased(tokenizer.mask)}
    judged = [agreement(name, kind, test, gold, content) for name, kind in maps.items()]
    chance = sum(1 / len(one.english) for one in unseen) / len(unseen)
    yield Experiment(
        stage="deep", model=transformer(size, dropout=dropout),
        measures=[exact_match(test), exact_match(said, name="mission"), *judged],
        expects=[Expectation("exact", 0.98, baseline=lambda: translation.word_by_word(learned, unseen), above=True),
                 Expectation("mission", 1.0, baseline=0.0, above=True), Expectation("erasure", 0.8, baseline=chance, above=True)],
        shows=[trace(tokenizer, english), mapped(tokenizer, example(said, 0), maps, "deep.png", range(7))],
        **shared)
    yield Experiment(
        stage="shallow",
        model=transformer(dataclasses.replace(size, layers=0), 1, dropout), measures=[exact_match(test), *judged],
        expects=[Expectation("attention", 0.85, baseline=chance, above=True)],
        shows=[mapped(tokenizer, example(said, 0), maps, "shallow.png", range(7))],
        **shared)


if __name__ == "__main__":
    main(experiment)
