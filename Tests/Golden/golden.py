"""The form in which zoo.py and operators.py write a case: model.onnx, case.json, data.bin.

case.json tells where the tensors of data.bin are:

    {"name": …, "family": …, "rows": N, "tolerance": "exact" | "1e-6",
     "inputs":  [{"name", "type", "shape": […], "offset", "bytes"}],
     "outputs": [{"name", "type", "shape": […], "offset", "bytes", "classes": […] for a flattened ZipMap}]}

data.bin holds raw little-endian row-major values one after another, each tensor from a multiple of 8. The
types are the datatypes of the Open Inference Protocol. BOOL is a byte each; BYTES is, for each element, a
u32 length and that many bytes of UTF-8. A ZipMap output (a list of one dictionary per row) is written as
a `[rows, classes]` FP32 tensor in the order of the model's class list. A sequence of tensors (as
MultiOutputClassifier gives) is written as <output>_0, <output>_1, … with a key "sequence" that names it.

The expected outputs come from ONNX Runtime on one thread with otherwise default session options, its graph
optimisations included: that is the engine users have, and the bar is to be equal to it.

"exact" means the same bits, any NaN being equal to any NaN. "1e-6" means |a - b| <= 1e-6 * max(1, |b|) and
the same infinities; a label may then differ only where the two best scores are that close. A case is
"1e-6" when a node has a sum whose order, or a function whose rounding, ONNX Runtime does not promise.
"""

from __future__ import annotations

import json
import math
import pathlib
import shutil
import struct
import sys
import traceback
import warnings

import numpy as np
import onnx
import onnxruntime

TYPES = {
    np.dtype(np.float32): "FP32",
    np.dtype(np.float64): "FP64",
    np.dtype(np.float16): "FP16",
    np.dtype(np.int8): "INT8",
    np.dtype(np.int16): "INT16",
    np.dtype(np.int32): "INT32",
    np.dtype(np.int64): "INT64",
    np.dtype(np.uint8): "UINT8",
    np.dtype(np.uint16): "UINT16",
    np.dtype(np.uint32): "UINT32",
    np.dtype(np.uint64): "UINT64",
    np.dtype(np.bool_): "BOOL",
}

# Operators whose result follows from IEEE 754 and the order that the specification or ONNX Runtime's plain
# loops give. Tree ensembles are here: one thread adds tree by tree, and their transforms call libm.
EXACT_OPERATORS = set(
    """
    Abs Add And ArgMax ArgMin ArrayFeatureExtractor Binarizer Cast CastLike Ceil Clip Compress Concat Constant
    ConstantOfShape Div Equal Expand FeatureVectorizer Flatten Floor Gather GatherElements GatherND Greater
    GreaterOrEqual Identity Imputer IsInf IsNaN LabelEncoder Less LessOrEqual Max Min Mul Neg Normalizer Not OneHot
    OneHotEncoder Or Range Reciprocal ReduceMax ReduceMin Relu Reshape Round Scaler Shape Sign Size Slice Split Sqrt
    Squeeze Sub Sum Tile TopK Transpose TreeEnsemble TreeEnsembleClassifier TreeEnsembleRegressor Trilu Unsqueeze
    Where Xor ZipMap Mod BitShift SVMClassifier SVMRegressor
    """.split()
)


class Skip(Exception):
    """A converter or ONNX Runtime cannot do this case; the message says why."""


def session_of(model: bytes, optimised: bool = True) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    if not optimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


class _Data:
    """data.bin while it grows."""

    def __init__(self):
        self.bytes = bytearray()

    def add(self, name: str, value: np.ndarray, **more) -> dict:
        self.bytes += b"\0" * (-len(self.bytes) % 8)
        offset = len(self.bytes)
        value = np.asarray(value)
        if value.dtype.kind in "OUS":
            kind = "BYTES"
            for element in value.reshape(-1):
                encoded = element if isinstance(element, bytes) else str(element).encode()
                self.bytes += struct.pack("<I", len(encoded)) + encoded
        else:
            kind = TYPES[value.dtype]
            self.bytes += np.ascontiguousarray(value).astype(value.dtype.newbyteorder("<"), copy=False).tobytes()
        return {"name": name, "type": kind, "shape": list(value.shape), "offset": offset, "bytes": len(self.bytes) - offset, **more}


def class_list(model: onnx.ModelProto, output: str) -> list:
    """The classes of the ZipMap that makes this output."""
    for node in model.graph.node:
        if node.op_type == "ZipMap" and output in node.output:
            for attribute in node.attribute:
                if attribute.name == "classlabels_int64s":
                    return list(attribute.ints)
                if attribute.name == "classlabels_strings":
                    return [s.decode() for s in attribute.strings]
    raise AssertionError(f"no ZipMap makes {output}")


def flattened(value, model: onnx.ModelProto, output: str) -> tuple[dict[str, np.ndarray], dict]:
    """An output as tensors by name, and what case.json says about it beyond name and type."""
    if not isinstance(value, list):
        return {output: value}, {}
    if isinstance(value[0], np.ndarray):
        return {f"{output}_{i}": part for i, part in enumerate(value)}, {"sequence": output}
    classes = class_list(model, output)
    table = np.array([[row[c] for c in classes] for row in value], np.float32).reshape(len(value), len(classes))
    return {output: table}, {"classes": classes}


def tolerance_of(model: onnx.ModelProto) -> str:
    return "exact" if all(n.op_type in EXACT_OPERATORS and not approximates(n) for n in nodes_of(model)) else "1e-6"


def approximates(node) -> bool:
    """A support vector machine with a transform, whose functions ONNX Runtime approximates by vectors."""
    return node.op_type == "SVMClassifier" and any(a.name == "post_transform" and a.s != b"NONE" for a in node.attribute)


def nodes_of(model: onnx.ModelProto):
    """Every node, those of functions included."""
    yield from model.graph.node
    for function in model.functions:
        yield from function.node


def same_bits(a, b) -> bool:
    if isinstance(a, list):
        return len(a) == len(b) and all(same_bits(x, y) for x, y in zip(a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same_bits(a[k], b[k]) for k in a)
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.dtype.kind != "f":
        return np.array_equal(a, b)
    numbers = np.isnan(a) == np.isnan(b)
    return bool(numbers.all() and (np.isnan(a) | ((a == b) & (np.signbit(a) == np.signbit(b)))).all())


def check_written(session, feeds: dict, values: list) -> None:
    """Skips a case in which ONNX Runtime leaves a part of its output as it found it."""
    outputs = session.get_outputs()
    for o, value in zip(outputs, values):
        if not isinstance(value, np.ndarray) or value.dtype.kind != "f" or not value.size:
            continue
        mark = np.full(value.shape, -12345.5, value.dtype)
        binding = session.io_binding()
        for name, fed in feeds.items():
            if fed.dtype.kind == "O":
                return
            binding.bind_cpu_input(name, np.ascontiguousarray(fed))
        for other in outputs:
            if other.name != o.name:
                binding.bind_output(other.name)
        binding.bind_ortvalue_output(o.name, onnxruntime.OrtValue.ortvalue_from_numpy(mark))
        try:
            session.run_with_iobinding(binding)
        except RuntimeError:  # some converters declare another shape than the model has, and a buffer must match it
            return
        if not same_bits(binding.get_outputs()[-1].numpy(), value):  # the one bound last
            raise Skip("ONNX Runtime leaves a part of the output unwritten")


def near(a, b) -> bool:
    """The rule of "1e-6" for tensors of floats, equality for all else."""
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.dtype.kind != "f":
        return same_bits(a, b)
    with np.errstate(all="ignore"):
        close = np.abs(a - b) <= 1e-6 * np.maximum(1, np.abs(b))
    return bool((close | (a == b) | (np.isnan(a) & np.isnan(b))).all())


def agrees_with_itself(model: bytes, feeds: dict, values: list, by_row: bool) -> bool:
    """Whether ONNX Runtime gives the same bits without graph optimisations and, if asked, row by row.

    Where it does not, "exact" would ask for the accidents of one batch size. Where not even the looser rule
    holds there is nothing to compare with, and the case is skipped.
    """

    def same(a, b) -> bool:
        if isinstance(a, np.ndarray) and not near(a, b):
            raise Skip("ONNX Runtime gives other answers for another batch size or without optimisations")
        return same_bits(a, b)

    plain = session_of(model, optimised=False)
    if not all([same(a, b) for a, b in zip(plain.run(None, feeds), values)]):
        return False
    if not by_row:
        return True
    rows = {np.shape(v)[0] if np.ndim(v) else None for v in feeds.values()}
    if len(rows) != 1 or None in rows or not all(isinstance(v, list) or np.shape(v)[:1] == (min(rows),) for v in values):
        return True
    session = session_of(model)
    for row in range(0, min(rows), 7):
        try:
            single = session.run(None, {k: v[row : row + 1] for k, v in feeds.items()})
        except Exception:  # a shape fixed in the graph
            return True
        for a, b in zip(single, values):
            if isinstance(b, list) and isinstance(b[0], np.ndarray):
                b = [part[row : row + 1] for part in b]
            else:
                b = b[row : row + 1]
            if not same(a, b):
                return False
    return True


class Writer:
    """Runs cases through ONNX Runtime, writes them, and keeps count of operators and of what was skipped."""

    def __init__(self, directory: str):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.cases: list[dict] = []
        self.skipped: list[tuple[str, str]] = []
        self.demoted: list[str] = []
        self.operators: dict[tuple[str, str, int], dict] = {}

    def write(self, name: str, family: str, model: onnx.ModelProto, feeds: dict, by_row: bool = True) -> None:
        # Converters draw a new name each time and list the opsets in no order; the bytes shall not change for it.
        model.graph.name = name
        opsets = sorted(model.opset_import, key=lambda o: o.domain)
        del model.opset_import[:]
        model.opset_import.extend(opsets)
        serialized = model.SerializeToString(deterministic=True)
        try:
            session = session_of(serialized)
            outputs = [o.name for o in session.get_outputs()]
            values = session.run(outputs, feeds)
        except Exception as error:  # ONNX Runtime has a class per status and no common base of its own
            raise Skip(f"ONNX Runtime: {first_line(error)}") from error
        check_written(session, feeds, values)
        tolerance = tolerance_of(model)
        agrees = agrees_with_itself(serialized, feeds, values, by_row)
        if tolerance == "exact" and not agrees:
            tolerance = "1e-6"
            self.demoted.append(name)
        data = _Data()
        inputs = [data.add(n, v) for n, v in feeds.items()]
        expected = []
        for output, value in zip(outputs, values):
            tensors, more = flattened(value, model, output)
            expected += [data.add(part, tensor, **more) for part, tensor in tensors.items()]
        rows = next((len(v) for v in feeds.values() if np.ndim(v)), 1)
        case = {
            "name": name,
            "family": family,
            "rows": rows,
            "tolerance": tolerance,
            "inputs": inputs,
            "outputs": expected,
        }
        directory = self.directory / name
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        (directory / "model.onnx").write_bytes(serialized)
        (directory / "data.bin").write_bytes(data.bytes)
        (directory / "case.json").write_text(json.dumps(case, indent=1, ensure_ascii=False) + "\n")
        self.cases.append(case)
        self._count(model)

    def attempt(self, name: str, family: str, build, by_row: bool = True) -> None:
        """build() gives the model and its feeds; what cannot be done is noted, not fatal.

        by_row: the answer to a row does not depend on the other rows.
        """
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.write(name, family, *build(), by_row)
        except Skip as reason:
            self.skipped.append((name, str(reason)))
        except Exception as error:
            if "--debug" in sys.argv:
                traceback.print_exc()
            self.skipped.append((name, f"{type(error).__name__}: {first_line(error)}"))

    def _count(self, model: onnx.ModelProto) -> None:
        opsets = {("" if o.domain == "ai.onnx" else o.domain): o.version for o in model.opset_import}
        for node in nodes_of(model):
            domain = "" if node.domain == "ai.onnx" else node.domain
            try:
                since = onnx.defs.get_schema(node.op_type, opsets[domain], domain).since_version
            except Exception:
                since = 0
            entry = self.operators.setdefault((domain, node.op_type, since), {"opsets": set(), "nodes": 0, "attributes": {}})
            entry["opsets"].add(opsets.get(domain, 0))
            entry["nodes"] += 1
            for attribute in node.attribute:
                seen = entry["attributes"].setdefault(attribute.name, set())
                value = onnx.helper.get_attribute_value(attribute)
                if attribute.type in (onnx.AttributeProto.INT, onnx.AttributeProto.STRING) and len(seen) < 12:
                    seen.add(value.decode() if isinstance(value, bytes) else int(value))

    def finish(self) -> None:
        """operators.json and the table at the end."""
        listed = [
            {
                "domain": domain or "ai.onnx",
                "op_type": op,
                "since_version": since,
                "opsets": sorted(entry["opsets"]),
                "nodes": entry["nodes"],
                "attributes": {k: sorted(v, key=str) for k, v in sorted(entry["attributes"].items())},
            }
            for (domain, op, since), entry in sorted(self.operators.items())
        ]
        written = {case["name"] for case in self.cases}
        for stale in self.directory.glob("*/case.json"):
            if stale.parent.name not in written:
                shutil.rmtree(stale.parent)
        (self.directory / "operators.json").write_text(json.dumps(listed, indent=1) + "\n")

        print(f"{'case':44} {'family':28} {'rows':>5} tolerance")
        for case in self.cases:
            print(f"{case['name']:44} {case['family']:28} {case['rows']:5} {case['tolerance']}")
        print(f"\n{'domain':12} {'operator':28} {'since':>5}  opsets of the models")
        for o in listed:
            print(f"{o['domain']:12} {o['op_type']:28} {o['since_version']:5}  {' '.join(map(str, o['opsets']))}")
        exact = sum(c["tolerance"] == "exact" for c in self.cases)
        print(f"\n{len(self.cases)} cases, {exact} of them exact; {len({o['op_type'] for o in listed})} operators")
        for name in self.demoted:
            print(f"1e-6, since ONNX Runtime differs from itself by batch or optimisation: {name}")
        for name, reason in self.skipped:
            print(f"skipped {name}: {reason}")


def first_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]


# --- rows that trees are bad at ------------------------------------------------------------------------------


def thresholds_of(model: onnx.ModelProto) -> dict[int, np.ndarray]:
    """All thresholds of each feature, over every ensemble of the model."""
    found: dict[int, set] = {}
    for node in nodes_of(model):
        if node.op_type not in ("TreeEnsembleClassifier", "TreeEnsembleRegressor", "TreeEnsemble"):
            continue
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        if node.op_type == "TreeEnsemble":
            features, values = attributes["nodes_featureids"], onnx.numpy_helper.to_array(attributes["nodes_splits"])
            inner = [True] * len(features)
        else:
            features = attributes["nodes_featureids"]
            values = attributes.get("nodes_values")
            if values is None:
                values = onnx.numpy_helper.to_array(attributes["nodes_values_as_tensor"])
            inner = [m != b"LEAF" for m in attributes["nodes_modes"]]
        for feature, value, keep in zip(features, values, inner):
            if keep and not math.isnan(value):
                found.setdefault(feature, set()).add(float(value))
    return {f: np.array(sorted(v)) for f, v in found.items()}


def corner_rows(model: onnx.ModelProto, real: np.ndarray, count: int = 60, seed: int = 5, nan: bool = True) -> np.ndarray:
    """Rows on the thresholds, just beside them, and far away; the rest of a row is that of a real one."""
    generator = np.random.default_rng(seed)
    rows = real[generator.integers(0, len(real), count)].copy()
    if real.dtype.kind != "f":
        for feature, thresholds in thresholds_of(model).items():
            picked = generator.choice(thresholds, count)
            rows[:, feature] = np.where(generator.random(count) < 0.5, np.floor(picked), np.ceil(picked))
        return rows
    kind = real.dtype.type
    largest = np.finfo(kind).max
    odd = [np.inf, -np.inf, largest, -largest, 0.0, -0.0, np.finfo(kind).smallest_subnormal, 1e30, -1e30]
    for feature, thresholds in thresholds_of(model).items():
        picked = generator.choice(thresholds, count).astype(kind)
        which = generator.integers(0, 8, count)
        column = rows[:, feature]
        column = np.where(which <= 1, picked, column)
        column = np.where(which == 2, np.nextafter(picked, kind(np.inf)), column)
        column = np.where(which == 3, np.nextafter(picked, kind(-np.inf)), column)
        column = np.where(which == 4, generator.choice(np.array(odd, kind), count), column)
        if nan:
            column = np.where(which == 5, kind(np.nan), column)
        rows[:, feature] = column
    if nan:
        rows[-1] = np.nan
    rows[-2], rows[-3], rows[-4] = np.inf, -np.inf, 0
    return rows.astype(kind)
