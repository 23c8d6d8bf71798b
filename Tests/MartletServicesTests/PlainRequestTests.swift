import MartletCore
import MartletRPC
import MartletWire
import Testing

@_spi(Comparison) @testable import MartletServices

/// The fast paths of ModelInfer and Score against the general ones: the same answer or the same refusal, always.
///
/// And texts that are looked up as they are read against texts that are kept. All benches see the same calls, so that numbers of predictions agree as well.
@Suite struct PlainRequestTests {
  private let plain = ServiceBench()
  private let general = ServiceBench()
  private let coded = ServiceBench(plan: FakePlan(codesTexts: true))
  private let codedGeneral = ServiceBench(plan: FakePlan(codesTexts: true))

  init() {
    for bench in [general, codedGeneral] {
      bench.scoring.readsPlainRequests = false
      bench.inference.readsPlainRequests = false
    }
  }

  /// What a bench says to a payload, as text: the answer's bytes or the status.
  private func outcome(_ bench: ServiceBench, _ method: String, _ payload: [UInt8]) -> String {
    do throws(Status) {
      let service: any Service = method == "Score" ? bench.scoring : bench.inference
      // Each bench has a name of its own in what it answers to Score.
      let answer = try bench.call(service, method, payload)
      let name = Array(bench.state.instance.utf8)
      return "\(answer.split(separator: name, omittingEmptySubsequences: false).map(Array.init))"
    } catch {
      return "\(error.code): \(error.message)"
    }
  }

  @Test("random and damaged ModelInfer requests have the same outcome on both paths", arguments: 0..<4)
  func infer(seed: UInt64) {
    var random = SplitMix(seed: seed)
    var accepted = 0
    for _ in 0..<1_500 {
      let payload = damaged(inferRequest(&random), &random)
      let fast = outcome(plain, "ModelInfer", payload)
      for bench in [general, coded, codedGeneral] { #expect(fast == outcome(bench, "ModelInfer", payload)) }
      if fast.hasPrefix("[") { accepted += 1 }
    }
    #expect(accepted > 100)
  }

  @Test("random and damaged Score requests have the same outcome on both paths", arguments: 0..<4)
  func score(seed: UInt64) {
    var random = SplitMix(seed: seed)
    var accepted = 0
    for _ in 0..<1_500 {
      let payload = damaged(scoreRequest(&random), &random)
      let fast = outcome(plain, "Score", payload)
      for bench in [general, coded, codedGeneral] { #expect(fast == outcome(bench, "Score", payload)) }
      if fast.hasPrefix("[") { accepted += 1 }
    }
    #expect(accepted > 100)
  }

  @Test("requests that come again with other values have the same outcome on both paths", arguments: 0..<4)
  func again(seed: UInt64) {
    let plain = ServiceBench(plan: NumbersPlan())
    let general = ServiceBench(plan: NumbersPlan())
    general.scoring.readsPlainRequests = false
    general.inference.readsPlainRequests = false
    var random = SplitMix(seed: seed)
    var accepted = 0
    var kept: [(String, [UInt8])] = []
    for _ in 0..<3_000 {
      // Mostly one of a few shapes with new values; now and then one more shape, or a damaged one.
      if kept.count < 4 || random.below(40) == 0 {
        let isScore = random.below(2) == 0
        kept.append((isScore ? "Score" : "ModelInfer", numbersRequest(&random, isScore: isScore)))
      }
      let index = random.below(kept.count)
      let (method, shape) = kept[index]
      var payload = random.below(4) == 0 ? damaged(shape, &random) : shape
      // Bytes that may be values, so that numbers of every kind come, those among them that a column cannot hold.
      for _ in 0..<random.below(4) where payload.count > 24 {
        payload[payload.count - 1 - random.below(16)] = UInt8(random.below(256))
      }
      let fast = outcome(plain, method, payload)
      #expect(fast == outcome(general, method, payload))
      if fast.hasPrefix("[") {
        accepted += 1
        kept[index].1 = payload
      }
    }
    #expect(accepted > 500)
  }

  private func numbersRequest(_ random: inout SplitMix, isScore: Bool) -> [UInt8] {
    let rows = 1 + random.below(9)
    var message = ProtoBuffer()
    message.string(1, "fake")
    if isScore {
      message.integer(3, Int64(rows))
      for name in ["a", "b", "c", "long"] {
        message.message(4) { column in
          column.string(1, name)
          let values = (0..<rows).map { _ in Double(random.below(9)) }
          if random.below(2) == 0 { column.doubles(2, values) } else { column.floats(3, values.map(Float.init)) }
        }
      }
      return message.bytes
    }
    if random.below(4) == 0 { message.string(3, "an id") }
    let values: [[UInt8]] = [
      raw((0..<(3 * rows)).map { _ in Float(random.below(100)) }), raw((0..<rows).map { _ in Int64(random.below(9)) }),
    ]
    for (name, datatype, width) in [("numbers", "FP32", 3), ("n", "INT64", 1)] {
      message.message(5) { tensor in
        tensor.string(1, name)
        tensor.string(2, datatype)
        tensor.packed(3, [Int64(rows), Int64(width)])
      }
    }
    if random.below(4) == 0 { message.message(6) { $0.string(1, "sum") } }
    for bytes in values { message.data(7, bytes) }
    return message.bytes
  }

  @Test("the usual requests do take the fast paths")
  func usual() {
    var random = SplitMix(seed: 1)
    let infer = PlainInfer()
    let raw = inferRequest(&random, isPlain: true)
    #expect(raw.withUnsafeBytes { infer.read($0) })
    let score = PlainScore()
    let columns = scoreRequest(&random, isPlain: true)
    #expect(columns.withUnsafeBytes { score.read($0) })
  }

  // MARK: Requests

  private static let texts = ["yes", "", "ünï", "no", "yes\0", "ñandú", String(repeating: "long ", count: 40)]

  private func varint(_ value: Int64) -> [UInt8] {
    var bytes: [UInt8] = []
    var rest = UInt64(bitPattern: value)
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    return bytes + [UInt8(rest)]
  }

  private func raw<T>(_ values: [T]) -> [UInt8] { values.flatMap { value in withUnsafeBytes(of: value) { Array($0) } } }

  private func rawTexts(_ texts: [String]) -> [UInt8] {
    texts.flatMap { raw([UInt32($0.utf8.count)]) + Array($0.utf8) }
  }

  private func inferRequest(_ random: inout SplitMix, isPlain: Bool = false) -> [UInt8] {
    func rarely(_ random: inout SplitMix) -> Bool { !isPlain && random.below(12) == 0 }
    let rows = 1 + random.below(3)
    let usesRaw = isPlain || random.below(4) > 0
    var message = ProtoBuffer()
    message.string(1, rarely(&random) ? "fakes" : "fake")
    if rarely(&random) { message.string(2, "3") }
    if rarely(&random) { message.string(3, "an id") }
    if rarely(&random) { message.message(4) { $0.string(1, "priority") } }
    if isPlain || rarely(&random) {
      message.message(4) { entry in
        entry.string(1, rarely(&random) ? "other" : "priority")
        entry.message(2) { $0.integer(rarely(&random) ? 2 : 5, 1 + Int64(random.below(isPlain ? 1 : 2))) }
      }
    }
    let numbers = (0..<(2 * rows)).map { _ in Float(random.below(100)) / 64 }
    let integers = (0..<rows).map { _ in Int64(random.below(3)) - 1 }
    let texts = (0..<rows).map { _ in Self.texts[random.below(Self.texts.count)] }
    let flags = (0..<rows).map { _ in UInt8(random.below(2)) }
    let doubles = (0..<rows).map { _ in Double(random.below(9)) }
    let tensors: [(String, String, [Int64], [UInt8], Int)] = [
      ("numbers", "FP32", [Int64(rows), 2], raw(numbers), 6), ("n", "INT64", [Int64(rows), 1], raw(integers), 3),
      ("text", "BYTES", [Int64(rows), 1], rawTexts(texts), 8), ("flag", "BOOL", [Int64(rows)], flags, 1),
      ("wide", "FP64", [Int64(rows), 1], raw(doubles), 7),
    ]
    var order = Array(tensors.indices)
    if rarely(&random) { order.swapAt(0, 1 + random.below(4)) }
    if rarely(&random) { order.removeLast() }
    if rarely(&random) { order.append(random.below(5)) }
    for index in order {
      let (name, datatype, shape, bytes, field) = tensors[index]
      message.message(5) { tensor in
        tensor.string(1, rarely(&random) ? name + "x" : name)
        tensor.string(2, rarely(&random) ? "INT32" : datatype)
        tensor.packed(3, rarely(&random) ? shape + [1] : shape)
        if rarely(&random) { tensor.message(4) { $0.string(1, "binary") } }
        guard !usesRaw else { return }
        tensor.message(5) { contents in
          switch field {
          case 3: contents.data(field, integers.flatMap(varint))
          case 8: for text in texts { contents.element(field, text) }
          default: contents.data(field, bytes)
          }
        }
      }
    }
    if !isPlain, random.below(3) == 0 {
      message.message(6) { $0.string(1, random.below(8) == 0 ? "probabilities" : "probability") }
    }
    if usesRaw {
      for index in order { message.data(7, rarely(&random) ? Array(tensors[index].3.dropLast()) : tensors[index].3) }
    }
    return message.bytes
  }

  private func scoreRequest(_ random: inout SplitMix, isPlain: Bool = false) -> [UInt8] {
    func rarely(_ random: inout SplitMix) -> Bool { !isPlain && random.below(14) == 0 }
    let rows = 1 + random.below(3)
    var message = ProtoBuffer()
    message.string(1, rarely(&random) ? "fakes" : "fake")
    if rarely(&random) { message.string(2, "3") }
    message.integer(3, Int64(rarely(&random) ? rows + 1 : rows))
    var names = ["a", "b", "n", "text", "flag", "wide"]
    if rarely(&random) { names.swapAt(0, 1 + random.below(5)) }
    if rarely(&random) { names.removeLast() }
    if rarely(&random) { names.append("more") }
    for name in names {
      message.message(4) { column in
        column.string(1, name)
        switch (name, random.below(isPlain ? 1 : 4)) {
        case ("text", _): for _ in 0..<rows { column.element(5, Self.texts[random.below(Self.texts.count)]) }
        case ("flag", 0): column.data(6, (0..<rows).map { _ in UInt8(random.below(2)) })
        case ("n", 0), ("flag", 1): column.data(4, (0..<rows).flatMap { _ in varint(Int64(random.below(4)) - 1) })
        case (_, 2): column.doubles(2, (0..<rows).map { _ in Double(random.below(6)) / 2 })
        case (_, 3): column.data(4, (0..<rows).flatMap { _ in varint(Int64(random.below(5))) })
        default: column.floats(3, (0..<rows).map { _ in Float(random.below(9)) / 4 })
        }
        if rarely(&random) { column.data(7, [UInt8(random.below(8))]) }
      }
    }
    if rarely(&random) { message.bool(5, true) }
    if isPlain || rarely(&random) { message.integer(6, 1 + Int64(random.below(isPlain ? 1 : 2))) }
    return message.bytes
  }

  /// Every third payload with some bytes changed, cut off, repeated or put in.
  private func damaged(_ payload: [UInt8], _ random: inout SplitMix) -> [UInt8] {
    guard random.below(3) == 0, !payload.isEmpty else { return payload }
    var bytes = payload
    for _ in 0...random.below(3) where !bytes.isEmpty {
      let place = random.below(bytes.count)
      switch random.below(5) {
      case 0: bytes[place] = UInt8(random.below(256))
      case 1: bytes[place] ^= UInt8(1 << random.below(8))
      case 2: bytes.removeLast(bytes.count - place)
      case 3: bytes.insert(UInt8(random.below(256)), at: place)
      default: bytes.append(contentsOf: bytes[place...].prefix(1 + random.below(40)))
      }
    }
    return bytes
  }
}

/// Numbers that are the same in every run of a seed.
struct SplitMix {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func below(_ bound: Int) -> Int {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return Int((z ^ (z >> 31)) % UInt64(bound))
  }
}
