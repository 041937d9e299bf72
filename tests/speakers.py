"""Models that speak, or cannot, each in a directory as transformers writes it."""
import json
from pathlib import Path

from tiny import sharp

from transformer.data.tokenizers import raw_bytes
from transformer.huggingface import save
from transformer.models import bert, gpt2, t5

TOKENIZER = raw_bytes(1)
VOCAB = TOKENIZER.tokens
SPECS = {
    "decoder": gpt2.GPT2.of(gpt2.Size(VOCAB, length=64, layers=1, embed=16, heads=2)),
    "smaller": gpt2.GPT2.of(gpt2.Size(VOCAB, length=64, layers=1, embed=8, heads=2)),
    "foreign": gpt2.GPT2.of(gpt2.Size(VOCAB + 3, length=64, layers=1, embed=8, heads=2)),
    "encoder": bert.Pretraining.of(bert.Size(VOCAB, length=16, layers=1, embed=16, heads=2, mlp=16)),
    "answerer": t5.T5.of(t5.Size(VOCAB, layers=1, embed=16, heads=2, head=8, mlp=16, buckets=8, reach=12))}
GENERATION = {"decoder": {"eos_token_id": 2, "pad_token_id": 0}, "answerer": {"decoder_start_token_id": 0, "eos_token_id": 2}}


def written(place: Path) -> None:
    """One directory for each, and one without a tokenizer."""
    for name, spec in SPECS.items():
        save(place / name, sharp(spec), TOKENIZER)
        if name in GENERATION:
            (place / name / "generation_config.json").write_text(json.dumps(GENERATION[name]))
    save(place / "mute", sharp(SPECS["decoder"]))
