import MartletCore
import MartletSockets

/// The connections of a client by endpoint: which are open, which are being opened, which take no more calls.
struct ConnectionPool: Sendable {
  struct Pooled: Sendable {
    let handle: ConnectionHandle
    let endpoint: Int
    /// How the server is called in errors.
    let address: String
    var isOpen = false
    /// Whether a call was answered on it.
    var hasAnswered = false
    /// Takes no new calls and is closed when its last one has ended.
    var isRetiring = false
  }

  private(set) var all: [Pooled] = []
  /// When a connection to an endpoint was last retired.
  private var lastRetired: [Int: MonotonicTime] = [:]

  subscript(handle: ConnectionHandle) -> Pooled? { all.first { $0.handle == handle } }

  mutating func add(_ connection: Pooled) { all.append(connection) }

  mutating func opened(_ handle: ConnectionHandle) {
    guard let index = all.firstIndex(where: { $0.handle == handle }) else { return }
    all[index].isOpen = true
  }

  mutating func answered(_ handle: ConnectionHandle) {
    guard let index = all.firstIndex(where: { $0.handle == handle }) else { return }
    all[index].hasAnswered = true
  }

  mutating func remove(_ handle: ConnectionHandle) -> Pooled? {
    guard let index = all.firstIndex(where: { $0.handle == handle }) else { return nil }
    return all.remove(at: index)
  }

  /// Open connections to `endpoint` that take calls.
  func usable(_ endpoint: Int) -> [Pooled] {
    all.filter { $0.endpoint == endpoint && $0.isOpen && !$0.isRetiring }
  }

  func isConnecting(_ endpoint: Int) -> Bool { all.contains { $0.endpoint == endpoint && !$0.isOpen } }

  /// Whether a call may wait for a connection that is open or on its way.
  var hasProspect: Bool { all.contains { !$0.isRetiring } }

  /// Gives a connection no more calls: its server answered UNAVAILABLE, and may be on its way out while a new one
  /// listens at the same address.
  ///
  /// Not more often than every 20 ms for an endpoint, so that a server whose model is not ready yet is not flooded with
  /// connections.
  mutating func retire(_ handle: ConnectionHandle, now: MonotonicTime) {
    guard let index = all.firstIndex(where: { $0.handle == handle }), !all[index].isRetiring else { return }
    let endpoint = all[index].endpoint
    if let last = lastRetired[endpoint], now.nanoseconds(since: last) < 20_000_000 { return }
    lastRetired[endpoint] = now
    all[index].isRetiring = true
  }

  /// Gives the connections of an endpoint that is gone no more calls; returns them.
  mutating func retireAll(_ endpoint: Int) -> [ConnectionHandle] {
    for index in all.indices where all[index].endpoint == endpoint { all[index].isRetiring = true }
    lastRetired[endpoint] = nil
    return all.filter { $0.endpoint == endpoint }.map(\.handle)
  }
}
