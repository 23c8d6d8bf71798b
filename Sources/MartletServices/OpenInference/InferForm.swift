import MartletCore
import MartletRepository
import MartletWire

/// What every `ModelInfer` call needs of its model, as plain memory: reading arrays and strings out of a signature
/// costs reference counting each time.
///
/// `@unchecked Sendable`: written by `init` only. What it hands out is valid as long as it lives.
final class InferForm: @unchecked Sendable {
  struct Input {
    var name: UnsafeRawBufferPointer
    var datatype: UnsafeRawBufferPointer
    var type: ElementType
    /// Elements and bytes of a row.
    var width: Int
    var stride: Int
    /// Dimensions behind the rows, and the first of them; 0 when there is none.
    var dimensions: Int
    var dimension: Int
  }

  struct Output {
    /// The fields `name` and `datatype` of an answer's tensor.
    var head: UnsafeRawBufferPointer
    /// The dimensions behind the rows, as varints.
    var shape: UnsafeRawBufferPointer
    var type: ElementType
    var width: Int
    var stride: Int
  }

  let inputs: UnsafeMutableBufferPointer<Input>
  let outputs: UnsafeMutableBufferPointer<Output>
  /// The fields `model_name` and `model_version` of an answer.
  let head: UnsafeRawBufferPointer
  private let memory: [UnsafeMutableRawBufferPointer]

  init(_ model: Model) {
    var memory: [UnsafeMutableRawBufferPointer] = []
    func keep(_ bytes: some Collection<UInt8>) -> UnsafeRawBufferPointer {
      let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, bytes.count), alignment: 16)
      copy.copyBytes(from: bytes)
      memory.append(copy)
      return UnsafeRawBufferPointer(rebasing: copy[..<bytes.count])
    }
    let signature = model.signature
    inputs = .allocate(capacity: signature.inputs.count)
    for (index, input) in signature.inputs.enumerated() {
      inputs.initializeElement(
        at: index,
        to: Input(
          name: keep(input.name.utf8), datatype: keep(input.type.datatype.utf8), type: input.type, width: input.width,
          stride: input.width * input.type.byteWidth, dimensions: input.shape.count, dimension: input.shape.first ?? 0))
    }
    // One more, so that none has an address as well.
    let room = UnsafeMutableBufferPointer<Output>.allocate(capacity: signature.outputs.count + 1)
    outputs = UnsafeMutableBufferPointer(rebasing: room[..<signature.outputs.count])
    for (index, output) in signature.outputs.enumerated() {
      var head = ProtoBuffer()
      head.string(1, output.name)
      head.string(2, output.type.datatype)
      var shape = ProtoBuffer()
      for dimension in output.shape { shape.varint(UInt64(dimension)) }
      outputs.initializeElement(
        at: index,
        to: Output(
          head: keep(head.bytes), shape: keep(shape.bytes), type: output.type, width: output.width,
          stride: output.width * output.type.byteWidth))
    }
    var names = ProtoBuffer()
    names.string(1, model.name)
    names.string(2, model.versionText)
    head = keep(names.bytes)
    self.memory = memory
  }

  deinit {
    for block in memory { block.deallocate() }
    inputs.deallocate()
    outputs.deallocate()
  }
}
