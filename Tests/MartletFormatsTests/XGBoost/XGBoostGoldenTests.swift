import Foundation
import MartletCore
import Testing

@testable import MartletEngine
@testable import MartletFormats

/// Models in XGBoost's own formats against the answers of the library itself, from the directory that MARTLET_XGBOOST
/// names (`Tests/Golden/xgboost_models.py`).
@Suite("XGBoost's own answers")
struct XGBoostGoldenTests {
  private static var file: URL? {
    guard let path = ProcessInfo.processInfo.environment["MARTLET_XGBOOST"], !path.isEmpty else { return nil }
    return URL(fileURLWithPath: path, isDirectory: true).appendingPathComponent("models.bin")
  }

  /// A place in the file of cases that moves on.
  private struct Cursor {
    let bytes: UnsafeRawBufferPointer
    var place = 0

    mutating func number() -> Int {
      defer { place += 8 }
      return Int(bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self))
    }

    mutating func take(_ count: Int) -> UnsafeRawBufferPointer {
      defer { place += (count + 7) & ~7 }
      return UnsafeRawBufferPointer(rebasing: bytes[place..<(place + count)])
    }

    mutating func text(_ count: Int) -> String { String(decoding: take(count), as: UTF8.self) }

    mutating func array<T: BitwiseCopyable>(_ count: Int, of type: T.Type) -> [T] {
      let bytes = take(count * MemoryLayout<T>.stride)
      return (0..<count).map { bytes.loadUnaligned(fromByteOffset: $0 * MemoryLayout<T>.stride, as: T.self) }
    }
  }

  private enum Values {
    case floats([Float])
    case doubles([Double])
    case texts([String])
  }

  /// One case of the file.
  private struct Case {
    var name: String
    var model: UnsafeRawBufferPointer
    var rows: Int
    var columns: [(name: String, values: Values)] = []
    var margins: [Float]
    var values: [Float]
    var labels: [Int64]
    var leaves: [Int64]

    init(_ cursor: inout Cursor) {
      let numbers = (0..<8).map { _ in cursor.number() }
      name = cursor.text(numbers[0])
      model = cursor.take(numbers[1])
      rows = numbers[2]
      for _ in 0..<numbers[3] {
        let kind = cursor.number()
        let length = cursor.number()
        let name = cursor.text(length)
        switch kind {
        case 0: columns.append((name, .floats(cursor.array(rows, of: Float.self))))
        case 1: columns.append((name, .doubles(cursor.array(rows, of: Double.self))))
        default:
          var texts: [String] = []
          for _ in 0..<rows {
            let length = cursor.number()
            texts.append(
              String(decoding: cursor.bytes[cursor.place..<(cursor.place + length)], as: UTF8.self))
            cursor.place += length
          }
          cursor.place = (cursor.place + 7) & ~7
          columns.append((name, .texts(texts)))
        }
      }
      margins = cursor.array(rows * numbers[4], of: Float.self)
      values = cursor.array(rows * numbers[5], of: Float.self)
      labels = numbers[6] == 1 ? cursor.array(rows, of: Int64.self) : []
      let rowsWithLeaves = cursor.number()
      leaves = cursor.array(rowsWithLeaves * numbers[7], of: Int64.self)
    }
  }

  @Test("the golden data is there", .enabled(if: file == nil, "MARTLET_XGBOOST is set"))
  func sayWhatIsMissing() {
    print("MARTLET_XGBOOST names no golden data, so no model is compared: see Tests/Golden/README.md")
  }

  @Test(
    "margins, leaves, predictions and labels are the library's, bit for bit, in every plan kind and batch",
    .enabled(if: file != nil, "MARTLET_XGBOOST is not set"))
  func compare() throws {
    let data = try Data(contentsOf: #require(Self.file), options: .alwaysMapped)
    try data.withUnsafeBytes { bytes in
      var cursor = Cursor(bytes: bytes)
      var models = 0
      while cursor.place < bytes.count {
        let one = Case(&cursor)
        for kind in TreePlanKinds.names { try compare(one, kind) }
        models += 1
      }
      print("\(models) models of XGBoost give the library's margins, leaves, predictions and labels")
      #expect(models > 0)
    }
  }

  private func compare(_ one: Case, _ kind: String) throws {
    var one = one
    one.name += ", plan kind \(kind)"
    let loaded = try ModelLoader.load(
      bytes: one.model, furtherOutputs: one.leaves.isEmpty ? ["margin"] : ["margin", "leaf"],
      planning: PlanningOptions(measuringNanoseconds: 0, treePlan: kind))
    #expect(loaded.format == "xgboost")
    let signature = loaded.plan.signature
    let tile = Tile(signature: signature, capacity: one.rows)
    #expect(signature.columns.count == one.columns.count)
    for (name, values) in one.columns {
      let column = try #require(signature.columns.first { $0.name == name }, "column \(name) of \(one.name)")
      #expect(column.missingAllowed)
      let start = tile.input(column.input)
      let width = signature.inputs[column.input].width
      for row in 0..<one.rows {
        let place = row * width + column.offset
        switch (values, column.type) {
        case (.floats(let list), .float32): start.assumingMemoryBound(to: Float.self)[place] = list[row]
        case (.doubles(let list), .float32): start.assumingMemoryBound(to: Float.self)[place] = Float(list[row])
        case (.doubles(let list), .float64): start.assumingMemoryBound(to: Double.self)[place] = list[row]
        case (.texts(let list), .text):
          var text: String = list[row]
          let reference: TextRef = text.withUTF8 { tile.texts.store(UnsafeRawBufferPointer($0)) }
          start.assumingMemoryBound(to: TextRef.self)[place] = reference
        default: Issue.record("column \(name) of \(one.name) is \(column.type)")
        }
      }
    }
    tile.rows = one.rows
    let scratch = loaded.plan.makeScratch()
    try loaded.plan.score(tile, rows: 0..<one.rows, scratch: scratch)
    try check(one, signature, tile)
    var row = 0
    while row < one.rows {
      let next = min(one.rows, row + 1 + row % 9)
      try loaded.plan.score(tile, rows: row..<next, scratch: scratch)
      row = next
    }
    try check(one, signature, tile)
  }

  private func check(_ one: Case, _ signature: ModelSignature, _ tile: Tile) throws {
    func output<T: BitwiseCopyable>(_ name: String, _ count: Int, of _: T.Type) throws -> [T] {
      let index = try #require(signature.outputs.firstIndex { $0.name == name }, "output \(name) of \(one.name)")
      #expect(signature.outputs[index].width * one.rows >= count)
      let start = tile.output(index).assumingMemoryBound(to: T.self)
      return (0..<count).map { start[$0] }
    }
    Self.compare(try output("margin", one.margins.count, of: Float.self), one.margins, "margin of \(one.name)")
    if !one.leaves.isEmpty {
      #expect(try output("leaf", one.leaves.count, of: Int64.self) == one.leaves, "leaves of \(one.name)")
    }
    if !one.labels.isEmpty {
      #expect(try output("label", one.rows, of: Int64.self) == one.labels, "labels of \(one.name)")
      #expect(signature.outputs[0].role == .label)
    }
    if !one.values.isEmpty {
      let name = one.labels.isEmpty ? "value" : "probabilities"
      Self.compare(try output(name, one.values.count, of: Float.self), one.values, "\(name) of \(one.name)")
    }
  }

  /// Expects the same bits, any NaN being like any other.
  private static func compare(_ values: [Float], _ expected: [Float], _ what: String) {
    let different = values.indices.filter {
      values[$0].bitPattern != expected[$0].bitPattern && !(values[$0].isNaN && expected[$0].isNaN)
    }
    if let first = different.first {
      Issue.record(
        "\(what): \(different.count) of \(values.count) differ, first \(first): \(values[first]), expected \(expected[first])"
      )
    }
  }
}
