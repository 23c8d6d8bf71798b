"""The standard's own node tests, for every operator that the engine accepts.

    .venv/bin/python Tests/Golden/conformance.py OUTDIR

They are made by the pinned onnx package, and written as its test runner reads them: OUTDIR/<case>/model.onnx and
OUTDIR/<case>/test_data_set_<k>/{input,output}_<j>.pb, with rtol and atol of a case that has its own in
OUTDIR/<case>/tolerance.txt. A case belongs here when a node of it is an operator of docs/operators.md; a case of an
operator that is not accepted says nothing about the ones that are. Which of the cases the engine cannot take, and why,
is the test's to say: `Tests/MartletEngineTests/ConformanceTests.swift`.
"""

from __future__ import annotations

import pathlib
import re
import shutil
import sys
import warnings

import numpy as np
import onnx
from onnx import numpy_helper

DEFAULT = (1e-3, 1e-7)


def accepted() -> set[tuple[str, str]]:
    """Domain and name of each operator in the tables of docs/operators.md."""
    text = (pathlib.Path(__file__).resolve().parents[2] / "docs" / "operators.md").read_text()
    operators = set()
    domain = None
    for line in text.split("<!-- tables -->")[1].split("<!-- end of tables -->")[0].splitlines():
        if heading := re.match(r"## The .*domain.*`([a-z.]+)`", line):
            domain = "" if heading[1] == "ai.onnx" else heading[1]
        elif row := re.match(r"\| `(\w+)` \|", line):
            operators.add((domain, row[1]))
    return operators


def nodes_of(graph):
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from nodes_of(inner)


def proto_of(value, name: str, type_proto) -> tuple[bytes, str]:
    """A value of a data set as the message that its type asks for."""
    if type_proto is not None and type_proto.HasField("sequence_type"):
        return numpy_helper.from_list(value, name).SerializeToString(), "sequence"
    if type_proto is not None and type_proto.HasField("optional_type"):
        return numpy_helper.from_optional(value, name).SerializeToString(), "optional"
    if isinstance(value, onnx.TensorProto):
        value.name = name
        return value.SerializeToString(), "tensor"
    return numpy_helper.from_array(np.asarray(value), name).SerializeToString(), "tensor"


def main() -> int:
    if len(sys.argv) < 2:
        print(__doc__)
        return 2
    out = pathlib.Path(sys.argv[1])
    operators = accepted()
    warnings.simplefilter("ignore")
    from onnx.backend.test.case.node import collect_testcases

    written = 0
    for case in collect_testcases(None):
        names = {("" if n.domain == "ai.onnx" else n.domain, n.op_type) for n in nodes_of(case.model.graph)}
        if not names & operators:
            continue
        directory = out / case.name
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        (directory / "model.onnx").write_bytes(case.model.SerializeToString(deterministic=True))
        if (case.rtol, case.atol) != DEFAULT:
            (directory / "tolerance.txt").write_text(f"{case.rtol} {case.atol}\n")
        for index, (inputs, outputs) in enumerate(case.data_sets):
            data = directory / f"test_data_set_{index}"
            data.mkdir()
            for kind, values, infos in (("input", inputs, case.model.graph.input), ("output", outputs, case.model.graph.output)):
                for j, value in enumerate(values):
                    info = infos[j] if j < len(infos) else None
                    message, form = proto_of(value, info.name if info else "", info.type if info else None)
                    suffix = "pb" if form == "tensor" else f"{form}.pb"
                    (data / f"{kind}_{j}.{suffix}").write_bytes(message)
        written += 1
    print(f"{written} cases of the standard's node tests for {len(operators)} operators")
    return 0


if __name__ == "__main__":
    sys.exit(main())
