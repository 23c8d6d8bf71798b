"""Cases of the zoo whose answer comes from likeness to known rows: support vectors, neighbours, processes, mixtures,
and detectors of outliers, by skl2onnx."""

from __future__ import annotations

import numpy as np
from sklearn.ensemble import IsolationForest
from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct, ExpSineSquared, Matern, RationalQuadratic, WhiteKernel
from sklearn.impute import KNNImputer
from sklearn.linear_model import SGDOneClassSVM
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import (
    KNeighborsClassifier,
    KNeighborsRegressor,
    KNeighborsTransformer,
    LocalOutlierFactor,
    NearestNeighbors,
    NeighborhoodComponentsAnalysis,
    RadiusNeighborsClassifier,
    RadiusNeighborsRegressor,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR, LinearSVC, LinearSVR, NuSVC, NuSVR, OneClassSVM

from golden import Writer
from zoo_sklearn import NO_ZIPMAP, classification, fitted, regression, with_missing

KERNELS = ("linear", "poly", "rbf", "sigmoid")


def few(data, step: int):
    """Every step-th row: what a quick fit needs."""
    return lambda: tuple(None if part is None else part[::step] for part in data())


def standard(data):
    """Columns of mean 0 and variance 1, which kernels want."""

    def scaled():
        x, y = data()
        return StandardScaler().fit_transform(x).astype(x.dtype), y

    return scaled


def alone(data):
    return lambda: (data()[0], None)


def support_vectors(w: Writer) -> None:
    iris, wine, cancer, digits = (lambda n=n, **k: classification(n, **k) for n in ("iris", "wine", "cancer", "digits"))
    iris_text = standard(lambda: iris(text=True))
    wine_scaled = standard(wine)
    cancer_scaled = few(standard(cancer), 2)
    cancer_text = few(standard(lambda: cancer(text=True)), 2)
    iris64 = standard(lambda: iris(dtype=np.float64))
    cancer64 = few(standard(lambda: cancer(dtype=np.float64)), 3)
    digits_few = few(digits, 4)
    diabetes = few(regression, 2)

    f = "svc"
    for kernel in KERNELS:
        for probability in (False, True):
            what = f"{kernel}_probability" if probability else kernel
            svc = lambda **k: SVC(kernel=kernel, probability=probability, random_state=0, **k)  # noqa: B023, E731
            w.attempt(f"svc_binary_{what}", f, fitted(svc(), cancer_scaled, options=NO_ZIPMAP))
            w.attempt(f"svc_multi_{what}", f, fitted(svc(), iris_text, options=NO_ZIPMAP))
            if not probability:
                w.attempt(f"svc_multi_{what}_ovo", f, fitted(svc(decision_function_shape="ovo"), wine_scaled, options=NO_ZIPMAP))
    w.attempt("svc_binary_text", f, fitted(SVC(probability=True, random_state=0), cancer_text))
    w.attempt("svc_binary_text_plain", f, fitted(SVC(), cancer_text, options=NO_ZIPMAP))
    w.attempt("svc_multi_zipmap", f, fitted(SVC(probability=True, random_state=0), iris_text))
    w.attempt("svc_multi_columns", f, fitted(SVC(probability=True, random_state=0), iris_text, options={"zipmap": "columns"}))
    w.attempt("svc_multi_class_labels", f, fitted(SVC(probability=True, random_state=0), wine_scaled, options={"zipmap": False, "output_class_labels": True}))
    w.attempt("svc_multi_nocl", f, fitted(SVC(probability=True, random_state=0), iris_text, options={"zipmap": False, "nocl": True}))
    w.attempt("svc_binary_raw_scores", f, fitted(SVC(), cancer_scaled, options={"zipmap": False, "raw_scores": True}))
    w.attempt("svc_multi_raw_scores", f, fitted(SVC(), wine_scaled, options={"zipmap": False, "raw_scores": True}))
    w.attempt("svc_digits", f, fitted(SVC(), digits_few, options=NO_ZIPMAP))
    w.attempt("svc_digits_probability", f, fitted(SVC(probability=True, random_state=0), digits_few, options=NO_ZIPMAP))
    w.attempt("svc_poly_degree_2", f, fitted(SVC(kernel="poly", degree=2, coef0=0.5), wine_scaled, options=NO_ZIPMAP))
    w.attempt("svc_poly_degree_5", f, fitted(SVC(kernel="poly", degree=5, coef0=1), iris_text, options=NO_ZIPMAP))
    w.attempt("svc_double", f, fitted(SVC(probability=True, random_state=0), iris64, options=NO_ZIPMAP))
    w.attempt("svc_double_plain", f, fitted(SVC(), cancer64, options=NO_ZIPMAP))
    w.attempt("svc_int64", f, fitted(SVC(), few(lambda: digits(dtype=np.int64), 4), options=NO_ZIPMAP))
    w.attempt("nu_svc", f, fitted(NuSVC(nu=0.2, probability=True, random_state=0), iris_text, options=NO_ZIPMAP))
    w.attempt("nu_svc_plain", f, fitted(NuSVC(nu=0.2), cancer_scaled, options=NO_ZIPMAP))
    w.attempt("svc_pipeline", f, fitted(make_pipeline(StandardScaler(), SVC(probability=True, random_state=0)), lambda: wine(text=True)))
    w.attempt("svc_one_vs_rest", f, fitted(OneVsRestClassifier(SVC(probability=True, random_state=0)), iris_text, options=NO_ZIPMAP))

    f = "svr"
    for kernel in KERNELS:
        w.attempt(f"svr_{kernel}", f, fitted(SVR(kernel=kernel, C=20), diabetes))
        w.attempt(f"nu_svr_{kernel}", f, fitted(NuSVR(kernel=kernel, C=20, nu=0.3), diabetes))
        w.attempt(f"one_class_svm_{kernel}", f, fitted(OneClassSVM(kernel=kernel, nu=0.2), alone(wine_scaled)))
    w.attempt("svr_int64", f, fitted(SVR(), lambda: (few(lambda: digits(dtype=np.int64), 5)()[0], digits()[1][::5] * 1.5)))
    w.attempt("svr_double", f, fitted(SVR(C=20), few(lambda: regression(np.float64), 2)))
    w.attempt("svr_pipeline", f, fitted(make_pipeline(StandardScaler(), SVR(C=20)), regression))
    w.attempt("linear_svc_double", f, fitted(LinearSVC(random_state=0), iris64))
    w.attempt("linear_svr_double", f, fitted(LinearSVR(random_state=0), few(lambda: regression(np.float64), 2)))
    w.attempt("sgd_one_class_svm", f, fitted(SGDOneClassSVM(random_state=0), alone(wine_scaled)))


def neighbours(w: Writer) -> None:
    iris, wine, digits = (lambda n=n, **k: classification(n, **k) for n in ("iris", "wine", "digits"))
    iris_text = lambda: iris(text=True)  # noqa: E731
    wine64 = lambda: wine(dtype=np.float64)  # noqa: E731
    diabetes = few(regression, 2)
    diabetes64 = few(lambda: regression(np.float64), 2)
    two_targets = lambda: (diabetes()[0], np.stack([diabetes()[1], -diabetes()[1] / 2], 1))  # noqa: E731

    # The converter's two forms of the distances: a Scan over the known rows, and CDist.
    for form, options in (("scan", {}), ("cdist", {"optim": "cdist"})):
        f = f"neighbours_{form}"
        plain = {**options, **NO_ZIPMAP}
        w.attempt(f"k_neighbours_classifier_{form}", f, fitted(KNeighborsClassifier(5), iris_text, options=plain))
        w.attempt(f"k_neighbours_classifier_zipmap_{form}", f, fitted(KNeighborsClassifier(5), iris, options=options or None))
        w.attempt(f"k_neighbours_classifier_distance_{form}", f, fitted(KNeighborsClassifier(4, weights="distance"), wine, options=plain))
        w.attempt(f"k_neighbours_classifier_double_{form}", f, fitted(KNeighborsClassifier(3), wine64, options=plain))
        w.attempt(f"k_neighbours_classifier_int64_{form}", f, fitted(KNeighborsClassifier(3), few(lambda: digits(dtype=np.int64), 6), options=plain))
        w.attempt(f"k_neighbours_regressor_{form}", f, fitted(KNeighborsRegressor(4), diabetes, options=options or None))
        w.attempt(f"k_neighbours_regressor_distance_{form}", f, fitted(KNeighborsRegressor(4, weights="distance"), diabetes64, options=options or None))
        w.attempt(f"k_neighbours_regressor_two_targets_{form}", f, fitted(KNeighborsRegressor(3), two_targets, options=options or None))
        if form == "scan":  # of a row's distance to itself CDist, which subtracts large numbers, leaves no digit
            w.attempt(f"nearest_neighbours_{form}", f, fitted(NearestNeighbors(n_neighbors=3, radius=None), alone(iris), options=options or None))
        # With a smaller radius ONNX Runtime refuses the -1 that the converter writes where there are fewer neighbours.
        w.attempt(f"radius_neighbours_classifier_{form}", f, fitted(RadiusNeighborsClassifier(12.0), iris_text, options=plain))
        w.attempt(f"radius_neighbours_regressor_{form}", f, fitted(RadiusNeighborsRegressor(12.0), diabetes, options=options or None))
        w.attempt(f"knn_imputer_{form}", f, fitted(KNNImputer(n_neighbors=3), lambda: (with_missing(diabetes()[0]), None), options=options or None))
        w.attempt(f"local_outlier_factor_{form}", f, fitted(LocalOutlierFactor(n_neighbors=10, novelty=True), alone(iris), options=options or None))
        w.attempt(f"local_outlier_factor_score_{form}", f, fitted(LocalOutlierFactor(n_neighbors=10, novelty=True), alone(iris), options={**options, "score_samples": True}))
    f = "neighbours_metric"
    w.attempt("k_neighbours_manhattan", f, fitted(KNeighborsClassifier(5, metric="manhattan"), iris_text, options=NO_ZIPMAP))
    w.attempt("k_neighbours_minkowski_3", f, fitted(KNeighborsClassifier(5, p=3), iris_text, options=NO_ZIPMAP))
    w.attempt("k_neighbours_transformer", f, fitted(KNeighborsTransformer(n_neighbors=3), alone(iris)))
    w.attempt("neighbourhood_components", f, fitted(NeighborhoodComponentsAnalysis(2, random_state=0, max_iter=10), iris))


def processes(w: Writer) -> None:
    iris = lambda **k: classification("iris", **k)  # noqa: E731
    # In single precision the sums cancel: a small target and much noise leave six digits.
    diabetes = lambda: (regression()[0][::4], regression()[1][::4] / 100)  # noqa: E731
    diabetes64 = few(lambda: regression(np.float64), 4)
    f = "gaussian_process"
    kernels = {
        "rbf": ConstantKernel(2.0) * RBF(0.5) + WhiteKernel(0.1),
        "matern": Matern(0.7, nu=1.5),
        "matern_half": Matern(0.7, nu=0.5),
        "rational": RationalQuadratic(0.5, 1.5),
        "dot": DotProduct(1.0),
        "periodic": ExpSineSquared(1.2, 2.0),
    }
    for name, kernel in kernels.items():
        w.attempt(f"gaussian_process_{name}", f, fitted(GaussianProcessRegressor(kernel, alpha=5, optimizer=None), diabetes))
        precise = GaussianProcessRegressor(kernel, alpha=0.1, optimizer=None, normalize_y=True)
        w.attempt(f"gaussian_process_{name}_double", f, fitted(precise, diabetes64))
    std = {"return_std": True}
    w.attempt("gaussian_process_std_double", f, fitted(GaussianProcessRegressor(kernels["rbf"], alpha=0.1, optimizer=None), diabetes64, options=std))
    cdist = {"optim": "cdist"}
    w.attempt("gaussian_process_cdist_double", f, fitted(GaussianProcessRegressor(kernels["rbf"], alpha=0.1, optimizer=None), diabetes64, options=cdist))
    gpc = lambda: GaussianProcessClassifier(1.0 * RBF(1.0), optimizer=None)  # noqa: E731
    w.attempt("gaussian_process_classifier_binary", f, fitted(gpc(), lambda: (iris()[0], (iris()[1] > 0).astype(np.int64)), options=NO_ZIPMAP))


def mixtures(w: Writer) -> None:
    iris = lambda **k: classification("iris", **k)  # noqa: E731
    f = "mixture"
    for covariance in ("full", "tied", "diag", "spherical"):
        mixture = lambda: GaussianMixture(3, covariance_type=covariance, random_state=0)  # noqa: B023, E731
        w.attempt(f"gaussian_mixture_{covariance}", f, fitted(mixture(), alone(iris)))
        w.attempt(f"gaussian_mixture_{covariance}_double", f, fitted(mixture(), alone(lambda: iris(dtype=np.float64)), options={"score_samples": True}))
    w.attempt("gaussian_mixture_score_samples", f, fitted(GaussianMixture(2, random_state=0), alone(iris), options={"score_samples": True}))
    w.attempt("bayesian_mixture", f, fitted(BayesianGaussianMixture(n_components=3, random_state=0, max_iter=50), alone(iris)))
    w.attempt("bayesian_mixture_scores", f, fitted(BayesianGaussianMixture(n_components=3, random_state=0, max_iter=50), alone(lambda: iris(dtype=np.float64)), options={"score_samples": True}))


def outliers(w: Writer) -> None:
    wine = lambda **k: classification("wine", **k)  # noqa: E731
    f = "isolation_forest"
    forest = lambda **k: IsolationForest(n_estimators=12, random_state=0, **k)  # noqa: E731
    newest = {"": 22, "ai.onnx.ml": 3}
    w.attempt("isolation_forest", f, fitted(forest(), alone(wine), trees=True, target_opset=newest))
    w.attempt("isolation_forest_score_samples", f, fitted(forest(), alone(wine), options={"score_samples": True}, target_opset=newest))
    w.attempt("isolation_forest_contamination", f, fitted(forest(contamination=0.1), alone(wine), target_opset=newest))
    w.attempt("isolation_forest_some_features", f, fitted(forest(max_features=0.5), alone(wine), target_opset=newest))
    w.attempt("isolation_forest_double", f, fitted(forest(), alone(lambda: wine(dtype=np.float64)), target_opset=newest))


def similarity(w: Writer) -> None:
    for family in (support_vectors, neighbours, processes, mixtures, outliers):
        family(w)


