import Foundation
import MartletCore
import Testing

@testable import MartletEngine
@testable import MartletFormats

/// Each operator by itself against ONNX Runtime, from the directory that MARTLET_OPCASES names.
@Suite("Operators against ONNX Runtime")
struct OperatorCasesTests {
  @Test("the golden data is there", .enabled(if: GoldenCase.all("MARTLET_OPCASES").isEmpty, "MARTLET_OPCASES is set"))
  func sayWhatIsMissing() {
    print("MARTLET_OPCASES names no golden data, so operators are tested by hand only: see Tests/Golden/README.md")
  }

  /// Run as a graph rather than as a plan: such a case may mix rows, or have none, as no model that is served may.
  @Test("an operator's answer is that of ONNX Runtime", arguments: GoldenCase.all("MARTLET_OPCASES"))
  func run(_ golden: GoldenCase) throws {
    let loaded = try golden.load()
    let graph = try loaded.model.withUnsafeBytes { try ONNXFormat.read($0) }
    let order = try GraphOrder(graph)
    let given = try graph.inputs.map { input in
      try #require(loaded.inputs.first { $0.tensor.name == input.name }).values
    }
    let run = try PlanningRun(graph, order, inputs: given.map { (type: $0.type, shape: Shape($0.shape)) }) {
      index, tensor, heap in given[index].write(to: tensor.bytes, heap: heap)
    }
    for again in [false, true] {
      if again { try StepList(run.items).run(run.scratch, texts: run.texts) }
      for expected in loaded.outputs {
        let binding = try #require(order.outputs.first { $0.name == expected.tensor.name })
        let tensor = run.tensor(binding.value)
        let values = GoldenValues(tensor.type, tensor.shape.dimensions, at: tensor.bytes)
        let difference = values.difference(from: expected.values, isExact: loaded.isExact)
        #expect(difference == nil, "output '\(expected.tensor.name)' \(difference ?? "")")
        #expect(tensor.shape.dimensions == expected.tensor.shape)
      }
    }
  }
}
