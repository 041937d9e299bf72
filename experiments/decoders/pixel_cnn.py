"""Gated PixelCNN: a picture pixel by pixel, by convolutions over the rows above and over the row so far.

    python -m experiments pixel_cnn                              two cores: at most 2.1 bits a pixel are asked for;
                                                                 counting neighbours reaches 2.18
    python -m experiments pixel_cnn --images DIR --size 16       your own pictures: DIR/CLASS/one.png, MNIST's files, or CIFAR-10's
"""
import math
from pathlib import Path

from transformer.data.examples import shifted
from transformer.data.galleries import apart, sides
from transformer.data.pixels import as_rows, neighbour_bits, palette
from transformer.losses import next_token
from transformer.models.pixelcnn import PixelCNN, Size
from transformer.shows.pictures import completed, gallery, pixel_by_pixel
from transformer.training.experiment import Expectation, Experiment
from transformer.training.optimizers import muon, warmup_cosine
from transformer.training.run import main
from transformer.training.shows import rescaled

SMOKE = {"layers": 1, "embed": 8, "rows": 8, "colours": 4}


def experiment(images: Path | None = None, size: int | None = None, skip: bool | None = None, colours: int = 256, layers: int = 4,
               embed: int = 32, around: int = 5, above: int = 3, left: int = 3, rows: int = 32, rate: float = 5e-3,
               steps: int = 1000) -> Experiment:
    learned, held_out = sides(images, size, skip)
    learned, chosen = apart(learned, 0.1)  # the weights kept are the best on these
    told = palette(learned, colours)
    data, best, unseen = (as_rows(some, told) for some in (learned, chosen, held_out))
    height, width = shape = learned.pixels.shape[1:3]
    model = PixelCNN.of(Size(len(told.table) + 1, height, width, layers, embed, around, above, left))

    def counted() -> float:
        return neighbour_bits(data, unseen, width)

    return Experiment(
        model=model,
        loss=next_token,
        data=shifted(data),
        validation=shifted(best),
        held_out=shifted(unseen),
        rows=rows,
        steps=steps,
        optimizer=muon(model, warmup_cosine(rate, steps, warmup=steps // 10), adam=0.3),
        measures=[rescaled("bits_per_pixel", "nats", 1 / math.log(2))],
        corpus="handwritten digits, pixel by pixel" if images is None else images.name,
        expects=[Expectation("bits_per_pixel", 2.1 if images is None else None, counted)],
        shows=[gallery(learned, held_out, pixel_by_pixel(told, shape)), completed(held_out, told)])


if __name__ == "__main__":
    main(experiment)
