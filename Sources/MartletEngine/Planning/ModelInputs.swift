import MartletCore

/// The inputs of a graph as a signature has them: a known type, and a fixed number of elements a row.
enum ModelInputs {
  /// The most elements a row of one input.
  static let maximumWidth = 1 << 16

  /// `featureNames` decide the width of an input that the file leaves open, when there is only one.
  static func inputs(_ graph: Graph, featureNames: [String]?) throws(ModelError) -> [ModelSignature.Input] {
    guard !graph.inputs.isEmpty else { throw ModelError("the graph has no inputs, so a call could give it no rows") }
    var inputs: [ModelSignature.Input] = []
    for input in graph.inputs {
      func error(_ problem: String) -> ModelError { ModelError("input '\(input.name)' \(problem)") }
      guard let type = input.type else { throw error("has no tensor type that is supported") }
      guard let shape = input.shape else { throw error("has no shape, expected [rows] or [rows, features]") }
      guard let rows = shape.first else { throw error("is a scalar, expected [rows] or [rows, features]") }
      if let rows, rows != 1 { throw error("has a fixed number of \(rows) rows, expected any number") }
      var dimensions: [Int] = []
      for dimension in shape.dropFirst() {
        if let dimension {
          dimensions.append(dimension)
        } else if shape.count == 2, graph.inputs.count == 1, let names = featureNames {
          dimensions.append(names.count)
        } else {
          throw error(
            "leaves the number of its features open; expected a fixed number, or feature names that tell it")
        }
      }
      guard let width = Shape(dimensions).checkedElements, width > 0, width <= maximumWidth else {
        throw error("has the shape \(Shape(dimensions)) a row, the limit is \(maximumWidth) elements")
      }
      inputs.append(ModelSignature.Input(name: input.name, type: type, shape: dimensions))
    }
    return inputs
  }

  /// The same for an input of a tile, which may take numbers in place of texts.
  static func fill(
    _ tile: Tile, _ index: Int, _ input: ModelSignature.Input, rows: Int, categories: (Int) -> ClassLabels?
  ) {
    guard input.type == .text else {
      return fill(tile.input(index), input, rows: rows, categories: categories, texts: tile.texts)
    }
    let target = TextTarget(tile, input: index, firstRow: 0)
    for row in 0..<rows {
      for element in 0..<input.width {
        var text = ""
        if case .text(let known)? = categories(element), !known.isEmpty { text = known[row % known.count] }
        _ = text.withUTF8 { target.store(UnsafeRawBufferPointer($0), at: row * input.width + element) }
      }
    }
  }

  /// Writes harmless rows: small numbers that differ by row and feature, known categories where there are some.
  static func fill(
    _ start: UnsafeMutableRawPointer, _ input: ModelSignature.Input, rows: Int, categories: (Int) -> ClassLabels?,
    texts: TextHeap
  ) {
    for row in 0..<rows {
      for element in 0..<input.width {
        var integer = Int64((row * 5 + element * 3) % 7)
        var number = Double(integer) * 0.25 + 0.25
        var text = ""
        switch categories(element) {
        case .integer(let known)? where !known.isEmpty:
          integer = known[row % known.count]
          number = Double(integer)
        case .text(let known)? where !known.isEmpty: text = known[row % known.count]
        default: break
        }
        let index = row * input.width + element
        func store<T: BitwiseCopyable>(_ value: T) {
          start.storeBytes(of: value, toByteOffset: index * MemoryLayout<T>.stride, as: T.self)
        }
        switch input.type {
        case .float32: store(Float(number))
        case .float64: store(number)
        // 1 and the next larger numbers.
        case .float16: store(UInt16(0x3c00 + row))
        case .bool: store(UInt8(row & 1))
        case .uint8, .int8: store(UInt8(truncatingIfNeeded: integer))
        case .uint16, .int16: store(UInt16(truncatingIfNeeded: integer))
        case .uint32, .int32: store(UInt32(truncatingIfNeeded: integer))
        case .uint64, .int64: store(integer)
        case .text: store(text.withUTF8 { texts.store(UnsafeRawBufferPointer($0)) })
        }
      }
    }
  }
}
