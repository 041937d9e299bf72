"""From text to batches: sources, tokenizers, examples (windows, packing, masking, corruption), batches; numpy and Grain."""
