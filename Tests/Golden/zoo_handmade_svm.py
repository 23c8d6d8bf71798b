"""Hand-made support vector machines: what no converter writes and the operators allow."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper

from golden import Writer
from zoo_handmade import ML, POST, model_of

FEATURES = 5
PARAMETERS = {
    "LINEAR": [0.0, 0.0, 0.0],
    "POLY": [0.3, 0.5, 3.0],
    "RBF": [0.4, 0.0, 0.0],
    "SIGMOID": [0.2, -0.3, 0.0],
}


def rows(dtype=np.float32, special: bool = False) -> np.ndarray:
    x = (np.random.default_rng(41).normal(size=(61, FEATURES)) * 2).astype(np.float32)
    if special:
        x[3, 1], x[7, 0], x[11, 4], x[13] = np.nan, np.inf, -np.inf, 1e30
    return x.astype(dtype)


def classifier(per_class, labels, kernel="RBF", probability=False, sign=0, x=None, parameters=None, **attributes):
    """Random vectors; sign: coefficients of both signs (0), none below zero (1)."""
    generator = np.random.default_rng(len(labels) * 7 + sum(per_class))
    classes, vectors = len(labels), sum(per_class)
    pairs = classes * (classes - 1) // 2
    shape = (classes - 1, vectors) if vectors else (classes, FEATURES)
    coefficients = generator.normal(size=shape).astype(np.float32)
    fields = {
        "classlabels_strings" if isinstance(labels[0], str) else "classlabels_ints": labels,
        "coefficients": (np.abs(coefficients) if sign else coefficients).ravel().tolist(),
        "kernel_params": PARAMETERS[kernel] if parameters is None else parameters,
        "kernel_type": kernel,
        "rho": generator.normal(size=max(1, pairs)).astype(np.float32).tolist(),
    }
    if vectors:
        fields["vectors_per_class"] = per_class
        fields["support_vectors"] = generator.normal(size=vectors * FEATURES).astype(np.float32).tolist()
    if probability:
        fields["prob_a"] = (-np.abs(generator.normal(size=pairs))).astype(np.float32).tolist()
        fields["prob_b"] = (generator.normal(size=pairs) / 4).astype(np.float32).tolist()
    node = helper.make_node("SVMClassifier", ["X"], ["L", "P"], domain=ML, **fields, **attributes)
    x = rows() if x is None else x
    kind = TensorProto.STRING if isinstance(labels[0], str) else TensorProto.INT64
    return model_of([node], {"X": x}, [("L", kind), ("P", TensorProto.FLOAT)]), {"X": x}


def regressor(vectors, kernel="RBF", x=None, parameters=None, **attributes):
    generator = np.random.default_rng(5 + vectors)
    fields = {
        "coefficients": generator.normal(size=vectors or FEATURES).astype(np.float32).tolist(),
        "kernel_params": PARAMETERS[kernel] if parameters is None else parameters,
        "kernel_type": kernel,
        "rho": [0.25],
        "n_supports": vectors,
    }
    if vectors:
        fields["support_vectors"] = generator.normal(size=vectors * FEATURES).astype(np.float32).tolist()
    node = helper.make_node("SVMRegressor", ["X"], ["Y"], domain=ML, **fields, **attributes)
    x = rows() if x is None else x
    return model_of([node], {"X": x}, [("Y", TensorProto.FLOAT)]), {"X": x}


def support_vector_machines(w: Writer) -> None:
    f = "handmade_svm"
    for post in POST:
        p = dict(post_transform=post)
        name = post.lower()
        w.attempt(f"svm_classifier_two_{name}", f, lambda p=p: classifier([7, 12], [0, 1], **p))
        w.attempt(f"svm_classifier_two_probability_{name}", f, lambda p=p: classifier([7, 12], ["n", "y"], probability=True, **p))
        w.attempt(f"svm_classifier_four_{name}", f, lambda p=p: classifier([3, 20, 1, 18], [5, 6, 7, 8], **p))
        w.attempt(f"svm_classifier_four_probability_{name}", f, lambda p=p: classifier([3, 20, 1, 18], list("abcd"), probability=True, **p))
        w.attempt(f"svm_classifier_linear_{name}", f, lambda p=p: classifier([], ["a", "b", "c"], kernel="LINEAR", **p))
        w.attempt(f"svm_regressor_{name}", f, lambda p=p: regressor(23, **p))
    for kernel in PARAMETERS:
        name = kernel.lower()
        for dtype in (np.float64, np.int64, np.int32):
            w.attempt(f"svm_classifier_{name}_{np.dtype(dtype).name}", f, lambda k=kernel, d=dtype: classifier([9, 9, 15], [2, 1, 0], kernel=k, x=rows(d)))
        w.attempt(f"svm_classifier_{name}_special", f, lambda k=kernel: classifier([9, 9, 15], [2, 1, 0], kernel=k, probability=True, x=rows(special=True)))
        w.attempt(f"svm_classifier_{name}_empty_class", f, lambda k=kernel: classifier([9, 0, 15], [2, 1, 0], kernel=k))
        w.attempt(f"svm_regressor_{name}_special", f, lambda k=kernel: regressor(37, kernel=k, x=rows(special=True)))
        w.attempt(f"svm_regressor_{name}_one_class", f, lambda k=kernel: regressor(37, kernel=k, one_class=1))
        w.attempt(f"svm_regressor_{name}_one_vector", f, lambda k=kernel: regressor(1, kernel=k))
    for degree in (0.0, 1.0, 2.0, 5.0, 7.0):
        w.attempt(f"svm_regressor_degree_{degree}", f, lambda d=degree: regressor(16, kernel="POLY", parameters=[0.2, 2.0, d]))
    # ONNX Runtime approximates other powers; a few vectors keep the difference small.
    w.attempt("svm_regressor_degree_2.5", f, lambda: regressor(3, kernel="POLY", parameters=[0.2, 2.0, 2.5]))
    w.attempt("svm_regressor_no_offset", f, lambda: regressor(16, kernel="POLY", parameters=[0.2, 0.0, 3.0]))
    w.attempt("svm_regressor_negative_gamma", f, lambda: regressor(16, parameters=[-0.1, 0.0, 0.0]))
    w.attempt("svm_regressor_linear", f, lambda: regressor(0, kernel="LINEAR"))
    w.attempt("svm_regressor_linear_one_class", f, lambda: regressor(0, kernel="LINEAR", one_class=1))
    w.attempt("svm_regressor_many_vectors", f, lambda: regressor(700))
    for labels in ([0, 1], [7, 3], ["a", "b"], ["a"], [4]):
        what = "_".join(map(str, labels))
        w.attempt(f"svm_classifier_linear_{what}", f, lambda v=labels: classifier([], v, kernel="RBF"))
        w.attempt(f"svm_classifier_linear_{what}_positive", f, lambda v=labels: classifier([], v, kernel="RBF", sign=1))
    for labels in ([0, 1], [7, 3], ["a", "b"]):
        what = "_".join(map(str, labels))
        w.attempt(f"svm_classifier_two_{what}_positive", f, lambda v=labels: classifier([8, 8], v, sign=1))
        w.attempt(f"svm_classifier_two_{what}_mixed", f, lambda v=labels: classifier([8, 8], v))
