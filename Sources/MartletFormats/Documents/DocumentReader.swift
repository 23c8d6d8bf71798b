import MartletEngine

/// What is wrong with a document, and where in it.
struct DocumentError: Error {
  private(set) var path: String
  let problem: String
  /// Byte of the file at which reading stood.
  let offset: Int

  init(_ problem: String, at offset: Int) {
    path = ""
    self.problem = problem
    self.offset = offset
  }

  /// The same error, within the member `key` of an object.
  func inside(_ key: String) -> DocumentError {
    var error = self
    let shown = key.count <= 64 ? key : key.prefix(64) + "…"
    error.path = path.isEmpty || path.hasPrefix("[") ? shown + path : "\(shown).\(path)"
    return error
  }

  /// The same error, within the element `index` of an array.
  func inside(_ index: Int) -> DocumentError {
    var error = self
    error.path = path.isEmpty || path.hasPrefix("[") ? "[\(index)]\(path)" : "[\(index)].\(path)"
    return error
  }

  /// `format` is what the message calls the file.
  func modelError(_ format: String) -> ModelError {
    ModelError("\(format), \(path.isEmpty ? "" : "\(path): ")\(problem), at byte \(offset)")
  }
}

/// What kind of value comes next in a document.
enum DocumentKind: String {
  case object = "an object"
  case array = "an array"
  case text = "a text"
  case number = "a number"
  case truth = "true or false"
  case null = "null"
}

/// A document of objects, arrays, texts and numbers, read value by value from bytes that stay where they are: nothing
/// of it is kept, so a hostile one costs no memory. Depth and lengths are checked.
protocol DocumentReader {
  init(_ bytes: UnsafeRawBufferPointer)

  /// Byte of the file at which reading stands.
  var offset: Int { get }

  /// What comes next; reads nothing of it.
  mutating func kind() throws(DocumentError) -> DocumentKind

  mutating func beginObject() throws(DocumentError)

  /// The next member's key, or nil at the end of the object, which it then has read.
  mutating func nextKey() throws(DocumentError) -> String?

  mutating func beginArray() throws(DocumentError)

  /// Whether another element comes; the end of the array is read when none does.
  mutating func nextElement() throws(DocumentError) -> Bool

  /// A text of valid UTF-8 without NUL, at most `limit` bytes.
  mutating func text(limit: Int) throws(DocumentError) -> String

  /// A whole number; true and false count as 1 and 0.
  mutating func integer() throws(DocumentError) -> Int64

  /// A number as the nearest single-precision one.
  mutating func float() throws(DocumentError) -> Float

  /// Reads over the next value, whatever it is; the number of elements when it is an array, or else 1.
  @discardableResult
  mutating func skip() throws(DocumentError) -> Int

  /// Checks that nothing comes behind the value that was read.
  mutating func finish() throws(DocumentError)

  /// Reads an array of whole numbers of 32 bits in place of what `values` held.
  mutating func integers(into values: inout [Int32]) throws(DocumentError)

  /// Reads an array of numbers in place of what `values` held.
  mutating func floats(into values: inout [Float]) throws(DocumentError)

  /// Reads an array of small whole numbers or truth values in place of what `values` held.
  mutating func flags(into values: inout [UInt8]) throws(DocumentError)
}

/// The most levels of objects and arrays in a document.
let documentDepth = 32

/// The most members of an object.
let documentMembers = 4096

extension DocumentReader {
  func error(_ problem: String) -> DocumentError { DocumentError(problem, at: offset) }

  /// Reads an object: `member` reads the value of each key, which comes once.
  mutating func object(
    _ member: (inout Self, String) throws(DocumentError) -> Void
  ) throws(DocumentError) {
    try beginObject()
    var seen: Set<String> = []
    while let key = try nextKey() {
      do throws(DocumentError) {
        guard seen.insert(key).inserted else { throw error("is there twice, expected one") }
        guard seen.count <= documentMembers else {
          throw error("is behind \(documentMembers) other members of its object, which is the limit")
        }
        try member(&self, key)
      } catch {
        throw error.inside(key)
      }
    }
  }

  /// Reads an array: `element` reads each element. Returns their number.
  @discardableResult
  mutating func array(
    _ element: (inout Self, Int) throws(DocumentError) -> Void
  ) throws(DocumentError) -> Int {
    try beginArray()
    var index = 0
    while try nextElement() {
      do throws(DocumentError) {
        try element(&self, index)
      } catch {
        throw error.inside(index)
      }
      index += 1
    }
    return index
  }

  /// `integers(into:)`, one after the other.
  mutating func elementwise(into values: inout [Int32]) throws(DocumentError) {
    values.removeAll(keepingCapacity: true)
    try array { (reader, _) throws(DocumentError) in
      let value = try reader.integer()
      guard let integer = Int32(exactly: value) else { throw reader.error("is \(value), expected a number of 32 bits") }
      values.appendGrowingSlowly(integer)
    }
  }

  /// `flags(into:)`, one after the other.
  mutating func elementwise(into values: inout [UInt8]) throws(DocumentError) {
    values.removeAll(keepingCapacity: true)
    try array { (reader, _) throws(DocumentError) in
      let value = try reader.integer()
      guard let flag = UInt8(exactly: value) else { throw reader.error("is \(value), expected 0 or 1") }
      values.appendGrowingSlowly(flag)
    }
  }

  /// `floats(into:)`, one after the other.
  mutating func elementwise(into values: inout [Float]) throws(DocumentError) {
    values.removeAll(keepingCapacity: true)
    try array { (reader, _) throws(DocumentError) in values.appendGrowingSlowly(try reader.float()) }
  }
}

extension Array {
  /// Appends; makes room for a quarter more when there is none, so that what a file makes us hold stays close to its
  /// size.
  @inline(__always)
  mutating func appendGrowingSlowly(_ element: Element) {
    if count == capacity { reserveCapacity(count + Swift.max(64, count / 4)) }
    append(element)
  }
}
