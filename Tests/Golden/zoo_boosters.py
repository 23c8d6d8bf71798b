"""The XGBoost and LightGBM cases of the zoo, by onnxmltools."""

from __future__ import annotations

import lightgbm
import numpy as np
import xgboost
from onnxmltools import convert_lightgbm, convert_xgboost
from onnxmltools.convert.common.data_types import DoubleTensorType, FloatTensorType

from golden import Writer, corner_rows
from zoo_sklearn import classification, real_rows, regression, with_missing

SEED = 0


def cancer_missing():
    x, y = classification("cancer")
    return with_missing(x), y


def counts():
    """Diabetes rows with a count as target."""
    x, y = regression()
    return x, np.round(y / 20)


def with_categories(classes: int = 2):
    """Rows whose first two columns are codes of categories that decide much of the target."""
    generator = np.random.default_rng(8)
    x = generator.normal(size=(1500, 5)).astype(np.float32)
    x[:, 0] = generator.integers(0, 12, len(x))
    x[:, 1] = generator.integers(0, 70, len(x))
    effect = generator.normal(size=12)[x[:, 0].astype(int)] + 1.5 * generator.normal(size=70)[x[:, 1].astype(int)]
    score = effect + x[:, 2] + generator.normal(size=len(x)) * 0.3
    if classes == 0:
        return x, score
    return x, np.digitize(score, np.quantile(score, np.arange(1, classes) / classes)).astype(np.int64)


def category_rows(x: np.ndarray) -> np.ndarray:
    """Real rows, then codes never seen, NaN, and codes that are no whole numbers."""
    rows = real_rows(x)
    odd = rows[:40].copy()
    odd[:10, 0], odd[10:20, 1] = 99, 1000
    odd[20:25, 0], odd[25:30, 1] = np.nan, np.nan
    odd[30:40, 2] = np.nan
    return np.concatenate([rows, odd])


def feeds(model, x, categories: bool) -> dict:
    rows = category_rows(x) if categories else np.concatenate([real_rows(x), corner_rows(model, real_rows(x))])
    return {"X": rows}


def xgb(estimator, data, categories: bool = False):
    def build():
        x, y = data()
        model = estimator.fit(x, y)
        converted = convert_xgboost(model, initial_types=[("X", FloatTensorType([None, x.shape[1]]))])
        return converted, feeds(converted, x, categories)

    return build


def lgbm(estimator, data, categories=(), double: bool = False, **options):
    def build():
        x, y = data()
        model = estimator.fit(x, y, **({"categorical_feature": list(categories)} if categories else {}))
        kind = DoubleTensorType if double else FloatTensorType
        converted = convert_lightgbm(model, initial_types=[("X", kind([None, x.shape[1]]))], **options)
        return converted, feeds(converted, x.astype(np.float64) if double else x, bool(categories))

    return build


def boosters(w: Writer) -> None:
    cancer = lambda: classification("cancer")  # noqa: E731
    wine = lambda: classification("wine")  # noqa: E731
    digits = lambda: classification("digits")  # noqa: E731
    categories = lambda: with_categories(2)  # noqa: E731

    f = "xgboost"
    common = dict(random_state=SEED, n_jobs=1)
    c = lambda **k: xgboost.XGBClassifier(**{"n_estimators": 40, "max_depth": 4, **common, **k})  # noqa: E731
    r = lambda **k: xgboost.XGBRegressor(**{"n_estimators": 40, "max_depth": 4, **common, **k})  # noqa: E731
    w.attempt("xgboost_binary", f, xgb(c(), cancer))
    w.attempt("xgboost_binary_500_trees", f, xgb(c(n_estimators=500, max_depth=6, learning_rate=0.05), cancer))
    w.attempt("xgboost_binary_missing", f, xgb(c(), cancer_missing))
    w.attempt("xgboost_binary_base_score", f, xgb(c(base_score=0.2), cancer))
    w.attempt("xgboost_binary_hinge", f, xgb(c(objective="binary:hinge"), cancer))
    w.attempt("xgboost_multi", f, xgb(c(n_estimators=20), wine))
    w.attempt("xgboost_multi_digits", f, xgb(c(n_estimators=8), digits))
    w.attempt("xgboost_multi_softmax", f, xgb(c(n_estimators=10, objective="multi:softmax"), wine))
    w.attempt("xgboost_multi_missing", f, xgb(c(n_estimators=20), lambda: (with_missing(wine()[0]), wine()[1])))
    w.attempt("xgboost_categories", f, xgb(c(enable_categorical=True, feature_types=["c", "c", "q", "q", "q"]), categories, True))
    w.attempt("xgboost_categories_onehot", f, xgb(c(enable_categorical=True, feature_types=["c", "c", "q", "q", "q"], max_cat_to_onehot=100), categories, True))
    w.attempt("xgboost_regressor", f, xgb(r(), regression))
    w.attempt("xgboost_regressor_missing", f, xgb(r(), lambda: (with_missing(regression()[0]), regression()[1])))
    w.attempt("xgboost_regressor_deep", f, xgb(r(max_depth=0, grow_policy="lossguide", max_leaves=200, min_child_weight=0), regression))
    w.attempt("xgboost_regressor_absolute", f, xgb(r(objective="reg:absoluteerror"), regression))
    w.attempt("xgboost_regressor_categories", f, xgb(r(enable_categorical=True, feature_types=["c", "c", "q", "q", "q"]), lambda: with_categories(0), True))
    w.attempt("xgboost_poisson", f, xgb(r(objective="count:poisson"), counts))
    w.attempt("xgboost_gamma", f, xgb(r(objective="reg:gamma"), regression))
    w.attempt("xgboost_tweedie", f, xgb(r(objective="reg:tweedie"), counts))
    w.attempt("xgboost_logistic_regressor", f, xgb(r(objective="reg:logistic"), cancer))
    w.attempt("xgboost_dart", f, xgb(c(booster="dart", rate_drop=0.2, n_estimators=20), cancer))
    w.attempt("xgboost_random_forest", f, xgb(xgboost.XGBRFRegressor(n_estimators=20, max_depth=5, **common), regression))
    w.attempt("xgboost_multioutput", f, xgb(r(n_estimators=5), lambda: (regression()[0], np.stack([regression()[1], -regression()[1]], 1))))

    f = "lightgbm"
    quiet = dict(verbose=-1, deterministic=True, force_row_wise=True, n_jobs=1, random_state=SEED)
    c = lambda **k: lightgbm.LGBMClassifier(**{"n_estimators": 40, **quiet, **k})  # noqa: E731
    r = lambda **k: lightgbm.LGBMRegressor(**{"n_estimators": 40, **quiet, **k})  # noqa: E731
    w.attempt("lightgbm_binary", f, lgbm(c(), cancer))
    w.attempt("lightgbm_binary_nozipmap", f, lgbm(c(n_estimators=200, num_leaves=15), cancer, zipmap=False))
    w.attempt("lightgbm_binary_missing", f, lgbm(c(), cancer_missing, zipmap=False))
    w.attempt("lightgbm_binary_text", f, lgbm(c(n_estimators=20), lambda: classification("cancer", text=True)))
    w.attempt("lightgbm_multi", f, lgbm(c(n_estimators=15, min_child_samples=5), wine))
    w.attempt("lightgbm_multi_digits", f, lgbm(c(n_estimators=8), digits, zipmap=False))
    w.attempt("lightgbm_multi_ova", f, lgbm(c(n_estimators=10, objective="multiclassova", num_class=3), wine, zipmap=False))
    w.attempt("lightgbm_categories", f, lgbm(c(n_estimators=20, max_cat_to_onehot=1), categories, (0, 1), zipmap=False))
    w.attempt("lightgbm_categories_multi", f, lgbm(c(n_estimators=8), lambda: with_categories(3), (0, 1), zipmap=False))
    w.attempt("lightgbm_random_forest", f, lgbm(c(boosting_type="rf", bagging_freq=1, bagging_fraction=0.7, n_estimators=20), cancer, zipmap=False))
    w.attempt("lightgbm_dart", f, lgbm(c(boosting_type="dart", n_estimators=20), cancer, zipmap=False))
    w.attempt("lightgbm_regressor", f, lgbm(r(), regression))
    w.attempt("lightgbm_regressor_double", f, lgbm(r(), regression, double=True))
    w.attempt("lightgbm_regressor_missing", f, lgbm(r(), lambda: (with_missing(regression()[0]), regression()[1])))
    w.attempt("lightgbm_regressor_split", f, lgbm(r(n_estimators=60), regression, split=20))
    w.attempt("lightgbm_regressor_categories", f, lgbm(r(n_estimators=20), lambda: with_categories(0), (0, 1)))
    w.attempt("lightgbm_regressor_random_forest", f, lgbm(r(boosting_type="rf", bagging_freq=1, bagging_fraction=0.7, n_estimators=20), regression))
    w.attempt("lightgbm_poisson", f, lgbm(r(objective="poisson"), counts))
    w.attempt("lightgbm_tweedie", f, lgbm(r(objective="tweedie"), counts))
    w.attempt("lightgbm_gamma", f, lgbm(r(objective="gamma"), regression))
    w.attempt("lightgbm_huber", f, lgbm(r(objective="huber"), regression))
