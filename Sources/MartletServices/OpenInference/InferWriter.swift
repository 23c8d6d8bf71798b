import MartletCore
import MartletWire

/// Writes the scored rows of a call as a `ModelInferResponse`; its length is counted first.
struct InferWriter {
  // The batch that is being answered keeps what these point to while this exists.
  private let head: UnsafeRawBufferPointer
  private let outputs: UnsafePointer<InferForm.Output>
  private let starts: UnsafePointer<UnsafeMutableRawPointer>
  private let firstRow: Int
  private let rows: Int
  private let note: InferNote

  init(_ form: InferForm, _ tile: Tile, firstRow: Int, rows: Int, note: InferNote) {
    head = form.head
    outputs = UnsafePointer(form.outputs.baseAddress.unsafelyUnwrapped)
    starts = tile.outputStarts
    self.firstRow = firstRow
    self.rows = rows
    self.note = note
  }

  func size() -> Int {
    var bytes = head.count + ProtoSize.delimited(3, note.idCount)
    for index in 0..<note.outputCount {
      let output = Int(note.outputs[index])
      bytes += ProtoSize.always(5, sizeOfTensor(output))
      if note.isRaw { bytes += ProtoSize.always(6, sizeOfRaw(output)) }
    }
    return bytes
  }

  func write(to start: UnsafeMutableRawPointer, _ size: Int) {
    var writer = ProtoWriter(start, bytes: size)
    writer.raw(head)
    writer.delimited(3, UnsafeRawBufferPointer(start: note.id, count: note.idCount))
    for index in 0..<note.outputCount {
      let output = Int(note.outputs[index])
      writer.head(5, sizeOfTensor(output))
      writeTensor(output, &writer)
    }
    if note.isRaw {
      for index in 0..<note.outputCount {
        let output = Int(note.outputs[index])
        writer.head(6, sizeOfRaw(output))
        writeRaw(output, &writer)
      }
    }
    assert(writer.isFull)
  }

  // MARK: Tensors

  private func values(_ output: Int) -> (start: UnsafeMutableRawPointer, count: Int) {
    (starts[output] + firstRow * outputs[output].stride, rows * outputs[output].width)
  }

  private func texts(_ output: Int) -> UnsafeBufferPointer<TextRef> {
    let (start, count) = values(output)
    return UnsafeBufferPointer(start: start.assumingMemoryBound(to: TextRef.self), count: count)
  }

  private func sizeOfShape(_ output: Int) -> Int {
    ProtoSize.varint(UInt64(rows)) + outputs[output].shape.count
  }

  private func sizeOfTensor(_ output: Int) -> Int {
    let head = outputs[output].head.count + ProtoSize.always(3, sizeOfShape(output))
    return note.isRaw ? head : head + ProtoSize.always(5, sizeOfContents(output))
  }

  private func writeTensor(_ output: Int, _ writer: inout ProtoWriter) {
    writer.raw(outputs[output].head)
    writer.head(3, sizeOfShape(output))
    writer.varint(UInt64(rows))
    writer.raw(outputs[output].shape)
    guard !note.isRaw else { return }
    writer.head(5, sizeOfContents(output))
    writeContents(output, &writer)
  }

  // MARK: Raw contents

  private func sizeOfRaw(_ output: Int) -> Int {
    guard outputs[output].type == .text else { return rows * outputs[output].stride }
    var bytes = 0
    for text in texts(output) { bytes += 4 + text.count }
    return bytes
  }

  private func writeRaw(_ output: Int, _ writer: inout ProtoWriter) {
    guard outputs[output].type == .text else {
      return writer.raw(UnsafeRawBufferPointer(start: values(output).start, count: rows * outputs[output].stride))
    }
    for text in texts(output) {
      var length = UInt32(text.count).littleEndian
      withUnsafeBytes(of: &length) { writer.raw($0) }
      writer.raw(UnsafeRawBufferPointer(text.bytes))
    }
  }

  // MARK: Typed contents

  private func field(_ type: ElementType) -> Int {
    switch type {
    case .bool: 1
    case .int8, .int16, .int32: 2
    case .int64: 3
    case .uint8, .uint16, .uint32: 4
    case .uint64: 5
    case .float32, .float16: 6
    case .float64: 7
    case .text: 8
    }
  }

  /// An element of an integer output, as its varint is written: negative ones in ten bytes.
  private func integer(_ start: UnsafeMutableRawPointer, _ index: Int, _ type: ElementType) -> UInt64 {
    switch type {
    case .int8: UInt64(bitPattern: Int64(start.load(fromByteOffset: index, as: Int8.self)))
    case .int16: UInt64(bitPattern: Int64(start.load(fromByteOffset: index * 2, as: Int16.self)))
    case .int32: UInt64(bitPattern: Int64(start.load(fromByteOffset: index * 4, as: Int32.self)))
    case .uint16: UInt64(start.load(fromByteOffset: index * 2, as: UInt16.self))
    case .uint32: UInt64(start.load(fromByteOffset: index * 4, as: UInt32.self))
    case .int64, .uint64: start.load(fromByteOffset: index * 8, as: UInt64.self)
    default: UInt64(start.load(fromByteOffset: index, as: UInt8.self))
    }
  }

  private func sizeOfPacked(_ output: Int) -> Int {
    let (start, count) = values(output)
    let type = outputs[output].type
    switch type {
    case .float32, .float16: return count * 4
    case .float64: return count * 8
    case .bool: return count
    default:
      var bytes = 0
      for index in 0..<count { bytes += ProtoSize.varint(integer(start, index, type)) }
      return bytes
    }
  }

  private func sizeOfContents(_ output: Int) -> Int {
    let type = outputs[output].type
    guard type == .text else { return ProtoSize.delimited(field(type), sizeOfPacked(output)) }
    var bytes = 0
    for text in texts(output) { bytes += ProtoSize.always(field(type), text.count) }
    return bytes
  }

  private func writeContents(_ output: Int, _ writer: inout ProtoWriter) {
    let (start, count) = values(output)
    let type = outputs[output].type
    if type == .text {
      for text in texts(output) { writer.always(field(type), UnsafeRawBufferPointer(text.bytes)) }
      return
    }
    guard count > 0 else { return }
    writer.head(field(type), sizeOfPacked(output))
    switch type {
    case .float32, .float64, .bool:
      writer.raw(UnsafeRawBufferPointer(start: start, count: count * type.byteWidth))
    case .float16:
      for index in 0..<count {
        var value = Float(start.load(fromByteOffset: index * 2, as: Float16.self))
        withUnsafeBytes(of: &value) { writer.raw($0) }
      }
    default:
      for index in 0..<count { writer.varint(integer(start, index, type)) }
    }
  }
}
