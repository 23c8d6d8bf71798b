import MartletCore
import MartletRepository
import MartletWire

/// `ModelInfer` requests that were plain and the usual ones, by their bytes.
typealias InferMessages = RepeatedMessages<InferMeaning>

/// What a plain request of a model's usual calls says beside its values.
struct InferMeaning {
  var served: UnsafePointer<ServedLane>
  var rows: Int
  var note: UInt32
  /// Of its priority, 0 the highest.
  var level: UInt8
}

/// The fast path of `ModelInfer`: the message is read where it lies, and the values go from there straight into the
/// rows of a tile.
///
/// It takes only what is right in every respect and of the usual shape: raw contents, or typed ones of floats; no
/// parameter but the call's priority; no field twice. For everything else it steps aside before anything has happened, and the general
/// reader, which unpacks with protobuf-c, accepts or refuses. So there is one place that says what is wrong.
/// Reused over calls; confined to its reactor.
final class PlainInfer {
  private struct Tensor {
    var name = UnsafeRawBufferPointer(start: nil, count: 0)
    var datatype = UnsafeRawBufferPointer(start: nil, count: 0)
    /// Where the values lie: `raw_input_contents` or the packed floats of `contents`.
    var values: UnsafeRawBufferPointer?
    /// Field of `InferTensorContents`; 0 for raw contents.
    var field: UInt32 = 0
    var shape: (Int64, Int64) = (0, 0)
    var dimensions = 0
    /// The model's input.
    var input = 0
  }

  private static let maximumTensors = 64

  private(set) var modelName = UnsafeRawBufferPointer(start: nil, count: 0)
  private(set) var modelVersion = UnsafeRawBufferPointer(start: nil, count: 0)
  private(set) var id = UnsafeRawBufferPointer(start: nil, count: 0)
  private(set) var outputCount = 0
  private(set) var isRaw = false
  private(set) var rows = 0
  /// As it came; 0 when it did not.
  private(set) var priority: UInt64 = 0
  private var tensorCount = 0
  private var rawCount = 0
  private let tensors: UnsafeMutablePointer<Tensor>
  private let outputs: UnsafeMutablePointer<UnsafeRawBufferPointer>
  private let places: UnsafeMutablePointer<InferMessages.Values> = .allocate(
    capacity: PlainInfer.maximumTensors)

  init() {
    tensors = .allocate(capacity: Self.maximumTensors)
    tensors.initialize(repeating: Tensor(), count: Self.maximumTensors)
    outputs = .allocate(capacity: Self.maximumTensors)
    outputs.initialize(repeating: UnsafeRawBufferPointer(start: nil, count: 0), count: Self.maximumTensors)
  }

  deinit {
    tensors.deallocate()
    places.deallocate()
    outputs.deallocate()
  }

  /// The name of the output that was asked for at `index`.
  func output(_ index: Int) -> UnsafeRawBufferPointer { outputs[index] }

  /// Reads the message; false when it is not plain. What was read points into `payload`.
  func read(_ payload: UnsafeRawBufferPointer) -> Bool {
    var reader = ProtoReader(payload)
    var seen: UInt32 = 0
    tensorCount = 0
    outputCount = 0
    rawCount = 0
    priority = 0
    modelVersion = UnsafeRawBufferPointer(start: nil, count: 0)
    id = UnsafeRawBufferPointer(start: nil, count: 0)
    while let (number, wire) = reader.tag() {
      guard wire == .lengthDelimited, let value = reader.delimited() else { return false }
      switch number {
      case 1...3:
        guard seen & 1 << number == 0 else { return false }
        seen |= 1 << number
        if number == 1 { modelName = value } else if number == 2 { modelVersion = value } else { id = value }
      case 4:
        guard seen & 1 << number == 0, readPriority(value) else { return false }
        seen |= 1 << number
      case 5:
        guard tensorCount < Self.maximumTensors, Self.read(value, &tensors[tensorCount]) else { return false }
        tensorCount += 1
      case 6:
        guard outputCount < Self.maximumTensors, let name = Self.name(value) else { return false }
        outputs[outputCount] = name
        outputCount += 1
      case 7:
        // Contents that come before their tensors, or beside typed ones, are not plain.
        guard rawCount < tensorCount, tensors[rawCount].values == nil else { return false }
        tensors[rawCount].values = value
        rawCount += 1
      default: return false
      }
    }
    isRaw = rawCount > 0
    return !reader.malformed && seen & 2 != 0 && tensorCount > 0 && (rawCount == 0 || rawCount == tensorCount)
      && MessageGuard.isText(id)
  }

  /// Reads a parameter, which is to be the priority.
  private func readPriority(_ bytes: UnsafeRawBufferPointer) -> Bool {
    var reader = ProtoReader(bytes)
    guard let (first, form) = reader.tag(), first == 1, form == .lengthDelimited, let key = reader.delimited(),
      InferReader.isPriority(key), let (second, wire) = reader.tag(), second == 2, wire == .lengthDelimited,
      let value = reader.delimited(), reader.position == bytes.count
    else { return false }
    var choice = ProtoReader(value)
    guard let (field, kind) = choice.tag(), field == 5, kind == .varint, let number = choice.varint(),
      choice.position == value.count
    else { return false }
    priority = number
    return true
  }

  private static func read(_ bytes: UnsafeRawBufferPointer, _ tensor: inout Tensor) -> Bool {
    var reader = ProtoReader(bytes)
    tensor.name = UnsafeRawBufferPointer(start: nil, count: 0)
    tensor.datatype = tensor.name
    tensor.values = nil
    tensor.field = 0
    tensor.dimensions = 0
    var seen: UInt32 = 0
    while let (number, wire) = reader.tag() {
      guard wire == .lengthDelimited, let value = reader.delimited(), number <= 5, number != 4, seen & 1 << number == 0
      else { return false }
      seen |= 1 << number
      switch number {
      case 1: tensor.name = value
      case 2: tensor.datatype = value
      case 3:
        var shape = ProtoReader(value)
        while shape.position < value.count {
          guard tensor.dimensions < 2, let dimension = shape.varint() else { return false }
          if tensor.dimensions == 0 {
            tensor.shape.0 = Int64(bitPattern: dimension)
          } else {
            tensor.shape.1 = Int64(bitPattern: dimension)
          }
          tensor.dimensions += 1
        }
      default:
        var contents = ProtoReader(value)
        guard let (field, wire) = contents.tag(), field == 6 || field == 7, wire == .lengthDelimited,
          let values = contents.delimited(), contents.position == value.count
        else { return false }
        tensor.field = field
        tensor.values = values
      }
    }
    return !reader.malformed
  }

  /// The name of a requested output that has nothing but a name.
  private static func name(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
    var reader = ProtoReader(bytes)
    guard let (number, wire) = reader.tag(), number == 1, wire == .lengthDelimited, let name = reader.delimited(),
      reader.position == bytes.count
    else { return nil }
    return name
  }

  /// Checks the tensors against the model's inputs and finds how many rows came; false when anything is not as the
  /// model wants it.
  func match(_ form: InferForm, _ model: Model, rowsPerCall: Int) -> Bool {
    guard tensorCount == form.inputs.count else { return false }
    rows = -1
    var found: UInt64 = 0
    for index in 0..<tensorCount {
      let tensor = tensors + index
      // Callers send their tensors in the same order again and again, mostly that of the model.
      var input = index
      if !form.inputs[index].name.hasSameBytes(as: tensor.pointee.name) {
        guard let other = model.inputs.find(tensor.pointee.name) else { return false }
        input = other
      }
      guard found & 1 << UInt64(input) == 0 else { return false }
      found |= 1 << UInt64(input)
      tensor.pointee.input = input
      let wanted = form.inputs[input]
      guard wanted.datatype.hasSameBytes(as: tensor.pointee.datatype), let its = Self.rows(tensor.pointee, wanted),
        rows < 0 || rows == its
      else { return false }
      rows = its
      guard let values = tensor.pointee.values else { return false }
      switch tensor.pointee.field {
      case 6: guard wanted.type == .float32, values.count == its * wanted.stride else { return false }
      case 7: guard wanted.type == .float64, values.count == its * wanted.stride else { return false }
      default:
        if wanted.type == .text {
          guard values.count / 4 >= its * wanted.width else { return false }
        } else {
          guard values.count == its * wanted.stride else { return false }
        }
      }
    }
    return rows <= rowsPerCall
  }

  @inline(__always)
  private static func rows(_ tensor: Tensor, _ input: InferForm.Input) -> Int? {
    guard tensor.dimensions == input.dimensions + 1, tensor.shape.0 >= 0, tensor.shape.0 <= Int64(Int32.max) else {
      return nil
    }
    guard input.dimensions == 0 || tensor.shape.1 == Int64(input.dimension) else { return nil }
    return Int(tensor.shape.0)
  }

  /// The places of the values in `payload`, which was read and matched; nil when a message with other values could mean
  /// anything else: texts tell their lengths, and flags may be wrong.
  func values(in payload: UnsafeRawBufferPointer, _ form: InferForm) -> UnsafeBufferPointer<InferMessages.Values>? {
    guard let start = payload.baseAddress else { return nil }
    for index in 0..<tensorCount {
      let input = form.inputs[tensors[index].input]
      guard input.type != .text, input.type != .bool, let values = tensors[index].values,
        let first = values.baseAddress
      else { return nil }
      (places + index).initialize(
        to: InferMessages.Values(
          offset: first - start, count: values.count, target: tensors[index].input, stride: input.stride))
      guard index == 0 || places[index - 1].offset + places[index - 1].count <= places[index].offset else { return nil }
    }
    return UnsafeBufferPointer(start: places, count: tensorCount)
  }

  /// Fills rows `firstRow..<firstRow + rows` of the tile; `match` came before.
  ///
  /// Errors: those of the general reader, whose code this is, for texts that are none and flags that are not 0 or 1.
  func fill(_ form: InferForm, _ model: Model, _ tile: Tile, firstRow: Int) throws(Status) {
    for index in 0..<tensorCount {
      let number = tensors[index].input
      let input = form.inputs[number]
      let values = tensors[index].values.unsafelyUnwrapped
      if input.type == .text {
        let texts = TextTarget(tile, input: number, firstRow: firstRow)
        if let problem = texts.fill(counted: values, count: rows * input.width) {
          throw InferReader.refusal(problem, model.signature.inputs[number], rows * input.width)
        }
        continue
      }
      let target = tile.input(number) + firstRow * input.stride
      if input.type == .bool {
        try InferReader.fill(raw: values, model.signature.inputs[number], target)
      } else if let source = values.baseAddress {
        target.copyMemory(from: source, byteCount: values.count)
      }
    }
  }
}
