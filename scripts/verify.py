#!/usr/bin/env python3
"""Asks the training library for the answers to rows of a file, and compares martlet's with them.

    .venv/bin/python scripts/verify.py MODEL --rows rows.csv [--trained FILE] [--golden golden.csv]

MODEL is what `martlet verify` takes: a model file, or a directory of one. FILE is what the library itself reads: a
joblib or pickle of a scikit-learn estimator (or of an XGBoost or LightGBM one with its interface), an XGBoost .json or
.ubj, a LightGBM .txt, an .onnx file for ONNX Runtime with one thread; without it the model file itself. Numbers are
written in the digits that read back as the same bits. --golden keeps the rows with the answers: put beside the model
file, it is compared at every load. A joblib runs code when it is read: give only your own.

Cells of the rows: numbers, or text in columns where one is no number (or --text COLUMN); empty is missing, NaN in a
column of numbers and '' in one of text. Columns expected_… are passed over. Exit status: that of `martlet verify`, 0 when
every answer is within the model's tolerance, 1 when not, 2 for files that do not fit.
"""

import argparse
import csv
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[1]


def fail(message):
    print(f"verify: {message}", file=sys.stderr)
    sys.exit(2)


# Rows


def read_rows(path, text):
    """Names of the feature columns, and their cells by column as they stand in the file."""
    with open(path, newline="", encoding="utf-8-sig") as file:
        lines = [line for line in csv.reader(file) if line]
    if len(lines) < 2:
        fail(f"{path} has no rows")
    header, rows = lines[0], lines[1:]
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            fail(f"{path}: row {number} has {len(row)} fields, expected {len(header)}")
    cells = {name: [row[i] for row in rows] for i, name in enumerate(header) if not name.startswith("expected_")}
    for name in text:
        if name not in cells:
            fail(f"--text names column {name}, which {path} does not have")
    return cells


def typed(cells, text):
    """The columns as float64 with NaN, or as text."""
    columns = {}
    for name, column in cells.items():
        try:
            if name in text:
                raise ValueError
            columns[name] = np.array([float(cell) if cell else np.nan for cell in column])
        except ValueError:
            columns[name] = np.array(column, dtype=object)
    return columns


def matrix(columns, names, kind):
    absent = [name for name in names if name not in columns]
    if absent:
        fail(f"the rows lack columns that the model needs: {', '.join(absent[:10])}")
    for name in names:
        if columns[name].dtype == object:
            fail(f"column {name} has text, the model takes numbers")
    return np.column_stack([columns[name] for name in names]).astype(kind)


# Answers: a list of (column, values)


def classification(labels, probabilities, classes):
    return [("label", labels)] + [(f"probability_{c}", probabilities[:, i]) for i, c in enumerate(classes)]


def regression(values):
    values = np.asarray(values)
    if values.ndim == 1 or values.shape[1] == 1:
        return [("value", values.reshape(len(values)))]
    return [(f"value_{i}", values[:, i]) for i in range(values.shape[1])]


def ask_estimator(path, columns):
    """A scikit-learn estimator, or anything with predict and predict_proba."""
    import joblib
    import pandas

    estimator = joblib.load(path)
    names = getattr(estimator, "feature_names_in_", None)
    # float32 is what a model served from float32 inputs sees.
    frame = pandas.DataFrame({k: v if v.dtype == object else v.astype(np.float32) for k, v in columns.items()})
    if names is not None:
        absent = [name for name in names if name not in columns]
        if absent:
            fail(f"the rows lack columns that the model needs: {', '.join(map(str, absent[:10]))}")
        rows = frame[list(names)]
    else:
        rows = frame.to_numpy()
    if hasattr(estimator, "predict_proba"):
        return classification(estimator.predict(rows), estimator.predict_proba(rows), estimator.classes_)
    answers = estimator.predict(rows)
    return [("label", answers)] if hasattr(estimator, "classes_") else regression(answers)


def ask_xgboost(path, columns):
    import json

    import xgboost

    booster = xgboost.Booster({"nthread": 1})
    booster.load_model(path)
    names = booster.feature_names or list(columns)
    data = xgboost.DMatrix(matrix(columns, names, np.float32), feature_names=booster.feature_names, nthread=1)
    data.set_info(feature_types=booster.feature_types) if booster.feature_types else None
    learner = json.loads(booster.save_config())["learner"]
    objective = learner["objective"]["name"]
    best = booster.attr("best_iteration")
    answers = booster.predict(data, iteration_range=(0, int(best) + 1) if best else (0, 0))
    if objective == "binary:logistic":
        return classification((answers > 0.5).astype(np.int64), np.column_stack([1 - answers, answers]), [0, 1])
    if objective == "multi:softprob":
        return classification(answers.argmax(axis=1), answers, range(answers.shape[1]))
    if objective == "multi:softmax":
        return [("label", answers.astype(np.int64))]
    return regression(answers)


def ask_lightgbm(path, columns):
    import lightgbm

    booster = lightgbm.Booster(model_file=str(path))
    names = booster.feature_name()
    if not set(names) <= set(columns):
        names = list(columns)
    answers = booster.predict(matrix(columns, names, np.float64), num_threads=1)
    with open(path, encoding="utf-8", errors="replace") as file:
        objective = next((line.split("=", 1)[1].split()[0] for line in file if line.startswith("objective=")), "")
    if objective in ("binary", "cross_entropy"):
        return classification((answers > 0.5).astype(np.int64), np.column_stack([1 - answers, answers]), [0, 1])
    if objective in ("multiclass", "multiclassova"):
        return classification(answers.argmax(axis=1), answers, range(answers.shape[1]))
    return regression(answers)


def ask_onnxruntime(path, columns):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    kinds = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(int64)": np.int64,
             "tensor(int32)": np.int32, "tensor(bool)": bool, "tensor(string)": object}
    feed, names = {}, list(columns)
    inputs = session.get_inputs()
    for value in inputs:
        kind = kinds.get(value.type) or fail(f"input {value.name} is {value.type}")
        if value.name in columns:
            feed[value.name] = columns[value.name].astype(kind).reshape(-1, 1)
        elif len(inputs) == 1:
            feed[value.name] = matrix(columns, metadata_names(session) or names, kind)
        else:
            fail(f"the rows lack column {value.name}, which the model needs")
    answers = []
    for output, values in zip(session.get_outputs(), session.run(None, feed)):
        if isinstance(values, list):
            values = np.array([list(row.values()) for row in values])
        values = np.asarray(values).reshape(len(values), -1)
        for i in range(values.shape[1]):
            answers.append((output.name if values.shape[1] == 1 else f"{output.name}_{i}", values[:, i]))
    return answers


def metadata_names(session):
    import json

    text = session.get_modelmeta().custom_metadata_map.get("feature_names")
    return json.loads(text) if text else None


LIBRARIES = {"joblib": ask_estimator, "xgboost": ask_xgboost, "lightgbm": ask_lightgbm, "onnxruntime": ask_onnxruntime}
BY_SUFFIX = {".joblib": "joblib", ".pkl": "joblib", ".pickle": "joblib", ".json": "xgboost", ".ubj": "xgboost",
             ".txt": "lightgbm", ".onnx": "onnxruntime"}


# Files


def model_file(path):
    """The model file of what `martlet verify` takes."""
    if path.is_file():
        return path
    versions = sorted((p for p in path.iterdir() if p.is_dir() and p.name.isdigit()), key=lambda p: int(p.name))
    directory = versions[-1] if versions else path
    files = [p for p in directory.glob("model.*") if p.name != "model.yaml"]
    if len(files) != 1:
        fail(f"{directory} has {len(files)} files model.*, expected one")
    return files[0]


def cell(value):
    """A value as text that reads back as the same."""
    if isinstance(value, (float, np.floating)):
        return repr(float(value))
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    return str(value)


def write(path, columns):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([name for name, _ in columns])
        writer.writerows(zip(*(values for _, values in columns)))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n", 1)[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--rows", required=True, help="a CSV file with the model's columns")
    parser.add_argument("--trained", type=pathlib.Path, help="what the library reads; the model file when not given")
    parser.add_argument("--library", choices=LIBRARIES, help="which library; by the file's ending when not given")
    parser.add_argument("--text", action="append", default=[], metavar="COLUMN", help="a column of text; repeatable")
    parser.add_argument("--golden", help="write the rows with the answers to this file")
    parser.add_argument("--tolerance", help="exact, or a number; the model's when not given")
    parser.add_argument("--binary", default=shutil.which("martlet") or str(ROOT / ".build/release/martlet"),
                        help="the martlet command")
    parser.add_argument("--format", choices=["table", "json", "csv"], default="table")
    arguments = parser.parse_args()

    if not arguments.model.exists():
        fail(f"{arguments.model} is not there")
    trained = arguments.trained or model_file(arguments.model)
    library = arguments.library or BY_SUFFIX.get(trained.suffix) or fail(f"{trained}: name the library with --library")
    cells = read_rows(arguments.rows, arguments.text)
    answers = LIBRARIES[library](trained, typed(cells, set(arguments.text)))
    answers = [(name, [cell(value) for value in np.asarray(values).tolist()]) for name, values in answers]
    if arguments.golden:
        write(arguments.golden, list(cells.items()) + [("expected_" + name, values) for name, values in answers])
    with tempfile.TemporaryDirectory() as directory:
        rows, expected = os.path.join(directory, "rows.csv"), os.path.join(directory, "expected.csv")
        write(rows, list(cells.items()))
        write(expected, answers)
        command = [arguments.binary, "verify", str(arguments.model), "--rows", rows, "--expected", expected,
                   "--format", arguments.format]
        command += ["--tolerance", arguments.tolerance] if arguments.tolerance else []
        return subprocess.run(command).returncode


if __name__ == "__main__":
    sys.exit(main())
