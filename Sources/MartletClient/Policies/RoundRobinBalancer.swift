import MartletCore
import MartletSockets

/// Takes addresses in turn and passes over those that fail, until their time out is up.
///
/// When all are ejected the one that comes back first is used all the same: trying is better than refusing.
struct RoundRobinBalancer: Sendable {
  struct Endpoint: Sendable, Equatable {
    let id: Int
    let address: SocketAddress
    var failuresInARow = 0
    /// Ejections since the last success.
    var ejections = 0
    var ejectedUntil: MonotonicTime?
  }

  private(set) var endpoints: [Endpoint] = []
  private let policy: EjectionPolicy
  private var turn = 0
  private var nextID = 0

  init(policy: EjectionPolicy) { self.policy = policy }

  /// Takes over the addresses of a lookup; those that were known keep their record. Returns the ids of those that are
  /// gone.
  mutating func replace(with addresses: [SocketAddress]) -> [Int] {
    var kept: [Endpoint] = []
    for address in addresses where !kept.contains(where: { $0.address == address }) {
      if let known = endpoints.first(where: { $0.address == address }) {
        kept.append(known)
      } else {
        kept.append(Endpoint(id: nextID, address: address))
        nextID += 1
      }
    }
    let gone = endpoints.filter { old in !kept.contains { $0.id == old.id } }.map(\.id)
    endpoints = kept
    return gone
  }

  func endpoint(_ id: Int) -> Endpoint? { endpoints.first { $0.id == id } }

  /// The addresses to try for a call, best first; the next call begins one further on.
  ///
  /// `avoiding` names the one where the call has just failed: it comes last.
  mutating func candidates(now: MonotonicTime, avoiding: Int? = nil) -> [Int] {
    guard !endpoints.isEmpty else { return [] }
    turn = (turn + 1) % endpoints.count
    let inTurn = endpoints[turn...] + endpoints[..<turn]
    let admitted = inTurn.filter { $0.ejectedUntil.map { $0 <= now } ?? true }
    guard !admitted.isEmpty else {
      let first = inTurn.min { ($0.ejectedUntil ?? now) < ($1.ejectedUntil ?? now) }
      return first.map { [$0.id] } ?? []
    }
    return admitted.filter { $0.id != avoiding }.map(\.id) + admitted.filter { $0.id == avoiding }.map(\.id)
  }

  mutating func succeeded(_ id: Int) {
    guard let index = endpoints.firstIndex(where: { $0.id == id }) else { return }
    endpoints[index].failuresInARow = 0
    endpoints[index].ejections = 0
    endpoints[index].ejectedUntil = nil
  }

  /// A failure; `atOnce` when one is enough, as it is for a connection.
  mutating func failed(_ id: Int, atOnce: Bool, now: MonotonicTime) {
    guard let index = endpoints.firstIndex(where: { $0.id == id }) else { return }
    // While it is ejected, answers to calls that were sent before do not count again.
    if let until = endpoints[index].ejectedUntil, until > now, !atOnce { return }
    endpoints[index].failuresInARow += 1
    let wasEjected = endpoints[index].ejections > 0
    guard atOnce || wasEjected || endpoints[index].failuresInARow >= policy.failures else { return }
    endpoints[index].failuresInARow = 0
    let doublings = min(endpoints[index].ejections, 32)
    endpoints[index].ejections += 1
    let time = policy.initialDuration.wholeNanoseconds.multipliedReportingOverflow(by: 1 << UInt64(doublings))
    let bounded = min(time.overflow ? .max : time.partialValue, policy.maximumDuration.wholeNanoseconds)
    endpoints[index].ejectedUntil = now.advanced(byNanoseconds: bounded)
  }
}
