/// The type of a tensor's elements.
public enum ElementType: UInt8, Sendable, CaseIterable {
  case bool
  case uint8
  case uint16
  case uint32
  case uint64
  case int8
  case int16
  case int32
  case int64
  case float16
  case float32
  case float64
  /// UTF-8 text; in memory an element is a `TextRef`.
  case text

  /// Bytes of one element in memory. Text is a `TextRef`.
  @inlinable
  public var byteWidth: Int {
    switch self {
    case .bool, .uint8, .int8: 1
    case .uint16, .int16, .float16: 2
    case .uint32, .int32, .float32: 4
    case .uint64, .int64, .float64: 8
    case .text: 16
    }
  }

  /// The name in the Open Inference Protocol, `FP32` for example.
  public var datatype: String {
    switch self {
    case .bool: "BOOL"
    case .uint8: "UINT8"
    case .uint16: "UINT16"
    case .uint32: "UINT32"
    case .uint64: "UINT64"
    case .int8: "INT8"
    case .int16: "INT16"
    case .int32: "INT32"
    case .int64: "INT64"
    case .float16: "FP16"
    case .float32: "FP32"
    case .float64: "FP64"
    case .text: "BYTES"
    }
  }

  public init?(datatype: String) {
    guard let type = ElementType.allCases.first(where: { $0.datatype == datatype }) else { return nil }
    self = type
  }
}

/// A text value that lives in memory of somebody else: a tile's text heap or a plan's constants.
///
/// Invariant: `start` addresses `count` readable bytes of valid UTF-8 for as long as the owner lives, and the owner
/// outlives every use: a tile keeps its texts until it is reset, a plan keeps its constants while it is referenced.
/// `start` may be nil only when `count` is 0.
@frozen
public struct TextRef {
  public var start: UnsafePointer<UInt8>?
  public var count: Int

  @inlinable
  public init(start: UnsafePointer<UInt8>?, count: Int) {
    self.start = start
    self.count = count
  }

  @inlinable
  public static var empty: TextRef { TextRef(start: nil, count: 0) }

  @inlinable
  public var bytes: UnsafeBufferPointer<UInt8> { UnsafeBufferPointer(start: start, count: count) }

  public var string: String { String(decoding: bytes, as: UTF8.self) }
}
