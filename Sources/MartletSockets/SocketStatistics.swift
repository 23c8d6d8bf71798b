import MartletCore

/// Numbers of one reactor's sockets, written by its thread alone and read by any.
public final class SocketStatistics: MetricSource {
  public let reactor: Int

  public init(reactor: Int) { self.reactor = reactor }

  public func collect(into collector: inout MetricCollector) {}
}
