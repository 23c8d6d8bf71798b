"""Each operator by itself, with ONNX Runtime's answers, for the tests of the engine.

    .venv/bin/python Tests/Golden/operators.py OUTDIR [--debug]

The operators are those that the models of zoo.py use and those that the converters can emit beyond that:
tiny models whose first dimension is the batch where that means something, with no row, one row, a few and
1,000; with NaN and infinities; over types, axes, broadcasts and opset versions. Trees and linear models
are in zoo_handmade.py. golden.py says how a case is written and what "exact" means.
"""

from __future__ import annotations

import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from operators_ml import ml_operators
from operators_rare import rare_operators

from golden import Writer, session_of
from zoo_handmade import ELEMENT, model_of

F32, F64, I64, I32 = np.float32, np.float64, np.int64, np.int32
OPSETS = (7, 9, 11, 13, 18)


def newest_opset() -> int:
    """The newest opset of the onnx package that ONNX Runtime loads."""
    for opset in range(onnx.defs.onnx_opset_version(), 20, -1):
        try:
            model = model_of([helper.make_node("Identity", ["a"], ["b"])], {"a": np.zeros(1, F32)}, [("b", TensorProto.FLOAT)], 0, opset)
            session_of(model.SerializeToString())
            return opset
        except Exception:
            continue
    raise SystemExit("no opset that both packages know")


NEWEST = newest_opset()


class Operators:
    """Writes cases of one node; names them <operator>_<what>[_opset<n>]."""

    def __init__(self, writer: Writer):
        self.writer = writer

    def case(self, op: str, what: str, inputs: list, opset: int = NEWEST, constants: dict | None = None, outputs: list | None = None, by_row: bool = True, **attributes):
        """inputs: arrays fed, None for an input left out, or the name of a constant. outputs: element types."""

        def build():
            feeds, names = {}, []
            for index, value in enumerate(inputs):
                if value is None or isinstance(value, str):
                    names.append(value or "")
                else:
                    names.append(f"x{index}")
                    feeds[f"x{index}"] = value
            kinds = outputs or [ELEMENT[next(iter(feeds.values())).dtype]]
            results = [f"y{i}" for i in range(len(kinds))]
            node = helper.make_node(op, names, results, **attributes)
            model = model_of([node], feeds, list(zip(results, kinds)), 0, opset, constants)
            if node.domain:
                model.opset_import.append(helper.make_opsetid(node.domain, 1))
            return model, feeds

        suffix = "" if opset == NEWEST else f"_opset{opset}"
        self.writer.attempt(f"{op.lower()}_{what}{suffix}", op, build, by_row)

    def batches(self, op: str, what: str, make, **more):
        """The same with 0, 1, 17 and 1,000 rows; make(rows) gives the inputs."""
        for rows in (0, 1, 17, 1000):
            self.case(op, f"{what}_rows{rows}", make(rows), **more)

    def versions(self, op: str, what: str, inputs, opsets=OPSETS, **more):
        for opset in (*opsets, NEWEST):
            self.case(op, what, inputs, opset=opset, **more)


SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-45, 3.4e38, -3.4e38, 1.0, -1.0, 0.5, -2.5, 1.5, 2.5, 88.5, -88.5, 110, -110], F32)


def floats(rows: int, columns: int = 6, dtype=F32, special: bool = True, seed: int = 1) -> np.ndarray:
    generator = np.random.default_rng(seed)
    x = (generator.normal(size=(rows, columns)) * 3).astype(F32)
    if special and rows > 1:
        x = np.where(generator.random(x.shape) < 0.2, generator.choice(SPECIAL, x.shape), x)
    return x.astype(dtype)


def with_nan_and_infinities(rows: int) -> np.ndarray:
    """Multiples of 1/4 with at most one of NaN, inf and -inf a row: no order of summation gives another answer."""
    x = quarters(rows, 6)
    for row in range(0, rows, 2):
        x[row, row % 6] = (np.nan, np.inf, -np.inf)[row // 2 % 3]
    return x


def integers(rows: int, columns: int = 6, dtype=I64, low: int = -9, high: int = 10, seed: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).integers(low, high, (rows, columns)).astype(dtype)


def quarters(*shape, dtype=F32, seed: int = 3) -> np.ndarray:
    """Small multiples of 1/4: sums and products are the same in every order."""
    return (np.random.default_rng(seed).integers(-8, 9, shape) / 4).astype(dtype)


def texts(rows: int, columns: int = 3, seed: int = 4) -> np.ndarray:
    words = np.array(["", "a", "b", "car (new)", "\u00e4\u00f6\u00fc", "\U0001f985", " a", "A", "12", "x" * 300], object)
    return np.random.default_rng(seed).choice(words, (rows, columns)).astype(object)


def unary(o: Operators) -> None:
    for op in ("Abs", "Neg", "Ceil", "Floor", "Round", "Sqrt", "Exp", "Log", "Sigmoid", "Tanh", "Relu", "Sign", "Reciprocal", "Erf", "Softplus", "Identity"):
        o.batches(op, "float32", lambda n: [floats(n)])
        o.case(op, "float64", [floats(40, dtype=F64)])
        o.case(op, "special", [np.repeat(SPECIAL[:, None], 3, 1)])
        first = {"Round": (11, 13), "Sign": (9, 11, 13), "Erf": (9, 13)}.get(op, (7, 13))
        for opset in first:
            o.case(op, "float32", [floats(20)], opset=opset)
    for op in ("Abs", "Neg", "Sign", "Relu", "Identity"):
        for dtype in (I64, I32):
            o.case(op, np.dtype(dtype).name, [integers(20, dtype=dtype)])
    for op in ("IsNaN", "IsInf"):
        o.batches(op, "float32", lambda n: [floats(n)], outputs=[TensorProto.BOOL])
        o.case(op, "float64", [floats(30, dtype=F64)], outputs=[TensorProto.BOOL])
    o.case("IsInf", "positive_only", [floats(30)], outputs=[TensorProto.BOOL], detect_negative=0)
    o.case("IsInf", "negative_only", [floats(30)], outputs=[TensorProto.BOOL], detect_positive=0)
    o.batches("Not", "bool", lambda n: [integers(n) > 0])
    o.batches("Identity", "text", lambda n: [texts(n)])
    o.case("LeakyRelu", "alpha", [floats(20)], alpha=0.25)
    o.case("Elu", "alpha", [floats(20)], alpha=1.5)
    o.case("HardSigmoid", "default", [floats(20)])


def binary(o: Operators) -> None:
    for op in ("Add", "Sub", "Mul", "Div"):
        o.batches(op, "same_shape", lambda n: [floats(n), floats(n, seed=9)])
        o.batches(op, "row", lambda n: [floats(n), "c"], constants={"c": floats(1, special=False)[0]})
        o.batches(op, "column", lambda n: [floats(n), floats(n, 1, seed=9)])
        o.case(op, "scalar", [floats(20), "c"], constants={"c": np.array(1.75, F32)})
        o.case(op, "scalar_first", ["c", floats(20)], constants={"c": np.array([3.25], F32)})
        o.case(op, "outer", [floats(5, 1), "c"], constants={"c": floats(1, 4)})
        o.case(op, "three_dimensions", [quarters(4, 1, 3), quarters(1, 5, 3)])
        o.case(op, "float64", [floats(20, dtype=F64), floats(20, dtype=F64, seed=9)])
        for dtype in (I64, I32):
            other = integers(20, dtype=dtype, low=1)
            o.case(op, np.dtype(dtype).name, [integers(20, dtype=dtype), np.where(integers(20, seed=8) > 0, other, -other).astype(dtype)])
        for opset in (7, 13):
            o.case(op, "row", [floats(20), "c"], opset=opset, constants={"c": floats(1, special=False)[0]})
    o.batches("Pow", "square", lambda n: [floats(n), "c"], constants={"c": np.array(2, F32)})
    o.case("Pow", "float_to_int64", [floats(20), "c"], constants={"c": np.array([0, 1, 2, 3, -1, -2], I64)})
    o.case("Pow", "halves", [np.abs(floats(20)), "c"], constants={"c": np.array([0.5], F32)})
    o.case("Pow", "same_shape", [floats(40), quarters(40, 6)])
    o.case("Pow", "int64", [integers(20), "c"], constants={"c": np.array([3], I64)})
    o.case("Pow", "float64", [floats(20, dtype=F64), "c"], constants={"c": np.array([3], F64)})
    o.versions("Pow", "cube", [floats(20), "c"], opsets=(7, 13), constants={"c": np.array([3], F32)})
    for op in ("Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual"):
        low = 12 if op.endswith("OrEqual") else 7
        out = [TensorProto.BOOL]
        o.batches(op, "same_shape", lambda n: [floats(n), np.roll(floats(n), n // 7)], outputs=out)
        o.case(op, "with_itself", [floats(40), floats(40)], outputs=out)
        o.case(op, "scalar", [quarters(20, 6), "c"], constants={"c": np.array(0.5, F32)}, outputs=out)
        o.case(op, "column", [integers(20), integers(20, 1)], outputs=out)
        o.case(op, "float64", [floats(20, dtype=F64), "c"], constants={"c": np.array([0.5], F64)}, outputs=out)
        o.case(op, "int32", [integers(20, dtype=I32), "c"], constants={"c": np.array([1], I32)}, outputs=out)
        for opset in (low, 13):
            kind = I32 if opset == 7 else F32
            if op in ("Less", "Greater") and opset == 7:
                kind = F32
            o.case(op, "older", [quarters(20, 6).astype(kind), "c"], opset=opset, constants={"c": np.array([1], kind)}, outputs=out)
    o.case("Equal", "bool", [integers(20) > 0, "c"], constants={"c": np.array([True])}, outputs=[TensorProto.BOOL])
    o.case("Equal", "text", [texts(20), "c"], constants={"c": np.array(["a"], object)}, outputs=[TensorProto.BOOL])
    for op in ("And", "Or", "Xor"):
        o.batches(op, "same_shape", lambda n: [integers(n) > 0, integers(n, seed=5) > 0])
        o.case(op, "row", [integers(9) > 0, "c"], constants={"c": np.array([True, False, True, False, True, False])})
    for op in ("Sum", "Max", "Min", "Mean"):
        o.case(op, "one", [floats(20)])
        o.batches(op, "two", lambda n: [floats(n), floats(n, seed=9)])
        o.case(op, "three_broadcast", [quarters(20, 6), quarters(20, 1), "c"], constants={"c": quarters(6, seed=6)})
        o.case(op, "float64", [floats(20, dtype=F64), floats(20, dtype=F64, seed=9)])
        o.versions(op, "three", [quarters(20, 6), quarters(20, 6, seed=7), quarters(20, 6, seed=8)], opsets=(7, 8, 13))
    for op in ("Max", "Min"):
        o.case(op, "int64", [integers(20), "c"], constants={"c": np.array([2], I64)})
        o.case(op, "nan_scalar", [floats(20), "c"], constants={"c": np.array(np.nan, F32)})
    for dtype in (I64, F32):
        for fmod in (0, 1):
            x, y = integers(20).astype(dtype), integers(20, low=1, seed=6).astype(dtype)
            o.case("Mod", f"{np.dtype(dtype).name}_fmod{fmod}", [x, y], fmod=fmod)


def where_and_clip(o: Operators) -> None:
    condition = lambda n: integers(n, seed=5) > 0  # noqa: E731
    # Adding 0 makes negative zeros positive: ONNX Runtime loses their sign in some broadcasts and keeps it in others.
    reals = lambda n, **k: floats(n, **k) + k.get("dtype", F32)(0)  # noqa: E731
    for name, make in {"float32": reals, "int64": integers, "text": lambda n, **k: texts(n, 6, **k)}.items():
        kind = [{"float32": TensorProto.FLOAT, "int64": TensorProto.INT64, "text": TensorProto.STRING}[name]]
        o.batches("Where", name, lambda n, make=make: [condition(n), make(n), make(n, seed=9)], outputs=kind)
    o.case("Where", "float64", [condition(20), reals(20, dtype=F64), "c"], constants={"c": np.array([-1.5], F64)}, outputs=[TensorProto.DOUBLE])
    o.case("Where", "column_condition", [condition(20)[:, :1], reals(20), "c"], constants={"c": np.array(0, F32)}, outputs=[TensorProto.FLOAT])
    o.case("Where", "all_broadcast", [condition(20)[:, :1], "a", "b"], constants={"a": floats(1, special=False)[0], "b": np.array([[np.nan]], F32)}, outputs=[TensorProto.FLOAT])
    o.case("Where", "older", [condition(20), reals(20), reals(20, seed=9)], opset=9, outputs=[TensorProto.FLOAT])
    limits = {"lo": np.array(-1, F32), "hi": np.array(1.5, F32)}
    o.batches("Clip", "both", lambda n: [floats(n), "lo", "hi"], constants=limits)
    o.case("Clip", "low_only", [floats(20), "lo"], constants={"lo": limits["lo"]})
    o.case("Clip", "high_only", [floats(20), None, "hi"], constants={"hi": limits["hi"]})
    o.case("Clip", "no_limit", [floats(20)])
    o.case("Clip", "float64", [floats(20, dtype=F64), "lo", "hi"], constants={k: v.astype(F64) for k, v in limits.items()})
    o.case("Clip", "int64", [integers(20), "lo", "hi"], constants={"lo": np.array(-2, I64), "hi": np.array(3, I64)})
    o.case("Clip", "low_above_high", [floats(20), "lo", "hi"], constants={"lo": limits["hi"], "hi": limits["lo"]})
    o.case("Clip", "attributes", [floats(20)], opset=7, min=-1.0, max=1.5)
    o.case("Clip", "attribute_min", [floats(20)], opset=9, min=0.0)
    o.case("Clip", "both", [floats(20), "lo", "hi"], opset=11, constants=limits)


def cast(o: Operators) -> None:
    def to(what, x, dtype, **more):
        kind = ELEMENT[np.dtype(dtype)]
        o.case("Cast", what, [x], to=kind, outputs=[kind], **more)

    numbers = np.array([0, -0.0, 1, -1, 0.5, -0.5, 1.5, 2.5, -2.5, 0.999999, 1e6, 123456.789, -123456.789, 16777217, 2**31, 2**40, -(2**40)])
    for kind in (F32, F64):
        name = np.dtype(kind).name
        for dtype in (I64, I32, np.bool_, F32, F64, np.float16):
            x = numbers if dtype is not I32 else numbers[np.abs(numbers) < 2**31]
            to(f"{name}_to_{np.dtype(dtype).name}", x.astype(kind)[:, None], dtype)
        to(f"{name}_special_to_bool", SPECIAL.astype(kind)[:, None], np.bool_)
        to(f"{name}_to_text", np.concatenate([numbers, SPECIAL, [1e-7, 1e20, 1 / 3, 0.1, 3.4028235e38, 1e10, 12345678, 1e5, 1e15, 1e16]]).astype(kind)[:, None], object)
    to("float64_special_to_float32", np.array([[np.nan, np.inf, -np.inf, 1e300, -1e300, 1e-300, 3.5e38, 1 / 3, 16777217, 1e-46]]), F32)
    to("float32_special_to_float64", SPECIAL[:, None], F64)
    for dtype in (F32, F64, I32, np.bool_, object, I64, np.uint8, np.int8):
        to(f"int64_to_{np.dtype(dtype).name}", integers(20) * 3, dtype)
    to("int64_large_to_float32", np.array([[2**53 + 1, 2**62 + 1, -(2**63), 2**63 - 1, 16777217]]), F32)
    to("int64_large_to_float64", np.array([[2**53 + 1, 2**62 + 1, -(2**63), 2**63 - 1, 16777217]]), F64)
    to("int64_large_to_int32", np.array([[2**31, 2**32 + 5, -(2**40) - 3]]), I32)
    for dtype in (F32, F64, I64, I32, object):
        to(f"bool_to_{np.dtype(dtype).name}", integers(20) > 0, dtype)
    to("int32_to_int64", integers(20, dtype=I32), I64)
    to("int32_to_float32", integers(20, dtype=I32), F32)
    words = np.array([["0", "-1", "1.5", "1e3", "-0.25", "NaN", "INF", "-INF", "3.4028235e38", "0.1", "1e-50", "007"]], object)
    to("text_to_float32", words, F32)
    to("text_to_float64", words, F64)
    to("text_to_int64", np.array([["0", "-1", "42", "9223372036854775807", "-9223372036854775808", "007"]], object), I64)
    to("text_to_text", texts(6), object)
    for dtype in (F32, I64, object):
        o.batches("Cast", f"float32_to_{np.dtype(dtype).name}", lambda n: [quarters(n, 6)], to=ELEMENT[np.dtype(dtype)], outputs=[ELEMENT[np.dtype(dtype)]])
    for opset in (7, 9, 13, 19):
        to("float32_to_int64_older", quarters(9, 6), I64, opset=opset)


def algebra(o: Operators) -> None:
    for dtype in (F32, F64):
        name = np.dtype(dtype).name
        w = {"w": quarters(6, 5, dtype=dtype)}
        o.batches("MatMul", name, lambda n: [quarters(n, 6, dtype=dtype), "w"], constants=w)
        o.batches("Gemm", name, lambda n: [quarters(n, 6, dtype=dtype), "w", "c"], constants={**w, "c": quarters(5, dtype=dtype, seed=5)})
        normal = np.random.default_rng(6).normal(size=(37, 64)).astype(dtype)
        o.case("MatMul", f"{name}_wide", [normal, "w"], constants={"w": np.random.default_rng(7).normal(size=(64, 19)).astype(dtype) / 8})
    w = {"w": quarters(6, 5)}
    o.case("MatMul", "special", [with_nan_and_infinities(20), "w"], constants=w)
    o.case("MatMul", "one_column", [quarters(20, 6), "w"], constants={"w": quarters(6, 1)})
    o.case("MatMul", "vector_right", [quarters(20, 6), "w"], constants={"w": quarters(6)})
    o.case("MatMul", "vector_left", ["w", quarters(6, 4)], constants={"w": quarters(6)})
    o.case("MatMul", "three_dimensions", [quarters(4, 3, 6), "w"], constants=w)
    o.case("MatMul", "batches_of_matrices", [quarters(4, 3, 6), quarters(4, 6, 2, seed=9)])
    o.case("MatMul", "int64", [integers(20), "w"], constants={"w": integers(6, 4)})
    o.case("MatMul", "int32", [integers(20, dtype=I32), "w"], constants={"w": integers(6, 4, dtype=I32)})
    o.versions("MatMul", "older", [quarters(20, 6), "w"], opsets=(7, 9, 13), constants=w)
    c = {"row": quarters(5, seed=5), "column": quarters(20, 1, seed=5), "scalar": np.array(0.5, F32), "full": quarters(20, 5, seed=5), "one_row": quarters(1, 5, seed=5)}
    for name, value in c.items():
        o.case("Gemm", f"c_{name}", [quarters(20, 6), "w", "c"], constants={**w, "c": value}, alpha=0.5, beta=2.0)
    o.case("Gemm", "no_c", [quarters(20, 6), "w"], constants=w)
    o.case("Gemm", "trans_b", [quarters(20, 6), "w", "c"], constants={"w": quarters(5, 6), "c": c["row"]}, transB=1)
    o.case("Gemm", "trans_a", [quarters(6, 20), "w"], constants=w, transA=1)
    o.case("Gemm", "trans_both", [quarters(6, 20), "w"], constants={"w": quarters(5, 6)}, transA=1, transB=1, alpha=-2.0)
    o.case("Gemm", "special", [with_nan_and_infinities(20), "w", "c"], constants={**w, "c": c["row"]})
    o.versions("Gemm", "older", [quarters(20, 6), "w", "c"], opsets=(7, 9, 11, 13), constants={**w, "c": c["row"]})
    o.case("Einsum", "ij_jk", [quarters(8, 6), "w"], constants=w, equation="ij,jk->ik")
    for op in ("Softmax", "LogSoftmax"):
        o.batches(op, "float32", lambda n: [floats(n, special=False)])
        o.case(op, "float64", [floats(20, dtype=F64, special=False)])
        o.case(op, "large", [floats(20, special=False) * 100])
        o.case(op, "infinities", [np.array([[0, np.inf, 1], [0, -np.inf, 1], [1, np.nan, 2], [-np.inf] * 3], F32)])
        for axis in (0, 1, 2, -1):
            o.versions(op, f"three_dimensions_axis{axis}".replace("-", "minus"), [quarters(4, 3, 5)], opsets=(11, 13) if axis < 0 else (7, 11, 13), axis=axis, by_row=axis != 0)
        o.versions(op, "three_dimensions_default", [quarters(4, 3, 5)], opsets=(7, 11, 13))


def reductions(o: Operators) -> None:
    ties = np.array([[1, 3, 3, 0], [2, 2, 2, 2], [0, -1, 0, -1], [5, 4, 3, 2]], F32)
    out = [TensorProto.INT64]
    for op in ("ArgMax", "ArgMin"):
        o.batches(op, "axis1", lambda n: [quarters(n, 6)], axis=1, outputs=out)
        o.case(op, "default", [quarters(5, 6)], outputs=out)
        o.case(op, "no_keepdims", [ties], axis=1, keepdims=0, outputs=out)
        o.case(op, "minus_axis", [quarters(4, 3, 5)], axis=-1, keepdims=0, outputs=out)
        o.case(op, "last_index", [ties], axis=1, select_last_index=1, outputs=out)
        o.case(op, "nan", [np.array([[np.nan, 1, 2], [1, np.nan, 2], [1, 2, np.nan], [np.nan] * 3, [np.inf, np.nan, 3], [-np.inf, np.inf, 0]], F32)], axis=1, outputs=out)
        o.case(op, "float64", [quarters(9, 4, dtype=F64)], axis=1, outputs=out)
        o.case(op, "int64", [integers(9)], axis=1, outputs=out)
        o.versions(op, "older", [ties], opsets=(7, 11, 12, 13), axis=1, keepdims=0, outputs=out)
    for op in ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceSumSquare", "ReduceL1", "ReduceL2", "ReduceLogSumExp", "ReduceLogSum"):
        data = (lambda n: np.abs(quarters(n, 6)) + F32(0.25)) if op in ("ReduceLogSum", "ReduceProd") else (lambda n: quarters(n, 6))
        axes = {"a": np.array([1], I64)}
        o.batches(op, "axis1", lambda n: [data(n), "a"], constants=axes, keepdims=0)
        o.case(op, "keepdims", [data(9), "a"], constants=axes)
        o.case(op, "all", [data(9)])
        o.case(op, "all_no_keepdims", [data(9)], keepdims=0)
        o.case(op, "noop", [data(9)], noop_with_empty_axes=1)
        o.case(op, "two_axes", [quarters(4, 3, 5) + F32(3), "a"], constants={"a": np.array([0, -1], I64)}, keepdims=0)
        o.case(op, "axis0", [data(9), "a"], constants={"a": np.array([0], I64)})
        o.case(op, "float64", [data(9).astype(F64), "a"], constants=axes)
        if op not in ("ReduceLogSumExp", "ReduceLogSum", "ReduceMean", "ReduceL2"):
            for dtype in (I64, I32):
                o.case(op, np.dtype(dtype).name, [integers(9, 4, dtype=dtype), "a"], constants=axes, keepdims=0)
        if op in ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1"):
            o.case(op, "special", [np.repeat(SPECIAL[:, None], 1, 1), "a"], constants=axes, keepdims=0)
        for opset in (7, 11, 13) if op != "ReduceSum" else (7, 11):
            o.case(op, "attribute_axes", [data(9)], opset=opset, axes=[1], keepdims=0)
        if op == "ReduceSum":
            o.case(op, "older", [data(9), "a"], opset=13, constants=axes, keepdims=0)
    normal = np.random.default_rng(6).normal(size=(20, 100)).astype(F32)
    o.case("ReduceSum", "long_rows", [normal, "a"], constants={"a": np.array([1], I64)}, keepdims=0)
    o.case("ReduceLogSumExp", "large", [quarters(9, 4) * 400, "a"], constants={"a": np.array([1], I64)}, keepdims=0)
    two = [TensorProto.FLOAT, TensorProto.INT64]
    k = {"k": np.array([2], I64)}
    o.batches("TopK", "largest", lambda n: [quarters(n, 6), "k"], constants=k, outputs=two)
    o.case("TopK", "smallest", [ties, "k"], constants=k, outputs=two, largest=0)
    o.case("TopK", "ties", [ties, "k"], constants={"k": np.array([3], I64)}, outputs=two)
    o.case("TopK", "all", [ties, "k"], constants={"k": np.array([4], I64)}, outputs=two)
    o.case("TopK", "one", [ties, "k"], constants={"k": np.array([1], I64)}, outputs=two)
    o.case("TopK", "axis0", [ties, "k"], constants=k, outputs=two, axis=0)
    o.case("TopK", "int64", [integers(9), "k"], constants=k, outputs=[TensorProto.INT64] * 2)
    o.case("TopK", "float64", [quarters(9, 6, dtype=F64), "k"], constants=k, outputs=[TensorProto.DOUBLE, TensorProto.INT64])
    o.case("TopK", "infinities", [np.array([[np.inf, 1, -np.inf, 2], [-np.inf, -np.inf, 0, np.inf]], F32), "k"], constants=k, outputs=two)
    o.case("TopK", "attribute_k", [ties], opset=9, k=2, outputs=two)
    o.case("TopK", "input_k", [ties, "k"], opset=10, constants=k, outputs=two)
    o.case("TopK", "older", [ties, "k"], opset=11, constants=k, outputs=two)
    for exclusive in (0, 1):
        for reverse in (0, 1):
            o.case("CumSum", f"exclusive{exclusive}_reverse{reverse}", [quarters(9, 6), "a"], constants={"a": np.array(1, I64)}, exclusive=exclusive, reverse=reverse)
    o.batches("CumSum", "axis1", lambda n: [quarters(n, 6), "a"], constants={"a": np.array(1, I64)})
    o.case("CumSum", "int64", [integers(9), "a"], opset=11, constants={"a": np.array(1, I64)})


def shapes(o: Operators) -> None:
    kinds = {"float32": floats, "int64": integers, "text": lambda n, c=6, **k: texts(n, c, **k), "bool": lambda n, c=6, **k: integers(n, c, **k) > 0}
    for name, make in kinds.items():
        o.batches("Concat", name, lambda n, make=make: [make(n), make(n, 2, seed=7), make(n, 1, seed=8)], axis=1)
        o.case("Concat", f"{name}_axis0", [make(4), make(3, seed=7)], axis=0)
        o.case("Reshape", f"{name}", [make(6), "s"], constants={"s": np.array([-1, 3], I64)})
        o.case("Transpose", f"{name}", [make(7)], perm=[1, 0])
        o.case("Gather", f"{name}_columns", [make(7), "i"], constants={"i": np.array([5, 0, -1, 0], I64)}, axis=1)
        o.case("Slice", f"{name}", [make(7), "s", "e", "a"], constants={"s": np.array([1], I64), "e": np.array([4], I64), "a": np.array([1], I64)})
        o.case("Flatten", f"{name}", [make(7)])
        o.case("Expand", f"{name}", [make(7, 1), "s"], constants={"s": np.array([1, 4], I64)})
    o.case("Concat", "minus_axis", [floats(9), floats(9, 2, seed=7)], axis=-1)
    o.case("Concat", "one", [floats(9)], axis=1)
    o.case("Concat", "float64", [floats(9, dtype=F64), floats(9, 2, dtype=F64, seed=7)], axis=1)
    o.case("Concat", "three_dimensions", [quarters(4, 3, 2), quarters(4, 3, 5)], axis=2)
    o.versions("Concat", "older", [floats(9), floats(9, 2, seed=7)], opsets=(7, 11, 13), axis=1)
    shape = lambda *s: {"s": np.array(s, I64)}  # noqa: E731
    o.batches("Reshape", "to_columns", lambda n: [floats(n), "s"], constants=shape(-1, 1))
    o.batches("Reshape", "keep_first", lambda n: [floats(n), "s"], constants=shape(0, 2, 3))
    o.case("Reshape", "flat", [floats(9), "s"], constants=shape(-1))
    o.case("Reshape", "allow_zero", [floats(0), "s"], constants=shape(0, 3), allowzero=1)
    o.versions("Reshape", "older", [floats(8), "s"], opsets=(7, 9, 13, 14, 19), constants=shape(-1, 3))
    for axis in (0, 1, 2, -1):
        o.case("Flatten", f"axis{axis}".replace("-", "minus"), [quarters(4, 3, 5)], axis=axis)
    o.batches("Flatten", "axis1", lambda n: [quarters(n, 3, 2)])
    o.versions("Flatten", "older", [quarters(4, 3, 5)], opsets=(7, 9, 11, 13))
    o.case("Transpose", "default", [quarters(4, 3, 5)])
    o.case("Transpose", "three_dimensions", [quarters(4, 3, 5)], perm=[1, 0, 2])
    o.batches("Transpose", "rows", lambda n: [floats(n)], perm=[1, 0])
    a = lambda *v: {"a": np.array(v, I64)}  # noqa: E731
    o.batches("Squeeze", "axis1", lambda n: [floats(n, 1), "a"], constants=a(1))
    o.case("Squeeze", "all", [quarters(1, 3, 1)])
    o.case("Squeeze", "minus_axis", [quarters(4, 3, 1), "a"], constants=a(-1))
    o.case("Squeeze", "attribute", [quarters(4, 1, 3)], opset=11, axes=[1])
    o.case("Squeeze", "older", [quarters(4, 1, 3), "a"], opset=13, constants=a(1))
    o.batches("Unsqueeze", "axis1", lambda n: [floats(n), "a"], constants=a(1))
    o.case("Unsqueeze", "two", [quarters(4, 3), "a"], constants=a(0, -1))
    o.case("Unsqueeze", "attribute", [quarters(4, 3)], opset=11, axes=[2])
    o.case("Unsqueeze", "older", [quarters(4, 3), "a"], opset=13, constants=a(0))
    out = [TensorProto.INT64]
    o.batches("Shape", "float32", lambda n: [floats(n)], outputs=out)
    o.case("Shape", "text", [texts(4)], outputs=out)
    o.case("Shape", "start", [quarters(4, 3, 5)], outputs=out, start=1)
    o.case("Shape", "start_end", [quarters(4, 3, 5)], outputs=out, start=-2, end=-1)
    o.case("Shape", "older", [floats(4)], opset=9, outputs=out)
    o.case("Size", "float32", [floats(4)], outputs=out)
    cuts = lambda s, e, ax=None, st=None: {"s": np.array(s, I64), "e": np.array(e, I64), **({"a": np.array(ax, I64)} if ax else {}), **({"t": np.array(st, I64)} if st else {})}  # noqa: E731
    o.batches("Slice", "columns", lambda n: [floats(n), "s", "e", "a", "t"], constants=cuts([1], [5], [1], [2]))
    o.case("Slice", "backwards", [floats(9), "s", "e", "a", "t"], constants=cuts([-1], [-100], [1], [-1]))
    o.case("Slice", "beyond", [floats(9), "s", "e", "a"], constants=cuts([2], [2**62], [1]))
    o.case("Slice", "no_axes", [floats(9), "s", "e"], constants=cuts([1, 2], [4, -1]))
    o.case("Slice", "empty", [floats(9), "s", "e", "a"], constants=cuts([4], [2], [1]))
    o.case("Slice", "attributes", [floats(9)], opset=9, starts=[0, 1], ends=[3, -1], axes=[0, 1])
    o.versions("Slice", "older", [floats(9), "s", "e", "a"], opsets=(10, 11, 13), constants=cuts([1], [3], [-1]))
    index = lambda v: {"i": np.array(v, I64)}  # noqa: E731
    o.batches("Gather", "one_column", lambda n: [floats(n), "i"], constants=index(2), axis=1)
    o.case("Gather", "rows", [floats(9), "i"], constants=index([[0, 8], [-1, 3]]))
    o.case("Gather", "int32_indices", [floats(9), "i"], constants={"i": np.array([1, 2], I32)}, axis=1)
    o.case("Gather", "table", ["t", integers(9, 2, low=0, high=4)], constants={"t": floats(4)}, outputs=[TensorProto.FLOAT])
    o.case("Gather", "text_table", ["t", integers(9, 1, low=-4, high=4)], constants={"t": np.array(["a", "b", "c", "d"], object)}, outputs=[TensorProto.STRING])
    o.versions("Gather", "older", [floats(9), "i"], opsets=(7, 11, 13), constants=index([3, 1]), axis=1)
    o.batches("GatherElements", "axis1", lambda n: [floats(n), integers(n, 3, low=0, high=6)], axis=1)
    o.case("GatherElements", "axis0", [floats(9), integers(4, 6, low=-9, high=9)])
    o.case("GatherElements", "older", [floats(9), integers(9, 2, low=-6, high=6)], opset=11, axis=1)
    three = [TensorProto.FLOAT] * 3
    o.batches("Split", "sizes", lambda n: [floats(n), "s"], constants=shape(1, 2, 3), axis=1, outputs=three)
    o.case("Split", "equal", [floats(9)], axis=1, outputs=three, num_outputs=3)
    o.case("Split", "uneven", [floats(9, 8)], axis=1, outputs=three, num_outputs=3)
    o.case("Split", "text", [texts(9), "s"], constants=shape(1, 1, 1), axis=1, outputs=[TensorProto.STRING] * 3)
    o.case("Split", "attribute", [floats(9)], opset=11, axis=1, split=[1, 2, 3], outputs=three)
    o.case("Split", "attribute_equal", [floats(9)], opset=7, axis=-1, outputs=three)
    o.case("Split", "input", [floats(9), "s"], opset=13, constants=shape(1, 2, 3), axis=1, outputs=three)
    o.batches("Expand", "rows", lambda n: [floats(n, 1), "s"], constants=shape(1, 3))
    o.case("Expand", "new_axis", [floats(3), "s"], constants=shape(2, 1, 1))
    o.case("Expand", "older", [floats(3, 1), "s"], opset=9, constants=shape(3, 4), by_row=False)
    o.case("Tile", "both", [floats(3), "s"], constants=shape(2, 3))
    o.case("Tile", "text", [texts(3), "s"], constants=shape(1, 2))
    o.case("Tile", "older", [floats(3), "s"], opset=9, constants=shape(1, 2))
    filled = lambda value: numpy_helper.from_array(np.array([value]), "value")  # noqa: E731
    o.case("ConstantOfShape", "default", [np.array([3, 4], I64)], outputs=[TensorProto.FLOAT])
    for dtype, value in ((F32, 1.5), (I64, 7), (F64, -2.5), (np.bool_, True)):
        o.case("ConstantOfShape", np.dtype(dtype).name, [np.array([3, 4], I64)], outputs=[ELEMENT[np.dtype(dtype)]], value=filled(dtype(value)))
    o.case("ConstantOfShape", "empty", [np.array([0, 4], I64)], outputs=[TensorProto.FLOAT])
    o.case("ConstantOfShape", "older", [np.array([3], I64)], opset=9, outputs=[TensorProto.FLOAT])
    o.case("OneHot", "float32", [integers(9, 1, low=-3, high=4), "d", "v"], constants={"d": np.array(4, I64), "v": np.array([0, 1], F32)}, outputs=[TensorProto.FLOAT])
    o.case("OneHot", "axis0", [integers(9, 1, low=0, high=4)[:, 0], "d", "v"], constants={"d": np.array(4, I64), "v": np.array([-1, 2], I64)}, axis=0)
    o.case("Compress", "columns", [floats(9), "c"], constants={"c": np.array([True, False, True, False, False, True])}, axis=1)
    o.case("Trilu", "upper", [quarters(4, 4)])
    o.case("GatherND", "pairs", [floats(9), "i"], constants={"i": np.array([[0, 1], [8, 5]], I64)})


def constants(o: Operators) -> None:
    """Constant in each of its forms, added to or compared with the input so that there is one."""
    x = quarters(5, 3)

    def attempt(what, consumer, fed, kind, opset=NEWEST, **attributes):
        def build():
            nodes = [helper.make_node("Constant", [], ["c"], **attributes), helper.make_node(consumer, ["x", "c"], ["y"])]
            return model_of(nodes, {"x": fed}, [("y", kind)], 0, opset), {"x": fed}

        o.writer.attempt(f"constant_{what}", "Constant", build)

    for opset in (7, 11, 13, NEWEST):
        attempt(f"tensor_opset{opset}", "Add", x, TensorProto.FLOAT, opset, value=numpy_helper.from_array(quarters(3), "value"))
    attempt("float", "Add", x, TensorProto.FLOAT, value_float=1.5)
    attempt("floats", "Add", x, TensorProto.FLOAT, value_floats=[1.5, 2.5, -1.0])
    attempt("int", "Add", integers(5, 3), TensorProto.INT64, value_int=7)
    attempt("ints", "Add", integers(5, 3), TensorProto.INT64, value_ints=[7, 8, 9])
    attempt("string", "Equal", texts(9), TensorProto.BOOL, value_string="a")
    attempt("strings", "Equal", texts(9), TensorProto.BOOL, value_strings=["a", "b", ""])

    def typed_data():
        """Initializers by their typed fields and not as raw bytes."""
        node = helper.make_node("Add", ["x", "c"], ["y"])
        model = model_of([node], {"x": x}, [("y", TensorProto.FLOAT)], 0)
        model.graph.initializer.append(helper.make_tensor("c", TensorProto.FLOAT, [3], [0.5, 1.5, -2.0]))
        return model, {"x": x}

    o.writer.attempt("constant_initializer_float_data", "Constant", typed_data)

    def both_initializer_and_input():
        """Older files list initializers among the inputs, as default values."""
        model, feeds = typed_data()
        model.graph.input.append(helper.make_tensor_value_info("c", TensorProto.FLOAT, [3]))
        return model, feeds

    o.writer.attempt("constant_initializer_also_input", "Constant", both_initializer_and_input)

    def sequence():
        node = helper.make_node("SequenceConstruct", ["a", "b"], ["y"])
        feeds = {"a": floats(4), "b": floats(4, 2, seed=7)}
        model = model_of([node], feeds, [("y", TensorProto.FLOAT)], 0)
        kind = helper.make_tensor_sequence_value_info("y", TensorProto.FLOAT, None)
        model.graph.output[0].CopyFrom(kind)
        return model, feeds

    o.writer.attempt("sequence_construct", "SequenceConstruct", sequence)


def main() -> int:
    if len(sys.argv) < 2:
        print(__doc__)
        return 2
    writer = Writer(sys.argv[1])
    o = Operators(writer)
    for group in (unary, binary, where_and_clip, cast, algebra, reductions, shapes, constants, rare_operators):
        group(o)
    ml_operators(writer)
    writer.finish()
    return 0


if __name__ == "__main__":
    sys.exit(main())
