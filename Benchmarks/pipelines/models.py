"""Pipelines as people export them, and rows to measure them with: DIRECTORY/<name>.onnx, <name>.bin, <name>.pkl.

    .venv/bin/python Benchmarks/pipelines/models.py DIRECTORY

The data are made up and seeded: eight text columns of 3 to 40 categories, ten numbers, some of all missing or unknown.
The form of <name>.bin is told by Benchmarks/pipelines/Sources/main.swift.
"""

from __future__ import annotations

import pathlib
import pickle
import struct
import sys
import warnings

import numpy as np
import pandas as pd
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

SEED = 20240501
POOL = 65536
CATEGORIES = [3, 4, 5, 6, 8, 12, 20, 40]
NUMBERS = 10


def frame(rows: int, generator: np.random.Generator) -> pd.DataFrame:
    columns = {}
    for index, count in enumerate(CATEGORIES):
        names = np.array([f"category {index}/{number:02d}" + " of many" * (number % 3) for number in range(count)] + ["", "never seen"], object)
        odds = np.full(count + 2, 0.97 / count)
        odds[count:] = 0.02, 0.01
        columns[f"text_{index}"] = generator.choice(names, rows, p=odds)
    for index in range(NUMBERS):
        values = generator.normal(index, 1 + index, rows).astype(np.float32)
        values[generator.random(rows) < 0.02] = np.nan
        columns[f"number_{index}"] = values
    return pd.DataFrame(columns)


def labels(data: pd.DataFrame, generator: np.random.Generator) -> np.ndarray:
    score = sum(data[f"text_{i}"].str.len().to_numpy() % (i + 3) for i in range(len(CATEGORIES))) * 0.1
    score = score + np.nan_to_num(data[[f"number_{i}" for i in range(NUMBERS)]].to_numpy()).sum(axis=1) * 0.02
    return np.where(score + generator.normal(0, 0.5, len(data)) > np.median(score), "yes", "no")


def transformer(encoder, scale: bool) -> ColumnTransformer:
    text = [f"text_{i}" for i in range(len(CATEGORIES))]
    numbers = [f"number_{i}" for i in range(NUMBERS)]
    end = [SimpleImputer(strategy="median")] + ([StandardScaler()] if scale else [])
    return ColumnTransformer(
        [("text", make_pipeline(SimpleImputer(strategy="most_frequent", missing_values=""), encoder), text), ("numbers", make_pipeline(*end), numbers)]
    )


def one_hot():
    return OneHotEncoder(handle_unknown="ignore")


def ordinal():
    return OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)


PIPELINES = {
    "logistic": lambda: make_pipeline(transformer(one_hot(), True), LogisticRegression(max_iter=1000)),
    "boosting": lambda: make_pipeline(transformer(one_hot(), False), GradientBoostingClassifier(n_estimators=100, max_depth=4, random_state=0)),
    "forest": lambda: make_pipeline(transformer(ordinal(), False), RandomForestClassifier(100, max_depth=8, random_state=0, n_jobs=1)),
}


def write_rows(path: pathlib.Path, columns: list[np.ndarray]) -> None:
    with path.open("wb") as file:
        file.write(struct.pack("<I", len(columns[0])))
        for values in columns:
            if values.dtype == object:
                for text in values.ravel():
                    data = text.encode()
                    file.write(struct.pack("<I", len(data)) + data)
            else:
                file.write(np.ascontiguousarray(values).tobytes())


def main() -> None:
    warnings.simplefilter("ignore")
    directory = pathlib.Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(SEED)
    train = frame(4000, generator)
    target = labels(train, generator)
    pool = frame(POOL, generator)
    for name, make in PIPELINES.items():
        model = make().fit(train, target)
        types = [(c, StringTensorType([None, 1]) if train[c].dtype == object else FloatTensorType([None, 1])) for c in train]
        (directory / f"{name}.onnx").write_bytes(to_onnx(model, initial_types=types, options={"zipmap": False}).SerializeToString())
        (directory / f"{name}.pkl").write_bytes(pickle.dumps((model, pool)))
        write_rows(directory / f"{name}.bin", [pool[c].to_numpy() for c in pool])
    # A net on a matrix of numbers, as it is usually exported: 30 features, layers of 64 and 32.
    x = generator.normal(size=(4000, 30)).astype(np.float32)
    y = (x[:, :5].sum(axis=1) + 0.3 * generator.normal(size=4000) > 0).astype(np.int64)
    pool = generator.normal(size=(POOL, 30)).astype(np.float32)
    model = make_pipeline(StandardScaler(), MLPClassifier((64, 32), max_iter=15, random_state=0)).fit(x, y)
    (directory / "mlp.onnx").write_bytes(to_onnx(model, x[:1], options={"zipmap": False}).SerializeToString())
    (directory / "mlp.pkl").write_bytes(pickle.dumps((model, pool)))
    write_rows(directory / "mlp.bin", [pool])


if __name__ == "__main__":
    main()
