"""Random XGBoost models in the library's own formats, with the answers of the library.

    .venv/bin/python Tests/Golden/xgboost_models.py OUTDIR [COUNT] [SEED] [BENT]

Writes OUTDIR/models.bin, COUNT cases (default 240) one behind the other, little-endian:

    u64 × 8   bytes of the name, bytes of the model, rows, columns, margins a row, values a row, labels a row (0 or 1),
              trees (0 where leaves are not asked for)
    name, model, each padded with zeros to a multiple of 8
    for each column: u64 kind (0 single, 1 double, 2 text), u64 bytes of its name and the name, padded as above; then
              its rows: f32, or f64, or texts of a u64 length and the bytes, padded together to a multiple of 8
    f32 [rows, margins]   predict(output_margin=True)
    f32 [rows, values]    predict(): probabilities where labels are told, of both classes where there are two
    i64 [rows]            the label, where there is one
    u64                   the rows that have leaves, the first ones; then i64 [those rows, trees] predict(pred_leaf=True)

Each block of numbers is padded to a multiple of 8. Models are trained on a few hundred made-up rows; objectives,
boosters, missing values, categories, depth, bins and the format are drawn at random, the first ones in turn. Rows hold
the thresholds of the model, their neighbouring floats, NaN, infinities (where the library takes them), and categories
that are unknown, negative or broken.

Training is most of the time, so BENT (default 0) further models are made of each trained one: thresholds, features,
directions of missing values, sets of categories, leaves, weights and the base score are drawn anew in its document, which the library loads, saves in its own way and answers from.

Exits 1 when the models of a run of at least 100 lack one of the shapes that the tests are about.
"""

from __future__ import annotations

import collections
import itertools
import json
import os
import pathlib
import struct
import sys
import tempfile

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import xgboost as xgb  # noqa: E402

ROWS = 48
OBJECTIVES = """reg:squarederror reg:squaredlogerror reg:logistic reg:pseudohubererror reg:absoluteerror
reg:quantileerror reg:gamma reg:tweedie count:poisson binary:logistic binary:logitraw binary:hinge multi:softmax
multi:softprob rank:pairwise rank:ndcg rank:map survival:cox survival:aft""".split()
COUNTS: collections.Counter[str] = collections.Counter()


def padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 8)


def labels_for(objective: str, rng, rows: int, signal: np.ndarray, outputs: int) -> np.ndarray:
    noisy = signal + rng.normal(scale=0.3, size=rows)
    if objective.startswith("multi:"):
        return (np.argsort(np.argsort(noisy)) * outputs // rows).astype(np.float32)
    if objective.startswith(("binary:", "rank:map")):
        return (noisy > 0).astype(np.float32)
    if objective.startswith("rank:"):
        return np.clip(np.round(noisy + 2), 0, 4).astype(np.float32)
    if objective in ("reg:logistic",):
        return (1 / (1 + np.exp(-noisy))).astype(np.float32)
    if objective in ("reg:gamma", "survival:aft", "survival:cox"):
        return (np.exp(noisy) + 0.01).astype(np.float32)
    if objective in ("count:poisson",):
        return rng.poisson(np.exp(np.clip(noisy, -3, 2))).astype(np.float32)
    if objective in ("reg:tweedie", "reg:squaredlogerror"):
        return np.maximum(noisy, 0).astype(np.float32)
    return (noisy * rng.choice([1, 1, 1000]) + rng.choice([0, 0, 50])).astype(np.float32)


class Case:
    """A model to be trained: what is drawn for it."""

    def __init__(self, index: int, seed: int):
        self.rng = rng = np.random.default_rng([seed, index])
        self.objective = OBJECTIVES[index % len(OBJECTIVES)]
        turn = index // len(OBJECTIVES)
        self.booster = ["gbtree", "gbtree", "dart", "gbtree", "gblinear", "gbtree"][turn % 6]
        self.format = rng.choice(["ubj", "json"])
        self.name = f"{index} {self.booster} {self.objective} {self.format}"
        self.features = int(rng.choice([1, 2, 4, 9]))
        self.columns = ["float"] * self.features
        if self.booster != "gblinear" and rng.random() < 0.5:
            for feature in range(self.features):
                self.columns[feature] = str(rng.choice(["float", "code", "text", "whole"]))
            # Texts and whole numbers as categories come from a frame, codes from a matrix.
            if any(kind in ("text", "whole") for kind in self.columns):
                self.columns = [k if k != "code" else "float" for k in self.columns]
        self.is_frame = any(kind in ("text", "whole") for kind in self.columns)
        self.is_deep = self.booster == "gbtree" and rng.random() < 0.12
        self.is_fine = self.booster == "gbtree" and not self.is_deep and rng.random() < 0.12
        self.rows = 1500 if self.is_deep else 600 if self.is_fine else 200
        self.outputs = int(rng.choice([2, 3, 7])) if self.objective.startswith("multi:") else 1
        self.targets = 1
        if self.objective in ("reg:squarederror", "binary:logistic", "reg:pseudohubererror") and rng.random() < 0.2:
            self.targets = int(rng.choice([2, 3]))
        self.is_vector = max(self.outputs, self.targets) > 1 and self.booster == "gbtree" and rng.random() < 0.6
        if self.is_vector:
            # The library has no categories there yet.
            self.columns = ["float"] * self.features
            self.is_frame = False
        self.missing = rng.random() < 0.5
        self.known: dict[str, list] = {}
        self.names = [f"f{i}" for i in range(self.features)]
        self.is_named = self.is_frame or rng.random() < 0.5
        if self.is_named:
            self.names = [str(n) for n in rng.permutation([f"col {i} \u00e4\"\\" for i in range(self.features)])]

    def parameters(self) -> tuple[dict, int]:
        rng = self.rng
        parameters = {
            "objective": self.objective,
            "booster": self.booster,
            "seed": int(rng.integers(1 << 30)),
            "nthread": 1,
            "verbosity": 0,
        }
        rounds = int(rng.choice([1, 3, 8]))
        if self.objective.startswith("multi:"):
            parameters["num_class"] = self.outputs
        if self.objective == "reg:quantileerror":
            alphas = [[0.5], [0.1, 0.5, 0.9]][int(rng.integers(2))]
            parameters["quantile_alpha"] = alphas
        if rng.random() < 0.3 and self.objective not in ("reg:quantileerror",):
            parameters["base_score"] = float(rng.choice([0.25, 0.5, 0.7]))
        if self.booster == "gblinear":
            parameters["updater"] = str(rng.choice(["shotgun", "coord_descent"]))
            return parameters, rounds
        parameters.update(
            max_depth=int(rng.choice([1, 2, 4, 6])),
            eta=float(rng.choice([0.1, 0.3, 1.0])),
            tree_method=str(rng.choice(["hist", "exact", "approx"])),
            gamma=float(rng.choice([0, 0, 0.5])),
            min_child_weight=float(rng.choice([0, 1])),
        )
        if any(kind in ("code", "text", "whole") for kind in self.columns):
            parameters["tree_method"] = str(rng.choice(["hist", "approx"]))
            parameters["max_cat_to_onehot"] = int(rng.choice([1, 4, 100]))
        if self.objective in ("reg:quantileerror", "reg:absoluteerror"):
            parameters["tree_method"] = "hist"
        if self.is_deep:
            parameters.update(max_depth=16, min_child_weight=0, gamma=0, eta=0.3)
            rounds = 3
        if self.is_fine:
            parameters.update(max_depth=7, max_bin=1024, min_child_weight=0, gamma=0)
            rounds = 12
        if rng.random() < 0.2:
            parameters.update(num_parallel_tree=3, subsample=0.6, colsample_bytree=0.7)
        if self.is_vector:
            parameters.update(multi_strategy="multi_output_tree", tree_method="hist")
        if self.booster == "dart":
            parameters.update(rate_drop=0.3, one_drop=True, normalize_type=str(rng.choice(["tree", "forest"])))
        if rng.random() < 0.2 and not self.is_deep and parameters["tree_method"] == "hist":
            parameters.update(grow_policy="lossguide", max_leaves=9, max_depth=0)
        return parameters, rounds

    def table(self, rows: int):
        """Rows as the model is trained with: a matrix, or a frame where categories have names."""
        rng = self.rng
        data = {}
        signal = np.zeros(rows)
        for name, kind in zip(self.names, self.columns):
            if kind == "float":
                values = rng.normal(size=rows).astype(np.float32)
                if rng.random() < 0.3:
                    values = np.round(values * 2).astype(np.float32)
                signal += np.nan_to_num(values) * rng.normal()
                if self.missing:
                    values[rng.random(rows) < 0.15] = np.nan
            else:
                if name in self.known:
                    # Asked rows bring some of the categories, in an order of their own.
                    drawn = [self.known[name][i] for i in rng.integers(0, len(self.known[name]), size=rows)]
                    order = sorted(set(drawn), key=drawn.index)
                    column = [v if not self.missing or rng.random() > 0.15 else None for v in drawn]
                    data[name] = pd.Categorical(column, categories=order)
                    continue
                count = int(rng.choice([2, 5, 40]))
                codes = rng.integers(0, count, size=rows)
                signal += rng.normal(size=count)[codes]
                if kind == "code":
                    values = codes.astype(np.float32)
                    if self.missing:
                        values[rng.random(rows) < 0.15] = np.nan
                else:
                    # No others than ASCII: version 3.2 of the library does not find them again in another order.
                    known = (
                        [f"kind {i}" if i else "x" for i in range(count)]
                        if kind == "text"
                        else [int(i) for i in rng.permutation(np.arange(-3, 200))[:count]]
                    )
                    self.known[name] = known
                    order = [known[i] for i in rng.permutation(count)]
                    column = [known[c] if not self.missing or rng.random() > 0.15 else None for c in codes]
                    values = pd.Categorical(column, categories=order)
            data[name] = values
        return data, signal

    def matrix(self, data: dict, **more) -> xgb.DMatrix:
        types = ["c" if kind != "float" else "float" for kind in self.columns]
        if self.is_frame:
            return xgb.DMatrix(pd.DataFrame(data), enable_categorical=True, nthread=1, **more)
        return xgb.DMatrix(
            np.stack([data[n] for n in self.names], axis=1),
            feature_names=self.names if self.is_named else None,
            feature_types=types if self.is_named or "c" in types else None,
            enable_categorical=True,
            nthread=1,
            **more,
        )

    def train(self) -> xgb.Booster:
        data, signal = self.table(self.rows)
        parameters, rounds = self.parameters()
        label = labels_for(self.objective, self.rng, self.rows, signal, self.outputs)
        if self.targets > 1:
            label = np.stack([label] + [np.roll(label, k) for k in range(1, self.targets)], axis=1)
        if self.objective == "survival:aft":
            matrix = self.matrix(data, label_lower_bound=label, label_upper_bound=label * 1.5)
        elif self.objective.startswith("rank:"):
            matrix = self.matrix(data, label=label, group=[20] * (self.rows // 20))
        else:
            matrix = self.matrix(data, label=label)
        return xgb.train(parameters, matrix, rounds, verbose_eval=False)

    def asked_rows(self, booster: xgb.Booster, thresholds: list[list[float]]) -> dict:
        """Rows to be predicted: drawn from the model's own thresholds and what lies beside them."""
        rng = self.rng
        data, _ = self.table(ROWS)
        for feature, (name, kind) in enumerate(zip(self.names, self.columns)):
            values = data[name]
            draw = rng.random(ROWS)
            if kind == "float":
                if thresholds[feature]:
                    chosen = rng.choice(np.float32(thresholds[feature]), size=ROWS)
                    beside = np.nextafter(chosen, rng.choice(np.float32([-np.inf, np.inf]), size=ROWS))
                    values[draw < 0.75] = np.where(draw < 0.5, beside, chosen)[draw < 0.75]
                    draw[draw < 0.75] = 1
                values[draw < 0.82] = np.nan
                odd = (draw >= 0.82) & (draw < 0.86)
                values[odd] = rng.choice(np.float32([0.0, -0.0, 1e-45, 3e38, -3e38]), size=odd.sum())
            elif kind == "code":
                broken = np.float32([np.nan, -1, -0.5, -0.0, 0.5, 1.5, 41, 1000, 16777216, 1e9])
                values[draw < 0.3] = rng.choice(broken, size=(draw < 0.3).sum())
        return data


def booster_of(document: dict) -> dict:
    booster = document["learner"]["gradient_booster"]
    return booster.get("gbtree", booster)


def note(document: dict, case: Case) -> list[list[float]]:
    """Counts the shapes that the model has; returns the thresholds of each feature."""
    thresholds: list[list[float]] = [[] for _ in case.names]
    model = booster_of(document)["model"]
    COUNTS[case.objective] += 1
    COUNTS[case.booster] += 1
    COUNTS[case.format] += 1
    for tree in model.get("trees", []):
        depths = [0] * len(tree["left_children"])
        for node, left in enumerate(tree["left_children"]):
            if left == -1:
                continue
            depths[left] = depths[tree["right_children"][node]] = depths[node] + 1
            if tree["split_type"][node] == 0:
                thresholds[tree["split_indices"][node]].append(tree["split_conditions"][node])
        leaves = sum(left == -1 for left in tree["left_children"])
        COUNTS["more than 64 leaves"] += leaves > 64
        COUNTS["depth of 12 and above"] += max(depths) >= 12
        COUNTS["categorical splits"] += len(tree["categories_nodes"]) > 0
        COUNTS["vectors in leaves"] += int(tree["tree_param"]["size_leaf_vector"]) > 1
        COUNTS["deleted nodes"] += int(tree["tree_param"]["num_deleted"]) > 0
        COUNTS["missing goes left"] += any(tree["default_left"])
    COUNTS["more than 255 thresholds"] += any(len(set(t)) > 255 for t in thresholds)
    COUNTS["several classes"] += int(document["learner"]["learner_model_param"]["num_class"]) > 2
    COUNTS["several targets"] += int(document["learner"]["learner_model_param"]["num_target"]) > 1
    COUNTS["parallel trees"] += int(model.get("gbtree_model_param", {}).get("num_parallel_tree", 1)) > 1
    COUNTS["text categories"] += "text" in case.columns
    COUNTS["whole-number categories"] += "whole" in case.columns
    COUNTS["weights of dropped trees"] += len(set(document["learner"]["gradient_booster"].get("weight_drop", []))) > 1
    return [sorted(set(t)) for t in thresholds]


def stopped_early(case: Case):
    """A classifier or regressor of the scikit-learn interface that stopped early, as it saves itself."""
    rng = case.rng
    case.columns = ["float"] * case.features
    case.is_frame = False
    case.is_named = False
    case.names = [f"f{i}" for i in range(case.features)]
    data, signal = case.table(200)
    matrix = np.stack([data[n] for n in case.names], axis=1)
    classes = int(rng.choice([0, 2, 4]))
    more = dict(n_estimators=40, early_stopping_rounds=3, learning_rate=0.6, max_depth=3, n_jobs=1, verbosity=0)
    if classes:
        label = labels_for("multi:softprob", rng, 200, signal, classes).astype(int)
        model = xgb.XGBClassifier(**more)
    else:
        label = signal + rng.normal(size=200)
        model = xgb.XGBRegressor(**more)
    shuffled = rng.permutation(label[150:])
    shuffled[: max(classes, 1)] = np.arange(max(classes, 1)) if classes else shuffled[:1]
    model.fit(matrix[:150], label[:150], eval_set=[(matrix[150:], shuffled)], verbose=False)
    COUNTS["stopped early"] += model.best_iteration + 1 < model.get_booster().num_boosted_rounds()
    case.name = f"{case.name} stopped early at {model.best_iteration} of {model.get_booster().num_boosted_rounds()}"
    return model


def bend(document: dict, case: Case) -> None:
    """Draws anew what a model of this shape may hold."""
    rng = case.rng
    learner = document["learner"]
    model = booster_of(document)["model"]
    if "weights" in model:
        model["weights"] = (np.array(model["weights"]) * rng.choice([1, -1, 0, 1e3], size=len(model["weights"]))).tolist()
    floats = [i for i, kind in enumerate(case.columns) if kind == "float"]
    for tree in model.get("trees", []):
        many = max(tree["categories"], default=0) + 1
        inner = [i for i, parent in enumerate(tree["left_children"]) if parent != -1 and inside(tree, i)]
        known = [tree["split_conditions"][i] for i in inner if tree["split_type"][i] == 0]
        for node in inner:
            if rng.random() < 0.5:
                continue
            # Children stay: the library takes the right one to be the one behind the left.
            if rng.random() < 0.3:
                tree["default_left"][node] = 1 - tree["default_left"][node]
            elif tree["split_type"][node] == 0:
                drawn = float(rng.choice([rng.choice(known), rng.normal() * 10.0 ** rng.integers(-6, 7), 0.0, 1e-45]))
                tree["split_conditions"][node] = float(np.float32(drawn))
                tree["split_indices"][node] = int(rng.choice(floats))
        if "leaf_weights" not in tree:
            for node, left in enumerate(tree["left_children"]):
                if left == -1 and rng.random() < 0.5:
                    tree["split_conditions"][node] = float(np.float32(rng.normal() * 10.0 ** rng.integers(-4, 2)))
        for start, size in zip(tree["categories_segments"], tree["categories_sizes"]):
            chosen = np.sort(rng.permutation(max(many, size))[:size])
            tree["categories"][start : start + size] = chosen.tolist()
    if "weight_drop" in learner["gradient_booster"]:
        drop = learner["gradient_booster"]["weight_drop"]
        learner["gradient_booster"]["weight_drop"] = np.float32(rng.uniform(0.01, 1, size=len(drop))).tolist()
    scores = json.loads(learner["learner_model_param"]["base_score"])
    if isinstance(scores, list) and rng.random() < 0.5:
        learner["learner_model_param"]["base_score"] = json.dumps(rng.uniform(0.05, 0.95, size=len(scores)).tolist())


def inside(tree: dict, node: int) -> bool:
    """Whether a node splits: a vector's leaf has a right child that is its place among the leaves."""
    return tree["parents"][tree["left_children"][node]] == node


def answers(case: Case, bent: int):
    """The case of a trained model, and of what is made of it."""
    model = stopped_early(case) if case.rng.random() < 0.04 else None
    booster = model.get_booster() if model is not None else case.train()
    yield answer(case, booster, model)
    name = case.name
    document = booster.save_raw("json")
    for number in range(bent):
        other = json.loads(document)
        bend(other, case)
        booster = xgb.Booster({"nthread": 1})
        booster.load_model(bytearray(json.dumps(other, ensure_ascii=False).encode()))
        case.format = str(case.rng.choice(["ubj", "json"]))
        case.name = f"{name} bent {number}"
        # Not saved by the scikit-learn interface, it is answered with all of its trees.
        yield answer(case, booster, None)


def answer(case: Case, booster: xgb.Booster, model) -> bytes:
    if model is not None:
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory) / f"model.{case.format}"
            model.save_model(path)
            file = path.read_bytes()
    else:
        file = bytes(booster.save_raw(case.format))
    thresholds = note(json.loads(booster.save_raw("json")), case)
    # The library answers from the file, as a server does.
    booster = xgb.Booster({"nthread": 1})
    booster.load_model(bytearray(file))
    data = case.asked_rows(booster, thresholds)
    count = ROWS
    rounds = (0, int(booster.attr("best_iteration")) + 1) if model is not None else (0, 0)
    ask = dict(iteration_range=rounds)
    matrix = case.matrix(data)
    margin = booster.predict(matrix, output_margin=True, **ask).reshape(count, -1)
    value = booster.predict(matrix, **ask).reshape(count, -1)
    leaves = np.zeros((count, 0))
    if case.booster != "gblinear":
        leaves = booster.predict(matrix, pred_leaf=True, **ask).reshape(count, -1)
    # Infinities are refused in a matrix, but not in place; dart rounds differently there.
    if case.booster == "gbtree" and not case.is_frame and case.rng.random() < 0.5:
        extra = {n: np.array(v) for n, v in data.items()}
        for name, kind in zip(case.names, case.columns):
            if kind == "float":
                chosen = case.rng.random(count) < 0.5
                extra[name][chosen] = case.rng.choice(np.float32([np.inf, -np.inf]), size=chosen.sum())
        rows = np.stack([extra[n] for n in case.names], axis=1)
        plain = dict(validate_features=False, **ask)
        margin = np.vstack([margin, booster.inplace_predict(rows, predict_type="margin", **plain).reshape(count, -1)])
        value = np.vstack([value, booster.inplace_predict(rows, **plain).reshape(count, -1)])
        data = {n: np.concatenate([data[n], extra[n]]) for n in case.names}
        COUNTS["infinities"] += 1
    rows = margin.shape[0]
    label = None
    objective = json.loads(booster.save_config())["learner"]["objective"]["name"]
    if objective == "binary:logistic" and margin.shape[1] == 1:
        label = (value[:, 0] > 0.5).astype(np.int64)
        value = np.stack([np.float32(1) - value[:, 0], value[:, 0]], axis=1)
    elif objective == "binary:hinge":
        label = value[:, 0].astype(np.int64)
        value = np.zeros((rows, 0), np.float32)
    elif objective == "multi:softprob":
        label = value.argmax(axis=1).astype(np.int64)
    elif objective == "multi:softmax":
        label = value[:, 0].astype(np.int64)
        # The same model, asked for probabilities.
        document = json.loads(booster.save_raw("json"))
        document["learner"]["objective"]["name"] = "multi:softprob"
        soft = xgb.Booster({"nthread": 1})
        soft.load_model(bytearray(json.dumps(document, ensure_ascii=False).encode()))
        value = soft.predict(matrix).reshape(count, -1)
        if rows > count:
            value = np.vstack([value, soft.inplace_predict(np.stack([extra[n] for n in case.names], axis=1),
                                                           validate_features=False).reshape(count, -1)])
    output = bytearray()
    name = case.name.encode()
    output += struct.pack(
        "<8Q", len(name), len(file), rows, case.features, margin.shape[1], value.shape[1], label is not None,
        leaves.shape[1],
    )
    output += padded(name) + padded(file)
    for column, kind in zip(case.names, case.columns):
        values = data[column]
        code = {"float": 0, "code": 0, "whole": 1, "text": 2}[kind]
        encoded = column.encode()
        output += struct.pack("<2Q", code, len(encoded)) + padded(encoded)
        if code == 2:
            texts = ["" if v is None or v != v else str(v) for v in values]
            output += padded(b"".join(struct.pack("<Q", len(t.encode())) + t.encode() for t in texts))
        else:
            kinds = {0: "<f4", 1: "<f8"}
            numbers = [np.nan if v is None or v != v else v for v in values] if code == 1 else values
            output += padded(np.asarray(numbers, kinds[code]).tobytes())
    output += padded(margin.astype("<f4").tobytes()) + padded(value.astype("<f4").tobytes())
    if label is not None:
        output += label.astype("<i8").tobytes()
    output += struct.pack("<Q", leaves.shape[0]) + leaves.astype("<i8").tobytes()
    return bytes(output)


def main() -> int:
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    directory = pathlib.Path(sys.argv[1])
    total = int(sys.argv[2]) if len(sys.argv) > 2 else 240
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    bent = int(sys.argv[4]) if len(sys.argv) > 4 else 0
    directory.mkdir(parents=True, exist_ok=True)
    written = index = 0
    with open(directory / "models.bin", "wb") as file:
        while written < total:
            case = Case(index, seed)
            index += 1
            try:
                for one in itertools.islice(answers(case, bent), total - written):
                    file.write(one)
                    written += 1
            except Exception as error:
                # A check of its weighted quantile sketch, on gradients that survival:cox lets grow without bound.
                if isinstance(error, xgb.core.XGBoostError) and "too many large chunk" in str(error):
                    print("the library does not train this:", case.name, file=sys.stderr)
                    continue
                print("failed:", case.name, file=sys.stderr)
                raise
    print(f"{total} models of XGBoost {xgb.__version__}:")
    for name, count in sorted(COUNTS.items()):
        print(f"{count:7} {name}")
    lacking = [name for name, count in COUNTS.items() if count == 0]
    # With models drawn anew few are trained, and a batch of them may well lack a rare shape.
    if total >= 100 and not bent and lacking:
        print("no model has:", ", ".join(lacking), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
