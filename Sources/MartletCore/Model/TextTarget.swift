/// Where the texts of one input go in the rows of a tile: their numbers where the tile's plan takes those, otherwise
/// references to copies in the tile's heap.
///
/// Valid while the tile lives and does not grow; owned by whoever owns the tile.
public struct TextTarget {
  private unowned(unsafe) let heap: TextHeap
  private let coder: Unmanaged<TextCoder>?
  private let start: UnsafeMutableRawPointer

  /// Elements are counted from the first one of row `firstRow` of input `input`, which is of texts.
  public init(_ tile: borrowing Tile, input: Int, firstRow: Int) {
    heap = tile.texts
    coder = tile.coder(input)
    start = tile.input(input) + firstRow * tile.stride(input)
  }

  /// Whether numbers take the place of texts, of which nothing is kept then.
  public var isCoded: Bool { coder != nil }

  private var codes: UnsafeMutablePointer<UInt16> { start.assumingMemoryBound(to: UInt16.self) }

  /// Makes `text` an element; false when it is not UTF-8.
  public func store(_ text: UnsafeRawBufferPointer, at element: Int) -> Bool {
    guard let coder else {
      guard text.isUTF8 else { return false }
      start.storeBytes(of: heap.store(text), toByteOffset: element * ElementType.text.byteWidth, as: TextRef.self)
      return true
    }
    guard let code = coder._withUnsafeGuaranteedRef({ $0.code(text, element: element) }) else { return false }
    codes[element] = code
    return true
  }

  /// Makes a text that the heap holds already, or that is empty, an element.
  public func store(_ text: TextRef, at element: Int) {
    guard coder == nil else {
      _ = store(UnsafeRawBufferPointer(text.bytes), at: element)
      return
    }
    start.storeBytes(of: text, toByteOffset: element * ElementType.text.byteWidth, as: TextRef.self)
  }

  /// Reads up to `count` texts where they lie in a message, as far as numbers take their place and there is nothing
  /// uncommon about them: the first becomes `element`, the next one `step` elements behind, which is 1 or the elements of
  /// a row. Moves `position` behind those that were read, and returns how many.
  public func read(
    _ texts: UnsafeRawBufferPointer, _ form: TextForm, from position: inout Int, count: Int, element: Int, step: Int
  ) -> Int {
    guard let coder else { return 0 }
    let codes = codes
    return coder._withUnsafeGuaranteedRef {
      $0.read(texts, form, from: &position, count: count, to: codes, element: element, step: step)
    }
  }
}

/// Why texts of the form `counted` are not what they are said to be.
public enum CountedTextsProblem: Equatable, Sendable {
  /// The bytes end within the element or before it.
  case endsIn(element: Int)
  case notText(element: Int)
  /// Bytes are left behind the last element.
  case rest(bytes: Int)
}

extension TextTarget {
  /// Makes `count` texts of the form `counted`, which are all that `texts` has, the elements from the first one on.
  public func fill(counted texts: UnsafeRawBufferPointer, count: Int) -> CountedTextsProblem? {
    var position = 0
    var element = 0
    while true {
      element += read(texts, .counted, from: &position, count: count - element, element: element, step: 1)
      guard element < count else { break }
      guard texts.count - position >= 4 else { return .endsIn(element: element) }
      let length = Int(UInt32(littleEndian: texts.loadUnaligned(fromByteOffset: position, as: UInt32.self)))
      position += 4
      guard texts.count - position >= length else { return .endsIn(element: element) }
      let text = UnsafeRawBufferPointer(rebasing: texts[position..<(position + length)])
      guard store(text, at: element) else { return .notText(element: element) }
      position += length
      element += 1
    }
    return position == texts.count ? nil : .rest(bytes: texts.count - position)
  }
}

extension UnsafeRawBufferPointer {
  /// Whether the bytes are UTF-8; a NUL is a character as others are.
  public var isUTF8: Bool {
    if allSatisfy({ $0 < 0x80 }) { return true }
    return String(validating: self, as: UTF8.self) != nil
  }
}
