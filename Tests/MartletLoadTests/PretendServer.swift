import MartletClient
import MartletCore
import MartletSockets
import MartletWire
import Synchronization

/// A ttrpc server in this process that answers `Score` and `Null` without scoring, and misbehaves on request.
final class PretendServer: ReactorHandler, @unchecked Sendable {
  // `@unchecked Sendable`: confined to the reactor's thread, but for `calls` and what is set before `start`.

  enum Behaviour: Sendable {
    case answers
    /// Every call but the first (which a run sends to look) gets this status.
    case refusesAllButTheFirst(StatusCode)
    case refuses(StatusCode, String)
    /// Every call but the first gets no answer.
    case isSilentAfterTheFirst
    /// Ends the connection instead of answering every such call.
    case hangsUp(every: Int)
  }

  let reactor: Reactor
  private let listener: Listener
  private let behaviour: Behaviour
  private var protocols: [ConnectionHandle: TTRPCServerConnection] = [:]
  private let count = Mutex<(calls: Int, connections: Int)>((0, 0))

  init(_ behaviour: Behaviour = .answers) throws {
    self.behaviour = behaviour
    reactor = Reactor(index: 0, poller: .epoll, limits: SocketLimits(), statistics: SocketStatistics(reactor: 0))
    listener = try Listener(address: SocketAddress.parse("tcp://127.0.0.1:0"))
    reactor.setHandler(self)
    reactor.start()
    listener.start(
      on: reactor, reactors: [reactor], limiter: ConnectionLimiter(limits: SocketLimits()), refused: { _, _ in })
  }

  var url: ServerURL { get throws { try ServerURL("ttrpc://127.0.0.1:\(listener.address.port ?? 0)") } }
  var calls: Int { count.withLock { $0.calls } }
  /// Connections that brought a call.
  var connections: Int { count.withLock { $0.connections } }

  func stop() {
    listener.drainAndClose()
    reactor.stop()
  }

  func opened(_ connection: ConnectionHandle, peer: PeerInfo) {
    protocols[connection] = TTRPCServerConnection()
  }

  func received(_ connection: ConnectionHandle, bytes: UnsafeRawBufferPointer) -> Int {
    var consumed = 0
    while let step = protocols[connection]?.next(UnsafeRawBufferPointer(rebasing: bytes[consumed...])) {
      consumed += step.consumed
      switch step.event {
      case .needMore: return consumed
      case .request(let stream, let dataBytes):
        let envelope = UnsafeRawBufferPointer(rebasing: bytes[(consumed - dataBytes)..<consumed])
        answer(envelope, stream, connection)
      default: continue
      }
    }
    return bytes.count
  }

  private func answer(_ envelope: UnsafeRawBufferPointer, _ stream: UInt32, _ connection: ConnectionHandle) {
    let number = count.withLock { count in
      count.calls += 1
      if stream == 1 { count.connections += 1 }
      return count.calls
    }
    switch behaviour {
    case .answers: break
    case .refusesAllButTheFirst(let code):
      if number > 1 { return write(TTRPCResponse.failure(stream: stream, Status(code, "busy")), to: connection) }
    case .refuses(let code, let message):
      return write(TTRPCResponse.failure(stream: stream, Status(code, message)), to: connection)
    case .isSilentAfterTheFirst: if number > 1 { return }
    case .hangsUp(let every):
      if number % every == 0 { return reactor.close(connection, reason: .local, afterFlush: false) }
    }
    var method: [UInt8] = []
    var request = UnsafeRawBufferPointer(start: nil, count: 0)
    var reader = ProtoReader(envelope)
    while let (field, wire) = reader.tag() {
      if field == 2 {
        method = reader.delimited().map(Array.init) ?? []
      } else if field == 3 {
        request = reader.delimited() ?? request
      } else if !reader.skip(wire) {
        break
      }
    }
    let payload = method == Array("Null".utf8) ? Self.nullResponse(request) : Self.scoreResponse
    var frame = [UInt8](repeating: 0, count: TTRPCResponse.headBytes(payloadBytes: payload.count))
    frame.withUnsafeMutableBytes {
      TTRPCResponse.writeHead(to: $0.baseAddress!, stream: stream, payloadBytes: payload.count)
    }
    write(frame + payload, to: connection)
  }

  private func write(_ bytes: [UInt8], to connection: ConnectionHandle) {
    guard let room = reactor.reserve(connection, bytes.count) else { return }
    bytes.withUnsafeBytes { room.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
    reactor.commit(connection, bytes.count)
  }

  private static func nullResponse(_ request: UnsafeRawBufferPointer) -> [UInt8] {
    var reader = ProtoReader(request)
    var bytes: UInt64 = 0
    while let (field, wire) = reader.tag() {
      if field == 2 { bytes = reader.varint() ?? 0 } else if !reader.skip(wire) { break }
    }
    var writer = ProtobufWriter()
    writer.bytes(1, [UInt8](repeating: 1, count: Int(bytes)))
    return writer.bytes
  }

  /// One row, a regression's value.
  static let scoreResponse: [UInt8] = {
    var writer = ProtobufWriter()
    writer.string(1, "m")
    writer.string(2, "7")
    writer.unsigned(3, 1)
    writer.string(4, "instance")
    writer.unsigned(5, 1)
    writer.message(7) { $0.packed(1, [Float(0.5)]) }
    return writer.bytes
  }()

  func peerFinished(_ connection: ConnectionHandle) {
    reactor.close(connection, reason: .peerClosed, afterFlush: true)
  }
  func closed(_ connection: ConnectionHandle, reason: CloseReason) { protocols[connection] = nil }
  func roundEnded(now: MonotonicTime) -> Bool { false }
  func timerFired(token: UInt64, now: MonotonicTime) {}
}
