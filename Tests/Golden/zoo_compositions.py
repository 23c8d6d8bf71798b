"""Estimators made of others, generalized linear models and the converters' options, by skl2onnx."""

from __future__ import annotations

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    BaggingClassifier,
    BaggingRegressor,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.linear_model import (
    ARDRegression,
    BayesianRidge,
    ElasticNetCV,
    GammaRegressor,
    HuberRegressor,
    Lars,
    LassoCV,
    LassoLars,
    LassoLarsCV,
    LassoLarsIC,
    LinearRegression,
    LogisticRegression,
    LogisticRegressionCV,
    MultiTaskElasticNet,
    MultiTaskLasso,
    OrthogonalMatchingPursuit,
    PassiveAggressiveClassifier,
    PassiveAggressiveRegressor,
    Perceptron,
    PoissonRegressor,
    QuantileRegressor,
    RANSACRegressor,
    Ridge,
    RidgeClassifierCV,
    RidgeCV,
    SGDRegressor,
    TheilSenRegressor,
    TweedieRegressor,
)
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, TunedThresholdClassifierCV
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier, MultiOutputRegressor, RegressorChain
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR, LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier, ExtraTreeRegressor

from golden import Writer
from zoo_sklearn import NO_ZIPMAP, classification, fitted, regression


def compositions(w: Writer) -> None:
    iris, wine, cancer = (lambda n=n, **k: classification(n, **k) for n in ("iris", "wine", "cancer"))
    iris_text = lambda: iris(text=True)  # noqa: E731
    iris64 = lambda: iris(dtype=np.float64)  # noqa: E731
    binary = lambda: (StandardScaler().fit_transform(cancer()[0])[:, :8].astype(np.float32), cancer()[1])  # noqa: E731
    binary64 = lambda: (binary()[0].astype(np.float64), binary()[1])  # noqa: E731
    diabetes64 = lambda: regression(np.float64)  # noqa: E731
    positive = lambda: (regression()[0] * 10, regression()[1] / 100)  # noqa: E731
    positive64 = lambda: (positive()[0].astype(np.float64), positive()[1])  # noqa: E731
    lr = lambda **k: LogisticRegression(max_iter=300, **k)  # noqa: E731
    tree = lambda **k: DecisionTreeClassifier(max_depth=3, random_state=0, **k)  # noqa: E731
    trees32 = {"": 22, "ai.onnx.ml": 3}

    f = "linear_models"
    models = {
        "ard": ARDRegression(), "bayesian_ridge": BayesianRidge(), "elastic_net_cv": ElasticNetCV(cv=3), "huber": HuberRegressor(max_iter=500),
        "lars": Lars(), "lasso_cv": LassoCV(cv=3), "lasso_lars": LassoLars(alpha=0.1), "lasso_lars_cv": LassoLarsCV(cv=3), "lasso_lars_ic": LassoLarsIC(),
        "matching_pursuit": OrthogonalMatchingPursuit(), "passive_aggressive": PassiveAggressiveRegressor(random_state=0),
        "quantile": QuantileRegressor(alpha=0.01), "ransac": RANSACRegressor(random_state=0), "ridge_cv": RidgeCV(),
        "theil_sen": TheilSenRegressor(random_state=0, max_subpopulation=200, n_subsamples=60), "sgd": SGDRegressor(random_state=0),
    }  # fmt: skip
    for name, model in models.items():
        w.attempt(f"{name}_regressor", f, fitted(model, regression))
    for name in ("bayesian_ridge", "quantile", "ransac", "huber"):
        w.attempt(f"{name}_regressor_double", f, fitted(models[name], diabetes64))
    w.attempt("bayesian_ridge_std", f, fitted(BayesianRidge(), regression, options={"return_std": True}))
    two = lambda: (regression()[0], np.stack([regression()[1], regression()[1] * regression()[0][:, 2]], 1))  # noqa: E731
    w.attempt("multi_task_lasso", f, fitted(MultiTaskLasso(), two))
    w.attempt("multi_task_elastic_net", f, fitted(MultiTaskElasticNet(alpha=0.01), two))
    generalized = {"gamma": GammaRegressor(), "poisson": PoissonRegressor(), **{f"tweedie_{p}": TweedieRegressor(power=p) for p in (0, 1, 1.5, 2, 3)}, "tweedie_log": TweedieRegressor(power=0, link="log")}
    for name, model in generalized.items():
        w.attempt(f"glm_{name}", f, fitted(model, positive))
        w.attempt(f"glm_{name}_double", f, fitted(model, positive64))
    w.attempt("perceptron", f, fitted(Perceptron(random_state=0), iris_text))
    w.attempt("passive_aggressive_classifier", f, fitted(PassiveAggressiveClassifier(random_state=0), iris_text))
    w.attempt("ridge_classifier_cv", f, fitted(RidgeClassifierCV(), iris_text, options=NO_ZIPMAP))
    w.attempt("logistic_cv", f, fitted(LogisticRegressionCV(cv=2, max_iter=300), iris_text, options=NO_ZIPMAP))

    f = "options"
    raw = {"zipmap": False, "raw_scores": True}
    w.attempt("raw_logistic_multi", f, fitted(lr(), iris_text, options=raw))
    w.attempt("raw_logistic_double", f, fitted(lr(), binary64, options=raw))
    w.attempt("raw_linear_svc", f, fitted(LinearSVC(random_state=0), binary, options={"raw_scores": True}))
    w.attempt("raw_gradient_boosting_multi", f, fitted(GradientBoostingClassifier(n_estimators=5, random_state=0), iris_text, options=raw))
    w.attempt("raw_ada_boost", f, fitted(AdaBoostClassifier(tree(), n_estimators=5, random_state=0), iris_text, options=raw))
    nocl = {"zipmap": False, "nocl": True}
    w.attempt("nocl_logistic", f, fitted(lr(), iris_text, options=nocl))
    w.attempt("nocl_forest", f, fitted(RandomForestClassifier(5, max_depth=4, random_state=0), iris_text, options=nocl))
    w.attempt("nocl_bayes", f, fitted(GaussianNB(), iris_text, options=nocl))
    classes = {"zipmap": False, "output_class_labels": True}
    for name, model in (("forest", RandomForestClassifier(5, max_depth=4, random_state=0)), ("bayes", GaussianNB()), ("ada_boost", AdaBoostClassifier(tree(), n_estimators=4, random_state=0))):
        w.attempt(f"class_labels_{name}", f, fitted(model, iris_text, options=classes))
        w.attempt(f"columns_{name}", f, fitted(model, iris_text, options={"zipmap": "columns"}))
    for name, model in (("tree", tree()), ("forest", RandomForestClassifier(3, max_depth=3, random_state=0)), ("extra_trees", ExtraTreesClassifier(3, max_depth=3, random_state=0))):
        w.attempt(f"decision_path_{name}", f, fitted(model, iris, options={"zipmap": False, "decision_path": True}))
        w.attempt(f"decision_leaf_{name}", f, fitted(model, iris, options={"zipmap": False, "decision_leaf": True}))
        w.attempt(f"decision_both_{name}", f, fitted(model, iris, options={"zipmap": False, "decision_leaf": True, "decision_path": True}))
    for name, model in (("tree", DecisionTreeRegressor(max_depth=3, random_state=0)), ("forest", RandomForestRegressor(3, max_depth=3, random_state=0))):
        w.attempt(f"decision_path_regressor_{name}", f, fitted(model, regression, options={"decision_path": True}))
        w.attempt(f"decision_leaf_regressor_{name}", f, fitted(model, regression, options={"decision_leaf": True}))
    w.attempt("extra_tree_classifier", f, fitted(ExtraTreeClassifier(max_depth=4, random_state=0), iris_text, trees=True))
    w.attempt("extra_tree_regressor", f, fitted(ExtraTreeRegressor(max_depth=4, random_state=0), regression, trees=True))

    f = "ada_boost"
    w.attempt("ada_boost_logistic", f, fitted(AdaBoostClassifier(lr(), n_estimators=4, random_state=0), iris_text, options=NO_ZIPMAP))
    w.attempt("ada_boost_binary_double", f, fitted(AdaBoostClassifier(lr(), n_estimators=4, random_state=0), binary64, options=NO_ZIPMAP))
    for loss in ("linear", "square", "exponential"):
        w.attempt(f"ada_boost_regressor_{loss}", f, fitted(AdaBoostRegressor(DecisionTreeRegressor(max_depth=3), n_estimators=5, loss=loss, random_state=0), regression))
    w.attempt("ada_boost_regressor_linear_double", f, fitted(AdaBoostRegressor(Ridge(), n_estimators=3, random_state=0), diabetes64))

    f = "bagging"
    w.attempt("bagging_svc", f, fitted(BaggingClassifier(SVC(probability=True, random_state=0), n_estimators=3, random_state=0), iris_text, options=NO_ZIPMAP))
    w.attempt("bagging_logistic_double", f, fitted(BaggingClassifier(lr(), n_estimators=3, random_state=0), iris64, options=NO_ZIPMAP))
    w.attempt("bagging_ridge_double", f, fitted(BaggingRegressor(Ridge(), n_estimators=3, random_state=0), diabetes64))
    w.attempt("bagging_some_features", f, fitted(BaggingRegressor(Ridge(), n_estimators=3, max_features=0.5, random_state=0), regression))

    f = "voting"
    members = lambda: [("lr", lr()), ("tree", tree()), ("knn", KNeighborsClassifier(3))]  # noqa: E731
    w.attempt("voting_soft_neighbours", f, fitted(VotingClassifier(members(), voting="soft", flatten_transform=False), iris_text, options=NO_ZIPMAP))
    w.attempt("voting_hard_binary", f, fitted(VotingClassifier(members()[:2], voting="hard", flatten_transform=False), binary, options=NO_ZIPMAP))
    w.attempt("voting_soft_double", f, fitted(VotingClassifier([("lr", lr()), ("nb", GaussianNB())], voting="soft", flatten_transform=False), iris64, options=NO_ZIPMAP))
    w.attempt("voting_regressor_weights", f, fitted(VotingRegressor([("a", Ridge()), ("b", SVR(C=20))], weights=np.array([1.0, 3.0])), regression))
    w.attempt("voting_regressor_double", f, fitted(VotingRegressor([("a", Ridge()), ("b", LinearRegression())]), diabetes64))

    f = "stacking"
    svc = ("svc", SVC(probability=True, random_state=0))
    w.attempt("stacking_classifier_svc", f, fitted(StackingClassifier([svc, ("nb", GaussianNB())], lr(), cv=2), iris_text, options=NO_ZIPMAP))
    w.attempt("stacking_classifier_passthrough", f, fitted(StackingClassifier([("tree", tree()), ("nb", GaussianNB())], lr(), cv=2, passthrough=True), iris_text, options=NO_ZIPMAP))
    w.attempt("stacking_classifier_binary", f, fitted(StackingClassifier([("tree", tree()), ("nb", GaussianNB())], tree(), cv=2), binary, options=NO_ZIPMAP))
    w.attempt("stacking_classifier_decision", f, fitted(StackingClassifier([("l", LinearSVC(random_state=0)), ("nb", GaussianNB())], lr(), cv=2), iris_text, options=NO_ZIPMAP))
    w.attempt("stacking_classifier_double", f, fitted(StackingClassifier([("l", lr()), ("nb", GaussianNB())], lr(), cv=2), iris64, options=NO_ZIPMAP))
    w.attempt("stacking_regressor_passthrough", f, fitted(StackingRegressor([("a", Ridge()), ("b", DecisionTreeRegressor(max_depth=3))], Ridge(), cv=2, passthrough=True), regression))
    w.attempt("stacking_regressor_forest", f, fitted(StackingRegressor([("a", Ridge()), ("k", KNeighborsRegressor(3))], RandomForestRegressor(5, max_depth=4, random_state=0), cv=2), regression))
    w.attempt("stacking_regressor_double", f, fitted(StackingRegressor([("a", Ridge()), ("b", LinearRegression())], Ridge(), cv=2), diabetes64))

    f = "multi_model"
    w.attempt("one_vs_one_logistic", f, fitted(OneVsOneClassifier(lr()), iris, options=NO_ZIPMAP))
    w.attempt("one_vs_one_tree", f, fitted(OneVsOneClassifier(tree()), wine, options=NO_ZIPMAP))
    w.attempt("one_vs_one_linear_svc", f, fitted(OneVsOneClassifier(LinearSVC(random_state=0)), wine, options=NO_ZIPMAP))
    w.attempt("one_vs_rest_linear_svc", f, fitted(OneVsRestClassifier(LinearSVC(random_state=0)), iris_text, options=NO_ZIPMAP))
    w.attempt("one_vs_rest_bayes_double", f, fitted(OneVsRestClassifier(GaussianNB()), iris64, options=NO_ZIPMAP))
    w.attempt("one_vs_rest_binary", f, fitted(OneVsRestClassifier(lr()), binary, options=NO_ZIPMAP))
    several = lambda: (iris()[0], np.stack([iris()[1] == 0, iris()[0][:, 0] > 6, iris()[1] > 1], 1).astype(np.int64))  # noqa: E731
    w.attempt("one_vs_rest_multilabel", f, fitted(OneVsRestClassifier(lr()), several, options=NO_ZIPMAP))
    w.attempt("multilabel_mlp", f, fitted(make_pipeline(StandardScaler(), MLPRegressor(hidden_layer_sizes=(6,), max_iter=80, random_state=0)), lambda: (several()[0], several()[1].astype(float))))
    w.attempt("multilabel_trees", f, fitted(DecisionTreeClassifier(max_depth=3, random_state=0), several, options=NO_ZIPMAP))
    w.attempt("multilabel_neighbours", f, fitted(KNeighborsClassifier(3), several, options=NO_ZIPMAP))
    w.attempt("multi_output_forest", f, fitted(MultiOutputClassifier(RandomForestClassifier(3, max_depth=3, random_state=0)), several, options=NO_ZIPMAP))
    w.attempt("multi_output_svr", f, fitted(MultiOutputRegressor(SVR(C=20)), two))
    w.attempt("multi_output_regressor_double", f, fitted(MultiOutputRegressor(Ridge()), lambda: (two()[0].astype(np.float64), two()[1])))
    w.attempt("classifier_chain", f, fitted(ClassifierChain(lr()), several))
    w.attempt("regressor_chain", f, fitted(RegressorChain(Ridge()), two))

    f = "search"
    w.attempt("grid_search_classifier", f, fitted(GridSearchCV(lr(), {"C": [0.1, 1]}, cv=2), iris_text, options=NO_ZIPMAP))
    w.attempt("grid_search_svc", f, fitted(GridSearchCV(SVC(probability=True, random_state=0), {"C": [0.5, 1]}, cv=2), iris_text, options=NO_ZIPMAP))
    w.attempt("grid_search_regressor", f, fitted(GridSearchCV(Ridge(), {"alpha": [0.1, 1]}, cv=2), regression))
    w.attempt("randomized_search", f, fitted(RandomizedSearchCV(Ridge(), {"alpha": [0.1, 1]}, n_iter=2, cv=2, random_state=0), regression))
    w.attempt("tuned_threshold", f, fitted(TunedThresholdClassifierCV(lr(), cv=2), binary, options=NO_ZIPMAP))

    f = "calibrated"
    calibrated = lambda e, method="sigmoid", **k: CalibratedClassifierCV(e, method=method, cv=2, **k)  # noqa: E731
    w.attempt("calibrated_svc", f, fitted(calibrated(SVC()), iris_text, options=NO_ZIPMAP))
    w.attempt("calibrated_bayes", f, fitted(calibrated(GaussianNB(), "isotonic"), iris_text, options=NO_ZIPMAP))
    w.attempt("calibrated_bayes_double", f, fitted(calibrated(GaussianNB()), iris64, options=NO_ZIPMAP))
    w.attempt("calibrated_linear_svc_multi", f, fitted(calibrated(LinearSVC(random_state=0), "isotonic"), iris_text, options=NO_ZIPMAP))
    w.attempt("calibrated_boosting_double", f, fitted(GradientBoostingRegressor(n_estimators=5, random_state=0), diabetes64, float_outputs=True, target_opset=trees32))
