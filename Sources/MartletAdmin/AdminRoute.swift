import MartletMonitoring

/// What the endpoint answers under one path. A new page is one more of these.
public struct AdminRoute: Sendable {
  /// `/metrics` for example.
  public let path: String
  /// Runs on the endpoint's own thread, one at a time; may take a few milliseconds.
  let respond: @Sendable () -> AdminResponse

  public init(_ path: String, respond: @escaping @Sendable () -> AdminResponse) {
    self.path = path
    self.respond = respond
  }

  /// `/metrics`, in the text format of Prometheus.
  public static func metrics(_ render: @escaping @Sendable () -> String) -> AdminRoute {
    AdminRoute("/metrics") { AdminResponse(contentType: PrometheusText.contentType, body: render()) }
  }

  /// `/livez`: whether the process should go on living; a supervisor restarts it otherwise.
  public static func liveness(_ probe: @escaping @Sendable () -> AdminProbe) -> AdminRoute {
    AdminRoute("/livez") { AdminResponse(probe()) }
  }

  /// `/readyz`: whether calls should be sent here.
  public static func readiness(_ probe: @escaping @Sendable () -> AdminProbe) -> AdminRoute {
    AdminRoute("/readyz") { AdminResponse(probe()) }
  }
}

/// The answer of a probe.
public struct AdminProbe: Sendable {
  public var isGood: Bool
  /// For people: what is missing; may be empty.
  public var reason: String

  public init(_ isGood: Bool, _ reason: String) {
    self.isGood = isGood
    self.reason = reason
  }
}

public struct AdminResponse: Sendable {
  /// An HTTP status code.
  public var status: Int
  public var contentType: String
  public var body: String

  public init(status: Int = 200, contentType: String = "text/plain; charset=utf-8", body: String) {
    self.status = status
    self.contentType = contentType
    self.body = body
  }

  init(_ probe: AdminProbe) {
    let body = probe.reason.isEmpty ? (probe.isGood ? "ok" : "not ok") : probe.reason
    self.init(status: probe.isGood ? 200 : 503, body: body + "\n")
  }
}
