"""GPT-2's `generate` in transformers, to measure ours against: `python torch_decode.py SHAPE ROWS TYPE`, random weights.

SHAPE is [layers, embed, heads]. Reads numbers of tokens, a line each, and answers with the milliseconds of one.
Needs torch and transformers.
"""
import json
import sys
import time

import torch
from transformers import GPT2Config, GPT2LMHeadModel


def main(shape: str, rows: str, dtype: str) -> None:
    layers, embed, heads = json.loads(shape)
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(n_layer=layers, n_embd=embed, n_head=heads)).to(getattr(torch, dtype)).eval()
    prompt = torch.tensor([[5, 3, 8]] * int(rows))

    def generate(tokens: int) -> float:
        began = time.perf_counter()
        with torch.inference_mode():
            model.generate(prompt, attention_mask=torch.ones_like(prompt), do_sample=False, pad_token_id=0,
                           min_new_tokens=tokens, max_new_tokens=tokens)
        return 1e3 * (time.perf_counter() - began) / tokens

    generate(4)
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps([generate(int(line))]), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
