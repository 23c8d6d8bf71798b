import Foundation
import Testing

/// The `martlet` that was built beside the tests, as a process.
enum CommandRun {
  struct Result {
    var status: Int32
    var output: String
    var errors: String

    var lines: [String] { output.split(separator: "\n").map(String.init) }
  }

  static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().path

  private static let binary = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
    .deletingLastPathComponent().appending(path: "martlet")

  private static func process(_ arguments: [String], _ environment: [String: String]) -> Process {
    let process = Process()
    process.executableURL = binary
    process.arguments = arguments
    process.currentDirectoryURL = URL(fileURLWithPath: root)
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    return process
  }

  /// Runs the command to its end.
  static func run(
    _ arguments: String..., input: String = "", environment: [String: String] = [:]
  ) async throws -> Result {
    try await run(arguments, input: input, environment: environment)
  }

  static func run(
    _ arguments: [String], input: String = "", environment: [String: String] = [:]
  ) async throws -> Result {
    try await withDirectory { try await run(arguments, input: input, environment: environment, in: $0) }
  }

  /// What it writes can be watched as it comes in the file `out` of `directory`.
  static func run(
    _ arguments: [String], input: String = "", environment: [String: String] = [:], in directory: String
  ) async throws -> Result {
    let process = process(arguments, environment)
    for name in ["in", "out", "err"] {
      let content = name == "in" ? Data(input.utf8) : Data()
      _ = FileManager.default.createFile(atPath: directory + "/" + name, contents: content)
    }
    process.standardInput = FileHandle(forReadingAtPath: directory + "/in")
    process.standardOutput = FileHandle(forWritingAtPath: directory + "/out")
    process.standardError = FileHandle(forWritingAtPath: directory + "/err")
    await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
      process.terminationHandler = { _ in continuation.resume() }
      do {
        try process.run()
      } catch {
        Issue.record("\(binary.path) does not start: \(error)")
        continuation.resume()
      }
    }
    return Result(
      status: process.terminationStatus,
      output: try String(contentsOfFile: directory + "/out", encoding: .utf8),
      errors: try String(contentsOfFile: directory + "/err", encoding: .utf8))
  }

  /// Runs `body` with a server of the repository's models, and with its address.
  static func withServer(_ body: (String) async throws -> Void) async throws {
    try await withDirectory { directory in
      let server = try Server(socket: directory + "/s")
      defer { server.stop() }
      try await body(server.url)
    }
  }

  /// A server of the repository's models on a Unix socket.
  struct Server {
    let url: String
    private let process: Process

    /// Starts it and waits until it is ready.
    init(socket path: String) throws {
      url = "ttrpc+unix:\(path)"
      process = CommandRun.process(
        ["serve", "--models", "models", "--listen", "unix:\(path)", "--admin", "off"], [:])
      let output = Pipe()
      process.standardOutput = output
      process.standardError = FileHandle.nullDevice
      try process.run()
      // The ready line, or the end of a server that does not start.
      let first = output.fileHandleForReading.availableData
      #expect(String(decoding: first, as: UTF8.self).contains("ready"))
    }

    /// Lets it drain and waits until it has ended.
    func stop() {
      process.terminate()
      process.waitUntilExit()
      #expect(process.terminationStatus == 0)
    }
  }

  /// A directory of the test's own with a path short enough for a socket.
  static func withDirectory<Value>(_ body: (String) async throws -> Value) async throws -> Value {
    let directory = "/tmp/martlet-\(UUID().uuidString.prefix(8))"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: directory) }
    return try await body(directory)
  }
}
