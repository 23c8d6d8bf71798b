"""The scikit-learn cases of the zoo, by skl2onnx."""

from __future__ import annotations

import pathlib
import sys

import numpy as np
import pandas as pd
from onnx import TensorProto
from sklearn import datasets
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    BaggingClassifier,
    BaggingRegressor,
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import (
    ElasticNet,
    Lasso,
    LinearRegression,
    LogisticRegression,
    PoissonRegressor,
    Ridge,
    RidgeClassifier,
    SGDClassifier,
    SGDRegressor,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor
from sklearn.naive_bayes import BernoulliNB, ComplementNB, GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    Binarizer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    RobustScaler,
    StandardScaler,
)
from sklearn.svm import LinearSVC, LinearSVR
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from skl2onnx import to_onnx
from skl2onnx.common.data_types import (
    BooleanTensorType,
    DoubleTensorType,
    FloatTensorType,
    Int64TensorType,
    StringTensorType,
)

from golden import Writer, corner_rows

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "models" / "training"))
import credit_risk  # noqa: E402  (the German credit data, fetched and checked as for the model)

ROWS = 140
TENSORS = {
    np.dtype(np.float32): FloatTensorType,
    np.dtype(np.float64): DoubleTensorType,
    np.dtype(np.int64): Int64TensorType,
    np.dtype(np.bool_): BooleanTensorType,
}


def classification(name: str, dtype=np.float32, text: bool = False):
    """Rows and labels; text labels are the data's own class names."""
    data = {"iris": datasets.load_iris, "wine": datasets.load_wine, "cancer": datasets.load_breast_cancer, "digits": datasets.load_digits}[name]()
    labels = np.array([str(data.target_names[t]) for t in data.target]) if text else data.target.astype(np.int64)
    return data.data.astype(np.float32).astype(dtype), labels


def regression(dtype=np.float32):
    data = datasets.load_diabetes()
    return data.data.astype(np.float32).astype(dtype), data.target


def with_missing(x: np.ndarray, share: float = 0.1) -> np.ndarray:
    x = x.copy()
    x[np.random.default_rng(3).random(x.shape) < share] = np.nan
    return x


def real_rows(x: np.ndarray) -> np.ndarray:
    return x[np.random.default_rng(1).permutation(len(x))[:ROWS]]


def convert(model, x, options=None, float_outputs: bool = False, **more):
    """The model with one matrix input.

    float_outputs: for double inputs skl2onnx declares double scores, while the tree operators give float ones,
    and ONNX Runtime refuses the file for it. The declaration is corrected, the graph stays as it is.
    """
    initial = [("X", TENSORS[x.dtype]([None, x.shape[1]]))]
    if options is not None:
        options = {id(model): options}
    converted = to_onnx(model, initial_types=initial, options=options, **more)
    if float_outputs:
        for output in converted.graph.output:
            if output.type.tensor_type.elem_type == TensorProto.DOUBLE:
                output.type.tensor_type.elem_type = TensorProto.FLOAT
    return converted


def fitted(estimator, data, trees: bool = False, options=None, **more):
    """A case: fit on all rows, convert for the type of the rows, ask for some of them (and corners, for trees)."""

    def build():
        x, y = data() if callable(data) else data
        model = estimator.fit(x, y) if y is not None else estimator.fit(x)
        onnx_model = convert(model, x, options, **more)
        rows = real_rows(x)
        if trees:
            rows = np.concatenate([rows, corner_rows(onnx_model, rows)])
        return onnx_model, {"X": rows}

    return build


NO_ZIPMAP = {"zipmap": False}


def estimators(w: Writer) -> None:
    iris, wine, cancer, digits = (lambda n=n, **k: classification(n, **k) for n in ("iris", "wine", "cancer", "digits"))
    scaled = lambda: (StandardScaler().fit_transform(cancer()[0]).astype(np.float32), cancer()[1])  # noqa: E731
    iris_text = lambda: iris(text=True)  # noqa: E731
    cancer_text = lambda: cancer(text=True)  # noqa: E731
    wine64 = lambda: wine(dtype=np.float64)  # noqa: E731
    cancer64 = lambda: cancer(dtype=np.float64)  # noqa: E731
    diabetes64 = lambda: regression(np.float64)  # noqa: E731

    # Linear classifiers
    f = "logistic"
    lr = lambda **k: LogisticRegression(max_iter=500, **k)  # noqa: E731
    w.attempt("logistic_binary", f, fitted(lr(), scaled))
    w.attempt("logistic_binary_nozipmap", f, fitted(lr(), scaled, options=NO_ZIPMAP))
    w.attempt("logistic_binary_columns", f, fitted(lr(), scaled, options={"zipmap": "columns"}))
    w.attempt("logistic_binary_raw_scores", f, fitted(lr(), scaled, options={"zipmap": False, "raw_scores": True}))
    w.attempt("logistic_multi_text", f, fitted(lr(), iris_text))
    w.attempt("logistic_multi_text_columns", f, fitted(lr(), iris_text, options={"zipmap": "columns"}))
    w.attempt("logistic_multi_class_labels", f, fitted(lr(), iris, options={"zipmap": False, "output_class_labels": True}))
    w.attempt("logistic_ovr_text", f, fitted(OneVsRestClassifier(lr()), iris_text, options=NO_ZIPMAP))
    w.attempt("logistic_ovr_liblinear", f, fitted(OneVsRestClassifier(LogisticRegression(solver="liblinear")), wine, options=NO_ZIPMAP))
    w.attempt("logistic_double", f, fitted(lr(), lambda: iris(dtype=np.float64), options=NO_ZIPMAP))
    w.attempt("logistic_binary_double", f, fitted(make_pipeline(StandardScaler(), lr()), cancer64, options=NO_ZIPMAP))
    w.attempt("logistic_int64", f, fitted(lr(), lambda: digits(dtype=np.int64), options=NO_ZIPMAP))
    w.attempt("ridge_classifier", f, fitted(RidgeClassifier(), iris_text, options=NO_ZIPMAP))

    f = "sgd"
    for loss in ("log_loss", "modified_huber", "hinge"):
        options = None if loss == "hinge" else NO_ZIPMAP
        w.attempt(f"sgd_classifier_{loss}", f, fitted(SGDClassifier(loss=loss, random_state=0), scaled, options=options))
        w.attempt(f"sgd_classifier_{loss}_multi", f, fitted(SGDClassifier(loss=loss, random_state=0), iris_text, options=options))
    w.attempt("sgd_regressor", f, fitted(SGDRegressor(random_state=0), regression))

    f = "linear_svm"
    w.attempt("linear_svc_binary", f, fitted(LinearSVC(random_state=0), scaled))
    w.attempt("linear_svc_multi_text", f, fitted(LinearSVC(random_state=0), iris_text))
    w.attempt("linear_svr", f, fitted(LinearSVR(random_state=0), regression))

    # Linear regressors
    f = "linear_regression"
    w.attempt("linear_regression", f, fitted(LinearRegression(), regression))
    w.attempt("linear_regression_double", f, fitted(LinearRegression(), diabetes64))
    w.attempt("linear_regression_int64", f, fitted(LinearRegression(), lambda: (digits(dtype=np.int64)[0], digits()[1] * 1.5)))
    linnerud = datasets.load_linnerud()
    exercise = np.tile(linnerud.data.astype(np.float32), (8, 1)), np.tile(linnerud.target, (8, 1))
    w.attempt("linear_regression_multioutput", f, fitted(LinearRegression(), exercise))
    w.attempt("ridge", f, fitted(Ridge(), regression))
    w.attempt("lasso", f, fitted(Lasso(alpha=0.5), regression))
    w.attempt("elastic_net", f, fitted(ElasticNet(alpha=0.01), regression))
    w.attempt("elastic_net_double", f, fitted(ElasticNet(alpha=0.01), diabetes64))
    w.attempt("poisson_regressor", f, fitted(PoissonRegressor(), regression))

    # Trees
    f = "decision_tree"
    w.attempt("decision_tree_binary", f, fitted(DecisionTreeClassifier(random_state=0), cancer, trees=True))
    w.attempt("decision_tree_multi_text", f, fitted(DecisionTreeClassifier(max_depth=3, random_state=0), iris_text, trees=True))
    w.attempt("decision_tree_stump_columns", f, fitted(DecisionTreeClassifier(max_depth=1), cancer_text, trees=True, options={"zipmap": "columns"}))
    w.attempt("decision_tree_double", f, fitted(DecisionTreeClassifier(random_state=0), wine64, trees=True, options=NO_ZIPMAP, float_outputs=True, target_opset={"": 22, "ai.onnx.ml": 3}))
    w.attempt("decision_tree_int64", f, fitted(DecisionTreeClassifier(random_state=0, max_depth=8), lambda: digits(dtype=np.int64), trees=True, options=NO_ZIPMAP))
    w.attempt("decision_tree_regressor", f, fitted(DecisionTreeRegressor(random_state=0), regression, trees=True))
    w.attempt("decision_tree_regressor_double", f, fitted(DecisionTreeRegressor(max_depth=5, random_state=0), diabetes64, trees=True, float_outputs=True, target_opset={"": 22, "ai.onnx.ml": 3}))
    w.attempt("decision_tree_one_leaf", f, fitted(DecisionTreeRegressor(max_depth=1, min_samples_leaf=300), regression, trees=True))
    w.attempt("decision_tree_one_leaf_classifier", f, fitted(DecisionTreeClassifier(min_samples_leaf=400), cancer, trees=True, options=NO_ZIPMAP))
    w.attempt("decision_tree_missing", f, fitted(DecisionTreeClassifier(max_depth=6, random_state=0), lambda: (with_missing(cancer()[0]), cancer()[1]), trees=True))
    w.attempt("decision_tree_multioutput_regressor", f, fitted(DecisionTreeRegressor(random_state=0), exercise, trees=True))

    f = "random_forest"
    w.attempt("random_forest_binary", f, fitted(RandomForestClassifier(30, random_state=0), cancer, trees=True))
    w.attempt("random_forest_binary_text", f, fitted(RandomForestClassifier(10, max_depth=4, random_state=0), cancer_text, trees=True))
    w.attempt("random_forest_multi_text", f, fitted(RandomForestClassifier(20, max_depth=5, random_state=0), iris_text, trees=True, options=NO_ZIPMAP))
    w.attempt("random_forest_digits_full", f, fitted(RandomForestClassifier(12, random_state=0), digits, trees=True, options=NO_ZIPMAP))
    w.attempt("random_forest_int64", f, fitted(RandomForestClassifier(8, max_depth=9, random_state=0), lambda: digits(dtype=np.int64), trees=True, options=NO_ZIPMAP))
    w.attempt("random_forest_double", f, fitted(RandomForestClassifier(10, random_state=0), wine64, trees=True, options=NO_ZIPMAP, float_outputs=True, target_opset={"": 22, "ai.onnx.ml": 3}))
    w.attempt("random_forest_missing", f, fitted(RandomForestClassifier(10, random_state=0), lambda: (with_missing(cancer()[0]), cancer()[1]), trees=True, options=NO_ZIPMAP))
    w.attempt("random_forest_regressor_full", f, fitted(RandomForestRegressor(20, random_state=0), regression, trees=True))
    w.attempt("random_forest_regressor_shallow", f, fitted(RandomForestRegressor(100, max_depth=4, random_state=0), regression, trees=True))
    w.attempt("random_forest_regressor_double", f, fitted(RandomForestRegressor(10, random_state=0), diabetes64, trees=True, float_outputs=True, target_opset={"": 22, "ai.onnx.ml": 3}))
    w.attempt("random_forest_multioutput_regressor", f, fitted(RandomForestRegressor(10, random_state=0), exercise, trees=True))
    two = lambda: (iris()[0], np.stack([iris()[1], (iris()[1] > 0).astype(np.int64)], 1))  # noqa: E731
    w.attempt("random_forest_multioutput_classifier", f, fitted(RandomForestClassifier(10, random_state=0), two, trees=True, options=NO_ZIPMAP))
    w.attempt("random_forest_leaf_and_path", f, fitted(RandomForestClassifier(5, max_depth=3, random_state=0), iris, trees=True, options={"zipmap": False, "decision_leaf": True}))

    f = "extra_trees"
    w.attempt("extra_trees_classifier", f, fitted(ExtraTreesClassifier(20, random_state=0), wine, trees=True, options=NO_ZIPMAP))
    w.attempt("extra_trees_regressor", f, fitted(ExtraTreesRegressor(15, random_state=0), regression, trees=True))

    f = "gradient_boosting"
    gb, gbr = GradientBoostingClassifier, GradientBoostingRegressor
    w.attempt("gradient_boosting_binary", f, fitted(gb(n_estimators=60, random_state=0), cancer, trees=True))
    w.attempt("gradient_boosting_binary_text", f, fitted(gb(n_estimators=200, max_depth=2, random_state=0), cancer_text, trees=True, options=NO_ZIPMAP))
    w.attempt("gradient_boosting_multi_text", f, fitted(gb(n_estimators=30, random_state=0), iris_text, trees=True))
    w.attempt("gradient_boosting_digits", f, fitted(gb(n_estimators=5, max_depth=4, random_state=0), digits, trees=True, options=NO_ZIPMAP))
    w.attempt("gradient_boosting_raw_scores", f, fitted(gb(n_estimators=20, random_state=0), cancer, trees=True, options={"zipmap": False, "raw_scores": True}))
    w.attempt("gradient_boosting_exponential", f, fitted(gb(n_estimators=20, loss="exponential", random_state=0), cancer, trees=True, options=NO_ZIPMAP))
    w.attempt("gradient_boosting_zero_init", f, fitted(gb(n_estimators=20, init="zero", random_state=0), cancer, trees=True, options=NO_ZIPMAP))
    w.attempt("gradient_boosting_double", f, fitted(gb(n_estimators=20, random_state=0), cancer64, trees=True, options=NO_ZIPMAP, float_outputs=True, target_opset={"": 22, "ai.onnx.ml": 3}))
    w.attempt("gradient_boosting_regressor", f, fitted(gbr(n_estimators=80, random_state=0), regression, trees=True))
    w.attempt("gradient_boosting_regressor_huber", f, fitted(gbr(n_estimators=30, loss="huber", random_state=0), regression, trees=True))
    w.attempt("gradient_boosting_regressor_double", f, fitted(gbr(n_estimators=30, random_state=0), diabetes64, trees=True, float_outputs=True, target_opset={"": 22, "ai.onnx.ml": 3}))

    f = "hist_gradient_boosting"
    hgb, hgbr = HistGradientBoostingClassifier, HistGradientBoostingRegressor
    missing = lambda: (with_missing(cancer()[0]), cancer()[1])  # noqa: E731
    w.attempt("hist_gradient_boosting_binary_missing", f, fitted(hgb(max_iter=40, random_state=0), missing, trees=True))
    w.attempt("hist_gradient_boosting_multi_missing", f, fitted(hgb(max_iter=20, random_state=0), lambda: (with_missing(wine()[0]), wine(text=True)[1]), trees=True, options=NO_ZIPMAP))
    w.attempt("hist_gradient_boosting_double_missing", f, fitted(hgb(max_iter=20, random_state=0), lambda: (with_missing(cancer64()[0]), cancer()[1]), trees=True, options=NO_ZIPMAP, float_outputs=True, target_opset={"": 22, "ai.onnx.ml": 3}))
    w.attempt("hist_gradient_boosting_regressor", f, fitted(hgbr(max_iter=50, random_state=0), regression, trees=True))
    w.attempt("hist_gradient_boosting_regressor_missing", f, fitted(hgbr(max_iter=50, max_leaf_nodes=15, random_state=0), lambda: (with_missing(regression()[0]), regression()[1]), trees=True))
    w.attempt("hist_gradient_boosting_poisson", f, fitted(hgbr(max_iter=20, loss="poisson", random_state=0), regression, trees=True))

    # Ensembles of others
    f = "ada_boost"
    stump = DecisionTreeClassifier(max_depth=2, random_state=0)
    w.attempt("ada_boost_binary", f, fitted(AdaBoostClassifier(stump, n_estimators=15, random_state=0), cancer, trees=True, options=NO_ZIPMAP))
    w.attempt("ada_boost_multi_text", f, fitted(AdaBoostClassifier(stump, n_estimators=10, random_state=0), iris_text, trees=True))
    w.attempt("ada_boost_regressor", f, fitted(AdaBoostRegressor(n_estimators=15, random_state=0), regression, trees=True))

    f = "bagging"
    w.attempt("bagging_trees", f, fitted(BaggingClassifier(DecisionTreeClassifier(max_depth=5), n_estimators=8, random_state=0), cancer, trees=True, options=NO_ZIPMAP))
    w.attempt("bagging_trees_some_features", f, fitted(BaggingClassifier(DecisionTreeClassifier(max_depth=4), n_estimators=6, max_features=0.5, random_state=0), iris_text, options=NO_ZIPMAP))
    w.attempt("bagging_logistic", f, fitted(BaggingClassifier(lr(), n_estimators=4, random_state=0), iris_text))
    w.attempt("bagging_regressor", f, fitted(BaggingRegressor(DecisionTreeRegressor(max_depth=5), n_estimators=8, random_state=0), regression, trees=True))

    f = "voting"
    members = [("lr", lr()), ("rf", RandomForestClassifier(5, max_depth=4, random_state=0)), ("nb", GaussianNB())]
    w.attempt("voting_soft", f, fitted(VotingClassifier(members, voting="soft", flatten_transform=False), iris_text))
    w.attempt("voting_soft_weights", f, fitted(VotingClassifier(members, voting="soft", weights=np.array([1, 2, 3]), flatten_transform=False), wine, options=NO_ZIPMAP))
    w.attempt("voting_hard", f, fitted(VotingClassifier(members, voting="hard", flatten_transform=False), iris_text))
    w.attempt("voting_hard_int", f, fitted(VotingClassifier(members[:2], voting="hard", flatten_transform=False), wine))
    w.attempt("voting_regressor", f, fitted(VotingRegressor([("a", LinearRegression()), ("b", DecisionTreeRegressor(max_depth=4))]), regression))

    f = "stacking"
    w.attempt("stacking_classifier", f, fitted(StackingClassifier(members[:2], final_estimator=lr(), cv=3), iris_text, options=NO_ZIPMAP))
    w.attempt("stacking_regressor", f, fitted(StackingRegressor([("a", Ridge()), ("b", DecisionTreeRegressor(max_depth=4))], cv=3), regression))

    f = "calibrated"
    cal = CalibratedClassifierCV
    for method in ("sigmoid", "isotonic"):
        w.attempt(f"calibrated_{method}_trees", f, fitted(cal(RandomForestClassifier(8, max_depth=4, random_state=0), method=method, cv=2), cancer, options=NO_ZIPMAP))
        w.attempt(f"calibrated_{method}_logistic_multi", f, fitted(cal(lr(), method=method, cv=2), iris_text, options=NO_ZIPMAP))
    w.attempt("calibrated_sigmoid_linear_svc", f, fitted(cal(LinearSVC(random_state=0), cv=2), scaled))
    w.attempt("calibrated_sigmoid_boosting_single", f, fitted(cal(gb(n_estimators=20, random_state=0), cv=2, ensemble=False), cancer_text, options=NO_ZIPMAP))

    f = "multi_model"
    w.attempt("one_vs_rest_trees", f, fitted(OneVsRestClassifier(DecisionTreeClassifier(max_depth=4, random_state=0)), iris_text, trees=True, options=NO_ZIPMAP))
    w.attempt("one_vs_rest_boosting", f, fitted(OneVsRestClassifier(gb(n_estimators=10, random_state=0)), wine, options=NO_ZIPMAP))
    w.attempt("multi_output_classifier", f, fitted(MultiOutputClassifier(lr()), two, options=NO_ZIPMAP))
    w.attempt("multi_output_classifier_trees", f, fitted(MultiOutputClassifier(DecisionTreeClassifier(max_depth=3, random_state=0)), two, trees=True, options=NO_ZIPMAP))
    w.attempt("multi_output_regressor", f, fitted(MultiOutputRegressor(gbr(n_estimators=5, random_state=0)), exercise, trees=True))

    # Networks, Bayes, clusters
    f = "mlp"
    unit = lambda: (MinMaxScaler().fit_transform(cancer()[0]).astype(np.float32), cancer()[1])  # noqa: E731
    for activation in ("relu", "tanh", "logistic", "identity"):
        w.attempt(f"mlp_classifier_{activation}", f, fitted(MLPClassifier((16, 8), activation=activation, max_iter=80, random_state=0), unit, options=NO_ZIPMAP))
    w.attempt("mlp_classifier_multi_text", f, fitted(MLPClassifier((12,), max_iter=150, random_state=0), iris_text))
    w.attempt("mlp_classifier_double", f, fitted(MLPClassifier((12,), max_iter=150, random_state=0), lambda: iris(dtype=np.float64), options=NO_ZIPMAP))
    w.attempt("mlp_regressor", f, fitted(MLPRegressor(hidden_layer_sizes=(16,), max_iter=200, random_state=0), regression))
    w.attempt("mlp_regressor_multioutput", f, fitted(make_pipeline(StandardScaler(), MLPRegressor(hidden_layer_sizes=(8,), max_iter=100, random_state=0)), exercise))

    f = "naive_bayes"
    # A few pixels from 0 to 1: with all 64 of them the logarithms add up to hundreds, and single precision then has no
    # sixth digit to compare after the exponential.
    pixels = lambda: (digits()[0][:, 26:37] / np.float32(16), digits()[1])  # noqa: E731
    w.attempt("gaussian_nb", f, fitted(GaussianNB(), iris_text, options=NO_ZIPMAP))
    w.attempt("gaussian_nb_binary_double", f, fitted(GaussianNB(), cancer64, options=NO_ZIPMAP))
    w.attempt("bernoulli_nb", f, fitted(BernoulliNB(binarize=0.4), pixels, options=NO_ZIPMAP))
    w.attempt("multinomial_nb", f, fitted(MultinomialNB(), pixels, options=NO_ZIPMAP))
    w.attempt("multinomial_nb_int64", f, fitted(MultinomialNB(), lambda: digits(dtype=np.int64)))
    w.attempt("complement_nb", f, fitted(ComplementNB(), pixels, options=NO_ZIPMAP))

    f = "clusters"
    alone = lambda data: (lambda: (data()[0], None))  # noqa: E731
    w.attempt("kmeans", f, fitted(KMeans(4, n_init=2, random_state=0), alone(iris)))
    w.attempt("kmeans_double", f, fitted(KMeans(3, n_init=2, random_state=0), alone(wine64)))
    w.attempt("minibatch_kmeans", f, fitted(MiniBatchKMeans(5, n_init=2, random_state=0), alone(iris)))

    f = "neighbours"
    # Without the option skl2onnx exports a Scan.
    cdist = {"optim": "cdist"}
    w.attempt("neighbours_classifier", f, fitted(KNeighborsClassifier(5), iris_text, options={**cdist, **NO_ZIPMAP}))
    w.attempt("neighbours_classifier_distance", f, fitted(KNeighborsClassifier(4, weights="distance"), iris, options={**cdist, **NO_ZIPMAP}))
    w.attempt("neighbours_classifier_double", f, fitted(KNeighborsClassifier(3), wine64, options={**cdist, **NO_ZIPMAP}))
    w.attempt("neighbours_regressor", f, fitted(KNeighborsRegressor(4), regression, options=cdist))
    w.attempt("neighbours_regressor_distance", f, fitted(KNeighborsRegressor(4, weights="distance"), regression, options=cdist))

    # Transformers
    f = "scalers"
    w.attempt("standard_scaler", f, fitted(StandardScaler(), alone(wine)))
    w.attempt("standard_scaler_div", f, fitted(StandardScaler(), alone(wine), options={"div": "div"}))
    w.attempt("standard_scaler_double", f, fitted(StandardScaler(), alone(wine64)))
    w.attempt("standard_scaler_no_mean", f, fitted(StandardScaler(with_mean=False), alone(wine)))
    w.attempt("min_max_scaler", f, fitted(MinMaxScaler(), alone(wine)))
    w.attempt("min_max_scaler_clip", f, fitted(MinMaxScaler((-1, 1), clip=True), alone(wine)))
    w.attempt("max_abs_scaler", f, fitted(MaxAbsScaler(), alone(wine)))
    w.attempt("robust_scaler", f, fitted(RobustScaler(), alone(wine)))
    w.attempt("robust_scaler_double", f, fitted(RobustScaler(), alone(wine64)))
    for norm in ("l1", "l2", "max"):
        w.attempt(f"normalizer_{norm}", f, fitted(Normalizer(norm), alone(regression)))
    w.attempt("normalizer_l2_double", f, fitted(Normalizer("l2"), alone(diabetes64)))
    w.attempt("binarizer", f, fitted(Binarizer(threshold=2.0), alone(iris)))

    f = "features"
    w.attempt("polynomial_features", f, fitted(PolynomialFeatures(3), alone(iris)))
    w.attempt("polynomial_features_interactions", f, fitted(PolynomialFeatures(2, interaction_only=True, include_bias=False), alone(iris)))
    w.attempt("polynomial_features_double", f, fitted(PolynomialFeatures(2), lambda: (iris(dtype=np.float64)[0], None)))
    w.attempt("pca", f, fitted(PCA(5), alone(wine)))
    w.attempt("pca_whiten", f, fitted(PCA(3, whiten=True), alone(iris)))
    w.attempt("pca_double", f, fitted(PCA(3), alone(wine64)))
    w.attempt("truncated_svd", f, fitted(TruncatedSVD(4, random_state=0), alone(wine)))
    w.attempt("feature_union", f, fitted(FeatureUnion([("pca", PCA(2)), ("scaler", MinMaxScaler())]), alone(wine)))
    for strategy in ("ordinal", "onehot-dense"):
        for bins in ("uniform", "quantile"):
            k = KBinsDiscretizer(4, encode=strategy, strategy=bins, quantile_method="averaged_inverted_cdf")
            w.attempt(f"kbins_{strategy.replace('-', '_')}_{bins}", f, fitted(k, alone(iris)))
    w.attempt("kbins_onehot_sparse", f, fitted(KBinsDiscretizer(5, encode="onehot", quantile_method="averaged_inverted_cdf"), alone(wine)))

    f = "imputer"
    holes = lambda data: (lambda: (with_missing(data()[0], 0.2), None))  # noqa: E731
    for strategy in ("mean", "median", "most_frequent", "constant"):
        w.attempt(f"simple_imputer_{strategy}", f, fitted(SimpleImputer(strategy=strategy, **({"fill_value": -7.5} if strategy == "constant" else {})), holes(iris)))
    w.attempt("simple_imputer_double", f, fitted(SimpleImputer(strategy="median"), holes(wine64)))
    w.attempt("simple_imputer_missing_int64", f, fitted(SimpleImputer(missing_values=0, strategy="most_frequent"), alone(lambda: digits(dtype=np.int64))))
    w.attempt("imputer_then_logistic", f, fitted(make_pipeline(SimpleImputer(), StandardScaler(), lr()), missing, options=None))


# --- text columns -----------------------------------------------------------------------------------------------


def pipelines(w: Writer) -> None:
    data, labels, text, numeric = credit_risk.load()
    bad = (labels == "bad").astype(np.int64)
    sample = data.sample(ROWS + 40, random_state=2).reset_index(drop=True)
    rows = sample.copy()
    generator = np.random.default_rng(4)
    for row in range(ROWS, len(rows)):
        rows.loc[row, generator.choice(text)] = generator.choice(["", "never seen", "\u00e4\u00f6\u00fc \u2026 \U0001f985", " none", "None"])

    def feed_of(frame):
        return {c: frame[[c]].to_numpy(object if c in text else np.float32) for c in frame}

    def types_of(frame):
        return [(c, StringTensorType([None, 1]) if c in text else FloatTensorType([None, 1])) for c in frame]

    def encoder(estimator, columns, seen_only=True, **more):
        def build():
            model = estimator.fit(data[columns])
            initial = [("X", StringTensorType([None, len(columns)]))]
            asked = sample if seen_only else rows
            return to_onnx(model, initial_types=initial, **more), {"X": asked[columns].to_numpy(object)}

        return build

    f = "encoders"
    three = ["purpose", "housing", "job"]
    dense = dict(sparse_output=False)
    w.attempt("one_hot_strings_ignore", f, encoder(OneHotEncoder(handle_unknown="ignore", **dense), three, seen_only=False))
    w.attempt("one_hot_strings_sparse", f, encoder(OneHotEncoder(handle_unknown="ignore"), three, seen_only=False))
    w.attempt("one_hot_strings_error", f, encoder(OneHotEncoder(**dense), three))
    w.attempt("one_hot_strings_drop_first", f, encoder(OneHotEncoder(drop="first", **dense), three))
    w.attempt("one_hot_strings_drop_if_binary", f, encoder(OneHotEncoder(drop="if_binary", **dense), ["telephone", "housing"]))
    w.attempt("one_hot_strings_infrequent", f, encoder(OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=60, **dense), three, seen_only=False))
    w.attempt("ordinal_strings", f, encoder(OrdinalEncoder(), three))
    w.attempt("ordinal_strings_unknown", f, encoder(OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), three, seen_only=False))
    w.attempt("simple_imputer_strings_most_frequent", f, encoder(SimpleImputer(strategy="most_frequent", missing_values=""), three, seen_only=False))
    w.attempt("simple_imputer_strings_constant", f, encoder(SimpleImputer(strategy="constant", missing_values="", fill_value="missing"), three, seen_only=False))

    numbers = data[["installment_rate_in_percentage_of_disposable_income", "present_residence_since", "age_in_years"]].to_numpy(np.int64)
    asked = np.concatenate([numbers[:ROWS], numbers[:10] + 100, numbers[:10] - 100])
    for kind in (np.int64, np.float32):
        def build(kind=kind, estimator=OneHotEncoder(handle_unknown="ignore", **dense)):
            model = estimator.fit(numbers.astype(kind))
            return convert(model, numbers.astype(kind)), {"X": asked.astype(kind)}

        w.attempt(f"one_hot_{np.dtype(kind).name}", f, build)

        def build_ordinal(kind=kind):
            model = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1).fit(numbers.astype(kind))
            return convert(model, numbers.astype(kind)), {"X": asked.astype(kind)}

        w.attempt(f"ordinal_{np.dtype(kind).name}", f, build_ordinal)

    def columns(impute=False, scale=True):
        start = [SimpleImputer(strategy="most_frequent", missing_values="")] if impute else []
        end = [SimpleImputer(strategy="median")] + ([StandardScaler()] if scale else [])
        return ColumnTransformer(
            [("text", make_pipeline(*start, OneHotEncoder(handle_unknown="ignore")), text), ("numeric", make_pipeline(*end), numeric)]
        )

    def credit(estimator, target=labels, options=NO_ZIPMAP, missing=False, **more):
        def build():
            model = make_pipeline(columns(**more), estimator).fit(data, target)
            onnx_model = to_onnx(model, initial_types=types_of(data), options={id(model): options} if options else None)
            frame = rows.copy()
            if missing:
                for row in range(0, len(frame), 3):
                    frame.loc[row, numeric[row % len(numeric)]] = np.nan
            return onnx_model, feed_of(frame)

        return build

    f = "column_transformer"
    w.attempt("credit_logistic", f, credit(LogisticRegression(max_iter=500)))
    w.attempt("credit_logistic_zipmap_text", f, credit(LogisticRegression(max_iter=500), options=None))
    w.attempt("credit_logistic_columns", f, credit(LogisticRegression(max_iter=500), target=bad, options={"zipmap": "columns"}))
    w.attempt("credit_gradient_boosting", f, credit(GradientBoostingClassifier(n_estimators=40, random_state=0), scale=False, missing=True))
    w.attempt("credit_gradient_boosting_impute_text", f, credit(GradientBoostingClassifier(n_estimators=20, random_state=0), impute=True, scale=False, missing=True))
    w.attempt("credit_gradient_boosting_scaled", f, credit(GradientBoostingClassifier(n_estimators=20, random_state=0), target=bad))
    w.attempt("credit_random_forest", f, credit(RandomForestClassifier(15, max_depth=8, random_state=0), scale=False, missing=True))
    w.attempt("credit_calibrated", f, credit(CalibratedClassifierCV(GradientBoostingClassifier(n_estimators=15, random_state=0), cv=3), scale=False, missing=True))
    w.attempt("credit_regressor", f, credit(GradientBoostingRegressor(n_estimators=20, random_state=0), target=data["credit_amount"] / 100, options=None, scale=False))
    w.attempt("credit_mlp", f, credit(MLPClassifier((8,), max_iter=60, random_state=0)))

    def ordinal_hist():
        chosen = ["purpose", "housing", "duration_in_month", "credit_amount"]
        encode = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
        start = ColumnTransformer([("text", encode, chosen[:2])], remainder="passthrough")
        model = make_pipeline(start, HistGradientBoostingClassifier(max_iter=15, random_state=0)).fit(data[chosen], labels)
        return to_onnx(model, initial_types=types_of(data[chosen]), options={id(model): NO_ZIPMAP}), feed_of(rows[chosen])

    w.attempt("credit_ordinal_hist_boosting_passthrough", f, ordinal_hist)

    def matrix_columns():
        x, y = classification("wine")
        blocks = ColumnTransformer([("scale", StandardScaler(), [0, 2, 4]), ("bins", MinMaxScaler(), slice(5, 9))], remainder="drop")
        model = make_pipeline(blocks, LogisticRegression(max_iter=300)).fit(x, y)
        return convert(model, x, NO_ZIPMAP), {"X": real_rows(x)}

    w.attempt("matrix_column_transformer", f, matrix_columns)

    def mixed_types():
        frame = pd.DataFrame(
            {
                "word": data["purpose"],
                "whole": data["age_in_years"].astype(np.int64),
                "real": data["credit_amount"].astype(np.float32),
            }
        )
        start = ColumnTransformer(
            [("w", OneHotEncoder(handle_unknown="ignore"), ["word"]), ("n", StandardScaler(), ["whole"]), ("r", "passthrough", ["real"])]
        )
        model = make_pipeline(start, RandomForestClassifier(8, max_depth=5, random_state=0)).fit(frame, labels)
        initial = [("word", StringTensorType([None, 1])), ("whole", Int64TensorType([None, 1])), ("real", FloatTensorType([None, 1]))]
        some = frame.iloc[:ROWS]
        feeds = {"word": some[["word"]].to_numpy(object), "whole": some[["whole"]].to_numpy(), "real": some[["real"]].to_numpy()}
        return to_onnx(model, initial_types=initial), feeds

    w.attempt("text_int64_and_float_columns", f, mixed_types)
