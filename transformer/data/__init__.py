"""From text to batches, with numpy and Grain: sources, tokenizers, examples of several kinds, batches."""
