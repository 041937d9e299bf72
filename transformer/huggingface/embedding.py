"""python -m transformer embed DIR --texts FILE     a vector for every line of a file: near texts, near vectors

 --out FILE.npy     writes them as an array, a row a line; otherwise each is printed beside its text, as a line of JSON
 --similar          prints the cosine of every two

DIR holds an encoder and its tokenizer.json, as sentence-transformers writes it, and what it says is done: how vectors are
pooled, whether their length becomes one, where texts are cut. What says nothing is pooled by the mean over real tokens.
"""
import inspect
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from transformer import knobs
from transformer.data.tokenizers import Tokenizer
from transformer.huggingface import files
from transformer.huggingface.loading import load
from transformer.mistakes import Mistake
from transformer.models.bi_encoder import POOLS, BiEncoder

SHORTEST = 16  # texts are padded to this or to a power of two times it, so that few shapes are compiled
MODES = {"pooling_mode_cls_token": "cls", "pooling_mode_max_tokens": "max", "pooling_mode_mean_tokens": "mean",
         "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens"}  # one setting each, in their order
MODULES = ("Transformer", "Pooling", "Normalize")


@dataclass(frozen=True)
class Embedder:
    """Texts to vectors: `embedder(directory)(["a text", "another"])` is [2, embed]."""

    model: BiEncoder
    tokenizer: Tokenizer
    length: int  # beyond which a text is cut
    pad: int = 0
    lower: bool = False
    rows: int = 32

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        if not texts:
            raise Mistake("there are no texts to embed; give at least one")
        ids = self.tokens(texts)
        found: dict[int, np.ndarray] = {}
        for rows in self._batches(ids):
            found |= dict(zip(rows, self._vectors([ids[row] for row in rows]), strict=True))
        return np.stack([found[row] for row in range(len(texts))])

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text, cut, with its special tokens."""
        self.tokenizer.core.enable_truncation(self.length)
        lowered = [text.lower() if self.lower else text for text in texts]
        return [encoding.ids for encoding in self.tokenizer.core.encode_batch_fast(lowered)]

    def _batches(self, ids: Sequence[Sequence[int]]) -> Iterator[list[int]]:
        """The numbers of the texts that go together, being padded alike."""
        alike: dict[int, list[int]] = {}
        for row, own in enumerate(ids):
            alike.setdefault(self._padded(len(own)), []).append(row)
        for group in alike.values():
            yield from (group[start:start + self.rows] for start in range(0, len(group), self.rows))

    def _padded(self, length: int) -> int:
        return min(_power(SHORTEST, length), self.length)

    def _vectors(self, ids: Sequence[Sequence[int]]) -> np.ndarray:
        shape = min(_power(1, len(ids)), self.rows), self._padded(len(ids[0]))
        tokens, present = np.full(shape, self.pad, np.int32), np.zeros(shape, bool)
        for row, own in enumerate(ids):
            tokens[row, :len(own)], present[row, :len(own)] = own, True
        return np.asarray(_pooled(self.model, tokens, present))[:len(ids)]


def embedder(directory: str | Path) -> Embedder:
    """A checkpoint that turns texts into vectors, by what sentence-transformers wrote beside it."""
    directory = Path(directory)
    model, tokenizer, config, _ = load(directory)
    if not _reads_texts(model):
        raise Mistake(f"{directory} holds a {type(model).__name__}, which is no encoder of texts; "
                      f"give the directory of one, such as BERT's")
    if tokenizer is None:
        raise Mistake(f"{directory} has no tokenizer.json, without which no text can be read; put it there")
    kinds = _modules(directory)
    settings = files.read_json(directory / "sentence_bert_config.json", {})
    pad = config.get("pad_token_id") or 0
    return Embedder(BiEncoder(model, _pooling(directory), "Normalize" in kinds), tokenizer,
                    _length(directory, settings, config, pad), pad, bool(settings.get("do_lower_case")))


def main(directory: str, words: Sequence[str]) -> int:
    """The command."""
    (given,) = knobs.parse(words, embed)
    embed(directory, **given)
    return 0


def embed(directory: str, *, texts: Path | None = None, out: Path | None = None, similar: bool = False) -> None:
    if texts is None:
        raise Mistake("embed wants a file with a text a line, as in --texts a.txt")
    if out is not None and not out.parent.is_dir():
        raise Mistake(f"there is no directory {out.parent} to write {out.name} in; make it first")
    lines = read_lines(texts)
    vectors = embedder(directory)(lines)
    if out is not None:
        with out.open("wb") as file:
            np.save(file, vectors)
    if similar:
        for cosines, line in zip(_cosines(vectors), lines, strict=True):
            print(*(f"{cosine:6.3f}" for cosine in cosines), " " + line)
    elif out is None:
        for line, vector in zip(lines, vectors, strict=True):
            # as few digits as tell one float32 from another
            print(json.dumps({"text": line, "embedding": [float(str(number)) for number in vector]}, ensure_ascii=False))


def read_lines(path: Path) -> list[str]:
    """Every line of a file; an empty one is an empty text, so that rows and lines have the same numbers."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = "is not UTF-8" if isinstance(error, UnicodeDecodeError) else f"cannot be read ({error.strerror})"
        raise Mistake(f"the file of texts {path} {reason}; give a file with a text a line") from None
    lines = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
    if not any(lines):
        raise Mistake(f"the file of texts {path} is empty; write a text on each of its lines")
    return lines


def _reads_texts(model: Any) -> bool:
    """Whether what it encodes is tokens: neither pictures, nor a source that a decoder is to answer."""
    return hasattr(model, "encode") and "tokens" in inspect.signature(model.encode).parameters


def _modules(directory: Path) -> set[str]:
    """What the vectors pass through; without modules.json everything there is."""
    path = directory / "modules.json"
    if not path.is_file():
        return set(MODULES)
    try:
        kinds = [str(module["type"]).rpartition(".")[2] for module in json.loads(path.read_text(encoding="utf-8"))]
    except (ValueError, TypeError, KeyError):
        raise Mistake(f"{path} is no list of modules with a type each, as sentence-transformers writes it; fetch it again") from None
    unknown = [kind for kind in kinds if kind not in MODULES]
    if unknown:
        raise Mistake(f"{path} has a module of the kind {unknown[0]}, which is not supported; "
                      f"there are {', '.join(MODULES)}")
    return set(kinds)


def _pooling(directory: Path) -> tuple[str, ...]:
    path = directory / "1_Pooling" / "config.json"
    settings = files.read_json(path, {})
    said = settings.get("pooling_mode")  # how later versions say it
    names = ([said] if isinstance(said, str) else said) or [
        MODES.get(name, name) for name, value in settings.items() if name.startswith("pooling_mode_") and value]
    unknown = [name for name in names if name not in POOLS]
    if unknown:
        raise Mistake(f"{path}: texts pooled by {unknown[0]} are not supported; there are {', '.join(POOLS)}")
    return tuple(sorted(names, key=list(MODES.values()).index)) or ("mean",)


def _length(directory: Path, settings: Mapping[str, Any], config: Mapping[str, Any], pad: int) -> int:
    """Where texts are cut: where the encoder's makers said, and never beyond its positions."""
    cut = files.read_json(directory / "tokenizer.json").get("truncation") or {}
    whole = files.read_json(directory / "tokenizer_config.json", {})
    said = settings.get("max_seq_length") or cut.get("max_length") or whole.get("model_max_length") or 512
    places = config.get("max_position_embeddings") or said
    after_padding = str(config.get("model_type")).endswith("roberta")  # XLM-R's too: positions begin after that of padding
    return int(min(said, places - pad - 1 if after_padding else places))


def _power(unit: int, least: int) -> int:
    """The unit, doubled until it is enough."""
    while unit < least:
        unit *= 2
    return unit


def _cosines(vectors: np.ndarray) -> np.ndarray:
    directions = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
    return directions @ directions.T


@jax.jit
def _pooled(model: BiEncoder, tokens: jax.Array, present: jax.Array) -> jax.Array:
    return model(tokens, present=present)
