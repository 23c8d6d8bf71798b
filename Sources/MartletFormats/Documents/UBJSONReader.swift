import MartletEngine

/// Universal Binary JSON: each value begins with a byte that tells its kind; numbers are big-endian.
///
/// Arrays may tell the number of their elements, and a type that all of them have. Objects that do so, and numbers of
/// any precision, are refused: no library of ours writes them.
///
/// Source: ubjson.org, draft 12.
struct UBJSONReader: DocumentReader {
  /// An object or array that is open.
  private struct Frame {
    var isObject: Bool
    /// The kind of all elements; 0 where each tells its own.
    var type: UInt8
    /// Elements that are still to come; -1 where an end byte tells.
    var remaining: Int
  }

  private let start: UnsafeRawPointer
  private let count: Int
  private(set) var offset = 0
  private var frames: [Frame] = []

  init(_ bytes: UnsafeRawBufferPointer) {
    // An empty buffer may have no address; nothing is read from the one that stands in.
    start = bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 1).unsafelyUnwrapped
    count = bytes.count
    frames.reserveCapacity(documentDepth)
  }

  // MARK: Bytes

  private func need(_ bytes: Int, _ what: String) throws(DocumentError) {
    guard bytes <= count - offset else {
      throw error("the file ends \(count - offset) bytes further on, expected \(bytes) bytes of \(what)")
    }
  }

  private mutating func byte(_ what: String) throws(DocumentError) -> UInt8 {
    try need(1, what)
    defer { offset += 1 }
    return start.load(fromByteOffset: offset, as: UInt8.self)
  }

  private mutating func number<T: FixedWidthInteger>(_ type: T.Type) throws(DocumentError) -> T {
    try need(MemoryLayout<T>.size, "a number")
    defer { offset += MemoryLayout<T>.size }
    return T(bigEndian: start.loadUnaligned(fromByteOffset: offset, as: T.self))
  }

  /// The byte that tells the kind of the next value, unread; in an array of one type it is that type's.
  private func marker() throws(DocumentError) -> UInt8 {
    if let type = frames.last?.type, type != 0 { return type }
    try need(1, "a value")
    return start.load(fromByteOffset: offset, as: UInt8.self)
  }

  /// Reads the byte that tells the kind, where there is one.
  private mutating func passMarker() {
    if frames.last.map({ $0.type == 0 }) ?? true { offset += 1 }
  }

  private static func shown(_ byte: UInt8) -> String {
    byte > 0x20 && byte < 0x7f ? "'\(Unicode.Scalar(byte))'" : "byte \(byte)"
  }

  private mutating func expect(_ kind: DocumentKind) throws(DocumentError) -> UInt8 {
    let came = try self.kind()
    guard came == kind else { throw error("is \(came.rawValue), expected \(kind.rawValue)") }
    let marker = try marker()
    passMarker()
    return marker
  }

  /// A length: a whole number of any width, not negative, at most the bytes that the file still has.
  private mutating func length(_ what: String) throws(DocumentError) -> Int {
    let type = try byte("the length of \(what)")
    let value = try integer(type, what: "the length of \(what)")
    guard value >= 0, value <= count - offset else {
      throw error("\(what) has the length \(value), but the file has \(count - offset) more bytes")
    }
    return Int(value)
  }

  private mutating func integer(_ type: UInt8, what: String) throws(DocumentError) -> Int64 {
    switch type {
    case UInt8(ascii: "i"): return Int64(try number(Int8.self))
    case UInt8(ascii: "U"): return Int64(try number(UInt8.self))
    case UInt8(ascii: "I"): return Int64(try number(Int16.self))
    case UInt8(ascii: "l"): return Int64(try number(Int32.self))
    case UInt8(ascii: "L"): return try number(Int64.self)
    default: throw error("\(what) is of the type \(Self.shown(type)), expected a whole number")
    }
  }

  // MARK: Values

  func kind() throws(DocumentError) -> DocumentKind {
    let marker = try marker()
    switch marker {
    case UInt8(ascii: "{"): return .object
    case UInt8(ascii: "["): return .array
    case UInt8(ascii: "S"), UInt8(ascii: "C"): return .text
    case UInt8(ascii: "i"), UInt8(ascii: "U"), UInt8(ascii: "I"), UInt8(ascii: "l"), UInt8(ascii: "L"),
      UInt8(ascii: "d"), UInt8(ascii: "D"):
      return .number
    case UInt8(ascii: "T"), UInt8(ascii: "F"): return .truth
    case UInt8(ascii: "Z"): return .null
    default: throw error("\(Self.shown(marker)) begins no value of UBJSON that is supported")
    }
  }

  private mutating func push(_ frame: Frame) throws(DocumentError) {
    guard frames.count < documentDepth else {
      throw error("the document is nested deeper than \(documentDepth) levels, which is the limit")
    }
    frames.append(frame)
  }

  mutating func beginObject() throws(DocumentError) {
    _ = try expect(.object)
    try need(1, "an object")
    let next = start.load(fromByteOffset: offset, as: UInt8.self)
    if next == UInt8(ascii: "$") || next == UInt8(ascii: "#") {
      throw error("an object that tells its number of members is not supported")
    }
    try push(Frame(isObject: true, type: 0, remaining: -1))
  }

  mutating func nextKey() throws(DocumentError) -> String? {
    try need(1, "an object")
    if start.load(fromByteOffset: offset, as: UInt8.self) == UInt8(ascii: "}") {
      offset += 1
      frames.removeLast()
      return nil
    }
    let length = try length("a key")
    return try text(length, limit: 1024, what: "a key")
  }

  mutating func beginArray() throws(DocumentError) {
    _ = try expect(.array)
    var frame = Frame(isObject: false, type: 0, remaining: -1)
    try need(1, "an array")
    if start.load(fromByteOffset: offset, as: UInt8.self) == UInt8(ascii: "$") {
      offset += 1
      frame.type = try byte("the type of an array")
      guard let width = Self.width(frame.type) else {
        throw error("\(Self.shown(frame.type)) is the type of an array's elements, expected that of a number")
      }
      try need(1, "the number of elements")
      guard start.load(fromByteOffset: offset, as: UInt8.self) == UInt8(ascii: "#") else {
        throw error("an array tells the type of its elements, but not their number")
      }
      offset += 1
      frame.remaining = try length("an array")
      guard frame.remaining <= (count - offset) / width else {
        throw error(
          "an array has \(frame.remaining) elements of \(width) bytes, but the file has \(count - offset) more bytes")
      }
    } else if start.load(fromByteOffset: offset, as: UInt8.self) == UInt8(ascii: "#") {
      offset += 1
      frame.remaining = try length("an array")
    }
    try push(frame)
  }

  /// Bytes of a number of `type`; nil for what is no number.
  private static func width(_ type: UInt8) -> Int? {
    switch type {
    case UInt8(ascii: "i"), UInt8(ascii: "U"): 1
    case UInt8(ascii: "I"): 2
    case UInt8(ascii: "l"), UInt8(ascii: "d"): 4
    case UInt8(ascii: "L"), UInt8(ascii: "D"): 8
    default: nil
    }
  }

  mutating func nextElement() throws(DocumentError) -> Bool {
    let top = frames.count - 1
    switch frames[top].remaining {
    case -1:
      try need(1, "an array")
      guard start.load(fromByteOffset: offset, as: UInt8.self) == UInt8(ascii: "]") else { return true }
      offset += 1
      frames.removeLast()
      return false
    case 0:
      frames.removeLast()
      return false
    default:
      frames[top].remaining -= 1
      return true
    }
  }

  mutating func text(limit: Int) throws(DocumentError) -> String {
    let marker = try expect(.text)
    let length = marker == UInt8(ascii: "C") ? 1 : try length("a text")
    return try text(length, limit: limit, what: "a text")
  }

  private mutating func text(_ length: Int, limit: Int, what: String) throws(DocumentError) -> String {
    try need(length, what)
    guard length <= limit else { throw error("\(what) has \(length) bytes, the limit is \(limit)") }
    let bytes = UnsafeRawBufferPointer(start: start + offset, count: length)
    guard isValidUTF8(bytes), !bytes.contains(0) else { throw error("\(what) is not in UTF-8 without NUL") }
    offset += length
    return String(decoding: bytes, as: UTF8.self)
  }

  mutating func integer() throws(DocumentError) -> Int64 {
    if try kind() == .truth { return try expect(.truth) == UInt8(ascii: "T") ? 1 : 0 }
    let type = try expect(.number)
    return try integer(type, what: "the number")
  }

  mutating func float() throws(DocumentError) -> Float {
    let type = try expect(.number)
    switch type {
    case UInt8(ascii: "d"): return Float(bitPattern: try number(UInt32.self))
    case UInt8(ascii: "D"): return Float(Double(bitPattern: try number(UInt64.self)))
    default: return Float(try integer(type, what: "the number"))
    }
  }

  @discardableResult
  mutating func skip() throws(DocumentError) -> Int {
    switch try kind() {
    case .object:
      try beginObject()
      while try nextKey() != nil { try skip() }
    case .array:
      try beginArray()
      let frame = frames[frames.count - 1]
      if let width = Self.width(frame.type) {
        // That many bytes are there: checked where the array began.
        offset += frame.remaining * width
        frames.removeLast()
        return frame.remaining
      }
      var elements = 0
      while try nextElement() {
        try skip()
        elements += 1
      }
      return elements
    case .text:
      let length = try expect(.text) == UInt8(ascii: "C") ? 1 : try length("a text")
      try need(length, "a text")
      offset += length
    case .number:
      let width = Self.width(try expect(.number)) ?? 0
      try need(width, "a number")
      offset += width
    case .truth, .null: passMarker()
    }
    return 1
  }

  func finish() throws(DocumentError) {
    guard offset == count else { throw error("the document ends \(count - offset) bytes before the file") }
  }

  // MARK: Arrays of one type

  /// The elements of the array that comes next, where they are of `type`: big-endian, `width` bytes each. Nil, and
  /// nothing is read, where the array is another.
  private mutating func elements(_ type: UInt8) throws(DocumentError) -> UnsafeRawBufferPointer? {
    guard try kind() == .array, count - offset > 2,
      start.load(fromByteOffset: offset + 1, as: UInt8.self) == UInt8(ascii: "$"),
      start.load(fromByteOffset: offset + 2, as: UInt8.self) == type, let width = Self.width(type)
    else { return nil }
    try beginArray()
    let elements = frames.removeLast().remaining
    defer { offset += elements * width }
    return UnsafeRawBufferPointer(start: start + offset, count: elements * width)
  }

  mutating func integers(into values: inout [Int32]) throws(DocumentError) {
    guard let bytes = try elements(UInt8(ascii: "l")) else { return try elementwise(into: &values) }
    values.fill(bytes.count / 4) { index in
      Int32(bigEndian: bytes.loadUnaligned(fromByteOffset: index * 4, as: Int32.self))
    }
  }

  mutating func floats(into values: inout [Float]) throws(DocumentError) {
    guard let bytes = try elements(UInt8(ascii: "d")) else { return try elementwise(into: &values) }
    values.fill(bytes.count / 4) { index in
      Float(bitPattern: UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: index * 4, as: UInt32.self)))
    }
  }

  mutating func flags(into values: inout [UInt8]) throws(DocumentError) {
    guard let bytes = try elements(UInt8(ascii: "U")) else { return try elementwise(into: &values) }
    values.fill(bytes.count) { bytes[$0] }
  }
}

extension Array {
  /// Replaces the elements by `count` made ones, in memory of just that size.
  @inline(__always)
  fileprivate mutating func fill(_ count: Int, _ element: (Int) -> Element) {
    removeAll(keepingCapacity: true)
    reserveCapacity(count)
    for index in 0..<count { append(element(index)) }
  }
}
