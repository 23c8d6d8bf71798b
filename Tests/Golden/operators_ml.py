"""The operators of ai.onnx.ml by themselves, except trees and linear models (zoo_handmade.py)."""

from __future__ import annotations

import itertools

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from golden import Writer
from zoo_handmade import ELEMENT, ML, model_of

F32, F64, I64, I32 = np.float32, np.float64, np.int64, np.int32
KIND = {"strings": object, "int64s": I64, "floats": F32}


class Cases:
    def __init__(self, writer: Writer):
        self.writer = writer

    def case(self, op: str, what: str, inputs: list, outputs: list | None = None, ml: int = 1, constants: dict | None = None, by_row: bool = True, **attributes):
        def build():
            names = [v if isinstance(v, str) else f"x{i}" for i, v in enumerate(inputs)]
            feeds = {n: v for n, v in zip(names, inputs) if not isinstance(v, str)}
            results = [f"y{i}" for i in range(len(outputs or [0]))]
            kinds = outputs or [TensorProto.FLOAT]
            node = helper.make_node(op, names, results, domain=ML, **attributes)
            return model_of([node], feeds, list(zip(results, kinds)), ml, 17, constants), feeds

        self.writer.attempt(f"{op.lower()}_{what}", op, build, by_row)


def numbers(rows: int, dtype=F32, columns: int = 4) -> np.ndarray:
    generator = np.random.default_rng(1)
    if np.dtype(dtype).kind != "f":
        return generator.integers(-5, 6, (rows, columns)).astype(dtype)
    x = (generator.normal(size=(rows, columns)) * 3).astype(dtype)
    if rows > 1:
        odd = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-45, 3e38, 1.0, 2.0], dtype)
        x = np.where(generator.random(x.shape) < 0.25, generator.choice(odd, x.shape), x).astype(dtype)
    return x


ROWS = (0, 1, 17, 1000)
TYPES = (F32, F64, I64, I32)


def scaling(c: Cases) -> None:
    for dtype in TYPES:
        name = np.dtype(dtype).name
        for rows in ROWS if dtype is F32 else (17,):
            x = numbers(rows, dtype)
            c.case("Scaler", f"{name}_rows{rows}", [x], offset=[0.5, -1.25, 0.1, 3.0], scale=[1.0, 0.333, -2.0, 0.0])
            c.case("Scaler", f"{name}_one_value_rows{rows}", [x], offset=[0.1], scale=[1.7])
            finite = np.where(np.isfinite(x) & (np.abs(x) < 1e30), x, 1).astype(dtype)
            for norm in ("MAX", "L1", "L2"):
                c.case("Normalizer", f"{norm.lower()}_{name}_rows{rows}", [finite], norm=norm)
            no_nan = np.where(np.isnan(x), 0.5, x).astype(dtype)  # ONNX Runtime ends the call at a NaN
            c.case("Binarizer", f"{name}_rows{rows}", [no_nan], outputs=[ELEMENT[x.dtype]], threshold=0.5)
    rows = np.array([[0, 0, 0], [-1, -2, -3], [-5, 2, 1], [1e-30, 0, 0], [3, 4, 0], [1e20, 1e20, 1]], F32)
    for norm in ("MAX", "L1", "L2"):
        c.case("Normalizer", f"{norm.lower()}_corners", [rows], norm=norm)
        c.case("Normalizer", f"{norm.lower()}_vector", [rows[2]], by_row=False, norm=norm)
    c.case("Normalizer", "default", [rows])
    c.case("Scaler", "vector", [rows[2]], offset=[0.5, -1.25, 0.1], scale=[1.0, 0.333, -2.0])
    c.case("Binarizer", "default", [np.nan_to_num(numbers(17))])


def imputing(c: Cases) -> None:
    for rows in ROWS:
        c.case("Imputer", f"nan_rows{rows}", [numbers(rows)], imputed_value_floats=[0.5, -1.0, 100.0, float("inf")], replaced_value_float=float("nan"))
    c.case("Imputer", "one_value", [numbers(17)], imputed_value_floats=[-7.0], replaced_value_float=float("nan"))
    c.case("Imputer", "number", [numbers(17)], imputed_value_floats=[-7.0], replaced_value_float=2.0)
    c.case("Imputer", "zero_and_minus_zero", [numbers(17)], imputed_value_floats=[-7.0], replaced_value_float=0.0)
    c.case("Imputer", "default_replaced", [numbers(17)], imputed_value_floats=[9.0])
    c.case("Imputer", "int64", [numbers(17, I64)], outputs=[TensorProto.INT64], imputed_value_int64s=[100, 200, 300, 400], replaced_value_int64=3)
    c.case("Imputer", "int64_one_value", [numbers(17, I64)], outputs=[TensorProto.INT64], imputed_value_int64s=[100], replaced_value_int64=-1)


def choosing(c: Cases) -> None:
    index = lambda *i: {"i": np.array(i, I64)}  # noqa: E731
    for rows in ROWS:
        c.case("ArrayFeatureExtractor", f"float32_rows{rows}", [numbers(rows), "i"], constants=index(3, 0, 0))
    c.case("ArrayFeatureExtractor", "one_column", [numbers(17), "i"], constants=index(2))
    for dtype in (F64, I64, I32):
        c.case("ArrayFeatureExtractor", np.dtype(dtype).name, [numbers(17, dtype), "i"], outputs=[ELEMENT[np.dtype(dtype)]], constants=index(1, 2))
    words = np.array([["a", "b", ""], ["c", "d", "\u00e4"]], object)
    c.case("ArrayFeatureExtractor", "text", [words, "i"], outputs=[TensorProto.STRING], constants=index(2, 0))
    c.case("ArrayFeatureExtractor", "vector", [numbers(1)[0], "i"], constants=index(3, 1))
    c.case("ArrayFeatureExtractor", "labels", ["t", np.array([2, 0, 1, 1], I64)], outputs=[TensorProto.STRING], constants={"t": np.array(["x", "y", "z"], object)})
    c.case("ArrayFeatureExtractor", "labels_matrix", ["t", np.array([[2], [0], [1]], I64)], outputs=[TensorProto.INT64], constants={"t": np.array([10, 20, 30], I64)})
    c.case("ArrayFeatureExtractor", "three_dimensions", [numbers(12).reshape(2, 6, 4), "i"], constants=index(1, 3))
    for rows in ROWS[1:]:  # without a row ONNX Runtime ends the process
        c.case("FeatureVectorizer", f"float32_rows{rows}", [numbers(rows), numbers(rows, columns=2)], inputdimensions=[4, 2])
    c.case("FeatureVectorizer", "int64", [numbers(9, I64), numbers(9, I64, 1)], inputdimensions=[4, 1])


def words(rows: int) -> np.ndarray:
    values = np.array(["a", "b", "c", "", "never seen", "\u00e4\u00f6\u00fc", " a"], object)
    return np.random.default_rng(2).choice(values, (rows, 2)).astype(object)


def encoding(c: Cases) -> None:
    for zeros in (0, 1):
        for rows in ROWS:
            unknown = zeros == 1
            text = words(rows) if unknown else np.random.default_rng(2).choice(np.array(["a", "b", "c"], object), (rows, 2)).astype(object)
            c.case("OneHotEncoder", f"text_zeros{zeros}_rows{rows}", [text], cats_strings=["b", "a", "c"], zeros=zeros)
        for dtype in (I64, I32, F32, F64):
            x = np.random.default_rng(3).integers(0, 3, (17, 2)) if not zeros else np.random.default_rng(3).integers(-2, 6, (17, 2))
            c.case("OneHotEncoder", f"{np.dtype(dtype).name}_zeros{zeros}", [x.astype(dtype)], cats_int64s=[2, 0, 1], zeros=zeros)
    c.case("OneHotEncoder", "fractions", [np.array([[0.0, 0.4, 0.9, 1.0, 1.5, -0.5, -0.0, 2.999]], F32)], cats_int64s=[0, 1, 2], zeros=1)
    c.case("OneHotEncoder", "column", [words(9)[:, :1]], cats_strings=["a", "", "b"])
    c.case("OneHotEncoder", "vector", [words(9)[:, 0]], cats_strings=["a", "b"])

    # LabelEncoder 1 maps between text and integers by position.
    classes = ["a", "b", "c"]
    c.case("LabelEncoder", "v1_text_to_int64", [words(17)], outputs=[TensorProto.INT64], classes_strings=classes, default_int64=-9)
    c.case("LabelEncoder", "v1_int64_to_text", [numbers(17, I64)], outputs=[TensorProto.STRING], classes_strings=classes, default_string="?")
    fed = {
        "strings": lambda n: words(n),
        "int64s": lambda n: numbers(n, I64),
        "floats": lambda n: np.random.default_rng(5).choice(np.array([0.0, -0.0, 1.0, 2.5, np.nan, np.inf, -np.inf, 7.0], F32), (n, 2)),
        "doubles": lambda n: np.random.default_rng(5).choice(np.array([0.0, 1.0, 2.5, np.nan, np.inf, 0.1, 7.0], F64), (n, 2)),
    }
    keys = {"strings": ["a", "b", "", "\u00e4\u00f6\u00fc"], "int64s": [0, 1, -3, 5], "floats": [0.0, 1.0, 2.5, float("nan")], "doubles": [0.0, 0.1, 2.5, float("nan")]}
    values = {"strings": ["w", "x", "", "\U0001f985"], "int64s": [10, -20, 2**40, 0], "floats": [0.5, float("nan"), -1.5, 3e38], "doubles": [0.1, -2.5, 1e300, 7.0]}
    default = {"strings": ("default_string", "?"), "int64s": ("default_int64", -7), "floats": ("default_float", -0.25)}
    element = {"strings": TensorProto.STRING, "int64s": TensorProto.INT64, "floats": TensorProto.FLOAT, "doubles": TensorProto.DOUBLE}
    dtypes = {"strings": object, "int64s": I64, "floats": F32, "doubles": F64}
    for ml, kinds in ((2, ("strings", "int64s", "floats")), (4, ("strings", "int64s", "floats"))):
        for source, target in itertools.product(kinds, kinds):
            fields = {f"keys_{source}": keys[source], f"values_{target}": values[target]}
            out = [element[target]]
            named = dict([default[target]])
            for rows in ROWS if (source, target) in (("strings", "int64s"), ("strings", "floats")) else (17,):
                c.case("LabelEncoder", f"v{ml}_{source}_to_{target}_rows{rows}", [fed[source](rows)], outputs=out, ml=ml, **fields, **named)
            c.case("LabelEncoder", f"v{ml}_{source}_to_{target}_no_default", [fed[source](17)], outputs=out, ml=ml, **fields)
    kinds = ("strings", "int64s", "floats", "doubles")
    for source, target in itertools.product(kinds, kinds):
        tensor = lambda name, v, k: numpy_helper.from_array(np.array(v, dtypes[k]), name)  # noqa: E731
        fields = dict(keys_tensor=tensor("keys_tensor", keys[source], source), values_tensor=tensor("values_tensor", values[target], target))
        fallback = {"strings": ["?"], "int64s": [-7], "floats": [-0.25], "doubles": [0.3]}[target]
        fields["default_tensor"] = tensor("default_tensor", fallback, target)
        c.case("LabelEncoder", f"v4_tensors_{source}_to_{target}", [fed[source](17)], outputs=[element[target]], ml=4, **fields)
    c.case("LabelEncoder", "v2_repeated_key", [words(17)], outputs=[TensorProto.INT64], ml=2, keys_strings=["a", "b", "a"], values_int64s=[1, 2, 3])
    c.case("CategoryMapper", "text_to_int64", [words(17)], outputs=[TensorProto.INT64], cats_strings=["a", "b", "c"], cats_int64s=[5, 6, 7], default_int64=-1)
    c.case("CategoryMapper", "int64_to_text", [numbers(17, I64)], outputs=[TensorProto.STRING], cats_strings=["a", "b", "c"], cats_int64s=[0, 1, 2], default_string="?")


def zip_maps(w: Writer) -> None:
    for name, labels in (("int64s", [3, -1, 10]), ("strings", ["b", "a", ""])):
        for rows in (1, 17, 1000):

            def build(name=name, labels=labels, rows=rows):
                x = numbers(rows, columns=3)
                node = helper.make_node("ZipMap", ["x"], ["y"], domain=ML, **{f"classlabels_{name}": labels})
                model = model_of([node], {"x": x}, [("y", TensorProto.FLOAT)])
                model.graph.output[0].type.Clear()
                key = TensorProto.STRING if name == "strings" else TensorProto.INT64
                inner = helper.make_map_type_proto(key, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
                model.graph.output[0].type.CopyFrom(helper.make_sequence_type_proto(inner))
                return model, {"x": x}

            w.attempt(f"zipmap_{name}_rows{rows}", "ZipMap", build)


def ml_operators(w: Writer) -> None:
    c = Cases(w)
    scaling(c)
    imputing(c)
    choosing(c)
    encoding(c)
    zip_maps(w)
