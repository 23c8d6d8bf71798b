import MartletCore
import Testing

@testable import MartletEngine

/// Keys and the codes of values.
@Suite("Dictionaries of codes")
struct CodeDictionaryTests {
  private func codes(_ dictionary: CodeDictionary, texts: [String]) -> [Int32] {
    let heap = TextHeap()
    let refs = texts.map { text in
      var text = text
      return text.withUTF8 { heap.store(UnsafeRawBufferPointer($0)) }
    }
    return withExtendedLifetime(heap) { codes(dictionary, refs, .text) }
  }

  private func codes<T>(_ dictionary: CodeDictionary, _ values: [T], _ type: ElementType) -> [Int32] {
    var codes = [Int32](repeating: -1, count: values.count)
    values.withUnsafeBytes { raw in
      codes.withUnsafeMutableBufferPointer {
        dictionary.find(raw.baseAddress!, type, step: 1, rows: values.count, to: $0.baseAddress!)
      }
    }
    return codes
  }

  @Test("texts of any length are found, and none that differs in a byte or in its length")
  func texts() {
    // Around the widths that are compared at once, with common beginnings and ends.
    let lengths = [0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 31, 32, 33, 63, 64, 65, 66, 127, 128, 129, 300]
    let keys = lengths.map { String(repeating: "x", count: $0) }
    let dictionary = CodeDictionary(.texts(keys.map { Array($0.utf8) }))
    #expect(codes(dictionary, texts: keys) == (0..<Int32(keys.count)).map { $0 })
    let unknown = Int32(keys.count)
    #expect(codes(dictionary, texts: ["xxxxx", String(repeating: "x", count: 130)]) == [unknown, unknown])
    for key in keys where !key.isEmpty {
      for place in [0, key.utf8.count / 2, key.utf8.count - 1] {
        var bytes = Array(key.utf8)
        bytes[place] = UInt8(ascii: "y")
        #expect(codes(dictionary, texts: [String(decoding: bytes, as: UTF8.self)]) == [unknown])
      }
    }
    // A text is not the one that goes on with zeros.
    #expect(codes(dictionary, texts: ["xx\u{0}"]) == [unknown])
  }

  @Test("thousands of texts are found, and as many others are not")
  func many() {
    let keys = (0..<5000).map { "key \($0 * 7) of many" }
    let dictionary = CodeDictionary(.texts(keys.map { Array($0.utf8) }))
    #expect(codes(dictionary, texts: keys) == (0..<5000).map { $0 })
    #expect(codes(dictionary, texts: keys.map { $0 + "!" }).allSatisfy { $0 == 5000 })
  }

  @Test("a dictionary without keys knows nothing")
  func empty() {
    #expect(codes(CodeDictionary(.texts([])), texts: ["", "a"]) == [0, 0])
    #expect(codes(CodeDictionary(.integers([])), [Int64(0), 5], .int64) == [0, 0])
  }

  @Test("real numbers are cut to whole keys, and what has no whole part is none")
  func cut() {
    let dictionary = CodeDictionary(.integers([-1, 0, 3, .min]))
    let values: [Float] = [-1.9, -0.5, -0.0, 3.99, 4, .nan, .infinity, -.infinity, 1e30, -0x1p63]
    #expect(codes(dictionary, values, .float32) == [0, 1, 1, 2, 4, 4, 4, 4, 4, 3])
    #expect(codes(dictionary, values.map(Double.init), .float64) == [0, 1, 1, 2, 4, 4, 4, 4, 4, 3])
    #expect(codes(dictionary, [Int32(-1), 0, 3, 2], .int32) == [0, 1, 2, 4])
  }

  @Test("real keys are met by equal numbers, zeros of both signs and NaN where it is a key")
  func reals() {
    let dictionary = CodeDictionary(.reals([0.5, 0, .nan]))
    #expect(codes(dictionary, [Float(0.5), -0.0, .nan, 0.25], .float32) == [0, 1, 2, 3])
    #expect(codes(CodeDictionary(.reals([0.5])), [Double.nan, 0.5], .float64) == [1, 0])
  }

  @Test("intervals tell what is below, equal to and above each bound")
  func intervals() {
    let bounds = [-Double.infinity, -1, -0.0, 0, 2.5, .infinity]
    let dictionary = CodeDictionary(.intervals(bounds.map(IntervalTable.order)))
    let values = [-Double.infinity, -7, -1, -0.5, -0.0, 0, 1e-300, 2.5, 3, .infinity, .nan, -.nan]
    #expect(codes(dictionary, values, .float64) == [1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 13, 13])
    let narrow: [Float] = [-7, -1, 2.5, 2.4999998, 2.5000002]
    #expect(codes(dictionary, narrow, .float32) == [2, 3, 9, 8, 10])
    #expect(bounds.map { IntervalTable.value(IntervalTable.order($0)).bitPattern } == bounds.map(\.bitPattern))
  }
}
