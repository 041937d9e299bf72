from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from little import experiment as little

from experiments.workflows import fine_tune
from transformer.data.batches import batches
from transformer.data.tokenizers import word_pieces
from transformer.huggingface import load, save
from transformer.mistakes import Mistake
from transformer.models import bert, gpt2, modernbert, roberta
from transformer.pretrained import encoder_in, pretrained, pretrained_encoder
from transformer.training.experiment import Trained, stages
from transformer.training.run import run
from transformer.training.trained import trained
from transformer.weights import holds, initialise, named

SIZE = bert.Size(vocab=64, length=12, layers=2, embed=16, heads=2, mlp=24)
GPT = gpt2.Size(vocab=64, length=12, layers=1, embed=16, heads=2)


def saved(folder: Path, spec, tokenizer: bool = True) -> Path:
    model = initialise(spec, jax.random.key(0))
    save(folder, model, word_pieces("a cat sat on a mat", 40) if tokenizer else None)
    return folder


@pytest.mark.slow
def test_a_spec_holds_what_the_directory_has(tmp_path):
    spec, tokenizer = pretrained(saved(tmp_path, bert.Pretraining.of(SIZE)), bert.Pretraining)
    there = named(load(tmp_path).model)
    assert isinstance(spec, bert.Pretraining) and tokenizer.encode("a cat").size
    assert holds(spec).keys() == there.keys()
    assert all(np.array_equal(value, there[name]) for name, value in named(initialise(spec, jax.random.key(1))).items())


@pytest.mark.parametrize("spec", [
    bert.Pretraining.of(SIZE), bert.Masked(bert.Bert.of(SIZE), bert.MaskedHead.of(SIZE)), roberta.masked(SIZE),
    bert.Pooled(bert.Bert.of(SIZE), bert.Pooler.of(SIZE)),
    modernbert.Masked.of(modernbert.Size(64, 2, 16, 2, 24))])
def test_an_encoder_is_found_behind_whatever_head(tmp_path, spec):
    encoder, _ = pretrained_encoder(saved(tmp_path, spec))
    whole, tokens = load(tmp_path).model, jnp.arange(8)[None] + 5
    there = (whole if hasattr(whole, "encode") else whole.encoder).encode(tokens)
    np.testing.assert_allclose(initialise(encoder, jax.random.key(2)).encode(tokens), there, atol=1e-6)


def test_another_family_is_refused_in_a_sentence(tmp_path):
    saved(tmp_path / "gpt2", gpt2.GPT2.of(GPT))
    saved(tmp_path / "bert", bert.Pretraining.of(SIZE))
    with pytest.raises(Mistake, match=r"bert holds a Pretraining, where a GPT2 was expected; give a checkpoint"):
        pretrained(tmp_path / "bert", gpt2.GPT2)
    with pytest.raises(Mistake, match=r"gpt2 holds a GPT2, where an encoder of texts was expected \(Bert or Roberta or ModernBert\)"):
        pretrained_encoder(tmp_path / "gpt2")
    with pytest.raises(Mistake, match="there is no directory"):
        pretrained(tmp_path / "absent")
    (tmp_path / "gpt2" / "tokenizer.json").unlink()
    with pytest.raises(Mistake, match="it has no tokenizer.json"):
        pretrained(tmp_path / "gpt2")
    assert encoder_in(gpt2.GPT2.of(GPT)) is None


@pytest.mark.slow
def test_a_run_is_gone_on_from(tmp_path):
    result = run(little, {"steps": 2}, runs=tmp_path)
    spec, tokenizer = pretrained(tmp_path / "little", gpt2.GPT2)
    experiment, model = trained(result.folder)
    assert all(np.array_equal(value, named(model)[name]) for name, value in holds(spec).items()) and holds(spec)
    assert experiment.tokenizer is not None and tokenizer.encode("import").tolist() == experiment.tokenizer.encode("import").tolist()
    with pytest.raises(Mistake, match="holds a GPT2, where an encoder of texts was expected"):
        pretrained_encoder(tmp_path / "little")


def test_fine_tuning_reads_with_the_checkpoint_s_tokenizer_and_draws_labels_from_all_of_a_sorted_file(tmp_path):
    file = tmp_path / "sorted.csv"
    file.write_text("text,label\n" + "".join(f"a {what} {n},{what}\n" for what in ("cat", "mat") for n in range(60)))
    checkpoint = saved(tmp_path / "bert", bert.Pooled(bert.Bert.of(SIZE), bert.Pooler.of(SIZE)))
    program = stages(fine_tune.experiment(from_=checkpoint, file=file, length=12, labels=20, rows=20))
    scratch = next(program)
    batch = batches(scratch.data, 20, 0)[0]
    assert set(batch["label"].tolist()) == {0, 1}
    assert scratch.tokenizer.encode("a cat").tolist() == word_pieces("a cat sat on a mat", 40).encode("a cat").tolist()
    assert batch["tokens"].max() < scratch.model.encoder.tokens.table.shape[0]
    full = program.send(Trained(scratch.model, initialise(scratch.model, jax.random.key(0)), {"right": 0.5}))
    assert any(name.startswith("encoder.") for name in holds(full.model)) and all(one.threshold <= 1 for one in full.expects)
