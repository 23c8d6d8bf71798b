import CProtobufC
import CProtos
import MartletCore
import MartletRepository
import MartletWire

/// Puts the tensors of a `ModelInferRequest` into the rows of a tile; raw or typed contents.
///
/// Reused over calls, so that it allocates nothing. Confined to its reactor.
struct InferReader {
  /// For each tensor of the request the model's input.
  private var matched: [Int32] = []
  /// The priority that the last request asked for; 0 when it did not.
  private(set) var priority: UInt64 = 0

  init() {}

  /// Checks names, types, shapes and how many values came. Before memory is taken, and so that what is taken is in
  /// proportion to what came.
  ///
  /// - Returns: the rows of the call.
  /// Errors: INVALID_ARGUMENT.
  mutating func match(
    _ request: UnsafePointer<Inference__ModelInferRequest>, _ model: Model, rowsPerCall: Int
  ) throws(Status) -> Int {
    let inputs = model.signature.inputs
    priority = 0
    for index in 0..<request.pointee.n_parameters {
      let parameter = request.pointee.parameters[index]!
      try Self.checkParameter(parameter.pointee.key, of: "parameters")
      if Self.isPriority(UnsafeRawBufferPointer(text: parameter.pointee.key)) {
        priority = try Self.priority(parameter.pointee.value)
      }
    }
    matched.removeAll(keepingCapacity: true)
    var rows = -1
    for index in 0..<request.pointee.n_inputs {
      let tensor = request.pointee.inputs[index]!
      let name = UnsafeRawBufferPointer(text: tensor.pointee.name)
      guard let found = model.inputs.find(name, guess: index) else {
        throw Status(
          .invalidArgument,
          "inputs: \(name.quoted) is not an input of model \"\(model.name)\"; it has \(model.inputs.names.joined(separator: ", "))"
        )
      }
      guard !matched.contains(Int32(found)) else { throw Status(.invalidArgument, "inputs: \(name.quoted) came twice") }
      matched.append(Int32(found))
      for parameter in 0..<tensor.pointee.n_parameters {
        try Self.checkParameter(tensor.pointee.parameters[parameter]!.pointee.key, of: "inputs")
      }
      let datatype = UnsafeRawBufferPointer(text: tensor.pointee.datatype)
      guard datatype.elementsEqual(inputs[found].type.datatype.utf8) else {
        throw Status(
          .invalidArgument,
          "inputs: \"\(inputs[found].name)\" has datatype \(datatype.quoted); \(inputs[found].type.datatype) is expected"
        )
      }
      let its = try Self.rows(tensor, inputs[found])
      guard rows < 0 || rows == its else {
        throw Status(.invalidArgument, "inputs: \"\(inputs[found].name)\" has \(its) rows, another input \(rows)")
      }
      rows = its
    }
    guard matched.count == inputs.count else {
      let absent = inputs.indices.filter { !matched.contains(Int32($0)) }.prefix(20).map { inputs[$0].name }
      throw Status(.invalidArgument, "inputs: absent: \(absent.joined(separator: ", "))")
    }
    guard rows <= rowsPerCall else {
      throw Status(.invalidArgument, "inputs: \(rows) rows; a call has at most \(rowsPerCall)")
    }
    let raw = request.pointee.n_raw_input_contents
    guard raw == 0 || raw == inputs.count else {
      throw Status(
        .invalidArgument, "raw_input_contents: \(raw) entries for \(inputs.count) inputs; one each is expected")
    }
    rows = max(0, rows)
    for index in 0..<matched.count {
      let input = inputs[Int(matched[index])]
      let contents = request.pointee.inputs[index]!.pointee.contents
      if raw == 0 {
        try Self.checkCount(contents, input, rows * input.width)
      } else {
        guard contents == nil else {
          throw Status(
            .invalidArgument,
            "inputs: \"\(input.name)\" has contents beside raw_input_contents; only one of them is expected")
        }
        try Self.checkCount(raw: request.pointee.raw_input_contents[index].len, input, rows * input.width)
      }
    }
    return rows
  }

  /// Parameters that change what is asked for and that are not served must not be passed over in silence.
  static func checkParameter(_ key: UnsafePointer<CChar>?, of field: String) throws(Status) {
    let key = UnsafeRawBufferPointer(text: key)
    for prefix in ["shared_memory", "sequence_", "classification"] where key.starts(with: prefix.utf8) {
      throw Status(.unimplemented, "\(field): parameter \(key.quoted) is not served")
    }
  }

  static func isPriority(_ key: UnsafeRawBufferPointer) -> Bool { key.elementsEqual("priority".utf8) }

  /// A number of any of the two forms that have whole numbers.
  private static func priority(_ value: UnsafePointer<Inference__InferParameter>?) throws(Status) -> UInt64 {
    switch value?.pointee.parameter_choice_case {
    case INFERENCE__INFER_PARAMETER__PARAMETER_CHOICE_UINT64_PARAM: return value!.pointee.uint64_param
    case INFERENCE__INFER_PARAMETER__PARAMETER_CHOICE_INT64_PARAM where value!.pointee.int64_param >= 0:
      return UInt64(value!.pointee.int64_param)
    default: throw Status(.invalidArgument, "parameters: \"priority\" is not a uint64_param of 0 or more")
    }
  }

  private static func rows(
    _ tensor: UnsafePointer<Inference__ModelInferRequest__InferInputTensor>, _ input: ModelSignature.Input
  ) throws(Status) -> Int {
    let shape = UnsafeBufferPointer(start: tensor.pointee.shape, count: tensor.pointee.n_shape)
    var fits = false
    if let first = shape.first, first >= 0, first <= Int64(Int32.max) {
      fits = shape.count == input.shape.count + 1 && zip(shape.dropFirst(), input.shape).allSatisfy { $0 == Int64($1) }
      // A column of one value a row may come with or without its second dimension.
      if !fits, input.width == 1 { fits = shape.dropFirst().allSatisfy { $0 == 1 } && shape.count <= 2 }
    }
    guard fits else {
      let came = shape.prefix(8).map(String.init).joined(separator: ", ")
      let wanted = (["rows"] + input.shape.map(String.init)).joined(separator: ", ")
      throw Status(.invalidArgument, "inputs: \"\(input.name)\" has shape [\(came)]; [\(wanted)] is expected")
    }
    return Int(shape[0])
  }

  /// Fills rows `firstRow..<firstRow + rows` of the tile; `match` came before.
  func fill(
    _ request: UnsafePointer<Inference__ModelInferRequest>, _ model: Model, _ tile: Tile, firstRow: Int, rows: Int
  ) throws(Status) {
    for index in 0..<matched.count {
      let number = Int(matched[index])
      let input = model.signature.inputs[number]
      let target = tile.input(number) + firstRow * tile.stride(number)
      let count = rows * input.width
      let texts = input.type == .text ? TextTarget(tile, input: number, firstRow: firstRow) : nil
      if request.pointee.n_raw_input_contents > 0 {
        let raw = UnsafeRawBufferPointer(request.pointee.raw_input_contents[index])
        if let texts {
          if let problem = texts.fill(counted: raw, count: count) { throw Self.refusal(problem, input, count) }
        } else {
          try Self.fill(raw: raw, input, target)
        }
      } else {
        // `match` has counted them; there are none without contents.
        guard count > 0, let contents = request.pointee.inputs[index]!.pointee.contents else { continue }
        if let texts {
          for element in 0..<count
          where !texts.store(UnsafeRawBufferPointer(contents.pointee.bytes_contents[element]), at: element) {
            throw Self.refusal(.notText(element: element), input, count)
          }
        } else {
          try Self.fill(contents.pointee, input, target, count)
        }
      }
    }
  }

  private static func wrongCount(_ input: ModelSignature.Input, _ came: String, _ wanted: String) -> Status {
    Status(.invalidArgument, "inputs: \"\(input.name)\" has \(came); its shape asks for \(wanted)")
  }

  private static func checkCount(raw bytes: Int, _ input: ModelSignature.Input, _ count: Int) throws(Status) {
    if input.type == .text {
      // Each has a length of four bytes in front.
      guard bytes / 4 >= count else { throw wrongCount(input, "\(bytes) raw bytes", "\(count) texts") }
      return
    }
    guard bytes == count * input.type.byteWidth else {
      throw wrongCount(input, "\(bytes) raw bytes", "\(count * input.type.byteWidth)")
    }
  }

  private static func checkCount(
    _ contents: UnsafePointer<Inference__InferTensorContents>?, _ input: ModelSignature.Input, _ count: Int
  ) throws(Status) {
    guard let contents = contents?.pointee else {
      guard count == 0 else { throw wrongCount(input, "no contents", "\(count) values") }
      return
    }
    let came: Int
    let field: String
    switch input.type {
    case .bool: (came, field) = (contents.n_bool_contents, "bool_contents")
    case .int8, .int16, .int32: (came, field) = (contents.n_int_contents, "int_contents")
    case .int64: (came, field) = (contents.n_int64_contents, "int64_contents")
    case .uint8, .uint16, .uint32: (came, field) = (contents.n_uint_contents, "uint_contents")
    case .uint64: (came, field) = (contents.n_uint64_contents, "uint64_contents")
    case .float32: (came, field) = (contents.n_fp32_contents, "fp32_contents")
    case .float64: (came, field) = (contents.n_fp64_contents, "fp64_contents")
    case .text: (came, field) = (contents.n_bytes_contents, "bytes_contents")
    case .float16:
      throw Status(.invalidArgument, "inputs: \"\(input.name)\" is FP16, which has raw contents only")
    }
    guard came == count else { throw wrongCount(input, "\(came) values in \(field)", "\(count)") }
  }

  /// Raw contents of numbers or flags, whose number of bytes has been checked.
  static func fill(
    raw: UnsafeRawBufferPointer, _ input: ModelSignature.Input, _ target: UnsafeMutableRawPointer
  ) throws(Status) {
    guard let source = raw.baseAddress, raw.count > 0 else { return }
    if input.type == .bool, let bad = raw.first(where: { $0 > 1 }) {
      throw Status(.invalidArgument, "inputs: \"\(input.name)\" has a BOOL byte of \(bad); 0 or 1 is expected")
    }
    target.copyMemory(from: source, byteCount: raw.count)
  }

  /// What is wrong with the texts of an input.
  static func refusal(_ problem: CountedTextsProblem, _ input: ModelSignature.Input, _ count: Int) -> Status {
    switch problem {
    case .endsIn(let element): wrongCount(input, "raw bytes that end in element \(element)", "\(count) elements")
    case .rest(let bytes): wrongCount(input, "\(bytes) raw bytes too many", "\(count) elements")
    case .notText(let element):
      Status(.invalidArgument, "inputs: \"\(input.name)\", element \(element): not UTF-8 text")
    }
  }

  private static func fill(
    _ contents: Inference__InferTensorContents, _ input: ModelSignature.Input, _ target: UnsafeMutableRawPointer,
    _ count: Int
  ) throws(Status) {
    switch input.type {
    case .float32: target.copyMemory(from: contents.fp32_contents, byteCount: count * 4)
    case .float64: target.copyMemory(from: contents.fp64_contents, byteCount: count * 8)
    case .int64: target.copyMemory(from: contents.int64_contents, byteCount: count * 8)
    case .uint64: target.copyMemory(from: contents.uint64_contents, byteCount: count * 8)
    case .int32: target.copyMemory(from: contents.int_contents, byteCount: count * 4)
    case .uint32: target.copyMemory(from: contents.uint_contents, byteCount: count * 4)
    case .int16: try narrow(contents.int_contents, Int16.self, input, target, count)
    case .int8: try narrow(contents.int_contents, Int8.self, input, target, count)
    case .uint16: try narrow(contents.uint_contents, UInt16.self, input, target, count)
    case .uint8: try narrow(contents.uint_contents, UInt8.self, input, target, count)
    case .bool:
      for element in 0..<count {
        target.storeBytes(of: contents.bool_contents[element] != 0 ? 1 : 0, toByteOffset: element, as: UInt8.self)
      }
    // Texts have a way of their own, and half floats raw contents only.
    case .text, .float16: break
    }
  }

  private static func narrow<Wide: FixedWidthInteger, Narrow: FixedWidthInteger>(
    _ values: UnsafeMutablePointer<Wide>, _ type: Narrow.Type, _ input: ModelSignature.Input,
    _ target: UnsafeMutableRawPointer, _ count: Int
  ) throws(Status) {
    for element in 0..<count {
      guard let value = Narrow(exactly: values[element]) else {
        throw Status(
          .invalidArgument,
          "inputs: \"\(input.name)\", element \(element): \(values[element]) is outside \(input.type.datatype)")
      }
      (target + element * MemoryLayout<Narrow>.size).storeBytes(of: value, as: Narrow.self)
    }
  }
}
