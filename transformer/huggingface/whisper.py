"""Whisper: sound in, text out."""
from collections.abc import Mapping
from typing import Any

import numpy as np

from transformer.data import sound
from transformer.huggingface import calls, seq2seq
from transformer.huggingface.config import Config
from transformer.huggingface.encoders import norm
from transformer.huggingface.family import Call, Family
from transformer.huggingface.names import Row, as_is, reversed_axes, vector
from transformer.mistakes import Mistake
from transformer.models.whisper import Size, Whisper

KWARGS = ("feature_size", "chunk_length", "sampling_rate")


def answer(model: Any, call: Call) -> Mapping[str, Any]:
    """`forward`, `base` and `mixin_generate` from features, `custom:mel` from waves."""
    if call.kind == "custom:mel":
        return _heard(call)
    given = calls.asked(call, input_features="source", attention_mask="present", decoder_input_ids="target",
                        decoder_attention_mask="target_present", labels="labels")
    given.pop("present", None)  # silence is listened to as well
    given["source"] = given["source"].swapaxes(1, 2)
    return seq2seq.answered(model, call, given, ("forward", "base", "custom:mel"), "mixin_generate")


def _heard(call: Call) -> Mapping[str, Any]:
    calls.known(call, "custom:mel", kwargs=KWARGS)
    if call.kwargs.get("sampling_rate", sound.RATE) != sound.RATE:
        raise Mistake(f"waves are heard at {sound.RATE} samples a second, not {call.kwargs['sampling_rate']}")
    lengths = call.inputs["waveform_len"]
    waves = [wave[:length] for wave, length in zip(call.inputs["waveform"], lengths, strict=True)]
    frames, present = sound.log_mel(waves, call.kwargs.get("chunk_length", 30), call.kwargs.get("feature_size", 80))
    return {"input_features": np.swapaxes(frames, 1, 2), "frame_mask": present.astype(np.int64)}


ROWS = (
    *(row for number, own in (("1", "first"), ("2", "second")) for row in (
        Row(f"model.encoder.conv{number}.weight", f"encoder.{own}.kernel", reversed_axes),
        Row(f"model.encoder.conv{number}.bias", f"encoder.{own}.bias", vector))),
    Row("model.encoder.embed_positions.weight", "encoder.positions.table", as_is),
    *seq2seq.block_rows("model.encoder", "encoder.blocks.blocks"),
    *norm("model.encoder.layer_norm", "encoder.norm"),
    Row("model.decoder.embed_tokens.weight", "tokens.table", as_is),
    Row("model.decoder.embed_positions.weight", "positions.table", as_is),
    *seq2seq.block_rows("model.decoder", "blocks.blocks"),
    *norm("model.decoder.layer_norm", "norm"),
)

# Of training, of other heads, of generation.
ASIDE = ("mask_time_prob", "mask_time_length", "mask_time_min_masks", "mask_feature_prob", "mask_feature_length",
         "mask_feature_min_masks", "apply_spec_augment", "median_filter_width", "classifier_proj_size",
         "use_weighted_layer_sum", "forced_decoder_ids")


ENDS = 50256, 50257  # what ends a text and what begins one; of a small vocabulary its last token


def _read(config: Config) -> Whisper:
    config.expect(tie_word_embeddings=True, scale_embedding=False)
    for name in ASIDE:
        config.take(name, None)
    size = Size(mels=config.take("num_mel_bins", 80), frames=config.take("max_source_positions", 1500),
                length=config.take("max_target_positions", 448), **seq2seq.sizes(config))
    return Whisper.of(size, config.take("decoder_layers"), config.take("dropout", 0.0),
                      config.activation("activation_function", "gelu"))


def _write(model: Whisper) -> dict[str, Any]:
    end, start = (min(token, len(model.tokens.table) - 1) for token in ENDS)
    return {**seq2seq.settings(model.encoder.blocks.blocks, len(model.blocks)), "vocab_size": len(model.tokens.table),
            "bos_token_id": start, "eos_token_id": end, "pad_token_id": end, "decoder_start_token_id": start,
            "num_mel_bins": model.encoder.first.kernel.shape[1], "max_source_positions": len(model.encoder.positions.table),
            "max_target_positions": len(model.positions.table), "dropout": model.dropout, "scale_embedding": False}


FAMILIES = (
    Family("whisper", ("WhisperForConditionalGeneration",), (Whisper,), _read, _write, ROWS, answer, prefix="model.",
           copies={"proj_out.weight": "model.decoder.embed_tokens.weight"}),
)
