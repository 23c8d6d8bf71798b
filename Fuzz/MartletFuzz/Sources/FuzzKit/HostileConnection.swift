import Glibc
import MartletWire

/// One connection to a server: sends a stream in pieces, reads what comes, ends when the server does.
///
/// Never blocks; whoever owns it polls `descriptor` for `events` and calls `step`.
package final class HostileConnection {
  package enum Target {
    case unix(path: String)
    /// On 127.0.0.1.
    case tcp(port: UInt16)
    /// A socket whose other end the server has already; it is closed with the connection.
    case connected(Int32)
  }

  let number: Int
  private(set) var descriptor: Int32
  private(set) var received: [UInt8] = []
  private let bytes: [UInt8]
  private let cuts: [Int]
  private let vanishes: Bool
  private var nextCut = 0
  private var sent = 0
  /// Where the piece ends that is being sent.
  private var pieceEnd: Int
  private var isFinished = false

  /// Nil when the server does not accept.
  init?(_ target: Target, number: Int, bytes: [UInt8], cuts: [Int], vanishes: Bool) {
    self.number = number
    self.bytes = bytes
    self.cuts = cuts
    self.vanishes = vanishes
    pieceEnd = cuts.first ?? 0
    descriptor = Self.connect(target)
    guard descriptor >= 0 else { return nil }
    _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
  }

  deinit { end() }

  var isOpen: Bool { descriptor >= 0 }
  var events: Int16 { Int16(isFinished ? POLLIN : POLLIN | POLLOUT) }

  private static func connect(_ target: Target) -> Int32 {
    func open<Address>(_ family: Int32, _ address: Address) -> Int32 {
      let descriptor = socket(family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
      guard descriptor >= 0 else { return -1 }
      let result = withUnsafeBytes(of: address) { bytes in
        Glibc.connect(
          descriptor, bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count))
      }
      guard result == 0 else {
        close(descriptor)
        return -1
      }
      return descriptor
    }
    switch target {
    case .connected(let descriptor): return descriptor
    case .unix(let path):
      var address = sockaddr_un()
      address.sun_family = sa_family_t(AF_UNIX)
      withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix($0.count - 1)) }
      return open(AF_UNIX, address)
    case .tcp(let port):
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_port = port.bigEndian
      address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
      let descriptor = open(AF_INET, address)
      if descriptor >= 0 {
        var on: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
      }
      return descriptor
    }
  }

  /// Sends and reads what can be without waiting.
  func step(_ happened: Int16) {
    if happened & Int16(POLLOUT) != 0, !isFinished { sendNext() }
    if isOpen, happened & Int16(POLLIN | POLLHUP | POLLERR) != 0 { read() }
  }

  private func sendNext() {
    if nextCut < cuts.count {
      let count = bytes.withUnsafeBytes { bytes in
        send(descriptor, bytes.baseAddress! + sent, pieceEnd - sent, Int32(MSG_NOSIGNAL))
      }
      if count < 0 {
        // The server may end a connection in the middle of nonsense; what it said before is still read.
        if errno != EAGAIN && errno != EINTR { isFinished = true }
        return
      }
      sent += count
      if sent < pieceEnd { return }
      nextCut += 1
      if nextCut < cuts.count { pieceEnd += cuts[nextCut] }
    }
    guard nextCut == cuts.count else { return }
    isFinished = true
    if vanishes {
      var reset = linger(l_onoff: 1, l_linger: 0)
      setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &reset, socklen_t(MemoryLayout<linger>.size))
      end()
    } else {
      shutdown(descriptor, Int32(SHUT_WR))
    }
  }

  private func read() {
    withUnsafeTemporaryAllocation(byteCount: 64 << 10, alignment: 16) { buffer in
      let count = recv(descriptor, buffer.baseAddress!, buffer.count, 0)
      if count > 0 {
        received.append(contentsOf: buffer[..<count])
      } else if count == 0 || (errno != EAGAIN && errno != EINTR) {
        end()
      }
    }
  }

  func end() {
    guard descriptor >= 0 else { return }
    close(descriptor)
    descriptor = -1
  }

  /// How many answers the stream must have; nil when the server may end it before it has answered everything.
  var expectedAnswers: Int? {
    guard !vanishes, sent == bytes.count, bytes.first == 0 else { return nil }
    return bytes.withUnsafeBytes { bytes -> Int? in
      var server = TTRPCServerConnection()
      var position = 0
      var answers = 0
      while true {
        let (event, taken) = server.next(UnsafeRawBufferPointer(rebasing: bytes[position...]))
        position += taken
        switch event {
        case .needMore: return answers
        case .request, .refused: answers += 1
        case .skipped: break
        case .broken: return nil
        }
      }
    }
  }

  /// The whole frames that came.
  var frames: [[UInt8]] {
    var frames: [[UInt8]] = []
    var start = 0
    received.withUnsafeBytes { bytes in
      while let header = TTRPCFrame(UnsafeRawBufferPointer(rebasing: bytes[start...])) {
        let end = start + TTRPCFrame.headerBytes + Int(header.dataBytes)
        guard end <= bytes.count else { break }
        frames.append(Array(bytes[start..<end]))
        start = end
      }
    }
    return frames
  }
}
