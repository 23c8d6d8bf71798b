"""Trains the models again and compares them with what is committed.

    .venv/bin/python models/training/train_all.py             exit 1 when a metric moved or a golden row differs
    .venv/bin/python models/training/train_all.py --update    write model.onnx, golden.csv, metrics.json and the card

A metric has moved when it differs from models/<name>/1/metrics.json by more than TOLERANCE, absolute. With
the pinned packages the numbers come out equal on one machine; another CPU may sum in another order.
"""

import argparse
import csv
import io
import json
import os
import sys

# Before numpy: one thread, so that no sum depends on the number of cores.
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np  # noqa: E402

import caravan_response  # noqa: E402
import common  # noqa: E402
import credit_risk  # noqa: E402

TOLERANCE = 0.002
VERSION = "1"


def numbers(value, path="") -> dict[str, float]:
    """Every number of a metrics document by its path."""
    if isinstance(value, dict):
        return {k: v for key, inner in value.items() for k, v in numbers(inner, f"{path}.{key}").items()}
    if isinstance(value, list):
        return {k: v for i, inner in enumerate(value) for k, v in numbers(inner, f"{path}[{i}]").items()}
    return {path[1:]: float(value)} if isinstance(value, (int, float)) else {}


def compare_golden(new: str, old: str) -> list[str]:
    """Differences between two golden files: the same rows, and answers within the tolerance of the parity test."""
    new_rows, old_rows = (list(csv.reader(io.StringIO(text, newline=""))) for text in (new, old))
    if new_rows[0] != old_rows[0] or len(new_rows) != len(old_rows):
        return ["other columns or another number of rows"]
    answer = new_rows[0].index("expected_label")
    problems = []
    for number, (a, b) in enumerate(zip(new_rows[1:], old_rows[1:]), start=1):
        if a[: answer + 1] != b[: answer + 1]:
            problems.append(f"row {number}: another row or label")
        elif not np.allclose(np.float64(a[answer + 1 :]), np.float64(b[answer + 1 :]), rtol=0, atol=TOLERANCE):
            problems.append(f"row {number}: {a[answer + 1:]}, committed {b[answer + 1:]}")
    return problems


def run(module, update: bool) -> list[str]:
    """Trains one model; returns what is wrong, one line each."""
    directory = common.ROOT / "models" / module.NAME
    version = directory / VERSION
    trained = module.build()
    model = common.serialized(trained.onnx_model)

    difference = max(common.ort_difference(trained, model, rows) for rows in (trained.held_out, trained.golden))
    if difference > common.ORT_TOLERANCE:
        return [f"{module.NAME}: ONNX Runtime differs from the training library by {difference:.2e}"]

    metrics = common.metrics_of(trained)
    metrics["largest_difference_to_onnxruntime"] = float(f"{difference:.2g}")
    golden = common.golden_csv(trained)

    if update:
        version.mkdir(parents=True, exist_ok=True)
        (version / "model.onnx").write_bytes(model)
        (version / "golden.csv").write_bytes(golden.encode())
        (version / "metrics.json").write_text(common.metrics_json(metrics))
        card = directory / "README.md"
        card.write_text(common.card_with_metrics(card.read_text(), metrics))
        print(f"{module.NAME}: written, {len(model)} bytes of model.onnx")
        return []

    problems = []
    committed = numbers(json.loads((version / "metrics.json").read_text()))
    fresh = numbers(metrics)
    for path in sorted(committed.keys() | fresh.keys()):
        old, new = committed.get(path), fresh.get(path)
        if old is None or new is None or not abs(new - old) <= TOLERANCE:
            problems.append(f"{module.NAME}: {path} is {new}, committed {old}")
    problems += [f"{module.NAME}: golden.csv, {p}" for p in compare_golden(golden, (version / "golden.csv").read_bytes().decode())]

    committed_model = (version / "model.onnx").read_bytes()
    same = "the same bytes as committed" if committed_model == model else "other bytes than committed"
    auc = metrics["metrics"]["roc_auc"]
    print(f"{module.NAME}: AUC {auc['value']:.3f} ({auc['low']:.3f} to {auc['high']:.3f}), model.onnx has {same}")
    return problems


def main() -> int:
    parser = argparse.ArgumentParser(description="Train the models again and compare with what is committed.")
    parser.add_argument("--update", action="store_true", help="write the files instead of comparing")
    arguments = parser.parse_args()
    problems = [p for module in (credit_risk, caravan_response) for p in run(module, arguments.update)]
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
