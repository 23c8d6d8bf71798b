#!/usr/bin/env python3
"""Measures martlet's engine beside ONNX Runtime and scikit-learn on models other than trees.

    Benchmarks/engine/others.py --binary EngineBenchmark [--only NAME…] [--rounds N] [--seconds S] [--no-write]

Support vectors, neighbours, mixtures. One thread, each engine in turn within every round; medians of the rounds, in
microseconds a row. Rows are the flights of data.py, without missing values and scaled, from a pool larger than the
caches. All engines answer the same rows first. Writes the table of docs/performance.md between its markers; models are
trained once and kept. Exit status: 0, or 1 when martlet's answers are not those of ONNX Runtime.
"""

import argparse
import ctypes
import importlib.machinery
import os
import pathlib
import pickle
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
run = importlib.machinery.SourceFileLoader("run", str(HERE / "run")).load_module()  # a program without a suffix
ROOT = HERE.parent.parent
BATCHES = (1, 8, 64, 512)
CHECKED_ROWS = 256
PATIENCE = 2.0  # seconds that the rounds of an engine and batch may take
PLAIN = {"zipmap": False}
# By name: title, what is fitted, how many of the rows with which labels, and how it is converted.
MODELS = {
    "svc-rbf": ("SVC, RBF, 2 classes", lambda: SVC(probability=True, random_state=0), 1500, "late", PLAIN),
    "svc-five": ("SVC, RBF, 5 classes", lambda: SVC(probability=True, random_state=0), 1500, "five", PLAIN),
    "svc-poly": ("SVC, polynomial, 2 classes", lambda: SVC(kernel="poly", random_state=0), 1500, "late", PLAIN),
    "svc-sigmoid": ("SVC, sigmoid, 2 classes", lambda: SVC(kernel="sigmoid", random_state=0), 1500, "late", PLAIN),
    "knn-scan": ("5 of 2,000 neighbours, exported as a Scan", lambda: KNeighborsClassifier(5), 2000, "late", PLAIN),
    "knn-cdist": ("5 of 2,000 neighbours, exported as CDist", lambda: KNeighborsClassifier(5), 2000, "late",
                  {**PLAIN, "optim": "cdist"}),
    "mixture": ("Gaussian mixture, 8 components", lambda: GaussianMixture(8, random_state=0), 4000, None, {}),
}


def made(name, place, x, late):
    """The files of a model, trained where they are not there yet: ONNX and scikit-learn's own."""
    file, kept = place / f"{name}.onnx", place / f"{name}.pickle"
    if not (file.exists() and kept.exists()):
        _, make, count, labels, options = MODELS[name]
        five = np.digitize(x[:count, 0] + x[:count, 3], [-1.5, -0.5, 0.5, 1.5])
        model = make().fit(x[:count], {"late": late[:count], "five": five, None: None}[labels])
        file.write_bytes(to_onnx(model, x[:1], options={id(model): options}).SerializeToString())
        kept.write_bytes(pickle.dumps(model))
    return file, pickle.loads(kept.read_bytes())


def onnxruntime(library, file, rows, width):
    """The peer with outputs of another width than two."""
    (path,) = (engines.package("onnxruntime") / "capi").glob("libonnxruntime.so.*")
    graph = onnx.load(file).graph

    def make():
        engine = library.lib.peers_onnxruntime(
            str(path).encode(), str(file).encode(), graph.output[0].name.encode(),
            graph.output[1].name.encode(), width, ctypes.c_long(rows.count))
        (_, columns, floats, _), value = rows.inputs[0], graph.input[0]
        if not engine or library.lib.peers_onnxruntime_input(
                engines.Engine(engine), value.name.encode(), columns, engines.pointer(floats), None):
            return None
        if len(graph.output[0].type.tensor_type.shape.dim) == 2:
            library.lib.peers_onnxruntime_label_column(engines.Engine(engine))
        return engine

    return engines.Peer("ONNX Runtime", library, make)


class ScikitLearn(engines.ScikitLearn):
    """As the other benchmark's; by its decision function where it has no probabilities."""

    def __init__(self, model, rows):
        self.model, self.rows, self.position = model, rows.matrix, 0
        if not hasattr(model, "predict_proba"):
            self.model = types.SimpleNamespace(predict_proba=model.decision_function)


def measured(found, arguments):
    """Medians by batch and engine, in microseconds a row."""
    figures = {}
    for batch in BATCHES:
        times = {name: [] for name in found}
        for number in range(arguments.rounds):
            names = list(found)
            turn = number % len(names)
            for name in names[turn:] + names[:turn]:
                if sum(t * batch for t in times[name]) < PATIENCE * 1e6:
                    times[name].append(found[name].run(batch, arguments.seconds, 1) / 1e3)
        figures[batch] = {name: statistics.median(t) for name, t in times.items()}
    return figures


def table(title, figures, ours):
    lines = [f"**{title}**", "",
             "| µs a row, one thread, batch of | " + " | ".join(map(str, figures)) + " |",
             "|---|" + "---|" * len(figures)]
    for name in next(iter(figures.values())):
        shown = f"**martlet {name}**" if name in ours else name
        lines.append(f"| {shown} | " + " | ".join(f"{f[name]:.3g}" for f in figures.values()) + " |")
    for variant in ours:
        cells = []
        for f in figures.values():
            peer = min((n for n in f if n not in ours), key=f.get)
            cells.append(f"{f[peer] / f[variant]:.1f} × {peer}")
        lines.append(f"| fastest peer over martlet {variant} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--binary", required=True, help="the benchmark program")
    parser.add_argument("--library", default=HERE.parent / ".build" / "libpeers.so")
    parser.add_argument("--only", nargs="+", default=list(MODELS), choices=MODELS, metavar="NAME")
    parser.add_argument("--variants", default="avx512,avx2,portable", help="values of MARTLET_CPU")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.05)
    parser.add_argument("--no-write", action="store_true", help="print only")
    arguments = parser.parse_args()
    place = HERE.parent / ".build" / "engine" / "others"
    place.mkdir(parents=True, exist_ok=True)
    flights = data.flights()
    numeric, _ = data.numeric(flights)
    complete = np.where(np.isnan(numeric), np.nanmedian(numeric, axis=0), numeric)
    x = StandardScaler().fit_transform(complete).astype(np.float32)
    late = flights["late"].to_numpy()
    rows = engines.Rows(matrix=data.pooled(x))
    pool = place / "pool"
    rows.write(pool)
    library = engines.Library(arguments.library)
    here = run.machine()
    texts, wrong = [f"{here['cpu']}, {here['system']}, load {here['load']} when it began.\n"], []
    for name in arguments.only:
        file, model = made(name, place, x, late)
        width = len(getattr(model, "classes_", range(8)))
        ours = {v: engines.Martlet(v, arguments.binary, file, pool, {"MARTLET_CPU": v})
                for v in run.variants(arguments.variants, here["features"])}
        found = {**ours, "ONNX Runtime": onnxruntime(library, file, rows, width),
                 "scikit-learn": ScikitLearn(model, rows)}
        reference = found["ONNX Runtime"].answers(CHECKED_ROWS)
        for variant, engine in ours.items():
            difference = float(np.abs(engine.answers(CHECKED_ROWS) - reference).max())
            if not difference < 1e-4:
                wrong.append(f"{name}, {variant}: {difference:.1e}")
        vectors = f", {len(model.support_):,} vectors" if hasattr(model, "support_") else ""
        text = table(MODELS[name][0] + vectors, measured(found, arguments), ours)
        print(text, flush=True)
        texts.append(text)
        for engine in ours.values():
            engine.close()
    if not arguments.no_write and arguments.only == list(MODELS):
        run.replace_between(ROOT / "docs" / "performance.md", "<!-- bench-others:begin -->",
                            "<!-- bench-others:end -->", "\n".join(texts))
    for line in wrong:
        print("martlet differs from ONNX Runtime: " + line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
