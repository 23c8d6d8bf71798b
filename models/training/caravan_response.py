"""caravan-response: which households answer a mailing about caravan insurance? XGBoost, 500 small trees.

One float input `[rows, 85]`. onnxmltools wants features called f0, f1, ..., so the names of the columns go
into the file's metadata_props under `feature_names` (see common.py).
"""

import json

import numpy as np
import onnx
import pandas as pd
from onnxmltools import convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType
from sklearn.model_selection import train_test_split
from xgboost import XGBClassifier

import common

NAME = "caravan-response"
TARGET = "Purchase"
POSITIVE = 1
# Twice the response rate of the training rows (6%): what is above gains most from a letter.
THRESHOLD = 0.12
SEED = 20240501
MISSING_SHARE = 0.02

SOURCE = common.Source(
    package="ISLP",
    version="0.4.1",
    archive_sha256="191606d2d989239ced24422d3e99c6226ad249603b4ec967427a2990e9fcf5f3",
    member="ISLP/data/Caravan.csv",
    sha256="e89d49b6fb8fe02d76bb5bb80d8e0dab473bf9f6a72515e30c259f6d7da42269",
    source_distribution=False,
)


def load() -> tuple[pd.DataFrame, np.ndarray]:
    data = pd.read_csv(SOURCE.path())
    labels = (data.pop(TARGET) == "Yes").to_numpy(np.int64)
    assert data.shape == (5822, 85)
    return data.astype(np.float32), labels


def estimator() -> XGBClassifier:
    return XGBClassifier(
        n_estimators=500,
        max_depth=3,
        learning_rate=0.01,
        subsample=0.7,
        colsample_bytree=0.3,
        min_child_weight=5,
        reg_lambda=5,
        tree_method="hist",
        objective="binary:logistic",
        random_state=SEED,
        n_jobs=1,
    )


def build() -> common.Trained:
    data, labels = load()
    train, held_out, train_labels, held_out_labels = train_test_split(
        data, labels, test_size=0.3, stratify=labels, random_state=SEED
    )
    # The data has no missing values. A few cells are emptied at random, so that the way a missing value
    # takes through each split is learnt, not an accident.
    matrix = train.to_numpy(copy=True)
    matrix[np.random.default_rng(SEED).random(matrix.shape) < MISSING_SHARE] = np.nan
    model = estimator().fit(matrix, train_labels)

    onnx_model = convert_xgboost(model, NAME, [("input", FloatTensorType([None, len(data.columns)]))])
    onnx.helper.set_model_props(onnx_model, {"feature_names": json.dumps(list(data.columns))})

    def predict(rows: pd.DataFrame):
        values = rows.to_numpy(np.float32)
        return model.predict(values), model.predict_proba(values)

    def feed(rows: pd.DataFrame):
        return {"input": rows.to_numpy(np.float32)}

    score = predict(held_out)[1][:, 1]
    top = np.argsort(-score, kind="stable")[: len(score) // 10]
    return common.Trained(
        name=NAME,
        onnx_model=onnx_model,
        classes=[0, 1],
        positive=POSITIVE,
        threshold=THRESHOLD,
        train_rows=len(train),
        held_out=held_out,
        held_out_labels=held_out_labels,
        predict=predict,
        feed=feed,
        golden=golden_rows(held_out, held_out_labels),
        extra_metrics={"lift_in_top_tenth": round(float(held_out_labels[top].mean() / held_out_labels.mean()), 5)},
    )


def golden_rows(held_out: pd.DataFrame, labels: np.ndarray) -> pd.DataFrame:
    """Held-out rows, ten of them responders; the last ten have one to three cells missing, the last one all."""
    responders = held_out[labels == 1].sample(10, random_state=SEED)
    others = held_out[labels == 0].sample(common.GOLDEN_ROWS - 10, random_state=SEED)
    golden = pd.concat([responders, others]).reset_index(drop=True)
    generator = np.random.default_rng(SEED)
    for row in range(common.GOLDEN_ROWS - 10, common.GOLDEN_ROWS):
        golden.loc[row, generator.choice(golden.columns, size=1 + row % 3, replace=False)] = np.nan
    golden.loc[common.GOLDEN_ROWS - 1] = np.nan
    return golden
