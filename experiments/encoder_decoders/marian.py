"""MarianMT: dates from and into four languages by one model, told by a mark which one is wanted.

    python -m experiments marian                         two cores: 1.00 of dates exactly right; copied 0.00
    python -m experiments marian --weekday               the hard one: the target also names the day of the week, which must be computed
    python -m experiments marian --file pairs.tsv        from your own pairs of texts, one a line with a tab between
"""
import re
from functools import partial
from pathlib import Path

from transformer.data import tokenizers
from transformer.data.examples import example
from transformer.data.made import dates
from transformer.data.pairs import pairs, parallel
from transformer.losses import sequence_to_sequence
from transformer.models.marian import Size, marian
from transformer.shows.alignment import attended, erased, mapped, trace
from transformer.training.answers import exact_match
from transformer.training.experiment import Expectation, Experiment
from transformer.training.optimizers import muon, warmup_cosine
from transformer.training.run import main

SMOKE = {"days": 100, "held_out": 4, "layers": 1, "embed": 32, "heads": 2, "mlp": 48, "rows": 8}
LANGUAGES = ("en", "fr", "de", "es")


def experiment(layers: int = 2, embed: int = 128, heads: int = 4, mlp: int = 256, vocab: int = 512, days: int = 40_000,
               held_out: int = 40, weekday: bool = False, rows: int = 32, rate: float = 4e-3, smoothing: float = 0.1,
               dropout: float = 0.0, steps: int = 400, file: Path | None = None) -> Experiment:
    away = dates.drawn(held_out, seed=2)
    unseen = dates.translations(away, LANGUAGES, every=True, seed=2, weekday=weekday)
    learned = dates.translations(dates.drawn(days, 1, frozenset(away)), LANGUAGES, every=False, seed=1, weekday=weekday)
    texts = [([one.source for one in part], [one.target for one in part]) for part in (learned, unseen)]
    texts = parallel(file) if file else texts
    tokenizer = tokenizers.byte_pairs([text for side in texts[0] for text in side], vocab)
    data, test = (pairs(*part, tokenizer) for part in texts)
    model = marian(Size(tokenizer.size, None, layers, embed, heads, mlp), dropout=dropout)
    copied = sum(re.sub(r"^>>\S+<< ", "", asked) == answer for asked, answer in zip(*texts[1], strict=True)) / len(test)
    return Experiment(
        model=model,
        loss=partial(sequence_to_sequence, smoothing=smoothing),
        data=data,
        held_out=test,
        tokenizer=tokenizer,
        rows=rows,
        steps=steps,
        optimizer=muon(model, warmup_cosine(rate, steps, warmup=steps // 10), adam=0.75),
        measures=[exact_match(test, [] if file else [one.direction for one in unseen])],
        expects=[Expectation("exact", None if file else 0.95, baseline=copied, above=True)],
        corpus="pairs of a file" if file else "CLDR's dates in four languages" + ", and weekdays" * weekday,
        shows=[trace(tokenizer, texts[1][0][0], most=40),
               mapped(tokenizer, example(test, 0), {"attention": attended, "erasure": erased(tokenizer.mask)}, "alignment.png")])


if __name__ == "__main__":
    main(experiment)
