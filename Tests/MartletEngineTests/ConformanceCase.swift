import Foundation
import MartletCore

@testable import MartletEngine
@testable import MartletFormats

/// A node test of the ONNX standard as its own runner reads it: a model, and sets of inputs with their outputs.
struct ConformanceCase {
  /// Why a case is not run; counted and written down by reason.
  struct LeftOut: Error, Equatable {
    var reason: String
  }

  let name: String
  private let directory: URL

  /// All cases below the directory that the environment names, in order; none when it names none.
  static func all() -> [ConformanceCase] {
    guard let path = ProcessInfo.processInfo.environment["MARTLET_CONFORMANCE"], !path.isEmpty else { return [] }
    let directory = URL(fileURLWithPath: path, isDirectory: true)
    let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    return names.sorted().map { ConformanceCase(name: $0, directory: directory.appendingPathComponent($0)) }
      .filter { FileManager.default.fileExists(atPath: $0.directory.appendingPathComponent("model.onnx").path) }
  }

  private func bytes(_ path: String) throws -> [UInt8] {
    [UInt8](try Data(contentsOf: directory.appendingPathComponent(path)))
  }

  /// Runs every set of the case twice, the second time as later calls do.
  ///
  /// Returns what differs, nil when nothing does. Errors: `LeftOut`, or the engine's own refusal.
  func difference() throws -> String? {
    let file = try bytes("model.onnx")
    try checkTypes(file)
    let graph = try graph(file)
    try checkOperators(graph)
    let order = try GraphOrder(graph)
    let tolerance = try self.tolerance()
    for set in 0... {
      let folder = "test_data_set_\(set)"
      guard FileManager.default.fileExists(atPath: directory.appendingPathComponent(folder).path) else { break }
      let given = try graph.inputs.indices.map { try tensor("\(folder)/input_\($0)") }
      let run = try run(graph, order, given)
      for again in [false, true] {
        if again { try StepList(run.items).run(run.scratch, texts: run.texts) }
        for binding in order.outputs {
          let expected = try tensor("\(folder)/output_\(binding.index)")
          let tensor = run.tensor(binding.value)
          let values = GoldenValues(tensor.type, tensor.shape.dimensions, at: tensor.bytes)
          if values.shape != expected.shape {
            return "output '\(binding.name)' has the shape \(values.shape), expected \(expected.shape)"
          }
          if let difference = values.difference(from: expected, relative: tolerance.relative, tolerance.absolute) {
            return "output '\(binding.name)' \(difference)"
          }
        }
      }
    }
    return nil
  }

  private func graph(_ file: [UInt8]) throws -> Graph {
    do {
      return try file.withUnsafeBytes { try ONNXFormat.read($0) }
    } catch {
      let isOld = "\(error)".contains("of the default domain, supported are")
      throw isOld ? LeftOut(reason: "an operator set before version 5") : error
    }
  }

  /// Plans and runs the graph. Operators do not compute with half-precision floats, and say so.
  private func run(_ graph: Graph, _ order: GraphOrder, _ given: [GoldenValues]) throws -> PlanningRun {
    do {
      return try PlanningRun(graph, order, inputs: given.map { (type: $0.type, shape: Shape($0.shape)) }) {
        index, tensor, heap in given[index].write(to: tensor.bytes, heap: heap)
      }
    } catch {
      let isHalf = "\(error)".contains(" is float16, expected one of")
      throw isHalf ? LeftOut(reason: "arithmetic with half-precision floats") : error as any Error
    }
  }

  /// Errors: `LeftOut` when a node, here or in a graph inside, is of an operator that is not accepted.
  private func checkOperators(_ graph: Graph) throws {
    for node in graph.nodes {
      let isKnown = OperatorRegistry.all.contains { $0.domain == node.domain && $0.opType == node.opType }
      guard isKnown || node.opType == "SequenceConstruct" else {
        let name = node.domain.isEmpty ? node.opType : "\(node.domain).\(node.opType)"
        throw LeftOut(reason: "an operator outside of the list beside: `\(name)`")
      }
      let accepted = (try? OperatorRegistry.entry(for: node)) != nil
      guard accepted || node.opType == "SequenceConstruct" else {
        throw LeftOut(reason: "a version before the accepted ones: `\(node.opType)` of version \(node.opset)")
      }
      for case .graph(let inner) in node.attributes.values { try checkOperators(inner) }
    }
  }

  private func tolerance() throws -> (relative: Double, absolute: Double) {
    guard let text = try? bytes("tolerance.txt") else { return (1e-3, 1e-7) }
    let numbers = String(decoding: text, as: UTF8.self).split(whereSeparator: \.isWhitespace).compactMap { Double($0) }
    return (numbers[0], numbers[1])
  }

  private func tensor(_ path: String) throws -> GoldenValues {
    guard let file = try? bytes(path + ".pb") else { throw LeftOut(reason: "values that are sequences or optional") }
    return try file.withUnsafeBytes { raw in
      let number = try Self.field(2, of: ProtobufReader(file: raw)) ?? 0
      // What is read of a file becomes single precision; a case's own numbers stay as they are.
      if number == 10 { return try Self.halves(ProtobufReader(file: raw)) }
      let tensor = try ONNXReader().tensor(ProtobufReader(file: raw), what: "data").tensor
      return GoldenValues(tensor.type, tensor.shape.dimensions, at: tensor.memory)
    }
  }

  private static func halves(_ message: ProtobufReader) throws -> GoldenValues {
    var reader = message
    var shape: [Int] = []
    var values: [UInt8] = []
    while !reader.isAtEnd {
      let field = try reader.field()
      switch field.number {
      case 1: try eachVarint(&reader, field) { shape.append(Int($0)) }
      case 5:
        try eachVarint(&reader, field) {
          values += [UInt8(truncatingIfNeeded: $0), UInt8(truncatingIfNeeded: $0 >> 8)]
        }
      case 9: values = Array(try reader.bytes())
      default: try reader.skip(field.wire)
      }
    }
    return values.withUnsafeBytes {
      GoldenValues(.float16, shape, at: $0.baseAddress ?? UnsafeRawPointer(bitPattern: 16)!)
    }
  }

  /// The varint `number` of a message.
  private static func field(_ number: Int, of message: ProtobufReader) throws -> UInt64? {
    var reader = message
    var value: UInt64?
    while !reader.isAtEnd {
      let field = try reader.field()
      if field.number == number, field.wire == .varint {
        value = try reader.varint()
      } else {
        try reader.skip(field.wire)
      }
    }
    return value
  }

  /// Names of the standard's element types that the engine does not have.
  private static let foreignTypes: [UInt64: String] = [
    14: "complex64", 15: "complex128", 16: "bfloat16", 17: "float8", 18: "float8", 19: "float8", 20: "float8",
    21: "uint4", 22: "int4", 23: "float4", 24: "float8", 25: "uint2", 26: "int2",
  ]

  /// Errors: `LeftOut` when an input or output of the model is of a type that the engine does not have.
  private func checkTypes(_ file: [UInt8]) throws {
    try file.withUnsafeBytes { raw in
      try Self.messages(7, of: ProtobufReader(file: raw)) { graph in
        for number in [11, 12] {
          try Self.messages(number, of: graph) { value in
            try Self.messages(2, of: value) { type in
              guard let tensor = try Self.first(1, of: type) else {
                throw LeftOut(reason: "values that are sequences or optional")
              }
              if let name = Self.foreignTypes[try Self.field(1, of: tensor) ?? 0] {
                throw LeftOut(reason: "tensors of \(name)")
              }
            }
          }
        }
      }
    }
  }

  private static func first(_ number: Int, of message: ProtobufReader) throws -> ProtobufReader? {
    var found: ProtobufReader?
    try messages(number, of: message) { found = found ?? $0 }
    return found
  }

  private static func messages(
    _ number: Int, of message: ProtobufReader, _ body: (ProtobufReader) throws -> Void
  ) throws {
    var reader = message
    while !reader.isAtEnd {
      let field = try reader.field()
      if field.number == number, field.wire == .bytes {
        try body(try reader.message())
      } else {
        try reader.skip(field.wire)
      }
    }
  }
}
