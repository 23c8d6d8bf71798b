import MartletRepository

/// Everything that can be set about a server: one value, made from defaults, a file, the environment and flags.
///
/// The properties hold the defaults; `ServerConfiguration.keys` says how each is written, what is allowed and what
/// it does. Both together are all that a new setting needs.
public struct ServerConfiguration: Sendable, Equatable {
  public var listen: [ListenAddress] = [.tcp(host: "127.0.0.1", port: 8001)]
  public var poller: Poller = .epoll
  public var spin: Duration = .zero
  /// Nil: from the usable cores.
  public var reactors: Int?
  /// Nil: from the usable cores.
  public var scorers: Int?
  /// Nil: no hand-over to a successor.
  public var takeover: String?
  public var admin = Admin()
  public var models = Models()
  public var rounds = Rounds()
  public var batching = Batching()
  public var limits = Limits()
  public var timeouts = Timeouts()
  public var logging = Logging()

  /// Where each key's value came from, by path; a key that is missing here has its default.
  var origins: [String: ConfigurationOrigin] = [:]

  public init() {}

  /// How a reactor learns which sockets are ready.
  public enum Poller: String, Sendable, CaseIterable {
    case epoll
    case dispatch
  }

  /// The HTTP endpoint for metrics and probes.
  public struct Admin: Sendable, Equatable {
    /// Nil: no endpoint.
    public var address: HostPort? = HostPort(host: "127.0.0.1", port: 8002)
    public var allowRemote = false
  }

  public struct Models: Sendable, Equatable {
    public var directory = "models"
    public var readiness: Readiness = .all
    /// How long the tree ensembles of a model are measured when it is loaded.
    public var planningTime: Duration = .milliseconds(50)

    public enum Readiness: String, Sendable, CaseIterable {
      case all
      case any
    }
  }

  /// What one connection gets of one round of its reactor.
  public struct Rounds: Sendable, Equatable {
    public var connectionBytes = 64 << 10
    public var connectionCalls = 64
  }

  public struct Batching: Sendable, Equatable {
    public var inlineBudget: Duration = .microseconds(200)
    public var maxRows = 4096
    public var maxQueueRows = 65_536
    public var priorityLevels = 3
    /// Nil: the middle one.
    public var defaultPriority: Int?
  }

  public struct Limits: Sendable, Equatable {
    public var maxConnections = 8192
    public var maxConnectionsPerAddress = 4096
    public var callsPerConnection = 1024
    public var callsInFlight = 65_536
    public var adaptive = true
    public var adaptiveFloor = 1024
    public var rowsPerCall = 65_536
    public var frameBytes = 4 << 20
    public var writeBufferBytes = 8 << 20
    public var writeHighWaterBytes = 1 << 20
    public var bufferBytes = 512 << 20
    public var mailboxEntries = 65_536
    public var messageMemoryBytes = 32 << 20
    public var requestMemoryBytes = 256 << 20
    public var modelFileBytes = 1 << 30
    public var modelChanges = 64
  }

  /// Zero means without end where the key's documentation says so.
  public struct Timeouts: Sendable, Equatable {
    public var firstByte: Duration = .seconds(10)
    public var idle: Duration = .seconds(600)
    public var frame: Duration = .seconds(10)
    public var write: Duration = .seconds(10)
    public var linger: Duration = .seconds(2)
    public var acceptBackoff: Duration = .milliseconds(100)
    public var grace: Duration = .zero
    public var drain: Duration = .seconds(20)
  }

  public struct Logging: Sendable, Equatable {
    public var format: Format = .text
    public var level: Level = .info
    public var linesPerSecond = 200

    public enum Format: String, Sendable, CaseIterable {
      case text
      case json
    }

    /// The levels of swift-log, by their names.
    public enum Level: String, Sendable, CaseIterable {
      case trace
      case debug
      case info
      case notice
      case warning
      case error
      case critical
    }
  }
}
