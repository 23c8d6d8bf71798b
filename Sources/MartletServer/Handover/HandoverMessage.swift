/// What two servers say to each other when one takes over from the other; each a message of a `DescriptorChannel`.
///
///     new  hello     process
///     old  offer     process, and for each descriptor that comes with it whether a service manager keeps it
///     new  ready     it serves
///     old  released  it accepts no more and has left its ports
///
/// The old one may answer `refused` instead of `offer`. Whoever ends the connection before `ready` calls it off: the
/// old one serves on.
enum HandoverMessage: Equatable, Sendable {
  case hello(process: Int32)
  case offer(process: Int32, supervised: [Bool])
  case ready
  case released
  case refused(String)

  /// Why bytes are no message.
  enum Failure: Error, Equatable {
    case foreign
    case version(UInt8)
    case malformed
  }

  static let version: UInt8 = 1
  /// Bytes of a refusal's text; longer ones are cut.
  static let maximumTextBytes = 512

  private static let magic = Array("MTKO".utf8)
  private static let headBytes = 6

  /// Magic, version, kind, then what belongs to the kind; numbers in big-endian order.
  func encoded() -> [UInt8] {
    switch self {
    case .hello(let process): Self.message(1, Self.bytes(process))
    case .offer(let process, let supervised):
      Self.message(2, Self.bytes(process) + supervised.map { $0 ? 1 : 0 })
    case .ready: Self.message(3, [])
    case .released: Self.message(4, [])
    case .refused(let text): Self.message(5, Array(text.utf8.prefix(Self.maximumTextBytes)))
    }
  }

  init(_ bytes: [UInt8]) throws(Failure) {
    guard bytes.count >= Self.headBytes, Array(bytes.prefix(4)) == Self.magic else { throw .foreign }
    guard bytes[4] == Self.version else { throw .version(bytes[4]) }
    let body = Array(bytes.dropFirst(Self.headBytes))
    switch bytes[5] {
    case 1 where body.count == 4: self = .hello(process: Self.number(body))
    case 2 where body.count >= 4 && body.dropFirst(4).allSatisfy { $0 <= 1 }:
      self = .offer(process: Self.number(body), supervised: body.dropFirst(4).map { $0 == 1 })
    case 3 where body.isEmpty: self = .ready
    case 4 where body.isEmpty: self = .released
    case 5 where body.count <= Self.maximumTextBytes: self = .refused(String(decoding: body, as: UTF8.self))
    default: throw .malformed
    }
  }

  private static func message(_ kind: UInt8, _ body: [UInt8]) -> [UInt8] { magic + [version, kind] + body }

  private static func bytes(_ number: Int32) -> [UInt8] { withUnsafeBytes(of: number.bigEndian) { Array($0) } }

  private static func number(_ bytes: [UInt8]) -> Int32 {
    bytes.prefix(4).reduce(0) { $0 << 8 | Int32($1) }
  }
}
