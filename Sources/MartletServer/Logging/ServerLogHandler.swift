import Logging
import MartletCore

/// The server's handler for swift-log: hands lines to a `LogSink`.
struct ServerLogHandler: LogHandler {
  private let label: String
  private let sink: LogSink
  /// A level that a logger was given for itself.
  private var ownLevel: Logger.Level?
  var metadata: Logger.Metadata = [:]
  var metadataProvider: Logger.MetadataProvider?

  init(label: String, sink: LogSink, metadataProvider: Logger.MetadataProvider? = nil) {
    self.label = label
    self.sink = sink
    self.metadataProvider = metadataProvider
  }

  var logLevel: Logger.Level {
    get { ownLevel ?? sink.level }
    set { ownLevel = newValue }
  }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    var all = metadata
    if let provided = metadataProvider?.get() { all.merge(provided) { _, new in new } }
    if let own = event.metadata { all.merge(own) { _, new in new } }
    if let error = event.error { all["error"] = "\(error)" }
    sink.take(level: event.level, label: label, message: "\(event.message)", metadata: all)
  }
}

/// The log of a server process.
public struct ServerLogging: Sendable {
  private let sink: LogSink

  /// - Parameter descriptor: where lines go, standard error by default; stays the caller's.
  public init(_ configuration: ServerConfiguration.Logging, descriptor: Int32 = 2) {
    sink = LogSink(
      descriptor: descriptor, format: configuration.format, linesPerSecond: configuration.linesPerSecond,
      level: Self.level(configuration))
  }

  private static func level(_ configuration: ServerConfiguration.Logging) -> Logger.Level {
    Logger.Level(rawValue: configuration.level.rawValue) ?? .info
  }

  /// Writes by other settings from here on, whatever loggers there are.
  public func apply(_ configuration: ServerConfiguration.Logging) {
    sink.apply(
      format: configuration.format, linesPerSecond: configuration.linesPerSecond, level: Self.level(configuration))
  }

  /// A logger that writes here, whatever the process as a whole logs to.
  public func logger(label: String) -> Logger {
    Logger(label: label) { ServerLogHandler(label: $0, sink: sink) }
  }

  /// Makes every logger of the process write here. Once in a process, before the first logger is made.
  public func bootstrap() {
    LoggingSystem.bootstrap(
      { [sink] label, provider in
        ServerLogHandler(label: label, sink: sink, metadataProvider: provider)
      }, metadataProvider: nil)
  }

  /// How many lines were written and left out.
  public var metrics: any MetricSource { sink }

  /// Waits until what was logged is written, a second at most; before the process ends.
  public func flush() { sink.flush() }
}
