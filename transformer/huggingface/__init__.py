"""Pretrained models in and out, by one table of names a family.

    model, *_ = load("gpt2")                   a directory as save_pretrained writes it
    save("mine", model, tokenizer)             transformers loads it

To add a family, describe it by one `Family` (gpt.py is an example) and list it in families.py:

 rows     their name ↔ our path(s) ↔ layout, as in the class with the most heads: a row counts where the model has the
          weight. `{layer}` on both sides; several paths lie side by side in one array `along` one of its axes.
 prefix, copies, ignored    what files do differently: the base model's prefix, tied copies, buffers and foreign heads.
 read     settings -> our spec, by `config.take(name, default)`, `config.expect(name=only_value)` and
          `config.activation(name)`; what was never asked for is refused, unless it is off or neutral (config.py).
 write    our model -> the same settings, found in shapes and choices: `read(write(model))` is the model's own spec.
 call     a recorded call of the reference -> our outputs by their names (calls.py has that of decoders).
"""
from transformer.huggingface.loading import Loaded, load
from transformer.huggingface.saving import save

__all__ = ["Loaded", "load", "save"]
