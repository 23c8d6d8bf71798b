"""Estimators and pipelines with ONNX Runtime's answers, for the tests of the engine.

    .venv/bin/python Tests/Golden/zoo.py OUTDIR [--debug]

Each case is a model as a converter (skl2onnx, onnxmltools) or onnx.helper makes it, and some 200 rows: real
ones, for trees also rows on and beside the thresholds, NaN, infinities and huge values. golden.py says how
a case is written and what "exact" means. README.md lists what converters or ONNX Runtime cannot do.
"""

import os
import sys

# Before numpy: many small fits gain nothing from threads, and on a busy machine they spin.
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np  # noqa: E402
from zoo_boosters import boosters  # noqa: E402
from zoo_compositions import compositions  # noqa: E402
from zoo_handmade import handmade  # noqa: E402
from zoo_handmade_svm import support_vector_machines  # noqa: E402
from zoo_similarity import similarity  # noqa: E402
from zoo_sklearn import estimators, pipelines  # noqa: E402
from zoo_transformers import transforming  # noqa: E402

from golden import Writer  # noqa: E402


def main() -> int:
    if len(sys.argv) < 2:
        print(__doc__)
        return 2
    np.random.seed(0)
    writer = Writer(sys.argv[1])
    for family in (estimators, pipelines, similarity, transforming, compositions, boosters, handmade, support_vector_machines):
        family(writer)
    writer.finish()
    return 0


if __name__ == "__main__":
    sys.exit(main())
