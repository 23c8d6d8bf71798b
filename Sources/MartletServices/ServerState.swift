import MartletRepository
import Synchronization

/// Whether the server is ready, for everybody who asks. Any thread.
public final class ServerState: Sendable {
  /// Which models must be loaded before the server is ready.
  public enum ReadinessPolicy: String, Sendable {
    case all
    case any
  }

  /// Name of this server process, in prediction ids: 16 hexadecimal digits, unique over restarts.
  public let instance: String
  public let version: String
  private let policy: Mutex<ReadinessPolicy>
  private let repository: ModelRepository
  private let started = Atomic<Bool>(false)
  private let draining = Atomic<Bool>(false)

  public init(version: String, policy: ReadinessPolicy, repository: ModelRepository) {
    let random = String(UInt64.random(in: .min ... .max), radix: 16)
    instance = String(repeating: "0", count: 16 - random.count) + random
    self.version = version
    self.policy = Mutex(policy)
    self.repository = repository
  }

  /// Readiness goes by another rule from here on.
  public func apply(_ policy: ReadinessPolicy) { self.policy.withLock { $0 = policy } }

  /// The models have been loaded, or have failed to.
  public func markStarted() { started.store(true, ordering: .releasing) }

  /// From here on the server is not ready.
  public func markDraining() { draining.store(true, ordering: .releasing) }

  public var isDraining: Bool { draining.load(ordering: .acquiring) }

  /// Whether calls should be sent here, and if not, why.
  public var readiness: (isReady: Bool, reason: String) {
    guard started.load(ordering: .acquiring) else { return (false, "models are being loaded") }
    guard !isDraining else { return (false, "shutting down") }
    let catalogue = repository.catalogue
    let policy = self.policy.withLock { $0 }
    let missing = catalogue.entries.filter(\.versions.isEmpty)
    if let first = missing.first(where: { policy == .all || $0.isRequired }) {
      return (false, "model \"\(first.name)\" is not ready: \(first.reason)")
    }
    if catalogue.models.isEmpty, !missing.isEmpty { return (false, "no model is ready") }
    return (true, "")
  }
}
