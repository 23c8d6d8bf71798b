import MartletEngine

/// Categories of one column of a table of pandas, in the order of their codes from 0.
///
/// The library's Python package writes them as the last line of a file, JSON: a list for each column that was
/// categorical, in the order of the columns, or null.
enum PandasCategories: Equatable {
  case texts([String])
  case numbers([Double])

  var count: Int {
    switch self {
    case .texts(let texts): texts.count
    case .numbers(let numbers): numbers.count
    }
  }

  /// Errors: what is no such JSON, lists that mix texts and numbers, categories that come twice, and lists that take
  /// more than `memoryLimit` bytes.
  static func read(_ bytes: UnsafeRawBufferPointer, memoryLimit: Int) throws(ModelError) -> [PandasCategories] {
    var reader = Reader(bytes: bytes, memoryLeft: memoryLimit)
    return try reader.document()
  }

  private struct Reader {
    let bytes: UnsafeRawBufferPointer
    var memoryLeft: Int
    var position = 0

    init(bytes: UnsafeRawBufferPointer, memoryLeft: Int) {
      self.bytes = bytes
      self.memoryLeft = memoryLeft
    }

    func error(_ expected: String) -> ModelError {
      let rest = UnsafeRawBufferPointer(rebasing: bytes[min(position, bytes.count)...])
      return ModelError("at byte \(position) there is \(rest.excerpt), expected \(expected)")
    }

    mutating func skipSpace() {
      while position < bytes.count, [0x20, 0x09, 0x0d].contains(bytes[position]) { position += 1 }
    }

    /// Takes `byte` when it comes next.
    mutating func take(_ byte: UInt8) -> Bool {
      skipSpace()
      guard position < bytes.count, bytes[position] == byte else { return false }
      position += 1
      return true
    }

    mutating func take(word: StaticString) -> Bool {
      skipSpace()
      guard UnsafeRawBufferPointer(rebasing: bytes[position...]).starts(withText: word) else { return false }
      position += word.utf8CodeUnitCount
      return true
    }

    mutating func document() throws(ModelError) -> [PandasCategories] {
      var lists: [PandasCategories] = []
      if !take(word: "null") {
        guard take(UInt8(ascii: "[")) else { throw error("null or a list") }
        if !take(UInt8(ascii: "]")) {
          repeat {
            guard lists.count < LightGBMReader.maximumFeatures else { throw error("fewer lists than features") }
            lists.append(try list())
          } while take(UInt8(ascii: ","))
          guard take(UInt8(ascii: "]")) else { throw error("',' or ']'") }
        }
      }
      skipSpace()
      guard position == bytes.count else { throw error("nothing more") }
      return lists
    }

    mutating func list() throws(ModelError) -> PandasCategories {
      guard take(UInt8(ascii: "[")) else { throw error("a list of categories") }
      var texts: [String] = []
      var numbers: [Double] = []
      if !take(UInt8(ascii: "]")) {
        repeat {
          skipSpace()
          // A list that grows is in memory twice for a moment.
          memoryLeft -= 48
          guard memoryLeft >= 0 else { throw error("fewer categories in a file of this size") }
          if position < bytes.count, bytes[position] == UInt8(ascii: "\"") {
            texts.append(try text())
          } else {
            numbers.append(try number())
          }
        } while take(UInt8(ascii: ","))
        guard take(UInt8(ascii: "]")) else { throw error("',' or ']'") }
      }
      guard texts.isEmpty || numbers.isEmpty else {
        throw ModelError("a list mixes texts and numbers, which is not supported")
      }
      guard Set(texts).count == texts.count, Set(numbers).count == numbers.count else {
        throw ModelError("a list has a category twice")
      }
      return texts.isEmpty ? .numbers(numbers) : .texts(texts)
    }

    mutating func number() throws(ModelError) -> Double {
      if take(word: "true") { return 1 }
      if take(word: "false") { return 0 }
      let start = position
      while position < bytes.count, ![0x2c, 0x5d, 0x20].contains(bytes[position]) { position += 1 }
      guard let value = LightGBMNumber.double(UnsafeRawBufferPointer(rebasing: bytes[start..<position])) else {
        position = start
        throw error("a text, a number, true or false")
      }
      return value
    }

    mutating func text() throws(ModelError) -> String {
      let start = position
      position += 1
      while position < bytes.count, bytes[position] != UInt8(ascii: "\"") {
        position += bytes[position] == UInt8(ascii: "\\") ? 2 : 1
      }
      guard position < bytes.count else {
        position = start
        throw error("a text with its closing quote")
      }
      position += 1
      memoryLeft -= 2 * (position - start)
      let quoted = UnsafeRawBufferPointer(rebasing: bytes[start..<position])
      guard memoryLeft >= 0, isValidUTF8(quoted),
        let texts = FeatureNames.parse("[\(String(decoding: quoted, as: UTF8.self))]"), let text = texts.first,
        texts.count == 1
      else {
        position = start
        throw error("a text of JSON")
      }
      return text
    }
  }
}
