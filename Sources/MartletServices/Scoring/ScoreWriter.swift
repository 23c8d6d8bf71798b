import MartletCore
import MartletWire

/// Writes the scored rows of a call as a `ScoreResponse`; its length is counted first.
struct ScoreWriter {
  // The batch that is being answered keeps what these point to while this exists.
  private unowned(unsafe) let model: ServedModel
  private unowned(unsafe) let form: ScoreForm
  private let starts: UnsafePointer<UnsafeMutableRawPointer>
  private let rows: Range<Int>
  private let instance: UnsafeRawBufferPointer
  private let firstPrediction: UInt64
  private let resultField: Int

  init(
    _ served: ServedModel, _ tile: Tile, rows: Range<Int>, instance: UnsafeRawBufferPointer, firstPrediction: UInt64
  ) {
    model = served
    form = served.form
    starts = tile.outputStarts
    self.rows = rows
    self.instance = instance
    self.firstPrediction = firstPrediction
    switch form.kind {
    case .classification: resultField = 6
    case .regression: resultField = 7
    case .outputs: resultField = 8
    }
  }

  /// Bytes of the whole message.
  func size() -> (message: Int, result: Int) {
    let result = sizeOfResult()
    let head =
      form.head.count + ProtoSize.varintField(3, UInt64(rows.count)) + ProtoSize.delimited(4, instance.count)
      + ProtoSize.varintField(5, firstPrediction)
    return (head + ProtoSize.always(resultField, result), result)
  }

  func write(to start: UnsafeMutableRawPointer, _ size: (message: Int, result: Int)) {
    var writer = ProtoWriter(start, bytes: size.message)
    writer.raw(form.head)
    writer.varintField(3, UInt64(rows.count))
    writer.delimited(4, instance)
    writer.varintField(5, firstPrediction)
    writer.head(resultField, size.result)
    writeResult(&writer)
    assert(writer.isFull)
  }

  private func values(_ output: Int, _ rows: Range<Int>) -> Values {
    Values(form.outputs[output], starts[output], rows)
  }

  private func sizeOfResult() -> Int {
    switch form.kind {
    case .classification(let label, let probability):
      var bytes = values(label, rows).size(text: 1, integer: 2) + form.classes.count
      if let probability {
        bytes += values(probability, rows).size(float: 5, double: 6)
        if form.decision != nil { bytes += ProtoSize.delimited(7, rows.count) }
      }
      return bytes
    case .regression(let value):
      return values(value, rows).size(float: 1, double: 2)
        + ProtoSize.varintField(3, UInt64(form.outputs[value].width))
    case .outputs:
      var bytes = 0
      for index in 0..<form.outputs.count { bytes += ProtoSize.always(1, sizeOfOutput(index)) }
      return bytes
    }
  }

  private func sizeOfOutput(_ index: Int) -> Int {
    let name = model.model.signature.outputs[index].name
    return ProtoSize.delimited(1, name.utf8.count) + ProtoSize.varintField(2, UInt64(form.outputs[index].width))
      + values(index, rows).size(text: 6, integer: 5, float: 3, double: 4, boolean: 7)
  }

  private func writeResult(_ writer: inout ProtoWriter) {
    switch form.kind {
    case .classification(let label, let probability):
      values(label, rows).write(&writer, text: 1, integer: 2)
      writer.raw(form.classes)
      guard let probability else { return }
      let scores = values(probability, rows)
      scores.write(&writer, float: 5, double: 6)
      if let decision = form.decision {
        writer.head(7, rows.count)
        for row in 0..<rows.count {
          writer.byte(scores.number(row, decision.column) >= decision.threshold ? 1 : 0)
        }
      }
    case .regression(let value):
      values(value, rows).write(&writer, float: 1, double: 2)
      writer.varintField(3, UInt64(form.outputs[value].width))
    case .outputs:
      for index in 0..<form.outputs.count {
        writer.head(1, sizeOfOutput(index))
        writer.string(1, model.model.signature.outputs[index].name)
        writer.varintField(2, UInt64(form.outputs[index].width))
        values(index, rows).write(&writer, text: 6, integer: 5, float: 3, double: 4, boolean: 7)
      }
    }
  }
}

/// The rows of one output, as the fields of a message; a field number of 0 says that the type does not occur.
private struct Values {
  let type: ElementType
  let start: UnsafeMutableRawPointer
  let count: Int
  let width: Int

  init(_ output: ScoreForm.Output, _ start: UnsafeMutableRawPointer, _ rows: Range<Int>) {
    type = output.type
    width = output.width
    self.start = start + rows.lowerBound * output.stride
    count = rows.count * output.width
  }

  /// Element `column` of row `row`, of a floating-point output.
  func number(_ row: Int, _ column: Int) -> Double {
    let index = row * width + column
    return type == .float32
      ? Double(start.load(fromByteOffset: index * 4, as: Float.self))
      : start.load(fromByteOffset: index * 8, as: Double.self)
  }

  private var raw: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: start, count: count * type.byteWidth) }

  private func integer(_ index: Int) -> Int64 {
    switch type {
    case .int64: start.load(fromByteOffset: index * 8, as: Int64.self)
    case .int32: Int64(start.load(fromByteOffset: index * 4, as: Int32.self))
    case .int16: Int64(start.load(fromByteOffset: index * 2, as: Int16.self))
    case .int8: Int64(start.load(fromByteOffset: index, as: Int8.self))
    case .uint64: Int64(bitPattern: start.load(fromByteOffset: index * 8, as: UInt64.self))
    case .uint32: Int64(start.load(fromByteOffset: index * 4, as: UInt32.self))
    case .uint16: Int64(start.load(fromByteOffset: index * 2, as: UInt16.self))
    case .uint8, .bool: Int64(start.load(fromByteOffset: index, as: UInt8.self))
    default: 0
    }
  }

  private func text(_ index: Int) -> TextRef { start.load(fromByteOffset: index * 16, as: TextRef.self) }

  private var packedIntegerBytes: Int {
    var bytes = 0
    for index in 0..<count { bytes += ProtoSize.varint(UInt64(bitPattern: integer(index))) }
    return bytes
  }

  func size(text: Int = 0, integer: Int = 0, float: Int = 0, double: Int = 0, boolean: Int = 0) -> Int {
    switch type {
    case .text:
      var bytes = 0
      for index in 0..<count { bytes += ProtoSize.always(text, self.text(index).count) }
      return bytes
    case .float32: return ProtoSize.delimited(float, count * 4)
    case .float64: return ProtoSize.delimited(double, count * 8)
    case .bool: return ProtoSize.delimited(boolean, count)
    case .float16: return ProtoSize.delimited(float, count * 4)
    default: return ProtoSize.delimited(integer, packedIntegerBytes)
    }
  }

  func write(
    _ writer: inout ProtoWriter, text: Int = 0, integer: Int = 0, float: Int = 0, double: Int = 0, boolean: Int = 0
  ) {
    switch type {
    case .text:
      for index in 0..<count { writer.always(text, UnsafeRawBufferPointer(self.text(index).bytes)) }
    case .float32: writer.delimited(float, raw)
    case .float64: writer.delimited(double, raw)
    case .bool: writer.delimited(boolean, raw)
    case .float16:
      guard count > 0 else { return }
      writer.head(float, count * 4)
      for index in 0..<count {
        var value = Float(start.load(fromByteOffset: index * 2, as: Float16.self))
        withUnsafeBytes(of: &value) { writer.raw($0) }
      }
    default:
      guard count > 0 else { return }
      writer.head(integer, packedIntegerBytes)
      for index in 0..<count { writer.varint(UInt64(bitPattern: self.integer(index))) }
    }
  }
}
