import Foundation
import MartletCore
import Testing

@testable import MartletEngine
@testable import MartletFormats

/// Models in LightGBM's text against the answers of the library itself, from the directory that MARTLET_LIGHTGBM names
/// (`Tests/Golden/lightgbm_models.py`).
@Suite("LightGBM's own answers")
struct LightGBMGoldenTests {
  private static var file: URL? {
    guard let path = ProcessInfo.processInfo.environment["MARTLET_LIGHTGBM"], !path.isEmpty else { return nil }
    return URL(fileURLWithPath: path, isDirectory: true).appendingPathComponent("models.bin")
  }

  /// One case of the file.
  private struct Case {
    var name: String
    var model: Range<Int>
    var rows: Int
    var features: Int
    var margins: Int
    var trees: Int
    var predicted: Int
    /// Where each matrix begins.
    var rowsAt: Int
    var marginsAt: Int
    var predictedAt: Int
    var leavesAt: Int
    var end: Int

    init(_ bytes: UnsafeRawBufferPointer, at start: Int) {
      let numbers = (0..<8).map {
        Int(bytes.loadUnaligned(fromByteOffset: start + 8 * $0, as: UInt64.self))
      }
      func padded(_ count: Int) -> Int { (count + 7) & ~7 }
      let nameAt = start + 64
      name = String(decoding: bytes[nameAt..<(nameAt + numbers[6])], as: UTF8.self)
      let modelAt = nameAt + padded(numbers[6])
      model = modelAt..<(modelAt + numbers[0])
      (rows, features, margins, trees, predicted) = (numbers[1], numbers[2], numbers[3], numbers[4], numbers[5])
      rowsAt = modelAt + padded(numbers[0])
      marginsAt = rowsAt + 8 * rows * features
      predictedAt = marginsAt + 8 * rows * margins
      leavesAt = predictedAt + 8 * rows * predicted
      end = leavesAt + 8 * rows * trees
    }
  }

  @Test("the golden data is there", .enabled(if: file == nil, "MARTLET_LIGHTGBM is set"))
  func sayWhatIsMissing() {
    print("MARTLET_LIGHTGBM names no golden data, so no model is compared: see Tests/Golden/README.md")
  }

  @Test(
    "margins, leaves and predictions are the library's, bit for bit, in every plan kind and batch",
    .enabled(if: file != nil, "MARTLET_LIGHTGBM is not set"))
  func compare() throws {
    let data = try Data(contentsOf: #require(Self.file), options: .alwaysMapped)
    try data.withUnsafeBytes { bytes in
      var start = 0
      var models = 0
      while start < bytes.count {
        let one = Case(bytes, at: start)
        try compare(one, bytes)
        start = one.end
        models += 1
      }
      print("\(models) models of LightGBM give the library's margins, leaves and predictions")
      #expect(models > 0)
    }
  }

  private func compare(_ one: Case, _ bytes: UnsafeRawBufferPointer) throws {
    for kind in TreePlanKinds.names {
      let model = try ModelLoader.load(
        bytes: UnsafeRawBufferPointer(rebasing: bytes[one.model]), furtherOutputs: ["margin", "leaf"],
        planning: PlanningOptions(measuringNanoseconds: 0, treePlan: kind))
      try compare(one, bytes, model.plan, kind)
    }
  }

  private func compare(_ one: Case, _ bytes: UnsafeRawBufferPointer, _ plan: any ScoringPlan, _ kind: String) throws {
    var one = one
    one.name += ", plan kind \(kind)"
    let signature = plan.signature
    try #require(signature.inputs.count == 1 && signature.inputs[0].width == one.features)
    let tile = Tile(signature: signature, capacity: one.rows)
    tile.input(0).copyMemory(
      from: bytes.baseAddress! + one.rowsAt, byteCount: 8 * one.rows * one.features)
    tile.rows = one.rows
    let scratch = plan.makeScratch()
    try plan.score(tile, rows: 0..<one.rows, scratch: scratch)
    try check(one, bytes, signature, tile)
    var row = 0
    while row < one.rows {
      let next = min(one.rows, row + 1 + row % 9)
      try plan.score(tile, rows: row..<next, scratch: scratch)
      row = next
    }
    try check(one, bytes, signature, tile)
  }

  private func check(
    _ one: Case, _ bytes: UnsafeRawBufferPointer, _ signature: ModelSignature, _ tile: Tile
  ) throws {
    func output(_ name: String) throws -> Int { try #require(signature.outputs.firstIndex { $0.name == name }) }
    let margins = tile.output(try output("margin"))
    #expect(
      Self.difference(margins, bytes, one.marginsAt, one.rows * one.margins) == nil, "margins of \(one.name)")
    let leaves = UnsafeRawBufferPointer(start: tile.output(try output("leaf")), count: 8 * one.rows * one.trees)
    #expect(leaves.elementsEqual(bytes[one.leavesAt..<one.end]), "leaves of \(one.name)")
    guard let label = signature.outputs.firstIndex(where: { $0.role == .label }) else {
      let values = tile.output(try output("value"))
      #expect(
        Self.difference(values, bytes, one.predictedAt, one.rows * one.predicted) == nil, "values of \(one.name)")
      return
    }
    let probabilities = tile.output(try output("probabilities")).assumingMemoryBound(to: Double.self)
    let classes = signature.outputs[try output("probabilities")].width
    #expect(signature.outputs[label].classes == .integer((0..<Int64(classes)).map { $0 }))
    var expected: [Double] = []
    for index in 0..<(one.rows * one.predicted) {
      let value = bytes.loadUnaligned(fromByteOffset: one.predictedAt + 8 * index, as: Double.self)
      if one.predicted == 1 { expected.append(1 - value) }
      expected.append(value)
    }
    expected.withUnsafeBytes {
      #expect(
        Self.difference(UnsafeRawPointer(probabilities), $0, 0, expected.count) == nil, "probabilities of \(one.name)")
    }
    let labels = tile.output(label).assumingMemoryBound(to: Int64.self)
    for row in 0..<one.rows {
      let own = (0..<classes).map { probabilities[row * classes + $0] }
      let best = own.firstIndex { $0.isNaN } ?? own.firstIndex(of: own.max()!)!
      #expect(labels[row] == Int64(best), "label of row \(row) of \(one.name)")
    }
  }

  /// The first value that has other bits than expected, any NaN being like any other.
  private static func difference(
    _ values: UnsafeRawPointer, _ bytes: UnsafeRawBufferPointer, _ at: Int, _ count: Int
  ) -> String? {
    for index in 0..<count {
      let value = values.loadUnaligned(fromByteOffset: 8 * index, as: Double.self)
      let expected = bytes.loadUnaligned(fromByteOffset: at + 8 * index, as: Double.self)
      if value.bitPattern != expected.bitPattern, !(value.isNaN && expected.isNaN) {
        return "value \(index) is \(value), expected \(expected)"
      }
    }
    return nil
  }
}
