import MartletCore
import Testing

@testable import MartletEngine

/// Texts that are looked up as they are read, against texts that are kept and found one by one.
@Suite("Numbers of texts")
struct DictionaryCoderTests {
  private static let alphabets = [Array("ab".utf8), Array("abcdefgh -_\0".utf8), Array("aé漢😀".utf8)]

  private func text(_ numbers: inout SplitMix, most: Int, _ alphabet: [UInt8]) -> [UInt8] {
    (0..<numbers.below(most + 1)).map { _ in alphabet[numbers.below(alphabet.count)] }
  }

  /// Different texts that are UTF-8.
  private func keys(_ numbers: inout SplitMix, most: Int) -> [[UInt8]] {
    var keys: [[UInt8]] = []
    for _ in 0..<numbers.below(120) {
      var text = text(&numbers, most: most, Self.alphabets[numbers.below(2)])
      if numbers.below(4) == 0 { text = Array(String(decoding: text, as: UTF8.self).utf8) + Array("ü".utf8) }
      // Long keys often have a beginning and an end in common.
      if most > 16, numbers.below(2) == 0 { text = Array("category ".utf8) + text + Array(" of many".utf8) }
      if !keys.contains(text) { keys.append(text) }
    }
    return keys
  }

  /// Different texts of the same length.
  private func codes(_ numbers: inout SplitMix, length: Int) -> [[UInt8]] {
    var codes: Set<[UInt8]> = []
    for _ in 0...numbers.below(300) { codes.insert((0..<length).map { _ in UInt8(numbers.below(128)) }) }
    return codes.sorted { $0.lexicographicallyPrecedes($1) }
  }

  private func signature(width: Int) -> ModelSignature {
    ModelSignature(inputs: [.init(name: "text", type: .text, shape: [width])], outputs: [], columns: [])
  }

  private func message(_ texts: [[UInt8]]) -> [UInt8] {
    texts.flatMap { text in withUnsafeBytes(of: UInt32(text.count).littleEndian) { Array($0) } + text }
  }

  @Test(
    "random texts have the numbers of their keys, and damaged ones the problem that kept texts have", arguments: 0..<84)
  func counted(_ seed: Int) {
    var numbers = SplitMix(UInt64(seed))
    let most = [3, 8, 16, 32, 64, 150][seed % 6]
    let width = [1, 1, 3][numbers.below(3)]
    // Those of one short length are looked up several at once.
    let isFixed = seed >= 60
    let columns = (0..<width).map { _ in isFixed ? codes(&numbers, length: 1 + seed % 4) : keys(&numbers, most: most) }
    let coding = TextCoding([DictionaryCoder(columns.map { CodeDictionary(.texts($0)) })])
    let rows = 40
    let coded = Tile(signature: signature(width: width), coding: coding, capacity: rows)
    let kept = Tile(signature: signature(width: width), capacity: rows)
    var wrong = 0
    for _ in 0..<60 {
      let count = 1 + numbers.below(rows)
      let texts = (0..<count * width).map { element -> [UInt8] in
        let own = columns[element % width]
        switch numbers.below(isFixed ? 80 : 8) {
        case 0: return text(&numbers, most: 2 * most, Self.alphabets[1])
        case 1 where !own.isEmpty:
          var key = own[numbers.below(own.count)]
          if !key.isEmpty { key[numbers.below(key.count)] = UInt8(ascii: "x") }
          return Array(String(decoding: key, as: UTF8.self).utf8)
        case 2 where !own.isEmpty: return own[numbers.below(own.count)] + [0]
        case 3: return Array(String(decoding: text(&numbers, most: most, Self.alphabets[2]), as: UTF8.self).utf8)
        default: return own.isEmpty ? [] : own[numbers.below(own.count)]
        }
      }
      var raw = message(texts)
      let isDamaged = numbers.below(3) == 0
      if isDamaged {
        switch numbers.below(3) {
        case 0: raw[numbers.below(raw.count)] = UInt8(numbers.below(256))
        case 1: raw.removeLast(1 + numbers.below(raw.count))
        default: raw.append(UInt8(numbers.below(256)))
        }
      }
      kept.reset()
      // A buffer of its own, so that nothing lies behind its bytes.
      let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: raw.count, alignment: 1)
      defer { bytes.deallocate() }
      bytes.copyBytes(from: raw)
      let found = TextTarget(coded, input: 0, firstRow: 0)
        .fill(counted: UnsafeRawBufferPointer(bytes), count: count * width)
      let expected = TextTarget(kept, input: 0, firstRow: 0)
        .fill(counted: UnsafeRawBufferPointer(bytes), count: count * width)
      #expect(found == expected)
      if expected != nil { wrong += 1 }
      guard expected == nil else { continue }
      let codes = coded.input(0).assumingMemoryBound(to: UInt16.self)
      let refs = kept.input(0).assumingMemoryBound(to: TextRef.self)
      for element in 0..<count * width {
        let own = columns[element % width]
        let code = own.firstIndex { refs[element].bytes.elementsEqual($0) } ?? own.count
        #expect(Int(codes[element]) == code)
      }
    }
    #expect(wrong > 0)
    #expect(coded.texts.bytes == 0)
  }

  @Test("texts in fields of a message are those in rows of a width", arguments: 0..<12)
  func fields(_ seed: Int) {
    var numbers = SplitMix(UInt64(seed) + 100)
    let most = [8, 16, 32, 64][seed % 4]
    let width = 1 + seed % 3
    let columns = (0..<width).map { _ in keys(&numbers, most: most) + [Array("one".utf8)] }
    let tile = Tile(
      signature: signature(width: width),
      coding: TextCoding([DictionaryCoder(columns.map { CodeDictionary(.texts($0)) })]),
      capacity: 50)
    let target = TextTarget(tile, input: 0, firstRow: 0)
    for column in 0..<width {
      let own = columns[column]
      let texts = (0..<50).map { _ in own[numbers.below(own.count)] }
      // Longer ones are left to others.
      let short = texts.prefix { $0.count < 128 }
      let message = texts.flatMap { text -> [UInt8] in [0x2a, UInt8(truncatingIfNeeded: text.count)] + text }
      var position = 0
      let read = message.withUnsafeBytes {
        target.read($0, .fields, from: &position, count: 50, element: column, step: width)
      }
      #expect(read == short.count)
      #expect(position == short.reduce(0) { $0 + 2 + $1.count })
      let codes = tile.input(0).assumingMemoryBound(to: UInt16.self)
      for (row, text) in short.enumerated() { #expect(own[Int(codes[row * width + column])] == text) }
    }
  }

  @Test("numbers become the texts of their keys again, and a text that is none")
  func again() throws {
    let keys = [["a", "", "long enough for more than one word of bytes"], ["no category"]].map {
      $0.map { Array($0.utf8) }
    }
    let coder = DictionaryCoder(keys.map { CodeDictionary(.texts($0)) })
    let heap = TextHeap()
    let codes: [UInt16] = [0, 0, 2, 1, 3, 0, 1, 1]
    let texts = [TextRef](unsafeUninitializedCapacity: codes.count) { buffer, count in
      codes.withUnsafeBufferPointer {
        coder.texts($0.baseAddress!, count: codes.count, to: buffer.baseAddress!, heap)
      }
      count = codes.count
    }
    let found = texts.map(\.string)
    #expect(
      found == [
        "a", "no category", "long enough for more than one word of bytes", "no category?", "no category", "no category",
        "",
        "no category?",
      ])
  }
}
