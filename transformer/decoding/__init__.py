"""From logits to texts, over any model with `start` and `decode`."""
from transformer.decoding.beams import Beams
from transformer.decoding.carried import ready
from transformer.decoding.contrastive import Contrastive
from transformer.decoding.engine import advance, begin, generate
from transformer.decoding.generated import Generated
from transformer.decoding.sampling import Greedy, Sample
from transformer.decoding.speculation import Draft, Lookup, Speculative
from transformer.decoding.streaming import pieces, stream
from transformer.decoding.text import Text, left_padded

__all__ = ["Beams", "Contrastive", "Draft", "Generated", "Greedy", "Lookup", "Sample", "Speculative", "Text", "advance", "begin",
           "generate", "left_padded", "pieces", "ready", "stream"]
