"""Calls of the two scoring services, built from rows of text cells as a CSV file has them."""

import csv
import pathlib
import struct

import grpc_service_pb2 as inference
import health_pb2
import scoring_pb2 as scoring

SCORING = "martlet.v1.Scoring"
INFERENCE = "inference.GRPCInferenceService"
HEALTH = "grpc.health.v1.Health"
TOLERANCE = 1e-6


class Golden:
    """Sample rows with the training library's own answers: `columns`, `rows` (cells), `labels`, `classes`,
    `probabilities` ([rows][class name])."""

    def __init__(self, path):
        with open(path, newline="", encoding="utf-8") as file:
            header, *lines = csv.reader(file)
        first = header.index("expected_label")
        self.columns = header[:first]
        self.classes = [name.removeprefix("expected_probability_") for name in header[first + 1:]]
        self.rows = [line[:first] for line in lines]
        self.labels = [line[first] for line in lines]
        self.probabilities = [dict(zip(self.classes, map(float, line[first + 1:]))) for line in lines]

    @classmethod
    def of(cls, models, name, version="1"):
        return cls(pathlib.Path(models) / name / version / "golden.csv")


def describe(client, model, version=""):
    request = scoring.DescribeRequest(model=model, version=version)
    return client.call(SCORING, "Describe", request, scoring.DescribeResponse)


def score_request(description, golden, rows, version="", shuffled=False):
    """A Score request for the golden rows with these numbers, in the types that the model describes."""
    request = scoring.ScoreRequest(model=description.model, version=version, rows=len(rows))
    types = {column.name: column.type for column in description.columns}
    order = sorted(range(len(golden.columns)), key=lambda i: golden.columns[i][::-1]) if shuffled else \
        range(len(golden.columns))
    for index in order:
        cells = [golden.rows[row][index] for row in rows]
        column = request.columns.add(name=golden.columns[index])
        kind = types[column.name]
        if kind == scoring.COLUMN_TYPE_TEXT:
            column.texts.extend(cell.encode() for cell in cells)
        elif kind == scoring.COLUMN_TYPE_INTEGER:
            column.integers.extend(int(cell or 0) for cell in cells)
        elif kind == scoring.COLUMN_TYPE_FLOAT:
            column.floats.extend(float(cell or 0) for cell in cells)
        else:
            column.doubles.extend(float(cell or 0) for cell in cells)
        if "" in cells:
            mask = bytearray((len(cells) + 7) // 8)
            for i, cell in enumerate(cells):
                mask[i // 8] |= (cell != "") << i % 8
            column.present = bytes(mask)
    return request


def score(client, request, **options):
    return client.call(SCORING, "Score", request, scoring.ScoreResponse, **options)


def classes(classification):
    texts = [name.decode() for name in classification.text_classes]
    return texts or [str(name) for name in classification.integer_classes]


def labels(classification):
    texts = [name.decode() for name in classification.text_labels]
    return texts or [str(name) for name in classification.integer_labels]


def probabilities(classification):
    """[rows][class name]."""
    names = classes(classification)
    flat = list(classification.double_probabilities) or list(classification.probabilities)
    return [dict(zip(names, flat[i:i + len(names)])) for i in range(0, len(flat), len(names))]


def compare(golden, rows, got, what):
    """Fails when a probability is further than the tolerance from the training library's."""
    assert len(got) == len(rows), f"{what}: {len(got)} rows answered, {len(rows)} sent"
    for row, found in zip(rows, got):
        expected = golden.probabilities[row]
        assert set(found) == set(expected), f"{what}: classes {sorted(found)}, expected {sorted(expected)}"
        for name, value in expected.items():
            assert abs(found[name] - value) <= TOLERANCE, \
                f"{what}, row {row}, class {name}: got {found[name]!r}, expected {value!r}"


_PACKED = {"FP32": "<f", "FP64": "<d", "INT64": "<q", "INT32": "<i"}
_CONTENTS = {"FP32": "fp32_contents", "FP64": "fp64_contents", "INT64": "int64_contents", "INT32": "int_contents",
             "BYTES": "bytes_contents", "BOOL": "bool_contents"}


def metadata(client, model):
    request = inference.ModelMetadataRequest(name=model)
    return client.call(INFERENCE, "ModelMetadata", request, inference.ModelMetadataResponse)


def infer_request(description, golden, rows, raw, identity=""):
    """A ModelInfer request: a column for each input, or all columns side by side when there is one input."""
    request = inference.ModelInferRequest(model_name=description.name, id=identity)
    alone = len(description.inputs) == 1 and len(golden.columns) > 1
    for tensor in description.inputs:
        indices = range(len(golden.columns)) if alone else [golden.columns.index(tensor.name)]
        cells = [golden.rows[row][index] for row in rows for index in indices]
        values = [cell.encode() if tensor.datatype == "BYTES" else
                  int(cell) if tensor.datatype.startswith("INT") else
                  float(cell) if cell else float("nan") for cell in cells]
        sent = request.inputs.add(name=tensor.name, datatype=tensor.datatype, shape=[len(rows), len(indices)])
        if not raw:
            getattr(sent.contents, _CONTENTS[tensor.datatype]).extend(values)
        elif tensor.datatype == "BYTES":
            request.raw_input_contents.append(b"".join(struct.pack("<I", len(v)) + v for v in values))
        else:
            form = _PACKED[tensor.datatype]
            request.raw_input_contents.append(b"".join(struct.pack(form, v) for v in values))
    return request


def infer(client, request, **options):
    return client.call(INFERENCE, "ModelInfer", request, inference.ModelInferResponse, **options)


def output_values(response, index):
    """The values of an output in one flat list, whichever way they came."""
    tensor = response.outputs[index]
    if not response.raw_output_contents:
        return list(getattr(tensor.contents, _CONTENTS[tensor.datatype]))
    data = response.raw_output_contents[index]
    if tensor.datatype != "BYTES":
        return [value for (value,) in struct.iter_unpack(_PACKED[tensor.datatype], data)]
    values, place = [], 0
    while place < len(data):
        (length,) = struct.unpack_from("<I", data, place)
        values.append(data[place + 4:place + 4 + length])
        place += 4 + length
    return values


def inferred_probabilities(response, names):
    """[rows][class name] out of the output that has a number for each class."""
    for index, tensor in enumerate(response.outputs):
        if tensor.datatype in ("FP32", "FP64") and list(tensor.shape)[1:] == [len(names)]:
            flat = output_values(response, index)
            return [dict(zip(names, flat[i:i + len(names)])) for i in range(0, len(flat), len(names))]
    raise AssertionError(f"no output with {len(names)} probabilities: {[o.name for o in response.outputs]}")


def repository_index(client):
    """{(name, version): (state, reason)}"""
    answer = client.call(INFERENCE, "RepositoryIndex", inference.RepositoryIndexRequest(),
                         inference.RepositoryIndexResponse)
    return {(model.name, model.version): (model.state, model.reason) for model in answer.models}


def serving(client, service=""):
    answer = client.call(HEALTH, "Check", health_pb2.HealthCheckRequest(service=service),
                         health_pb2.HealthCheckResponse)
    return answer.status == health_pb2.HealthCheckResponse.SERVING
