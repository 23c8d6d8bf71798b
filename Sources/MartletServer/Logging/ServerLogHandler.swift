import Logging
import MartletCore

/// The server's handler for swift-log: hands lines to a `LogSink`.
struct ServerLogHandler: LogHandler {
  private let label: String
  private let sink: LogSink
  var logLevel: Logger.Level
  var metadata: Logger.Metadata = [:]
  var metadataProvider: Logger.MetadataProvider?

  init(label: String, level: Logger.Level, sink: LogSink, metadataProvider: Logger.MetadataProvider? = nil) {
    self.label = label
    self.sink = sink
    logLevel = level
    self.metadataProvider = metadataProvider
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
  private let level: Logger.Level

  /// - Parameter descriptor: where lines go, standard error by default; stays the caller's.
  public init(_ configuration: ServerConfiguration.Logging, descriptor: Int32 = 2) {
    sink = LogSink(
      descriptor: descriptor, format: configuration.format, linesPerSecond: configuration.linesPerSecond)
    level = Logger.Level(rawValue: configuration.level.rawValue) ?? .info
  }

  /// A logger that writes here, whatever the process as a whole logs to.
  public func logger(label: String) -> Logger {
    Logger(label: label) { ServerLogHandler(label: $0, level: level, sink: sink) }
  }

  /// Makes every logger of the process write here. Once in a process, before the first logger is made.
  public func bootstrap() {
    LoggingSystem.bootstrap(
      { [sink, level] label, provider in
        ServerLogHandler(label: label, level: level, sink: sink, metadataProvider: provider)
      }, metadataProvider: nil)
  }

  /// How many lines were written and left out.
  public var metrics: any MetricSource { sink }

  /// Waits until what was logged is written, a second at most; before the process ends.
  public func flush() { sink.flush() }
}
