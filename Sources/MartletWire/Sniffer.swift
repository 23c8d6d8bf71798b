/// What a connection speaks, told by its first bytes.
public enum SniffedProtocol: Sendable, Equatable {
  case ttrpc
  case http2
  case tls
  case unknown

  public var name: String {
    switch self {
    case .ttrpc: "ttrpc"
    case .http2: "http2"
    case .tls: "tls"
    case .unknown: "unknown"
    }
  }
}

/// Decides the protocol of a new connection.
///
/// A ttrpc frame begins with the high byte of a length of at most 4 MiB, so with 0; a TLS record of a handshake with
/// 0x16; HTTP/2 with its connection preface (RFC 9113, 3.4).
public enum Sniffer {
  private static let preface: StaticString = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

  /// The protocol, or nil while the bytes that came could still be more than one.
  public static func sniff(_ bytes: UnsafeRawBufferPointer) -> SniffedProtocol? {
    guard let first = bytes.first else { return nil }
    switch first {
    case 0x00: return .ttrpc
    case 0x16: return .tls
    default: break
    }
    let known = preface.utf8Start
    for index in 0..<min(bytes.count, preface.utf8CodeUnitCount) where bytes[index] != known[index] { return .unknown }
    return bytes.count >= preface.utf8CodeUnitCount ? .http2 : nil
  }
}
