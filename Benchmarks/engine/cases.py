"""The models that are compared: trained once, and kept in Benchmarks/.build/engine as each engine reads them."""

import dataclasses
import pathlib
import pickle

import numpy as np

import data

TRAINING_ROWS = 60_000
FOREST_ROWS = 8_000


@dataclasses.dataclass
class Case:
    """A model in the forms that exist of it."""

    name: str
    title: str
    # Files by kind: onnx, xgboost, lightgbm, ydf, tl2cgen (a shared library), estimator (a pickle).
    files: dict
    # What a row is: "numeric" [28] with missing values, "complete" [28] without, or "table" of text and numbers.
    rows: str
    notes: str = ""
    # Engines that score a model of their own, of the same rows and shape.
    own: tuple = ()


def wanted(quick):
    """Names of the cases, in the order of the report."""
    boosted = [f"xgboost-{trees}-{depth}" for trees in (100, 500, 1000) for depth in (4, 6, 8)]
    names = boosted + ["lightgbm-500-31", "lightgbm-500-255", "ydf-500-6", "forest-200", "logistic-text", "mlp-64-32"]
    return ["xgboost-500-6", "lightgbm-500-31", "ydf-500-6", "forest-200", "logistic-text", "mlp-64-32"] if quick else names


class Maker:
    """Makes what is not there yet."""

    def __init__(self, directory, say):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.say = say
        self.table = data.flights()
        self.numeric, self.names = data.numeric(self.table)
        medians = np.nanmedian(self.numeric, axis=0)
        self.complete = np.where(np.isnan(self.numeric), medians, self.numeric).astype(np.float32)
        self.late = self.table["late"].to_numpy()

    def make(self, name):
        kind, _, rest = name.partition("-")
        place = self.directory / name
        kept = place / "case.pickle"
        if kept.exists():
            return pickle.loads(kept.read_bytes())
        place.mkdir(exist_ok=True)
        self.say(f"training {name}")
        case = getattr(self, kind)(name, place, *rest.split("-"))
        kept.write_bytes(pickle.dumps(case))
        return case

    # Boosters

    def xgboost(self, name, place, trees, depth):
        from onnxmltools import convert_xgboost
        from onnxmltools.convert.common.data_types import FloatTensorType
        from xgboost import XGBClassifier

        model = XGBClassifier(n_estimators=int(trees), max_depth=int(depth), learning_rate=0.1, tree_method="hist",
                              random_state=1, n_jobs=2)
        model.fit(self.numeric[:TRAINING_ROWS], self.late[:TRAINING_ROWS])
        files = {"xgboost": place / "model.json", "onnx": place / "model.onnx"}
        model.get_booster().save_model(files["xgboost"])
        onnx = convert_xgboost(model, name, [("input", FloatTensorType([None, self.numeric.shape[1]]))])
        files["onnx"].write_bytes(onnx.SerializeToString())
        leaves = sum(tree.count("leaf=") for tree in model.get_booster().get_dump()) / int(trees)
        if int(trees) * leaves <= 40_000:
            files["tl2cgen"] = self.compiled(place, "xgboost", files["xgboost"])
        return Case(name, f"XGBoost, {trees} trees of depth {depth}", files, "numeric", f"{leaves:.1f} leaves a tree")

    def lightgbm(self, name, place, trees, leaves):
        import lightgbm
        from onnxmltools import convert_lightgbm
        from onnxmltools.convert.common.data_types import FloatTensorType

        parameters = {"objective": "binary", "num_leaves": int(leaves), "learning_rate": 0.1, "num_threads": 2,
                      "seed": 1, "verbose": -1}
        booster = lightgbm.train(parameters, lightgbm.Dataset(self.numeric[:TRAINING_ROWS], self.late[:TRAINING_ROWS]),
                                 int(trees))
        files = {"lightgbm": place / "model.txt", "onnx": place / "model.onnx", "lleaves": place / "model.txt"}
        booster.save_model(files["lightgbm"])
        onnx = convert_lightgbm(booster, name, [("input", FloatTensorType([None, self.numeric.shape[1]]))],
                                zipmap=False)
        # The converter says that there is one label; ONNX Runtime then binds no output of another length.
        for output in onnx.graph.output:
            output.type.tensor_type.shape.dim[0].dim_param = "rows"
        files["onnx"].write_bytes(onnx.SerializeToString())
        if int(trees) * int(leaves) <= 40_000:
            files["tl2cgen"] = self.compiled(place, "lightgbm", files["lightgbm"])
        depth = booster.trees_to_dataframe().groupby("tree_index")["node_depth"].max().mean()
        return Case(name, f"LightGBM, {trees} trees of {leaves} leaves", files, "numeric",
                    f"depth {depth - 1:.1f} on average")

    def compiled(self, place, kind, file):
        """TL2cgen's C code as a shared library."""
        import tl2cgen
        import treelite

        load = {"xgboost": treelite.frontend.load_xgboost_model, "lightgbm": treelite.frontend.load_lightgbm_model}
        self.say("  compiling it with TL2cgen")
        library = place / "model.so"
        tl2cgen.export_lib(load[kind](file), toolchain="gcc", libpath=library, params={"parallel_comp": 16}, nthread=2)
        return library

    def ydf(self, name, place, trees, depth):
        import ydf

        ydf.verbose(0)
        learner = ydf.GradientBoostedTreesLearner(
            label="late", num_trees=int(trees), max_depth=int(depth) + 1, shrinkage=0.1, validation_ratio=0.0,
            early_stopping="NONE", min_examples=1, num_threads=2, features=self.names)
        columns = {n: self.numeric[:TRAINING_ROWS, i] for i, n in enumerate(self.names)}
        model = learner.train({**columns, "late": self.late[:TRAINING_ROWS]})
        model.save(str(place / "model"))
        leaves = sum(tree_leaves(tree.root) for tree in model.get_all_trees()) / int(trees)
        # The same shape for the others: what XGBoost and LightGBM make of the same rows.
        import lightgbm as lgb

        twin = self.make(f"xgboost-{trees}-{depth}")
        parameters = {"objective": "binary", "num_leaves": 2 ** int(depth), "max_depth": int(depth), "verbose": -1,
                      "learning_rate": 0.1, "num_threads": 2, "seed": 1, "min_data_in_leaf": 1}
        rows = lgb.Dataset(self.numeric[:TRAINING_ROWS], self.late[:TRAINING_ROWS])
        third = lgb.train(parameters, rows, int(trees))
        third.save_model(place / "model.txt")
        others = third.trees_to_dataframe()["split_feature"].isna().sum() / int(trees)
        return Case(name, f"{trees} trees of depth {depth}: YDF's, XGBoost's and LightGBM's of the same rows",
                    {**twin.files, "ydf": place / "model", "lightgbm": place / "model.txt",
                     "lleaves": place / "model.txt"}, "numeric",
                    f"martlet, XGBoost, ONNX Runtime and TL2cgen {twin.notes}, YDF {leaves:.1f}, LightGBM and lleaves "
                    f"{others:.1f}", ("YDF", "LightGBM", "lleaves"))

    # Estimators of scikit-learn

    def estimator(self, place, model, onnx, files=None):
        files = {"onnx": place / "model.onnx", "estimator": place / "model.pickle", **(files or {})}
        files["onnx"].write_bytes(onnx.SerializeToString())
        files["estimator"].write_bytes(pickle.dumps(model))
        return files

    def matrix_onnx(self, model):
        from skl2onnx import to_onnx
        from skl2onnx.common.data_types import FloatTensorType

        return to_onnx(model, initial_types=[("input", FloatTensorType([None, self.complete.shape[1]]))],
                       options={"zipmap": False})

    def forest(self, name, place, trees):
        import ydf
        from sklearn.ensemble import RandomForestClassifier

        model = RandomForestClassifier(int(trees), random_state=1, n_jobs=1)
        model.fit(self.complete[:FOREST_ROWS], self.late[:FOREST_ROWS])
        leaves = sum(tree.get_n_leaves() for tree in model.estimators_) / int(trees)
        depth = sum(tree.get_depth() for tree in model.estimators_) / int(trees)
        files = {}
        try:
            ydf.from_sklearn(model).save(str(place / "ydf"))
            files["ydf"] = place / "ydf"
        except Exception as error:
            self.say(f"  YDF does not take it over: {str(error)[:100]}")
        return Case(name, f"Random forest, {trees} fully grown trees",
                    self.estimator(place, model, self.matrix_onnx(model), files), "complete",
                    f"{leaves:.0f} leaves a tree, depth {depth:.1f}")

    def mlp(self, name, place, *layers):
        from sklearn.neural_network import MLPClassifier
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        model = make_pipeline(StandardScaler(), MLPClassifier(tuple(map(int, layers)), random_state=1, max_iter=15))
        model.fit(self.complete[:TRAINING_ROWS], self.late[:TRAINING_ROWS])
        return Case(name, f"Neural net, layers of {' and '.join(layers)}, behind a scaler",
                    self.estimator(place, model, self.matrix_onnx(model)), "complete")

    def logistic(self, name, place, *_):
        from skl2onnx import to_onnx
        from skl2onnx.common.data_types import FloatTensorType, StringTensorType
        from sklearn.compose import ColumnTransformer
        from sklearn.impute import SimpleImputer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import OneHotEncoder, StandardScaler

        frame = self.frame(TRAINING_ROWS)
        numbers = [n for n in frame if n not in data.TEXTS]
        model = make_pipeline(
            ColumnTransformer([
                ("text", OneHotEncoder(handle_unknown="ignore"), data.TEXTS),
                ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers)]),
            LogisticRegression(max_iter=500))
        model.fit(frame, self.late[:TRAINING_ROWS])
        inputs = [(n, StringTensorType([None, 1]) if n in data.TEXTS else FloatTensorType([None, 1])) for n in frame]
        onnx = to_onnx(model, initial_types=inputs, options={"zipmap": False})
        width = model[0].transform(frame[:1]).shape[1]
        return Case(name, "Logistic regression behind one-hot text columns, imputation and scaling",
                    self.estimator(place, model, onnx), "table",
                    f"{len(data.TEXTS)} text and {len(numbers)} numeric columns, {width} encoded")

    def frame(self, rows=None):
        """The table that pipelines take: five texts and eight numbers."""
        numbers = ["sched_dep_time", "sched_arr_time", "distance", "temp", "wind_speed", "pressure", "built", "weekday"]
        frame = self.table[data.TEXTS + numbers][:rows]
        return frame.astype({n: np.float32 for n in numbers})


def tree_leaves(node):
    """Leaves below a node of a YDF tree."""
    if not hasattr(node, "pos_child"):
        return 1
    return tree_leaves(node.pos_child) + tree_leaves(node.neg_child)
