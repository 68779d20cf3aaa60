"""Weights for networks whose numbers do not matter, for tests and benchmarks."""

import numpy
from coulis.convert import graph


def random_tensors(description, seed):
    """Seeded weights that keep numbers of the order of 1 through a deep network.

    Convolutions and dense layers follow He et al., Delving Deep into Rectifiers, 2015 (variance 2 over
    the inputs of a neuron); statistics and factors of normalisations lie around 0 and 1.
    """
    generator = numpy.random.default_rng(seed)
    around = {"scale": (1.0, 0.1), "shift": (0.0, 0.1), "mean": (0.0, 0.1), "bias": (0.0, 0.1)}
    around.update(prefix=(0.0, 1.0), position=(0.0, 0.5), query=(0.0, 1.0), slope=(0.25, 0.1))
    tensors = {}
    for name, shape in graph.shapes(description)[1].items():
        part = name.rsplit(".", 1)[-1]
        if part == "weight":
            values = generator.standard_normal(shape) * numpy.sqrt(2.0 / numpy.prod(shape[1:]))
        elif part == "variance":
            values = generator.uniform(0.5, 1.5, shape)
        else:
            centre, spread = around[part]
            values = generator.normal(centre, spread, shape)
        tensors[name] = values.astype(numpy.float32)
    return tensors
