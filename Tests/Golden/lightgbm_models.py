"""Random LightGBM models in their own text format, with the answers of the library.

    .venv/bin/python Tests/Golden/lightgbm_models.py OUTDIR [COUNT] [SEED] [BENT]

Writes OUTDIR/models.bin, COUNT cases (default 288) one behind the other, little-endian:

    u64 × 8   bytes of the model, rows, features, margins, trees, predicted values a row, bytes of the name, 0
    name, model text, each padded with zeros to a multiple of 8
    f64 [rows, features]    the rows
    f64 [rows, margins]     predict(raw_score=True)
    f64 [rows, predicted]   predict()
    i64 [rows, trees]       predict(pred_leaf=True)

The library answers from the text, as a server does, not from the model in memory: a sigmoid of many digits is
shortened in the text. Each model is trained on a few hundred made-up rows; objectives, kinds of boosting, missing
values, categories, linear leaves, depth and number of bins are drawn at random, the first ones in turn. Rows hold
the thresholds of the model, their neighbouring doubles, NaN, infinities, both zeros, the greatest number that counts
as zero and its neighbours, and categories known, unknown, negative and broken.

Training is most of the time, so BENT (default 0) further models are made of each trained one: thresholds, features,
children, ways of missing values, sets of categories and leaves are drawn anew in its text, which the library loads,
writes in its own way and answers from.

Exits 1 when the models of a run of at least 100 lack one of the shapes that the tests are about.
"""

from __future__ import annotations

import os
import pathlib
import struct
import sys

os.environ["OMP_NUM_THREADS"] = "1"

import lightgbm  # noqa: E402
import numpy as np  # noqa: E402

ROWS = 48
ZERO = float(np.float32(1e-35))
REGRESSION = "regression regression_l1 huber fair poisson quantile mape gamma tweedie".split()
OBJECTIVES = (
    REGRESSION
    + "binary multiclass multiclassova cross_entropy cross_entropy_lambda lambdarank rank_xendcg custom custom_multi binary".split()
)
BOOSTINGS = "gbdt dart rf goss".split()
MISSING = "nan zero none nan".split()


class Shapes(dict):
    """How many models have each shape."""

    def count(self, shape: str, condition) -> None:
        self[shape] = self.get(shape, 0) + bool(condition)


def features(r: np.random.Generator, rows: int, missing: str, categorical: bool, most: int):
    """A matrix of at most as many columns, and the indices of its categorical ones."""
    width = int(r.integers(1, most + 1))
    x = r.normal(size=(rows, width))
    categories = []
    for column in range(width):
        kind = r.integers(0, 6)
        if kind == 0:
            x[:, column] = np.round(x[:, column] * 3)
        elif kind == 1:
            x[r.random(rows) < 0.6, column] = 0
        elif kind == 2:
            x[:, column] *= 10.0 ** r.integers(-36, 30)
        if categorical and (column == 0 or kind == 3):
            many = int(r.choice([3, 9, 40, 90, 300]))
            x[:, column] = r.integers(0, many, rows)
            categories.append(column)
        if missing != "none" and r.random() < 0.6:
            x[r.random(rows) < 0.15, column] = np.nan
        if missing == "zero" and r.random() < 0.6:
            x[r.random(rows) < 0.2, column] = 0
    return x, categories


def target(r: np.random.Generator, x: np.ndarray, categories: list) -> np.ndarray:
    clean = np.nan_to_num(x, nan=0.7)
    score = r.normal(size=len(x)) * 0.2
    for column in range(x.shape[1]):
        values = clean[:, column]
        if column in categories:
            score = score + r.normal(size=400)[values.astype(int)]
        else:
            scaled = values / max(np.abs(values).max(), 1e-300)
            score = score + np.sin(scaled * r.uniform(1, 9)) * r.uniform(0, 2)
    return score


def labels(r: np.random.Generator, objective: str, score: np.ndarray):
    """Labels for an objective, and more parameters."""
    if objective in ("poisson", "gamma", "tweedie"):
        return np.exp(score / 2) + (0.01 if objective == "gamma" else 0), {}
    if objective == "binary":
        return (score > np.median(score)).astype(float), {"sigmoid": float(r.choice([1.0, 1.7, 0.35, 2.123456789]))}
    if objective.startswith("multiclass") or objective == "custom_multi":
        classes = int(r.integers(3, 6))
        cuts = np.quantile(score, np.arange(1, classes) / classes)
        more = {"num_class": classes}
        if objective == "multiclassova":
            more["sigmoid"] = float(r.choice([1.0, 0.7]))
        return np.digitize(score, cuts).astype(float), more
    if objective.startswith("cross_entropy"):
        return 1 / (1 + np.exp(-score)), {}
    if objective in ("lambdarank", "rank_xendcg"):
        return np.digitize(score, np.quantile(score, [0.5, 0.8])).astype(float), {}
    return score, {}


def custom(score: np.ndarray, data: lightgbm.Dataset):
    wanted = data.get_label()
    if score.ndim == 2:
        wanted = (wanted[:, None] == np.arange(score.shape[1])).astype(float)
    return (score - wanted), np.ones_like(score)


def train(r: np.random.Generator, number: int, shapes: Shapes):
    in_turn = number < 4 * len(OBJECTIVES)
    objective = OBJECTIVES[number % len(OBJECTIVES)] if in_turn else str(r.choice(OBJECTIVES))
    boosting = BOOSTINGS[number // 5 % 4] if in_turn else str(r.choice(BOOSTINGS))
    missing = MISSING[number // 3 % 4] if in_turn else str(r.choice(MISSING))
    if boosting == "rf" and objective.startswith("custom"):
        boosting = "gbdt"
    categorical = bool(r.random() < 0.4)
    linear = boosting in ("gbdt", "goss") and objective not in ("regression_l1", "quantile", "mape") and missing != "zero" and r.random() < 0.25
    large = number % 12 == 5 if in_turn else r.random() < 0.02
    rows = int(r.integers(1500, 2500)) if large else int(r.integers(40, 500))
    x, categories = features(r, rows, missing, categorical, 2 if large else 8)
    y, more = labels(r, objective, target(r, x, categories))
    params = {
        "objective": custom if objective.startswith("custom") else objective,
        "boosting": "gbdt" if boosting == "goss" else boosting,
        "verbose": -1,
        "num_threads": 1,
        "seed": int(r.integers(1 << 30)),
        "num_leaves": int(r.integers(80, 300)) if large else int(r.choice([2, 3, 5, 8, 31])),
        "max_bin": 2000 if large else int(r.choice([4, 15, 63, 255, 600])),
        "min_data_in_bin": 1,
        "min_data_in_leaf": 1 if large else int(r.integers(1, 15)),
        "min_sum_hessian_in_leaf": 0.0 if r.random() < 0.5 else 1e-3,
        "learning_rate": float(r.uniform(0.05, 0.9)),
        "use_missing": missing != "none",
        "zero_as_missing": missing == "zero",
        "min_data_per_group": 1,
        "cat_smooth": 1.0,
        "max_cat_to_onehot": int(r.choice([1, 4, 50])),
        "max_cat_threshold": int(r.choice([4, 32, 200])),
        "linear_tree": bool(linear),
        "reg_sqrt": bool(r.random() < 0.3),
        "extra_trees": bool(r.random() < 0.2),
        "drop_rate": 0.4,
        **more,
    }
    if boosting == "rf":
        params.update(bagging_freq=1, bagging_fraction=0.7)
    if boosting == "goss":
        params.update(data_sample_strategy="goss", top_rate=0.3, other_rate=0.3)
    if objective.endswith("multi") or objective == "custom":
        params.pop("reg_sqrt")
    group = None
    if objective in ("lambdarank", "rank_xendcg"):
        group = [10] * (rows // 10) + ([rows % 10] if rows % 10 else [])
    data = lightgbm.Dataset(x, y, group=group, categorical_feature=categories, params=params, free_raw_data=False)
    rounds = int(r.integers(1, 4)) if large else int(r.integers(1, 14))
    booster = lightgbm.train(params, data, rounds)
    further = boosting == "gbdt" and not linear and r.random() < 0.5
    if further:
        # Trees that take the same features in another way.
        other = {**params, "use_missing": True, "zero_as_missing": missing != "zero"}
        again = lightgbm.Dataset(x, y, group=group, categorical_feature=categories, params=other, free_raw_data=False)
        booster = lightgbm.train(other, again, rounds, init_model=booster)
    text = booster.model_to_string()
    count(shapes, text, objective, boosting, missing, linear, further)
    return f"{number} {objective} {boosting} {missing}{' linear' if linear else ''}", text, x, categories


def trees_of(text: str) -> list:
    """The lists of each tree by key."""
    trees = []
    for block in text.split("\nTree=")[1:]:
        lines = block.split("\n\n")[0].split("\n")[1:]
        trees.append({key: value.split() for key, value in (line.split("=", 1) for line in lines)})
    return trees


def depth(tree: dict) -> int:
    left, right = [int(v) for v in tree["left_child"]], [int(v) for v in tree["right_child"]]
    deepest, stack = 0, [(0, 1)] if left else []
    while stack:
        node, level = stack.pop()
        deepest = max(deepest, level)
        stack += [(child, level + 1) for child in (left[node], right[node]) if child >= 0]
    return deepest


def count(shapes: Shapes, text: str, objective, boosting, missing, linear, further) -> None:
    trees = trees_of(text)
    thresholds: dict = {}
    modes: dict = {}
    for tree in trees:
        for feature, threshold, decision in zip(tree["split_feature"], tree["threshold"], tree["decision_type"]):
            modes.setdefault(feature, set()).add("c" if int(decision) & 1 else int(decision) >> 2)
            if not int(decision) & 1:
                thresholds.setdefault(feature, set()).add(threshold)
    shapes.count(f"objective {objective}", True)
    shapes.count(f"boosting {boosting}", True)
    for mode, name in enumerate(["none", "zero", "nan"]):
        shapes.count(f"missing type {name}", any(mode in m for m in modes.values()))
    shapes.count("trained further in another way", further)
    shapes.count("several ways of reading a feature", any(len(m) > 1 for m in modes.values()))
    shapes.count("categories", any("c" in m for m in modes.values()))
    shapes.count("categories beyond 64", any(int(b) - int(a) > 2 for t in trees for a, b in zip(t.get("cat_boundaries", []), t.get("cat_boundaries", [])[1:])))
    shapes.count("linear leaves", any(any(int(n) for n in t.get("num_features", [])) for t in trees))
    shapes.count("trees of one leaf", any(t["num_leaves"] == ["1"] for t in trees))
    shapes.count("more than 64 leaves", any(int(t["num_leaves"][0]) > 64 for t in trees))
    shapes.count("more than 255 thresholds of a feature", any(len(t) > 255 for t in thresholds.values()))
    shapes.count("depth of 12 and above", any(depth(t) >= 12 for t in trees))
    shapes.count("average of trees", "\naverage_output\n" in text)
    shapes.count("root of the target", " sqrt\n" in text)


def rows_for(r: np.random.Generator, text: str, x: np.ndarray, categories: list) -> np.ndarray:
    known: dict = {}
    for tree in trees_of(text):
        for feature, threshold, decision in zip(tree["split_feature"], tree["threshold"], tree["decision_type"]):
            if not int(decision) & 1:
                known.setdefault(int(feature), []).append(float(threshold))
    odd = [np.nan, np.nan, np.inf, -np.inf, 0.0, -0.0, 1e300, -1e300, 5e-324]
    odd += [s * v for s in (1, -1) for v in (ZERO, np.nextafter(ZERO, 1), np.nextafter(ZERO, 0), 1e-36, 1e-34)]
    broken = [-1, -0.5, -1e-40, 0.5, 2.999, 31, 32, 63, 64, 299, 300, 1e4, 1e9, 2**31 - 1, 2**31, 2**32, 1e19, -1e19, -2]
    rows = x[r.integers(0, len(x), ROWS)].copy()
    for column in range(x.shape[1]):
        near = np.array(known.get(column, [0.0]))
        kind = r.random(ROWS)
        thresholds = r.choice(near, size=ROWS)
        sides = np.stack([thresholds, np.nextafter(thresholds, np.inf), np.nextafter(thresholds, -np.inf)])
        beside = sides[r.integers(0, 3, ROWS), np.arange(ROWS)]
        if column in categories:
            rows[:, column] = np.where((kind >= 0.12) & (kind < 0.3), r.choice(broken, size=ROWS), rows[:, column])
        else:
            rows[:, column] = np.where((kind >= 0.12) & (kind < 0.75), beside, rows[:, column])
        rows[:, column] = np.where(kind < 0.12, r.choice(odd, size=ROWS), rows[:, column])
    return rows


def bend(r: np.random.Generator, text: str, categories: list, width: int) -> str:
    """The text of another model of the same shape, as the library writes it."""
    numeric = [column for column in range(width) if column not in categories]
    head, *blocks = text.split("\nTree=")
    blocks[-1], tail = blocks[-1].split("end of trees", 1)
    made = []
    for block in blocks:
        lines = block.split("\n")
        tree = {line.split("=", 1)[0]: line.split("=", 1)[1].split() for line in lines[1:] if "=" in line}
        for node in range(len(tree["split_feature"])):
            decision = int(tree["decision_type"][node])
            what = r.integers(0, 6)
            if what == 0:
                left, right = tree["left_child"], tree["right_child"]
                left[node], right[node] = right[node], left[node]
            elif decision & 1 == 0 and what == 1:
                tree["decision_type"][node] = str(int(r.integers(0, 2)) << 1 | int(r.integers(0, 3)) << 2)
            elif decision & 1 == 0 and what == 2:
                tree["split_feature"][node] = str(r.choice(numeric))
            elif decision & 1 == 0 and what == 3:
                drawn = r.choice([r.normal() * 10.0 ** r.integers(-36, 30), ZERO, -ZERO, 0.0, 1.5, float(r.choice(tree["threshold"]))])
                tree["threshold"][node] = repr(float(drawn))
        if "cat_threshold" in tree:
            words = tree["cat_threshold"]
            tree["cat_threshold"] = [str(int(r.integers(0, 2**32))) if r.random() < 0.4 else word for word in words]
        values = tree["leaf_value"]
        tree["leaf_value"] = [repr(float(r.normal() * 10.0 ** r.integers(-5, 2))) if r.random() < 0.3 else value for value in values]
        keys = [line.split("=", 1)[0] if "=" in line else None for line in lines[1:]]
        made.append("\n".join([lines[0]] + [line if key is None else f"{key}={' '.join(tree[key])}" for key, line in zip(keys, lines[1:])]))
    sizes = " ".join(str(len("Tree=" + block) + 1) for block in made)
    head = "\n".join(f"tree_sizes={sizes}" if line.startswith("tree_sizes=") else line for line in head.split("\n"))
    return lightgbm.Booster(model_str=head + "\nTree=" + "\nTree=".join(made) + "end of trees" + tail).model_to_string()


def padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 8)


def case(label: str, text: str, rows: np.ndarray) -> bytes:
    booster = lightgbm.Booster(model_str=text)
    raw = booster.predict(rows, raw_score=True).reshape(ROWS, -1)
    predicted = booster.predict(rows).reshape(ROWS, -1)
    leaves = booster.predict(rows, pred_leaf=True).reshape(ROWS, -1).astype(np.int64)
    model, name = text.encode(), label.encode()
    numbers = (len(model), ROWS, rows.shape[1], raw.shape[1], leaves.shape[1], predicted.shape[1], len(name), 0)
    matrices = (rows, raw.astype("<f8"), predicted.astype("<f8"), leaves.astype("<i8"))
    return struct.pack("<8Q", *numbers) + padded(name) + padded(model) + b"".join(m.tobytes() for m in matrices)


def main() -> int:
    if len(sys.argv) < 2:
        print(__doc__)
        return 2
    directory = pathlib.Path(sys.argv[1])
    total = int(sys.argv[2]) if len(sys.argv) > 2 else 288
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    bent = int(sys.argv[4]) if len(sys.argv) > 4 else 0
    directory.mkdir(parents=True, exist_ok=True)
    shapes = Shapes()
    refused: dict = {}
    written = 0
    with open(directory / "models.bin", "wb") as file, np.errstate(all="ignore"):
        number = 0
        while written < total:
            r = np.random.default_rng([seed, number])
            try:
                name, text, x, categories = train(r, number, shapes)
            except lightgbm.basic.LightGBMError as error:  # some draws do not go together
                refused[str(error)[:70]] = refused.get(str(error)[:70], 0) + 1
                number += 1
                continue
            number += 1
            for one in range(min(1 + bent, total - written)):
                label = f"{seed}.{name} bent {one}" if one else f"{seed}.{name}"
                own = bend(r, text, categories, x.shape[1]) if one else text
                file.write(case(label, own, rows_for(r, own, x, categories)))
                written += 1
    for shape, models in sorted(shapes.items()):
        print(f"  {models:6} {shape}")
    for error, models in sorted(refused.items()):
        print(f"  {models:6} not trained: {error}")
    print(f"{written} models of LightGBM {lightgbm.__version__} in {directory / 'models.bin'}")
    lacking = [shape for shape, models in shapes.items() if models == 0]
    # With models drawn anew few are trained, and a batch of them may well lack a rare shape.
    if total >= 100 and not bent and lacking:
        print(f"no model has: {', '.join(lacking)}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
