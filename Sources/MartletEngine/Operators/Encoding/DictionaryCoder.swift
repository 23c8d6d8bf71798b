import CKernels
import MartletCore

/// Numbers the texts of an input by the dictionaries that an encoder looks them up in.
final class DictionaryCoder: TextCoder, @unchecked Sendable {
  // `@unchecked Sendable`: written by its initializer only.
  /// One for each text of a row, whose keys are texts.
  private let dictionaries: [CodeDictionary]
  private let tables: UnsafeMutablePointer<OpaquePointer?>
  private let counts: [Int]
  /// For each dictionary a text that is none of its keys.
  private let others: [[UInt8]]

  init(_ dictionaries: [CodeDictionary]) {
    self.dictionaries = dictionaries
    tables = .allocate(capacity: dictionaries.count)
    counts = dictionaries.map(\.keys.count)
    others = dictionaries.map { $0.keys.otherText }
    for (index, dictionary) in dictionaries.enumerated() { (tables + index).initialize(to: dictionary.texts) }
    super.init(width: dictionaries.count)
  }

  deinit { tables.deallocate() }

  override func code(_ text: UnsafeRawBufferPointer, element: Int) -> UInt16? {
    let table = tables[element % width]
    let code = martlet_dictionary_find(
      table, martlet_text(start: text.baseAddress?.assumingMemoryBound(to: UInt8.self), count: text.count))
    // A key is UTF-8.
    guard code < martlet_dictionary_count(table) || text.isUTF8 else { return nil }
    return UInt16(truncatingIfNeeded: code)
  }

  override func read(
    _ texts: UnsafeRawBufferPointer, _ form: TextForm, from position: inout Int, count: Int,
    to codes: UnsafeMutablePointer<UInt16>, element: Int, step: Int
  ) -> Int {
    guard let start = texts.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return 0 }
    // Steps of a row stay in the column of the first text.
    let isOneColumn = step == width
    let first = element % width
    return martlet_dictionary_read(
      isOneColumn ? tables + first : tables, isOneColumn ? 1 : width, isOneColumn ? 0 : first,
      martlet_text_form(rawValue: UInt32(form.rawValue)), start, texts.count, &position, count, codes + element, step)
  }

  /// Texts that have these numbers, for who needs texts; those that no key equals become another one that none does.
  func texts(_ codes: UnsafePointer<UInt16>, count: Int, to texts: UnsafeMutablePointer<TextRef>, _ heap: TextHeap) {
    let others = others.map { $0.withUnsafeBytes { heap.store($0) } }
    for element in 0..<count {
      let column = element % width
      let code = Int(codes[element])
      if code < counts[column] {
        let key = martlet_dictionary_key(tables[column], code)
        (texts + element).initialize(to: TextRef(start: key.start, count: key.count))
      } else {
        (texts + element).initialize(to: others[column])
      }
    }
  }
}

extension CodeDictionary.Keys {
  /// A text that is none of the keys.
  var otherText: [UInt8] {
    guard case .texts(let keys) = self else { return [] }
    let known = Set(keys)
    var text = Array("no category".utf8)
    while known.contains(text) { text.append(UInt8(ascii: "?")) }
    return text
  }
}
