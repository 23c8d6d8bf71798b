import MartletCore
import MartletWire

/// Good calls whose answers are known, to be made between hostile ones: a server must still answer them, and right.
struct KnownCalls {
  private struct Known {
    var name: String
    var envelope: WireMessage
    /// The answer's payload, without what is different in every answer; nil until the first answer is learned.
    var payload: [UInt8]?
  }

  private var known: [Known] = []

  /// - Parameters:
  ///   - own: whether the models that are made here are served as well.
  ///   - real: models of files.
  init(own: Bool, real: [ValidCalls.Target]) {
    known = own ? [Self.score, Self.infer, Self.health, Self.null] : [Self.null]
    // What a model file computes is not known here; it must stay what it was before the first hostile byte.
    for target in real {
      var random = RandomSource(seed: 7)
      let call = ValidCalls(targets: [target]).infer(&random, rows: 3)
      known.append(Known(name: "ModelInfer of \(target.name)", envelope: call, payload: nil))
    }
  }

  /// The bytes of one connection that makes every call.
  var stream: [UInt8] { Self.stream(known.map(\.envelope)) }

  /// The bytes of one connection that loads models; nil for none.
  static func loading(_ models: [String]) -> [UInt8]? {
    guard !models.isEmpty else { return nil }
    return stream(
      models.map { model in
        var request = WireMessage()
        request.string(2, model)
        return envelope(ValidCalls.inference, "RepositoryModelLoad", request)
      })
  }

  private static func stream(_ envelopes: [WireMessage]) -> [UInt8] {
    var bytes: [UInt8] = []
    for (index, envelope) in envelopes.enumerated() {
      let data = envelope.encoded
      var header = [UInt8](repeating: 0, count: TTRPCFrame.headerBytes)
      let frame = TTRPCFrame(
        dataBytes: UInt32(data.count), stream: UInt32(2 * index + 1), kind: TTRPCFrame.Kind.request)
      header.withUnsafeMutableBytes { frame.write(to: $0.baseAddress!) }
      bytes += header + data
    }
    return bytes
  }

  var count: Int { known.count }

  /// What is wrong with the answers, frames in any order; nil when each is the known one.
  mutating func judge(_ frames: [[UInt8]]) -> String? {
    for index in known.indices {
      let stream = UInt32(2 * index + 1)
      let its = frames.filter { frame in frame.withUnsafeBytes { TTRPCFrame($0)?.stream } == stream }
      guard its.count == 1 else { return "\(known[index].name) has \(its.count) answers" }
      let data = Array(its[0].dropFirst(TTRPCFrame.headerBytes))
      guard let payload = Self.payload(data) else { return "\(known[index].name) was refused" }
      if let expected = known[index].payload {
        guard payload == expected else { return "\(known[index].name) has another answer than the known one" }
      } else {
        known[index].payload = payload
      }
    }
    return nil
  }

  /// The payload of a `ttrpc.Response`, without the two fields that make each answer of `Score` its own.
  private static func payload(_ data: [UInt8]) -> [UInt8]? {
    data.withUnsafeBytes { bytes in
      var envelope = ProtoReader(bytes)
      guard let (number, wire) = envelope.tag() else { return [] }
      guard number == 2, wire == .lengthDelimited, let payload = envelope.delimited() else { return nil }
      var reader = ProtoReader(payload)
      var kept: [UInt8] = []
      while true {
        let start = reader.position
        guard let (number, wire) = reader.tag(), reader.skip(wire) else { break }
        let isOwn =
          (number == 4 && wire == .lengthDelimited && reader.position - start == 18) || (number == 5 && wire == .varint)
        if !isOwn { kept += payload[start..<reader.position] }
      }
      return reader.malformed ? nil : kept
    }
  }

  private static func envelope(_ service: String, _ method: String, _ payload: WireMessage) -> WireMessage {
    var message = WireMessage()
    message.string(1, service)
    message.string(2, method)
    message.message(3, payload)
    return message
  }

  private static var score: Known {
    func column(_ name: String, _ field: UInt32, _ values: [UInt8]) -> WireMessage {
      var message = WireMessage()
      message.string(1, name)
      message.bytes(field, values)
      return message
    }
    var request = WireMessage()
    request.string(1, "mixed")
    request.varint(3, 2)
    request.message(4, column("a", 3, ValidCalls.packed([0.25, 0.75] as [Float])))
    request.message(4, column("b", 2, ValidCalls.packed([0.5, 1.5] as [Double])))
    request.message(4, column("n", 4, ValidCalls.varints([0, -5])))
    var text = column("text", 5, Array("yes".utf8))
    text.bytes(5, Array("né".utf8))
    request.message(4, text)
    request.message(4, column("flag", 6, [1, 0]))
    request.message(4, column("wide", 2, ValidCalls.packed([1, 2] as [Double])))

    var result = WireMessage()
    result.string(1, "yes")
    result.string(1, "no")
    result.string(3, "no")
    result.string(3, "yes")
    result.string(8, "yes")
    result.fields.append(WireField(9, .fixed64((0.5).bitPattern)))
    result.bytes(5, ValidCalls.packed([0.25, 0.5, 0.75, 1.5] as [Float]))
    result.bytes(7, [1, 1])
    var answer = WireMessage()
    answer.string(1, "mixed")
    answer.string(2, "1")
    answer.varint(3, 2)
    answer.message(6, result)
    return Known(
      name: "Score", envelope: envelope(ValidCalls.scoring, "Score", request), payload: answer.encoded)
  }

  private static var infer: Known {
    let signature = FuzzModels.echo.signature
    var request = WireMessage()
    request.string(1, "echo")
    request.string(3, "known")
    var answer = WireMessage()
    answer.string(1, "echo")
    answer.string(2, "1")
    answer.string(3, "known")
    var raw: [[UInt8]] = []
    for (input, output) in zip(signature.inputs, signature.outputs) {
      let count = 2 * input.width
      let shape = ValidCalls.varints([2, Int64(input.width)])
      for (field, name) in [(UInt32(5), input.name), (UInt32(0), output.name)] {
        var tensor = WireMessage()
        tensor.string(1, name)
        tensor.string(2, input.type.datatype)
        tensor.bytes(3, shape)
        if field == 5 { request.message(5, tensor) } else { answer.message(5, tensor) }
      }
      switch input.type {
      case .text: raw.append((0..<count).flatMap { _ -> [UInt8] in [3, 0, 0, 0] + Array("né".utf8) })
      case .bool: raw.append((0..<count).map { UInt8($0 & 1) })
      default: raw.append((0..<(count * input.type.byteWidth)).map { UInt8(truncatingIfNeeded: 17 &* $0 &+ 3) })
      }
    }
    for bytes in raw { request.bytes(7, bytes) }
    for bytes in raw { answer.bytes(6, bytes) }
    return Known(
      name: "ModelInfer", envelope: envelope(ValidCalls.inference, "ModelInfer", request), payload: answer.encoded)
  }

  private static var health: Known {
    var request = WireMessage()
    request.string(1, "mixed")
    var answer = WireMessage()
    answer.varint(1, 1)
    return Known(
      name: "Check", envelope: envelope(ValidCalls.health, "Check", request), payload: answer.encoded)
  }

  private static var null: Known {
    var request = WireMessage()
    request.varint(2, 17)
    var answer = WireMessage()
    answer.bytes(1, Array(repeating: 0, count: 17))
    return Known(
      name: "Null", envelope: envelope(ValidCalls.scoring, "Null", request), payload: answer.encoded)
  }
}
