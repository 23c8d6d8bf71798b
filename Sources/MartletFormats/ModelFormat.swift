import MartletEngine

/// A kind of model file. A new one is a conforming type and a line in `ModelLoader.formats`.
protocol ModelFormat: Sendable {
  /// What messages and metrics call the format.
  static var name: String { get }

  /// Whether the first bytes can be of this format; at most one format says so. The bytes live during the call only.
  static func recognizes(_ bytes: UnsafeRawBufferPointer) -> Bool

  /// Reads a whole file. Memory stays within a small multiple of its size.
  static func read(_ bytes: UnsafeRawBufferPointer) throws(ModelError) -> Graph
}
