"""Engines as objects that can be asked to run: the peers through libpeers.so, and martlet as a process."""

import ctypes
import importlib.util
import os
import pathlib
import pickle
import re
import struct
import subprocess
import time

import numpy as np

Engine = ctypes.c_void_p
TEXTS = ctypes.POINTER(ctypes.c_char_p)


class Unavailable(Exception):
    """An engine that cannot run a case; the report says why."""


class Rows:
    """The pool of a case: a matrix, or columns of text and numbers as one input each."""

    def __init__(self, matrix=None, frame=None, texts=()):
        self.matrix, self.frame = matrix, frame
        self.inputs = []  # (name, width, floats or None, bytes of texts or None)
        if matrix is not None:
            self.count = len(matrix)
            self.inputs.append(("input", matrix.shape[1], matrix, None))
            self.wide = None
        else:
            self.count = len(frame)
            for name in frame:
                if name in texts:
                    self.inputs.append((name, 1, None, [t.encode() for t in frame[name]]))
                else:
                    self.inputs.append((name, 1, np.ascontiguousarray(frame[name].to_numpy(np.float32)), None))

    def doubles(self):
        if self.wide is None:
            self.wide = self.matrix.astype(np.float64)
        return self.wide

    def write(self, path):
        """For the process: POOL, inputs, rows; then for each input its kind, its width and its values."""
        with open(path, "wb") as file:
            file.write(struct.pack("<4sIQ", b"POOL", len(self.inputs), self.count))
            for _, width, floats, texts in self.inputs:
                file.write(struct.pack("<II", 0 if texts is None else 1, width))
                if texts is None:
                    file.write(floats.tobytes())
                else:
                    # As raw contents of a call have them: the length in front of each.
                    ends = np.cumsum([4 + len(text) for text in texts]).astype("<u8")
                    file.write(ends.tobytes())
                    file.write(b"".join(struct.pack("<I", len(text)) + text for text in texts))


# Peers in this process


class Library:
    """libpeers.so."""

    def __init__(self, path):
        self.lib = ctypes.CDLL(str(path))
        self.lib.peers_error.restype = ctypes.c_char_p
        for name in ("xgboost", "lightgbm", "lleaves", "tl2cgen", "onnxruntime", "onnxruntime_twin"):
            getattr(self.lib, "peers_" + name).restype = Engine


def package(name):
    return pathlib.Path(importlib.util.find_spec(name).submodule_search_locations[0])


def pointer(array, kind=ctypes.c_float):
    return array.ctypes.data_as(ctypes.POINTER(kind))


class Peer:
    """An engine of libpeers.so; `make` is called once for every thread."""

    def __init__(self, name, library, make):
        self.name, self.library = name, library
        self.engines = []
        self.make = make
        self.engine(0)

    def engine(self, index):
        while len(self.engines) <= index:
            engine = self.make()
            if not engine:
                raise Unavailable(self.library.lib.peers_error().decode())
            self.engines.append(engine)
        return self.engines[index]

    def run(self, batch, seconds, threads):
        engines = (Engine * threads)(*[self.engine(i) for i in range(threads)])
        result = ctypes.c_double()
        if self.library.lib.peers_run(engines, threads, batch, ctypes.c_double(seconds), ctypes.byref(result)):
            raise Unavailable(self.library.lib.peers_error().decode())
        return result.value

    def answers(self, count):
        result = (ctypes.c_double * count)()
        if self.library.lib.peers_answers(Engine(self.engine(0)), count, result):
            raise Unavailable(self.library.lib.peers_error().decode())
        return np.array(result)

    def close(self):
        pass


def xgboost(library, case, rows):
    path = package("xgboost") / "lib" / "libxgboost.so"
    return Peer("XGBoost", library, lambda: library.lib.peers_xgboost(
        str(path).encode(), str(case.files["xgboost"]).encode(), pointer(rows.matrix), ctypes.c_long(rows.count),
        rows.matrix.shape[1]))


def lightgbm(library, case, rows):
    path = package("lightgbm") / "lib" / "lib_lightgbm.so"
    return Peer("LightGBM", library, lambda: library.lib.peers_lightgbm(
        str(path).encode(), str(case.files["lightgbm"]).encode(), pointer(rows.matrix), ctypes.c_long(rows.count),
        rows.matrix.shape[1]))


def lleaves(library, case, rows):
    import lleaves

    model = lleaves.Model(model_file=str(case.files["lleaves"]))
    cache = case.files["lleaves"].with_suffix(".lleaves")
    model.compile(cache=cache)
    address = ctypes.cast(model._c_entry_func, ctypes.c_void_p)
    peer = Peer("lleaves", library, lambda: library.lib.peers_lleaves(
        address, pointer(rows.doubles(), ctypes.c_double), ctypes.c_long(rows.count), rows.matrix.shape[1]))
    peer.keep = model
    return peer


def tl2cgen(library, case, rows):
    wide = int("xgboost" not in case.files)
    return Peer("TL2cgen", library, lambda: library.lib.peers_tl2cgen(
        str(case.files["tl2cgen"]).encode(), wide, pointer(rows.matrix), ctypes.c_long(rows.count),
        rows.matrix.shape[1]))


def onnxruntime(library, case, rows):
    import onnx

    graph = onnx.load(case.files["onnx"]).graph
    label, probabilities = (output.name for output in graph.output)
    (path,) = (package("onnxruntime") / "capi").glob("libonnxruntime.so.*")
    texts = {name: (ctypes.c_char_p * len(column))(*column) for name, _, _, column in rows.inputs if column}

    first = []

    def make():
        if first:
            return library.lib.peers_onnxruntime_twin(Engine(first[0]))
        engine = library.lib.peers_onnxruntime(
            str(path).encode(), str(case.files["onnx"]).encode(), label.encode(), probabilities.encode(), 2,
            ctypes.c_long(rows.count))
        for (name, width, floats, column), value in zip(rows.inputs if engine else [], graph.input):
            if library.lib.peers_onnxruntime_input(
                    Engine(engine), value.name.encode(), width, None if column else pointer(floats),
                    ctypes.cast(texts[name], TEXTS) if column else None):
                return None
        first.append(engine)
        return engine

    peer = Peer("ONNX Runtime", library, make)
    peer.keep = texts
    return peer


class YDF:
    """YDF's own benchmark, in C++ over the whole dataset."""

    name = "YDF"
    # It passes over all rows at least once, however long that takes: as many as fit a measurement, within this.
    ROWS = 4_096, 100_000

    def __init__(self, case, rows, names, seconds):
        import ydf
        from ydf.dataset import dataset

        ydf.verbose(0)
        self.model = ydf.load_model(str(case.files["ydf"]))
        features = self.model.input_feature_names()
        taken_over = not set(features) <= set(names)  # from scikit-learn: one feature of all columns

        def columns(count):
            if taken_over:
                return {"features": rows.matrix[:count]}
            return {n: np.ascontiguousarray(rows.matrix[:count, names.index(n)]) for n in features}

        def made(count):
            return dataset.create_vertical_dataset(
                columns(count), data_spec=self.model.data_spec(), required_columns=features)

        self.columns = columns
        self.rows = made(self.ROWS[0])
        count = int(seconds / (self.run(64, 0.001, 1) * 1e-9))
        self.rows = made(max(self.ROWS[0], min(self.ROWS[1], count)))

    def run(self, batch, seconds, threads):
        result = self.model._model.Benchmark(self.rows._dataset, seconds, seconds * 0.15, batch, threads)
        if threads == 1:
            return float(result.duration_per_example) * 1e9
        # The result has no property of it, only its text.
        return float(re.search(r"Multi-thread inference time per example: ([\d.]+) us", str(result)).group(1)) * 1e3

    def answers(self, count):
        answers = self.model.predict(self.columns(count))
        return answers if answers.ndim == 1 else answers[:, -1]

    def close(self):
        pass


class ScikitLearn:
    """predict_proba, which is as low as it goes; rows are cut beforehand."""

    name = "scikit-learn"

    def __init__(self, case, rows):
        self.model = pickle.loads(pathlib.Path(case.files["estimator"]).read_bytes())
        self.rows = rows.matrix if rows.frame is None else rows.frame
        self.position = 0
        # The columns of a data frame that lacks their names would be refused; matrices have none.
        for part in [self.model] + list(getattr(self.model, "named_steps", {}).values()):
            if hasattr(part, "n_jobs"):
                part.n_jobs = 1

    def cut(self, batch):
        if self.position + batch > len(self.rows):
            self.position = 0
        self.position += batch
        rows = self.rows[self.position - batch:self.position]
        return rows

    def run(self, batch, seconds, threads):
        if threads > 1:
            raise Unavailable("Python runs one thread at a time")
        spent, count = 0.0, 0
        self.model.predict_proba(self.cut(batch))
        while spent < seconds:
            rows = [self.cut(batch) for _ in range(max(1, min(64, 4096 // batch)))]
            begun = time.perf_counter()
            for block in rows:
                self.model.predict_proba(block)
                count += batch
                if time.perf_counter() - begun > seconds:
                    break
            spent += time.perf_counter() - begun
        return spent / count * 1e9

    def answers(self, count):
        return self.model.predict_proba(self.rows[:count])[:, -1]

    def close(self):
        pass


# Martlet


class Martlet:
    """The benchmark program as a process that waits for what to run."""

    def __init__(self, name, binary, model, pool, environment):
        self.name, self.model = name, model
        self.process = subprocess.Popen(
            [binary, str(model), str(pool)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, env={**os.environ, **environment})
        first = self.process.stdout.readline().split(maxsplit=1)
        if not first or first[0] != "READY":
            errors = self.process.stderr.read().strip()
            self.process.wait()
            raise Unavailable(errors or "the benchmark program ended")
        self.summary = first[1].strip() if len(first) > 1 else ""

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().split()
        if not answer or answer[0] != "OK":
            raise Unavailable(" ".join(answer[1:]) or self.process.stderr.read().strip())
        return answer[1:]

    def run(self, batch, seconds, threads):
        return float(self.ask(f"run {batch} {seconds} {threads}")[0])

    def answers(self, count):
        return np.array([float(value) for value in self.ask(f"answers {count}")])

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()
