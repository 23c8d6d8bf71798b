import Testing

@testable import MartletClient

@Suite struct ProtobufTests {
  @Test(
    "a varint takes one byte for each seven bits",
    arguments: [
      (UInt64(0), 1), (127, 1), (128, 2), (16_383, 2), (16_384, 3), (1 << 35 - 1, 5), (1 << 35, 6), (.max, 10),
    ])
  func varint(value: UInt64, size: Int) throws {
    var writer = ProtobufWriter()
    writer.varint(value)
    #expect(writer.bytes.count == size)
    #expect(ProtobufWriter.varintSize(value) == size)
    var reader = ProtobufReader(([0x08] + writer.bytes).span.bytes)
    _ = try reader.next()
    let read = try reader.unsigned()
    #expect(read == value)
    let more = try reader.next()
    #expect(!more)
  }

  @Test("a nested message is preceded by its length, however long it is", arguments: [0, 1, 127, 128, 20_000])
  func nested(length: Int) throws {
    let text = String(repeating: "x", count: length)
    var writer = ProtobufWriter()
    writer.message(1) { $0.text(2, text) }
    writer.signed(3, -5)
    var reader = ProtobufReader(writer.bytes.span.bytes)
    _ = try reader.next()
    var inner = try reader.message()
    _ = try inner.next()
    let read = try inner.string()
    #expect(read == text)
    let more = try inner.next()
    #expect(!more)
    _ = try reader.next()
    let number = try reader.signed()
    #expect(number == -5)
  }

  @Test("repeated numbers are read packed and one by one")
  func repeated() throws {
    // Field 1 packed [1, -1], then 7 alone; field 2 packed floats, then one alone.
    var writer = ProtobufWriter()
    writer.packed(1, [1, -1] as [Int64])
    writer.unsigned(1, 7)
    writer.packed(2, [0.5, .infinity] as [Float])
    let bytes = writer.bytes + [0x15, 0, 0, 0x20, 0x40]
    var integers: [Int64] = []
    var floats: [Float] = []
    var reader = ProtobufReader(bytes.span.bytes)
    while try reader.next() {
      if reader.field == 1 { try reader.append(to: &integers) } else { try reader.append(to: &floats) }
    }
    #expect(integers == [1, -1, 7])
    #expect(floats == [0.5, .infinity, 2.5])
  }

  @Test("a block cut anywhere is an error or ends between two fields, and is never read past its end")
  func cut() throws {
    let whole = ScoreRequest(
      model: "m", columns: [Column(name: "a", values: .texts(["x", "yy"]), present: [true, false])]
    ).encoded()
    for length in 0..<whole.count {
      let part = Array(whole[..<length])
      var reader = ProtobufReader(part.span.bytes)
      do {
        while try reader.next() { try reader.skip() }
      } catch {
        #expect(!error.description.isEmpty)
      }
    }
  }

  @Test(
    "malformed fields are refused",
    arguments: [
      [0x00],  // field 0
      [0x0a, 0x05, 0x00],  // length past the end
      [0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],  // length 2^64 - 1
      [0x08, 0xff],  // number without an end
      [0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02],  // 65 bits
      [0x0b],  // wire type 3
      [0x0f],  // wire type 7
      [0x09, 0, 0, 0, 0, 0, 0, 0],  // 7 bytes of a double
    ] as [[UInt8]])
  func malformed(bytes: [UInt8]) {
    #expect(throws: MessageError.self) {
      var reader = ProtobufReader(bytes.span.bytes)
      while try reader.next() { try reader.skip() }
    }
  }

  @Test("packed numbers that do not fill their length are refused")
  func ragged() {
    #expect(throws: MessageError.self) {
      // A varint that would run over the end of the packed block.
      _ = try packedIntegers([0x0a, 0x01, 0x80, 0x01])
    }
    #expect(throws: MessageError.self) {
      var values: [Float] = []
      let bytes: [UInt8] = [0x0a, 0x03, 0, 0, 0]
      var reader = ProtobufReader(bytes.span.bytes)
      _ = try reader.next()
      try reader.append(to: &values)
    }
  }

  private func packedIntegers(_ bytes: [UInt8]) throws -> [Int64] {
    var values: [Int64] = []
    var reader = ProtobufReader(bytes.span.bytes)
    while try reader.next() { try reader.append(to: &values) }
    return values
  }

  @Test("text that is not UTF-8 is refused")
  func utf8() {
    let bytes: [UInt8] = [0x0a, 0x02, 0xc3, 0x28]
    #expect(throws: MessageError.self) {
      var reader = ProtobufReader(bytes.span.bytes)
      _ = try reader.next()
      _ = try reader.string()
    }
  }

  @Test("random blocks never crash a decoder")
  func fuzz() {
    var random = SplitMix(state: 7)
    var seeds: [[UInt8]] = []
    seeds.append(ResponseBytes.classification)
    for _ in 0..<20_000 {
      var bytes = seeds[0]
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
      }
      if Bool.random(using: &random) { bytes.removeLast(Int.random(in: 0..<bytes.count, using: &random)) }
      if let response = try? ScoreResponse(decoding: bytes), case .classification(let result) = response.result {
        // What was accepted can be indexed by row and class.
        #expect(result.labels.count == response.rows)
        if let probabilities = result.probabilities {
          #expect(probabilities.count == response.rows * result.classes.count)
        }
      }
      _ = try? DescribeResponse(decoding: bytes)
      _ = try? ModelInferResponse(decoding: bytes)
      _ = try? RepositoryIndexResponse(decoding: bytes)
    }
  }
}

/// A small generator with a seed, so that a failure repeats. Source: Steele, Lea and Flood, "Fast Splittable
/// Pseudorandom Number Generators", 2014.
struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
