#!/usr/bin/env python3
"""Measures martlet's engine against ONNX Runtime on models beside trees: support vectors, neighbours, mixtures.

    Benchmarks/engine/others.py --binary EngineBenchmark

One thread, each engine in turn within every round; medians of the rounds, in microseconds a row. Rows are the flights of
data.py, without missing values and scaled, from a pool larger than the caches. Prints a table for docs/performance.md.
"""

import argparse
import ctypes
import os
import pathlib
import statistics
import sys
import types

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np  # noqa: E402
import onnx  # noqa: E402
from skl2onnx import to_onnx  # noqa: E402
from sklearn.mixture import GaussianMixture  # noqa: E402
from sklearn.neighbors import KNeighborsClassifier  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from sklearn.svm import SVC  # noqa: E402

import data  # noqa: E402
import engines  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
BATCHES = (1, 64, 512)


def models(x, late):
    """Name, title, how many scores a row has, and the ONNX model."""
    few, y = x[:1500], late[:1500]
    five = np.digitize(x[:1500, 0] + x[:1500, 3], [-1.5, -0.5, 0.5, 1.5])
    plain = {"zipmap": False}
    fits = [
        ("svc-rbf", "SVC, RBF, 2 classes", SVC(probability=True, random_state=0).fit(few, y), plain),
        ("svc-five", "SVC, RBF, 5 classes", SVC(probability=True, random_state=0).fit(few, five), plain),
        ("svc-poly", "SVC, polynomial, 2 classes", SVC(kernel="poly", random_state=0).fit(few, y), plain),
        ("svc-sigmoid", "SVC, sigmoid, 2 classes", SVC(kernel="sigmoid", random_state=0).fit(few, y), plain),
        ("knn-scan", "5 of 2,000 neighbours, Scan", KNeighborsClassifier(5).fit(x[:2000], late[:2000]), plain),
        ("knn-cdist", "5 of 2,000 neighbours, CDist", KNeighborsClassifier(5).fit(x[:2000], late[:2000]), {**plain, "optim": "cdist"}),
        ("mixture", "Gaussian mixture, 8 components", GaussianMixture(8, random_state=0).fit(x[:4000]), {}),
    ]
    for name, title, model, options in fits:
        support = f", {len(model.support_)} vectors" if hasattr(model, "support_") else ""
        width = len(getattr(model, "classes_", range(8)))
        yield name, title + support, width, to_onnx(model, x[:1], options={id(model): options})


def onnxruntime(library, case, rows, width):
    """The peer with outputs of another width than two."""
    (path,) = (engines.package("onnxruntime") / "capi").glob("libonnxruntime.so.*")
    graph = onnx.load(case.files["onnx"]).graph

    def make():
        engine = library.lib.peers_onnxruntime(
            str(path).encode(), str(case.files["onnx"]).encode(), graph.output[0].name.encode(),
            graph.output[1].name.encode(), width, ctypes.c_long(rows.count))
        (_, columns, floats, _), value = rows.inputs[0], graph.input[0]
        if not engine or library.lib.peers_onnxruntime_input(
                engines.Engine(engine), value.name.encode(), columns, engines.pointer(floats), None):
            return None
        return engine

    return engines.Peer("ONNX Runtime", library, make)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--binary", required=True, help="the benchmark program")
    parser.add_argument("--library", default=HERE.parent / ".build" / "libpeers.so")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.12)
    arguments = parser.parse_args()
    place = HERE.parent / ".build" / "engine"
    place.mkdir(parents=True, exist_ok=True)
    table = data.flights()
    numeric, _ = data.numeric(table)
    complete = np.where(np.isnan(numeric), np.nanmedian(numeric, axis=0), numeric)
    x = StandardScaler().fit_transform(complete).astype(np.float32)
    late = table["late"].to_numpy()
    rows = engines.Rows(matrix=data.pooled(x))
    pool = place / "others.pool"
    rows.write(pool)
    library = engines.Library(arguments.library)
    print("| model | " + " | ".join(f"batch {b}: martlet | ONNX Runtime | ratio" for b in BATCHES) + " |")
    print("|---|" + "---|---|---|" * len(BATCHES))
    for name, title, width, model in models(x, late):
        file = place / f"{name}.onnx"
        file.write_bytes(model.SerializeToString())
        case = types.SimpleNamespace(name=name, files={"onnx": file})
        ours = engines.Martlet("martlet", arguments.binary, file, pool, {})
        peer = onnxruntime(library, case, rows, width)
        cells = []
        for batch in BATCHES:
            times = {"ours": [], "peer": []}
            for turn in range(arguments.rounds):
                for key, engine in (("ours", ours), ("peer", peer)) if turn % 2 else (("peer", peer), ("ours", ours)):
                    times[key].append(engine.run(batch, arguments.seconds, 1) / 1e3)
            a, b = statistics.median(times["ours"]), statistics.median(times["peer"])
            cells.append(f"{a:.2f} | {b:.2f} | {b / a:.1f}")
        ours.close()
        print(f"| {title} | " + " | ".join(cells) + " |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
