import MartletCore

/// Builds calls that a server accepts: every method of every service, for every model it is given, with random rows.
struct ValidCalls {
  struct Target {
    var name: String
    var signature: ModelSignature
    /// Whether `Score` can fill every input; FP16 has no column.
    var isScorable: Bool { !signature.columns.isEmpty && !signature.inputs.contains { $0.type == .float16 } }
  }

  static let scoring = "martlet.v1.Scoring"
  static let inference = "inference.GRPCInferenceService"
  static let health = "grpc.health.v1.Health"

  let targets: [Target]

  /// The envelope of a random call.
  func next(_ random: inout RandomSource) -> WireMessage {
    switch random.below(100) {
    case 0..<32: return score(&random)
    case 32..<66: return infer(&random)
    case 66..<70: return envelope(Self.scoring, "Describe", named(1, 2, &random), &random)
    case 70..<74: return null(&random)
    case 74..<76: return envelope(Self.inference, "ServerLive", WireMessage(), &random)
    case 76..<78: return envelope(Self.inference, "ServerReady", WireMessage(), &random)
    case 78..<81: return envelope(Self.inference, "ModelReady", named(1, 2, &random), &random)
    case 81..<83: return envelope(Self.inference, "ServerMetadata", WireMessage(), &random)
    case 83..<86: return envelope(Self.inference, "ModelMetadata", named(1, 2, &random), &random)
    case 86..<89: return index(&random)
    case 89..<91: return change("RepositoryModelLoad", &random)
    case 91..<93: return change("RepositoryModelUnload", &random)
    case 93..<96: return check(&random)
    case 96..<98: return envelope(Self.health, "List", WireMessage(), &random)
    default: return unknown(&random)
    }
  }

  private func envelope(
    _ service: String, _ method: String, _ payload: WireMessage, _ random: inout RandomSource
  ) -> WireMessage {
    var message = WireMessage()
    message.string(1, service)
    message.string(2, method)
    if !payload.fields.isEmpty { message.message(3, payload) }
    // A minute, or a nanosecond: the second is over before anything is scored.
    if random.chance(20) { message.varint(4, random.chance(90) ? 60_000_000_000 : 1) }
    if random.chance(15) {
      var pair = WireMessage()
      pair.string(1, "traceparent")
      pair.string(2, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
      message.message(5, pair)
    }
    return message
  }

  private func named(_ name: UInt32, _ version: UInt32, _ random: inout RandomSource) -> WireMessage {
    var message = WireMessage()
    message.string(name, random.pick(targets).name)
    if random.chance(20) { message.string(version, random.chance(80) ? "1" : "9") }
    return message
  }

  private func null(_ random: inout RandomSource) -> WireMessage {
    var message = WireMessage()
    message.bytes(1, random.bytes(random.below(64)))
    message.varint(2, UInt64(random.below(256)))
    return envelope(Self.scoring, "Null", message, &random)
  }

  private func index(_ random: inout RandomSource) -> WireMessage {
    var message = WireMessage()
    if random.chance(50) { message.varint(2, UInt64(random.below(2))) }
    return envelope(Self.inference, "RepositoryIndex", message, &random)
  }

  private func change(_ method: String, _ random: inout RandomSource) -> WireMessage {
    var message = WireMessage()
    message.string(2, random.pick(["damaged", "absent", "empty"]))
    if random.chance(30) { message.message(3, parameter("config", &random)) }
    return envelope(Self.inference, method, message, &random)
  }

  private func check(_ random: inout RandomSource) -> WireMessage {
    var message = WireMessage()
    let names = ["", Self.scoring, Self.inference, Self.health] + targets.map(\.name)
    message.string(1, random.pick(names))
    return envelope(Self.health, "Check", message, &random)
  }

  private func unknown(_ random: inout RandomSource) -> WireMessage {
    let (service, method) = random.pick([
      (Self.scoring, "Explain"), (Self.inference, "ModelStreamInfer"), ("grpc.health.v1.Health", "Watch"),
      ("other.Service", "Method"), ("", ""),
    ])
    return envelope(service, method, WireMessage(), &random)
  }

  private func parameter(_ key: String, _ random: inout RandomSource) -> WireMessage {
    var choice = WireMessage()
    if random.chance(50) { choice.varint(2, random.next()) } else { choice.string(3, "value") }
    var entry = WireMessage()
    entry.string(1, key)
    entry.message(2, choice)
    return entry
  }

  private func rows(_ random: inout RandomSource) -> Int {
    switch random.below(100) {
    case 0..<60: 1
    case 60..<90: 1 + random.below(8)
    default: 1 + random.below(40)
    }
  }

  // MARK: Score

  func score(_ random: inout RandomSource) -> WireMessage {
    let target = random.pick(targets.filter(\.isScorable))
    let rows = rows(&random)
    var message = WireMessage()
    message.string(1, target.name)
    if random.chance(10) { message.string(2, "1") }
    message.varint(3, UInt64(rows))
    var columns = target.signature.columns
    if random.chance(50) { columns.shuffle(using: &random) }
    for column in columns {
      if column.missingAllowed, random.chance(10) { continue }
      message.message(4, self.column(column, rows, &random))
    }
    if random.chance(20) {
      message.varint(5, 1)
      var extra = WireMessage()
      extra.string(1, "extra")
      message.message(4, extra)
    }
    return envelope(Self.scoring, "Score", message, &random)
  }

  private func column(
    _ column: ModelSignature.Column, _ rows: Int, _ random: inout RandomSource
  ) -> WireMessage {
    var message = WireMessage()
    message.string(1, column.name)
    switch column.type {
    case .text:
      for _ in 0..<rows { message.bytes(5, Self.text(&random)) }
    case .float32, .float64, .float16:
      switch random.below(4) {
      case 0: message.bytes(2, Self.packed((0..<rows).map { _ in Double(random.below(4096)) / 16 }))
      case 1: message.bytes(4, Self.varints((0..<rows).map { _ in Int64(random.below(1000)) }))
      default: message.bytes(3, Self.packed((0..<rows).map { _ in Float(random.below(4096)) / 16 }))
      }
    case .bool:
      message.bytes(6, (0..<rows).map { _ in UInt8(random.below(2)) })
    default:
      switch random.below(4) {
      case 0: message.bytes(2, Self.packed((0..<rows).map { _ in Double(random.below(100)) }))
      case 1: message.bytes(6, (0..<rows).map { _ in UInt8(random.below(2)) })
      default: message.bytes(4, Self.varints((0..<rows).map { _ in Int64(random.below(100)) }))
      }
    }
    if random.chance(20) {
      let some = column.missingAllowed && random.chance(70)
      message.bytes(7, some ? random.bytes((rows + 7) / 8) : Array(repeating: 0xff, count: (rows + 7) / 8))
    }
    return message
  }

  private static func text(_ random: inout RandomSource) -> [UInt8] {
    Array(random.pick(["", "yes", "no", "né", "男 : single", "a longer text than fits into a small string"]).utf8)
  }

  // MARK: ModelInfer

  /// - Parameter wanted: rows of the call; nil for any number.
  func infer(_ random: inout RandomSource, rows wanted: Int? = nil) -> WireMessage {
    let target = random.pick(targets)
    let hasHalf = target.signature.inputs.contains { $0.type == .float16 }
    let isRaw = hasHalf || random.chance(50)
    let rows = wanted ?? (random.chance(3) ? 0 : rows(&random))
    var message = WireMessage()
    message.string(1, target.name)
    if random.chance(10) { message.string(2, "1") }
    if random.chance(50) { message.string(3, "call \(random.below(1000))") }
    if random.chance(10) { message.message(4, parameter("priority", &random)) }
    var inputs = target.signature.inputs
    if random.chance(50) { inputs.shuffle(using: &random) }
    for input in inputs {
      var tensor = WireMessage()
      tensor.string(1, input.name)
      tensor.string(2, input.type.datatype)
      tensor.bytes(3, Self.varints([Int64(rows)] + input.shape.map { Int64($0) }))
      if random.chance(5) { tensor.message(4, parameter("note", &random)) }
      if !isRaw { tensor.message(5, contents(input, rows * input.width, &random)) }
      message.message(5, tensor)
    }
    if random.chance(40) {
      for output in target.signature.outputs where random.chance(60) {
        var wanted = WireMessage()
        wanted.string(1, output.name)
        if random.chance(10) { wanted.message(2, parameter("note", &random)) }
        message.message(6, wanted)
      }
    }
    if isRaw {
      for input in inputs { message.bytes(7, raw(input, rows * input.width, &random)) }
    }
    return envelope(Self.inference, "ModelInfer", message, &random)
  }

  private func raw(_ input: ModelSignature.Input, _ count: Int, _ random: inout RandomSource) -> [UInt8] {
    switch input.type {
    case .text:
      var bytes: [UInt8] = []
      for _ in 0..<count {
        let text = Self.text(&random)
        withUnsafeBytes(of: UInt32(text.count).littleEndian) { bytes.append(contentsOf: $0) }
        bytes.append(contentsOf: text)
      }
      return bytes
    case .bool: return (0..<count).map { _ in UInt8(random.below(2)) }
    case .float32: return Self.packed((0..<count).map { _ in Float(random.below(4096)) / 16 })
    case .float64: return Self.packed((0..<count).map { _ in Double(random.below(4096)) / 16 })
    default: return random.bytes(count * input.type.byteWidth)
    }
  }

  private func contents(_ input: ModelSignature.Input, _ count: Int, _ random: inout RandomSource) -> WireMessage {
    var message = WireMessage()
    let small = (0..<count).map { _ in Int64(random.below(100)) }
    switch input.type {
    case .bool: message.bytes(1, small.map { UInt8($0 & 1) })
    case .int8, .int16, .int32: message.bytes(2, Self.varints(small.map { -$0 }))
    case .int64: message.bytes(3, Self.varints(small.map { -$0 }))
    case .uint8, .uint16, .uint32: message.bytes(4, Self.varints(small))
    case .uint64: message.bytes(5, Self.varints(small))
    case .float32, .float16: message.bytes(6, Self.packed(small.map { Float($0) / 16 }))
    case .float64: message.bytes(7, Self.packed(small.map { Double($0) / 16 }))
    case .text: for _ in 0..<count { message.bytes(8, Self.text(&random)) }
    }
    return message
  }

  // MARK: Packed fields

  static func packed<Value: BitwiseCopyable>(_ values: [Value]) -> [UInt8] { values.withUnsafeBytes { Array($0) } }

  static func varints(_ values: [Int64]) -> [UInt8] {
    var bytes: [UInt8] = []
    for value in values { WireMessage.appendVarint(UInt64(bitPattern: value), to: &bytes) }
    return bytes
  }
}
