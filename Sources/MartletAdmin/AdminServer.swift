import Dispatch
import FlyingFox
import FlyingSocks
import Foundation
import Glibc
import Logging
import Synchronization

/// Plain HTTP for the people and machines that run a server: metrics, probes, pages.
///
/// It speaks neither TLS nor passwords, so it stays on loopback unless it is told otherwise. The library underneath
/// bounds neither the length of a header nor the time that a dripping one takes: put a proxy in front of it wherever
/// peers are not trusted. Pages are made one at a time on a thread of their own, never on one that serves calls.
public actor AdminServer {
  public struct Options: Sendable {
    /// A host name or numeric address; IPv6 without brackets.
    public var host = "127.0.0.1"
    /// 0 lets the system pick.
    public var port: UInt16 = 8002
    /// Whether the address may be one that other machines reach.
    public var allowRemote = false
    /// Silence after which a connection is closed.
    public var idleTimeout: Duration = .seconds(60)
    public var maximumConnections = 64

    public init() {}
  }

  private let options: Options
  private let pages: AdminPages
  private let logger: Logger
  private var server: HTTPServer?
  private var running: Task<Void, Never>?
  /// What the system picked; kept when listening has to begin anew.
  private var boundPort: UInt16 = 0
  private var isStopping = false

  public init(options: Options, routes: [AdminRoute], logger: Logger) {
    self.options = options
    self.logger = logger
    pages = AdminPages(routes)
  }

  /// Listens and begins to answer; returns the port.
  ///
  /// Errors name the address and the flag that changes it.
  public func start() async throws(AdminServerError) -> UInt16 {
    let shown = options.host.contains(":") ? "[\(options.host)]:\(options.port)" : "\(options.host):\(options.port)"
    guard let address = await resolve() else {
      throw AdminServerError(message: "cannot resolve the admin address \(shown); set another with --admin HOST:PORT")
    }
    guard options.allowRemote || address.isLoopback else {
      throw AdminServerError(
        message: "the admin address \(shown) can be reached from other machines, and the endpoint has neither TLS nor "
          + "a login; use a loopback address, or --admin-allow-remote (admin.allow_remote)")
    }
    do {
      boundPort = try await listen(address)
      return boundPort
    } catch SocketError.failed(_, EADDRINUSE, _) {
      throw AdminServerError(
        message: "port \(options.port) of the admin address \(shown) is in use; set another with --admin HOST:PORT "
          + "(port 0 picks a free one), or --admin off for none")
    } catch SocketError.failed(let call, let number, _) {
      throw AdminServerError(
        message: "cannot listen on the admin address \(shown): \(call.lowercased()): "
          + "\(String(cString: strerror(number))); set another with --admin HOST:PORT")
    } catch {
      throw AdminServerError(message: "cannot listen on the admin address \(shown): \(error)")
    }
  }

  /// Off the threads of tasks, since asking a name server may take seconds.
  private func resolve() async -> AdminAddress? {
    await withCheckedContinuation { [host = options.host, port = options.port] continuation in
      DispatchQueue(label: "martlet.admin.resolver").async {
        continuation.resume(returning: AdminAddress(host: host, port: port))
      }
    }
  }

  private enum Beginning: Sendable {
    case listening
    case ended(any Error)
  }

  /// Runs the library's server until it ends by itself or `stop`; returns the port when it listens.
  private func listen(_ address: AdminAddress) async throws -> UInt16 {
    let pool = AdminSocketPool(
      HTTPServer.defaultPool(), idleTimeout: options.idleTimeout, maximumConnections: options.maximumConnections)
    let server = HTTPServer(
      config: HTTPServer.Configuration(
        address: address.socketAddress, timeout: 15, sharedRequestReplaySize: 0, pool: pool, logger: .disabled),
      handler: pages)
    let (beginnings, report) = AsyncStream<Beginning>.makeStream()
    let task = Task {
      do {
        try await server.run()
        report.yield(.ended(SocketError.disconnected))
      } catch {
        report.yield(.ended(error))
      }
      await self.ended(address)
    }
    Task {
      if (try? await server.waitUntilListening(timeout: 10)) != nil { report.yield(.listening) }
    }
    for await beginning in beginnings {
      switch beginning {
      case .ended(let error): throw error
      case .listening: break
      }
      break
    }
    self.server = server
    running = task
    return await port(of: server)
  }

  private func port(of server: HTTPServer) async -> UInt16 {
    switch await server.listeningAddress {
    case .ip4(_, let port), .ip6(_, let port): port
    default: 0
    }
  }

  /// The library ends when it cannot accept, for want of descriptors for example; then it is started anew.
  private func ended(_ address: AdminAddress) async {
    guard server != nil, !isStopping else { return }
    server = nil
    logger.error("admin endpoint ended; starting it again in a second")
    while !isStopping {
      try? await Task.sleep(for: .seconds(1))
      if isStopping { return }
      do {
        _ = try await listen(address.with(port: boundPort))
        logger.notice("admin endpoint listens again")
        return
      } catch {
        logger.error("admin endpoint cannot listen", metadata: ["reason": "\(error)"])
      }
    }
  }

  /// Closes the listener and the connections.
  public func stop() async {
    isStopping = true
    await server?.stop(timeout: 0.1)
    await running?.value
    server = nil
  }
}

/// Why the endpoint did not start; the message says what to do.
public struct AdminServerError: Error, Sendable, CustomStringConvertible {
  public let message: String
  public var description: String { message }
}
