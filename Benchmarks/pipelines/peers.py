"""The pipelines of models.py in ONNX Runtime, scikit-learn and Martlet: microseconds a row, one thread, as Markdown.

    .venv/bin/python Benchmarks/pipelines/peers.py DIRECTORY path/to/pipeline-bench

Every call takes rows that no call before had, from a pool larger than the caches. What an empty call of ONNX Runtime
takes from Python, with the same inputs and a model that only asks for a shape, is measured and taken off its time;
scikit-learn is Python all through, so nothing is taken off. Rounds of the three alternate; the median counts.
"""

from __future__ import annotations

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import json
import pathlib
import pickle
import subprocess
import sys
import time

import numpy as np
import onnx
import onnxruntime

BATCHES = [1, 8, 64, 512, 4096]
ROUNDS = 3
SECONDS = 0.25


def session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def empty(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same inputs, and one output that costs nothing."""
    first = model.graph.input[0].name
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Shape", [first], ["shape"])],
        "empty",
        list(model.graph.input),
        [onnx.helper.make_tensor_value_info("shape", onnx.TensorProto.INT64, [2])],
    )
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 15)], ir_version=8)


def measure(call, feeds: list, batch: int) -> float:
    """Microseconds a row over as many feeds as fit the time; each feed is used once."""
    call(feeds[0])
    used = 0
    start = time.perf_counter()
    for feed in feeds[1:]:
        call(feed)
        used += 1
        if time.perf_counter() - start > SECONDS:
            break
    return (time.perf_counter() - start) / used / batch * 1e6


def main() -> None:
    directory, program = pathlib.Path(sys.argv[1]), sys.argv[2]
    print("| model | batch | Martlet | ONNX Runtime | of that the empty call | scikit-learn | against ONNX Runtime | against scikit-learn |")
    print("|---|---|---|---|---|---|---|---|")
    for path in sorted(directory.glob("*.onnx")):
        model, pool = pickle.loads(path.with_suffix(".pkl").read_bytes())
        file = onnx.load(path)
        run, idle = session(file), session(empty(file))
        names = [i.name for i in file.graph.input]
        frame = hasattr(pool, "columns")
        columns = {c: pool[[c]].to_numpy() for c in names} if frame else {names[0]: pool}
        own = {str(b): [] for b in BATCHES}
        peers = {b: {"ort": [], "idle": [], "sklearn": []} for b in BATCHES}
        for _ in range(ROUNDS):
            output = subprocess.run([program, str(path), str(path.with_suffix(".bin")), "0.1"], capture_output=True, text=True, check=True)
            for batch, nanoseconds in json.loads(output.stdout).items():
                own[batch].append(nanoseconds / 1000)
            for batch in BATCHES:
                starts = np.random.permutation(len(pool) // batch)[:400] * batch
                feeds = [{c: values[s : s + batch] for c, values in columns.items()} for s in starts]
                rows = [pool.iloc[s : s + batch] if frame else pool[s : s + batch] for s in starts[: 200 if batch < 512 else 16]]
                peers[batch]["ort"].append(measure(lambda feed: run.run(None, feed), feeds, batch))
                peers[batch]["idle"].append(measure(lambda feed: idle.run(None, feed), feeds, batch))
                peers[batch]["sklearn"].append(measure(model.predict_proba, rows, batch))
        for batch in BATCHES:
            martlet = float(np.median(own[str(batch)]))
            ort, idle_time, sklearn = (float(np.median(peers[batch][k])) for k in ("ort", "idle", "sklearn"))
            print(
                f"| {path.stem} | {batch} | {martlet:.3f} | {ort:.2f} | {idle_time:.2f} | {sklearn:.2f} "
                f"| {(ort - idle_time) / martlet:.1f} | {sklearn / martlet:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
