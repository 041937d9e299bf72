"""Three shapes and what each is for: one corpus, an encoder, a decoder and an encoder-decoder; then one task by two of them.

    python -m experiments shapes        two cores: translated 1.0 right by the encoder-decoder, .995 by the decoder, 0 by the encoder,
                                        which fills .77 of the gaps, the decoder .18; dates 1.0 right by both

Of lines with a sentence and its translation, the encoder fills in, the decoder generates, the encoder-decoder transduces
best; dates are translated by a decoder that reads them as a prefix just as well. All stacks weigh the same.
"""
from collections.abc import Mapping
from functools import partial
from typing import Any

from transformer.data.made import dates, translation
from transformer.data.masking import masked
from transformer.data.pairs import pairs, prefixed
from transformer.losses import masked_token, next_token, sequence_to_sequence
from transformer.models import bert, llama, t5
from transformer.shows.columns import UNITS, table
from transformer.training.columns import Corpus, Judge, Lines, of_decoder, of_encoder, of_encoder_decoder, sides
from transformer.training.experiment import Expectation, Experiment, Stages
from transformer.training.optimizers import muon, warmup_cosine
from transformer.training.run import main

SMOKE = {"sentences": 60, "days": 60, "held_out": 6, "layers": 1, "embed": 32, "heads": 2, "rows": 4}
LANGUAGES = ("en", "fr", "de", "es")


def experiment(layers: int = 2, embed: int = 128, heads: int = 4, sentences: int = 10_000, days: int = 20_000, held_out: int = 200,
               rows: int = 48, rate: float = 5e-3, steps: int = 300, date_steps: int = 500) -> Stages:
    unseen, away = translation.sentences(held_out, seed=2), dates.drawn(held_out, seed=2)
    learned = translation.sentences(sentences, 1, frozenset(one.source for one in unseen))
    written = [dates.translations(part, LANGUAGES, False, seed) for seed, part in enumerate((dates.drawn(days, 1, frozenset(away)), away))]
    french = Corpus("sentences", sides(learned), sides(unseen), steps, True, tuple(UNITS))
    dated = Corpus("dates", sides(written[0]), sides(written[1]), date_steps, False, ("transduce",))
    stage = partial(shape, layers=layers, embed=embed, heads=heads, rows=rows, rate=rate)

    decoder = (yield stage("decoder", of_decoder, french, {}, [])).values
    both = (yield stage("encoder-decoder", of_encoder_decoder, french, {"decoder": decoder}, [
        Expectation("transduce", None, baseline=decoder["transduce"], above=True)])).values
    yield stage("encoder", of_encoder, french, {"decoder": decoder, "encoder-decoder": both}, [
        Expectation("fill", decoder["fill"] + 0.3, baseline=decoder["fill"], above=True),
        Expectation("generate", None, baseline=decoder["generate"], above=True)])
    enough = [Expectation("transduce", 0.95, baseline=0.0, above=True)]
    prefix = yield stage("dates by a decoder", of_decoder, dated, {}, enough)
    yield stage("dates by an encoder-decoder", of_encoder_decoder, dated, {"dates by a decoder": prefix.values}, enough)


def shape(name: str, judge: Judge, corpus: Corpus, others: Mapping[str, Mapping[str, float]], expects: list[Expectation], *,
          layers: int, embed: int, heads: int, rows: int, rate: float) -> Experiment:
    """One of the three; `layers` that read and as many that write and look across weigh as much as twice as many of one kind."""
    tokenizer, lines, parts = corpus.tokenizer, Lines.of(*corpus.unseen, corpus.tokenizer), (corpus.learned, corpus.unseen)
    if judge is of_encoder:
        size = bert.Size(tokenizer.size, lines.tokens.shape[1] + 8, 0, 2 * layers, embed, heads, 3 * embed)
        model: Any = bert.Masked(bert.Bert.of(size), bert.MaskedHead.of(size))
        rates, loss, data = {}, masked_token, [masked(prefixed(*part, tokenizer), tokenizer) for part in parts]
    elif judge is of_decoder:
        model = llama.Llama.of(llama.Size(tokenizer.size, 2 * layers, embed, heads, heads, 2 * embed), tied=True)
        rates, loss, data = {}, next_token, [prefixed(*part, tokenizer, whole=corpus.whole) for part in parts]
    else:
        size = t5.Size(tokenizer.size, layers, embed, heads, embed // heads, 2 * embed)
        model = t5.T5.of(size)
        rates, loss, data = t5.rates(size), sequence_to_sequence, [pairs(*part, tokenizer) for part in parts]

    return Experiment(
        stage=name, model=model, loss=loss, data=data[0], held_out=data[1].seed(0), tokenizer=tokenizer, rows=rows, steps=corpus.steps,
        optimizer=muon(model, warmup_cosine(rate, corpus.steps, warmup=corpus.steps // 10), adam=0.75, rates=rates),
        expects=expects,
        corpus=f"{corpus.about}, translated", measures=[lambda model, values: judge(model, lines)],
        shows=[table(name, judge, lines, others, corpus.columns)])


if __name__ == "__main__":
    main(experiment)
