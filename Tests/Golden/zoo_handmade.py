"""Hand-made models for the corners of the tree and linear operators that no converter reaches reliably."""

from __future__ import annotations

import itertools

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from golden import Writer

ML = "ai.onnx.ml"
ELEMENT = {
    np.dtype(np.float32): TensorProto.FLOAT,
    np.dtype(np.float64): TensorProto.DOUBLE,
    np.dtype(np.float16): TensorProto.FLOAT16,
    np.dtype(np.int64): TensorProto.INT64,
    np.dtype(np.int32): TensorProto.INT32,
    np.dtype(np.int8): TensorProto.INT8,
    np.dtype(np.uint8): TensorProto.UINT8,
    np.dtype(np.int16): TensorProto.INT16,
    np.dtype(np.uint16): TensorProto.UINT16,
    np.dtype(np.uint32): TensorProto.UINT32,
    np.dtype(np.uint64): TensorProto.UINT64,
    np.dtype(np.bool_): TensorProto.BOOL,
    np.dtype(object): TensorProto.STRING,
}
POST = ("NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO", "PROBIT")
MODES = ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ")


def model_of(nodes, inputs: dict, outputs: list, ml: int = 1, opset: int = 17, initializers: dict | None = None):
    """inputs: name -> an array as it is fed (its first dimension is the batch); outputs: (name, element type)."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(n, ELEMENT[v.dtype], [None, *v.shape[1:]] if v.ndim else []) for n, v in inputs.items()],
        [helper.make_tensor_value_info(n, t, None) for n, t in outputs],
        [numpy_helper.from_array(v, n) for n, v in (initializers or {}).items()],
    )
    opsets = [helper.make_opsetid("", opset)] + ([helper.make_opsetid(ML, ml)] if ml else [])
    return helper.make_model(graph, opset_imports=opsets, ir_version=8 if opset <= 18 else 10)


# --- trees as nested tuples: a leaf is {id: weight}, a branch (mode, feature, threshold, true, false[, missing]) ------


def flat(trees, kind: str, tree_ids=None, shuffle: bool = False) -> dict:
    """The attributes of TreeEnsembleClassifier (kind "class") or TreeEnsembleRegressor (kind "target")."""
    nodes, weights = [], []

    def add(tree_id, tree, counter):
        me = next(counter)
        place = len(nodes)
        nodes.append(None)
        if isinstance(tree, dict):
            nodes[place] = (tree_id, me, 0, "LEAF", 0.0, 0, 0, 0)
            weights.extend((tree_id, me, i, w) for i, w in tree.items())
        else:
            mode, feature, threshold, yes, no, *missing = tree
            true_id, false_id = add(tree_id, yes, counter), add(tree_id, no, counter)
            nodes[place] = (tree_id, me, feature, mode, threshold, true_id, false_id, int(bool(missing and missing[0])))
        return me

    for index, tree in enumerate(trees):
        add(tree_ids[index] if tree_ids else index, tree, itertools.count())
    if shuffle:  # the root of a tree stays the first of its nodes, all else moves
        generator = np.random.default_rng(0)
        roots = [n for n in nodes if n[1] == 0]
        others = [n for n in nodes if n[1] != 0]
        generator.shuffle(others)
        nodes = roots + [tuple(n) for n in others]
        generator.shuffle(weights)
        nodes = [(int(a), int(b), int(c), str(d), float(e), int(f), int(g), int(h)) for a, b, c, d, e, f, g, h in nodes]
        weights = [(int(a), int(b), int(c), float(d)) for a, b, c, d in weights]
    names = ("treeids", "nodeids", "featureids", "modes", "values", "truenodeids", "falsenodeids", "missing_value_tracks_true")
    result = {f"nodes_{n}": list(v) for n, v in zip(names, zip(*nodes))}
    if not any(result["nodes_missing_value_tracks_true"]):
        del result["nodes_missing_value_tracks_true"]
    for n, v in zip(("treeids", "nodeids", "ids", "weights"), zip(*weights)):
        result[f"{kind}_{n}"] = list(v)
    return result


def grown(generator, depth: int, features: int, leaf, modes=("BRANCH_LEQ",), missing: bool = False, grid=None):
    """A random tree; about one in five branches ends early."""
    if depth == 0 or (generator.random() < 0.2 and depth < 4):
        return leaf(generator)
    threshold = float(np.float32(generator.choice(grid) if grid is not None else generator.normal()))
    inner = [grown(generator, depth - 1, features, leaf, modes, missing, grid) for _ in range(2)]
    return (str(generator.choice(modes)), int(generator.integers(features)), threshold, *inner, missing and generator.random() < 0.5)


GRID = np.array([-1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2])


def tree_rows(dtype=np.float32, features: int = 4) -> np.ndarray:
    """Values on a small grid that are also thresholds, their neighbours, and everything odd."""
    generator = np.random.default_rng(11)
    rows = generator.choice(GRID, (120, features)).astype(dtype)
    if rows.dtype.kind != "f":
        return rows
    up, down = rows[:30].copy(), rows[30:50].copy()
    up = np.where(generator.random(up.shape) < 0.4, np.nextafter(up, dtype(np.inf)), up)
    down = np.where(generator.random(down.shape) < 0.4, np.nextafter(down, dtype(-np.inf)), down)
    odd = rows[50:110].copy()
    strange = np.array([np.nan, np.inf, -np.inf, -0.0, np.finfo(dtype).max, np.finfo(dtype).smallest_subnormal], dtype)
    odd = np.where(generator.random(odd.shape) < 0.3, generator.choice(strange, odd.shape), odd)
    ends = np.array([[v] * features for v in (np.nan, np.inf, -np.inf, 0.0, -0.0)], dtype)
    return np.concatenate([rows, up, down, odd, ends]).astype(dtype)


def forest(seed: int, trees: int, leaf, depth: int = 4, **more) -> list:
    generator = np.random.default_rng(seed)
    return [grown(generator, depth, 4, leaf, grid=GRID, **more) for _ in range(trees)]


def value(generator) -> float:
    return float(np.float32(generator.normal()))


def regressor(trees, targets: int, dtype=np.float32, ml: int = 1, doubles: bool = False, **attributes):
    more = {k: attributes.pop(k) for k in ("tree_ids", "shuffle") if k in attributes}
    fields = {**flat(trees, "target", **more), **attributes}
    if doubles:
        for name in ("nodes_values", "target_weights", "base_values"):
            if name in fields:
                fields[name + "_as_tensor"] = numpy_helper.from_array(np.array(fields.pop(name), np.float64), name)
    node = helper.make_node("TreeEnsembleRegressor", ["X"], ["Y"], domain=ML, n_targets=targets, **fields)
    x = tree_rows(dtype)
    return model_of([node], {"X": x}, [("Y", TensorProto.FLOAT)], ml=ml), {"X": x}


def classifier(trees, labels, dtype=np.float32, ml: int = 1, doubles: bool = False, **attributes):
    more = {k: attributes.pop(k) for k in ("tree_ids", "shuffle") if k in attributes}
    fields = {**flat(trees, "class", **more), **attributes}
    if doubles:
        for name in ("nodes_values", "class_weights", "base_values"):
            if name in fields:
                fields[name + "_as_tensor"] = numpy_helper.from_array(np.array(fields.pop(name), np.float64), name)
    text = isinstance(labels[0], str)
    fields["classlabels_strings" if text else "classlabels_int64s"] = labels
    node = helper.make_node("TreeEnsembleClassifier", ["X"], ["L", "P"], domain=ML, **fields)
    x = tree_rows(dtype)
    outputs = [("L", TensorProto.STRING if text else TensorProto.INT64), ("P", TensorProto.FLOAT)]
    return model_of([node], {"X": x}, outputs, ml=ml), {"X": x}


def regressors(w: Writer) -> None:
    f = "handmade_regressor"
    one = lambda g: {0: value(g)}  # noqa: E731
    three = lambda g: {i: value(g) for i in range(3)}  # noqa: E731
    some = lambda g: {int(i): value(g) for i in g.choice(3, g.integers(0, 3), replace=False)}  # noqa: E731
    for aggregate in ("SUM", "AVERAGE", "MIN", "MAX"):
        for base in (False, True):
            suffix = f"{aggregate.lower()}{'_base' if base else ''}"
            b1 = {"base_values": [0.75]} if base else {}
            b3 = {"base_values": [0.5, -1.25, 3.0]} if base else {}
            w.attempt(f"regressor_one_{suffix}", f, lambda b=b1, a=aggregate: regressor(forest(1, 9, one), 1, aggregate_function=a, **b))
            w.attempt(f"regressor_three_{suffix}", f, lambda b=b3, a=aggregate: regressor(forest(2, 7, three), 3, aggregate_function=a, **b))
            w.attempt(f"regressor_some_{suffix}", f, lambda b=b3, a=aggregate: regressor(forest(3, 7, some), 3, aggregate_function=a, **b))
    for post in POST:
        small = lambda g: {0: float(np.float32(g.uniform(0.01, 0.05)))}  # noqa: E731
        w.attempt(f"regressor_one_post_{post.lower()}", f, lambda p=post: regressor(forest(4, 5, small), 1, post_transform=p))
        w.attempt(f"regressor_three_post_{post.lower()}", f, lambda p=post: regressor(forest(5, 5, some), 3, post_transform=p))
        w.attempt(f"regressor_two_post_{post.lower()}", f, lambda p=post: regressor(forest(5, 5, lambda g: {1: value(g), 0: 0.0}), 2, post_transform=p))
    for mode in MODES:
        for missing in (False, True):
            name = f"regressor_{mode.lower()}{'_missing' if missing else ''}"
            w.attempt(name, f, lambda m=mode, n=missing: regressor(forest(6, 6, one, modes=(m,), missing=n), 1))
    w.attempt("regressor_mixed_modes", f, lambda: regressor(forest(7, 12, one, modes=MODES), 1))
    w.attempt("regressor_mixed_modes_missing", f, lambda: regressor(forest(8, 12, one, modes=MODES, missing=True), 1))
    w.attempt("regressor_mixed_modes_doubles", f, lambda: regressor(forest(8, 12, one, modes=MODES, missing=True), 1, np.float64, 3, True))
    w.attempt("regressor_doubles", f, lambda: regressor([("BRANCH_LEQ", 0, 0.1, {0: 0.1}, {0: 1 / 3})] * 30, 1, np.float64, 3, True, base_values=[0.2]))
    w.attempt("regressor_doubles_three", f, lambda: regressor(forest(9, 9, three), 3, np.float64, 3, True, base_values=[0.1, 0.2, 0.3]))
    w.attempt("regressor_float_attributes_double_input", f, lambda: regressor(forest(9, 9, one), 1, np.float64))
    for dtype in (np.int64, np.int32):
        w.attempt(f"regressor_{np.dtype(dtype).name}", f, lambda d=dtype: regressor(forest(10, 6, one), 1, d))
    w.attempt("regressor_shuffled", f, lambda: regressor(forest(11, 8, three), 3, tree_ids=[5, 2, 9, 100, 0, 1, 77, 30], shuffle=True))
    w.attempt("regressor_one_leaf_trees", f, lambda: regressor([{0: 0.5}, ("BRANCH_LT", 1, 0.0, {0: 1.0}, {0: 2.0}), {0: -0.25}], 1))
    w.attempt("regressor_only_leaves", f, lambda: regressor([{0: 0.5}, {0: 0.25}], 1, base_values=[1.0]))
    w.attempt("regressor_repeated_weight", f, lambda: repeated_weight())
    w.attempt("regressor_nan_threshold", f, lambda: regressor([("BRANCH_LEQ", 0, float("nan"), {0: 1.0}, {0: 2.0}, m) for m in (False, True)] + [("BRANCH_NEQ", 1, float("nan"), {0: 4.0}, {0: 8.0})], 1))
    w.attempt("regressor_infinite_threshold", f, lambda: regressor([(m, 0, t, {0: 1.0}, {0: 2.0}) for m in MODES for t in (float("inf"), float("-inf"))], 1))
    w.attempt("regressor_100_trees", f, lambda: regressor(forest(12, 100, one), 1, base_values=[100.0]))
    w.attempt("regressor_deep_chain", f, deep_chain)
    w.attempt("regressor_equal_chain_members", f, equal_chain)


def repeated_weight():
    """A leaf that names the same target twice: both are added."""
    fields = flat([("BRANCH_LEQ", 0, 0.0, {0: 1.0}, {0: 2.0})], "target")
    for name, more in (("treeids", 0), ("nodeids", 1), ("ids", 0), ("weights", 0.5)):
        fields[f"target_{name}"].append(more)
    node = helper.make_node("TreeEnsembleRegressor", ["X"], ["Y"], domain=ML, n_targets=1, **fields)
    x = tree_rows()
    return model_of([node], {"X": x}, [("Y", TensorProto.FLOAT)]), {"X": x}


def deep_chain():
    """Depth 300: no recursion limit may be near."""
    tree = {0: -1.0}
    for i in range(300):
        tree = ("BRANCH_LEQ", i % 4, -2 + i / 75, {0: float(i)}, tree)
    return regressor([tree], 1)


def equal_chain():
    """Chains of BRANCH_EQ to equal leaves, as exported categories are; ONNX Runtime fuses them to bit sets."""
    tree = {0: -1.0}
    for category in (3, 1, 8, 40, 63, 64, 65, 31, 32, 33, 0, -2, 1000):
        tree = ("BRANCH_EQ", 0, float(category), {0: 5.0}, tree)
    fields = flat([tree, ("BRANCH_EQ", 1, 2.0, {0: 0.5}, {0: 0.25}, True)], "target")
    node = helper.make_node("TreeEnsembleRegressor", ["X"], ["Y"], domain=ML, n_targets=1, **fields)
    codes = np.array([-3, -2, -1, 0, 0.5, 1, 1.5, 2, 3, 8, 31, 31.5, 32, 33, 40, 62, 63, 64, 65, 66, 1000, 1001, 1e20, np.nan, np.inf, -np.inf], np.float32)
    x = np.stack([codes, np.roll(codes, 5)], 1)
    return model_of([node], {"X": x}, [("Y", TensorProto.FLOAT)]), {"X": x}


def classifiers(w: Writer) -> None:
    f = "handmade_classifier"
    leaves = {
        "positive": lambda g, c: {c: float(np.float32(g.uniform(0, 0.4)))},
        "mixed": lambda g, c: {c: value(g)},
    }
    for post in POST:
        for sign, leaf in leaves.items():
            for base_name, base in (("", {}), ("_base1", {"base_values": [0.125]}), ("_base2", {"base_values": [0.25, -0.5]})):
                for klass in (0, 1):
                    name = f"binary_{sign}_class{klass}{base_name}_{post.lower()}"
                    labels = ["no", "yes"] if klass else [0, 1]
                    w.attempt(name, f, lambda le=leaf, c=klass, b=base, p=post, lab=labels: classifier(forest(20, 3, lambda g: le(g, c)), lab, post_transform=p, **b))
        both = lambda g: {0: value(g), 1: value(g)}  # noqa: E731
        w.attempt(f"binary_both_classes_{post.lower()}", f, lambda p=post: classifier(forest(21, 4, both), ["a", "b"], post_transform=p))
        w.attempt(f"binary_both_classes_base_{post.lower()}", f, lambda p=post: classifier(forest(21, 4, both), [10, 20], post_transform=p, base_values=[0.25, -0.5]))
        all3 = lambda g: {i: value(g) for i in range(3)}  # noqa: E731
        w.attempt(f"multi_{post.lower()}", f, lambda p=post: classifier(forest(22, 5, all3), ["r", "g", "b"], post_transform=p))
        w.attempt(f"multi_base_{post.lower()}", f, lambda p=post: classifier(forest(22, 5, all3), [7, -3, 2**40], post_transform=p, base_values=[0.5, 0.0, -0.5]))
        sparse = lambda g: {int(g.integers(0, 3)): value(g)}  # noqa: E731
        w.attempt(f"multi_class_without_score_{post.lower()}", f, lambda p=post: classifier(forest(23, 4, sparse), ["a", "b", "c", "d"], post_transform=p))
        w.attempt(f"multi_negative_{post.lower()}", f, lambda p=post: classifier(forest(24, 4, lambda g: {int(g.integers(0, 4)): -float(np.float32(g.uniform(0, 1)))}), [0, 1, 2, 3], post_transform=p))
    w.attempt("multi_ties", f, lambda: classifier([("BRANCH_LEQ", i, 0.0, {i: 1.0}, {3 - i: 1.0}) for i in range(4)], ["a", "b", "c", "d"]))
    w.attempt("binary_ties", f, lambda: classifier([("BRANCH_LEQ", 0, 0.0, {1: 0.5}, {1: 0.25}), ("BRANCH_GT", 1, 0.0, {1: 0.0}, {1: 0.25})], [0, 1]))
    w.attempt("binary_zero_score", f, lambda: classifier([("BRANCH_LEQ", 0, 0.0, {1: 0.5}, {1: -0.5}), ("BRANCH_GT", 1, 0.0, {1: 0.5}, {1: -0.5})], ["n", "p"], post_transform="LOGISTIC"))
    w.attempt("binary_both_ties", f, lambda: classifier([("BRANCH_LEQ", 0, 0.0, {0: 0.5, 1: 0.5}, {0: 0.25, 1: 0.75})], [0, 1]))
    w.attempt("one_label", f, lambda: classifier([("BRANCH_LEQ", 0, 0.0, {0: 0.5}, {0: -0.5})], [4]))
    for doubles in (False, True):
        suffix = "_tensors" if doubles else ""
        w.attempt(f"classifier_double_input{suffix}", f, lambda d=doubles: classifier(forest(25, 6, lambda g: {i: value(g) for i in range(3)}), [0, 1, 2], np.float64, 3, d, post_transform="SOFTMAX"))
        w.attempt(f"binary_double_input{suffix}", f, lambda d=doubles: classifier(forest(25, 6, lambda g: {0: value(g)}), [0, 1], np.float64, 3, d, post_transform="LOGISTIC", base_values=[0.1]))
    for dtype in (np.int64, np.int32):
        w.attempt(f"classifier_{np.dtype(dtype).name}", f, lambda d=dtype: classifier(forest(26, 6, lambda g: {0: value(g)}), ["n", "y"], d))
    w.attempt("classifier_mixed_modes_missing", f, lambda: classifier(forest(27, 8, lambda g: {i: value(g) for i in range(3)}, modes=MODES, missing=True), ["x", "y", "z"]))
    w.attempt("classifier_shuffled", f, lambda: classifier(forest(28, 5, lambda g: {i: value(g) for i in range(3)}), [1, 2, 3], tree_ids=[4, 3, 2, 1, 0], shuffle=True))


# --- TreeEnsemble of ai.onnx.ml 5 ---------------------------------------------------------------------------------

MODE5 = {"BRANCH_LEQ": 0, "BRANCH_LT": 1, "BRANCH_GTE": 2, "BRANCH_GT": 3, "BRANCH_EQ": 4, "BRANCH_NEQ": 5, "BRANCH_MEMBER": 6}


def ensemble5(trees, targets: int, dtype=np.float32, rows=None, **attributes):
    """A member branch carries its set instead of a threshold. A tree of one leaf is a branch to it both ways."""
    splits, features, modes, yes, yes_leaf, no, no_leaf, missing, members = ([] for _ in range(9))
    leaf_ids, leaf_weights, roots = [], [], []

    def child(tree):
        if isinstance(tree, dict):
            ((target, weight),) = tree.items()
            leaf_ids.append(target)
            leaf_weights.append(weight)
            return len(leaf_ids) - 1, 1
        return branch(tree), 0

    def branch(tree):
        me = len(splits)
        mode, feature, threshold, left, right, *tracks = tree
        if mode == "BRANCH_MEMBER":
            members.extend([*threshold, float("nan")])
            threshold = 0.0
        for column, entry in zip((splits, features, modes, missing), (threshold, feature, MODE5[mode], int(bool(tracks and tracks[0])))):
            column.append(entry)
        for column in (yes, yes_leaf, no, no_leaf):
            column.append(0)
        yes[me], yes_leaf[me] = child(left)
        no[me], no_leaf[me] = (yes[me], yes_leaf[me]) if right is left and isinstance(left, dict) else child(right)
        return me

    for tree in trees:
        roots.append(branch(("BRANCH_LEQ", 0, 0.0, tree, tree) if isinstance(tree, dict) else tree))
    tensor = lambda name, v: numpy_helper.from_array(np.array(v, dtype), name)  # noqa: E731
    fields = dict(
        n_targets=targets,
        tree_roots=roots,
        nodes_featureids=features,
        nodes_splits=tensor("nodes_splits", splits),
        nodes_modes=numpy_helper.from_array(np.array(modes, np.uint8), "nodes_modes"),
        nodes_truenodeids=yes,
        nodes_trueleafs=yes_leaf,
        nodes_falsenodeids=no,
        nodes_falseleafs=no_leaf,
        leaf_targetids=leaf_ids,
        leaf_weights=tensor("leaf_weights", leaf_weights),
        **attributes,
    )
    if any(missing):
        fields["nodes_missing_value_tracks_true"] = missing
    if members:
        fields["membership_values"] = tensor("membership_values", members)
    node = helper.make_node("TreeEnsemble", ["X"], ["Y"], domain=ML, **fields)
    x = tree_rows(dtype) if rows is None else rows
    return model_of([node], {"X": x}, [("Y", ELEMENT[np.dtype(dtype)])], ml=5, opset=21), {"X": x}


def ensembles5(w: Writer) -> None:
    f = "handmade_ensemble5"
    one = lambda g: {0: value(g)}  # noqa: E731
    three = lambda g: {int(g.integers(0, 3)): value(g)}  # noqa: E731
    for number, aggregate in enumerate(("average", "sum", "min", "max")):
        w.attempt(f"ensemble5_one_{aggregate}", f, lambda n=number: ensemble5(forest(40, 6, one), 1, aggregate_function=n))
        w.attempt(f"ensemble5_three_{aggregate}", f, lambda n=number: ensemble5(forest(41, 9, three), 3, aggregate_function=n))
    for number, post in enumerate(("none", "softmax", "logistic", "softmax_zero", "probit")):
        # ONNX Runtime reads 1 as LOGISTIC and 2 as SOFTMAX, the specification says the opposite.
        f = "differs_from_specification" if number in (1, 2) else "handmade_ensemble5"
        w.attempt(f"ensemble5_one_post_{post}", f, lambda n=number: ensemble5(forest(42, 3, lambda g: {0: float(np.float32(g.uniform(0.05, 0.3)))}), 1, post_transform=n))
        w.attempt(f"ensemble5_three_post_{post}", f, lambda n=number: ensemble5(forest(43, 6, three), 3, post_transform=n))
    f = "handmade_ensemble5"
    for mode in MODES:
        w.attempt(f"ensemble5_{mode.lower()}", f, lambda m=mode: ensemble5(forest(44, 5, one, modes=(m,)), 1))
        w.attempt(f"ensemble5_{mode.lower()}_missing", f, lambda m=mode: ensemble5(forest(44, 5, one, modes=(m,), missing=True), 1))
    w.attempt("ensemble5_mixed_modes", f, lambda: ensemble5(forest(45, 12, one, modes=MODES, missing=True), 1))
    w.attempt("ensemble5_double", f, lambda: ensemble5(forest(46, 8, three), 3, np.float64))
    w.attempt("ensemble5_double_thirds", f, lambda: ensemble5([("BRANCH_LEQ", 0, 0.1, {0: 0.1}, {0: 1 / 3})] * 25, 1, np.float64))
    w.attempt("ensemble5_float16", f, lambda: ensemble5(forest(46, 4, one), 1, np.float16))
    w.attempt("ensemble5_one_leaf", f, lambda: ensemble5([{0: 0.5}, ("BRANCH_LT", 1, 0.0, {0: 1.0}, {0: 2.0}), {0: -0.25}], 1))
    codes = np.array([-1, 0, 0.5, 1, 2, 3, 4, 7, 8, 9, 31, 32, 33, 63, 64, 100, 1e9, np.nan, np.inf, -np.inf], np.float32)
    x = np.stack([codes, np.roll(codes, 3)], 1)
    member = lambda *s: ("BRANCH_MEMBER", 0, s, {0: 1.0}, {0: 2.0})  # noqa: E731
    w.attempt("ensemble5_member", f, lambda: ensemble5([member(1, 3, 8)], 1, rows=x))
    whole = x[(np.floor(x[:, 0]) == x[:, 0]) | ~np.isfinite(x[:, 0])]
    w.attempt("ensemble5_member_large", f, lambda: ensemble5([member(0, 31, 32, 64, 100)], 1, rows=whole))
    # ONNX Runtime keeps such a set as bits and cuts the value to an integer, so 0.5 counts as 0.
    cut = "differs_from_specification"
    w.attempt("ensemble5_member_large_fractions", cut, lambda: ensemble5([member(0, 31, 32, 64, 100)], 1, rows=x))
    w.attempt("ensemble5_member_fraction", f, lambda: ensemble5([member(0.5, 2)], 1, rows=x))
    w.attempt("ensemble5_member_zero", f, lambda: ensemble5([member(0)], 1, rows=x))
    mixed = [
        ("BRANCH_MEMBER", 1, (2, 7), ("BRANCH_LEQ", 0, 3.0, {0: 0.1}, {1: 0.2}), ("BRANCH_MEMBER", 0, (9, 33), {0: 0.4}, {1: 0.8}), True),
        ("BRANCH_GT", 0, 8.0, {1: 1.5}, ("BRANCH_MEMBER", 1, (1,), {0: -1.0}, {1: -2.0})),
    ]
    w.attempt("ensemble5_member_mixed", f, lambda: ensemble5(mixed, 2, rows=x))


# --- linear models ----------------------------------------------------------------------------------------------------


def linear_rows(dtype) -> np.ndarray:
    """Small multiples of 1/4: every order of summation gives the same sum."""
    generator = np.random.default_rng(31)
    x = generator.integers(-8, 9, (60, 3)) / (4 if np.dtype(dtype).kind == "f" else 1)
    return np.concatenate([x, np.zeros((1, 3))]).astype(dtype)


def linear_classifier(labels, coefficients, intercepts, dtype=np.float32, rows=None, **attributes):
    text = isinstance(labels[0], str)
    attributes["classlabels_strings" if text else "classlabels_ints"] = labels
    if intercepts is not None:
        attributes["intercepts"] = intercepts
    node = helper.make_node("LinearClassifier", ["X"], ["L", "P"], domain=ML, coefficients=coefficients, **attributes)
    x = linear_rows(dtype) if rows is None else rows
    outputs = [("L", TensorProto.STRING if text else TensorProto.INT64), ("P", TensorProto.FLOAT)]
    return model_of([node], {"X": x}, outputs), {"X": x}


def linear_regressor(targets, coefficients, intercepts, dtype=np.float32, **attributes):
    if intercepts is not None:
        attributes["intercepts"] = intercepts
    node = helper.make_node("LinearRegressor", ["X"], ["Y"], domain=ML, coefficients=coefficients, targets=targets, **attributes)
    x = linear_rows(dtype)
    return model_of([node], {"X": x}, [("Y", TensorProto.FLOAT)]), {"X": x}


def linears(w: Writer) -> None:
    f = "handmade_linear"
    rows3 = [0.5, -1.0, 0.25, 1.0, 0.5, -0.75, -0.25, 0.0, 2.0]
    for post in POST:
        p = dict(post_transform=post)
        w.attempt(f"linear_classifier_multi_{post.lower()}", f, lambda p=p: linear_classifier(["a", "b", "c"], rows3, [0.5, 0.0, -0.25], **p))
        w.attempt(f"linear_classifier_two_rows_{post.lower()}", f, lambda p=p: linear_classifier([0, 1], rows3[:6], [0.5, -0.5], **p))
        w.attempt(f"linear_classifier_one_row_text_{post.lower()}", f, lambda p=p: linear_classifier(["n", "y"], rows3[:3], [0.25], **p))
        w.attempt(f"linear_classifier_one_row_int_{post.lower()}", f, lambda p=p: linear_classifier([3, 9], rows3[:3], [0.25], **p))
        w.attempt(f"linear_regressor_one_{post.lower()}", f, lambda p=p: linear_regressor(1, rows3[:3], [0.25], **p))
        w.attempt(f"linear_regressor_three_{post.lower()}", f, lambda p=p: linear_regressor(3, rows3, [0.5, 0.0, -0.25], **p))
    w.attempt("linear_classifier_no_intercepts", f, lambda: linear_classifier([0, 1, 2], rows3, None))
    w.attempt("linear_classifier_multi_class", f, lambda: linear_classifier([0, 1, 2], rows3, [0.0, 0.0, 0.0], multi_class=1, post_transform="SOFTMAX"))
    w.attempt("linear_regressor_no_intercepts", f, lambda: linear_regressor(1, rows3[:3], None))
    for dtype in (np.float64, np.int64, np.int32):
        name = np.dtype(dtype).name
        w.attempt(f"linear_classifier_{name}", f, lambda d=dtype: linear_classifier(["a", "b", "c"], rows3, [0.5, 0.0, -0.25], d, post_transform="LOGISTIC"))
        w.attempt(f"linear_regressor_{name}", f, lambda d=dtype: linear_regressor(3, rows3, [0.5, 0.0, -0.25], d))
    ties = np.array([[0, 0, 0], [1, 1, 1], [-1, 0, 1]], np.float32)
    w.attempt("linear_classifier_ties", f, lambda: linear_classifier(["a", "b", "c"], [1.0] * 9, [0.0] * 3, rows=ties))
    odd = np.array([[np.nan, 0, 0], [np.inf, 0, 0], [-np.inf, 0, 0], [0, np.nan, 1]], np.float32)
    w.attempt("linear_classifier_nan_inf_one_row", f, lambda: linear_classifier(["n", "y"], rows3[:3], [0.25], rows=odd, post_transform="LOGISTIC"))
    w.attempt("linear_classifier_nan_inf_multi", f, lambda: linear_classifier(["a", "b", "c"], rows3, [0.5, 0.0, -0.25], rows=odd))


def handmade(w: Writer) -> None:
    regressors(w)
    classifiers(w)
    ensembles5(w)
    linears(w)
