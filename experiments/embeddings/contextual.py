"""One word, two meanings: an encoder gives "bank" another vector by the river than in the world of money; a table cannot.

    python -m experiments contextual        two cores: a linear probe tells the meaning 1.0 of the time from the vectors
                                            of a masked language model, .46 from those of its table, the commoner meaning .51
"""
from transformer.data import tokenizers
from transformer.data.labelled import texts_with_class
from transformer.data.made.senses import senses
from transformer.data.masking import masked
from transformer.losses import masked_token
from transformer.models.bert import Bert, Masked, MaskedHead, Size
from transformer.shows.senses import probed, two_meanings
from transformer.training.experiment import Expectation, Experiment
from transformer.training.optimizers import muon, warmup_cosine
from transformer.training.run import main

SMOKE = {"layers": 1, "embed": 32, "heads": 2, "mlp": 48, "count": 200, "asked": 120}


def experiment(layers: int = 2, embed: int = 64, heads: int = 4, mlp: int = 128, length: int = 16, rows: int = 64, count: int = 5000,
               asked: int = 1000, rate: float = 1e-2, dropout: float = 0.0, steps: int = 800) -> Experiment:
    learned = senses(count, seed=0)
    held_out = [*dict.fromkeys(senses(4 * asked, seed=1, held_out=True))][:asked]  # each once, for the probe learns from half of them
    tokenizer = tokenizers.word_pieces([one.text for one in learned], 1024)
    size = Size(tokenizer.size, length, 1, layers, embed, heads, mlp)
    model = Masked(Bert.of(size, dropout), MaskedHead.of(size))
    data, unseen = (masked(texts_with_class([one.text for one in some], [one.second for one in some], tokenizer, length), tokenizer)
                    for some in (learned, held_out))
    probe = probed(held_out, tokenizer, length)
    majority = max(share := sum(one.second for one in held_out) / len(held_out), 1 - share)
    return Experiment(
        model=model,
        loss=masked_token,
        data=data,
        held_out=unseen.seed(0),
        rows=rows,
        steps=steps,
        optimizer=muon(model, warmup_cosine(rate, steps, warmup=steps // 10), adam=0.3),
        measures=[probe],
        corpus="sentences with words of two meanings",
        expects=[Expectation("contextual", 0.97, baseline=majority, above=True),
                 Expectation("static", 0.6, baseline=majority)],
        shows=[two_meanings(held_out, tokenizer, length, ("bank", "organ", "star"), probe)])


if __name__ == "__main__":
    main(experiment)
