#!/usr/bin/env python3
"""Writes the models of the benchmarks: the same bytes for the same seed.

    Benchmarks/models.py DIRECTORY [NAME…]

`logistic`: a logistic regression of 28 features, as scikit-learn's is exported (LinearClassifier and Normalizer).
`trees`: 500 complete trees of depth 6 over 28 features with 255 thresholds each, one score.
`forest`: 4,000 of the same, where scoring dominates; only when it is named.
"""

import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper

FEATURES = 28
TREES = 500
FOREST = 4000
DEPTH = 6
THRESHOLDS = 255


def model(nodes, outputs):
    inputs = [helper.make_tensor_value_info("input", TensorProto.FLOAT, [None, FEATURES])]
    graph = helper.make_graph(nodes, "benchmark", inputs, outputs)
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)], ir_version=8)


def logistic(random):
    weights = random.normal(size=FEATURES).astype(np.float32)
    classifier = helper.make_node(
        "LinearClassifier", ["input"], ["label", "scores"], domain="ai.onnx.ml",
        coefficients=[*(-weights).tolist(), *weights.tolist()], intercepts=[-0.25, 0.25], classlabels_ints=[0, 1],
        post_transform="LOGISTIC", multi_class=1)
    normalizer = helper.make_node("Normalizer", ["scores"], ["probabilities"], domain="ai.onnx.ml", norm="L1")
    return model([classifier, normalizer], [
        helper.make_tensor_value_info("label", TensorProto.INT64, [None]),
        helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, 2])])


def trees(random, count=TREES):
    thresholds = np.sort(random.normal(size=(FEATURES, THRESHOLDS)).astype(np.float32), axis=1)
    inner = (1 << DEPTH) - 1
    nodes = 2 * inner + 1
    tree = np.arange(count).repeat(nodes)
    node = np.tile(np.arange(nodes), count)
    is_leaf = node >= inner
    feature = np.where(is_leaf, 0, random.integers(FEATURES, size=node.size))
    value = np.where(is_leaf, 0, thresholds[feature, random.integers(THRESHOLDS, size=node.size)])
    ensemble = helper.make_node(
        "TreeEnsembleRegressor", ["input"], ["score"], domain="ai.onnx.ml", n_targets=1,
        nodes_treeids=tree.tolist(), nodes_nodeids=node.tolist(), nodes_featureids=feature.tolist(),
        nodes_values=value.astype(np.float32).tolist(),
        nodes_modes=["LEAF" if leaf else "BRANCH_LEQ" for leaf in is_leaf],
        nodes_truenodeids=np.where(is_leaf, 0, 2 * node + 1).tolist(),
        nodes_falsenodeids=np.where(is_leaf, 0, 2 * node + 2).tolist(),
        target_treeids=tree[is_leaf].tolist(), target_nodeids=node[is_leaf].tolist(),
        target_ids=[0] * int(is_leaf.sum()),
        target_weights=random.normal(scale=0.1, size=int(is_leaf.sum())).astype(np.float32).tolist())
    return model([ensemble], [helper.make_tensor_value_info("score", TensorProto.FLOAT, [None, 1])])


def main():
    directory = pathlib.Path(sys.argv[1])
    builders = {"logistic": logistic, "trees": trees, "forest": lambda random: trees(random, FOREST)}
    for name in sys.argv[2:] or ("logistic", "trees"):
        build = builders[name]
        path = directory / name / "1" / "model.onnx"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(build(np.random.default_rng(20261125)).SerializeToString(deterministic=True))


if __name__ == "__main__":
    main()
