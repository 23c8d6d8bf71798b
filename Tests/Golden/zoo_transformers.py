"""Transformers, decompositions, selections of columns and discriminants of the zoo, by skl2onnx."""

from __future__ import annotations

import numpy as np
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA, IncrementalPCA, KernelPCA, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier, RandomTreesEmbedding
from sklearn.feature_selection import (
    RFE,
    RFECV,
    GenericUnivariateSelect,
    SelectFdr,
    SelectFpr,
    SelectFromModel,
    SelectFwe,
    SelectKBest,
    SelectPercentile,
    VarianceThreshold,
    chi2,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import BernoulliNB, CategoricalNB, ComplementNB, GaussianNB, MultinomialNB
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    KernelCenterer,
    LabelBinarizer,
    LabelEncoder,
    MinMaxScaler,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    StandardScaler,
    TargetEncoder,
)
from sklearn.random_projection import GaussianRandomProjection
from skl2onnx import to_onnx
from skl2onnx.common.data_types import Int64TensorType, StringTensorType

from golden import Writer
from zoo_sklearn import NO_ZIPMAP, classification, credit_risk, fitted, with_missing


def alone(data):
    return lambda: (data()[0], None)


def transformers(w: Writer) -> None:
    iris, wine, digits = (lambda n=n, **k: classification(n, **k) for n in ("iris", "wine", "digits"))
    iris64, wine64 = (lambda d=d: d(dtype=np.float64) for d in (iris, wine))
    iris_text = lambda: iris(text=True)  # noqa: E731

    f = "distributions"
    quantiles = lambda **k: QuantileTransformer(n_quantiles=40, random_state=0, **k)  # noqa: E731
    w.attempt("quantile_transformer_uniform", f, fitted(quantiles(), alone(wine)))
    w.attempt("quantile_transformer_uniform_double", f, fitted(quantiles(), alone(wine64)))
    w.attempt("quantile_transformer_normal", f, fitted(quantiles(output_distribution="normal"), alone(wine)))
    for method in ("yeo-johnson", "box-cox"):
        for standardize in (True, False):
            power = lambda: PowerTransformer(method, standardize=standardize)  # noqa: B023, E731
            name = f"power_transformer_{method.replace('-', '_')}_{'scaled' if standardize else 'plain'}"
            w.attempt(name, f, fitted(power(), alone(wine)))
    w.attempt("power_transformer_double", f, fitted(PowerTransformer(), alone(wine64)))

    f = "decompositions"
    w.attempt("incremental_pca", f, fitted(IncrementalPCA(3), alone(wine)))
    w.attempt("incremental_pca_double", f, fitted(IncrementalPCA(3), alone(wine64)))
    for kernel in ("linear", "rbf", "poly", "sigmoid", "cosine"):
        w.attempt(f"kernel_pca_{kernel}", f, fitted(KernelPCA(3, kernel=kernel, gamma=0.05), lambda: (StandardScaler().fit_transform(wine()[0]).astype(np.float32), None)))
    w.attempt("kernel_pca_rbf_double", f, fitted(KernelPCA(3, kernel="rbf", gamma=0.05), lambda: (StandardScaler().fit_transform(wine64()[0]), None)))
    w.attempt("truncated_svd_double", f, fitted(TruncatedSVD(4, random_state=0), alone(wine64)))
    w.attempt("gaussian_random_projection", f, fitted(GaussianRandomProjection(4, random_state=0), alone(wine)))
    w.attempt("random_trees_embedding", f, fitted(RandomTreesEmbedding(5, max_depth=3, random_state=0), alone(iris)))
    w.attempt("random_trees_embedding_dense", f, fitted(RandomTreesEmbedding(5, max_depth=3, sparse_output=False, random_state=0), alone(iris)))
    targets = lambda d=iris: (d()[0], np.stack([d()[0].sum(1), d()[0][:, 0] - d()[0][:, 1]], 1))  # noqa: E731
    w.attempt("pls_regression", f, fitted(PLSRegression(2), targets))
    w.attempt("pls_regression_double", f, fitted(PLSRegression(2), lambda: targets(iris64)))
    kernel = lambda: (wine()[0][:13] @ wine()[0][:13].T / 4e6).astype(np.float32)  # noqa: E731
    w.attempt("kernel_centerer", f, fitted(KernelCenterer(), lambda: (kernel(), None)))

    f = "selection"
    scaled = lambda: (MinMaxScaler().fit_transform(wine()[0]).astype(np.float32), wine()[1])  # noqa: E731
    tree = ExtraTreesClassifier(10, random_state=0)
    selectors = {
        "k_best": SelectKBest(k=4),
        "k_best_chi2": SelectKBest(chi2, k=3),
        "percentile": SelectPercentile(percentile=30),
        "fpr": SelectFpr(alpha=1e-20),
        "fdr": SelectFdr(alpha=1e-20),
        "fwe": SelectFwe(alpha=1e-20),
        "univariate": GenericUnivariateSelect(mode="k_best", param=5),
        "variance": VarianceThreshold(0.03),
        "from_model": SelectFromModel(tree),
        "rfe": RFE(LogisticRegression(max_iter=300), n_features_to_select=5),
        "rfecv": RFECV(LogisticRegression(max_iter=100), min_features_to_select=3, cv=2, step=4),
    }
    for name, selector in selectors.items():
        w.attempt(f"select_{name}", f, fitted(selector, scaled))
    w.attempt("select_k_best_double", f, fitted(SelectKBest(k=4), wine64))
    w.attempt("select_variance_int64", f, fitted(VarianceThreshold(1.0), lambda: (digits(dtype=np.int64)[0], None)))
    w.attempt("select_in_pipeline", f, fitted(make_pipeline(SelectKBest(k=5), StandardScaler(), LogisticRegression()), wine, options=NO_ZIPMAP))
    w.attempt("select_in_union", f, fitted(make_pipeline(FeatureUnion([("best", SelectKBest(k=2)), ("pca", PCA(2))]), RandomForestClassifier(5, max_depth=4, random_state=0)), iris_text))

    f = "discriminants"
    for name, data in (("", wine), ("_double", wine64), ("_text", iris_text)):
        w.attempt(f"linear_discriminant{name}", f, fitted(LinearDiscriminantAnalysis(), data, options=NO_ZIPMAP))
        w.attempt(f"quadratic_discriminant{name}", f, fitted(QuadraticDiscriminantAnalysis(reg_param=0.1), data, options=NO_ZIPMAP))
    w.attempt("linear_discriminant_binary", f, fitted(LinearDiscriminantAnalysis(), lambda: (iris()[0], (iris()[1] > 0).astype(np.int64)), options=NO_ZIPMAP))
    w.attempt("linear_discriminant_shrinkage", f, fitted(LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"), wine))

    f = "naive_bayes"
    counts = lambda: (digits()[0][:, 26:37] // 4, digits()[1])  # noqa: E731
    w.attempt("categorical_nb", f, fitted(CategoricalNB(), lambda: (counts()[0].astype(np.int64), counts()[1]), options=NO_ZIPMAP))
    w.attempt("categorical_nb_float", f, fitted(CategoricalNB(), counts, options=NO_ZIPMAP))
    for name, bayes in (("bernoulli", BernoulliNB(binarize=1.5)), ("multinomial", MultinomialNB()), ("complement", ComplementNB()), ("complement_norm", ComplementNB(norm=True)), ("gaussian", GaussianNB())):
        w.attempt(f"{name}_nb_double", f, fitted(bayes, lambda: (counts()[0].astype(np.float64), counts()[1]), options=NO_ZIPMAP))
    w.attempt("bernoulli_nb_binary", f, fitted(BernoulliNB(binarize=1.5), lambda: (counts()[0], counts()[1] % 2), options=NO_ZIPMAP))

    f = "function_transformer"
    w.attempt("function_identity", f, fitted(FunctionTransformer(), alone(wine)))
    w.attempt("function_log1p", f, fitted(FunctionTransformer(np.log1p), alone(wine)))
    w.attempt("function_identity_pipeline", f, fitted(make_pipeline(FunctionTransformer(), StandardScaler(), LogisticRegression()), wine, options=NO_ZIPMAP))

    f = "bins"
    for strategy in ("uniform", "quantile", "kmeans"):
        bins = lambda **k: KBinsDiscretizer(4, strategy=strategy, random_state=0, **({"quantile_method": "averaged_inverted_cdf"} if strategy == "quantile" else {}), **k)  # noqa: B023, E731
        w.attempt(f"bins_{strategy}", f, fitted(bins(encode="ordinal"), alone(wine)))
        w.attempt(f"bins_{strategy}_one_hot", f, fitted(bins(encode="onehot-dense"), alone(wine)))
    w.attempt("bins_double", f, fitted(KBinsDiscretizer(4, encode="ordinal", strategy="uniform"), alone(iris64)))
    w.attempt("bins_in_pipeline", f, fitted(make_pipeline(KBinsDiscretizer(3, encode="onehot-dense", strategy="uniform"), LogisticRegression()), iris_text, options=NO_ZIPMAP))
    w.attempt("polynomial_in_pipeline", f, fitted(make_pipeline(StandardScaler(), PolynomialFeatures(2), LogisticRegression(max_iter=300)), iris_text, options=NO_ZIPMAP))
    w.attempt("imputer_in_pipeline_double", f, fitted(make_pipeline(SimpleImputer(strategy="median"), LinearDiscriminantAnalysis()), lambda: (with_missing(wine()[0]), wine()[1]), options=NO_ZIPMAP))


def encoders(w: Writer) -> None:
    """Encoders of labels and categories."""
    data, labels, text, _ = credit_risk.load()
    bad = (labels == "bad").astype(np.int64)
    f = "encoders"

    def build(estimator, x, y=None, kind=StringTensorType, width=None):
        def make():
            model = estimator.fit(x, y) if y is not None else estimator.fit(x)
            shape = [None, width] if width else [None]
            asked = x[np.random.default_rng(6).permutation(len(x))[:140]]
            return to_onnx(model, initial_types=[("X", kind(shape))]), {"X": asked}

        return make

    purposes = data[["purpose", "housing", "job"]].to_numpy(object)
    ages = data[["age_in_years", "present_residence_since"]].to_numpy(np.int64)
    for kind in ("binary", "continuous", "multiclass"):
        target = {"binary": bad, "continuous": data["credit_amount"].to_numpy(float), "multiclass": data["present_residence_since"].to_numpy(np.int64)}[kind]
        encoder = lambda: TargetEncoder(target_type=kind, random_state=0)  # noqa: B023, E731
        w.attempt(f"target_encoder_strings_{kind}", f, build(encoder(), purposes, target, width=3))
        if kind != "multiclass":
            w.attempt(f"target_encoder_int64_{kind}", f, build(encoder(), ages, target, Int64TensorType, 2))
    w.attempt("label_encoder_strings", f, build(LabelEncoder(), purposes[:, 0]))
    w.attempt("label_encoder_int64", f, build(LabelEncoder(), ages[:, 0], kind=Int64TensorType))
    w.attempt("label_binarizer_strings", f, build(LabelBinarizer(), purposes[:, 0]))
    w.attempt("label_binarizer_int64", f, build(LabelBinarizer(), ages[:, 1], kind=Int64TensorType))
    w.attempt("label_binarizer_negative", f, build(LabelBinarizer(neg_label=-2, pos_label=3), ages[:, 1], kind=Int64TensorType))


def transforming(w: Writer) -> None:
    for family in (transformers, encoders):
        family(w)
