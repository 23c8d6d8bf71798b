import Foundation
import MartletCore
import MartletFormats
import Testing

/// Whole models against the answers of ONNX Runtime, from the directory that MARTLET_ZOO names.
@Suite("Zoo of exported models")
struct ZooTests {
  @Test("the golden data is there", .enabled(if: GoldenCase.all("MARTLET_ZOO").isEmpty, "MARTLET_ZOO is set"))
  func sayWhatIsMissing() {
    print("MARTLET_ZOO names no golden data, so no exported model is tested: see Tests/Golden/README.md")
  }

  @Test("a model's answers are those of ONNX Runtime, whatever the batch", arguments: GoldenCase.all("MARTLET_ZOO"))
  func score(_ golden: GoldenCase) throws {
    let loaded = try golden.load()
    let model = try loaded.model.withUnsafeBytes { try ModelLoader.load(bytes: $0) }
    let signature = model.plan.signature
    let rows = loaded.rows
    let tile = Tile(signature: signature, capacity: max(1, rows))
    try #require(signature.inputs.count == loaded.inputs.count)
    for (index, input) in signature.inputs.enumerated() {
      let given = try #require(loaded.inputs.first { $0.tensor.name == input.name })
      try #require(given.values.type == input.type && given.values.count == rows * input.width)
      given.values.write(to: tile.input(index), heap: tile.texts)
    }
    tile.rows = rows
    let scratch = model.plan.makeScratch()
    try model.plan.score(tile, rows: 0..<rows, scratch: scratch)
    let whole = signature.outputs.indices.map { output(tile, $0, rows) }
    compare(whole, signature, loaded)

    for chunk in [1, 7] {
      var row = 0
      while row < rows {
        let next = min(rows, row + chunk)
        try model.plan.score(tile, rows: row..<next, scratch: scratch)
        row = next
      }
      for (index, one) in signature.outputs.enumerated() {
        let parts = output(tile, index, rows)
        #expect(
          parts.bytes == whole[index].bytes && parts.texts == whole[index].texts,
          "output '\(one.name)' differs between all rows at once and \(chunk) at a time")
      }
    }
  }

  private func output(_ tile: Tile, _ index: Int, _ rows: Int) -> GoldenValues {
    GoldenValues(tile.outputs[index].type, [rows, tile.outputs[index].width], at: tile.output(index))
  }

  private func compare(_ whole: [GoldenValues], _ signature: ModelSignature, _ loaded: GoldenCase.Loaded) {
    for expected in loaded.outputs {
      guard let index = signature.outputs.firstIndex(where: { $0.name == expected.tensor.name }) else {
        // Constants, which do not depend on a row, are no outputs of ours.
        #expect(expected.tensor.shape.first != loaded.rows, "output '\(expected.tensor.name)' is missing")
        continue
      }
      let isLabel = signature.outputs[index].role == .label && signature.outputs[index].width == 1
      // Scores that are nearly equal may name either class.
      let scores = isLabel ? signature.outputs.firstIndex { $0.role == .probability } : nil
      let difference = whole[index].difference(
        from: rowsFirst(expected.values, loaded.rows), isExact: loaded.isExact
      ) { row in
        guard !loaded.isExact, let scores else { return false }
        return (whole[scores].margin(row, width: signature.outputs[scores].width) ?? 1) <= 2e-6
      }
      #expect(difference == nil, "output '\(expected.tensor.name)' \(difference ?? "")")
      if let classes = expected.tensor.classes {
        #expect(signature.outputs[index].classes == labels(classes))
        #expect(signature.outputs[index].role == .probability)
      }
    }
  }

  private func labels(_ classes: [GoldenCase.ClassName]) -> ClassLabels {
    let integers = classes.compactMap { if case .integer(let integer) = $0 { integer } else { nil } }
    if integers.count == classes.count { return .integer(integers) }
    return .text(classes.compactMap { if case .text(let text) = $0 { text } else { nil } })
  }

  /// `[before, rows, after]` as `[rows, before, after]`, which is how a signature shows every output.
  private func rowsFirst(_ values: GoldenValues, _ rows: Int) -> GoldenValues {
    guard let axis = values.shape.firstIndex(of: rows), axis > 0, values.shape[0] != rows, values.type != .text else {
      return values
    }
    let before = values.shape[..<axis].reduce(1, *)
    let run = values.shape[(axis + 1)...].reduce(values.type.byteWidth, *)
    var bytes: [UInt8] = []
    for row in 0..<rows {
      for outer in 0..<before { bytes += values.bytes[((outer * rows + row) * run)..<((outer * rows + row + 1) * run)] }
    }
    return bytes.withUnsafeBytes {
      GoldenValues(values.type, [rows, before * run / values.type.byteWidth], at: $0.baseAddress!)
    }
  }
}
