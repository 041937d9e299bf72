"""A tiny model of every class, born here and saved, is read by torch's transformers without a warning and answers as ours."""
import importlib.util
import json
from typing import Any

import numpy as np
import pytest
from test_huggingface import ALL, BORN, CASES, arrays_of, changed, rewritten
from tiny import sharp

from transformer.huggingface import load, save
from transformer.huggingface.config import Config
from transformer.huggingface.families import FAMILIES, of
from transformer.huggingface.family import Call

pytestmark = [pytest.mark.slow, pytest.mark.skipif(
    importlib.util.find_spec("transformers") is None or importlib.util.find_spec("torch") is None,
    reason="needs the extra `parity`")]


def settings(case: str) -> dict[str, Any]:
    return json.loads((CASES / case / "config.json").read_text())


# Of each class the case whose sizes it takes, and what it changes.
FIRST = {settings(case)["model_type"]: case for case in reversed(ALL)}
# ModernBERT's windows reach a real token from every padding here: what sees nothing at all hears the mean of everything
# there, and silence here, and of questions that is in the loss.
WIDE = {"modernbert": {"local_attention": 6}}
EVERY = [(family.classes[0], FIRST[family.kind.removeprefix("xlm-")],
          {"model_type": family.kind, **WIDE.get(family.kind, {})}) for family in FAMILIES]
MORE = [
    ("T5ForConditionalGeneration", "t5_gated", {}),
    ("T5EncoderModel", "t5_gated", {}),
    ("MarianMTModel", "marian", {"share_encoder_decoder_embeddings": True, "decoder_vocab_size": None}),
    ("ViTModel", "vit_bare", {}),
    ("ModernBertForSequenceClassification", "modernbert_classes", {}),
    ("ModernBertForMaskedLM", "modernbert", {"sparse_prediction": True}),
    ("RobertaForSequenceClassification", "roberta", {"id2label": {"0": "how much"}}),
]


@pytest.mark.parametrize("kind", BORN)
def test_of_what_a_model_says_of_itself(kind, tmp_path, caplog, recwarn):
    save(tmp_path, sharp(BORN[kind]))
    same(tmp_path, caplog, recwarn)


@pytest.mark.parametrize(("name", "case", "changes"), [*EVERY, *MORE])
def test_of_every_class(name, case, changes, tmp_path, caplog, recwarn):
    config = settings(case) | {"pad_token_id": 0, **changes, "architectures": [name]}
    spec = of(config).read(Config(config))
    save(tmp_path, sharp(spec), config={key: config[key] for key in (
        "architectures", "model_type", "pad_token_id", "sparse_prediction") if key in config})
    same(tmp_path, caplog, recwarn)


def same(directory: Any, caplog: Any, recwarn: Any) -> None:
    """The same outputs on padded texts, images or sounds, and the same losses."""
    import transformers
    from reference.make_huggingface import asked, masked, run

    model, _, config, _ = load(directory)
    transformers.logging.enable_propagation()
    module, info = getattr(transformers, config["architectures"][0]).from_pretrained(
        directory, attn_implementation="eager", experts_implementation="eager", output_loading_info=True)
    # Of a T5 1.1 that says in its config that its head is its own, it says that the config should say so.
    said = [record for record in caplog.records if "so we will NOT tie them" not in record.message]
    assert not any(info.values()) and not recwarn.list and not said
    inputs = asked(module.eval(), module.config, "right")
    if "attention_mask" in inputs:
        inputs["input_ids"] = np.where(inputs["attention_mask"] == 1, inputs["input_ids"], config.get("pad_token_id") or 0)
    kwargs = {"return_loss": True} if config["model_type"] == "clip" else {}
    want = run(module, "forward", inputs, kwargs)
    got = of(config).call(model, Call("forward", inputs, kwargs, config, {}))
    assert want and want.keys() <= got.keys()
    for output, theirs in want.items():
        ours = np.asarray(got[output])
        assert ours.shape == theirs.shape, output
        if "attention_mask" in inputs and output in masked(module.config.is_encoder_decoder) and theirs.shape[-2:-1] == (9,):
            where = np.broadcast_to((inputs["attention_mask"] == 1)[..., None], theirs.shape)
            ours, theirs = ours[where], theirs[where]
        assert np.abs(ours - theirs).max() <= 1e-5 * np.abs(theirs).max(), output


@pytest.mark.parametrize("said", [True, False])
@pytest.mark.parametrize("head", ["none", "own"])
def test_of_t5s_that_say_one_thing_and_hold_another(said, head, tmp_path, caplog, recwarn):
    changed("t5_gated", tmp_path, tie_word_embeddings=said, scale_decoder_outputs=None)
    arrays = arrays_of(tmp_path)
    own = {"lm_head.weight": arrays["shared.weight"][::-1].copy()} if head == "own" else {}
    rewritten(tmp_path, arrays | own)
    same(tmp_path, caplog, recwarn)
