import MartletCore
import Testing

@testable import MartletEngine

extension GraphPlan {
  /// The bytes of each output for the rows that `RandomPipeline.fill` makes of `seed`, scored `chunk` at once; the scratch
  /// memory is let go now and then, which must not show.
  ///
  /// `isCoded`: in tiles that take numbers in place of texts, where the plan does.
  func score(rows: Int, in chunk: Int, seed: UInt64, isCoded: Bool = false) throws -> [[UInt8]] {
    let tile = isCoded ? Tile(plan: self, capacity: rows) : Tile(signature: signature, capacity: rows)
    RandomPipeline.fill(tile, signature, rows: rows, seed: seed)
    let scratch = makeScratch()
    for first in stride(from: 0, to: rows, by: chunk) {
      if first / chunk % 4 == 3 {
        scratch.drop()
        #expect(scratch.bytes == 0)
      }
      try score(tile, rows: first..<min(rows, first + chunk), scratch: scratch)
    }
    return signature.outputs.enumerated().map { index, output in
      Array(UnsafeRawBufferPointer(start: tile.output(index), count: rows * output.width * output.type.byteWidth))
    }
  }

  /// The scores of a plan with a column of texts, one of numbers and one output.
  func score(_ words: [String], _ x: [Float], isCoded: Bool = false) throws -> [Float] {
    let tile = isCoded ? Tile(plan: self, capacity: words.count) : Tile(signature: signature, capacity: words.count)
    let texts = TextTarget(tile, input: 0, firstRow: 0)
    for (row, word) in words.enumerated() {
      var word = word
      #expect(word.withUTF8 { texts.store(UnsafeRawBufferPointer($0), at: row) })
      tile.input(1).assumingMemoryBound(to: Float.self)[row] = x[row]
    }
    try score(tile, rows: 0..<words.count, scratch: makeScratch())
    return Array(UnsafeBufferPointer(start: tile.output(0).assumingMemoryBound(to: Float.self), count: words.count))
  }
}

extension GraphNode {
  /// A node as exporters write it, named by its operator; `ml`: of the domain ai.onnx.ml.
  static func exported(
    _ opType: String, _ inputs: [String], _ outputs: [String], ml: Bool, _ attributes: [String: AttributeValue] = [:]
  ) -> GraphNode {
    GraphNode(
      name: opType.lowercased(), opType: opType, domain: ml ? "ai.onnx.ml" : "", opset: ml ? 3 : 15, inputs: inputs,
      outputs: outputs, attributes: attributes)
  }
}
