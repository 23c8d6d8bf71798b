"""Small model files from which Fuzz/loaders starts, one directory for each loader.

    .venv/bin/python Fuzz/seeds.py [OUTDIR]      # default: Fuzz/corpus

What is committed there is these, and inputs that libFuzzer found to reach more, merged to the fewest.
"""

from __future__ import annotations

import os
import pathlib
import sys
import warnings

os.environ["OMP_NUM_THREADS"] = "1"

import lightgbm  # noqa: E402
import numpy as np  # noqa: E402
import xgboost  # noqa: E402
from onnxmltools import convert_xgboost  # noqa: E402
from onnxmltools.convert.common.data_types import FloatTensorType as BoosterTensor  # noqa: E402
from skl2onnx import to_onnx  # noqa: E402
from skl2onnx.common.data_types import FloatTensorType, StringTensorType  # noqa: E402
from sklearn.cluster import KMeans  # noqa: E402
from sklearn.compose import ColumnTransformer  # noqa: E402
from sklearn.ensemble import IsolationForest, RandomForestRegressor  # noqa: E402
from sklearn.impute import SimpleImputer  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.neural_network import MLPClassifier  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler  # noqa: E402
from sklearn.svm import SVC  # noqa: E402
from sklearn.tree import DecisionTreeClassifier  # noqa: E402

warnings.simplefilter("ignore")
R = np.random.default_rng(0)
X = R.normal(size=(80, 3)).astype(np.float32)
X[:, 2] = R.integers(0, 5, 80)
Y = (X[:, 0] + (X[:, 2] == 3) > 0.3).astype(int)
CLASSES = np.digitize(X[:, 0], [-0.5, 0.5])


def lightgbm_seeds():
    common = {"verbose": -1, "num_leaves": 4, "min_data_in_leaf": 5, "min_data_per_group": 1, "num_threads": 1}
    for name, label, more in [
        ("binary", Y, {"objective": "binary", "max_cat_to_onehot": 1}),
        ("multi", CLASSES, {"objective": "multiclass", "num_class": 3}),
        ("linear", X[:, 0], {"objective": "regression", "linear_tree": True}),
        ("zero", np.abs(X[:, 0]), {"objective": "tweedie", "zero_as_missing": True}),
        ("forest", Y, {"objective": "cross_entropy", "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6}),
    ]:
        data = lightgbm.Dataset(X.astype(float), label.astype(float), categorical_feature=[2] if name == "binary" else [])
        text = lightgbm.train({**common, **more}, data, 2).model_to_string()
        # Parameters that the loader passes over would only be mutated for nothing.
        head, tail = text.split("parameters:\n", 1)
        kept = [line for line in tail.split("\n") if line.startswith(("[categorical_feature", "end of", "pandas"))]
        yield name, (head + "parameters:\n" + "\n".join(kept) + "\n").encode()
        if name == "binary":
            yield "pandas", (head + "parameters:\n" + "\n".join(kept)).replace("pandas_categorical:null", 'pandas_categorical:[["a", "\\u00fc", "c", "d", "e"]]').encode()


def boosters():
    for name, label, more in [
        ("binary", Y, {"objective": "binary:logistic", "max_depth": 2}),
        ("multi", CLASSES, {"objective": "multi:softprob", "num_class": 3, "max_depth": 1}),
        ("dart", X[:, 0], {"objective": "reg:squarederror", "booster": "dart", "rate_drop": 0.5, "max_depth": 2}),
        ("linear", X[:, 0], {"objective": "reg:squarederror", "booster": "gblinear"}),
        ("categories", Y, {"objective": "binary:logistic", "max_depth": 2, "max_cat_to_onehot": 1}),
    ]:
        kinds = ["q", "q", "c" if name == "categories" else "q"]
        data = xgboost.DMatrix(X, label, feature_names=["a", "b", "c"], feature_types=kinds, enable_categorical=True)
        yield name, xgboost.train({"nthread": 1, "verbosity": 0, **more}, data, 2)


def onnx_seeds():
    text = np.array([["x", "y", "z"][int(v) % 3] for v in X[:, 2]]).reshape(-1, 1)
    numbers = [("X", FloatTensorType([None, 3]))]
    plain = {id(DecisionTreeClassifier): {"zipmap": False}}
    for name, model in [
        ("tree", DecisionTreeClassifier(max_depth=3)),
        ("logistic", make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression())),
        ("svc", SVC(probability=True, max_iter=50)),
        ("mlp", MLPClassifier((3,), max_iter=5)),
    ]:
        yield name, to_onnx(model.fit(X, Y), initial_types=numbers, options=plain if name == "tree" else None)
    yield "forest", to_onnx(RandomForestRegressor(n_estimators=2, max_depth=3).fit(X, X[:, 0]), initial_types=numbers)
    yield "isolation", to_onnx(IsolationForest(n_estimators=2, max_samples=8).fit(X), initial_types=numbers, target_opset={"": 21, "ai.onnx.ml": 3})
    yield "kmeans", to_onnx(KMeans(2, n_init=1).fit(X), initial_types=numbers)
    texts = [("t", StringTensorType([None, 1])), ("n", FloatTensorType([None, 2]))]
    for name, encoder in [
        ("onehot", OneHotEncoder(handle_unknown="ignore")),
        ("ordinal", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)),
    ]:
        columns = ColumnTransformer([("t", encoder, [0]), ("n", StandardScaler(), [1, 2])])
        table = np.concatenate([text.astype(object), X[:, :2].astype(object)], 1)
        model = make_pipeline(columns, LogisticRegression()).fit(table, Y)
        yield name, to_onnx(model, initial_types=texts)
    booster = xgboost.XGBClassifier(n_estimators=2, max_depth=2, n_jobs=1).fit(X, Y)
    yield "booster", convert_xgboost(booster, initial_types=[("X", BoosterTensor([None, 3]))])


def main() -> int:
    directory = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "corpus")

    def write(loader: str, name: str, data: bytes) -> None:
        (directory / loader).mkdir(parents=True, exist_ok=True)
        (directory / loader / name).write_bytes(data)
        print(f"{len(data):7} {loader}/{name}")

    for name, data in lightgbm_seeds():
        write("lightgbm", name, data)
    for name, booster in boosters():
        write("xgboost-json", name, bytes(booster.save_raw("json")))
        write("xgboost-ubjson", name, bytes(booster.save_raw("ubj")))
    for name, model in onnx_seeds():
        write("onnx", name, model.SerializeToString())
    return 0


if __name__ == "__main__":
    sys.exit(main())
