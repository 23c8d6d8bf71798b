import MartletCore
import Testing

@testable import MartletClient

@Suite struct MartletClientTests {
  private let echo: @Sendable (ScriptedServer.Request) -> ScriptedServer.Reply = { .payload($0.payload) }

  private func quick(_ adjust: (inout ClientConfiguration) -> Void = { _ in }) -> ClientConfiguration {
    var configuration = ClientConfiguration()
    configuration.retry.initialBackoff = .milliseconds(2)
    configuration.retry.maximumBackoff = .milliseconds(10)
    adjust(&configuration)
    return configuration
  }

  private func failure(_ body: () async throws -> Void) async -> ClientError? {
    do {
      try await body()
      return nil
    } catch {
      return error as? ClientError
    }
  }

  @Test("a call arrives with its service, method, payload and time left, and its answer comes back")
  func call() async throws {
    let server = ScriptedServer(echo)
    defer { server.stop() }
    let client = try MartletClient(server.url)
    #expect(try await client.call(.null, payload: [1, 2, 3], timeout: .seconds(5)) == [1, 2, 3])
    let request = try #require(server.requests.first)
    #expect(request.service == "martlet.v1.Scoring")
    #expect(request.method == "Null")
    #expect(request.timeoutNanoseconds > 0 && request.timeoutNanoseconds <= 5_000_000_000)
    await client.close()
  }

  @Test("a host's name is looked up before the first call")
  func name() async throws {
    let server = ScriptedServer(echo)
    defer { server.stop() }
    let client = try MartletClient("ttrpc://localhost:\(server.port)", configuration: quick())
    #expect(try await client.call(.null, payload: [7]) == [7])
    await client.close()
  }

  @Test("a name that nobody knows is an error that says so")
  func unknownName() async throws {
    let client = try MartletClient("ttrpc://no-such-host.invalid:1", configuration: quick { $0.retry = .none })
    let error = await failure { _ = try await client.call(.null, payload: []) }
    #expect(error?.code == .unavailable)
    #expect(error?.origin == .connection)
    #expect(error?.message.contains("no-such-host.invalid") == true)
    await client.close()
  }

  @Test("many calls share few connections, and each gets its own answer")
  func multiplexing() async throws {
    let server = ScriptedServer(echo)
    defer { server.stop() }
    let client = try MartletClient(
      server.url,
      configuration: quick {
        $0.connectionsPerAddress = 2
        $0.timeout = .seconds(120)
      })
    try await withThrowingTaskGroup(of: Void.self) { group in
      for call in 0..<500 {
        group.addTask {
          let payload = [UInt8(call & 255), UInt8(call >> 8)]
          let answer = try await client.call(.null, payload: payload)
          #expect(answer == payload)
        }
      }
      try await group.waitForAll()
    }
    #expect(server.connections <= 2)
    #expect(server.requests.count == 500)
    await client.close()
  }

  @Test("answers in another order than the calls reach the right callers")
  func order() async throws {
    let server = ScriptedServer { $0.number == 9 ? .reversed(count: 10) : .silence }
    defer { server.stop() }
    let client = try MartletClient(server.url, configuration: quick { $0.connectionsPerAddress = 1 })
    try await withThrowingTaskGroup(of: Void.self) { group in
      for call in 0..<10 as Range<UInt8> {
        group.addTask {
          let answer = try await client.call(.null, payload: [call])
          #expect(answer == [call])
        }
      }
      try await group.waitForAll()
    }
    await client.close()
  }

  @Test("a call that the server refuses with UNAVAILABLE is tried again, unless it changes the server")
  func unavailable() async throws {
    let server = ScriptedServer { $0.number == 1 ? .payload([9]) : .status(14, "draining") }
    defer { server.stop() }
    let client = try MartletClient(server.url, configuration: quick())
    #expect(try await client.call(.score, payload: []) == [9])
    #expect(server.requests.count == 2)
    let error = await failure { try await client.unload("m") }
    #expect(
      error == ClientError(.unavailable, "draining", address: "ttrpc://127.0.0.1:\(server.port)", origin: .server))
    #expect(server.requests.count == 3)
    await client.close()
  }

  @Test("attempts end, and the error says how many there were")
  func attempts() async throws {
    let server = ScriptedServer { _ in .status(14, "not ready") }
    defer { server.stop() }
    let client = try MartletClient(server.url, configuration: quick { $0.retry.maximumAttempts = 4 })
    let error = await failure { _ = try await client.call(.score, payload: []) }
    #expect(error?.message == "not ready (after 4 attempts)")
    #expect(server.requests.count == 4)
    await client.close()
  }

  @Test("a refusal that time does not heal comes back at once, with the server's words")
  func refusal() async throws {
    let server = ScriptedServer { $0.number == 0 ? .status(5, "no model \"x\"") : .status(77, "odd") }
    defer { server.stop() }
    let client = try MartletClient(server.url, configuration: quick())
    let first = await failure { _ = try await client.describe("x") }
    #expect(first?.code == .notFound)
    #expect(first?.description.hasPrefix("NOT_FOUND: no model \"x\" (ttrpc://127.0.0.1:") == true)
    let second = await failure { _ = try await client.describe("x") }
    #expect(second?.code == .unknown)
    #expect(second?.message == "status 77: odd")
    #expect(server.requests.count == 2)
    await client.close()
  }

  @Test("a call whose connection ends is sent again when that does no harm")
  func lost() async throws {
    let server = ScriptedServer { $0.number == 0 || $0.method == "RepositoryModelLoad" ? .hangUp : .payload([4]) }
    defer { server.stop() }
    let client = try MartletClient(server.url, configuration: quick())
    #expect(try await client.call(.score, payload: []) == [4])
    let error = await failure { try await client.load("m") }
    #expect(error?.code == .unavailable)
    #expect(error?.origin == .connection)
    #expect(error?.message.hasSuffix("whether the call was executed is not known") == true)
    #expect(server.requests.filter { $0.method == "RepositoryModelLoad" }.count == 1)
    await client.close()
  }

  @Test("a server that nobody runs is an error that names it and why")
  func refused() async throws {
    let port = ScriptedServer.closedPort()
    let client = try MartletClient("ttrpc://127.0.0.1:\(port)", configuration: quick())
    let error = await failure { try await client.load("m") }
    #expect(error?.code == .unavailable)
    #expect(error?.origin == .connection)
    #expect(error?.address == "ttrpc://127.0.0.1:\(port)")
    // Not sent, so even this one is tried again.
    #expect(error?.message == "cannot connect: Connection refused (after 5 attempts)")
    await client.close()
  }

  @Test("a peer that does not speak ttrpc is an error that says so")
  func stranger() async throws {
    let server = ScriptedServer { _ in .raw(Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8)) }
    defer { server.stop() }
    let client = try MartletClient(server.url, configuration: quick { $0.retry = .none })
    let error = await failure { _ = try await client.call(.score, payload: []) }
    #expect(error?.message.contains("does not speak ttrpc") == true)
    await client.close()
  }

  @Test("a call without an answer ends at its deadline, and the connection goes on")
  func deadline() async throws {
    // By what it brings: on a busy machine the first may end before it is sent.
    let server = ScriptedServer { $0.payload.isEmpty ? .silence : .payload($0.payload) }
    defer { server.stop() }
    let client = try MartletClient(server.url, configuration: quick { $0.connectionsPerAddress = 1 })
    let error = await failure { _ = try await client.call(.score, payload: [], timeout: .milliseconds(30)) }
    #expect(error?.code == .deadlineExceeded)
    #expect(try await client.call(.score, payload: [5]) == [5])
    #expect(server.connections == 1)
    await client.close()
  }

  @Test("a cancelled task ends its call")
  func cancellation() async throws {
    let server = ScriptedServer { $0.number == 0 ? .silence : .payload($0.payload) }
    defer { server.stop() }
    let client = try MartletClient(server.url, configuration: quick { $0.timeout = nil })
    let task = Task { await failure { _ = try await client.call(.score, payload: []) } }
    while server.requests.isEmpty { await Task.yield() }
    task.cancel()
    #expect(await task.value?.code == .cancelled)
    let before = Task {
      withUnsafeCurrentTask { $0?.cancel() }
      return await failure { _ = try await client.call(.score, payload: []) }
    }
    #expect(await before.value?.code == .cancelled)
    await client.close()
  }

  @Test("servers share the calls in turn")
  func roundRobin() async throws {
    let servers = (0..<3).map { _ in ScriptedServer(echo) }
    defer { for server in servers { server.stop() } }
    let client = try MartletClient(servers.map(\.url).joined(separator: ","), configuration: quick())
    // Until all are connected the calls go where they can.
    while servers.contains(where: { $0.requests.isEmpty }) { _ = try await client.call(.null, payload: [1]) }
    let before = servers.map(\.requests.count)
    for _ in 0..<30 { _ = try await client.call(.null, payload: [1]) }
    #expect(zip(servers, before).map { $0.requests.count - $1 } == [10, 10, 10])
    await client.close()
  }

  @Test("a server that is gone is passed over, and no call fails")
  func ejection() async throws {
    let server = ScriptedServer(echo)
    let leaving = ScriptedServer(echo)
    defer { server.stop() }
    let dead = ScriptedServer.closedPort()
    let client = try MartletClient(
      "\(leaving.url),ttrpc://127.0.0.1:\(dead),\(server.url)", configuration: quick())
    for call in 0..<60 as Range<UInt8> {
      if call == 20 { leaving.stop() }
      #expect(try await client.call(.null, payload: [call]) == [call])
    }
    #expect(server.requests.count >= 20)
    await client.close()
  }

  @Test("a server that drains is left for the one that listens at its place")
  func draining() async throws {
    // The first connection's server is on its way out and refuses everything from its third call on.
    let server = ScriptedServer { request in
      request.connection == 0 && request.number >= 2 ? .status(14, "draining") : .payload(request.payload)
    }
    defer { server.stop() }
    let client = try MartletClient(server.url, configuration: quick { $0.connectionsPerAddress = 1 })
    for call in 0..<10 as Range<UInt8> { #expect(try await client.call(.score, payload: [call]) == [call]) }
    #expect(server.connections == 2)
    #expect(server.requests.filter { $0.connection == 0 }.count == 3)
    await client.close()
  }

  @Test("calls beyond what a connection takes wait, and beyond what may wait are refused")
  func waiting() async throws {
    let server = ScriptedServer { $0.number == 3 ? .reversed(count: 4) : .silence }
    defer { server.stop() }
    let configuration = quick {
      $0.connectionsPerAddress = 1
      $0.maximumCallsInFlightPerConnection = 2
      $0.maximumWaitingCalls = 3
      $0.timeout = .milliseconds(300)
    }
    let client = try MartletClient(server.url, configuration: configuration)
    // Two in flight, three waiting, the sixth refused. The two time out, two of the waiting follow, and the last of
    // those is answered together with all before it.
    let codes = await withTaskGroup(of: StatusCode.self) { group in
      for _ in 0..<6 {
        group.addTask { await failure { _ = try await client.call(.null, payload: [1]) }?.code ?? .ok }
      }
      var codes: [StatusCode: Int] = [:]
      for await code in group { codes[code, default: 0] += 1 }
      return codes
    }
    #expect(codes[.resourceExhausted] ?? 0 >= 1)
    #expect(codes.values.reduce(0, +) == 6)
    #expect(server.requests.count <= 5)
    await client.close()
  }

  @Test("closing ends the calls that wait, refuses later ones, and frees everything")
  func closing() async throws {
    let server = ScriptedServer { _ in .silence }
    defer { server.stop() }
    weak var dispatcher: CallDispatcher?
    do {
      let client = try MartletClient(server.url, configuration: quick { $0.timeout = nil })
      dispatcher = client.dispatcher
      let task = Task { await failure { _ = try await client.call(.score, payload: []) } }
      while server.requests.isEmpty { await Task.yield() }
      await client.close()
      await client.close()
      #expect(await task.value?.code == .cancelled)
      #expect(await failure { _ = try await client.call(.score, payload: []) }?.message == "the client is closed")
    }
    for _ in 0..<1_000 where dispatcher != nil { try await Task.sleep(for: .milliseconds(1)) }
    #expect(dispatcher == nil)
  }

  @Test("a client that is dropped without closing frees everything too")
  func dropping() async throws {
    let server = ScriptedServer(echo)
    defer { server.stop() }
    weak var dispatcher: CallDispatcher?
    do {
      let client = try MartletClient(server.url)
      dispatcher = client.dispatcher
      _ = try await client.call(.null, payload: [1])
    }
    for _ in 0..<1_000 where dispatcher != nil { try await Task.sleep(for: .milliseconds(1)) }
    #expect(dispatcher == nil)
  }
}
