"""Records what others make of texts, sounds and pictures before a model sees them; run it only when that is meant to change.

    python tests/reference/make_front_ends.py     needs the extra `parity`; writes encodings.json, mel.npz, pictures.npz

encodings.json: the `tokenizers` library on texts, by the five kinds of tokenizer.json in tokenizers/ (each trained on a
page of English). mel.npz and pictures.npz: transformers' WhisperFeatureExtractor, and its image processors on Pillow.
"""
import json
from pathlib import Path
from typing import Any

import numpy as np
import transformers
from tokenizers import Tokenizer

HERE = Path(__file__).parent
TEXTS = ["the quick brown fox", "The Quick BROWN fox.", "", " ", " leading", "trailing ", "two  spaces   three",
         "tab\tand\nnewline\r\ncrlf", "I'm sure they've said we'll see; don't!", "12345 3.14159 1,000,000 v2.0",
         "naïve café Über straße façade", "cafe\u0301 (combining)", "Привет мир", "你好世界 hello", "안녕하세요",
         "emoji 😀👍🏽 👨\u200d👩\u200d👧\u200d👦 🇫🇷 done", "zero\u200bwidth\u200djoin\ufeffbom", "nbsp\xa0thin\u2009ideographic\u3000space",
         "ﬁ ligature ① ½ Ⅳ ＡＢＣ", "<s> special </s> [MASK] [CLS] <pad> <|endoftext|>", "unknown: ᚠᚢ 𝕏 ☃",
         "ΑΒΓ ς İstanbul ǅ", "\u202eRTL\u202c العربية עברית", "line1\n\n\nline2\n", "\x00null\x1fctrl\x7f"]
PAIRS = [("the quick brown fox", "the lazy dog"), ("what is the capital of france?", "paris 😀"), ("", "second only"),
         ("first only", "")]
CUTS = ("longest_first", "only_second")  # to 12 tokens
PADDINGS = ({"direction": "right"}, {"direction": "left", "pad_to_multiple_of": 8})  # of texts cut to 16 tokens, with the first token there is
PROCESSORS: dict[str, tuple[str, dict[str, Any]]] = {
    "squeezed": ("ViTImageProcessorPil", {"size": {"height": 6, "width": 7}}),
    "stretched": ("ViTImageProcessorPil", {"size": {"height": 20, "width": 15}, "image_mean": [0.4, 0.5, 0.6],
                                           "image_std": [0.2, 0.25, 0.3]}),
    "cropped": ("CLIPImageProcessorPil", {"size": {"shortest_edge": 8}, "crop_size": {"height": 7, "width": 6}}),
}


def encodings(path: Path) -> dict[str, Any]:
    core = Tokenizer.from_file(str(path))
    core.no_truncation()
    core.no_padding()
    plain = [core.encode(text, add_special_tokens=False).ids for text in TEXTS]
    found: dict[str, Any] = {
        "plain": plain, "whole": [core.encode(text).ids for text in TEXTS],
        "decoded": [core.decode(ids) for ids in plain],
        "decoded_with_specials": [core.decode(core.encode(text).ids, skip_special_tokens=False) for text in TEXTS],
        "pairs": [[own.ids, own.type_ids] for own in (core.encode(*pair) for pair in PAIRS)]}
    for strategy in CUTS:
        core.enable_truncation(12, strategy=strategy)
        found[strategy] = [_ids(core, pair) for pair in PAIRS]
    core.enable_truncation(16)
    for padding in PADDINGS:
        core.enable_padding(**padding, pad_id=0, pad_token=core.id_to_token(0))
        batch = core.encode_batch(TEXTS)
        found[padding["direction"]] = [[own.ids, own.attention_mask] for own in batch]
    return found


def _ids(core: Tokenizer, pair: tuple[str, str]) -> list[int] | None:
    try:
        return core.encode(*pair).ids
    except Exception:  # nothing to be cut from the second
        return None


def waves() -> list[np.ndarray]:
    """A second and a bit of a rising tone with noise, and a quarter of one of noise alone, as 16 bits."""
    random, time = np.random.default_rng(0), np.arange(17_000) / 16_000
    tone = 0.5 * np.sin(2 * np.pi * (100 * time + 3000 * time**2)) + 0.01 * random.normal(size=len(time))
    return [np.round(wave * 2**15).astype(np.int16) for wave in (tone, 0.1 * random.normal(size=4000))]


def features(sounds: list[np.ndarray], mels: int) -> np.ndarray:
    extractor = transformers.WhisperFeatureExtractor(feature_size=mels, chunk_length=1)
    floats = [sound.astype(np.float32) / 2**15 for sound in sounds]
    return extractor(floats, sampling_rate=16_000, return_tensors="np")["input_features"]


def pictures() -> dict[str, np.ndarray]:
    arrays = {"picture": np.random.default_rng(0).integers(0, 256, (13, 10, 3), np.uint8)}
    for name, (kind, settings) in PROCESSORS.items():
        processor = getattr(transformers, kind)(**settings)
        arrays[name] = processor(arrays["picture"], return_tensors="np")["pixel_values"][0]
        config = {key: value for key, value in processor.to_dict().items() if not key.startswith("_")}
        arrays[name + ".config"] = np.array(json.dumps(config))
    return arrays


if __name__ == "__main__":
    kinds = {path.stem: encodings(path) for path in sorted((HERE / "tokenizers").glob("*.json"))}
    text = json.dumps({"texts": TEXTS, "asked": PAIRS, "kinds": kinds}, ensure_ascii=False, separators=(",", ":"))
    (HERE / "encodings.json").write_text(text + "\n", encoding="utf-8")
    sounds = waves()
    np.savez_compressed(HERE / "mel.npz", tone=sounds[0], noise=sounds[1],
                        bands=features(sounds, 80), more_bands=features(sounds[1:], 128))
    np.savez_compressed(HERE / "pictures.npz", **pictures())
