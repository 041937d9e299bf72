"""DistilBERT (Sanh et al. 2019): half of BERT's layers, taught by BERT; no sentence kinds, no pooler."""
from transformer.layers import Activation, gelu
from transformer.models.bert import Bert, Masked, MaskedHead, Size


def masked(size: Size, dropout: float = 0.0, activation: Activation = gelu) -> Masked:
    """DistilBERT as it is distilled; the published size is Size(kinds=0, layers=6)."""
    return Masked(Bert.of(size, dropout, activation=activation), MaskedHead.of(size, activation=activation))
