import Foundation
import Glibc
import Logging
import MartletAdmin
import Synchronization
import Testing

/// A TCP connection to loopback that blocks; used on threads of its own.
private final class Connection: Sendable {
  private let descriptor: Int32

  init?(port: UInt16, host: String = "127.0.0.1") {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    inet_pton(AF_INET, host, &address.sin_addr)
    var limit = timeval(tv_sec: 10, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    let connected = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard connected == 0 else { return nil }
  }

  deinit { close(descriptor) }

  func send(_ text: String) {
    let bytes = Array(text.utf8)
    _ = Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
  }

  /// What comes until the peer closes, or until `enough` says so.
  func receive(until enough: (String) -> Bool = { _ in false }) -> String {
    var received: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = recv(descriptor, &buffer, buffer.count, 0)
      guard count > 0 else { break }
      received += buffer[..<count]
      if enough(String(decoding: received, as: UTF8.self)) { break }
    }
    return String(decoding: received, as: UTF8.self)
  }
}

/// Runs `work` on a thread of its own: tasks and Dispatch share a handful, which the server needs.
private func blocking<Result: Sendable>(_ work: @escaping @Sendable () -> Result) async -> Result {
  await withCheckedContinuation { continuation in
    Thread.detachNewThread { continuation.resume(returning: work()) }
  }
}

private func get(_ path: String, port: UInt16, method: String = "GET") async -> String {
  await blocking {
    guard let connection = Connection(port: port) else { return "refused" }
    connection.send("\(method) \(path) HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    return connection.receive()
  }
}

private let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// The usual options, on a port that the system picks.
private func options(_ change: (inout AdminServer.Options) -> Void = { _ in }) -> AdminServer.Options {
  var options = AdminServer.Options()
  options.port = 0
  change(&options)
  return options
}

private func withServer(
  _ routes: [AdminRoute], _ options: AdminServer.Options = options(), _ body: (UInt16) async throws -> Void
) async throws {
  let server = AdminServer(options: options, routes: routes, logger: quiet)
  let port = try await server.start()
  do {
    try await body(port)
  } catch {
    await server.stop()
    throw error
  }
  await server.stop()
}

@Suite("Admin endpoint")
struct AdminServerTests {
  private final class State: Sendable {
    let isReady = Mutex(false)
  }

  @Test("metrics and probes answer as their closures say, from one moment to the next")
  func pages() async throws {
    let state = State()
    let routes: [AdminRoute] = [
      .metrics { "# HELP a As.\n# TYPE a gauge\na 1\n" },
      .liveness { AdminProbe(true, "live") },
      .readiness {
        state.isReady.withLock { $0 ? AdminProbe(true, "") : AdminProbe(false, "model \"a\" is loading") }
      },
    ]
    try await withServer(routes) { port in
      #expect(port != 0)
      let metrics = await get("/metrics", port: port)
      #expect(metrics.hasPrefix("HTTP/1.1 200 OK\r\n"))
      #expect(metrics.contains("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"))
      #expect(metrics.hasSuffix("\r\n\r\n# HELP a As.\n# TYPE a gauge\na 1\n"))
      #expect(await get("/livez", port: port).hasSuffix("\r\n\r\nlive\n"))
      let unready = await get("/readyz", port: port)
      #expect(unready.hasPrefix("HTTP/1.1 503 Service Unavailable\r\n"))
      #expect(unready.hasSuffix("\r\n\r\nmodel \"a\" is loading\n"))
      state.isReady.withLock { $0 = true }
      let ready = await get("/readyz", port: port)
      #expect(ready.hasPrefix("HTTP/1.1 200 OK\r\n"))
      #expect(ready.hasSuffix("\r\n\r\nok\n"))
    }
  }

  @Test("other paths are not found, other methods not allowed, and HEAD has no body")
  func others() async throws {
    try await withServer([.liveness { AdminProbe(true, "live") }]) { port in
      let unknown = await get("/etc/passwd", port: port)
      #expect(unknown.hasPrefix("HTTP/1.1 404 Not Found\r\n"))
      #expect(unknown.hasSuffix("paths: /livez\n"))
      let post = await get("/livez", port: port, method: "POST")
      #expect(post.hasPrefix("HTTP/1.1 405 Method Not Allowed\r\n"))
      #expect(post.contains("Allow: GET, HEAD\r\n"))
      let head = await get("/livez", port: port, method: "HEAD")
      #expect(head.contains("Content-Length: 5\r\n"))
      #expect(head.hasSuffix("\r\n\r\n"))
    }
  }

  @Test("a connection that is kept answers again and again")
  func keepAlive() async throws {
    try await withServer([.liveness { AdminProbe(true, "live") }]) { port in
      let answers = await blocking {
        guard let connection = Connection(port: port) else { return [String]() }
        return (0..<20).map { _ in
          connection.send("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
          return connection.receive { $0.hasSuffix("\r\n\r\nlive\n") }
        }
      }
      #expect(answers.count == 20)
      #expect(answers.allSatisfy { $0.hasPrefix("HTTP/1.1 200 OK\r\n") })
    }
  }

  @Test("a silent connection is closed after the idle time")
  func idle() async throws {
    try await withServer([], options { $0.idleTimeout = .milliseconds(50) }) { port in
      let received = await blocking { () -> String in
        let connection = Connection(port: port)
        connection?.send("GET /livez HTTP/1.1\r\n")
        return connection?.receive() ?? "refused"
      }
      #expect(received == "")
    }
  }

  @Test("connections over the bound are closed, and the others go on")
  func bound() async throws {
    try await withServer([.liveness { AdminProbe(true, "live") }], options { $0.maximumConnections = 2 }) { port in
      let (received, answers) = await blocking { () -> (String, [String]) in
        let kept = (0..<2).compactMap { _ in Connection(port: port) }
        for connection in kept {
          connection.send("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
          _ = connection.receive { $0.hasSuffix("live\n") }
        }
        // Both wait for their next request now, or do so in a moment: then a third one is closed.
        var received = "x"
        for _ in 0..<1000 where received != "" {
          let third = Connection(port: port)
          third?.send("G")
          usleep(1000)
          third?.send("ET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
          received = third?.receive() ?? "refused"
        }
        let answers = kept.map { connection in
          connection.send("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
          return connection.receive { $0.hasSuffix("live\n") }
        }
        return (received, answers)
      }
      #expect(received == "")
      #expect(answers.allSatisfy { $0.hasPrefix("HTTP/1.1 200 OK\r\n") })
    }
  }

  @Test("garbage closes its connection, and the next one is answered")
  func garbage() async throws {
    try await withServer([.liveness { AdminProbe(true, "live") }]) { port in
      for text in [
        "\0\0\0\0\n", "GET\n\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET /livez HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
      ] {
        _ = await blocking { () -> String in
          let connection = Connection(port: port)
          connection?.send(text)
          return connection?.receive { !$0.isEmpty } ?? ""
        }
      }
      #expect(await get("/livez", port: port).hasPrefix("HTTP/1.1 200 OK\r\n"))
    }
  }

  @Test("a port in use is an error that names the port and the flag")
  func portInUse() async throws {
    try await withServer([]) { port in
      var options = AdminServer.Options()
      options.port = port
      let second = AdminServer(options: options, routes: [], logger: quiet)
      let error = await #expect(throws: AdminServerError.self) { try await second.start() }
      #expect(
        error?.message
          == "port \(port) of the admin address 127.0.0.1:\(port) is in use; set another with --admin HOST:PORT "
          + "(port 0 picks a free one), or --admin off for none")
    }
  }

  @Test("an address that others reach needs the explicit flag")
  func remote() async throws {
    var options = AdminServer.Options()
    options.host = "0.0.0.0"
    options.port = 0
    let closed = AdminServer(options: options, routes: [], logger: quiet)
    let error = await #expect(throws: AdminServerError.self) { try await closed.start() }
    #expect(error?.message.contains("--admin-allow-remote (admin.allow_remote)") == true)
    options.allowRemote = true
    try await withServer([.liveness { AdminProbe(true, "live") }], options) { port in
      #expect(await get("/livez", port: port).hasPrefix("HTTP/1.1 200 OK\r\n"))
    }
  }

  @Test("a host that nobody knows is one clear error")
  func unknownHost() async {
    var options = AdminServer.Options()
    // Looks like an address, so no name server is asked.
    options.host = "::1%nowhere"
    let server = AdminServer(options: options, routes: [], logger: quiet)
    let error = await #expect(throws: AdminServerError.self) { try await server.start() }
    #expect(
      error?.message == "cannot resolve the admin address [::1%nowhere]:8002; set another with --admin HOST:PORT")
  }

  @Test("after stop the port is free and connections are closed")
  func stop() async throws {
    var options = AdminServer.Options()
    options.port = 0
    let server = AdminServer(options: options, routes: [.liveness { AdminProbe(true, "live") }], logger: quiet)
    let port = try await server.start()
    #expect(await get("/livez", port: port).hasPrefix("HTTP/1.1 200 OK\r\n"))
    await server.stop()
    #expect(await get("/livez", port: port) == "refused")
  }
}
