"""Checkpoints of others in and out: equal outputs, equal bytes, and a sentence for all that can be wrong with them."""
import dataclasses
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from tiny import sharp

from transformer.attention import Attention, fused
from transformer.decoding import Beams, generate
from transformer.huggingface import families, files, load, loading, save, verify
from transformer.huggingface.families import FAMILIES
from transformer.huggingface.family import Call
from transformer.huggingface.generate import generated
from transformer.huggingface.names import Row, linear, matched, pairs, prefixed, vector
from transformer.layers import GatedMlp, Linear, Mlp
from transformer.mistakes import Mistake
from transformer.models import (
    bart,
    bert,
    clip,
    distilbert,
    gpt2,
    imagegpt,
    llama,
    llama_kin,
    marian,
    modernbert,
    roberta,
    t5,
    vit,
    whisper,
)
from transformer.models.gpt import gpt
from transformer.positions import Linear as Squeezed
from transformer.positions import Llama3, Rotary, Yarn
from transformer.sharding import mesh_of, shardings
from transformer.weights import edit, inputs, named, weight

CASES = Path(__file__).parent / "reference" / "huggingface"
DECODERS = ("gpt", "gpt2", "gpt2_bare", "gpt2_untied", "imagegpt", "llama", "llama_biases", "llama_linear", "llama_old",
            "llama_yarn", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "mixtral")
OTHERS = ("bert", "bert_answers", "bert_classes", "bert_pretraining", "bert_tags", "roberta", "roberta_classes", "distilbert",
          "distilbert_classes", "modernbert", "modernbert_classes", "llama_classes", "gpt2_model", "vit", "vit_bare", "clip",
          "t5", "t5_encoder", "t5_gated", "bart", "marian", "whisper")
ALL = (*DECODERS, *OTHERS)
OLDER = {"weight": "gamma", "bias": "beta"}
QUICK = ("gpt", "llama_biases", "llama_yarn", "mixtral", "distilbert_classes", "vit_bare", "t5_encoder")


def alone(case: str, directory: Path, *kinds: str) -> Path:
    """A copy of a case with the calls of these kinds only."""
    shutil.copytree(CASES / case, directory, dirs_exist_ok=True)
    meta = json.loads((directory / "meta.json").read_text())
    meta["calls"] = [call for call in meta["calls"] if call["kind"] in kinds]
    (directory / "meta.json").write_text(json.dumps(meta))
    return directory


def changed(case: str, directory: Path, **settings) -> Path:
    """A copy of a case with other settings; None takes one away."""
    shutil.copytree(CASES / case, directory, dirs_exist_ok=True)
    config = json.loads((directory / "config.json").read_text()) | settings
    files.write_json(directory / "config.json", {name: value for name, value in config.items() if value is not None})
    return directory


def rewritten(directory: Path, arrays: dict[str, np.ndarray]) -> Path:
    files.write(directory, [files.Pending(name, a.shape, a.dtype, lambda a=a: a) for name, a in arrays.items()], 10**9)
    return directory


def arrays_of(directory: Path) -> dict[str, np.ndarray]:
    return {name: np.array(stored.read()) for name, stored in files.stored(directory).items()}


def equal(one, other) -> bool:
    same = jax.tree.map(lambda a, b: a.dtype == b.dtype and bool((np.asarray(a) == np.asarray(b)).all()), one, other)
    return jax.tree.all(same)


# --- outputs ---------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(
    "case", [case if case in QUICK else pytest.param(case, marks=pytest.mark.slow) for case in ALL])
def test_a_checkpoint_gives_what_it_gave_elsewhere(case, tmp_path):
    judged = list(verify.verify(alone(case, tmp_path, "forward", "base")))
    assert judged and [one for one in judged if not one.ok] == []


@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in ALL if '"generate"' in (CASES / case / "meta.json").read_text()])
def test_and_says_what_it_said_elsewhere(case, tmp_path):
    judged = list(verify.verify(alone(case, tmp_path, "generate")))
    assert judged and [one for one in judged if not one.ok] == []


def test_their_words_ask_for_groups_of_beams_and_for_nothing_that_is_not_done():
    model, prompt = sharp(gpt2.GPT2.of(gpt2.Size(32, 16, 1, 8, 2))), [[5, 3, 8]]
    asked = {"num_beams": 4, "num_beam_groups": 2, "diversity_penalty": 0.9, "num_return_sequences": 2, "max_new_tokens": 4, "max_length": 99}
    found = generate(model, prompt, most=4, strategy=Beams(4, 2, groups=2, diversity=0.9))
    np.testing.assert_array_equal(generated(model, asked, prompt)["sequences"][:, 3:], found.tokens[0])
    for wrong, said in (({"encoder_no_repeat_ngram_size": 2}, "encoder_no_repeat_ngram_size = 2 is not supported;"),
                        ({"penalty_alpha": 0.6}, "penalty_alpha = 0.6 is not supported;"), ({"do_sample": True}, "do_sample is True"),
                        ({"num_return_sequences": 2}, "the count is 2")):
        with pytest.raises(Mistake, match=said):
            generated(model, {"max_new_tokens": 4, **wrong}, prompt)


def test_verify_prints_a_line_an_array(tmp_path, capsys):
    directory = str(alone("gpt2_bare", tmp_path, "forward"))
    assert verify.main(directory) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[:-1]] == [["right", "loss"], ["right", "logits"],
                                                         ["right", "hidden_states"]]
    assert lines[-1] == "3 arrays, 0 wrong"
    assert verify.main(directory, ["--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["wrong"] == 0 and [one["array"] for one in report["arrays"]] == ["loss", "logits", "hidden_states"]
    with pytest.raises(Mistake, match="takes a directory and --json"):
        verify.main(directory, ["--fast"])


def test_verify_counts_what_is_wrong(tmp_path, capsys):
    directory = alone("gpt2_bare", tmp_path, "forward")
    arrays = arrays_of(directory)
    arrays["h.1.mlp.c_fc.bias"][3] += 0.01
    rewritten(directory, arrays)
    assert verify.main(str(directory)) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "3 arrays, 3 wrong"


def test_what_verify_does_not_know_is_wrong(tmp_path):
    directory = alone("gpt2_bare", tmp_path, "forward")
    meta = json.loads((directory / "meta.json").read_text())
    for change, said in (({"kind": "custom:dream"}, "'custom:dream' are not known"),
                         ({"kwargs": {"magic": 1}}, "no use is known for magic"),
                         ({"inputs": {"pixels": "right.in.input_ids"}}, "the inputs pixels"),
                         ({"outputs": ["smell"]}, "no such output")):
        (directory / "meta.json").write_text(json.dumps(meta | {"calls": [meta["calls"][0] | change]}))
        judged = list(verify.verify(directory))
        assert judged and not any(one.ok for one in judged) and all(said in one.note for one in judged)
    (directory / "meta.json").write_text(json.dumps(meta))
    changed("gpt2_bare", directory, architectures=["GPT5LMHeadModel"])
    judged = list(verify.verify(directory))
    assert len(judged) == 3 and all("GPT5LMHeadModel" in one.note and not one.ok for one in judged)


def test_what_was_recorded_must_be_there(tmp_path):
    (alone("gpt2_bare", tmp_path, "forward") / "io.npz").unlink()
    with pytest.raises(Mistake, match=r"there is no .*io\.npz, .* beside meta.json"):
        list(verify.verify(tmp_path))
    (tmp_path / "io.npz").write_bytes(b"PK, but cut short")
    with pytest.raises(Mistake, match=r"io\.npz cannot be read"):
        list(verify.verify(tmp_path))


def test_modernbert_may_predict_only_what_is_asked_for(tmp_path):
    directory = alone("modernbert", tmp_path, "forward")
    config, arrays = files.read_json(directory / "config.json"), dict(np.load(directory / "io.npz"))
    inputs = {name: arrays[f"right.in.{name}"] for name in ("input_ids", "attention_mask", "labels")}
    model, answer = load(directory).model, families.of(config).call
    got = answer(model, Call("forward", inputs, {}, config | {"sparse_prediction": True}, {}))
    want = arrays["right.out.logits"][inputs["labels"] != -100]
    np.testing.assert_allclose(got["logits"], want, atol=1e-5 * np.abs(want).max())
    np.testing.assert_allclose(got["loss"], arrays["right.out.loss"], rtol=1e-5)


def test_a_loss_of_routers_is_refused(tmp_path):
    alone("mixtral", tmp_path, "forward")
    config = files.read_json(tmp_path / "config.json")
    files.write_json(tmp_path / "config.json", config | {"output_router_logits": True})
    judged = {(one.call, one.array): one for one in verify.verify(tmp_path)}
    assert "output_router_logits the loss is also of" in judged["right", "loss"].note and judged["left", "logits"].ok


def test_a_command_verifies(tmp_path):
    from transformer.__main__ import main

    assert main(["verify", str(alone("gpt2_bare", tmp_path, "forward"))]) == 0


# --- there and back --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("case", ALL)
def test_what_is_saved_has_the_same_bytes(case, tmp_path):
    loaded = load(CASES / case)
    save(tmp_path, *loaded)
    again = load(tmp_path)
    assert equal(loaded.model, again.model) and again.generation == loaded.generation
    there, back = arrays_of(CASES / case), arrays_of(tmp_path)
    if case == "gpt2_bare":
        there = {f"transformer.{name}": array for name, array in there.items()
                 if not name.endswith((".attn.bias", "lm_head.weight"))}
    assert there.keys() == back.keys()
    assert all(there[name].tobytes() == back[name].tobytes() for name in there)
    old, new = (json.loads((directory / "config.json").read_text()) for directory in (CASES / case, tmp_path))
    renewed = {"rope_theta", "rope_scaling", "torch_dtype", "transformers_version"}
    assert {name: new[name] for name in old.keys() - renewed - {"n_inner"}} == {
        name: old[name] for name in old.keys() - renewed - {"n_inner"}}


SIZE = llama.Size(vocab=40, layers=3, embed=16, heads=4, groups=2, mlp=24)
ENCODER = bert.Size(vocab=40, length=12, layers=2, embed=16, heads=4, mlp=24)
BORN = {
    "openai-gpt": gpt(gpt2.Size(40, 12, 2, 16, 4)),
    "gpt2": gpt2.GPT2.of(gpt2.Size(40, 12, 2, 16, 4, mlp=20), dropout=0.1, tied=False),
    "imagegpt": imagegpt.imagegpt(imagegpt.Size(41, 12, 2, 16, 4)),
    "llama": llama.Llama.of(SIZE, epsilon=1e-5, tied=True, rotary=Rotary(4, 500.0, Llama3(4.0, 1.0, 4.0, 16))),
    "mistral": llama_kin.mistral(SIZE, 4, rotary=Rotary(4, 100.0, Squeezed(3.0))),
    "qwen2": llama_kin.qwen2(SIZE, windows=(None, 3), kinds=(0, 1, 1)),
    "qwen3": llama_kin.qwen3(dataclasses.replace(SIZE, head=6), bias=True),
    "gemma": llama_kin.gemma(SIZE, Rotary(4, 100.0, Yarn(4.0, 1.0, 32.0, 8, 100.0), 1.2)),
    "gemma2": llama_kin.gemma2(SIZE, reach=3, asked=9, cap=None, kinds=(1, 0, 1)),
    "mixtral": llama_kin.mixtral(llama_kin.ExpertSize(40, 3, 16, 4, 2, 24, experts=4), chosen=3),
    "bert": bert.Pretraining.of(ENCODER, epsilon=1e-6),
    "roberta": roberta.masked(ENCODER, pad=2),
    "distilbert": distilbert.masked(dataclasses.replace(ENCODER, kinds=0)),
    "modernbert": modernbert.Masked.of(modernbert.Size(40, 4, 16, 4, 24, window=6)),
    "t5": t5.T5.of(t5.Size(40, 2, 16, 4, 6, 24, 8, 12), gated=True, decoder_layers=1),
    "bart": bart.Bart.of(bart.Size(40, 12, 2, 16, 4, 24), decoder_layers=1, scaled=True),
    "marian": marian.marian(marian.Size(40, 37, 2, 16, 4, 24), decoder_layers=1),
    "whisper": whisper.Whisper.of(whisper.Size(40, 6, 10, 12, 2, 16, 4, 24), decoder_layers=1),
    "vit": vit.Classes.of(vit.Size(12, 4, 3, 5, 2, 16, 4, 24)),
    "clip": clip.CLIP.of(clip.TextSize(40, 12, 2, 16, 4, 24, 10), clip.ImageSize(12, 4, 3, 2, 12, 3, 24, 10), end=39),
}


@pytest.mark.parametrize("kind", BORN)
def test_a_model_born_here_says_itself_what_it_is(kind, tmp_path):
    model = sharp(BORN[kind])
    save(tmp_path, model)
    loaded = load(tmp_path)
    assert loaded.config["model_type"] == kind and loaded.config["dtype"] == "float32"
    assert jax.tree.structure(loaded.model) == jax.tree.structure(model) and equal(loaded.model, model)


def test_how_a_model_computes_is_not_lost_nor_in_the_way(tmp_path):
    model = sharp(BORN["gpt2"])
    other = edit(model, Attention, lambda attention: attention.replace(core=fused, dropout=0.3))
    save(tmp_path, other.replace(blocks=other.blocks.replace(remat="full", unroll=True)))
    assert jax.tree.structure(load(tmp_path).model) == jax.tree.structure(model)


def test_what_has_no_setting_is_not_saved(tmp_path):
    strange = sharp(BORN["llama"]).replace(multiplier=3.0)
    with pytest.raises(Mistake, match="this Llama cannot be saved as any class of Hugging Face: .*no setting"):
        save(tmp_path / "a", strange)
    with pytest.raises(Mistake, match=r"this Llama cannot be saved as \['GPT2LMHeadModel'\]"):
        save(tmp_path / "a", sharp(BORN["llama"]), config={"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]})
    with pytest.raises(Mistake, match="this Linear cannot be saved"):
        save(tmp_path / "a", Linear(jnp.zeros((2, 2))))
    assert not (tmp_path / "a").exists()


def test_a_config_fills_in_what_the_model_leaves_open(tmp_path):
    settings = {"max_position_embeddings": 99, "eos_token_id": 3}
    save(tmp_path, sharp(BORN["llama"]), config=settings, generation={"eos_token_id": 3})
    loaded = load(tmp_path)
    assert (loaded.config["max_position_embeddings"], loaded.config["eos_token_id"]) == (99, 3)
    assert loaded.generation == {"eos_token_id": 3}
    blocks = loaded.model.blocks
    shorter = blocks.replace(blocks=jax.tree.map(lambda w: w[:2], blocks.blocks))
    save(tmp_path, loaded.model.replace(blocks=shorter), config=loaded.config)
    assert load(tmp_path).config["num_hidden_layers"] == 2


def test_special_tokens_stay_those_of_the_config(tmp_path):
    tokens = {"pad_token_id": 5, "eos_token_id": 6, "decoder_start_token_id": 7}
    save(tmp_path, sharp(BORN["marian"]), config={**tokens, "model_type": "marian", "encoder_layers": 9})
    assert {name: load(tmp_path).config[name] for name in (*tokens, "encoder_layers")} == tokens | {"encoder_layers": 2}
    save(tmp_path, sharp(BORN["roberta"]), config={"model_type": "roberta", "pad_token_id": 1})
    assert load(tmp_path).config["pad_token_id"] == 2  # from which its positions are counted


def test_a_tokenizer_goes_along(tmp_path):
    from transformer.data.tokenizers import characters

    save(tmp_path, sharp(BORN["gpt2"]), characters("abc"))
    tokenizer = load(tmp_path).tokenizer
    assert tokenizer is not None and tokenizer.decode(tokenizer.encode("cab")) == "cab"


# --- files -----------------------------------------------------------------------------------------------------------

def test_many_files_with_an_index(tmp_path):
    loaded = load(CASES / "llama")
    save(tmp_path, *loaded, limit=4000)
    shards = sorted(path.name for path in tmp_path.glob("model-*.safetensors"))
    assert len(shards) > 3 and shards[0] == f"model-00001-of-{len(shards):05}.safetensors"
    assert not (tmp_path / files.WHOLE).exists()
    assert equal(load(tmp_path).model, loaded.model)
    (tmp_path / shards[1]).rename(tmp_path / "aside")
    with pytest.raises(Mistake, match=f"names {shards[1]}, not there"):
        load(tmp_path)
    save(tmp_path, *loaded)
    assert sorted(path.name for path in tmp_path.glob("model*")) == [files.WHOLE]


@pytest.mark.parametrize("kind", [ml_dtypes.bfloat16, np.float16])
def test_half_the_bits(kind, tmp_path):
    shutil.copytree(CASES / "llama", tmp_path, dirs_exist_ok=True)
    rewritten(tmp_path, {name: array.astype(kind) for name, array in arrays_of(tmp_path).items()})
    loaded = load(tmp_path)
    assert {leaf.dtype for leaf in jax.tree.leaves(loaded.model)} == {np.dtype(kind)}
    save(tmp_path / "out", *loaded)
    assert json.loads((tmp_path / "out" / "config.json").read_text())["dtype"] == np.dtype(kind).name
    there, back = arrays_of(tmp_path), arrays_of(tmp_path / "out")
    assert there.keys() == back.keys() and all(np.array_equal(there[name], back[name]) for name in there)
    wide = load(tmp_path, dtype=jnp.float32).model
    assert equal(wide, jax.tree.map(lambda x: x.astype(jnp.float32), loaded.model))


def test_copies_of_older_files_are_known(tmp_path):
    there = arrays_of(CASES / "gpt2")
    shutil.copytree(CASES / "gpt2", tmp_path, dirs_exist_ok=True)
    moved = {name.replace("transformer.wte", "lm_head"): array for name, array in there.items()}
    assert equal(load(rewritten(tmp_path, moved)).model, load(CASES / "gpt2").model)


@pytest.mark.parametrize("case", ["gpt2", "bert_pretraining", "roberta", "distilbert", "modernbert", "t5", "bart",
                                  "marian", "whisper"])
def test_names_as_files_spell_them(case, tmp_path):
    """With and without the prefix, with gamma and beta, tied arrays once, twice or by the copy's name, in many files."""
    shutil.copytree(CASES / case, tmp_path, dirs_exist_ok=True)
    family, there, whole = families.of(files.read_json(tmp_path / "config.json")), arrays_of(CASES / case), load(CASES / case)
    bare = {name.removeprefix(family.prefix): array for name, array in there.items()}
    old = {re.sub(r"((?:[Nn]orm|ln_\d))\.(weight|bias)$", lambda m: f"{m[1]}.{OLDER[m[2]]}", name): array
           for name, array in bare.items()}
    assert case in ("modernbert", "t5") or sum(name.endswith(".beta") for name in old) >= 2
    tied = {copy: source for copy, source in family.copies.items() if source in there}
    assert tied
    twice = there | {copy: there[source] for copy, source in tied.items()}
    spellings = [bare, old, twice] + [
        {copy if name == source else name: array for name, array in there.items()} for copy, source in tied.items()]
    for arrays in spellings:
        assert equal(load(rewritten(tmp_path, arrays)).model, whole.model)
    half = {name: array.astype(ml_dtypes.bfloat16) for name, array in twice.items()}
    files.write(tmp_path, [files.Pending(name, a.shape, a.dtype, lambda a=a: a) for name, a in half.items()], 4000)
    assert (tmp_path / files.INDEX).exists()
    want = jax.tree.map(lambda x: x.astype(jnp.bfloat16), whole.model)
    assert equal(load(tmp_path).model, want)
    wrong = twice | {next(iter(tied)): next(iter(twice.values())) + 1}
    with pytest.raises(Mistake, match=f"left over: {re.escape(next(iter(tied)))}"):
        load(rewritten(tmp_path, wrong))


@pytest.mark.parametrize("said", [True, False])
@pytest.mark.parametrize("scaled", [True, False, None])
@pytest.mark.parametrize("head", ["none", "equal", "own"])
def test_whether_t5s_head_is_tied_is_told_by_the_file(said, scaled, head, tmp_path):
    """As in transformers 5, whose own configs say that each is; there scaling goes by what else is said."""
    directory = changed("t5_gated", tmp_path, tie_word_embeddings=said, scale_decoder_outputs=scaled)
    arrays = arrays_of(directory)
    own = arrays["shared.weight"] + np.float32(head == "own")
    model = load(rewritten(directory, arrays if head == "none" else arrays | {"lm_head.weight": own})).model
    assert model.scaled == (said if scaled is None else scaled)
    assert model.head is None if head != "own" else np.array_equal(model.head.kernel.T, own)


def test_all_that_does_not_fit_is_said_at_once(tmp_path):
    arrays = arrays_of(CASES / "gpt2")
    del arrays["transformer.h.1.attn.c_attn.weight"]
    arrays["transformer.ln_f.bias"] = np.zeros(5, np.float32)
    arrays["transformer.h.2.surprise"] = np.zeros(2, np.float32)
    arrays["lm_head.weight"] = arrays["transformer.wte.weight"] + 1  # tied, yet another
    shutil.copytree(CASES / "gpt2", tmp_path, dirs_exist_ok=True)
    with pytest.raises(Mistake) as mistake:
        load(rewritten(tmp_path, arrays))
    said = str(mistake.value)
    assert "nothing was loaded" in said
    assert "missing: transformer.h.1.attn.c_attn.weight (our blocks.blocks.attention.query.kernel, " in said
    assert "of another shape: transformer.ln_f.bias is 5 instead of 16 (our norm.shift 16)" in said
    assert "left over: lm_head.weight; transformer.h.2.surprise" in said


def test_a_pickle_is_refused(tmp_path):
    shutil.copytree(CASES / "gpt2", tmp_path, dirs_exist_ok=True)
    (tmp_path / files.WHOLE).unlink()
    with pytest.raises(Mistake, match="neither model.safetensors nor model.safetensors.index.json"):
        load(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps({}))
    with pytest.raises(Mistake, match="only pytorch_model.bin: a pickle, which runs whatever code"):
        load(tmp_path)


def test_a_damaged_file_says_so(tmp_path):
    whole = (CASES / "gpt2" / files.WHOLE).read_bytes()
    begin = 8 + int.from_bytes(whole[:8], "little")
    text = whole[8:begin]
    first = text.index(b'"data_offsets":[')
    quantised = whole[:8] + text.replace(b'"F32"', b'"F8"', 1).ljust(begin - 8) + whole[begin:]
    moved = text[first:].replace(b'"data_offsets":[0', b'"data_offsets":[4', 1)
    wrongs = {whole[:-7]: "cut short: its header speaks of", whole + b"x": "longer than it says", quantised: "type F8",
              whole[:90]: "cut short within", b"": "cut short within", b"\0" * 64: "cut short within",
              whole[:8] + b"!" + whole[9:]: "header cannot be read",
              whole[:8] + text[:first] + moved + whole[begin:]: "fill"}
    for content, said in wrongs.items():
        path = tmp_path / files.WHOLE
        path.write_bytes(content)
        with pytest.raises(Mistake, match=said):
            files.header(path)


def test_nothing_is_left_of_a_write_that_failed(tmp_path):
    shutil.copytree(CASES / "gpt2", tmp_path, dirs_exist_ok=True)
    whole = (tmp_path / files.WHOLE).read_bytes()
    with pytest.raises(ZeroDivisionError):
        files.write(tmp_path, [files.Pending("a", (3,), np.dtype(np.float32), lambda: 1 / 0)], 100)
    assert (tmp_path / files.WHOLE).read_bytes() == whole


def test_odd_shapes_survive(tmp_path):
    arrays = {"number": np.array(3.0, np.float32), "empty": np.zeros((0, 3), np.float16), "bits": np.array([True]),
              "brain": np.arange(6, dtype=ml_dtypes.bfloat16).reshape(2, 3).T}
    back = arrays_of(rewritten(tmp_path, arrays))
    assert all(back[name].dtype == a.dtype and np.array_equal(back[name], a) for name, a in arrays.items())


# --- settings --------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("case", "settings", "said"), [
    ("gpt2", {"architectures": ["GPT2ForSums"]}, "GPT2ForSums of the kind 'gpt2', which is not supported"),
    ("gpt2", {"model_type": "gpt9"}, "of the kind 'gpt9'"),
    ("gpt2", {"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx is True, and only False"),
    ("gpt2", {"activation_function": "laplace"}, "activation_function is 'laplace', which is not supported"),
    ("gpt2", {"n_head": None}, "has no n_head"),
    ("gpt2", {"novelty": 7}, "the setting novelty = 7 is not supported for gpt2"),
    ("llama", {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0}}, "rope_type 'dynamic' is not supported"),
    ("llama", {"rope_parameters": {"rope_type": "linear"}}, "has no factor"),
    ("llama", {"rope_parameters": {"partial_rotary_factor": 0.5}}, "partial_rotary_factor is 0.5"),
    ("qwen2", {"layer_types": ["chunked_attention", "full_attention"]}, "layer_types are"),
    ("llama", {"quantization_config": {"bits": 4}}, "quantization_config"),
    ("imagegpt", {"tie_word_embeddings": True}, "tie_word_embeddings is True"),
    ("gemma", {"use_bidirectional_attention": True}, "use_bidirectional_attention"),
])
def test_a_setting_that_is_not_supported_is_refused(case, settings, said, tmp_path):
    with pytest.raises(Mistake, match=said):
        load(changed(case, tmp_path, **settings))


def test_old_words_mean_the_same_as_new(tmp_path):
    config = json.loads((CASES / "llama_yarn" / "config.json").read_text())
    rope = dict(config["rope_parameters"])
    old = {"rope_theta": rope.pop("rope_theta"), "rope_scaling": {"type": rope.pop("rope_type"), **rope},
           "rope_parameters": None, "dtype": None, "torch_dtype": "float32"}
    new, older = load(CASES / "llama_yarn").model, load(changed("llama_yarn", tmp_path, **old)).model
    assert new.rotary == older.rotary and isinstance(new.rotary.scaling, Yarn)


def test_a_directory_without_a_config(tmp_path):
    with pytest.raises(Mistake, match="there is no .*config.json"):
        load(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(Mistake, match="is not JSON"):
        load(tmp_path)


def test_a_value_that_cannot_be_is_refused(tmp_path):
    for case, settings in (("gpt2", {"n_head": 0}), ("llama", {"hidden_size": "wide"}), ("gpt2", {"architectures": 3}),
                           ("llama", {"rope_parameters": {"rope_theta": [1]}})):
        with pytest.raises(Mistake, match="whose value no|should be a list"):
            load(changed(case, tmp_path, **settings))


def test_the_readme_lists_every_class():
    table = (Path(__file__).parent.parent / "README.md").read_text().split("| Hugging Face class |")[1].split("\n## ")[0]
    rows = [row.split("|")[1:-1] for row in table.splitlines() if row.startswith("| `")]
    listed = {name: generates.strip() for theirs, _, _, generates in rows for name in re.findall(r"`(\w+)`", theirs)}
    families = {name: family for family in FAMILIES for name in family.classes}
    assert listed.keys() == families.keys()
    for name, family in families.items():
        assert (listed[name] == "yes") == (hasattr(family.models[0], "start") and not name.endswith("Model") or
                                           name.endswith(("LMHeadModel", "MTModel"))), name


# --- names -----------------------------------------------------------------------------------------------------------

def test_a_weight_without_a_name_is_a_mistake():
    spec = Linear.of(SIZE, "embed -> mlp", bias=True)
    with pytest.raises(Mistake, match="no name for bias"):
        pairs([Row("dense.weight", "kernel", linear)], spec)


def test_inputs_are_found_by_the_fan_in():
    assert inputs(weight(SIZE, "embed -> heads head")) == 1 and inputs(weight(SIZE, "heads head -> embed")) == 2
    assert inputs(BORN["mixtral"].blocks.blocks.mlp.down.kernel) == 1
    assert inputs(BORN["mixtral"].blocks.blocks.mlp.router.kernel) == 1


def test_a_row_counts_beside_a_weight_or_without_it():
    rows = [Row("wi", "up.kernel", without="gate.kernel"), Row("wi_0", "gate.kernel"),
            Row("wi_1", "up.kernel", beside="gate.kernel"), Row("wo", "down.kernel"),
            *(Row(f"{name}.b", f"{name}.bias", vector) for name in ("up", "down"))]
    plain, gated = Mlp.of(SIZE, jax.nn.relu), GatedMlp.of(SIZE, jax.nn.relu)
    assert [pair.theirs for pair in pairs(rows, plain)] == ["wi", "wo", "up.b", "down.b"]
    assert [pair.theirs for pair in pairs(rows, gated)] == ["wi_0", "wi_1", "wo"]
    layered = [Row("{layer}.a", "{layer}.norm", beside="{layer}.other"), Row("{layer}.b", "{layer}.norm", without="{layer}.other"),
               Row("{layer}.c", "{layer}.other")]
    spec = {str(layer): {"norm": plain.up.bias, "other": plain.up.bias} for layer in range(2)}
    assert [pair.theirs for pair in pairs(layered, spec)] == ["0.a", "1.a", "0.c", "1.c"]
    inner = prefixed(rows, "x.", "inside.")
    assert [pair.theirs for pair in pairs(inner, {"inside": gated})] == ["x.wi_0", "x.wi_1", "x.wo"]


def test_blocks_side_by_side_have_the_same_names():
    spec = BORN["llama"]
    rows = next(family.rows for family in FAMILIES if family.kind == "llama")
    apart = spec.replace(blocks=spec.blocks.replace(blocks=tuple(llama.plain(SIZE) for _ in range(3))))
    there = {pair.theirs: files.Stored(Path("x"), 0, pair.shape, np.dtype(np.float32)) for pair in pairs(rows, spec)}
    assert len(matched(pairs(rows, apart), there, "", {}, (), "here")) == len(there)


# --- where it goes ---------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("kind", "mesh"), [("llama", "fsdp=2,tensor=2,data=2"), ("mixtral", "expert=4,fsdp=2")])
def test_on_a_mesh_it_is_the_same(kind, mesh, tmp_path):
    save(tmp_path, sharp(BORN[kind]))
    here, there = load(tmp_path).model, load(tmp_path, mesh_of(mesh)).model
    places = named(shardings(BORN[kind], mesh_of(mesh)))
    assert equal(here, there) and {name: leaf.sharding for name, leaf in named(there).items()} == places
    query = named(there)["blocks.blocks.attention.query.kernel"]
    assert len({str(shard.index) for shard in query.addressable_shards}) > 1
    save(tmp_path / "again", there)
    assert equal(load(tmp_path / "again").model, here)


def test_on_an_accelerator_layers_are_put_together_there(tmp_path, monkeypatch):
    save(tmp_path, sharp(BORN["mixtral"]))
    here = load(tmp_path).model
    monkeypatch.setattr(loading, "PIECE", 0)
    monkeypatch.setattr(loading, "keeps", lambda device: False)
    assert equal(load(tmp_path).model, here) and equal(load(tmp_path, mesh_of("expert=4,fsdp=2")).model, here)


@pytest.mark.slow
def test_little_memory_beside_the_model(tmp_path):
    """The host needs the model, the largest array of the file, and not 200 MB more."""
    size = llama.Size(vocab=30000, layers=8, embed=768, heads=12, groups=12, mlp=2048)
    save(tmp_path, jax.tree.map(lambda w: np.zeros(w.shape, np.float32), llama.Llama.of(size)))
    script = ("import resource, sys, jax; from transformer.huggingface import load; jax.devices(); "
              "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; before = peak(); "
              "model = load(sys.argv[1]).model; "
              "print(peak() - before, sum(x.nbytes for x in jax.tree.leaves(model)))")
    ran = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True,
                         cwd=Path(__file__).parent.parent, env={**os.environ, "JAX_NUM_CPU_DEVICES": "1"})
    peak, model = map(int, ran.stdout.split())
    assert peak * 1024 <= model + 4 * 30000 * 768 + 200 * 2**20
