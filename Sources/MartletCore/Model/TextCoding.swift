/// How texts lie one behind the other in a message.
public enum TextForm: UInt8, Sendable {
  /// Before each its length in four bytes, the lowest first: raw contents of the Open Inference Protocol.
  case counted = 0
  /// As the elements of field 5, which is that of the texts of a `martlet.v1.Column`; the number is the field's key.
  case fields = 0x2a
}

/// Numbers the texts of an input: a plan that only looks texts up takes their numbers in their place.
///
/// The number of a text is that of the key that it equals, and the number of keys for one that equals none; each column
/// of an input has keys of its own. Immutable, any number of threads may ask at once.
open class TextCoder: @unchecked Sendable {
  /// Texts a row.
  public let width: Int

  public init(width: Int) { self.width = width }

  /// The number of the text that is element `element` of the rows, counted from the first one of a row; nil when it is
  /// not UTF-8.
  open func code(_ text: UnsafeRawBufferPointer, element: Int) -> UInt16? { nil }

  /// Reads texts where they lie in a message, from `position` on, and writes the numbers of up to `count` of them: the
  /// first to `codes[element]`, the next `step` elements behind, which is 1 or `width`.
  ///
  /// Stops before a text that takes a closer look: one that is cut off, or may not be UTF-8. Moves `position` behind
  /// those that were read, and returns how many.
  open func read(
    _ texts: UnsafeRawBufferPointer, _ form: TextForm, from position: inout Int, count: Int,
    to codes: UnsafeMutablePointer<UInt16>, element: Int, step: Int
  ) -> Int { 0 }
}

/// Which of a plan's inputs take numbers in place of texts, and whose numbers.
///
/// `@unchecked Sendable`: written by `init` only.
public final class TextCoding: @unchecked Sendable {
  /// For each input; nil for one that stays as it is.
  public let coders: [TextCoder?]
  /// The same as plain memory: reading an array of objects costs reference counting.
  let table: UnsafeMutablePointer<Unmanaged<TextCoder>?>

  public init(_ coders: [TextCoder?]) {
    self.coders = coders
    table = .allocate(capacity: max(1, coders.count))
    for (index, coder) in coders.enumerated() {
      (table + index).initialize(to: coder.map { .passUnretained($0) })
    }
  }

  deinit { table.deallocate() }
}
