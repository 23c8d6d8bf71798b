import MartletCore
import MartletSockets

/// Where a server is and how to speak to it: `ttrpc://HOST:PORT` or `ttrpc+unix:PATH`.
public struct ServerURL: Sendable, Hashable, CustomStringConvertible {
  /// The port of a URL that names none.
  public static let defaultPort: UInt16 = 8001

  /// The URL as it was given.
  public let description: String
  /// The same place in the words of `SocketAddress`.
  private let socketText: String
  /// Whether `resolve` has to ask the system for a host's addresses, which may block.
  let needsLookUp: Bool

  /// Reads a URL.
  ///
  /// - Throws: `unimplemented` for a protocol of Martlet that this client does not speak yet, `invalidArgument` for
  ///   anything else.
  public init(_ text: String) throws(ClientError) {
    description = text
    if let path = text.removing(prefix: "ttrpc+unix:") {
      socketText = "unix:" + path
      needsLookUp = false
    } else if let rest = text.removing(prefix: "ttrpc://") {
      // A colon that is not inside an IPv6 address's brackets begins the port.
      let hasPort = rest.split(separator: "]", omittingEmptySubsequences: false).last?.contains(":") ?? false
      socketText = "tcp://" + (hasPort ? rest : "\(rest):\(ServerURL.defaultPort)")
      needsLookUp = !rest.hasPrefix("[") && rest.contains { $0.isLetter }
    } else if let scheme = ServerURL.notYet.first(where: { text.hasPrefix($0) }) {
      throw ClientError(
        .unimplemented, "\(text): this client does not speak \(scheme) yet; use ttrpc://HOST:PORT or ttrpc+unix:PATH")
    } else if text.hasPrefix("tcp://") || text.hasPrefix("unix:") {
      throw ClientError(
        .invalidArgument, "\(text): a client's URL names the protocol: ttrpc://HOST:PORT or ttrpc+unix:PATH")
    } else {
      throw ClientError(
        .invalidArgument,
        "'\(text)' is not a server's URL; expected ttrpc://HOST:PORT (ttrpc://127.0.0.1:8001) or ttrpc+unix:PATH")
    }
    guard !needsLookUp else { return }
    _ = try resolve()
  }

  /// Reads several URLs, separated by commas.
  public static func list(_ text: String) throws(ClientError) -> [ServerURL] {
    var urls: [ServerURL] = []
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      urls.append(try ServerURL(part.trimmed))
    }
    return urls
  }

  /// The addresses behind the URL, at least one. Blocks while a host name is looked up.
  public func resolve() throws(ClientError) -> [SocketAddress] {
    do throws(Status) {
      return try SocketAddress.resolve(socketText)
    } catch {
      throw ClientError(
        error.code, error.message, address: description, origin: error.code == .unavailable ? .connection : .client)
    }
  }

  /// The URL of one of the addresses.
  static func text(of address: SocketAddress) -> String {
    switch address {
    case .ipv4, .ipv6: "ttrpc://\(address.host):\(address.port ?? 0)"
    case .unix(let path): "ttrpc+unix:\(path)"
    }
  }

  private static let notYet = ["grpc://", "grpcs://", "grpc+unix:", "grpcs+unix:", "ttrpcs://", "ttrpcs+unix:"]
}

extension String {
  fileprivate func removing(prefix: String) -> String? {
    hasPrefix(prefix) ? String(dropFirst(prefix.count)) : nil
  }
}

extension Substring {
  fileprivate var trimmed: String {
    var rest = self
    while rest.first?.isWhitespace == true { rest.removeFirst() }
    while rest.last?.isWhitespace == true { rest.removeLast() }
    return String(rest)
  }
}
