"""Operators, types and corners that converters emit seldom or never, but the engine accepts.

`o` is the `Operators` of operators.py, which runs these with the rest.
"""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

F32, F64, F16, I64, I32 = np.float32, np.float64, np.float16, np.int64, np.int32
NARROW = (np.int8, np.uint8, np.int16, np.uint16, np.uint32, np.uint64)
SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-45, 3.4e38, -3.4e38, 1.0, -1.0, 0.5, -2.5, 1.5, 2.5, 88.5, -88.5], F32)


def kind(dtype) -> int:
    names = {np.dtype(object): TensorProto.STRING, np.dtype(F32): TensorProto.FLOAT, np.dtype(F64): TensorProto.DOUBLE, np.dtype(F16): TensorProto.FLOAT16}
    return names.get(np.dtype(dtype)) or TensorProto.DataType.Value(np.dtype(dtype).name.upper())


def whole(rows: int, columns: int = 6, dtype=I64, low: int = 0, high: int = 10, seed: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).integers(low, high, (rows, columns)).astype(dtype)


def quarters(*shape, dtype=F32, seed: int = 3) -> np.ndarray:
    return (np.random.default_rng(seed).integers(-8, 9, shape) / 4).astype(dtype)


def vector(*values, dtype=I64) -> np.ndarray:
    return np.array(values, dtype)


def narrow_types(o) -> None:
    for dtype in NARROW:
        name = np.dtype(dtype).name
        x, y = whole(9, dtype=dtype, high=120), whole(9, dtype=dtype, low=1, high=120, seed=5)
        for op in ("Add", "Sub", "Mul", "Div", "Mod"):
            o.case(op, name, [x, y], outputs=[kind(dtype)])
        wide, byte = np.dtype(dtype).itemsize >= 4, np.dtype(dtype).itemsize == 1
        for op in ("Min", "Max") if wide or byte else ():
            o.case(op, name, [x, y, y[::-1].copy()], outputs=[kind(dtype)])
        for op in ("Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"):
            o.case(op, name, [x, x[::-1].copy()], outputs=[TensorProto.BOOL])
        signed = np.dtype(dtype).kind == "i"
        for op in ("Abs", "Sign", *(("Neg",) if signed else ()), *(("Relu",) if dtype is np.int8 else ())):
            o.case(op, name, [(x - 60 if signed else x).astype(dtype)], outputs=[kind(dtype)])
        if wide or byte:
            o.case("Clip", name, [x, "lo", "hi"], constants={"lo": np.array(20, dtype), "hi": np.array(70, dtype)}, outputs=[kind(dtype)])
        if dtype in (np.uint8, np.uint32):
            o.case("Where", name, [x > 50, x, y], outputs=[kind(dtype)])
        for op in ("ArgMax", "ArgMin") if byte else ():
            o.case(op, name, [x], axis=1, outputs=[TensorProto.INT64])
        if byte or dtype is np.int16:
            o.case("TopK", name, [x, "k"], constants={"k": vector(3)}, outputs=[kind(dtype), TensorProto.INT64])
        for op in ("ReduceMax", "ReduceMin") if byte else ():
            o.case(op, name, [x, "a"], constants={"a": vector(1)}, outputs=[kind(dtype)])
        if wide:
            o.case("MatMul", name, [x % 4, "w"], constants={"w": whole(6, 3, dtype=dtype, high=5)}, outputs=[kind(dtype)])
    for dtype in (*NARROW, F16, np.bool_):
        name = f"type_{np.dtype(dtype).name}"
        x = whole(5, dtype=dtype, high=2 if dtype is np.bool_ else 100)
        out = [kind(dtype)]
        o.case("Concat", name, [x, x], axis=1, outputs=out)
        o.case("Transpose", name, [x], outputs=out)
        o.case("Slice", name, [x, "s", "e", "a", "t"], constants={"s": vector(5), "e": vector(0), "a": vector(1), "t": vector(-2)}, outputs=out)
        o.case("Gather", name, [x, "i"], constants={"i": vector(4, 0)}, axis=1, outputs=out)
        o.case("GatherElements", name, [x, "i"], constants={"i": np.array([[1], [0], [5], [-1], [2]], I64)}, axis=1, outputs=out)
        o.case("Expand", name, [x[:, :1], "s"], constants={"s": vector(1, 3)}, outputs=out)
        o.case("Tile", name, [x, "s"], constants={"s": vector(2, 1)}, outputs=out)
        o.case("Reshape", name, [x, "s"], constants={"s": vector(-1, 2)}, outputs=out)
        o.case("Split", name, [x], axis=1, num_outputs=2, outputs=out * 2)
        if dtype not in (np.int16, np.uint16):
            o.case("Pad", name, [x, "p"], constants={"p": vector(0, 1, 0, 2)}, outputs=out)


def casts(o) -> None:
    """Between all types, and what no whole number equals, one element a tensor so that no vector instruction differs."""
    types = (F32, F64, F16, I64, I32, *NARROW, np.bool_, object)
    for source in types:
        if source is object:
            x = np.array([["0"], ["1"], ["12"], ["-3"], ["100"]], object)
        else:
            x = np.array([[0], [1], [2], [100], [127]]).astype(source)
        for target in types:
            if source is not target:
                o.case("Cast", f"{np.dtype(source).name}_{np.dtype(target).name}_all", [x], to=kind(target), outputs=[kind(target)])
    for source in (F32, F64):
        for target in (I64, I32, np.int16, np.int8, np.uint8, np.uint16, np.uint32, np.uint64):
            for value in (np.nan, np.inf, -np.inf, 3e9, -3e9, 1e19, -1e19, 300.5, -300.5, -1.0):
                what = f"{np.dtype(source).name}_{value}_to_{np.dtype(target).name}"
                o.case("Cast", what, [np.array([[value]], source)], to=kind(target), outputs=[kind(target)])
    o.case("CastLike", "to_text", [quarters(5, 3), "t"], constants={"t": np.array(["a"], object)}, outputs=[TensorProto.STRING])
    o.batches("CastLike", "to_int64", lambda n: [quarters(n, 3), "t"], constants={"t": vector(1)}, outputs=[TensorProto.INT64])
    o.case("CastLike", "to_float64", [quarters(5, 3), "t"], opset=15, constants={"t": np.array([1.0])}, outputs=[TensorProto.DOUBLE])


def functions(o) -> None:
    wave = lambda n: [(np.random.default_rng(1).normal(size=(n, 6)) * 3).astype(F32)]  # noqa: E731
    for op in ("Sin", "Cos", "Softsign", "Selu", "Elu", "LeakyRelu", "HardSigmoid", "ThresholdedRelu"):
        o.batches(op, "float32", wave)
        o.case(op, "special", [np.repeat(SPECIAL[:, None], 2, 1)])
        o.case(op, "older", wave(20), opset=10 if op == "ThresholdedRelu" else 7)
    for op in ("Sin", "Cos"):
        o.case(op, "float64", [wave(20)[0].astype(F64)])
    o.case("Selu", "attributes", wave(20), alpha=2.0, gamma=0.5)
    o.case("ThresholdedRelu", "attributes", wave(20), alpha=-0.5)
    o.case("HardSigmoid", "attributes", wave(20), alpha=0.5, beta=0.25)
    slope = {"s": quarters(6, seed=7)}
    o.batches("PRelu", "row", lambda n: [quarters(n, 6), "s"], constants=slope)
    o.case("PRelu", "scalar", [np.repeat(SPECIAL[:, None], 2, 1), "s"], constants={"s": np.array([0.5], F32)})
    for opset in (7, 9, 13):
        o.case("PRelu", "older", [quarters(9, 6), "s"], opset=opset, constants=slope)
    for op, first in (("Mod", 10),):
        x = np.array([5.5, -5.5, 0.0, -0.0, np.inf, -np.inf, np.nan, 3, 7, -7], F32)
        y = np.array([2, 2, 3, 3, 2, 2, 2, np.inf, 0, -np.inf], F32)
        o.case(op, "special_fmod1", [x[:, None], y[:, None]], fmod=1)
        o.case(op, "special_fmod0", [x[:, None], y[:, None]])
        o.case(op, "older_fmod1", [quarters(9, 6), "c"], opset=first, constants={"c": np.array([0.75], F32)}, fmod=1)
        o.case(op, "signs", [whole(20, low=-9, dtype=I32), "c"], opset=13, constants={"c": np.array([-4], I32)})
        o.batches(op, "int64", lambda n: [whole(n, low=-9), "c"], constants={"c": vector(3)})
    out = [TensorProto.FLOAT, TensorProto.BOOL]
    for opset in (7, 10, 12, 13, 22):
        o.case("Dropout", "mask", [quarters(9, 6)], opset=opset, outputs=[TensorProto.FLOAT] * 2 if opset < 10 else out)
    o.batches("Dropout", "plain", lambda n: [quarters(n, 6)])
    o.case("Dropout", "float64", [quarters(9, 6, dtype=F64)])
    for value in (2, 3, 0.5, -1, 0):
        o.case("Pow", f"special_{value}", [np.repeat(SPECIAL[:, None], 2, 1), "c"], constants={"c": np.array(value, F32)})
    o.case("Pow", "int32_by_column", [whole(9, dtype=I32), whole(9, 1, dtype=I32, high=4)])
    o.case("Pow", "int64_negative", [whole(9, low=1), "c"], constants={"c": vector(-1)})
    o.case("Pow", "int64_by_float32", [whole(9, low=1), "c"], constants={"c": np.array([0.5, 1, 2, 2.5, 3, 0], F32)})


def moves(o) -> None:
    pads = lambda *v: {"p": vector(*v)}  # noqa: E731
    for name, x in {"float32": quarters(5, 3), "float64": quarters(5, 3, dtype=F64), "int64": whole(5, 3), "int32": whole(5, 3, dtype=I32)}.items():
        o.case("Pad", f"{name}_value", [x, "p", "v"], constants={**pads(0, 1, 0, 2), "v": np.array(7, x.dtype)}, outputs=[kind(x.dtype)])
    o.batches("Pad", "columns", lambda n: [quarters(n, 3), "p"], constants=pads(0, 1, 0, 1))
    o.case("Pad", "cut", [quarters(5, 4), "p"], constants=pads(-1, 1, 0, -2))
    o.case("Pad", "axes", [quarters(5, 4, 2), "p", None, "a"], constants={**pads(1, 2), "a": vector(-2)})
    o.case("Pad", "attributes", [quarters(5, 3)], opset=7, pads=[0, 1, 0, 2], value=1.5)
    for opset in (11, 13, 18):
        o.case("Pad", "older", [quarters(5, 3), "p"], opset=opset, constants=pads(0, 1, 0, 2))
    for name, dtype, values in (("int64", I64, (2, 11, 3)), ("back", I64, (5, 0, -2)), ("empty", I64, (5, 0, 1)), ("float32", F32, (0, 1, 0.1)), ("float64", F64, (0, 1, 0.3)), ("int32", I32, (0, 7, 2)), ("int16", np.int16, (0, 7, 2))):
        o.case("Range", name, [np.array(values[0], dtype), "l", "t"], constants={"l": np.array(values[1], dtype), "t": np.array(values[2], dtype)}, outputs=[kind(dtype)])
    o.case("Range", "older", [np.array(0, I64), "l", "t"], opset=11, constants={"l": np.array(5, I64), "t": np.array(1, I64)}, outputs=[TensorProto.INT64])
    out = [TensorProto.INT64]
    o.case("NonZero", "float32", [np.repeat(SPECIAL[:, None], 2, 1)], outputs=out, by_row=False)
    o.case("NonZero", "bool", [whole(9, 4, high=2) > 0], outputs=out, by_row=False)
    o.case("NonZero", "int64", [whole(4, 3, high=2).reshape(2, 2, 3)], outputs=out, by_row=False)
    o.case("NonZero", "nothing", [np.zeros((3, 2), I32)], outputs=out, by_row=False)
    o.case("NonZero", "older", [quarters(9, 4)], opset=9, outputs=out, by_row=False)
    chosen = {"c": np.array([False, True, True, False, True])}
    o.case("Compress", "elements", [quarters(5, 3), "c"], constants=chosen, by_row=False)
    o.case("Compress", "rows", [quarters(5, 3), "c"], constants=chosen, axis=0, by_row=False)
    o.case("Compress", "short_condition", [quarters(5, 6), "c"], constants=chosen, axis=-1)
    o.case("Compress", "text", [np.array([["a", "b", "c"]] * 4, object), "c"], constants={"c": np.array([True, False, True])}, axis=1, outputs=[TensorProto.STRING])
    o.case("Compress", "older", [quarters(5, 3), "c"], opset=9, constants=chosen, axis=0, by_row=False)
    o.batches("Compress", "columns", lambda n: [quarters(n, 5), "c"], constants=chosen, axis=1)
    for upper in (0, 1):
        for k in (-9, -1, 0, 1, 9):
            o.case("Trilu", f"upper{upper}_k{k}".replace("-", "minus"), [quarters(2, 4, 3), "k"], constants={"k": np.array(k, I64)}, upper=upper)
    o.case("Trilu", "int64", [whole(3, 3)], opset=14, outputs=out, upper=0, by_row=False)
    depth = {"d": np.array(4, I64), "v": np.array([0, 1], F32)}
    o.batches("OneHot", "column", lambda n: [whole(n, 2, low=-5, high=6), "d", "v"], constants=depth, outputs=[TensorProto.FLOAT])
    for axis in (0, 1, -2):
        o.case("OneHot", f"axis_{axis}".replace("-", "minus"), [whole(3, 2, low=-5, high=6), "d", "v"], constants=depth, outputs=[TensorProto.FLOAT], axis=axis, by_row=False)
    o.case("OneHot", "float32_indices", [whole(9, 2, dtype=F32, high=4), "d", "v"], constants={"d": np.array(4, F32), "v": depth["v"]}, outputs=[TensorProto.FLOAT])
    o.case("OneHot", "text", [whole(9, 2, high=4), "d", "v"], constants={"d": np.array(4, I64), "v": np.array(["no", "yes"], object)}, outputs=[TensorProto.STRING])
    o.case("OneHot", "older", [whole(9, 2, high=4), "d", "v"], opset=9, constants=depth, outputs=[TensorProto.FLOAT])
    index = lambda *v: {"i": np.array(v, I64)}  # noqa: E731
    cube = quarters(4, 3, 5)
    o.case("GatherND", "slices", [cube, "i"], constants=index([0, 1], [3, -1]), by_row=False)
    o.case("GatherND", "elements", [cube, "i"], constants=index([[0, 1, 2]], [[3, 2, 4]]), by_row=False)
    o.batches("GatherND", "batch", lambda n: [quarters(n, 6), whole(n, 1, high=6)], batch_dims=1)
    o.case("GatherND", "older", [quarters(4, 3), "i"], opset=11, constants=index([0, 1]), by_row=False)
    o.case("GatherND", "text", [np.array([["a", "b"], ["c", "d"]], object), "i"], constants=index([1, 0]), outputs=[TensorProto.STRING], by_row=False)
    o.case("Gather", "scalar", [cube, "i"], constants={"i": np.array(-1, I64)}, axis=2)
    o.case("Gather", "middle", [cube, "i"], constants=index([[0, 2], [1, 1]]), axis=1)
    o.case("GatherElements", "three_dimensions", [cube, "i"], constants={"i": whole(12, 1, low=-3, high=3).reshape(4, 3, 1)}, axis=1)
    o.case("Transpose", "four_dimensions", [quarters(2, 3, 4, 5)], perm=[2, 0, 3, 1], by_row=False)
    o.case("Concat", "empty", [quarters(4, 0), quarters(4, 2)], axis=1)
    o.case("Slice", "two_axes_backwards", [cube, "s", "e", "a", "t"], constants={"s": vector(-1, 4), "e": vector(-100, 0), "a": vector(0, 2), "t": vector(-2, -3)}, by_row=False)
    o.case("Slice", "int32", [cube, "s", "e"], constants={"s": vector(1, dtype=I32), "e": vector(3, dtype=I32)}, by_row=False)
    o.case("Expand", "larger_input", [cube, "s"], constants={"s": vector(3, 1)}, by_row=False)
    o.case("Tile", "three_dimensions", [cube, "s"], constants={"s": vector(1, 2, 3)}, by_row=False)
    o.batches("Tile", "columns", lambda n: [quarters(n, 3), "s"], constants={"s": vector(1, 2)})
    o.batches("Size", "float32", lambda n: [quarters(n, 3)], outputs=out, by_row=False)
    o.case("Size", "older", [quarters(4, 3)], opset=7, outputs=out, by_row=False)


def sums(o) -> None:
    cube = quarters(4, 3, 5)
    for op in ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceSumSquare", "ReduceL1", "ReduceL2", "ReduceLogSumExp", "ReduceLogSum"):
        data = np.abs(cube) + F32(0.25)
        for axes in ([0], [1], [2], [0, 1], [1, 2], [0, 2], [-1, -2, -3]):
            name = "axes_" + "_".join(str(a).replace("-", "minus") for a in axes)
            o.case(op, name, [data, "a"], constants={"a": vector(*axes)}, keepdims=0, by_row=False)
        o.case(op, "no_elements", [np.zeros((3, 0), F32), "a"], constants={"a": vector(1)}, keepdims=0)
        o.case(op, "no_rows", [np.zeros((0, 3), F32), "a"], constants={"a": vector(1)})
        for dtype in (I64, I32) if "Log" not in op else ():
            o.case(op, f"{np.dtype(dtype).name}_rows", [whole(9, 4, dtype=dtype, low=1, high=6), "a"], constants={"a": vector(1)}, keepdims=0)
    o.case("ReduceMax", "bool", [whole(9, 4, high=2) > 0, "a"], constants={"a": vector(1)})
    o.case("ReduceMin", "bool", [whole(9, 4, high=2) > 0, "a"], constants={"a": vector(1)})
    both = [TensorProto.FLOAT, TensorProto.INT64]
    nan = np.array([[1, np.nan, 3, -np.inf], [np.nan, 5, np.nan, 1], [np.inf, 1, np.nan, 2]], F32)
    for largest in (0, 1):
        for k in (1, 2, 3, 4):
            o.case("TopK", f"nan_{k}_largest{largest}", [nan, "k"], constants={"k": vector(k)}, largest=largest, outputs=both)
        o.case("TopK", f"many_largest{largest}", [quarters(7, 100), "k"], constants={"k": vector(40)}, largest=largest, outputs=both)
    for dtype in (I32, F64):
        o.case("TopK", f"{np.dtype(dtype).name}_smallest", [whole(9, dtype=dtype), "k"], constants={"k": vector(4)}, largest=0, outputs=[kind(dtype), TensorProto.INT64])
    o.case("TopK", "zero", [nan, "k"], constants={"k": vector(0)}, outputs=both)
    for dtype in (F64, I32):
        o.case("CumSum", f"{np.dtype(dtype).name}_axis0", [quarters(6, 3, dtype=F64).astype(dtype), "a"], constants={"a": np.array(0, I32)}, by_row=False)
    o.case("CumSum", "special", [np.repeat(SPECIAL[:, None], 2, 1), "a"], constants={"a": np.array(-1, I64)})
    for equation, shapes in (("ij,ij->j", [(4, 3), (4, 3)]), ("ij->i", [(4, 3)]), ("ij->ji", [(4, 3)]), ("ii->i", [(3, 3)]), ("ij,kj->ik", [(4, 3), (2, 3)]), ("bij,bjk->bik", [(2, 3, 4), (2, 4, 2)]), ("i,j->ij", [(3,), (4,)]), ("ij,jk", [(4, 3), (3, 2)]), ("ij->", [(4, 3)])):
        o.case("Einsum", "equation_" + equation.replace(",", "_").replace("->", "_to_"), [quarters(*s, seed=i) for i, s in enumerate(shapes)], equation=equation, by_row=False)
    for dtype in (F64, I64, I32):
        o.case("Einsum", np.dtype(dtype).name, [quarters(4, 3, dtype=dtype), quarters(3, 2, dtype=dtype, seed=8)], opset=12, equation="ij,jk->ik", by_row=False)
    for op in ("Softmax", "LogSoftmax"):
        o.case(op, "one_column", [quarters(9, 1)])
        o.case(op, "coerced_all", [quarters(4, 3)], opset=11, axis=0, by_row=False)
    o.case("MatMul", "left_broadcast", [quarters(2, 3), "w"], constants={"w": quarters(4, 3, 2)}, by_row=False)
    o.case("MatMul", "both_broadcast", [quarters(4, 1, 2, 3), "w"], constants={"w": quarters(5, 3, 2)}, by_row=False)
    o.case("MatMul", "vectors", [quarters(6), "w"], constants={"w": quarters(6, seed=8)}, by_row=False)
    o.case("Gemm", "float64_alpha", [quarters(9, 6, dtype=F64), "w", "c"], constants={"w": quarters(4, 6, dtype=F64), "c": quarters(4, dtype=F64)}, transB=1, alpha=-2.0, beta=0.5)
    o.case("Gemm", "beta_zero", [quarters(9, 6), "w", "c"], constants={"w": quarters(6, 4), "c": np.full(4, np.nan, F32)}, beta=0.0)


def distances(o) -> None:
    """CDist of the domain com.microsoft, which skl2onnx emits for nearest neighbours when asked to."""
    for dtype in (F32, F64):
        for metric in ("sqeuclidean", "euclidean"):
            o.batches("CDist", f"{np.dtype(dtype).name}_{metric}", lambda n, dtype=dtype: [quarters(n, 3, dtype=dtype), "b"], constants={"b": quarters(7, 3, dtype=dtype, seed=9)}, domain="com.microsoft", metric=metric)
        for columns in (1, 4, 7, 16, 30):
            normal = np.random.default_rng(columns).normal(size=(60, columns)).astype(dtype) * 3 + 5
            o.case("CDist", f"{np.dtype(dtype).name}_columns{columns}", [normal[:20].astype(dtype), "b"], constants={"b": normal[20:].astype(dtype)}, domain="com.microsoft", metric="sqeuclidean")


def special_values(o) -> None:
    """NaN and infinities through what only moves them, and through sums with at most one of them a row."""
    x = np.repeat(SPECIAL[:, None], 3, 1)
    to = lambda **more: {"constants": more}  # noqa: E731
    o.case("CastLike", "special", [x, "t"], **to(t=np.array([1.0])), outputs=[TensorProto.DOUBLE])
    o.case("Compress", "special", [x, "c"], **to(c=np.array([True, False, True])), axis=1)
    o.case("Flatten", "special", [x])
    o.case("GatherND", "special", [x, "i"], **to(i=np.array([[0, 1], [1, 2], [2, 0], [-1, 0]], I64)), by_row=False)
    o.case("Dropout", "special", [x])
    o.case("OneHot", "special", [whole(9, 1, high=4), "d", "v"], **to(d=np.array(4, I64), v=np.array([-np.inf, np.nan], F32)), outputs=[TensorProto.FLOAT])
    o.case("Pad", "special", [x, "p", "v"], **to(p=vector(0, 1, 0, 0), v=np.array(np.inf, F32)))
    o.case("Tile", "special", [x, "s"], **to(s=vector(1, 2)))
    o.case("Trilu", "special", [SPECIAL.reshape(4, 4)], by_row=False)
    o.case("Trilu", "special_matrices", [np.stack([SPECIAL[:4].reshape(2, 2)] * 3)])
    for rows in (0, 1, 1000):
        o.case("Trilu", f"rows{rows}", [quarters(rows, 2, 3)], upper=0)
        o.case("NonZero", f"rows{rows}", [quarters(rows, 2)], outputs=[TensorProto.INT64], by_row=False)
        o.case("Einsum", f"rows{rows}", [quarters(rows, 3), "w"], **to(w=quarters(3, 2, seed=8)), equation="ij,jk->ik")
        o.case("ConstantOfShape", f"rows{rows}", [vector(rows, 2)], outputs=[TensorProto.FLOAT])
    odd = quarters(12, 4) + F32(3)
    for row, value in enumerate((np.nan, np.inf, -np.inf)):
        odd[row, row] = value
    for op in ("ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare", "ReduceSum", "ReduceMean", "ReduceL1", "ReduceProd"):
        o.case(op, "one_special_a_row", [odd, "a"], **to(a=vector(1)), keepdims=0)
        o.case(op, "one_special_a_row_float64", [odd.astype(F64), "a"], **to(a=vector(1)), keepdims=0)
    o.case("Einsum", "special", [odd, "w"], **to(w=quarters(4, 2, seed=8) + F32(5)), equation="ij,jk->ik")
    o.case("CDist", "special", [odd, "b"], **to(b=quarters(5, 4, seed=9)), domain="com.microsoft", metric="sqeuclidean")


def scattering(o) -> None:
    """ScatterElements and ScatterND, borders of every mode, and parts whose sizes are an input."""
    index = lambda n: np.random.default_rng(7).permuted(np.tile(np.arange(-3, 3), (n, 1)), axis=1)[:, :3].astype(I64)  # noqa: E731
    o.batches("ScatterElements", "columns", lambda n: [quarters(n, 6), index(n), quarters(n, 3, seed=9)], axis=1)
    for reduction in ("none", "add", "mul", "min", "max"):
        for dtype in (F32, F64, I64, I32):
            name = f"{reduction}_{np.dtype(dtype).name}"
            data = [quarters(4, 5, dtype=F64).astype(dtype), "i", quarters(3, 5, dtype=F64, seed=8).astype(dtype)]
            o.case("ScatterElements", name, data, constants={"i": whole(3, 5, high=4)[:, :5]}, reduction=reduction, by_row=False)
            slices = [data[0], "i", quarters(3, 5, dtype=F64, seed=8).astype(dtype)]
            o.case("ScatterND", name, slices, constants={"i": np.array([[3], [0], [3]], I64)}, reduction=reduction, by_row=False)
    text = np.array([["a", "b"], ["c", "d"]], object)
    o.case("ScatterElements", "text", [text, "i", text[::-1].copy()], constants={"i": np.array([[1, 0], [0, 1]], I64)}, outputs=[TensorProto.STRING], by_row=False)
    o.case("ScatterND", "elements", [quarters(4, 3), "i", quarters(2)], constants={"i": np.array([[0, 1], [-1, -2]], I64)}, by_row=False)
    for opset in (11, 13, 16):
        o.case("ScatterElements", "older", [quarters(4, 3), "i", quarters(2, 3)], opset=opset, constants={"i": np.array([[0, 1, 2], [3, 0, 1]], I64)}, by_row=False)
        o.case("ScatterND", "older", [quarters(4, 3), "i", quarters(1, 3)], opset=opset, constants={"i": np.array([[2]], I64)}, by_row=False)
    for mode in ("edge", "reflect", "wrap"):
        for name, amounts in (("columns", (0, 2, 0, 3)), ("rows", (1, 0, 2, 0)), ("both", (2, 1, 1, 2)), ("cut", (0, -1, 0, 2))):
            o.case("Pad", f"{mode}_{name}", [quarters(5, 4), "p"], constants={"p": vector(*amounts)}, mode=mode, by_row=False)
    o.batches("Pad", "edge", lambda n: [quarters(n, 3), "p"], constants={"p": vector(0, 1, 0, 1)}, mode="edge")
    o.case("Pad", "edge_older", [quarters(5, 3)], opset=7, pads=[0, 1, 0, 2], mode="edge")
    out = [TensorProto.FLOAT] * 2
    o.case("Split", "sizes_given", [quarters(5, 6), vector(2, 4)], axis=1, outputs=out, by_row=False)
    o.case("Split", "sizes_with_zero", [quarters(5, 6), vector(6, 0)], axis=1, outputs=out, by_row=False)
    for k in (-2, 0, 3):
        o.case("EyeLike", f"k_{k}".replace("-", "minus"), [quarters(4, 6)], k=k, by_row=False)
    o.case("EyeLike", "int64", [quarters(4, 4)], dtype=TensorProto.INT64, outputs=[TensorProto.INT64], by_row=False)
    for power in (1, 2):
        o.batches("LpNormalization", f"p{power}", lambda n: [quarters(n, 6)], p=power)  # noqa: B023
        o.case("LpNormalization", f"p{power}_axis0", [quarters(5, 3, dtype=F64)], axis=0, p=power, by_row=False)
    for equation, shapes in (("...ij,...jk->...ik", [(2, 3, 4), (2, 4, 2)]), ("...ij,jk", [(2, 3, 4), (4, 2)]), ("i...->...", [(3, 4)]), ("...,...->...", [(3, 1), (1, 4)])):
        name = "ellipsis_" + equation.replace(",", "_").replace("->", "_to_").replace("...", "x")
        o.case("Einsum", name, [quarters(*shape, seed=i) for i, shape in enumerate(shapes)], equation=equation, by_row=False)


def rare_operators(o) -> None:
    for group in (narrow_types, casts, functions, moves, sums, distances, scattering, special_values):
        group(o)
