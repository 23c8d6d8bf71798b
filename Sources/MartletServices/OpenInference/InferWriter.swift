import MartletCore
import MartletRepository
import MartletWire

/// Writes the scored rows of a call as a `ModelInferResponse`; its length is counted first.
struct InferWriter {
  private let model: Model
  private let tile: Tile
  private let rows: Range<Int>
  private let note: InferNote

  init(_ model: Model, _ tile: Tile, rows: Range<Int>, note: InferNote) {
    self.model = model
    self.tile = tile
    self.rows = rows
    self.note = note
  }

  func size() -> Int {
    var bytes =
      ProtoSize.delimited(1, model.name.utf8.count) + ProtoSize.delimited(2, model.versionText.utf8.count)
      + ProtoSize.delimited(3, note.id.count)
    for output in note.outputs {
      bytes += ProtoSize.always(5, sizeOfTensor(output))
      if note.isRaw { bytes += ProtoSize.always(6, sizeOfRaw(output)) }
    }
    return bytes
  }

  func write(to start: UnsafeMutableRawPointer, _ size: Int) {
    var writer = ProtoWriter(start, bytes: size)
    writer.string(1, model.name)
    writer.string(2, model.versionText)
    note.id.withUnsafeBytes { writer.delimited(3, $0) }
    for output in note.outputs {
      writer.head(5, sizeOfTensor(output))
      writeTensor(output, &writer)
    }
    if note.isRaw {
      for output in note.outputs {
        writer.head(6, sizeOfRaw(output))
        writeRaw(output, &writer)
      }
    }
    assert(writer.isFull)
  }

  // MARK: Tensors

  private func values(_ output: Int) -> (start: UnsafeMutableRawPointer, count: Int) {
    (tile.output(output) + rows.lowerBound * tile.outputs[output].stride, rows.count * tile.outputs[output].width)
  }

  private func texts(_ output: Int) -> UnsafeBufferPointer<TextRef> {
    let (start, count) = values(output)
    return UnsafeBufferPointer(start: start.assumingMemoryBound(to: TextRef.self), count: count)
  }

  private func sizeOfShape(_ output: Int) -> Int {
    var bytes = ProtoSize.varint(UInt64(rows.count))
    for dimension in model.signature.outputs[output].shape { bytes += ProtoSize.varint(UInt64(dimension)) }
    return bytes
  }

  private func sizeOfTensor(_ output: Int) -> Int {
    let signature = model.signature.outputs[output]
    let head =
      ProtoSize.delimited(1, signature.name.utf8.count)
      + ProtoSize.delimited(2, signature.type.datatype.utf8.count) + ProtoSize.always(3, sizeOfShape(output))
    return note.isRaw ? head : head + ProtoSize.always(5, sizeOfContents(output))
  }

  private func writeTensor(_ output: Int, _ writer: inout ProtoWriter) {
    let signature = model.signature.outputs[output]
    writer.string(1, signature.name)
    writer.string(2, signature.type.datatype)
    writer.head(3, sizeOfShape(output))
    writer.varint(UInt64(rows.count))
    for dimension in signature.shape { writer.varint(UInt64(dimension)) }
    guard !note.isRaw else { return }
    writer.head(5, sizeOfContents(output))
    writeContents(output, &writer)
  }

  // MARK: Raw contents

  private func sizeOfRaw(_ output: Int) -> Int {
    let (_, count) = values(output)
    guard tile.outputs[output].type == .text else { return count * tile.outputs[output].type.byteWidth }
    var bytes = 0
    for text in texts(output) { bytes += 4 + text.count }
    return bytes
  }

  private func writeRaw(_ output: Int, _ writer: inout ProtoWriter) {
    let (start, count) = values(output)
    guard tile.outputs[output].type == .text else {
      return writer.raw(UnsafeRawBufferPointer(start: start, count: count * tile.outputs[output].type.byteWidth))
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
    let type = tile.outputs[output].type
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
    let type = tile.outputs[output].type
    guard type == .text else { return ProtoSize.delimited(field(type), sizeOfPacked(output)) }
    var bytes = 0
    for text in texts(output) { bytes += ProtoSize.always(field(type), text.count) }
    return bytes
  }

  private func writeContents(_ output: Int, _ writer: inout ProtoWriter) {
    let (start, count) = values(output)
    let type = tile.outputs[output].type
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
