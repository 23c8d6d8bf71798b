import MartletCore
import Synchronization

/// Why an incoming connection was closed at once.
public enum RefusalReason: Int, Sendable, CaseIterable {
  /// `maxConnections` are open.
  case connectionLimit
  /// The peer's address has `maxConnectionsPerAddress` open.
  case addressLimit
  /// The process or the system has no descriptor or memory left.
  case descriptors
  /// The reactor is stopped or its mailbox is full.
  case reactor

  /// The name in metrics and logs.
  public var name: String {
    switch self {
    case .connectionLimit: "connection_limit"
    case .addressLimit: "address_limit"
    case .descriptors: "descriptors"
    case .reactor: "reactor"
    }
  }
}

/// Counts the accepted connections of all listeners and reactors together, in all and by address.
///
/// Any thread; a lock is taken twice in a connection's life.
public final class ConnectionLimiter: Sendable {
  private struct State {
    var maxConnections: Int
    var maxConnectionsPerAddress: Int
    var total = 0
    var byNetwork: [Network: Int] = [:]
  }

  /// What counts as one caller: an IPv4 address or an IPv6 /64 network, which is what one machine is given.
  private enum Network: Hashable {
    case ipv4(UInt32)
    case ipv6(UInt64)

    init?(_ address: SocketAddress) {
      switch address {
      case .ipv4(let address, _): self = .ipv4(address)
      case .ipv6(let high, _, _, _): self = .ipv6(high)
      case .unix: return nil
      }
    }
  }

  private let state: Mutex<State>

  public init(limits: SocketLimits) {
    state = Mutex(
      State(maxConnections: limits.maxConnections, maxConnectionsPerAddress: limits.maxConnectionsPerAddress))
  }

  /// Admits by other limits from here on; those that are there stay.
  public func apply(_ limits: SocketLimits) {
    state.withLock {
      $0.maxConnections = limits.maxConnections
      $0.maxConnectionsPerAddress = limits.maxConnectionsPerAddress
    }
  }

  /// Connections admitted and not yet released.
  public var total: Int { state.withLock { $0.total } }

  /// Counts a connection from `address`, or says why there is no room for it; nil means admitted.
  func admit(_ address: SocketAddress) -> RefusalReason? {
    state.withLock { state in
      guard state.total < state.maxConnections else { return .connectionLimit }
      if let network = Network(address) {
        let open = state.byNetwork[network, default: 0]
        guard open < state.maxConnectionsPerAddress else { return .addressLimit }
        state.byNetwork[network] = open + 1
      }
      state.total += 1
      return nil
    }
  }

  /// Ends what `admit` began, once for each admitted connection.
  func release(_ address: SocketAddress) {
    state.withLock { state in
      state.total -= 1
      guard let network = Network(address), let open = state.byNetwork[network] else { return }
      state.byNetwork[network] = open > 1 ? open - 1 : nil
    }
  }
}
