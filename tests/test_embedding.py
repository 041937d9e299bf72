"""Texts to vectors: what a checkpoint says of pooling, length and casing is done, whatever else is in the batch."""
import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from tiny import sharp
from tokenizers import processors

from transformer.__main__ import main
from transformer.data.tokenizers import word_pieces
from transformer.huggingface import save
from transformer.huggingface.embedding import embedder, read_lines
from transformer.mistakes import Mistake
from transformer.models import gpt2
from transformer.models.bert import Bert, Pooled, Pooler, Size
from transformer.models.bi_encoder import BiEncoder
from transformer.models.roberta import Roberta

TEXTS = ["a cat sat", "the dog", "a cat sat on the mat and looked at the dog and the cat for a long time", "", "on"]


@pytest.fixture
def directory(tmp_path):
    tokenizer = word_pieces(TEXTS, 120, multiple=1)
    size = Size(vocab=tokenizer.size, length=40, layers=2, embed=16, heads=4, mlp=24)
    save(tmp_path, sharp(Pooled(Bert.of(size), Pooler.of(size))), tokenizer)
    core = tokenizer.core
    core.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    core.enable_padding(length=64)
    core.save(str(tmp_path / "tokenizer.json"))
    return tmp_path


def written(directory: Path, name: str, values) -> None:
    path = directory / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(values))


@pytest.mark.slow
def test_each_text_has_the_vector_that_it_has_alone(directory):
    embed = embedder(directory)
    together = embed(TEXTS * 20)
    alone = np.stack([embed([text])[0] for text in TEXTS])
    np.testing.assert_allclose(together, np.tile(alone, (20, 1)), atol=2e-6)
    np.testing.assert_allclose(np.linalg.norm(alone, axis=-1), 1.0, atol=1e-6)
    ids = jnp.asarray([embed.tokens(TEXTS[:1])[0]])
    mean = embed.model.encode(ids)[0].mean(0)
    np.testing.assert_allclose(alone[0], mean / jnp.linalg.norm(mean), atol=2e-6)
    assert ids[0, 0] == 2 and ids[0, -1] == 3 and not (ids == 0).any()


def test_what_is_written_beside_the_checkpoint_is_done(directory):
    modules = [{"type": f"sentence_transformers.models.{kind}"} for kind in ("Transformer", "Pooling")]
    written(directory, "modules.json", modules)
    written(directory, "1_Pooling/config.json", {"pooling_mode_max_tokens": True, "pooling_mode_cls_token": True,
                                                 "pooling_mode_mean_tokens": False, "word_embedding_dimension": 16})
    written(directory, "sentence_bert_config.json", {"max_seq_length": 6, "do_lower_case": True})
    embed = embedder(directory)
    (ids,) = embed.tokens(TEXTS[2:3])
    hidden = np.asarray(embed.model.encode(jnp.asarray([ids])))[0]
    assert len(ids) == 6
    np.testing.assert_allclose(embed(TEXTS)[2], np.concatenate([hidden[0], hidden.max(0)]), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(embed(["A CAT"]), embed(["a cat"]))
    written(directory, "1_Pooling/config.json", {"pooling_mode": "mean_sqrt_len_tokens"})
    np.testing.assert_allclose(embedder(directory)(TEXTS)[2], hidden.sum(0) / np.sqrt(6), rtol=1e-5, atol=1e-6)
    (directory / "sentence_bert_config.json").unlink()
    assert embedder(directory).length == 40
    written(directory, "tokenizer_config.json", {"model_max_length": 9})
    assert embedder(directory).length == 9
    tokenizer = json.loads((directory / "tokenizer.json").read_text())
    cut = {"direction": "Right", "max_length": 7, "strategy": "LongestFirst", "stride": 0}
    written(directory, "tokenizer.json", tokenizer | {"truncation": cut})
    assert embedder(directory).length == 7 == len(embedder(directory).tokens(TEXTS[2:3])[0])
    written(directory, "sentence_bert_config.json", {"max_seq_length": 8})
    assert embedder(directory).length == 8


@pytest.mark.parametrize("kind, architecture", [("roberta", "RobertaModel"), ("xlm-roberta", "XLMRobertaModel")])
def test_what_numbers_positions_after_padding_has_fewer_of_them(tmp_path, kind, architecture):
    tokenizer = word_pieces(TEXTS, 120, multiple=1)
    size = Size(vocab=tokenizer.size, length=14, layers=1, embed=16, heads=4, mlp=24, kinds=1)
    save(tmp_path, sharp(Pooled(Roberta.of(size, pad=1), Pooler.of(size))), tokenizer)
    config = json.loads((tmp_path / "config.json").read_text())
    written(tmp_path, "config.json", config | {"model_type": kind, "architectures": [architecture], "pad_token_id": 1})
    embed = embedder(tmp_path)
    assert embed.length == 12 == len(embed.tokens(TEXTS[2:3])[0]) and np.isfinite(embed(TEXTS)).all()


def test_rows_without_text_are_no_trouble():
    hidden, present = jnp.ones((2, 3, 4)), jnp.zeros((2, 3), bool)
    assert np.isfinite(BiEncoder(None).pooled(hidden, present)).all()


def test_a_command_embeds(directory, tmp_path, capsys):
    file = tmp_path / "a.txt"
    file.write_text("a cat sat\r\n\nthe dog\n")
    arguments = ["embed", str(directory), "--texts", str(file)]
    assert main(arguments) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["text"] for line in lines] == ["a cat sat", "", "the dog"]
    want = embedder(directory)(["a cat sat", "", "the dog"])
    assert np.array_equal(np.array([line["embedding"] for line in lines], np.float32), want)
    assert main([*arguments, "--out", str(tmp_path / "a.npy"), "--similar"]) == 0
    assert np.array_equal(np.load(tmp_path / "a.npy"), want)
    printed = capsys.readouterr().out.splitlines()
    np.testing.assert_allclose([float(word) for word in printed[0].split()[:3]], want @ want[0], atol=6e-4)


@pytest.mark.parametrize(("text", "said"), [(None, "cannot be read"), (b"", "is empty"), (b"\n\n", "is empty"),
                                            (b"\xff\xfe", "is not UTF-8")])
def test_texts_that_are_none(text, said, tmp_path):
    file = tmp_path / "a.txt"
    if text is not None:
        file.write_bytes(text)
    with pytest.raises(Mistake, match=said):
        read_lines(file)


def test_what_embeds_no_texts_says_so(directory, tmp_path):
    with pytest.raises(Mistake, match="embed wants a file"):
        main(["embed", str(directory)])
    (tmp_path / "a.txt").write_text("a")
    with pytest.raises(Mistake, match="there is no directory"):
        main(["embed", str(directory), "--texts", str(tmp_path / "a.txt"), "--out", str(tmp_path / "no" / "a.npy")])
    with pytest.raises(Mistake, match="there are no texts"):
        embedder(directory)([])
    for name, values, said in (
            ("modules.json", [{"type": "sentence_transformers.models.Dense"}], "a module of the kind Dense"),
            ("modules.json", ["Transformer"], "modules.json is no list of modules with a type each"),
            ("modules.json", 3, "modules.json is no list of modules with a type each"),
            ("modules.json", None, ""),
            ("1_Pooling/config.json", {"pooling_mode_lasttoken": True}, "pooled by pooling_mode_lasttoken"),
            ("1_Pooling/config.json", {}, "")):
        if values is None:
            (directory / name).unlink()
            continue
        written(directory, name, values)
        if said:
            with pytest.raises(Mistake, match=said):
                embedder(directory)
    (directory / "modules.json").write_text("[{")
    with pytest.raises(Mistake, match="modules.json is no list of modules"):
        embedder(directory)
    (directory / "modules.json").unlink()
    (directory / "tokenizer.json").unlink()
    with pytest.raises(Mistake, match="has no tokenizer.json"):
        embedder(directory)
    save(tmp_path / "decoder", sharp(gpt2.GPT2.of(gpt2.Size(40, 12, 2, 16, 4))))
    with pytest.raises(Mistake, match="holds a GPT2, which is no encoder of texts"):
        embedder(tmp_path / "decoder")
