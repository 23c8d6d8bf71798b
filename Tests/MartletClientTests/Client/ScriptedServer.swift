import Foundation
import MartletWire
import Synchronization

@testable import MartletClient

/// A ttrpc server that does what a test says: blocking sockets, a thread a connection.
final class ScriptedServer: Sendable {
  struct Request: Sendable {
    /// Counts from 0 over all connections.
    var number: Int
    var connection: Int
    var service = ""
    var method = ""
    var payload: [UInt8] = []
    var timeoutNanoseconds: Int64 = 0
  }

  enum Reply: Sendable {
    case payload([UInt8])
    case status(Int32, String)
    /// No answer, ever.
    case silence
    /// The connection ends.
    case hangUp
    /// The answers to the last `count` requests, latest first; `silence` before.
    case reversed(count: Int)
    case raw([UInt8])
  }

  private struct State {
    var connections = 0
    var requests: [Request] = []
    var sockets: [Int32] = []
    var isStopped = false
  }

  private let state = Mutex(State())
  private let listener: Int32
  let port: UInt16
  private let script: @Sendable (Request) -> Reply

  var url: String { "ttrpc://127.0.0.1:\(port)" }
  var requests: [Request] { state.withLock { $0.requests } }
  var connections: Int { state.withLock { $0.connections } }

  init(_ script: @escaping @Sendable (Request) -> Reply) {
    self.script = script
    listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let listener = listener
    port = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        precondition(bind(listener, address, length) == 0 && listen(listener, 64) == 0)
        getsockname(listener, address, &length)
      }
      return UInt16(bigEndian: $0.pointee.sin_port)
    }
    Thread.detachNewThread { [self] in accept() }
  }

  /// Ends every connection and takes no new one.
  func stop() {
    let sockets = state.withLock { state in
      defer { state.isStopped = true }
      return state.isStopped ? [] : state.sockets + [listener]
    }
    for socket in sockets { shutdown(socket, Int32(SHUT_RDWR)) }
  }

  /// A port of this machine where nobody listens.
  static func closedPort() -> UInt16 {
    let server = ScriptedServer { _ in .silence }
    server.stop()
    close(server.listener)
    return server.port
  }

  private func accept() {
    while true {
      let socket = Glibc.accept(listener, nil, nil)
      guard socket >= 0 else { return }
      let number = state.withLock { state in
        state.connections += 1
        state.sockets.append(socket)
        return state.connections - 1
      }
      Thread.detachNewThread { [self] in serve(socket, number) }
    }
  }

  private func serve(_ socket: Int32, _ connection: Int) {
    defer {
      state.withLock { $0.sockets.removeAll { $0 == socket } }
      close(socket)
    }
    var streams: [(stream: UInt32, payload: [UInt8])] = []
    while let header = read(socket, TTRPCFrame.headerBytes), let frame = header.withUnsafeBytes({ TTRPCFrame($0) }),
      let data = read(socket, Int(frame.dataBytes))
    {
      var request = Self.request(data)
      request.connection = connection
      request = state.withLock { state in
        request.number = state.requests.count
        state.requests.append(request)
        return request
      }
      streams.append((frame.stream, request.payload))
      var bytes: [UInt8] = []
      switch script(request) {
      case .payload(let payload):
        bytes = TTRPCClientConnectionTests.response(stream: frame.stream, payload: payload)
      case .status(let code, let message):
        bytes = TTRPCClientConnectionTests.response(stream: frame.stream, code: code, message: message)
      case .silence: break
      case .hangUp: return
      case .reversed(let count):
        for (stream, payload) in streams.suffix(count).reversed() {
          bytes += TTRPCClientConnectionTests.response(stream: stream, payload: payload)
        }
      case .raw(let raw): bytes = raw
      }
      guard write(socket, bytes) else { return }
    }
  }

  private static func request(_ data: [UInt8]) -> Request {
    var request = Request(number: 0, connection: 0)
    var reader = ProtobufReader(data.span.bytes)
    while (try? reader.next()) == true {
      switch reader.field {
      case 1: request.service = (try? reader.string()) ?? ""
      case 2: request.method = (try? reader.string()) ?? ""
      case 3: request.payload = (try? reader.byteArray()) ?? []
      case 4: request.timeoutNanoseconds = (try? reader.signed()) ?? 0
      default: try? reader.skip()
      }
    }
    return request
  }

  private func read(_ socket: Int32, _ count: Int) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: count)
    var done = 0
    while done < count {
      let result = bytes.withUnsafeMutableBytes { recv(socket, $0.baseAddress! + done, count - done, 0) }
      guard result > 0 else { return nil }
      done += result
    }
    return bytes
  }

  private func write(_ socket: Int32, _ bytes: [UInt8]) -> Bool {
    var done = 0
    while done < bytes.count {
      let result = bytes.withUnsafeBytes {
        send(socket, $0.baseAddress! + done, bytes.count - done, Int32(MSG_NOSIGNAL))
      }
      guard result > 0 else { return false }
      done += result
    }
    return true
  }
}
